"""The process that starts containers: `python -I -S -c 'from podhooks.local.supervisor import main; main()' FD`.

One small single-threaded process per cluster forks a supervisor per container, so that starting a container costs a
fork, not an interpreter. It must not import more than it needs: every supervisor is a copy of it.

    cluster process ── requests ──> launcher ── fork ──> supervisor ── fork, exec ──> container (its PID 1)
            └────────────── control socket per container ──────┘

A supervisor ends the container's whole process tree when its control socket is closed, however the cluster's process
ended; the container dies with its supervisor (PR_SET_PDEATHSIG). The launcher ends after the last supervisor.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any

from podhooks.local import mounts

TERMINATE = b"TERM"
KILL = b"KILL"

NAMESPACES = "namespaces"
PATHS = "paths"

_FDS_PER_REQUEST = 3


def main() -> None:
    """Serve requests on the socket given as the last argument until its other end is closed."""
    requests = socket.socket(fileno=int(sys.argv[1]))
    requests.set_inheritable(False)
    with contextlib.suppress(OSError):
        while serve(requests):
            pass
    _wait_for_children()
    if len(sys.argv) > 2:
        import shutil

        shutil.rmtree(sys.argv[2], ignore_errors=True)


def serve(requests: socket.socket) -> bool:
    """Start one container from one request; False when there will be no more."""
    data, fds, _, _ = socket.recv_fds(requests, 64, _FDS_PER_REQUEST, socket.MSG_CMSG_CLOEXEC)
    if not data:
        return False
    if os.fork() == 0:
        status = 1
        try:
            requests.close()
            _supervise(*fds)
            status = 0
        except BaseException:  # noqa: BLE001 (the edge of a process: say it and end)
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(status)
    for fd in fds:
        os.close(fd)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    return True


def _wait_for_children() -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


def _supervise(request_fd: int, control_fd: int, output_fd: int) -> None:
    control = socket.socket(fileno=control_fd)
    with os.fdopen(request_fd, "r", encoding="utf-8") as file:
        request = json.load(file)
    wakeup = _wake_on_child_exit()
    mounts.prctl(mounts.PR_SET_CHILD_SUBREAPER, 1)
    try:
        if request["mode"] == NAMESPACES:
            mounts.enter_pid_namespace()
        pid, error = _start(request, output_fd)
    except OSError as problem:
        pid, error = 0, {"step": "sandbox", "message": str(problem)}
    os.close(output_fd)
    if error:
        _reap(0)
        _send(control, {"failed": error})
        return
    _send(control, {"started": pid, "at": time.time()})
    status = _wait(pid, control, wakeup, request["stopSignal"])
    finished = time.time()
    _end_tree()
    _send(control, {"exited": os.waitstatus_to_exitcode(status), "at": finished})


def _send(control: socket.socket, message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more
        control.send(json.dumps(message).encode())


def _wake_on_child_exit() -> int:
    """The read end of a pipe that becomes readable when a child ends."""
    read_end, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return read_end


def _wait(pid: int, control: socket.socket, wakeup: int, stop_signal: int) -> int:
    """The wait status of the container's first process; obeys the control socket meanwhile."""
    poller = select.poll()
    poller.register(control, select.POLLIN)
    poller.register(wakeup, select.POLLIN)
    while (status := _reap(pid)) is None:
        ready = {fd for fd, _ in poller.poll()}
        if wakeup in ready:
            os.read(wakeup, 4096)
        if control.fileno() in ready:
            _obey(_receive(control), pid, stop_signal)
            if not _is_open(control):
                poller.unregister(control)
    return status


_closed: set[int] = set()


def _is_open(control: socket.socket) -> bool:
    return control.fileno() not in _closed


def _receive(control: socket.socket) -> bytes:
    try:
        order = control.recv(16)
    except OSError:
        order = b""
    if not order:
        _closed.add(control.fileno())
    return order


def _obey(order: bytes, pid: int, stop_signal: int) -> None:
    """The stop signal goes to the first process alone, as a container runtime does it; killing means everything."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, stop_signal if order == TERMINATE else signal.SIGKILL)


def _reap(pid: int) -> int | None:
    """Collect ended children; the status of `pid` if it is among them."""
    found = None
    with contextlib.suppress(ChildProcessError):
        while True:
            ended, status = os.waitpid(-1, os.WNOHANG)
            if not ended:
                break
            if ended == pid:
                found = status
    return found


def _end_tree() -> None:
    """Kill what the container left behind, generation by generation: orphans become ours, for we are their subreaper.

    Only our own children are killed: until we collect them, nobody else can get their process ids.
    """
    while True:
        for child in _children():
            os.kill(child, signal.SIGKILL)
        try:
            os.wait()
        except ChildProcessError:
            return


def _children() -> list[int]:
    """Process ids of our children, by /proc."""
    found, parent = [], str(os.getpid()).encode()
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                if file.read().rpartition(b")")[2].split()[1] == parent:
                    found.append(int(name))
    return found


def _start(request: dict[str, Any], output_fd: int) -> tuple[int, dict[str, str] | None]:
    """Fork the container's first process; its pid, and why it could not start."""
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    supervisor = os.getpid()
    pid = os.fork()
    if pid == 0:
        step = ["sandbox"]
        try:
            _become(request, output_fd, supervisor, step)
        except BaseException as problem:  # noqa: BLE001 (whatever it is, the supervisor must hear of it)
            text = json.dumps({"step": step[0], "message": _explain(problem, request)})
            os.write(write_end, text.encode()[:4000])
        finally:
            os._exit(127)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as file:
        report = file.read()
    return pid, json.loads(report) if report else None


def _explain(problem: BaseException, request: dict[str, Any]) -> str:
    if isinstance(problem, OSError) and problem.errno in (errno.ENOENT, errno.EACCES) and not problem.filename:
        name = request["command"][0]
        where = "executable file not found in $PATH" if "/" not in name else f"{name}: {os.strerror(problem.errno)}"
        return f'exec: "{name}": {where}'
    return str(problem)


def _become(request: dict[str, Any], output_fd: int, supervisor: int, step: list[str]) -> None:
    """Turn this process into the container: streams, view of the file system, signals, exec."""
    mounts.prctl(mounts.PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.set_wakeup_fd(-1)
    os.setsid()
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (output_fd, 1), (output_fd, 2)):
        os.dup2(source, target)
    if request["mode"] == NAMESPACES:
        _enter_view(request)
    elif os.getppid() != supervisor:
        os._exit(127)
    os.umask(0o022)
    step[0] = "start"
    if request["mode"] != NAMESPACES:
        os.makedirs(request["directory"], exist_ok=True)  # as a container runtime does
    os.chdir(request["directory"])
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    _execute(request["command"], request["env"])


def _enter_view(request: dict[str, Any]) -> None:
    view = mounts.View(request["root"])
    for mount in request["mounts"]:
        view.add(mount["source"], mount["path"], read_only=mount["readOnly"])
    view.ensure_directory(request["directory"])
    view.enter()


def _execute(command: list[str], env: dict[str, str]) -> None:
    """exec by the container's own PATH. OSError without a file name: there is no such program."""
    name = command[0]
    candidates = [name] if "/" in name else [f"{d}/{name}" for d in env.get("PATH", os.defpath).split(":") if d]
    number = errno.ENOENT
    for path in candidates:
        try:
            os.execve(path, command, env)  # noqa: S606
        except OSError as problem:  # noqa: PERF203
            if problem.errno not in (errno.ENOENT, errno.ENOTDIR):
                number = problem.errno or number
    raise OSError(number, os.strerror(number))
