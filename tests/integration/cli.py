"""Runs the installed `podhooks` command as users do."""

import os
import subprocess
import sys
from pathlib import Path

PODHOOKS = str(Path(sys.executable).parent / "podhooks")
ANNOTATED = """\
apiVersion: batch/v1
kind: Job
metadata:
  name: etl  # the name
spec:
  template:
    metadata:
      annotations:
        podhooks.io/on-start: prepare:database
        podhooks.io/on-exit: notify:slack, cleanup:scratch
    spec:
      restartPolicy: Never
      containers:
        - name: main
          image: etl:1
"""
BROKEN = ANNOTATED.replace("podhooks.io/on-exit", "podhooks.io/on-exot")
WARNED = ANNOTATED.replace("restartPolicy: Never", "restartPolicy: Always")
SERVICE = "apiVersion: v1\nkind:   Service\nmetadata: {name: s}\n"


def podhooks(
    *arguments: str, stdin: str | bytes = b"", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    data = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(
        [PODHOOKS, *arguments], input=data, capture_output=True, timeout=50, env={**os.environ, **(env or {})}
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a call that was refused with exit code 2 and without output."""
    assert (done.returncode, done.stdout) == (2, ""), done
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr.rstrip("\n")
