"""One real Prefect server for all tests of a session, whichever processes they run in; and its API, plainly."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Json = Any
START_SECONDS = 150.0
LOCAL = "127.0.0.1"
SUPERVISOR = Path(__file__).with_name("prefect_supervisor.py")
NEEDED_SERVICES = ("EVENT_PERSISTER",)
OTHER_SERVICES = (
    "CANCELLATION_CLEANUP",
    "FOREMAN",
    "LATE_RUNS",
    "PAUSE_EXPIRATIONS",
    "REPOSSESSOR",
    "SCHEDULER",
    "TASK_RUN_RECORDER",
    "TRIGGERS",
)


def environment(home: Path, api_url: str = "") -> dict[str, str]:
    """Of everything that runs Prefect here: nothing of the user's profile, and nobody is told."""
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "PREFECT_HOME": str(home / ".prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_CLI_COLORS": "false",
        **({"PREFECT_API_URL": api_url} if api_url else {}),
        **{f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in OTHER_SERVICES},
    }


class Server:
    """What tests ask of it."""

    def __init__(self, port: int, home: Path, host: str = LOCAL) -> None:
        self.url = f"http://{host}:{port}/api"
        self.home = home

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Nobody else's meanwhile, in whichever process."""
        with (self.home / "prefect.turn").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def ask(self, method: str, path: str, body: Json = None, *, expect: tuple[int, ...] = (200, 201, 204)) -> Json:
        """Prefect says 503 where SQLite was busy, and its own client asks again."""
        deadline = time.monotonic() + 30
        while True:
            status, answer = self._ask(method, path, body)
            if status != 503 or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        assert status in expect, f"{method} {path}: {status} {str(answer)[:500]}"
        return answer

    def _ask(self, method: str, path: str, body: Json) -> tuple[int, Json]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                status, text = error.code, error.read()
        return status, json.loads(text) if text.startswith((b"{", b"[")) else text.decode()

    def flow(self, name: str = "etl") -> str:
        return str(self.ask("POST", "/flows/", {"name": name})["id"])

    def flow_run(self, *states: str | dict[str, Json], **fields: Json) -> str:
        """A run that went through these states, whatever the rules are."""
        run = str(
            self.ask("POST", "/flow_runs/", {"flow_id": self.flow(), "state": {"type": "PENDING"}, **fields})["id"]
        )
        for each in states:
            self.set_state(run, each)
        return run

    def set_state(self, run: str, state: str | dict[str, Json]) -> None:
        state = {"type": state} if isinstance(state, str) else state
        verdict = self.ask("POST", f"/flow_runs/{run}/set_state", {"state": state, "force": True})
        assert verdict["status"] == "ACCEPT", verdict

    def run(self, run: str) -> Json:
        return self.ask("GET", f"/flow_runs/{run}")

    def state(self, run: str) -> Json:
        return self.run(run)["state"]

    def work_pool(self, template: Json) -> str:
        name = f"pool-{uuid.uuid4().hex[:8]}"
        self.ask("POST", "/work_pools/", {"name": name, "type": "kubernetes", "base_job_template": template})
        return name

    def deployment(self, pool: str, variables: Json, *, expect: tuple[int, ...] = (201,), **fields: Json) -> Json:
        body = {
            "name": f"deployment-{uuid.uuid4().hex[:8]}",
            "flow_id": self.flow(),
            "work_pool_name": pool,
            "job_variables": variables,
            **fields,
        }
        return self.ask("POST", "/deployments/", body, expect=expect)

    def artifacts(self, run: str) -> list[Json]:
        found: list[Json] = self.ask("POST", "/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run]}}})
        return found

    def events(self, name: str, run: str) -> list[Json]:
        related = {"id": [f"prefect.flow-run.{run}"]}
        found = self.ask("POST", "/events/filter", {"filter": {"event": {"name": [name]}, "related": related}})
        events: list[Json] = found["events"]
        return events


@contextmanager
def shared_server(directory: Path, host: str = LOCAL) -> Iterator[Server]:
    """`directory` is the same for all processes of a test session. `host` is the address that it listens on.

    Who holds the lock keeps the server alive: its supervisor waits for the lock, kills it, and then lets the lock go.
    """
    users, starting, said = (directory / f"prefect.{name}" for name in ("users", "starting", "port"))
    users.touch()
    with users.open("r") as mine, starting.open("w") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        fcntl.flock(mine, fcntl.LOCK_SH)
        if not said.exists() or not _answers(host, int(said.read_text())):
            said.write_text(str(_start(users, directory, host)))
        server = Server(int(said.read_text()), directory, host)
        fcntl.flock(one_at_a_time, fcntl.LOCK_UN)
        yield server


def _start(users: Path, directory: Path, host: str) -> int:
    """The server's port, when it answers."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port = int(probe.getsockname()[1])
    home = directory / "prefect-home"
    home.mkdir(exist_ok=True)
    log = directory / "prefect.log"
    server = [sys.executable, "-m", "prefect", "server", "start", "--host", host, "--port", str(port), "--no-ui"]
    supervisor = subprocess.Popen(
        [sys.executable, "-W", "ignore", str(SUPERVISOR), str(users), str(log), *server],
        env=environment(home),
        cwd=home,
        start_new_session=True,
    )
    supervisor.returncode = 0  # it outlives whoever started it; nobody here waits for it
    deadline = time.monotonic() + START_SECONDS
    while not _answers(host, port):
        assert time.monotonic() < deadline, f"the Prefect server doesn't answer: {log.read_text()[-2000:]}"
        time.sleep(0.2)
    return port


def _answers(host: str, port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/api/health", timeout=5):
            return True
    except OSError:
        return False
