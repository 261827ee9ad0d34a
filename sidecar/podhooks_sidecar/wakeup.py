"""SIGTERM and the alarm clock: what may end a wait, at any moment, without threads and without polling.

Inside `with wakeup.interruptible(until):` a SIGTERM or the given time raises Interrupted out of whatever blocks: a
connect to an address that never answers, a TLS handshake, a watch. Outside it a SIGTERM is only noted. Python runs
handlers between two bytecodes of the main thread, so nothing is lost between noting and raising.

All of podhooks.runtime.stopping are SIGTERM here.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager

from podhooks.runtime import stopping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

AGAIN_SECONDS = 0.2  # an exception that lands in a destructor is swallowed by the interpreter: the alarm rings again


class Interrupted(Exception):
    """Not an error: look at the world again."""


class Wakeup:
    """Installs itself for SIGTERM and SIGALRM; one per process."""

    def __init__(self) -> None:
        self.term_at: float | None = None  # time.monotonic() of the first SIGTERM
        self.fd, self._write_fd = os.pipe()  # readable after any signal, for those who select() (the runner)
        self._armed = False
        self._pending = False
        for fd in (self.fd, self._write_fd):
            os.set_blocking(fd, False)

    def install(self) -> None:
        stopping.handle(self._on_term)
        signal.signal(signal.SIGALRM, self._on_alarm)
        signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)

    def retire(self) -> None:
        """From now on SIGTERM is nothing: the interpreter takes our handler away at its end, and the default kills."""
        stopping.handle(signal.SIG_IGN)

    @contextmanager
    def interruptible(self, until: float | None = None) -> Iterator[None]:
        """Let SIGTERM, or the monotonic time `until`, raise Interrupted in here.

        A SIGTERM that came since the last wait counts too: it raises at once.
        """
        try:
            self._armed = True
            if self._pending:
                raise Interrupted
            if until is not None:
                signal.setitimer(signal.ITIMER_REAL, max(until - time.monotonic(), 0.001), AGAIN_SECONDS)
            yield
        finally:
            self._armed = self._pending = False
            signal.setitimer(signal.ITIMER_REAL, 0)

    def acknowledge(self) -> None:
        """A SIGTERM that was only noted so far is known now: it ends no later wait."""
        self._pending = False

    def sleep(self, seconds: float | None) -> None:
        """Up to `seconds` (None: for ever), or until the next SIGTERM."""
        until = None if seconds is None else time.monotonic() + seconds
        try:
            with self.interruptible(until):
                while True:
                    signal.pause()
        except Interrupted:
            pass

    def _on_term(self, _signal: int, _frame: FrameType | None) -> None:
        if self.term_at is None:
            self.term_at = time.monotonic()
        if self._armed:
            signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS, AGAIN_SECONDS)
            raise Interrupted
        self._pending = True

    def _on_alarm(self, _signal: int, _frame: FrameType | None) -> None:
        if self._armed:
            raise Interrupted
