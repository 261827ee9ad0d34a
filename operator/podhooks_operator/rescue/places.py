"""How many rescue Jobs run at once: a node that is lost is hundreds of rescues."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock


class Places:
    """Who may have a Job at the moment. For several threads."""

    def __init__(self, most: int, freed: Callable[[], None] = lambda: None) -> None:
        self._lock = Lock()
        self._most = most
        self._taken: set[str] = set()
        self._freed = freed

    def take(self, name: str) -> bool:
        with self._lock:
            if name in self._taken or len(self._taken) < self._most:
                self._taken.add(name)
                return True
            return False

    def keep(self, name: str) -> None:
        """For a Job that runs already, whoever began it."""
        with self._lock:
            self._taken.add(name)

    def leave(self, name: str) -> None:
        with self._lock:
            left = name in self._taken
            self._taken.discard(name)
        if left:
            self._freed()

    def __len__(self) -> int:
        return len(self._taken)
