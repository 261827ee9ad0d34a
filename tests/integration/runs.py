"""`podhooks run` as a process of its own: started, watched line by line, sent signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from tests.integration.cli import PODHOOKS

PATIENCE_SECONDS = 45.0
POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: etl
  annotations:
    podhooks.io/on-start: "hooks:prepare"
    podhooks.io/on-exit: "hooks:tell"
    podhooks.io/on-exit-retries: "0"
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 5
  containers:
    - name: work
      image: python:3.12-slim
      command: [python3, -uc]
      args: [SCRIPT]
"""
HOOKS = """\
import time

def prepare(context):
    print("preparing in", context.shared_dir.name)

def tell(context):
    print("told:", context.exit.result.value, context.exit.exit_code)

def slow(context):
    time.sleep(300)

def broken(context):
    raise ValueError("no such channel")
"""
WAITING = """\
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
print("working")
time.sleep(300)
"""


def job(manifest: str, **spec: int) -> str:
    """The pod of `manifest` as a Job's template."""
    lines = manifest.replace("  name: etl\n", "").split("\n", 2)[2].splitlines()
    template = "\n".join(f"    {line}" for line in lines)
    fields = "".join(f"  {name}: {value}\n" for name, value in {"backoffLimit": 0, **spec}.items())
    return f"apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: etl\nspec:\n{fields}  template:\n{template}\n"


def manifest(script: str = "print('working')", **replacements: str) -> str:
    """`POD` with main's script; keywords replace callbacks: `tell="broken"`."""
    text = POD.replace("SCRIPT", json.dumps(script))
    for old, new in replacements.items():
        text = text.replace(f"hooks:{old}", f"hooks:{new}")
    return text


class Run:
    """A running `podhooks run`; `lines` grows as it writes."""

    def __init__(self, *arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [PODHOOKS, "run", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            cwd=cwd,
            env={**os.environ, **(env or {})},
        )
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._readers = [self._read(self.process.stdout, self.lines), self._read(self.process.stderr, self.errors)]

    def _read(self, stream: IO[str] | None, lines: list[str]) -> threading.Thread:
        assert stream is not None

        def read() -> None:
            for line in stream:
                lines.append(line.rstrip("\n"))  # noqa: PERF401  others read the list while it grows

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        return thread

    def until(self, text: str) -> Run:
        """Wait for a line with `text` in it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not any(text in line for line in self.lines):
            assert time.monotonic() < deadline, f"no {text!r} in\n{self.output}"
            assert self.process.poll() is None or any(text in line for line in self.lines), self.output
            time.sleep(0.02)
        return self

    def send(self, number: signal.Signals) -> Run:
        self.process.send_signal(number)
        return self

    def end(self) -> int:
        """Wait for the exit code; everything that was written is in `lines` then."""
        try:
            code = self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired as problem:
            self.process.kill()
            raise AssertionError(f"it didn't end\n{self.output}") from problem
        for reader in self._readers:
            reader.join(PATIENCE_SECONDS)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        return code

    @property
    def output(self) -> str:
        return "\n".join([*self.lines, *(f"stderr: {line}" for line in self.errors)])


def in_order(lines: Sequence[str], *texts: str) -> bool:
    """Whether every text is in a line, each in a later one than the one before it."""
    rest = iter(lines)
    return all(any(text in line for line in rest) for text in texts)


def directory(path: Path, text: str, name: str = "run.yaml") -> Path:
    """`path` with the manifest `text` and the module `hooks` in it; the manifest's path."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "hooks.py").write_text(HOOKS)
    (path / name).write_text(text)
    return path / name
