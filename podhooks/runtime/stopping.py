"""The signals by which a container runtime tells our containers to end.

They are made of main's image, so its STOPSIGNAL is sent: SIGTERM unless it names another. A container's first process
doesn't even notice a signal that it has no handler for, and is killed when the grace period is over.
"""

from __future__ import annotations

import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

NAMES = ("SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGPWR")
"""nginx and PHP have SIGQUIT, PostgreSQL SIGINT, httpd SIGWINCH, HAProxy SIGUSR1."""
REAL_TIME = range(35, 65)
"""By number: systemd has SIGRTMIN+3, which container runtimes count from 34, and musl's SIGRTMIN is 35. The C library
keeps those before for itself."""


def stop_signals() -> tuple[int, ...]:
    named = (getattr(signal, name) for name in NAMES if hasattr(signal, name))
    return (*named, *(number for number in REAL_TIME if number < signal.NSIG))


def handle(handler: Callable[[int, FrameType | None], None] | int) -> None:
    for number in stop_signals():
        signal.signal(number, handler)
