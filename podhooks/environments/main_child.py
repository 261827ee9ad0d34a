"""Main in a process of its own, a child of the watcher: its output, its end, and what it leaves in words."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from podhooks import contract
from podhooks.runtime import processes
from podhooks.runtime.child import leave

GRACE_SECONDS = float(contract.DEFAULT_GRACE_SECONDS)  # what main has to end in when it is told to
TICK_SECONDS = 0.05
LAST_WORDS = "main-message"  # in the work directory: why main failed, in one line


class MainChild:
    """Main in a process of its own. What it writes goes on to our output, and is kept for its log's tail."""

    def __init__(self, main: Callable[[], int], log: str, connection: socket.socket) -> None:
        self._connection = connection
        self._output, output_end = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            _be_main(main, connection, output_end)
        os.close(output_end)
        os.set_blocking(self._output, False)
        self._log = open(log, "ab", buffering=0)  # noqa: SIM115  closed in wait()
        self._kill_at = float("inf")

    def wait(self) -> int:
        """Its status as waitpid has it. When the other side wants it to end, or is gone, it has the grace period."""
        while not processes.has_exited(self._pid):
            told = self._kill_at < float("inf")
            waiting: list[Any] = [self._output] if told else [self._output, self._connection]
            ready = select.select(waiting, [], [], TICK_SECONDS)[0]
            if self._output in ready and not self._copy():
                time.sleep(TICK_SECONDS)  # it has closed its output, that's not its end
            if self._connection in ready:
                self._kill_at = time.monotonic() + GRACE_SECONDS
                os.kill(self._pid, signal.SIGTERM)
            if time.monotonic() >= self._kill_at:
                os.kill(self._pid, signal.SIGKILL)
        while self._copy():
            pass
        self._log.close()
        os.close(self._output)
        return os.waitpid(self._pid, 0)[1]

    def _copy(self) -> bool:
        """Whether there was something."""
        try:
            data = os.read(self._output, 65536)
        except BlockingIOError:
            return False
        self._log.write(data)
        with contextlib.suppress(OSError):
            os.write(1, data)
        return bool(data)


def _be_main(main: Callable[[], int], connection: socket.socket, output: int) -> None:
    """Never returns."""
    code = contract.EXIT_CALLBACK_FAILED
    try:
        connection.close()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        sys.stdout = sys.__stdout__ = open(1, "w", buffering=1, closefd=False)  # type: ignore[misc]  # noqa: SIM115
        sys.stderr = sys.__stderr__ = open(2, "w", buffering=1, closefd=False)  # type: ignore[misc]  # noqa: SIM115
        code = main()
        leave()
    finally:
        os._exit(code)


def leave_last_words(work_dir: str, message: str) -> None:
    with open(os.path.join(work_dir, LAST_WORDS), "w", encoding="utf-8") as file:
        file.write(message)


def last_words(work_dir: str) -> str:
    try:
        with open(os.path.join(work_dir, LAST_WORDS), encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def log_tail(path: str, lines: int) -> str:
    if not path:
        return "[podhooks: main ran in the process itself, its output went where all output goes]"
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return "".join(file.readlines()[-lines:])
    except OSError as error:
        return f"[podhooks: main's log can't be read: {error.strerror}]"
