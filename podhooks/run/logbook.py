"""The logs of a run's containers, and the order of everything that is said about a pod.

A container's end is seen through one connection and its last lines come through another. So the news of an end wait for
the end of the log, and what else happens in that pod waits behind them.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from podhooks.cluster.backend import Backend
from podhooks.cluster.request import Object
from podhooks.errors import ApiError, Forbidden
from podhooks.pod.object import Container
from podhooks.report.news import Entry, Tone, all_containers, name_of, role_of

LAG_SECONDS = 3.0  # how long news wait for a log's next line


class LogKey(NamedTuple):
    """One run of one container."""

    uid: str
    container: str
    restarts: int


class LogLine(NamedTuple):
    key: LogKey
    text: str | None  # None: there will be no more
    trouble: str = ""  # why the log can't be read


class Held(NamedTuple):
    entry: Entry
    behind: LogKey | None  # the log whose end it waits for; None: only for what is before it
    since: float


class LogBook:
    """
    Args:
        deliver: takes lines from the readers' threads to whoever calls `hear`.
        say: shows an entry.
        pods: the pods as last seen, by uid.
        clock: monotonic, in seconds.
    """

    def __init__(
        self,
        backend: Backend,
        deliver: Callable[[LogLine], None],
        say: Callable[[Entry], None],
        pods: Mapping[str, Object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._backend = backend
        self._deliver = deliver
        self._say = say
        self._pods = pods
        self._clock = clock
        self._reading: dict[LogKey, bool] = {}
        self._held: dict[str, deque[Held]] = {}
        self._told: set[str] = set()
        self._heard: dict[LogKey, float] = {}

    @property
    def is_reading(self) -> bool:
        return any(self._reading.values())

    @property
    def is_holding(self) -> bool:
        return any(self._held.values())

    def read(self, pod: Object) -> None:
        """Start to read every run of a container that has begun, if that wasn't done before."""
        uid = pod["metadata"]["uid"]
        for each in all_containers(pod):
            if "running" not in each.state and "terminated" not in each.state:
                continue
            key = LogKey(uid, each.name, each.restarts)
            before = key._replace(restarts=key.restarts - 1)
            if key in self._reading:
                continue
            if key.restarts and before not in self._reading:
                self._start(pod, before, previous=True)
            self._start(pod, key, previous=False)

    def news(self, uid: str, entry: Entry) -> None:
        """Show `entry` about a pod when its turn has come."""
        behind = next((key for key, reading in self._reading.items() if reading and _is_of(key, uid, entry)), None)
        if behind is None and not self._held.get(uid):
            self._say(entry)
        else:
            self._held.setdefault(uid, deque()).append(Held(entry, behind, self._clock()))

    def hear(self, line: LogLine) -> None:
        key, pod = line.key, self._pods[line.key.uid]
        role = role_of(pod, key.container)
        if line.trouble and line.trouble not in self._told:
            self._told.add(line.trouble)
            self._say(Entry(f"its log can't be read: {line.trouble}", name_of(pod), key.container, role, Tone.BAD))
        if line.text is None:
            self._reading[key] = False
            return
        self._heard[key] = self._clock()
        entry = Entry(line.text, name_of(pod), key.container, role, log=True)
        held = self._held.get(key.uid, deque())
        place = next((number for number, each in enumerate(held) if each.behind == key), len(held))
        if place == 0:  # nothing waits, or only what waits for the end of this log
            self._say(entry)
        else:
            held.insert(place, Held(entry, None, self._clock()))

    def release(self, *, everything: bool = False) -> None:
        """Show what need not wait any longer."""
        for held in self._held.values():
            while held and (everything or self._is_due(held[0])):
                self._say(held.popleft().entry)

    def _is_due(self, held: Held) -> bool:
        if held.behind is None or not self._reading.get(held.behind, False):
            return True
        return max(held.since, self._heard.get(held.behind, 0.0)) + LAG_SECONDS <= self._clock()

    def _start(self, pod: Object, key: LogKey, *, previous: bool) -> None:
        self._reading[key] = True
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]

        def read() -> None:
            trouble = ""
            try:
                for line in self._lines(namespace, name, key, previous=previous):
                    self._deliver(LogLine(key, line))
            except Forbidden as error:
                trouble = str(error)
            except ApiError:
                pass  # there is none (any more); the container's state says why
            finally:
                self._deliver(LogLine(key, None, trouble))

        threading.Thread(target=read, name=f"podhooks-log-{key.container}", daemon=True).start()

    def _lines(self, namespace: str, pod: str, key: LogKey, *, previous: bool) -> Iterator[str]:
        return self._backend.logs(
            namespace, pod, key.container, previous=previous, has_ended=lambda: previous or self._has_ended(key)
        )

    def _has_ended(self, key: LogKey) -> bool:
        """Whether that run of the container is known to be over. Called by the readers' threads."""
        found: list[Container] = [each for each in all_containers(self._pods[key.uid]) if each.name == key.container]
        return not found or found[0].restarts > key.restarts or "running" not in found[0].state


def _is_of(key: LogKey, uid: str, entry: Entry) -> bool:
    return bool(entry.container) and (key.uid, key.container) == (uid, entry.container)
