"""The rescuer at work: threads that watch, a queue, threads that take turns, and the Lease that lets one replica work.

A replica that doesn't lead watches nothing. One that begins to lead looks at everything that is there, and forgets all
that it knew before. Nothing depends on its memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from threading import Event, Lock, Thread
from traceback import format_exception
from typing import Any, TypeAlias
from urllib.parse import quote

from podhooks import contract, log
from podhooks.errors import ApiError
from podhooks.pod.object import mapping, sequence, text
from podhooks_operator.lease import Lease
from podhooks_operator.rescue.objects import OPEN_SELECTOR, PodRef
from podhooks_operator.rescue.places import Places
from podhooks_operator.rescue.queue import WorkQueue
from podhooks_operator.rescue.requests import PODS, Requests
from podhooks_operator.rescue.rescue_metrics import RescueMetrics
from podhooks_operator.rescue.sweep import Sweep
from podhooks_operator.rescue.turns import Again, Done, Parked, Recorded, Turns
from podhooks_operator.rescue.watch import ALIVE, ENDED, PodWatch

Json: TypeAlias = Any
WORKERS = 4
CONFIRMED_IN_SECONDS = 1.0  # after a deletion by force the kubelet's last word comes in 0.3 s (measured)
RELIST_SECONDS = 60.0  # of open Rescues, beside what their own turns do
FORGET_SECONDS = 600.0
FIRST_BACKOFF_SECONDS, MOST_BACKOFF_SECONDS = 1.0, 60.0
ALL_PODS = "/api/v1/pods"

Key: TypeAlias = "PodRef | str"  # a pod, or a Rescue's name


class Rescuer:
    """`namespaces`: those that it looks after; none are all."""

    def __init__(  # noqa: PLR0913 (what it is wired of)
        self,
        requests: Requests,
        lease: Lease,
        lease_seconds: float,
        make_turns: Callable[[Places], Turns],
        sweep: Sweep,
        metrics: RescueMetrics,
        *,
        at_once: int,
        namespaces: Sequence[str] = (),
    ) -> None:
        self._requests = requests
        self._lease = lease
        self._tend_seconds = lease_seconds / 6
        self._sweep = sweep
        self._metrics = metrics
        self._places = Places(at_once, self._wake_parked)
        self._turns = make_turns(self._places)
        self._paths = [PODS.format(quote(each)) for each in namespaces] or [ALL_PODS]
        self._queue: WorkQueue[Key] = WorkQueue()
        self._parked: deque[str] = deque()
        self._held: set[str] = set()
        self._failures: dict[Key, int] = {}
        self._lock = Lock()

    def run(self, stop: Event) -> None:
        """Until `stop`, which the threads notice within seconds."""
        workers = [Thread(target=self._work, daemon=True) for _ in range(WORKERS)]
        for each in workers:
            each.start()
        try:
            while not stop.is_set():
                if self._tend():
                    self._lead(stop)
                stop.wait(self._tend_seconds)
        finally:
            self._queue.close()
            self._give_up_lease()

    # Leading.

    def _tend(self) -> bool:
        try:
            held = self._lease.tend()
        except ApiError as error:
            log.warning("the rescuer's Lease can't be tended", why=error)
            held = self._lease.is_held()
        self._metrics.leads.set(held)
        return held

    def _give_up_lease(self) -> None:
        try:
            self._lease.release()
        except ApiError as error:
            log.warning("the rescuer's Lease can't be released, and runs out by itself", why=error)

    def _lead(self, stop: Event) -> None:
        log.info("the rescuer leads")
        resign = Event()
        threads = [Thread(target=each.run, args=(resign,), daemon=True) for each in self._watches()]
        threads.append(Thread(target=self._look_after_rescues, args=(resign,), daemon=True))
        for each in threads:
            each.start()
        while not stop.wait(self._tend_seconds) and self._tend():
            pass
        resign.set()
        self._queue.clear()
        with self._lock:
            self._held.clear()
            self._parked.clear()
        if not stop.is_set():
            log.warning("the rescuer doesn't lead any more")

    def _watches(self) -> list[PodWatch]:
        def begun(kind: str) -> None:
            self._metrics.watches.labels(kind).inc()

        made = []
        for path in self._paths:
            made.append(PodWatch(self._requests, path, ALIVE, self._see_alive, self._synced, begun))
            made.append(PodWatch(self._requests, path, ENDED, self._see_ended, lambda _uids: None, begun))
        return made

    def _look_after_rescues(self, resign: Event) -> None:
        """Open ones, whoever recorded them; and what time does to ended ones."""
        rounds = 0
        while not resign.is_set():
            try:
                names = [text(mapping(each.get("metadata")).get("name")) for each in self._open()]
                for name in names:
                    self._queue.add(name)
                self._metrics.open.set(len(names))
                self._sweep.count_returns()
                if rounds % round(FORGET_SECONDS / RELIST_SECONDS) == 0:
                    self._sweep.forget()
                rounds += 1
            except ApiError as error:
                log.warning("Rescues can't be looked after", why=error)
            resign.wait(RELIST_SECONDS)

    def _open(self) -> list[Mapping[str, Json]]:
        """In the order in which they came."""
        found = self._requests.rescues(OPEN_SELECTOR)
        return sorted(found, key=lambda each: text(mapping(each.get("metadata")).get("creationTimestamp")))

    # News of pods.

    def _see_alive(self, kind: str, pod: Mapping[str, Json]) -> None:
        """Pods that haven't ended, or are gone."""
        metadata = mapping(pod.get("metadata"))
        ref, held = _ref(metadata), contract.FINALIZER in sequence(metadata.get("finalizers"))
        with self._lock:
            (self._held.add if held and kind != "DELETED" else self._held.discard)(ref.uid)
        if kind == "DELETED":
            return
        if metadata.get("deletionTimestamp"):
            if held and not metadata.get("deletionGracePeriodSeconds"):
                self._queue.add(ref, CONFIRMED_IN_SECONDS)
        elif not held:
            self._hold(pod, ref)

    def _hold(self, pod: Mapping[str, Json], ref: PodRef) -> None:
        try:
            self._turns.hold(pod)
        except ApiError as error:
            self._fail(ref, error)

    def _see_ended(self, kind: str, pod: Mapping[str, Json]) -> None:
        """Pods in a terminal phase: their objects say how they ended."""
        metadata = mapping(pod.get("metadata"))
        held = contract.FINALIZER in sequence(metadata.get("finalizers"))
        released = contract.RELEASED in mapping(metadata.get("annotations"))
        if kind != "DELETED" and (held or not released):
            self._queue.add(_ref(metadata))

    def _synced(self, uids: set[str]) -> None:
        with self._lock:
            self._held &= uids
            self._metrics.held.set(len(self._held))

    # Turns.

    def _work(self) -> None:
        while (key := self._queue.take()) is not None:
            if self._lease.is_held():
                self._turn_safely(key)
            self._queue.done(key)
            self._metrics.running.set(len(self._places))
            self._metrics.held.set(len(self._held))

    def _turn_safely(self, key: Key) -> None:
        try:
            self._turn(key)
        except Exception as error:  # noqa: BLE001 (one object that nobody foresaw must not stop the others)
            log.error("a turn of the rescuer failed", about=str(key), traceback=" | ".join(format_exception(error)))
            self._retry(key, None)

    def _turn(self, key: Key) -> None:
        try:
            outcome = self._turns.pod(key) if isinstance(key, PodRef) else self._turns.rescue(key)
        except ApiError as error:
            self._fail(key, error)
            return
        self._failures.pop(key, None)
        if isinstance(outcome, Recorded):
            self._queue.add(outcome.name)
        elif isinstance(outcome, Again):
            self._queue.add(key, outcome.seconds)
            if isinstance(outcome, Parked) and isinstance(key, str):
                with self._lock:
                    self._parked.append(key)
        elif not isinstance(outcome, Done):
            raise TypeError(outcome)

    def _fail(self, key: Key, error: ApiError) -> None:
        self._metrics.failed.labels(str(error.status)).inc()
        log.warning("a request of the rescuer failed", about=str(key), why=error)
        self._retry(key, error.retry_after_seconds)

    def _retry(self, key: Key, asked: float | None) -> None:
        count = self._failures[key] = self._failures.get(key, 0) + 1
        pause = min(FIRST_BACKOFF_SECONDS * 2 ** min(count - 1, 10), MOST_BACKOFF_SECONDS)
        self._queue.add(key, max(pause, asked or 0.0))

    def _wake_parked(self) -> None:
        with self._lock:
            name = self._parked.popleft() if self._parked else None
        if name is not None:
            self._queue.add(name)


def _ref(metadata: Mapping[str, Json]) -> PodRef:
    return PodRef(*(text(metadata.get(key)) for key in ("name", "namespace", "uid")))
