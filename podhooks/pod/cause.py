"""Why a pod was ended from outside, in its own words. Pure: a pod object in, a Cause (or None) out."""

from __future__ import annotations

from podhooks.context import Result, parse_time
from podhooks.pod.object import is_deleting, mapping, mappings, phase, pod_deadline, text
from podhooks.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from podhooks.context import Json

# `status.reason` of a pod that was ended from outside. The kubelet's "Terminated", "NodeShutdown" and "Shutdown" are a
# node that is being shut down in order; "Preempting" makes room for a critical pod.
POD_REASONS = {
    "Evicted": Result.EVICTED,
    "DeadlineExceeded": Result.DEADLINE_EXCEEDED,
    "NodeLost": Result.NODE_LOST,
    "Preempting": Result.EVICTED,
    "Terminated": Result.EVICTED,
    "NodeShutdown": Result.EVICTED,
    "Shutdown": Result.EVICTED,
}

# The taint manager deletes the pods of a node that doesn't answer. When the node is declared out of service, the pod
# garbage collector gives such a pod the phase Failed, and its containers stay as they were: running (KEP-2268).
# https://github.com/kubernetes/kubernetes/blob/v1.36.0/pkg/controller/podgc/gc_controller.go (gcTerminating)
TAINT_MANAGER = "DeletionByTaintManager"
POD_GC = "DeletionByPodGC"  # it deletes what was left on a node whose object is gone

PROVIDER_TERMINATED = "Terminated"  # a virtual kubelet's word for a pod that it was told to delete
PROVIDER_NOT_FOUND = "NotFound"  # and for one that ran and that its provider doesn't know any more


class Cause(Value):
    """What the pod says of its own end. `since` is when that began, None where the object doesn't tell."""

    result: Result
    reason: str
    message: str = ""
    since: datetime | None = None


def cause_of_end(pod: Mapping[str, Json], *, over: bool) -> Cause | None:
    """Why the pod was ended from outside; None if it wasn't (yet)."""
    disruption, deleting = _disruption(mapping(pod.get("status"))), is_deleting(pod)
    reason, message = reason_of(pod)
    if deleting and reason == PROVIDER_TERMINATED and phase(pod) == "Succeeded":
        return Cause(Result.DELETED, reason, message)
    result = POD_REASONS.get(reason) if over else None
    if result is not None:
        known = disruption.since if disruption is not None else None
        since = pod_deadline(pod) if result is Result.DEADLINE_EXCEEDED else known
        return Cause(result, reason, message, since)
    if disruption is not None and (over or deleting):
        return disruption
    return Cause(Result.DELETED, reason or "Deleted", message or "the pod was deleted") if deleting else None


def _disruption(status: Mapping[str, Json]) -> Cause | None:
    for condition in mappings(status.get("conditions")):
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            reason = text(condition.get("reason"))
            return Cause(
                Result.NODE_LOST if reason == POD_GC else Result.EVICTED,
                reason,
                text(condition.get("message")),
                parse_time(condition.get("lastTransitionTime")),
            )
    return None


def deadline_passed(pod: Mapping[str, Json], now: datetime | None) -> Cause | None:
    deadline = pod_deadline(pod)
    if deadline is None or now is None or now < deadline:
        return None
    return Cause(Result.DEADLINE_EXCEEDED, "DeadlineExceeded", "the pod's activeDeadlineSeconds are over", deadline)


def reason_of(pod: Mapping[str, Json]) -> tuple[str, str]:
    """The pod's own reason and message."""
    status = mapping(pod.get("status"))
    return text(status.get("reason")), text(status.get("message"))
