"""The history of changes, and watches as readers of it.

A watch is only a position in the bounded history, with selectors. Nothing is queued per watch, so a slow or dead reader
costs nothing, and one that falls behind the history gets what it would get from a real server: 410.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from threading import Condition
from typing import Any

from podhooks.kinds.resources import Json, clone
from podhooks.local.problems import expired
from podhooks.local.selectors import Predicate


@dataclass(frozen=True)
class WatchEvent:
    """One line of a watch. `type` is ADDED, MODIFIED, DELETED, BOOKMARK or ERROR (then the object is a Status)."""

    type: str
    object: Json


@dataclass(frozen=True)
class Change:
    """One write. `old` is None for a creation, `new` is None for a removal. Never changed after it is recorded."""

    version: int
    plural: str
    namespace: str
    old: Json | None
    new: Json | None


class History:
    """The last changes, one per resource version without gaps. The caller holds `condition` while using it."""

    def __init__(self, condition: Condition, size: int) -> None:
        self.condition = condition
        self.changes: deque[Change] = deque(maxlen=size)
        self.version = 1
        self.closed = False

    @property
    def oldest(self) -> int:
        """The oldest version that one may still start from."""
        return self.changes[0].version - 1 if self.changes else self.version

    def record(self, plural: str, namespace: str, old: Json | None, new: Json | None) -> None:
        """Keep one change under the current version and wake every watch."""
        self.changes.append(Change(self.version, plural, namespace, old, new))
        self.condition.notify_all()

    def after(self, version: int) -> Iterator[Change]:
        return islice(self.changes, max(version - self.oldest, 0), None)


class Watch:
    """Iterate for events until `close`, or take them one by one with a timeout. Safe to close from another thread."""

    def __init__(self, history: History, plural: str, namespace: str | None, matches: Predicate) -> None:
        self._history = history
        self._plural = plural
        self._namespace = namespace
        self._matches = matches
        self._initial: deque[WatchEvent] = deque()
        self._version = history.version
        self.closed = False

    def start(self, version: int, initial: list[Json]) -> None:
        """Set the position and the objects that are announced first. The store calls this under its lock."""
        self._version = version
        self._initial.extend(WatchEvent("ADDED", obj) for obj in initial)

    @property
    def resource_version(self) -> str:
        """The version up to which everything was delivered; what a bookmark says."""
        return str(self._version)

    @property
    def has_initial(self) -> bool:
        return bool(self._initial)

    def close(self) -> None:
        with self._history.condition:
            self.closed = True
            self._history.condition.notify_all()

    def next(self, timeout: float | None = None) -> WatchEvent | None:
        """The next event; None when `timeout` seconds passed without one, or the watch or the store was closed."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._history.condition:
            while not (self.closed or self._history.closed):
                if event := self._take():
                    return WatchEvent(event.type, clone(event.object))
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return None
                self._history.condition.wait(left)
        self.closed = True
        return None

    def __iter__(self) -> Iterator[WatchEvent]:
        while event := self.next():
            yield event

    def _take(self) -> WatchEvent | None:
        if self._initial:
            return self._initial.popleft()
        if self._version < self._history.oldest:
            self.closed = True
            return WatchEvent("ERROR", expired(self._version, self._history.oldest).to_status())
        for change in self._history.after(self._version):
            self._version = change.version
            if event := self._seen(change):
                return event
        return None

    def _seen(self, change: Change) -> WatchEvent | None:
        """How a change looks through the selectors: what stops matching is DELETED, what starts matching is ADDED."""
        if change.plural != self._plural or self._namespace not in (None, change.namespace):
            return None
        before = change.old is not None and self._matches(change.old)
        after = change.new is not None and self._matches(change.new)
        if after and change.new is not None:
            return WatchEvent("MODIFIED" if before else "ADDED", change.new)
        if before and change.old is not None:
            return WatchEvent("DELETED", _versioned(change.old, change.version))
        return None


def _versioned(obj: Mapping[str, Any], version: int) -> Json:
    """The last state of a removed object carries the version of its removal."""
    return {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(version)}}
