"""Container logs: written in the format of a container runtime, read as `kubectl logs` asks for them.

A line of the file is `2026-11-23T00:16:28.123456789Z stdout F text`; P instead of F: the line goes on.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from threading import Condition

PARTIAL_BYTES = 16 * 1024  # a line longer than this is written in parts, as container runtimes do
_STAMP_BYTES = 30  # RFC 3339 with nanoseconds and Z
_TEXT_AT = _STAMP_BYTES + len(" stdout F ")

FALLBACK_BYTES = 2048
FALLBACK_LINES = 80


def stamp(seconds: float) -> bytes:
    """RFC 3339 in UTC with nine digits, which sorts as text."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1e9):09d}Z".encode()


class LogFile:
    """The log of one run of one container. One thread writes; any number read and follow."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("ab", buffering=0)
        self._rest = b""
        self._changed = Condition()
        self._closed = False
        self._size = 0

    def write(self, data: bytes) -> None:
        """Output as it came from the pipe; complete lines go to the file at once."""
        head = stamp(time.time()) + b" stdout "
        *lines, rest = (self._rest + data).split(b"\n")
        out = [head + b"F " + line + b"\n" for line in lines]
        while len(rest) >= PARTIAL_BYTES:
            out.append(head + b"P " + rest[:PARTIAL_BYTES] + b"\n")
            rest = rest[PARTIAL_BYTES:]
        self._rest = rest
        self._append(b"".join(out))

    def close(self) -> None:
        """No more output. Followers end after the last line."""
        if self._closed:
            return
        if self._rest:
            self._append(stamp(time.time()) + b" stdout P " + self._rest + b"\n")
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._file.close()

    def _append(self, data: bytes) -> None:
        if data:
            self._file.write(data)
            with self._changed:
                self._size += len(data)
                self._changed.notify_all()

    def lines(self, *, follow: bool = False) -> Iterator[bytes]:
        """Every line of the file; with `follow`, also those still to come, until the container has ended."""
        with self.path.open("rb") as file:
            while True:
                with self._changed:
                    closed, size = self._closed, self._size
                yield from _whole_lines(file.read(size - file.tell()))
                if closed or not follow:
                    return
                with self._changed:
                    self._changed.wait_for(lambda known=size: self._closed or self._size > known)  # type: ignore[misc]

    def tail_text(self) -> str:
        """The end of the output, for terminationMessagePolicy FallbackToLogsOnError."""
        last = deque(self.lines(), maxlen=FALLBACK_LINES)
        text = b"".join(_text(line) for line in last)
        return text[-FALLBACK_BYTES:].decode(errors="replace")


def _whole_lines(data: bytes) -> list[bytes]:
    return data.splitlines(keepends=True) if b"\r" not in data else [line + b"\n" for line in data.split(b"\n")[:-1]]


def _text(line: bytes) -> bytes:
    """The output that a line of the file stands for."""
    return line[_TEXT_AT:] if line[_TEXT_AT - 2 : _TEXT_AT - 1] == b"F" else line[_TEXT_AT:-1]


def select(
    log: LogFile,
    *,
    follow: bool = False,
    tail_lines: int | None = None,
    since_seconds: float | None = None,
    timestamps: bool = False,
    limit_bytes: int | None = None,
) -> Iterator[bytes]:
    """What `kubectl logs` prints with these options."""
    oldest = stamp(time.time() - since_seconds) if since_seconds is not None else b""
    sent = 0
    for line in _from_tail(log, follow, tail_lines):
        if line[:_STAMP_BYTES] < oldest:
            continue
        text = (line[:_STAMP_BYTES] + b" " if timestamps else b"") + _text(line)
        if limit_bytes is not None and sent + len(text) > limit_bytes:
            yield text[: limit_bytes - sent]
            return
        sent += len(text)
        yield text


def _from_tail(log: LogFile, follow: bool, tail_lines: int | None) -> Iterator[bytes]:
    if tail_lines is None:
        yield from log.lines(follow=follow)
        return
    existing = list(log.lines())
    yield from existing[max(len(existing) - tail_lines, 0) :]
    if follow:
        for number, line in enumerate(log.lines(follow=True)):
            if number >= len(existing):
                yield line
