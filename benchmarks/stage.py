"""Where the measurements play: a clean interpreter, the runtime as it is delivered, and processes that are timed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from podhooks.runtime.install import install

CALLBACKS = """
import os, sys, time

def nothing():
    pass

def stamp(number=0):
    now = time.monotonic_ns()
    with open(os.environ["STAMPS"], "a") as file:
        file.write(f"{now}\\n")

def shout():
    block = (b"x" * 99 + b"\\n") * 640
    for _ in range(int(os.environ["SHOUT_BYTES"]) // len(block)):
        os.write(1, block)

if __name__ == "__main__":
    shout()
"""


@dataclass(frozen=True)
class Stage:
    """`quick` measures as little as is needed to see that it works, `full` waits as long as it takes."""

    directory: Path
    python: str
    repetitions: int = 15
    quick: bool = False
    full: bool = False

    @property
    def runtime(self) -> Path:
        return self.directory / "runtime"

    @property
    def bare_runtime(self) -> Path:
        """The same without byte code: what a Python of another version than the one that delivered it finds."""
        return self.directory / "runtime-of-another-python"

    @property
    def callbacks(self) -> Path:
        """The directory that is the container's working directory; main's module `calls` lies in it."""
        return self.directory / "app"

    @property
    def environ(self) -> dict[str, str]:
        """What every image sets, and nothing of ours."""
        return {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/", "LANG": "C.UTF-8"}

    def command(self, program: str, *, byte_code: bool = True) -> list[str]:
        """As the injector writes it."""
        runtime = self.runtime if byte_code else self.bare_runtime
        return [self.python, "-S", str(runtime / program)]

    def bare_start(self) -> float:
        """Milliseconds of one interpreter start, the unit of the promises about time."""
        return 1000 * timed([self.python, "-c", "pass"], self.environ).seconds


@contextmanager
def prepared(python: str = "", *, repetitions: int = 15, quick: bool = False, full: bool = False) -> Iterator[Stage]:
    """A stage in a temporary directory. `python` is taken as it is; without it, this Python in a clean environment."""
    with tempfile.TemporaryDirectory(prefix="podhooks-benchmark-") as name:
        directory = Path(name)
        stage = Stage(directory, python or clean_interpreter(directory / "python"), repetitions, quick, full)
        install(stage.runtime)
        install(stage.bare_runtime)
        for cache in [*stage.runtime.rglob("__pycache__"), *stage.bare_runtime.rglob("__pycache__")]:
            shutil.rmtree(cache)
        stage.callbacks.mkdir()
        (stage.callbacks / "calls.py").write_text(CALLBACKS)
        compiled = [str(stage.runtime), str(stage.callbacks)]
        subprocess.run([stage.python, "-m", "compileall", "-q", *compiled], check=True, env=stage.environ)
        yield stage


def clean_interpreter(directory: Path) -> str:
    """An empty virtual environment: what `.pth` files of this machine's Python do would slow down the floor, and with
    it make every promise easier to keep."""
    subprocess.run([base_interpreter(), "-m", "venv", "--without-pip", str(directory)], check=True)
    return str(directory / "bin" / "python3")


def base_interpreter() -> str:
    """The program itself, not a script that looks for it."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


@dataclass(frozen=True)
class Timed:
    """A process that has ended. `cpu_seconds` are its own and those of the children that it waited for."""

    seconds: float
    cpu_seconds: float


def timed(command: list[str], environ: Mapping[str, str], *, cwd: Path | None = None, code: int = 0) -> Timed:
    """Run `command` to its end, output to nowhere."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command, env=environ, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != code:
        raise RuntimeError(f"{command} exited with {process.returncode}, not with {code}")
    return Timed(seconds, usage.ru_utime + usage.ru_stime)


def memory(pid: int) -> dict[str, int]:
    """KiB by /proc/PID/smaps_rollup."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return {name: int(size) for name, size in re.findall(r"^(\w+): +(\d+) kB", file.read(), re.MULTILINE)}


def cpu_milliseconds(pid: int) -> float:
    """What the process has used so far, by the scheduler's own count (nanoseconds; clock ticks are too coarse)."""
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0]) / 1e6


def settle(pid: int, quiet_seconds: float = 0.25, patience_seconds: float = 30.0) -> None:
    """Until the process has used no CPU for a while."""
    deadline = time.monotonic() + patience_seconds
    used, since = cpu_milliseconds(pid), time.monotonic()
    while time.monotonic() - since < quiet_seconds:
        if time.monotonic() > deadline:
            raise RuntimeError(f"process {pid} does not come to rest")
        time.sleep(0.02)
        if (now := cpu_milliseconds(pid)) != used:
            used, since = now, time.monotonic()
