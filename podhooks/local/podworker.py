"""The life of one pod: a thread that brings its containers from the spec to their end, and publishes what it sees.

As in the real kubelet, one step (`_sync`) looks at the containers, publishes the status, then acts; and a pod that ends
(deletion, deadline, a final phase) is published again only when every container is dead (kubelet fact 3).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from threading import Condition, Thread

from podhooks.contract import DEFAULT_GRACE_SECONDS
from podhooks.kinds.resources import Json
from podhooks.local.containerrunner import ContainerRunner, retry_seconds
from podhooks.local.containers import Container, Role, containers_of, is_restarted
from podhooks.local.events import timestamp
from podhooks.local.node import Node
from podhooks.local.sandbox import Exit, Process
from podhooks.local.statuses import TERMINAL, PodState, mark_lost, phase_of, pod_status
from podhooks.local.store import ApiError
from podhooks.local.termination import Termination
from podhooks.local.volumes import MountError, Storage

FORCED_GRACE_SECONDS = 1.0  # the kubelet never takes a grace period of 0 literally
DEADLINE_MESSAGE = "Pod was active on the node longer than the specified deadline"


class PodWorker:
    """Runs one pod. `update`, `remove` and `stop` may be called from any thread."""

    def __init__(self, node: Node, pod: Json) -> None:
        self.containers = containers_of(pod)
        self.finished = False
        self._node = node
        self._pod = pod
        self._uid: str = pod["metadata"]["uid"]
        self._directory = node.state_dir / "pods" / self._uid
        self._inbox = Condition()
        self._poked = False
        self._exits: list[tuple[Container, Process, Exit, float]] = []
        self._removed = False
        self._stopped = False
        self._started_at = time.monotonic()
        self._state = PodState(timestamp(), timestamp())
        self._runner = ContainerRunner(node, pod, self._directory, self._ended)
        self._volumes: dict[str, Path] | None = None
        self._retry_at = 0.0
        self._retries = 0
        self._ending: Termination | None = None
        self._finishing: Termination | None = None
        self._wake_at: float | None = None
        self._thread = Thread(target=self._run, name=f"podhooks-pod-{pod['metadata']['name']}", daemon=True)

    # -- called by others -------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread.start()

    def update(self, pod: Json) -> None:
        """The API's object has changed."""
        with self._inbox:
            self._pod = self._runner.pod = pod
            self._poke()

    def remove(self) -> None:
        """The object is gone: end the containers with hardly any grace (kubelet fact 7)."""
        with self._inbox:
            self._removed = True
            self._poke()

    def publish_again(self) -> None:
        """What the API didn't hear while the node was cut off."""
        self._publish()
        if self.finished and "deletionTimestamp" in self._pod["metadata"]:
            self.delete_object()

    def stop(self) -> None:
        """Stop working; killing the processes is the sandbox's business."""
        with self._inbox:
            self._stopped = True
            self._poke()

    def join(self, timeout: float | None = None) -> None:
        self._thread.join(timeout)

    def _poke(self) -> None:
        self._poked = True
        self._inbox.notify_all()

    # -- the loop ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._publish()
        while not self.finished:
            self._wake_at = None
            self._sync()
            if self.finished or not self._wait():
                break
        if self._removed:
            self._clean_up()

    def _clean_up(self) -> None:
        if not self._node.keep:
            shutil.rmtree(self._directory, ignore_errors=True)

    def _wait(self) -> bool:
        """Sleep until something happens or `_wake_at`; False when the node stops."""
        with self._inbox:
            while not (self._poked or self._stopped):
                times = [at for at in (self._wake_at, *(e[3] for e in self._exits)) if at is not None]
                left = min(times) - time.monotonic() if times else None
                if left is not None and left <= 0:
                    break
                self._inbox.wait(left)
            self._poked = False
            return not self._stopped

    def _wake(self, at: float | None) -> None:
        if at is not None:
            self._wake_at = at if self._wake_at is None else min(self._wake_at, at)

    def _sync(self) -> None:
        self._observe()
        if self._finishing and not self._finish_sidecars(self._finishing):
            return
        if self._ending is None:
            self._check_ending()
            self._publish()
        if self._ending is not None:
            self._end(self._ending)
        else:
            self._advance()

    def _observe(self) -> None:
        """Take note of containers that ended."""
        with self._inbox:
            exits, self._exits = self._exits, []
        for container, process, end, _ in exits:
            if container.process is process:
                self._runner.note_end(container, process, end)

    # -- publishing -------------------------------------------------------------------------------------------------

    def _publish(self) -> None:
        self._state = replace(self._state, now=timestamp())

        def change(pod: Json) -> None:
            if pod["metadata"]["uid"] == self._uid:
                pod["status"] = pod_status(pod, self.containers, self._state)

        if self._removed or not self._node.connected.is_set():
            return
        meta = self._pod["metadata"]
        try:
            self._node.store.mutate("pods", meta["namespace"], meta["name"], change)
        except ApiError:  # it has just gone; the watch will say so
            return

    # -- endings ----------------------------------------------------------------------------------------------------

    @property
    def _grace_seconds(self) -> float:
        return float(self._pod["spec"].get("terminationGracePeriodSeconds", DEFAULT_GRACE_SECONDS))

    def _requested_grace(self) -> float | None:
        """Grace of a deletion that is under way."""
        if self._removed:
            return FORCED_GRACE_SECONDS
        meta = self._pod["metadata"]
        if "deletionTimestamp" not in meta:
            return None
        return max(float(meta.get("deletionGracePeriodSeconds", DEFAULT_GRACE_SECONDS)), FORCED_GRACE_SECONDS)

    def _check_ending(self) -> None:
        """Begin to end the pod if it is deleted, too old, or if no container will run again."""
        grace = self._requested_grace()
        deadline = self._deadline()
        if grace is not None:
            self._begin_ending(grace)
        elif deadline is not None and time.monotonic() >= deadline:
            self._state = replace(self._state, reason="DeadlineExceeded", message=DEADLINE_MESSAGE)
            self._node.recorder.normal(self._pod, "DeadlineExceeded", DEADLINE_MESSAGE)
            self._begin_ending(self._grace_seconds)
        elif phase_of(self._pod, self.containers, self._state) in TERMINAL:
            self._begin_ending(self._grace_seconds)
        self._wake(deadline)

    def _deadline(self) -> float | None:
        seconds = self._pod["spec"].get("activeDeadlineSeconds")
        return None if seconds is None else self._started_at + seconds

    def _begin_ending(self, grace_seconds: float) -> None:
        self._state = replace(self._state, ending=True)
        self._ending = self._termination(grace_seconds)

    def _termination(self, grace_seconds: float) -> Termination:
        named = {role: [c.name for c in self.containers if c.role is role] for role in Role}
        return Termination(time.monotonic(), grace_seconds, named[Role.MAIN], named[Role.INIT], named[Role.SIDECAR])

    def _end(self, ending: Termination) -> None:
        """One step towards the end; when everything is dead, publish that and let the object go."""
        if self._still_alive(ending):
            return
        self._state = replace(self._state, over=True, sandbox_ready=False)
        self._publish()
        if mark_lost(self.containers):
            self._state = replace(self._state, given_up=True)
            self._publish()
        self.finished = True
        if "deletionTimestamp" in self._pod["metadata"]:
            self.delete_object()

    def delete_object(self) -> None:
        """All is over: the object may go."""
        if not self._node.connected.is_set():
            return
        meta = self._pod["metadata"]
        try:
            self._node.store.delete("pods", meta["namespace"], meta["name"], grace_seconds=0, uid=self._uid)
        except ApiError:  # somebody was faster
            return

    def _finish_sidecars(self, finishing: Termination) -> bool:
        """Main is done: end the sidecars. The status waits until they are dead, as in the real kubelet."""
        if self._requested_grace() is not None and self._ending is None:
            self._finishing = None
            return True
        if self._still_alive(finishing):
            return False
        self._finishing = None
        self._state = replace(self._state, sandbox_ready=False)
        return True

    def _still_alive(self, termination: Termination) -> bool:
        now = time.monotonic()
        grace = self._requested_grace()
        if grace is not None and now + grace < termination.started_at + termination.grace_seconds:
            termination.shorten(grace, now)
        running = {c.name: c for c in self.containers if c.is_running}
        step = termination.step(now, running)
        for name in step.terminate:
            self._tell_killing(running[name])
            self._process(running[name]).terminate()
        for name in step.kill:
            self._process(running[name]).kill()
        self._wake(step.again_at)
        return bool(running)

    def _process(self, container: Container) -> Process:
        if container.process is None:
            raise RuntimeError(f"container {container.name} runs without a process")
        return container.process

    def _tell_killing(self, container: Container) -> None:
        self._runner.event("Killing", f"Stopping container {container.name}", container)

    # -- going forward ----------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Start whatever may run now."""
        if not self._has_volumes():
            return
        policy = self._pod["spec"].get("restartPolicy", "Always")
        mains = [c for c in self.containers if c.role is Role.MAIN]
        if all(c.exit_code is not None and not is_restarted(c, policy) for c in mains):
            self._finishing = self._termination(self._grace_seconds)
            self._still_alive(self._finishing)
            return
        if self._advance_early([c for c in self.containers if c.role is not Role.MAIN], policy):
            self._start_all(mains, policy)

    def _advance_early(self, early: Iterable[Container], policy: str) -> bool:
        """Init containers one after the other, sidecars between them; True when main may run."""
        initialized = any(c.has_run for c in self.containers if c.role is Role.MAIN)
        for container in early:
            if container.role is Role.INIT and (initialized or container.exit_code == 0):
                continue
            self._start_all([container], policy)
            if container.role is Role.INIT or not (container.is_running or initialized):
                return False
        return True

    def _start_all(self, containers: Iterable[Container], policy: str) -> None:
        """Start those that should run and don't; publish once."""
        tried = [c for c in containers if not c.is_running and self._is_due(c, policy)]
        for container in tried:
            self._runner.start(container, self._volumes or {})
            self._wake(container.next_try)
        if tried:
            self._publish()
        if any(c.ended and not c.waiting for c in tried):  # could not be started: look again at once
            with self._inbox:
                self._poke()

    def _is_due(self, container: Container, policy: str) -> bool:
        now = time.monotonic()
        if container.ended is None:
            self._wake(container.next_try if container.next_try and container.next_try > now else None)
            return container.next_try is None or container.next_try <= now
        if not is_restarted(container, policy):
            return False
        backoff = self._node.backoff
        if container.backoff_seconds and container.waiting is None and backoff.restart_at(container) > now:
            self._wake(backoff.shown_at(container))
        if container.backoff_seconds and container.waiting is None and backoff.shown_at(container) <= now:
            self._show_backoff(container)
        at = backoff.restart_at(container)
        if at > now:
            self._wake(at)
        return at <= now

    def _show_backoff(self, container: Container) -> None:
        message = self._node.backoff.message(container, self._pod)
        container.waiting = ("CrashLoopBackOff", message)
        self._runner.event("BackOff", message, container, warning=True)
        self._publish()

    def _has_volumes(self) -> bool:
        if self._volumes is not None:
            return True
        if self._retry_at > time.monotonic():
            self._wake(self._retry_at)
            return False
        node = self._node
        storage = Storage(self._directory / "volumes", node.state_dir / "claims", node.images, node.token)
        try:
            self._volumes = storage.prepare(self._pod, node.lookup(self._pod))
        except (MountError, OSError) as problem:
            node.recorder.warning(self._pod, "FailedMount", f"MountVolume.SetUp failed: {problem}")
            self._retry_at = time.monotonic() + retry_seconds(self._retries)
            self._retries += 1
            self._wake(self._retry_at)
            return False
        self._state = replace(self._state, sandbox_ready=True)
        self._publish()
        return True

    def _ended(self, container: Container, process: Process, end: Exit) -> None:
        """Called by the sandbox's thread, perhaps before `start` has returned."""
        with self._inbox:
            self._exits.append((container, process, end, time.monotonic() + self._node.relist_seconds))
            self._inbox.notify_all()
