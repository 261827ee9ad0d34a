"""The conditions of a namespace that is being deleted, as its controller writes them. Pure.

While pods are left the other kinds stay, and no condition names the pods: that is the controller's own order.
Source: https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/namespace/deletion/status_condition_utils.go
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from podhooks.kinds.resources import Json, resource

_FINE = {
    "NamespaceDeletionDiscoveryFailure": ("ResourcesDiscovered", "All resources successfully discovered"),
    "NamespaceDeletionGroupVersionParsingFailure": (
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    "NamespaceDeletionContentFailure": (
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    "NamespaceContentRemaining": ("ContentRemoved", "All content successfully removed"),
    "NamespaceFinalizersRemaining": ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
}


def conditions(before: Sequence[Json], left: Mapping[str, Sequence[Json]], now: str) -> list[Json]:
    """`left` are the objects that remain, by plural; `before` the conditions so far, whose times stay if they hold."""
    known = {each["type"]: each for each in before}
    unfinished = {} if left.get("pods") else _unfinished(left)
    return [_condition(known.get(kind), kind, unfinished.get(kind), now) for kind in _FINE]


def _unfinished(left: Mapping[str, Sequence[Json]]) -> dict[str, tuple[str, str]]:
    kinds = sorted(
        f"{plural}.{resource(plural).group} has {len(objs)} resource instances" for plural, objs in left.items()
    )
    held = Counter(name for objs in left.values() for obj in objs for name in obj["metadata"].get("finalizers") or ())
    found = {}
    if kinds:
        message = f"Some resources are remaining: {', '.join(kinds)}"
        found["NamespaceContentRemaining"] = ("SomeResourcesRemain", message)
    if held:
        who = ", ".join(sorted(f"{name} in {count} resource instances" for name, count in held.items()))
        message = f"Some content in the namespace has finalizers remaining: {who}"
        found["NamespaceFinalizersRemaining"] = ("SomeFinalizersRemain", message)
    return found


def _condition(before: Json | None, kind: str, trouble: tuple[str, str] | None, now: str) -> Json:
    reason, message = trouble or _FINE[kind]
    status = "True" if trouble else "False"
    since = before["lastTransitionTime"] if before and before["status"] == status else now
    return {"type": kind, "status": status, "lastTransitionTime": since, "reason": reason, "message": message}
