"""File descriptors that a process may not have."""

from __future__ import annotations

import os


def open_standard_descriptors() -> None:
    """Open 0, 1 and 2 where they are closed: a pipe or socket would get their numbers, and output would land in it."""
    while (lowest := os.open(os.devnull, os.O_RDWR)) < 3:
        pass  # the lowest free number is what `open` gives: it stays open as one of the three
    os.close(lowest)
