"""A Dask cluster of real processes, for tests: a scheduler, workers that come, hang and die."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

SECONDS = 45.0


class DaskProcesses:
    """`address` is the scheduler's. Everything ends with stop()."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._serial = 0
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        file = directory / "scheduler.json"
        self.scheduler = self._start(
            "scheduler", "dask_scheduler", "--host=127.0.0.1", "--port=0", f"--scheduler-file={file}", "--no-show"
        )
        self.address = str(json.loads(self._written(file))["address"])

    def add_worker(self, nanny: bool = False) -> str:
        """Its name. It may not be there yet: that is for callbacks to wait for."""
        self._serial += 1
        name = f"worker-{self._serial}"
        options = (
            f"--name={name}",
            "--nanny" if nanny else "--no-nanny",
            "--nthreads=1",
            "--no-dashboard",
            f"--local-directory={self._directory}",
        )
        self.workers[name] = self._start(name, "dask_worker", self.address, *options, "--death-timeout=40")
        return name

    def log(self, name: str) -> str:
        return (self._directory / f"{name}.log").read_text(errors="replace")

    def stop(self) -> None:
        for each in (*self.workers.values(), self.scheduler):
            each.send_signal(signal.SIGKILL)
            each.wait(SECONDS)

    def _start(self, name: str, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        dashboard = ("--dashboard-address=127.0.0.1:0",) if module == "dask_scheduler" else ()
        command = [sys.executable, "-m", f"distributed.cli.{module}", *arguments, *dashboard]
        with (self._directory / f"{name}.log").open("wb") as log:
            return subprocess.Popen(command, cwd=self._directory, stdout=log, stderr=subprocess.STDOUT)

    def _written(self, path: Path) -> str:
        deadline = time.monotonic() + SECONDS
        while not (path.exists() and (text := path.read_text()).endswith("}")):
            assert self.scheduler.poll() is None, self.log("scheduler")
            assert time.monotonic() < deadline, self.log("scheduler")
            time.sleep(0.05)
        return text
