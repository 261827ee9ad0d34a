"""The Job controller: pods for jobs, retries, deadlines, conditions, clean-up, as the real one does it.

Not here: podFailurePolicy, successPolicy, backoffLimitPerIndex and CronJob schedules; `job_notices` says so.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from threading import Condition, Thread
from typing import Any

from podhooks.contract import ANNOTATION_JOB_COMPLETION_INDEX, LABEL_JOB_COMPLETION_INDEX
from podhooks.kinds.resources import Json, clone
from podhooks.local.controller import JOIN_SECONDS, Informer
from podhooks.local.deletion import parse_rfc3339
from podhooks.local.events import Recorder, timestamp
from podhooks.local.jobstatus import (
    BACKOFF_LIMIT_EXCEEDED,
    DEADLINE_EXCEEDED,
    Verdict,
    condition_of,
    count_pods,
    finished_at,
    indexes_to_create,
    is_finished,
    set_condition,
    too_many_failures,
    verdict,
)
from podhooks.local.objects import JOB_TRACKING, drop_finalizer
from podhooks.local.store import ApiError, Store

MAX_BACKOFF_SECONDS = 600.0
INDEX_VARIABLE = "JOB_COMPLETION_INDEX"

Key = tuple[str, str]


class JobController:
    """Two watches that say which job to look at, and one thread that looks."""

    def __init__(self, store: Store, backoff_seconds: float = 10.0) -> None:
        self._store = store
        self._backoff_seconds = backoff_seconds
        self._recorder = Recorder(store, "job-controller")
        self._inbox = Condition()
        self._due: dict[Key, float] = {}
        self._stopping = False
        self._informers = (Informer(store, "jobs", self._job_changed), Informer(store, "pods", self._pod_changed))
        self._thread = Thread(target=self._run, name="podhooks-jobs", daemon=True)

    def start(self) -> None:
        self._thread.start()
        for informer in self._informers:
            informer.start()

    def stop(self) -> None:
        for informer in self._informers:
            informer.stop()
        with self._inbox:
            self._stopping = True
            self._inbox.notify_all()
        self._thread.join(JOIN_SECONDS)

    # -- what to look at, and when ----------------------------------------------------------------------------------

    def _job_changed(self, _: str, job: Json) -> None:
        self._enqueue((job["metadata"]["namespace"], job["metadata"]["name"]))

    def _pod_changed(self, _: str, pod: Json) -> None:
        for owner in pod["metadata"].get("ownerReferences") or ():
            if owner.get("kind") == "Job" and owner.get("controller"):
                self._enqueue((pod["metadata"]["namespace"], owner["name"]))

    def _enqueue(self, key: Key, delay_seconds: float = 0.0) -> None:
        at = time.monotonic() + delay_seconds
        with self._inbox:
            self._due[key] = min(at, self._due.get(key, at))
            self._inbox.notify_all()

    def _run(self) -> None:
        while (key := self._next()) is not None:
            try:
                job = self._store.get("jobs", *key)
                self._sync(key, job)
            except ApiError:  # noqa: PERF203 (it went away, or changed under our hands: the watch brings it back)
                continue

    def _next(self) -> Key | None:
        with self._inbox:
            while not self._stopping:
                now = time.monotonic()
                ready = [key for key, at in self._due.items() if at <= now]
                if ready:
                    del self._due[ready[0]]
                    return ready[0]
                self._inbox.wait(min(self._due.values()) - now if self._due else None)
        return None

    # -- one job ----------------------------------------------------------------------------------------------------

    def _sync(self, key: Key, job: Json) -> None:
        if "deletionTimestamp" in job["metadata"]:
            return
        pods = self._pods(job)
        if is_finished(job):
            self._release([pod for pod in pods if JOB_TRACKING in pod["metadata"].get("finalizers", ())])
            self._expire(key, job)
            return
        before = clone(job["status"])
        counted = count_pods(job, pods)
        decision = self._decide(key, job, pods)
        self._apply(job, pods, decision)
        if job["status"] != before:
            self._store.update("jobs", job, subresource="status")
            self._announce(before, job)
        self._release(counted)
        self._enforce(key, job, pods, decision)

    def _pods(self, job: Json) -> list[Json]:
        owned, uid = self._store.list("pods", job["metadata"]["namespace"])[0], job["metadata"]["uid"]
        return [p for p in owned if any(o.get("uid") == uid for o in p["metadata"].get("ownerReferences") or ())]

    def _decide(self, key: Key, job: Json, pods: list[Json]) -> Verdict:
        """How the job stands: goes on, is to end, or waits for the deadline."""
        spec, status = job["spec"], job["status"]
        if spec.get("suspend"):
            return Verdict()
        status.setdefault("startTime", timestamp())
        seconds = spec.get("activeDeadlineSeconds")
        if seconds is not None and not condition_of(job, "SuccessCriteriaMet"):
            left = parse_rfc3339(status["startTime"]).timestamp() + seconds - time.time()
            if left <= 0:
                return verdict(job, DEADLINE_EXCEEDED)
            self._enqueue(key, left)
        return verdict(job, BACKOFF_LIMIT_EXCEEDED if too_many_failures(job, pods) else None)

    def _apply(self, job: Json, pods: list[Json], decision: Verdict) -> None:
        """Write the decision into the status; a job is finished when its last pod has ended."""
        status = job["status"]
        active = [p for p in pods if p["status"].get("phase") not in ("Succeeded", "Failed")]
        going = [p for p in active if "deletionTimestamp" in p["metadata"]]
        status["active"] = len(active) - len(going)
        status["terminating"] = len(going)
        status["ready"] = sum(condition_of(p, "Ready") for p in active if p not in going)
        status["uncountedTerminatedPods"] = {}
        if job["spec"].get("suspend"):
            set_condition(job, "Suspended", True, "JobSuspended", "Job suspended")
            status.pop("startTime", None)
        elif condition_of(job, "Suspended"):
            set_condition(job, "Suspended", False, "JobResumed", "Job resumed")
        if decision.target:
            set_condition(job, decision.target, True, decision.reason, decision.message)
            if not active:
                status |= {"active": 0, "ready": 0, "terminating": 0}
                set_condition(job, decision.final, True, decision.reason, decision.message)
                if decision.final == "Complete":
                    status["completionTime"] = timestamp()
        for field in ("active",):
            if not status[field]:
                del status[field]

    def _announce(self, before: Json, job: Json) -> None:
        old = {"status": before}
        if condition_of(job, "Complete"):
            self._recorder.normal(job, "Completed", "Job completed")
        for kind in ("FailureTarget", "Failed"):
            if condition_of(job, kind) and not condition_of(old, "FailureTarget"):
                found = next(c for c in job["status"]["conditions"] if c["type"] == kind)
                self._recorder.warning(job, found["reason"], found["message"])
                return
        if condition_of(job, "Suspended") != condition_of(old, "Suspended"):
            resumed = not condition_of(job, "Suspended")
            self._recorder.normal(
                job, "Resumed" if resumed else "Suspended", f"Job {'resumed' if resumed else 'suspended'}"
            )

    def _release(self, pods: list[Json]) -> None:
        """Counted pods may go."""
        for pod in pods:
            meta = pod["metadata"]
            try:
                self._store.mutate(
                    "pods",
                    meta["namespace"],
                    meta["name"],
                    lambda obj: drop_finalizer(obj, JOB_TRACKING),
                    subresource="",
                )
            except ApiError:
                continue

    def _enforce(self, key: Key, job: Json, pods: list[Json], decision: Verdict) -> None:
        """Delete pods that should not be, create those that should.

        `pods` are those that the status was counted from: a pod that succeeded since then isn't in that count, and a
        second look would make another in its place.
        """
        active = [p for p in pods if _is_active(p)]
        if decision.target or job["spec"].get("suspend"):
            self._delete(job, active)
            return
        wanted = indexes_to_create(job, active)
        surplus = len(active) - int(job["spec"].get("parallelism", 1))
        if surplus > 0:
            self._delete(job, active[-surplus:])
        if wanted:
            delay = self._backoff_left(pods)
            if delay > 0:
                self._enqueue(key, delay)
                return
        for index in wanted:
            self._create(job, index)

    def _delete(self, job: Json, pods: list[Json]) -> None:
        for pod in pods:
            meta = pod["metadata"]
            try:
                self._store.delete("pods", meta["namespace"], meta["name"], uid=meta["uid"])
            except ApiError:
                continue
            self._recorder.normal(job, "SuccessfulDelete", f"Deleted pod: {meta['name']}")

    def _backoff_left(self, pods: list[Json]) -> float:
        """Seconds until the next pod may be created: doubling with the failures since the last success."""
        ends = sorted((finished_at(p), p["status"].get("phase") == "Succeeded") for p in pods if not _is_active(p))
        failures = 0
        for _, succeeded in reversed(ends):
            if succeeded:
                break
            failures += 1
        if not failures:
            return 0.0
        delay = min(self._backoff_seconds * 2 ** min(failures - 1, 20), MAX_BACKOFF_SECONDS)
        return float(ends[-1][0] + delay - time.time())

    def _create(self, job: Json, index: int | None) -> None:
        pod = pod_of(job, index)
        try:
            made = self._store.create("pods", pod)
        except ApiError as problem:
            self._recorder.warning(job, "FailedCreate", f"Error creating: {problem.message}")
            return
        self._recorder.normal(job, "SuccessfulCreate", f"Created pod: {made['metadata']['name']}")

    def _expire(self, key: Key, job: Json) -> None:
        """ttlSecondsAfterFinished: a deletion in the foreground, so a pod that is held keeps its job (fact R8)."""
        seconds = job["spec"].get("ttlSecondsAfterFinished")
        if seconds is None:
            return
        ended = next(c for c in job["status"]["conditions"] if c["type"] in ("Complete", "Failed"))
        left = parse_rfc3339(ended["lastTransitionTime"]).timestamp() + seconds - time.time()
        if left > 0:
            self._enqueue(key, left)
        else:
            self._store.delete("jobs", *key, uid=job["metadata"]["uid"], propagation="Foreground")


def _is_active(pod: Json) -> bool:
    return pod["status"].get("phase") not in ("Succeeded", "Failed") and "deletionTimestamp" not in pod["metadata"]


def pod_of(job: Json, index: int | None) -> Json:
    """A new pod of a job; `index` for completionMode Indexed."""
    meta, template = job["metadata"], clone(job["spec"]["template"])
    given = template.get("metadata") or {}
    owner = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    pod: Json = {
        "metadata": {
            "generateName": f"{meta['name']}-" if index is None else f"{meta['name']}-{index}-",
            "namespace": meta["namespace"],
            "labels": dict(given.get("labels") or {}),
            "annotations": dict(given.get("annotations") or {}),
            "ownerReferences": [owner],
            "finalizers": [*(given.get("finalizers") or ()), JOB_TRACKING],
        },
        "spec": template["spec"],
    }
    if index is not None:
        _set_index(pod, meta["name"], index)
    return pod


def _set_index(pod: Json, job_name: str, index: int) -> None:
    pod["metadata"]["labels"][LABEL_JOB_COMPLETION_INDEX] = str(index)
    pod["metadata"]["annotations"][ANNOTATION_JOB_COMPLETION_INDEX] = str(index)
    pod["spec"].setdefault("hostname", f"{job_name}-{index}")
    reference = {"apiVersion": "v1", "fieldPath": f"metadata.labels['{LABEL_JOB_COMPLETION_INDEX}']"}
    variable = {"name": INDEX_VARIABLE, "valueFrom": {"fieldRef": reference}}
    for container in [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]:
        if all(entry["name"] != INDEX_VARIABLE for entry in container.get("env") or ()):
            container.setdefault("env", []).append(clone(variable))


def job_notices(job_spec: Mapping[str, Any]) -> list[str]:
    """What in a job's spec doesn't work locally, one line each."""
    ignored = {
        "podFailurePolicy": "every failure counts against backoffLimit",
        "successPolicy": "all completions are waited for",
        "backoffLimitPerIndex": "failures count against backoffLimit, whatever their index",
        "maxFailedIndexes": "failures count against backoffLimit, whatever their index",
        "managedBy": "the local job controller takes every job",
    }
    return [f"job {field}: {why}" for field, why in ignored.items() if job_spec.get(field) is not None]
