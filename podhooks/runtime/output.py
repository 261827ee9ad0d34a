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
        if self._cutting:
            _, newline, chunk = chunk.partition(b"\n")
            if not newline:
                return b""
            self._cutting = False
        *lines, self._rest = (self._rest + chunk).split(b"\n")
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
        self._poller = select.poll()
        self._poller.register(descriptor, select.POLLOUT)

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
        if not self._poller.poll(0):
            return
        data = memoryview(b"".join(self._backlog))
        position = 0
        while position < len(data) and self._poller.poll(0):
            written = self._write(data[position : position + select.PIPE_BUF], len(data))
            if not written:
                break
            position += written
        self._backlog = [bytes(data[position:])]
        self._size = max(len(data) - position, 0)

    def _write(self, piece: memoryview, everything: int) -> int:
        """How much of the data is done with: nothing on a full stdout, everything where nobody will ever read it."""
        try:
            return os.write(self.descriptor, piece)
        except OSError as error:
            return 0 if error.errno in (errno.EAGAIN, errno.EINTR) else everything  # EPIPE, ENOSPC, EIO, EBADF

    def flush(self, seconds: float) -> None:
        """Write what waits; after `seconds` without progress the rest is given up."""
        while self.waiting:
            if not self._poller.poll(seconds * 1000):
                self._backlog, self._size = [], 0
                return
            self.write()
