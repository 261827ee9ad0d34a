"""The real on-exit program as a process, beside a real API server whose pod the tests move through its states."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from podhooks import contract
from podhooks.local.apiserver import ApiServer
from podhooks.runtime.record import RecordData, parse_message

PATIENCE_SECONDS = 30.0
ROOT = Path(__file__).parents[2]
CALLBACKS = """
import json, os, sys, time

def note(text):
    with open(os.environ["NOTES"], "a") as file:
        file.write(text + "\\n")

def tell(context):
    end = context.exit
    note(f"tell {end.result.value} {end.exit_code}")

def second(context):
    note("second")

def slow(context):
    note("slow begins")
    time.sleep(float(os.environ.get("SLOW", "60")))
    note("slow ends")

def key(context):
    note(f"key {context.idempotency_key} attempt {context.attempt}")

def tail(context):
    note("tail " + context.exit.log_tail(3).replace("\\n", "|"))

def at(context):
    note(f"at {time.time()}")

def left(context):
    from datetime import datetime, timezone
    note(f"left {round((context.deadline - datetime.now(timezone.utc)).total_seconds())}")
"""


def until(condition: Callable[[], Any], what: str = "", seconds: float = PATIENCE_SECONDS) -> Any:
    """What `condition` returns once it is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what or condition}")


class Harness:
    """One pod in a store, and its on-exit container as a process. The test is the kubelet."""

    def __init__(self, server: ApiServer, directory: Path, **environ: str) -> None:
        self.server = server
        self.shared, self.podinfo, self.account = directory / "shared", directory / "podinfo", directory / "account"
        self.termination_log, self.notes, self.log = (directory / n for n in ("termination", "notes", "log"))
        for each in (self.shared, self.podinfo, self.account):
            each.mkdir(exist_ok=True)
        (directory / "calls.py").write_text(CALLBACKS)
        (self.account / "token").write_text(server.token)
        self.pod = server.store.create("pods", self.manifest())
        self.environ = {
            **{key: value for key, value in os.environ.items() if not key.startswith("PODHOOKS_")},
            "PYTHONPATH": f"{directory}",
            "NOTES": str(self.notes),
            contract.ENV_API_SERVER: server.url,
            contract.ENV_SERVICE_ACCOUNT_DIR: str(self.account),
            contract.ENV_MAIN_CONTAINER: "main",
            contract.ENV_MODE: "native",
            contract.ENV_GRACE_SECONDS: "60",
            contract.ENV_POD_NAME: "p",
            contract.ENV_POD_NAMESPACE: "default",
            contract.ENV_POD_UID: self.pod["metadata"]["uid"],
            contract.ENV_PODINFO_DIR: str(self.podinfo),
            contract.ENV_SHARED_DIR: str(self.shared),
            contract.ENV_TERMINATION_LOG: str(self.termination_log),
            **environ,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.annotate(**{"on-exit": "calls:tell"})

    @staticmethod
    def manifest() -> dict[str, Any]:
        return {
            "metadata": {"name": "p", "namespace": "default"},
            "spec": {"containers": [{"name": "main"}], "restartPolicy": "Never", "nodeName": "n"},
        }

    def annotate(self, **annotations: str) -> None:
        """What the downward API shows of the pod's annotations (without our prefix here)."""
        lines = [f"{contract.PREFIX}{key}={json.dumps(value)}" for key, value in annotations.items()]
        (self.podinfo / "annotations").write_text("\n".join(lines))

    # The kubelet's part.

    def start(self, **environ: str) -> Harness:
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "podhooks_sidecar"]
            self.process = subprocess.Popen(
                command, env={**self.environ, **environ}, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT
            )
        return self

    def watching(self) -> Harness:
        """Wait until the program's watch has begun."""
        until(lambda: self.watches, "a watch")
        return self

    def took_in(self) -> Harness:
        """Wait until the program has taken in all that the API had to say: its watch is ended, and it asks anew."""
        before = len(self.watches)
        self.server.end_watches()
        until(lambda: len(self.watches) > before, "another watch")
        return self

    def told_to_end(self) -> Harness:
        """SIGTERM, and wait until the program looks at the pod because of it."""
        before = len(self.requests)
        self.signal()
        until(lambda: len(self.requests) > before, "a look at the pod after SIGTERM")
        return self

    def quiet(self, seconds: float = 0.5) -> None:
        """Watch it do nothing. A slow machine only makes it easier."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.told == []
            time.sleep(0.02)

    def signal(self, number: int = signal.SIGTERM) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def ended(self, seconds: float = PATIENCE_SECONDS) -> int:
        assert self.process is not None
        return self.process.wait(seconds)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    # The API's part.

    def status(self, **status: Any) -> None:
        self.server.store.mutate("pods", "default", "p", lambda pod: pod["status"].update(status))

    def main_state(self, state: Mapping[str, Any], *, restarts: int = 0, phase: str = "Running") -> None:
        self.status(phase=phase, containerStatuses=[{"name": "main", "state": dict(state), "restartCount": restarts}])

    def main_runs(self, *, restarts: int = 0) -> None:
        self.main_state({"running": {"startedAt": "2026-11-23T00:00:00Z"}}, restarts=restarts)

    def main_ends(self, code: int, reason: str = "Error", *, restarts: int = 0) -> None:
        times = {"startedAt": "2026-11-23T00:00:00Z", "finishedAt": "2026-11-23T00:00:05Z"}
        end = {"exitCode": code, "reason": "Completed" if code == 0 else reason, **times}
        self.main_state({"terminated": end}, restarts=restarts)

    def deleted(self, grace: int) -> None:
        self.server.store.delete("pods", "default", "p", grace_seconds=grace)

    # What came of it.

    @property
    def told(self) -> list[str]:
        return self.notes.read_text().splitlines() if self.notes.exists() else []

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def record(self) -> RecordData:
        data = parse_message(self.termination_log.read_bytes())
        assert data is not None
        return data

    @property
    def requests(self) -> list[tuple[str, str]]:
        return [(each.method, f"{each.path}?{each.query}") for each in self.server.requests]

    @property
    def watches(self) -> list[str]:
        return [path for _, path in self.requests if "watch=true" in path]

    def expect(self, *lines: str, seconds: float = PATIENCE_SECONDS) -> None:
        try:
            until(lambda: len(self.told) >= len(lines), seconds=seconds)
        except AssertionError:
            raise AssertionError(f"told {self.told}, expected {lines}; log:\n{self.output}") from None
        assert self.told == list(lines)
