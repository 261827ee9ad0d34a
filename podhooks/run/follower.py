"""Follows a run until everything of it is over: watches, logs, signals and time come in through one queue."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import NamedTuple

from podhooks.annotations.durations import format_duration
from podhooks.cluster.backend import Backend, Event, Selection, follow
from podhooks.cluster.request import Object, label_of
from podhooks.contract import ON_EXIT_CONTAINER
from podhooks.errors import ApiError
from podhooks.pod.object import is_deleting, mapping, mappings, phase, text, whole
from podhooks.report.news import (
    Entry,
    Tone,
    all_containers,
    is_over,
    is_without_hope,
    job_is_finished,
    job_news,
    obstacle,
    pod_news,
    warning_news,
)
from podhooks.report.verdict import Stop
from podhooks.run.display import Display
from podhooks.run.layout import Line, Prefix, entry_line, name_width, status_line
from podhooks.run.logbook import LAG_SECONDS, LogBook, LogLine

OBSTACLES = ("FailedMount", "FailedAttachVolume", "FailedCreate", "FailedCreatePodSandBox")  # what only events tell
STOPS = {signal.SIGINT: Stop.INTERRUPT, signal.SIGTERM: Stop.TERMINATE, signal.SIGHUP: Stop.HANGUP}
TICK_SECONDS = 1.0
HELD_TICK_SECONDS = 0.1
DELETE_PAUSE_SECONDS = 2.0
FORCED_SECONDS = 3.0  # what the forced end of the pods may take


class Seen(NamedTuple):
    """News of an object: of the run itself, of its pods, or a warning about either."""

    what: str
    event: Event


class Order(NamedTuple):
    stop: Stop


class Failure(NamedTuple):
    """What went wrong with the deletion."""

    message: str


Message = Seen | LogLine | Order | Failure


class Ending(NamedTuple):
    """All objects in their last state. `gone` has the uids of pods that came with a DELETED event.

    `obstacle` is what kept a pod from starting when that was last said: its last state doesn't tell any more.
    """

    run: Object
    pods: list[Object]
    gone: frozenset[str]
    stop: Stop | None
    forced: bool
    obstacle: str


class Follower:
    """
    Args:
        run: the Pod or Job as the server made it.
        elapsed: seconds since the beginning, for the lines.
        timeout_seconds: when to end it ourselves; None for never.
    """

    def __init__(
        self,
        backend: Backend,
        run: Object,
        display: Display,
        elapsed: Callable[[], float],
        timeout_seconds: float | None,
    ) -> None:
        self._backend = backend
        self._run = run
        self._run_gone = False
        self._display = display
        self._elapsed = elapsed
        self._timeout_seconds = timeout_seconds
        self._inbox: SimpleQueue[Message] = SimpleQueue()
        self._closed = threading.Event()
        self._pods: dict[str, Object] = {}
        self._gone: set[str] = set()
        self._logs = LogBook(backend, self._inbox.put, self._say, self._pods)
        self._warned: set[Entry] = set()
        self._of_run: list[Entry] = []  # the Job's news, which stand behind what is held of its pods
        self._prefix = Prefix(with_pod=_has_many_pods(run))
        self._stop: Stop | None = None
        self._forced = False
        self._give_up_at = float("inf")
        self._obstacle = ""

    def stop(self, why: Stop) -> None:
        """May be called from a signal handler."""
        self._inbox.put(Order(why))

    def follow(self) -> Ending:
        self._start_watching()
        while not self._is_over() and time.monotonic() < self._give_up_at:
            self._step()
        until = time.monotonic() + LAG_SECONDS
        while self._logs.is_reading and time.monotonic() < min(until, self._give_up_at):
            self._step()
        self._logs.release(everything=True)
        self._say_of_run()
        self._closed.set()
        gone = frozenset(self._gone)
        return Ending(self._run, list(self._pods.values()), gone, self._stop, self._forced, self._obstacle)

    def _step(self) -> None:
        self._display.status(self._status())
        with contextlib.suppress(Empty):
            self._handle(self._inbox.get(timeout=HELD_TICK_SECONDS if self._logs.is_holding else TICK_SECONDS))
        self._logs.release()
        if not self._logs.is_holding and self._inbox.empty():
            self._say_of_run()
        if self._stop is None and self._timeout_seconds is not None and self._elapsed() > self._timeout_seconds:
            self._end(Stop.TIMEOUT)

    def _handle(self, message: Message) -> None:
        if isinstance(message, Seen):
            self._see(message)
        elif isinstance(message, LogLine):
            self._logs.hear(message)
        elif isinstance(message, Order):
            self._end(message.stop)
        else:
            self._say(Entry(message.message, tone=Tone.BAD))

    # -- what is seen -----------------------------------------------------------------------------------------------

    def _see(self, seen: Seen) -> None:
        event = seen.event
        if event.type == "TROUBLE":
            if seen.what == "pod":  # one of them speaks for all, and whoever may not see events does without
                self._say(Entry(f"{event.object['message']}; trying again", tone=Tone.BAD))
        elif seen.what == "warning":
            self._warn(event.object)
        elif seen.what == "run":
            self._see_run(event)
        elif self._is_ours(event.object):
            self._see_pod(event)

    def _see_run(self, event: Event) -> None:
        if event.object["metadata"].get("uid") != self._run["metadata"].get("uid"):
            return
        gone = event.type == "DELETED"
        self._of_run += job_news(self._run, event.object, gone=gone)
        self._run, self._run_gone = event.object, self._run_gone or gone

    def _see_pod(self, event: Event) -> None:
        pod, gone = event.object, event.type == "DELETED"
        uid = pod["metadata"]["uid"]
        before = self._pods.get(uid, {})
        self._pods[uid] = pod
        if gone:
            self._gone.add(uid)
        if self._run["kind"] == "Pod":
            self._run, self._run_gone = pod, gone
        self._widen(pod)
        if not is_deleting(pod):
            self._obstacle = obstacle(pod) or (self._obstacle if phase(pod) == "Pending" else "")
        for entry in pod_news(before, pod, gone=gone):
            self._logs.news(uid, entry)
        self._logs.read(pod)
        if self._stop is None and not is_deleting(pod) and is_without_hope(pod):
            self._end(Stop.NO_IMAGE)

    def _is_ours(self, pod: Object) -> bool:
        uid = self._run["metadata"].get("uid")
        owners = mappings(pod["metadata"].get("ownerReferences"))
        return pod["metadata"].get("uid") == uid or any(each.get("uid") == uid for each in owners)

    def _warn(self, event: Object) -> None:
        involved = mapping(event.get("involvedObject"))
        known = {text(self._run["metadata"].get("uid")), *self._pods}
        for entry in warning_news(event):
            if involved.get("uid") in known and entry not in self._warned:
                self._warned.add(entry)
                self._say(entry)
                if entry.text.startswith(OBSTACLES):
                    self._obstacle = entry.text

    def _widen(self, pod: Object) -> None:
        with_pod = self._prefix.with_pod or len(self._pods) > 1
        width = max(self._prefix.width, name_width(pod, with_pod=with_pod))
        self._prefix = Prefix(width, with_pod)

    # -- the end ----------------------------------------------------------------------------------------------------

    def _is_over(self) -> bool:
        if self._run["kind"] == "Job" and not (job_is_finished(self._run) or self._run_gone):
            return False
        if self._run["kind"] == "Pod" and not self._pods:
            return self._run_gone
        return all(uid in self._gone or is_over(pod) for uid, pod in self._pods.items())

    def _end(self, why: Stop) -> None:
        if self._stop is not None:
            self._force(why)
            return
        self._stop = why
        cause = f"{why.value}: " if why is not Stop.TIMEOUT else f"not over after {self._limit}: "
        hint = "; press Ctrl-C again to stop at once" if why is Stop.INTERRUPT else ""
        consequence = ", on_exit runs" if self._may_on_exit_run() else ""
        self._say(Entry(f"{cause}deleting {label_of(self._run)}{consequence}{hint}", tone=Tone.BAD))
        self._delete(self._run)

    def _may_on_exit_run(self) -> bool:
        everyone = [each for pod in self._pods.values() if not is_over(pod) for each in all_containers(pod)]
        return any(each.name == ON_EXIT_CONTAINER and "running" in each.state for each in everyone)

    @property
    def _limit(self) -> str:
        return format_duration(self._timeout_seconds or 0)

    def _force(self, why: Stop) -> None:
        """The second order: the pods go at once. The third: so do we."""
        if self._forced:
            self._give_up_at = time.monotonic()
            return
        self._forced = True
        self._give_up_at = time.monotonic() + FORCED_SECONDS
        self._say(Entry(f"{why.value} again: stopping at once, on_exit may not come to its end", tone=Tone.BAD))
        for uid, pod in self._pods.items():
            if uid not in self._gone and not is_over(pod):
                self._delete({**pod, "kind": "Pod"}, grace_seconds=0)

    def _delete(self, obj: Object, *, grace_seconds: int | None = None) -> None:
        """In a thread of its own: a server that doesn't answer must not keep a second Ctrl-C waiting."""

        def delete() -> None:
            told = ""
            while not self._closed.is_set():
                try:
                    self._backend.delete(obj, grace_seconds=grace_seconds)
                    return
                except ApiError as error:  # noqa: PERF203  it has to go
                    if str(error) != told:
                        self._inbox.put(Failure(f"{label_of(obj)} can't be deleted: {error}; trying again"))
                    told = str(error)
                    self._closed.wait(DELETE_PAUSE_SECONDS)

        threading.Thread(target=delete, name="podhooks-delete", daemon=True).start()

    # -- wires ------------------------------------------------------------------------------------------------------

    def _start_watching(self) -> None:
        metadata = self._run["metadata"]
        name, namespace = metadata["name"], metadata["namespace"]
        if self._run["kind"] == "Job":
            self._watch("run", Selection("Job", namespace, fields=f"metadata.name={name}"))
            self._watch("pod", Selection("Pod", namespace, labels=f"job-name={name}"))
        else:
            self._watch("pod", Selection("Pod", namespace, fields=f"metadata.name={name}"))
        self._watch("warning", Selection("Event", namespace, fields="type=Warning"))

    def _watch(self, what: str, selection: Selection) -> None:
        def watch() -> None:
            for event in follow(self._backend, selection, self._closed):
                self._inbox.put(Seen(what, event))

        threading.Thread(target=watch, name=f"podhooks-watch-{what}", daemon=True).start()

    def _say_of_run(self) -> None:
        self._say(*self._of_run)
        self._of_run.clear()

    def _say(self, *entries: Entry) -> None:
        for each in entries:
            self._display.line(entry_line(self._elapsed(), each, self._prefix))

    def _status(self) -> Line:
        live = [pod for uid, pod in self._pods.items() if uid not in self._gone and not is_over(pod)]
        line = status_line(live) or [("waiting for a pod   ", "dim")]
        hint = "Ctrl-C deletes the run" if self._stop is None else "on_exit runs, Ctrl-C stops at once"
        return [*line, (hint, "dim")]


def _has_many_pods(run: Object) -> bool:
    spec = mapping(run.get("spec"))
    return run["kind"] == "Job" and any((whole(spec.get(name)) or 1) > 1 for name in ("parallelism", "completions"))
