"""Containers as local processes: starts them, hears of their ends, keeps their output.

Two ways, decided once by trying: `namespaces` (a PID namespace and a private view of the file system, volumes at their
mount paths) and, where the machine forbids that, `paths` (mount paths in command, arguments and environment are
replaced by the volumes' real directories). It knows processes and files, nothing of pods.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, RLock, Thread
from typing import IO, Any

from podhooks.contract import ENV_SERVICE_ACCOUNT_DIR, ENV_TERMINATION_LOG, SERVICE_ACCOUNT_DIR, TERMINATION_LOG
from podhooks.local.logs import LogFile
from podhooks.local.supervisor import KILL, NAMESPACES, PATHS, TERMINATE

START_SECONDS = 30.0  # a start takes milliseconds; more than this means that the machine is out of order
STOP_SECONDS = 10.0
_READ_BYTES = 256 * 1024
_BOOT = "import sys; sys.path.insert(0, sys.argv.pop(1)); from podhooks.local.supervisor import main; main()"


@dataclass(frozen=True)
class Mount:
    """A file or directory of this machine, and where the container sees it."""

    source: Path
    path: str
    read_only: bool = False


@dataclass(frozen=True)
class Launch:
    """All that one container's process needs."""

    command: tuple[str, ...]
    env: Mapping[str, str]
    directory: str
    mounts: tuple[Mount, ...] = ()
    stop_signal: int = signal.SIGTERM


@dataclass(frozen=True)
class Exit:
    """How a process ended: exit code as a container's (128+n for signal n), signal or 0, seconds since the epoch."""

    code: int
    signal: int
    at: float


class StartError(Exception):
    """The container's program can't be started; the message is a container runtime's."""


class SandboxError(Exception):
    """The container's surroundings can't be made (a mount, the launcher is gone)."""


@dataclass
class Process:
    """A container's process tree. `on_exit` is called once, from the reactor's thread, with the log complete."""

    log: LogFile
    control: socket.socket
    output: int
    on_exit: Callable[[Process, Exit], None]
    pid: int = 0
    started_at: float = 0.0
    ended: Exit | None = None
    answered: Event = field(default_factory=Event)
    failure: dict[str, str] | None = None

    def terminate(self) -> None:
        self._order(TERMINATE)

    def kill(self) -> None:
        self._order(KILL)

    def _order(self, order: bytes) -> None:
        with contextlib.suppress(OSError):  # it has just ended
            self.control.send(order)


class Sandbox:
    """Starts processes through the launcher (`supervisor.py`) and watches them in one thread."""

    def __init__(self, state_dir: Path, *, mode: str | None = None, remove_state: bool = False) -> None:
        self._root = state_dir / "root"
        self._root.mkdir(exist_ok=True)
        self._state_dir = state_dir
        self._lock = RLock()
        self._reactor = _Reactor()
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._launcher = _start_launcher(theirs, state_dir, remove_state)
        self.why_paths = "asked for" if mode == PATHS else ""
        self.mode = mode or self._detect()

    @property
    def line(self) -> str:
        """Which way is used, for people."""
        if self.mode == NAMESPACES:
            return "containers run in their own PID and mount namespaces on this machine's file system"
        return f"containers run as plain processes, mount paths are rewritten ({self.why_paths})"

    def start(self, launch: Launch, log: LogFile, on_exit: Callable[[Process, Exit], None]) -> Process:
        """Start a process and wait until it runs. StartError: no such program; SandboxError: anything else."""
        launch = launch if self.mode == NAMESPACES else rewrite(launch)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        read_end, write_end = os.pipe2(os.O_CLOEXEC)
        process = Process(log, ours, read_end, on_exit)
        with theirs, self._request(launch) as request:
            try:
                with self._lock:
                    socket.send_fds(self._requests, [b"start"], [request.fileno(), theirs.fileno(), write_end])
            except OSError as problem:
                os.close(read_end)
                ours.close()
                log.close()
                raise SandboxError("the process that starts containers has ended") from problem
            finally:
                os.close(write_end)
        self._reactor.add(process)
        return _answered(process)

    def stop(self) -> None:
        """Kill every process and wait until all are gone."""
        with self._lock:
            self._requests.close()
        self._reactor.stop()
        try:
            self._launcher.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._launcher.kill()
            self._launcher.wait()

    def _request(self, launch: Launch) -> IO[bytes]:
        """The request as an unnamed file: its environment may hold secrets and be larger than a message."""
        mounts = [{"source": str(m.source), "path": m.path, "readOnly": m.read_only} for m in by_depth(launch.mounts)]
        request: dict[str, Any] = {
            "mode": self.mode,
            "root": str(self._root),
            "command": launch.command,
            "env": dict(launch.env),
            "directory": launch.directory,
            "mounts": mounts,
            "stopSignal": launch.stop_signal,
        }
        file = tempfile.TemporaryFile(dir=self._state_dir)  # noqa: SIM115 (the caller closes it)
        file.write(json.dumps(request).encode())
        file.seek(0)
        return file

    def _detect(self) -> str:
        """Try the better way once, with a mount point that no machine has."""
        self.mode = NAMESPACES
        probe = LogFile(self._state_dir / "probe.log")
        there = Mount(self._state_dir, "/podhooks/probe")
        ended = Event()
        code: list[int] = []

        def done(_: Process, end: Exit) -> None:
            code.append(end.code)
            ended.set()

        script = "test -d /podhooks/probe && test $$ -eq 1"
        try:
            self.start(Launch(("/bin/sh", "-c", script), {"PATH": os.defpath}, "/", (there,)), probe, done)
            ended.wait(START_SECONDS)
            if code == [0]:
                return NAMESPACES
            self.why_paths = "a container's view of the file system can't be made here"
        except (StartError, SandboxError) as problem:
            self.why_paths = f"no namespaces here: {problem}"
        return PATHS


def _start_launcher(requests: socket.socket, state_dir: Path, remove_state: bool) -> subprocess.Popen[bytes]:
    root = str(Path(__file__).resolve().parents[2])
    return subprocess.Popen(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            _BOOT,
            root,
            str(requests.fileno()),
            *([str(state_dir)] if remove_state else []),
        ],
        pass_fds=[requests.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for us; we stop the containers in our own time
        cwd="/",
        env={},
    )


def _answered(process: Process) -> Process:
    if not process.answered.wait(START_SECONDS):
        process.kill()
        raise SandboxError(f"the container did not start within {START_SECONDS:g} s")
    if process.failure is None:
        return process
    raise (StartError if process.failure["step"] == "start" else SandboxError)(process.failure["message"])


class _Reactor:
    """One thread that reads all control sockets and output pipes. It sleeps while nothing happens."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._lock = RLock()
        self._new: list[Process] = []
        self._live: dict[int, Process] = {}
        self._stopping = False
        self._thread = Thread(target=self._run, name="podhooks-processes", daemon=True)
        self._thread.start()

    def add(self, process: Process) -> None:
        with self._lock:
            if self._stopping:
                self._finish(process)
                return
            self._new.append(process)
            self._wake()

    def stop(self) -> None:
        with self._lock:
            self._stopping = True
            self._wake()
        self._thread.join()

    def _wake(self) -> None:
        """Under the lock: after `stop` the pipe is no longer ours."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_write, b".")

    def _run(self) -> None:
        while not self._stopping:
            for key, _ in self._selector.select():
                if key.fd == self._wake_read:
                    os.read(self._wake_read, 4096)
                    self._adopt()
                elif key.fd in self._selector.get_map():
                    self._handle(key.fd, key.data)
        self._adopt()
        for process in list(self._live.values()):
            self._finish(process)
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _adopt(self) -> None:
        with self._lock:
            new, self._new = self._new, []
        for process in new:
            os.set_blocking(process.output, False)
            self._live[process.control.fileno()] = process
            self._selector.register(process.control.fileno(), selectors.EVENT_READ, process)
            self._selector.register(process.output, selectors.EVENT_READ, process)

    def _handle(self, fd: int, process: Process) -> None:
        if fd == process.output:
            self._read_output(process)
        else:
            self._read_control(process)

    def _read_output(self, process: Process) -> bool:
        """Move one piece of output to the log; False at its end, or when there is none now."""
        try:
            data = os.read(process.output, _READ_BYTES)
        except BlockingIOError:
            return False
        if data:
            process.log.write(data)
        elif self._is_watched(process.output):
            self._selector.unregister(process.output)
        return bool(data)

    def _is_watched(self, fd: int) -> bool:
        return fd in (self._selector.get_map() or ())

    def _read_control(self, process: Process) -> None:
        try:
            data = process.control.recv(65536)
        except OSError:
            data = b""
        message = json.loads(data) if data else {}
        if "started" in message:
            process.pid, process.started_at = message["started"], message["at"]
            process.answered.set()
        elif "failed" in message:
            process.failure = message["failed"]
            self._finish(process)
        else:
            code = message.get("exited", -9)  # nothing said: the supervisor was killed, and the container with it
            end = Exit(code if code >= 0 else 128 - code, max(-code, 0), message.get("at", time.time()))
            self._finish(process)
            process.ended = end
            process.on_exit(process, end)

    def _finish(self, process: Process) -> None:
        """All its processes are dead (or we stop), so what they wrote is in the pipe."""
        os.set_blocking(process.output, False)
        while self._read_output(process):
            pass
        for fd in (process.output, process.control.fileno()):
            if self._is_watched(fd):
                self._selector.unregister(fd)
        self._live.pop(process.control.fileno(), None)
        process.log.close()
        os.close(process.output)
        process.control.close()
        if not process.answered.is_set():
            process.failure = process.failure or {"step": "sandbox", "message": "the container ended while it started"}
            process.answered.set()


def by_depth(mounts: tuple[Mount, ...]) -> list[Mount]:
    """Parents before what is mounted inside them."""
    return sorted(mounts, key=lambda m: (m.path.rstrip("/").count("/"), m.path))


def rewrite(launch: Launch) -> Launch:
    """Replace mount paths in command, environment and working directory by the directories that they stand for."""
    replace = _replacer(launch.mounts)
    env = {name: value if name == "PATH" else replace(value) for name, value in launch.env.items()}
    for mount in launch.mounts:
        if mount.path == TERMINATION_LOG:
            env.setdefault(ENV_TERMINATION_LOG, str(mount.source))
        elif mount.path == SERVICE_ACCOUNT_DIR:
            env.setdefault(ENV_SERVICE_ACCOUNT_DIR, str(mount.source))
    command = tuple(replace(word) for word in launch.command)
    return Launch(command, env, replace(launch.directory), launch.mounts, launch.stop_signal)


def _replacer(mounts: tuple[Mount, ...]) -> Callable[[str], str]:
    real = {m.path.rstrip("/"): str(m.source) for m in mounts if m.path.rstrip("/")}
    if not real:
        return lambda text: text
    longest_first = sorted(real, key=len, reverse=True)
    pattern = re.compile(r"(?<![\w./-])(" + "|".join(map(re.escape, longest_first)) + r")(?![\w.-])")
    return lambda text: pattern.sub(lambda match: real[match[1]], text)
