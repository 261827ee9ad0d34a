"""What became of a rescue Job, from its object and its pods. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from podhooks.context import Hook
from podhooks.pod.object import containers, mapping, mappings, text
from podhooks.runtime.record import RecordData, parse_messages
from podhooks_operator.rescue.decide import SeenJob

Json: TypeAlias = Any


def is_finished(job: Mapping[str, Json]) -> bool:
    conditions = mappings(mapping(job.get("status")).get("conditions"))
    return any(each.get("type") in ("Complete", "Failed") and each.get("status") == "True" for each in conditions)


def seen_job(attempt: int, job: Mapping[str, Json], pods: Iterable[Mapping[str, Json]], uid: str) -> SeenJob:
    """`pods` are the finished Job's; `uid` is that of the pod whose on_exit it runs."""
    if not is_finished(job):
        return SeenJob(attempt)
    pods = list(pods)
    records = [each for each in (_record(pod, uid) for pod in pods) if each is not None]
    best = max(records, key=lambda each: (each.complete, sum(one.status.final for one in each.outcomes)), default=None)
    return SeenJob(attempt, finished=True, record=best, trouble=_trouble(job, pods))


def _record(pod: Mapping[str, Json], uid: str) -> RecordData | None:
    for container in containers(pod):
        end = container.end
        for record in parse_messages(text(end.get("message"))) if end else ():
            if record.hook is Hook.ON_EXIT and record.pod_uid == uid:
                return record
    return None


def _trouble(job: Mapping[str, Json], pods: list[Mapping[str, Json]]) -> str:
    """Why it didn't get its work done, in Kubernetes' own words, the nearest to the cause first."""
    said = [_said(pod) for pod in pods]
    said += [
        text(each.get("message")) or text(each.get("reason"))
        for each in mappings(mapping(job.get("status")).get("conditions"))
        if each.get("type") == "Failed"
    ]
    return next(filter(None, said), "")


def _said(pod: Mapping[str, Json]) -> str:
    status = mapping(pod.get("status"))
    for each in (*containers(pod, init=True), *containers(pod)):
        waiting = mapping(each.state.get("waiting"))
        if waiting.get("reason") not in (None, "PodInitializing", "ContainerCreating"):
            return f"{text(waiting.get('reason'))}: {text(waiting.get('message'))}".rstrip(": ")
    unscheduled = next(
        (each for each in mappings(status.get("conditions")) if each.get("reason") == "Unschedulable"), {}
    )
    ends = [text((each.end or {}).get("message")) for each in containers(pod)]
    lines = [each for each in ends if each and not each.startswith("{")]  # one of ours is a record
    return text(status.get("message")) or text(unscheduled.get("message")) or next(iter(lines), "")
