"""How a Job goes on: its own state and that of its pods, watched in the background, and how all of it ended."""

from __future__ import annotations

import threading
from collections.abc import Callable

from podhooks.cluster.backend import Backend, Event, Selection, follow
from podhooks.cluster.request import Object
from podhooks.context import ExitInfo, Result
from podhooks.pod.object import mapping, mappings, text, whole
from podhooks.report.news import is_over, job_failure, job_is_finished
from podhooks.report.summary import PodSummary, summarize


class Progress:
    """Safe for use by several threads. `close` ends the watching, never the Job."""

    def __init__(self, backend: Backend, job: Object) -> None:
        self._backend = backend
        self._job = job
        self._job_gone = False
        self._pods: dict[str, Object] = {}
        self._gone: set[str] = set()
        self._trouble = ""
        self._closed = threading.Event()
        self._changed = threading.Condition()
        name, namespace = job["metadata"]["name"], job["metadata"]["namespace"]
        self._watch(Selection("Job", namespace, fields=f"metadata.name={name}"), self._see_job)
        self._watch(Selection("Pod", namespace, labels=f"job-name={name}"), self._see_pod)

    @property
    def is_over(self) -> bool:
        """Whether nothing of it runs any more, nor will."""
        with self._changed:
            return self._is_over()

    @property
    def is_gone(self) -> bool:
        """Whether there is nothing left of it in the cluster."""
        with self._changed:
            return self._job_gone and all(uid in self._gone for uid in self._pods)

    @property
    def pods(self) -> list[Object]:
        """In the order of their creation; the last state of those that are gone."""
        with self._changed:
            return sorted(self._pods.values(), key=lambda each: text(each["metadata"].get("creationTimestamp")))

    @property
    def trouble(self) -> str:
        """Why nothing can be seen at the moment; empty when all is well."""
        return self._trouble

    def wait(self, until: Callable[[], bool], timeout_seconds: float | None) -> bool:
        """Until `until` holds, which is asked after every change; False when the time is over first."""
        with self._changed:
            return self._changed.wait_for(until, timeout_seconds)

    def summaries(self) -> list[PodSummary]:
        return [summarize(pod, gone=pod["metadata"]["uid"] in self._gone) for pod in self.pods]

    def deciding(self) -> PodSummary | None:
        """The pod whose end is the Job's: the last one that succeeded, else the last one."""
        all_of_them = self.summaries()
        good = [each for each in all_of_them if each.end and each.end.succeeded]
        deciding = good if good and job_failure(self._job) is None else all_of_them
        return deciding[-1] if deciding else None

    def end(self) -> ExitInfo:
        """How main ended; for when all is over."""
        last = self.deciding()
        if last is not None and last.end is not None:
            return last.end
        if self._job_gone:
            return ExitInfo(Result.DELETED, message="the Job was deleted before any pod of it was seen")
        return ExitInfo(Result.UNKNOWN, message=job_failure(self._job) or "nobody knows how main ended")

    def close(self) -> None:
        self._closed.set()

    def _is_over(self) -> bool:
        if not self._job_gone and (not job_is_finished(self._job) or (_ran(self._job) and not self._pods)):
            return False  # its pods' states come through another connection, maybe later
        return all(uid in self._gone or is_over(pod) for uid, pod in self._pods.items())

    def _watch(self, what: Selection, see: Callable[[Event], None]) -> None:
        def watch() -> None:
            for event in follow(self._backend, what, self._closed):
                with self._changed:
                    if event.type == "TROUBLE":
                        self._trouble = text(event.object.get("message"))
                    else:
                        self._trouble = ""
                        see(event)
                    self._changed.notify_all()

        threading.Thread(target=watch, name=f"podhooks-watch-{what.kind.lower()}", daemon=True).start()

    def _see_job(self, event: Event) -> None:
        if event.object["metadata"].get("uid") == self._job["metadata"].get("uid"):
            self._job, self._job_gone = event.object, event.type == "DELETED"

    def _see_pod(self, event: Event) -> None:
        owners = mappings(event.object["metadata"].get("ownerReferences"))
        if any(each.get("uid") == self._job["metadata"].get("uid") for each in owners):
            uid = event.object["metadata"]["uid"]
            self._pods[uid] = event.object
            if event.type == "DELETED":
                self._gone.add(uid)


def _ran(job: Object) -> bool:
    """Whether the Job counted a pod that ended."""
    status = mapping(job.get("status"))
    return any(whole(status.get(name)) for name in ("succeeded", "failed"))
