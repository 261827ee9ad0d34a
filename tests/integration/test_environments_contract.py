"""What a callback may rely on is the same in every environment: one suite for all of them.

tests/e2e/test_environments.py runs it on a real cluster.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from podhooks import KubernetesJobEnvironment, LocalEnvironment, RemoteEnvironment
from podhooks.environments import Environment, Handle
from tests.integration.environment_callbacks import WORD_DIR
from tests.integration.environment_contract import Contract, Site


class FilesOfThisMachine(Site):
    """Environments whose main and callbacks see this machine's files."""

    def __init__(self, make: Callable[..., Environment], directory: Path) -> None:
        self._make = make
        self._directory = directory

    def execute(self, flow: Any, parameters: Mapping[str, Any], **arguments: Any) -> Handle:
        return self._make(**arguments).execute(flow, parameters)

    def words(self) -> list[tuple[str, dict[str, Any]]]:
        return words_in(self._directory)


def words_in(directory: Path) -> list[tuple[str, dict[str, Any]]]:
    files = sorted(each for each in directory.iterdir() if not each.name.startswith("."))
    return [(each.name.split("-")[1], json.loads(each.read_text())) for each in files]


def isolated(**arguments: Any) -> LocalEnvironment:
    return LocalEnvironment(isolated=True, **arguments)


def job(**arguments: Any) -> KubernetesJobEnvironment:
    """Its containers have only the variables that the job file gives them."""
    return KubernetesJobEnvironment(os.environ["JOB_FILE"], unique_job_name=True, cluster="local", **arguments)


def write_job_file(path: Path, word_dir: Path) -> None:
    """As they were in PIN-12's time: the flow's container first, its command of no matter."""
    container = {"name": "flow", "image": "none", "command": ["false"], "args": ["x"]}
    env = [{"name": WORD_DIR, "value": str(word_dir)}]
    template = {"spec": {"restartPolicy": "Never", "containers": [{**container, "env": env}]}}
    spec = {"backoffLimit": 0, "template": template}
    path.write_text(json.dumps({"metadata": {"name": "flow"}, "spec": spec}))


KINDS: dict[str, Callable[..., Environment]] = {
    "local": LocalEnvironment,
    "isolated": isolated,
    "remote": RemoteEnvironment,
    "job": job,
}


@pytest.fixture(params=KINDS)
def site(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    words = tmp_path / "words"
    words.mkdir()
    write_job_file(tmp_path / "job.yaml", words)
    monkeypatch.setenv("JOB_FILE", str(tmp_path / "job.yaml"))
    monkeypatch.setenv(WORD_DIR, str(words))
    found = FilesOfThisMachine(KINDS[request.param], words)
    found.survives_main = request.param not in ("local", "remote")
    found.main_can_kill_itself = request.param != "job"
    return found


class TestHere(Contract):
    pass
