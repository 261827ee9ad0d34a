"""Pods of one controller are alike but for their names: the work is done for the first of them.

A Job with a thousand pods sends a thousand pods that differ in the name that the API server gives their service
account's volume, and in what no injection looks at. The patch of the first is the patch of all, with that name in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import orjson

from podhooks.annotations.plan import Plan
from podhooks.inject import InjectSettings, Report, inject
from podhooks.pod.object import mapping, mappings, text
from podhooks.value import Value
from podhooks_operator.webhook.jsondiff import diff

Json: TypeAlias = Any
SIZE = 256  # templates
LONGEST = 32 << 10  # bytes of a template: anybody who may create pods sends what he likes, and the memory is ours
MOST_FINDINGS = 16  # of a template: more than an answer has room for
PASSING = frozenset({"name", "uid", "creationTimestamp", "resourceVersion", "generation", "managedFields"})
"""Metadata that is each pod's own and that no injection looks at."""
TOKEN_VOLUME = "kube-api-access-"  # noqa: S105  five random letters follow
NO_PLAN = Plan()
BLANK = b"\0"  # in the place of a volume's name: JSON text never has this byte


class Injected(Value):
    """What the injector said of a pod (without the plan, which may be large and which no answer needs), and the JSON
    patch that makes the injected pod of it (empty: nothing to do)."""

    report: Report
    patch: bytes = b""


class Injector:
    """inject() as a patch, remembering the templates it saw last, the small ones. For one thread."""

    def __init__(self, settings: InjectSettings, size: int = SIZE) -> None:
        self._settings = settings
        self._size = size
        self._known: dict[bytes, Injected] = {}
        self.hits = 0

    def __call__(self, pod: dict[str, Json]) -> Injected:
        volume = token_volume(pod)
        key = blanked(template(pod), volume)
        known = self._known.pop(key, None)
        if known is None:
            found = injected(pod, self._settings)
            if len(key) > LONGEST or len(found.report.findings) > MOST_FINDINGS:
                return found
            known = found.replace(patch=blanked(found.patch, volume))
        else:
            self.hits += 1
        self._known[key] = known  # last: the first in line is the one not seen for longest
        if len(self._known) > self._size:
            del self._known[next(iter(self._known))]
        return known.replace(patch=known.patch.replace(BLANK, volume))


def injected(pod: dict[str, Json], settings: InjectSettings) -> Injected:
    result, report = inject(pod, settings)
    operations = [] if report.errors else diff(pod, result)
    return Injected(report.replace(plan=NO_PLAN), orjson.dumps(operations) if operations else b"")


def template(pod: Mapping[str, Json]) -> bytes:
    """All of a pod that an injection may look at."""
    metadata = {key: value for key, value in mapping(pod.get("metadata")).items() if key not in PASSING}
    return orjson.dumps({**pod, "metadata": metadata})


def token_volume(pod: Mapping[str, Json]) -> bytes:
    """The name of the volume that the API server made for the service account's token; empty if there is none."""
    names = (text(each.get("name")) for each in mappings(mapping(pod.get("spec")).get("volumes")))
    return next(
        (name.encode() for name in names if name.startswith(TOKEN_VOLUME) and len(name) > len(TOKEN_VOLUME)), b""
    )


def blanked(content: bytes, volume: bytes) -> bytes:
    return content.replace(volume, BLANK) if volume else content
