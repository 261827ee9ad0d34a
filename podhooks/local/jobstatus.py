"""The arithmetic of a Job: counts, limits, conditions. Pure but for the time stamped into conditions."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from podhooks.contract import ANNOTATION_JOB_COMPLETION_INDEX
from podhooks.kinds.resources import Json
from podhooks.local.deletion import parse_rfc3339
from podhooks.local.events import timestamp
from podhooks.local.objects import JOB_TRACKING

BACKOFF_LIMIT_EXCEEDED = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
DEADLINE_EXCEEDED = ("DeadlineExceeded", "Job was active longer than specified deadline")
COMPLETIONS_REACHED = ("CompletionsReached", "Reached expected number of succeeded pods")


@dataclass(frozen=True)
class Verdict:
    """Where a job is heading: the condition set now, and the one set when its last pod has ended. Empty: it goes on."""

    target: str = ""
    final: str = ""
    reason: str = ""
    message: str = ""


def condition_of(obj: Json, kind: str) -> bool:
    """Whether a condition holds."""
    found = (obj.get("status") or {}).get("conditions") or ()
    return any(c["type"] == kind and c["status"] == "True" for c in found)


def is_finished(job: Json) -> bool:
    return condition_of(job, "Complete") or condition_of(job, "Failed")


def set_condition(job: Json, kind: str, holds: bool, reason: str, message: str) -> None:
    """Set a condition; one that already has this status keeps its reason and time."""
    status = "True" if holds else "False"
    conditions = job["status"].setdefault("conditions", [])
    old = next((c for c in conditions if c["type"] == kind), None)
    if old and old["status"] == status:
        return
    now = timestamp()
    made = {"type": kind, "status": status, "lastProbeTime": now, "lastTransitionTime": now}
    if old:
        conditions.remove(old)
    conditions.append({**made, "reason": reason, "message": message})


def count_pods(job: Json, pods: Iterable[Json]) -> list[Json]:
    """Add pods that ended, or are being deleted, to the job's counts; returns those, which may lose the finalizer."""
    status = job["status"]
    counted = []
    for pod in pods:
        phase = pod["status"].get("phase")
        ended = phase in ("Succeeded", "Failed") or "deletionTimestamp" in pod["metadata"]
        if not ended or JOB_TRACKING not in pod["metadata"].get("finalizers", ()):
            continue
        counted.append(pod)
        if phase == "Succeeded":
            status["succeeded"] = status.get("succeeded", 0) + 1
            _complete_index(job, pod)
        elif not job["spec"].get("suspend"):
            status["failed"] = status.get("failed", 0) + 1
    return counted


def _complete_index(job: Json, pod: Json) -> None:
    if job["spec"].get("completionMode") == "Indexed":
        done = parse_indexes(job["status"].get("completedIndexes", "")) | {index_of(pod)}
        job["status"]["completedIndexes"] = format_indexes(done)
        job["status"]["succeeded"] = len(done)


def index_of(pod: Json) -> int:
    return int((pod["metadata"].get("annotations") or {}).get(ANNOTATION_JOB_COMPLETION_INDEX, "-1"))


def parse_indexes(text: str) -> set[int]:
    """`0,2-4` to {0, 2, 3, 4}."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def format_indexes(indexes: set[int]) -> str:
    """The reverse: runs of three and more, and of two, as Kubernetes writes them."""
    parts: list[list[int]] = []
    for index in sorted(indexes):
        if parts and index == parts[-1][-1] + 1:
            parts[-1].append(index)
        else:
            parts.append([index])
    text = [f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in parts]
    return ",".join(text)


def too_many_failures(job: Json, pods: Iterable[Json]) -> bool:
    """backoffLimit: failed pods, and with OnFailure also the restarts of containers."""
    limit = int(job["spec"].get("backoffLimit", 6))
    if job["status"].get("failed", 0) > limit:
        return True
    if job["spec"]["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    restarts = sum(_restarts(pod) for pod in pods if pod["status"].get("phase") in ("Pending", "Running"))
    return restarts > 0 if limit == 0 else restarts >= limit


def _restarts(pod: Json) -> int:
    status = pod["status"]
    everyone = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    return sum(int(c.get("restartCount", 0)) for c in everyone)


def verdict(job: Json, failure: tuple[str, str] | None) -> Verdict:
    """A decision once taken stays; then success before failure."""
    conditions = job["status"].get("conditions") or ()
    for target, final in (("SuccessCriteriaMet", "Complete"), ("FailureTarget", "Failed")):
        if taken := next((c for c in conditions if c["type"] == target and c["status"] == "True"), None):
            return Verdict(target, final, taken["reason"], taken["message"])
    if _is_complete(job):
        return Verdict("SuccessCriteriaMet", "Complete", *COMPLETIONS_REACHED)
    return Verdict("FailureTarget", "Failed", *failure) if failure else Verdict()


def _is_complete(job: Json) -> bool:
    wanted, succeeded = job["spec"].get("completions"), job["status"].get("succeeded", 0)
    if wanted is None:  # a work queue: done when one succeeded and none runs
        return bool(succeeded) and not job["status"].get("active", 0)
    return bool(succeeded >= wanted)


def indexes_to_create(job: Json, active: list[Json]) -> list[int | None]:
    """One entry per pod to create: its index, or None without completionMode Indexed."""
    spec, status = job["spec"], job["status"]
    completions, parallelism = spec.get("completions"), int(spec.get("parallelism", 1))
    succeeded = status.get("succeeded", 0)
    if completions is None:
        wanted = len(active) if succeeded else parallelism
    else:
        wanted = min(parallelism, int(completions) - succeeded)
    missing = max(wanted - len(active), 0)
    if spec.get("completionMode") != "Indexed":
        return [None] * missing
    taken = parse_indexes(status.get("completedIndexes", "")) | {index_of(pod) for pod in active}
    free: list[int | None] = [index for index in range(int(completions or 0)) if index not in taken]
    return free[:missing]


def finished_at(pod: Json) -> float:
    """Seconds since the epoch at which a pod's last container ended; now if it doesn't say."""
    status = pod["status"]
    everyone = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    ends = [(c.get("state") or {}).get("terminated", {}).get("finishedAt") for c in everyone]
    known = [parse_rfc3339(end).timestamp() for end in ends if end]
    return max(known, default=time.time())
