"""The status annotation: which version injected what, and what taking it out again must know.

Compact, because it is also shown to people by `kubectl describe`. What can be recognised by name (our containers,
volumes, mount, variable) isn't in it; only what is gone otherwise: the grace period the user had, lists that were
empty or null before (absent is the rule), and what the user had written just like us.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from podhooks import contract
from podhooks.context import EMPTY
from podhooks.errors import ManifestError
from podhooks.inject.shapes import Json
from podhooks.pod.object import mapping
from podhooks.value import Value

ENCODE = json.JSONEncoder(separators=(",", ":"), default=list).encode


class Status(Value):
    """`grace_seconds` is None where the field wasn't there; `grace_raised` says whether we touched it at all.

    `was` holds lists (by path below spec, `main.env` for a container's) and labels that were empty or null before.
    `own` names such paths where the user had our entry already. `annotations` are the defaults that were added.
    """

    version: str = ""
    hash: str = ""
    grace_raised: bool = False
    grace_seconds: int | None = None
    was: Mapping[str, Json] = EMPTY
    own: tuple[str, ...] = ()
    annotations: tuple[str, ...] = ()

    def to_text(self) -> str:
        parts: dict[str, Json] = {"version": self.version, "hash": self.hash}
        if self.grace_raised:
            parts["grace"] = self.grace_seconds
        parts |= {
            key: value
            for key, value in (("was", self.was), ("own", self.own), ("annotations", self.annotations))
            if value
        }
        return ENCODE(parts)


def read_status(pod: Mapping[str, Json]) -> Status | None:
    """The status of a pod that was injected, None for one that wasn't. ManifestError for one that we didn't write."""
    raw = mapping(mapping(pod.get("metadata")).get("annotations")).get(contract.STATUS)
    if raw is None:
        return None
    try:
        data = json.loads(raw)
        grace, was = data.get("grace"), data.get("was", {})
        _expect(isinstance(data["version"], str) and (grace is None or type(grace) is int))
        _expect(isinstance(was, Mapping) and all(value in (None, [], {}) for value in was.values()))
        return Status(
            version=data["version"],
            hash=str(data.get("hash", "")),
            grace_raised="grace" in data,
            grace_seconds=grace,
            was=was,
            own=_names(data.get("own", ())),
            annotations=_names(data.get("annotations", ())),
        )
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
        raise ManifestError(
            f"the annotation {contract.STATUS} isn't one that Podhooks wrote: take it out and inject the original again"
        ) from error


def _names(value: Json) -> tuple[str, ...]:
    _expect(isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(each, str) for each in value))
    return tuple(value)


def _expect(right: bool) -> None:
    if not right:
        raise ValueError
