"""What became of a pod's on_exit outside the pod: the Rescue object as people want to read it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from podhooks import contract
from podhooks.context import ExitInfo, parse_time
from podhooks.inject.shapes import Json
from podhooks.pod.object import is_deleting, mapping, sequence, text, whole

ENDED_WELL = "Done"
OPEN_STATES = ("Recorded", "Running")


@dataclass(frozen=True)
class Rescued:
    """`verdict` is how main ended by the pod's last object, None where the Rescue doesn't say."""

    state: str
    reason: str = ""
    message: str = ""
    attempts: int = 0
    verdict: ExitInfo | None = None
    owed: tuple[str, ...] = ()
    twice: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Json]:
        return {
            "state": self.state,
            "reason": self.reason,
            "message": self.message,
            "attempts": self.attempts,
            "verdict": self.verdict.to_json() if self.verdict else None,
            "owed": list(self.owed),
            "twice": list(self.twice),
        }


def rescued_of(rescue: Mapping[str, Json]) -> Rescued:
    spec, status = mapping(rescue.get("spec")), mapping(rescue.get("status"))
    return Rescued(
        state=text(status.get("state")) or OPEN_STATES[0],
        reason=text(status.get("reason")),
        message=text(status.get("message")),
        attempts=whole(status.get("attempts")) or 0,
        verdict=_verdict(mapping(spec.get("verdict"))),
        owed=_texts(spec.get("owed")),
        twice=_texts(status.get("twice")),
    )


def pod_of(rescue: Mapping[str, Json]) -> Mapping[str, Json]:
    """The pod's last object, which outlives the pod."""
    return mapping(mapping(rescue.get("spec")).get("object"))


def uid_of(rescue: Mapping[str, Json]) -> str:
    return text(mapping(mapping(rescue.get("spec")).get("pod")).get("uid"))


def held_since(pod: Mapping[str, Json]) -> datetime | None:
    """When a deleted pod's time was over that still has the rescuer's finalizer; None for any other."""
    metadata = mapping(pod.get("metadata"))
    if not is_deleting(pod) or contract.FINALIZER not in sequence(metadata.get("finalizers")):
        return None
    return parse_time(metadata.get("deletionTimestamp"))


def _verdict(given: Mapping[str, Json]) -> ExitInfo | None:
    try:
        return ExitInfo.from_json(given)
    except (KeyError, ValueError):
        return None


def _texts(value: Json) -> tuple[str, ...]:
    return tuple(each for each in sequence(value) if isinstance(each, str))
