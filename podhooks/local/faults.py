"""Faults on order: what a network and an overloaded control plane do to a client, one request at a time.

Tests of clients put a `Fault` into `ApiServer.faults`; the next requests that it matches suffer it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import Enum


class Action(Enum):
    """What happens to a matching request."""

    ANSWER = "answer"
    """Answer with `status` instead of doing anything."""
    HANG = "hang"
    """Read the request and never answer, as a half-open connection does."""
    SILENT = "silent"
    """Watches: answer 200 and then send nothing, not even the end that timeoutSeconds asks for."""
    CUT = "cut"
    """Send half of the answer (of a watch: half of its first line), then drop the connection."""
    END = "end"
    """Watches: end properly, before the first event."""


_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


@dataclass(frozen=True)
class Fault:
    """One order. `path` is a prefix, `watch` restricts it to (or excludes) watches, `times` counts requests down."""

    path: str = "/"
    action: Action = Action.ANSWER
    status: int = 500
    times: int = 1
    method: str = ""
    watch: bool | None = None
    retry_after_seconds: int | None = None
    message: str = "ordered by the test"

    @property
    def reason(self) -> str:
        return _REASONS.get(self.status, "InternalError")

    def matches(self, method: str, path: str, watch: bool) -> bool:
        wanted = self.method in ("", method) and self.watch in (None, watch)
        return wanted and path.startswith(self.path)


class Faults:
    """The open orders, first come first served. `released` ends every hanging request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders: list[tuple[Fault, int]] = []
        self.released = threading.Event()

    def add(self, *faults: Fault) -> None:
        with self._lock:
            self.released.clear()
            self._orders.extend((fault, fault.times) for fault in faults)

    def clear(self) -> None:
        """Forget all orders and let hanging requests go (their connections are closed)."""
        with self._lock:
            self._orders.clear()
            self.released.set()

    def take(self, method: str, path: str, *, watch: bool) -> Fault | None:
        """The fault that this request suffers, counted down."""
        with self._lock:
            for index, (fault, left) in enumerate(self._orders):
                if fault.matches(method, path, watch):
                    self._orders[index : index + 1] = [(fault, left - 1)] if left > 1 else []
                    return fault
        return None

    def __len__(self) -> int:
        with self._lock:
            return len(self._orders)
