"""The processes that a callback leaves behind: found, ended and reaped, and nobody else's.

A callback's process leads a session and a process group of its own, so most of what it starts is ended with the
group. What made itself independent (setsid, a daemon) is recognised by one of two marks: the name that a forked
process inherits (`comm`), and a variable in the environment that a program inherits. It works the same whether we are
process 1 of the container or not, and where the containers of a pod share their processes.
"""

from __future__ import annotations

import os
import signal
import time

from podhooks import contract, log
from podhooks.value import Value

TURN_SECONDS = 1.0  # in which no machine starts the 32768 processes after which numbers begin anew
LEFTOVER_SECONDS = 2.0  # a killed process is gone in milliseconds, unless the kernel holds it


class Process(Value):
    """A line of /proc/<pid>/stat, as far as we need it. `started` is in clock ticks since boot."""

    pid: int
    comm: str
    state: str
    parent: int
    group: int
    session: int
    started: int


def read_process(pid: int) -> Process | None:
    """None when there is no such process (any more)."""
    line = read_file(f"/proc/{pid}/stat").decode("utf-8", "replace")
    comm, _, rest = line.partition("(")[2].rpartition(")")
    fields = rest.split()
    if len(fields) < 20:
        return None
    return Process(pid, comm, fields[0], int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]))


def read_file(path: str) -> bytes:
    """Empty where it can't be read. Not `open`, which takes three times as long: this is done for every process."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        parts = []
        while part := os.read(file, 65536):
            parts.append(part)
        return b"".join(parts)
    except OSError:
        return b""
    finally:
        os.close(file)


def name_for(pid: int) -> str:
    """The name that a callback's process takes, and that everything it forks keeps; Linux allows 15 bytes."""
    return f"podhook:{pid}"[:15]


def take_name() -> None:
    try:
        with open("/proc/self/comm", "wb", buffering=0) as file:
            file.write(name_for(os.getpid()).encode())
    except OSError:
        pass  # only what it forks and moves to a session of its own may then go unnoticed


def has_exited(pid: int) -> bool:
    """Whether our child `pid` has ended; it stays unreaped, so that its number can't become somebody else's."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def open_pidfd(pid: int) -> int:
    """A descriptor that becomes readable when `pid` ends; -1 where the kernel has none (before Linux 5.3)."""
    try:
        return os.pidfd_open(pid)
    except (OSError, AttributeError):
        return -1


def signal_group(leader: int, number: signal.Signals) -> None:
    """To the group that our unreaped child `leader` leads, or to the child alone while it is still on its way there."""
    try:
        os.killpg(leader, number)
    except ProcessLookupError:
        os.kill(leader, number)
    except PermissionError:
        pass  # the group holds only processes of other users


def end_leftovers(leader: int, mark: str, seconds: float) -> None:
    """Kill and reap what the ended, still unreaped child `leader` left running.

    `mark` is what contract.ENV_MARK is in its environment, and in no other's; `seconds` how long the child ran.
    """
    ended = read_process(leader)
    if ended is None:
        return
    give_up_at = time.monotonic() + LEFTOVER_SECONDS
    while left := [process for process in younger_processes(ended, seconds) if end(process, ended, mark)]:
        if time.monotonic() > give_up_at:
            log.warning("processes of a callback can't be ended", pids=[process.pid for process in left])
            return
        time.sleep(0.005)
        seconds += 0.005


def younger_processes(leader: Process, seconds: float) -> list[Process]:
    """All processes we can see that began after `leader`: only these can be its descendants.

    Linux gives out numbers in turn. Before they can have begun anew, only higher ones need a look, which makes a short
    callback cheap on a machine with many processes.
    """
    numbers = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    if seconds < TURN_SECONDS and newest_number() >= leader.pid:
        numbers = [number for number in numbers if number > leader.pid]
    found = [read_process(number) for number in numbers]
    own = (leader.pid, os.getpid())
    return [p for p in found if p is not None and p.started >= leader.started and p.pid not in own]


def newest_number() -> int:
    """The process number that was given out last; 0 where nobody tells."""
    last = read_file("/proc/loadavg").split()[-1:]
    return int(last[0]) if last and last[0].isdigit() else 0


def end(process: Process, leader: Process, mark: str) -> bool:
    """Whether `process` was the callback's and still there; then it has been sent SIGKILL, or was reaped."""
    if process.state == "Z":
        return reap(process, leader)
    if not belongs(process, leader, mark):
        return False
    descriptor = open_pidfd(process.pid)
    try:
        if descriptor >= 0 and read_process(process.pid) == process:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        elif descriptor < 0:
            os.kill(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    return True


def belongs(process: Process, leader: Process, mark: str) -> bool:
    if leader.pid in (process.group, process.session) or process.comm == name_for(leader.pid):
        return True
    variable = os.fsencode(f"{contract.ENV_MARK}={mark}")
    return variable in read_file(f"/proc/{process.pid}/environ").split(b"\0")


def reap(process: Process, leader: Process) -> bool:
    """An orphan that came to us: as process 1 we get all of them, else only those that are our own children."""
    ours = process.parent == os.getpid()
    if not ours or (os.getpid() != 1 and leader.pid not in (process.group, process.session)):
        return False
    try:
        return os.waitpid(process.pid, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


def describe(status: int) -> str:
    """A wait status in words; empty for success."""
    code = os.waitstatus_to_exitcode(status)
    if code == 0:
        return ""
    if code > 0:
        return f"exited with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"killed by {name}" + (" (out of memory?)" if -code == signal.SIGKILL else "")
