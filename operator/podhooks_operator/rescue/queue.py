"""What is to be done next, and when: keys with due times, each worked on by one thread at a time."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Hashable
from threading import Condition
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class WorkQueue(Generic[Key]):
    """For several threads. A key is in it once, with its earliest due time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = Condition()
        self._heap: list[tuple[float, int, Key]] = []
        self._due: dict[Key, float] = {}
        self._busy: set[Key] = set()
        self._number = 0  # keeps the order of those that are due at the same time
        self._closed = False

    def add(self, key: Key, seconds: float = 0.0) -> None:
        due = self._clock() + seconds
        with self._changed:
            if key in self._due and self._due[key] <= due:
                return
            self._due[key] = due
            self._number += 1
            heapq.heappush(self._heap, (due, self._number, key))
            self._changed.notify()

    def take(self) -> Key | None:
        """The next key that is due, which is this thread's until done(). None: closed."""
        with self._changed:
            while not self._closed:
                key, seconds = self._next()
                if key is not None:
                    self._busy.add(key)
                    return key
                self._changed.wait(seconds)
        return None

    def _next(self) -> tuple[Key | None, float | None]:
        later: list[tuple[float, int, Key]] = []
        try:
            while self._heap:
                due, number, key = self._heap[0]
                if self._due.get(key) != due:  # it has an earlier time by now, or was done
                    heapq.heappop(self._heap)
                    continue
                wait = due - self._clock()
                if wait > 0:
                    return None, wait
                heapq.heappop(self._heap)
                if key in self._busy:
                    later.append((due, number, key))
                    continue
                del self._due[key]
                return key, None
            return None, None
        finally:
            for each in later:
                heapq.heappush(self._heap, each)

    def done(self, key: Key) -> None:
        with self._changed:
            self._busy.discard(key)
            self._changed.notify()

    def clear(self) -> None:
        with self._changed:
            self._heap.clear()
            self._due.clear()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __len__(self) -> int:
        return len(self._due)
