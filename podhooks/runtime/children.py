"""One piece of work in a child process: forked, its output marked, its time limited, ended and reaped.

Nothing that happens in the child can stop this from returning: it waits for the process and the clock, never for the
end of a pipe, because whatever the child left running may hold that open.
"""

from __future__ import annotations

import os
import select
import signal
import time
from enum import Enum

from podhooks import contract, log
from podhooks.runtime import forked, processes
from podhooks.runtime.descriptors import open_standard_descriptors
from podhooks.runtime.output import FLUSH_SECONDS, READ_BYTES, LineMarker, Sink
from podhooks.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

STDOUT = 1
CGROUP_DIR = "/sys/fs/cgroup"
MAX_GRACE_SECONDS = 5.0  # between SIGTERM and SIGKILL
GRACE_SHARE = 0.1  # of the time that the callback has
LONGEST_WAIT_SECONDS = 1.0  # the deadline may have changed meanwhile
UNKILLABLE_SECONDS = 5.0  # a process in the kernel's hands (a hung network file system) isn't waited for longer
POLL_SECONDS = 0.02  # where the kernel can't tell of a process's end (no pidfd)
REPORT_BYTES = 64 * 1024
FINISHED = b"\0"  # at the end of a report: the work was done before any signal came, whatever ended the process
DRAIN_BYTES = 4 * 1024 * 1024  # more than a pipe can hold: what a process that can't be killed writes on is left


class CutOff(str, Enum):
    """Why a child was ended by us."""

    TIMED_OUT = "timed out"
    STOPPED = "stopped"


class Work(Value):
    """What to do in the child. `run` gets the descriptor for its report and returns the exit code."""

    name: str
    run: Callable[[int], int]
    cgroup_dir: str = CGROUP_DIR


class Ended(Value):
    """How a child ended. `message` is empty when it exited with 0."""

    message: str
    report: bytes = b""
    cut_off: CutOff | None = None
    seconds: float = 0.0

    @property
    def succeeded(self) -> bool:
        return self.cut_off is None and not self.message


def never() -> bool:
    return False


def no_deadline() -> float | None:
    return None


class Watch(Value):
    """How long, and what may end it earlier. Deadlines are time.monotonic() values, asked for again and again."""

    timeout_seconds: float
    deadline: Callable[[], float | None] = no_deadline
    stop_requested: Callable[[], bool] = never
    wake_fd: int = -1


class Limits(Value):
    """When the child gets SIGTERM, and when SIGKILL (time.monotonic() values)."""

    term_at: float
    kill_at: float


def limits(started: float, timeout_seconds: float, deadline: float | None) -> Limits:
    """SIGTERM at the timeout, SIGKILL a short grace later; a deadline holds for both, and the grace comes before it."""
    if deadline is None or started + timeout_seconds <= deadline:
        grace = grace_seconds(timeout_seconds)
        kill_at = started + timeout_seconds + grace
        return Limits(started + timeout_seconds, kill_at if deadline is None else min(kill_at, deadline))
    grace = grace_seconds(max(deadline - started, 0.0))
    return Limits(deadline - grace, deadline)


def grace_seconds(timeout_seconds: float) -> float:
    return min(MAX_GRACE_SECONDS, timeout_seconds * GRACE_SHARE)


def run(work: Work, watch: Watch, *, mark: bytes, sink: Sink | None = None) -> Ended:
    """Do `work` in a child of its own and tell how it ended. Not to be used by two threads at a time."""
    return finish(start(work), watch, mark=mark, sink=sink)


def finish(child: Child | Ended, watch: Watch, *, mark: bytes, sink: Sink | None = None) -> Ended:
    """Wait for what `start` gave."""
    if isinstance(child, Ended):
        return child
    pump = Pump(child, sink or Sink(STDOUT), LineMarker(mark))
    cut_off = wait_for(child, pump, watch)
    ended = child.end(pump)
    deadline = watch.deadline()
    left = FLUSH_SECONDS if deadline is None else max(deadline - time.monotonic(), 0.0)
    pump.sink.flush(min(left, FLUSH_SECONDS))
    if ended.report.endswith(FINISHED):
        return ended.replace(message="", report=ended.report.removesuffix(FINISHED))
    return ended.replace(cut_off=cut_off)


def start(work: Work) -> Child | Ended:
    """The child at work; how it ended, if it could not even begin."""
    try:
        return fork(work)
    except OSError as error:
        return Ended(f"no process could be started for it: {error.strerror}")


class Child:
    """The parent's side of a forked process."""

    def __init__(self, pid: int, output: int, report: int, mark: str) -> None:
        self.pid = pid
        self.output = output
        self.report = report
        self.started = time.monotonic()
        self.pidfd = processes.open_pidfd(pid)
        self._mark = mark

    def end(self, pump: Pump) -> Ended:
        """Kill what it left, read what it said, reap it."""
        seconds = time.monotonic() - self.started
        processes.signal_group(self.pid, signal.SIGKILL)
        processes.end_leftovers(self.pid, self._mark, seconds)
        pump.drain()
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        for descriptor in (self.output, self.report, self.pidfd):
            if descriptor >= 0:
                os.close(descriptor)
        message = processes.describe(status) if pid else "could not even be killed: the kernel holds it"
        return Ended(message, pump.report, seconds=seconds)


def fork(work: Work) -> Child:
    open_standard_descriptors()
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:  # inherited from who started us
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # else the kernel throws exit codes away
    output, output_end = os.pipe()
    try:
        report, report_end = os.pipe()
    except OSError:
        close(output, output_end)
        raise
    mark = f"{os.getpid()}-{time.monotonic_ns()}"
    try:
        pid = os.fork()
    except OSError:
        close(output, output_end, report, report_end)
        raise
    if pid == 0:
        be_child(work, output_end, report_end, mark)
    close(output_end, report_end)
    os.set_blocking(output, False)
    os.set_blocking(report, False)
    return Child(pid, output, report, mark)


def close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def be_child(work: Work, output: int, report: int, mark: str) -> None:
    """Never returns: the parent's stack must not be unwound here."""
    code = contract.EXIT_CALLBACK_FAILED
    try:
        os.environ[contract.ENV_MARK] = mark
        forked.become(work.name, output, report, work.cgroup_dir)
        code = work.run(report)
    except BaseException as error:  # noqa: BLE001  what our own part of the child did wrong
        log.error("the callback's process failed", cause=repr(error))
    finally:
        os._exit(code)


def wait_for(child: Child, pump: Pump, watch: Watch) -> CutOff | None:
    """Until the child has ended, by itself or by force."""
    cut_off: CutOff | None = None
    stop_at = 0.0
    while not processes.has_exited(child.pid):
        now = time.monotonic()
        due = limits(child.started, watch.timeout_seconds, watch.deadline())
        kill_at = due.kill_at
        if cut_off is CutOff.STOPPED:
            kill_at = min(kill_at, stop_at + grace_seconds(watch.timeout_seconds))
        if cut_off is None and watch.stop_requested():
            cut_off, stop_at = CutOff.STOPPED, now
        elif cut_off is None and now >= due.term_at:
            cut_off = CutOff.TIMED_OUT
        else:
            if now >= kill_at + UNKILLABLE_SECONDS:
                break
            if now >= kill_at:
                processes.signal_group(child.pid, signal.SIGKILL)
            next_at = due.term_at if cut_off is None else kill_at
            pump.wait(watch.wake_fd, min(LONGEST_WAIT_SECONDS, max(next_at - now, POLL_SECONDS)))
            continue
        processes.signal_group(child.pid, signal.SIGTERM)
        processes.signal_group(child.pid, signal.SIGCONT)  # a stopped process doesn't see the other
    return cut_off


class Pump:
    """Moves a child's output to our stdout and its report to memory, for as long as one waits."""

    def __init__(self, child: Child, sink: Sink, marker: LineMarker) -> None:
        self.sink = sink
        self.report = b""
        self._child = child
        self._marker = marker
        self._open = {child.output, child.report}

    def wait(self, wake_fd: int, seconds: float) -> None:
        """Until there is something to do or to decide, at most `seconds`."""
        poller = select.poll()
        for descriptor in (*self._readable(), self._child.pidfd, wake_fd):
            if descriptor >= 0:
                poller.register(descriptor, select.POLLIN)
        if self.sink.waiting:
            poller.register(self.sink.descriptor, select.POLLOUT)
        longest = seconds if self._child.pidfd >= 0 else min(seconds, POLL_SECONDS)
        for descriptor, _ in poller.poll(longest * 1000):
            if descriptor in self._open:
                self._read(descriptor)
            elif descriptor == wake_fd:
                read_some(wake_fd)
        if self.sink.waiting:
            self.sink.write()

    def _readable(self) -> set[int]:
        return self._open - {self._child.output} if self.sink.full else self._open

    def _read(self, descriptor: int) -> int:
        """How much there was; at its end the descriptor is asked no more."""
        data = read_some(descriptor)
        if data is None:
            return 0
        if not data:
            self._open.discard(descriptor)
        elif descriptor == self._child.report:
            self.report = (self.report + data)[:REPORT_BYTES]
        else:
            self.sink.put(self._marker.feed(data))
        return len(data)

    def drain(self) -> None:
        """What is left in the pipes, and the last line without its end."""
        for descriptor in tuple(self._open):
            left = DRAIN_BYTES
            while left > 0 and (size := self._read(descriptor)):
                left -= size
        self.sink.put(self._marker.finish())


def sleep(seconds: float, wake_fd: int) -> None:
    """Wait, unless `wake_fd` says that something happened."""
    poller = select.poll()
    if wake_fd >= 0:
        poller.register(wake_fd, select.POLLIN)
    if poller.poll(seconds * 1000):
        read_some(wake_fd)


def read_some(descriptor: int) -> bytes | None:
    """None when there is nothing to read now, empty when there never will be."""
    try:
        return os.read(descriptor, READ_BYTES)
    except BlockingIOError:
        return None
    except OSError:
        return b""
