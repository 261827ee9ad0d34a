"""Deployments, their runs, and what Prefect's worker makes of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.integration.prefect_server import Server, environment

Json = Any
HERE = Path(__file__).parent


class Worker:
    """A process with the worker's code in it: importing that takes seconds."""

    def __init__(self, server: Server, log: Path) -> None:
        self._server, self._log, self.kubeconfig = server, log, log.with_name("kubeconfig")
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, str(HERE / "prefect_worker.py")],
                env={**environment(server.home, server.url), "KUBECONFIG": str(self.kubeconfig)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        self.default_template: Json = self._answer()

    def job(self, pool: str, variables: Json) -> Json:
        """The Job of a run of a new deployment with these variables."""
        return self._ask(pool=pool, run=deployed_run(self._server, pool, variables), create=False)

    def create_job(self, pool: str, run: str) -> None:
        """Creates the run's Job on the cluster of `kubeconfig`."""
        self._ask(pool=pool, run=run, create=True)

    def _ask(self, **request: str | bool) -> Json:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Json:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self._log.read_text()[-3000:]
        return json.loads(line)

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()


def deployed_run(server: Server, pool: str, variables: Json, flows: Path | str | None = None, **fields: Json) -> str:
    """A pending run of a new deployment of `flow.py:etl` in the directory `flows`."""
    more: Json = {"entrypoint": "flow.py:etl"}
    if flows is not None:
        more["pull_steps"] = [{"prefect.deployments.steps.set_working_directory": {"directory": str(flows)}}]
    deployment = server.deployment(pool, variables, **more)
    body = {"state": {"type": "SCHEDULED"}, **fields}
    run = str(server.ask("POST", f"/deployments/{deployment['id']}/create_flow_run", body)["id"])
    server.set_state(run, "PENDING")
    return run
