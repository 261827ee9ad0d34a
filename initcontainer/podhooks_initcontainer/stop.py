"""SIGTERM (or what the image has instead) while on_start runs: noted, and told to whoever waits."""

from __future__ import annotations

import os
import signal
import time

from podhooks.runtime import stopping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType


class Stop:
    """The pod is to end. `at` is when the first SIGTERM came (time.monotonic()), None so far."""

    def __init__(self) -> None:
        self.at: float | None = None
        self.fd, self._write_fd = os.pipe()  # readable after any signal
        for descriptor in (self.fd, self._write_fd):
            os.set_blocking(descriptor, False)

    def install(self) -> None:
        signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        stopping.handle(self._note)

    def requested(self) -> bool:
        return self.at is not None

    def _note(self, _signal: int, _frame: FrameType | None) -> None:
        if self.at is None:
            self.at = time.monotonic()
