"""How long a callback may try, and how it waits: everything ends before the runner would end it by force."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import TypeVar

from podhooks.annotations.durations import parse_duration
from podhooks.context import RunContext
from podhooks.errors import InputError, PlanError

T = TypeVar("T")
MARGIN_SECONDS = 0.5  # what is kept to say in one line why it didn't work
WITHOUT_DEADLINE_SECONDS = 30.0  # for a context made by hand


class Budget:
    """Time until a moment of time.monotonic()."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds

    @classmethod
    def of(cls, context: RunContext) -> Budget:
        """What `context.deadline` leaves, less a margin."""
        if context.deadline is None:
            return cls(WITHOUT_DEADLINE_SECONDS)
        return cls((context.deadline - datetime.now(timezone.utc)).total_seconds() - MARGIN_SECONDS)

    def left(self) -> float:
        """In seconds, never below zero."""
        return max(0.0, self._ends_at - time.monotonic())

    def pause(self, seconds: float) -> bool:
        """Wait; False, at once, when that would leave no time to do anything afterwards."""
        if seconds >= self.left():
            return False
        time.sleep(seconds)
        return True


def within(seconds: float, function: Callable[[], T]) -> T:
    """What `function` returns or raises; TimeoutError when that takes longer.

    A socket's timeout is for one read: it ends neither a name server's silence nor an answer that comes drop by drop.
    What hangs is left behind in a thread that nobody waits for.
    """
    answers: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put((function(), None))
        except BaseException as error:  # noqa: BLE001  raised again by whoever waits
            answers.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        value, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return value  # type: ignore[return-value]


def timeout_seconds(value: object) -> float:
    """A `timeout` argument: a number of seconds, or text like `10s`. InputError for anything else."""
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1e6:
            return float(value)
        return parse_duration(value if isinstance(value, str) else "")
    except PlanError:
        raise InputError(f"timeout: {value!r} is no duration: write one like 10s") from None
