"""A callback's output on its way to the container's log: every line marked, whatever comes, and never in the way.

Work is done per chunk, not per byte: a callback that writes 100 MB costs time, not memory, and no deadlock.
"""

from __future__ import annotations

import errno
import os
import select

LINE_LIMIT_BYTES = 16 * 1024  # what container runtimes keep as one line, too
CUT_MARK = b" [podhooks: line cut]"
READ_BYTES = 256 * 1024
BACKLOG_BYTES = 1024 * 1024  # as long as more than this waits for our own stdout, the callback isn't read
FLUSH_SECONDS = 5.0  # how long the end of a callback waits for a full stdout


class LineMarker:
    """Puts `mark` before every line; an unfinished one waits for its rest, a huge one is cut."""

    def __init__(self, mark: bytes) -> None:
        self._mark = mark
        self._rest = b""
        self._cutting = False

    def feed(self, chunk: bytes) -> bytes:
        """The lines that `chunk` completes, marked."""
        lines = chunk.split(b"\n")
        if len(lines) > 1 and self._cutting:
            del lines[0]
            self._cutting = False
        if not self._cutting:
            lines[0] = self._rest + lines[0]
        self._rest = b"" if self._cutting else lines.pop()
        if self._cutting:
            return b""
        if len(self._rest) > LINE_LIMIT_BYTES:
            lines.append(self._rest)
            self._rest, self._cutting = b"", True
        return self._join(lines)

    def finish(self) -> bytes:
        """What was written without a newline, as a line."""
        rest, self._rest, self._cutting = self._rest, b"", False
        return self._join([rest]) if rest else b""

    def _join(self, lines: list[bytes]) -> bytes:
        if not lines:
            return b""
        if len(max(lines, key=len)) > LINE_LIMIT_BYTES:
            lines = [cut(line) for line in lines]
        return self._mark + (b"\n" + self._mark).join(lines) + b"\n"


def cut(line: bytes) -> bytes:
    return line if len(line) <= LINE_LIMIT_BYTES else line[:LINE_LIMIT_BYTES] + CUT_MARK


class Sink:
    """Our own stdout: takes what it can without blocking; once it is closed or its disk is full, nothing more.

    A pipe that select calls writable takes select.PIPE_BUF bytes without blocking, also when its descriptor blocks
    (which is not ours to change: others may hold the same open file).
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._backlog: list[bytes] = []
        self._size = 0

    @property
    def waiting(self) -> bool:
        """Whether something waits to be written."""
        return self._size > 0

    @property
    def full(self) -> bool:
        return self._size > BACKLOG_BYTES

    def put(self, data: bytes) -> None:
        if data:
            self._backlog.append(data)
            self._size += len(data)

    def write(self) -> None:
        """Write as much as goes at once."""
        data = memoryview(b"".join(self._backlog))
        position = 0
        while position < len(data) and self._writable():
            try:
                position += os.write(self.descriptor, data[position : position + select.PIPE_BUF])
            except OSError as error:
                if error.errno in (errno.EAGAIN, errno.EINTR):
                    break
                position = len(data)  # EPIPE, ENOSPC, EIO: the log is lost, the callbacks go on
        self._backlog = [bytes(data[position:])]
        self._size = len(data) - position

    def _writable(self) -> bool:
        poller = select.poll()
        poller.register(self.descriptor, select.POLLOUT)
        return bool(poller.poll(0))

    def flush(self, seconds: float = FLUSH_SECONDS) -> None:
        """Write what waits; after `seconds` without progress the rest is given up."""
        poller = select.poll()
        poller.register(self.descriptor, select.POLLOUT)
        while self.waiting:
            if not poller.poll(seconds * 1000):
                self._backlog, self._size = [], 0
                return
            self.write()
