"""podhooks status against a real HTTP API: names, formats, all namespaces, what the rescuer knows, and --watch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from podhooks import contract
from podhooks.cluster.real import RESCUES
from podhooks.local import Cluster
from podhooks.local.api import Api
from podhooks.local.messages import Reply, Request, reply_json

SECONDS = 30.0
Json = dict[str, Any]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster() as running:
        running.kubeconfig(tmp_path / "kubeconfig")
        running.store.create("namespaces", {"metadata": {"name": "etl"}})
        yield running


def record(*callbacks: Json) -> str:
    end = {"result": "Failed", "exit_code": 7}
    return json.dumps({"hook": "on-exit", "pod_uid": "", "complete": True, "exit": end, "callbacks": list(callbacks)})


def injected(name: str, namespace: str = "default", **metadata: Any) -> Json:
    annotations = {contract.ON_EXIT: "a:b", contract.STATUS: "{}"}
    containers = [{"name": "main", "image": "x"}]
    init = [{"name": contract.ON_EXIT_CONTAINER, "image": "x", "restartPolicy": "Always"}]
    meta = {"name": name, "namespace": namespace, "annotations": annotations, **metadata}
    return {"metadata": meta, "spec": {"nodeName": "elsewhere", "containers": containers, "initContainers": init}}


def ended(cluster: Cluster, name: str, namespace: str = "default", code: int = 7) -> None:
    def change(pod: Json) -> None:
        state = {"terminated": {"exitCode": code, "reason": "Error", "startedAt": "2026-11-28T12:00:00Z"}}
        pod["status"] = {
            "phase": "Failed",
            "containerStatuses": [{"name": "main", "state": state, "restartCount": 0, "lastState": {}}],
        }

    cluster.store.mutate("pods", namespace, name, change)


def status(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "podhooks.cli", "status", "--kubeconfig", str(folder / "kubeconfig"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_pods_of_a_job_and_of_all_namespaces(cluster: Cluster, tmp_path: Path) -> None:
    cluster.store.create("pods", injected("etl-1", labels={"job-name": "etl"}))
    cluster.store.create("pods", injected("other", "etl"))
    assert "pod etl-1" in status(tmp_path, "job/etl").stdout
    assert "pod etl-1" in status(tmp_path, "pod/etl-1").stdout
    everywhere = status(tmp_path, "-A").stdout
    assert ("pod etl-1" in everywhere, "pod other" in everywhere) == (True, True)
    assert status(tmp_path, "job/none").returncode == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-A", "-n", "etl"], "not both"),
        (["p", "-l", "a=b"], "not both"),
        (["--watch", "-o", "json"], "--watch shows text"),
        (["-o", "xml"], "invalid choice"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    cluster: Cluster, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    ran = status(tmp_path, *arguments)
    assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1)
    assert sentence in ran.stderr


def test_for_programs(cluster: Cluster, tmp_path: Path) -> None:
    cluster.store.create("pods", injected("etl-1"))
    ended(cluster, "etl-1")
    (found,) = json.loads(status(tmp_path, "etl-1", "-o", "json").stdout)
    assert (found["pod"], found["main"]["result"], found["main"]["exit_code"]) == ("etl-1", "Failed", 7)
    assert found["callbacks"][0]["status"] == "not-run"
    assert (found["rescue"], found["heldSince"]) == (None, None)
    assert YAML(typ="safe").load(status(tmp_path, "etl-1", "-o", "yaml").stdout) == found


def test_a_held_pod_says_by_whom(cluster: Cluster, tmp_path: Path) -> None:
    cluster.store.create("pods", injected("etl-1", finalizers=[contract.FINALIZER]))
    cluster.store.delete("pods", "default", "etl-1", grace_seconds=0)
    assert "held  by the rescuer since " in status(tmp_path, "etl-1").stdout


@pytest.fixture
def rescued(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Callable[[Json], None]:
    """Rescues of the cluster, whatever kinds the embedded server has."""
    kept: list[Json] = []
    answer = Api.answer

    def answered(api: Api, request: Request) -> Reply:
        return reply_json({"items": kept}) if request.path == RESCUES else answer(api, request)

    monkeypatch.setattr(Api, "answer", answered)
    return kept.append


def rescue(pod: Mapping[str, Any], **state: Any) -> Json:
    verdict = {"result": "Failed", "exit_code": 7}
    of = {key: pod["metadata"][key] for key in ("name", "namespace", "uid")}
    spec = {"pod": of, "verdict": verdict, "owed": ["a:b"], "object": pod}
    return {"spec": spec, "status": {"state": "Done", "attempts": 1, **state}}


def test_what_was_made_good_is_shown_beside_what_the_pod_knew(
    cluster: Cluster, tmp_path: Path, rescued: Callable[[Json], None]
) -> None:
    made = cluster.store.create("pods", injected("etl-1"))
    rescued(rescue(made, twice=["a:b"]))
    shown = status(tmp_path, "etl-1").stdout
    assert "rescue  Done  owed a:b, told Failed with exit code 7" in shown
    assert "may have run twice: a:b" in shown
    cluster.store.delete("pods", "default", "etl-1", grace_seconds=0)
    assert status(tmp_path, "etl-1").stdout.startswith("pod etl-1")
    assert json.loads(status(tmp_path, "-o", "json").stdout)[0]["rescue"]["state"] == "Done"
    assert status(tmp_path, "-n", "etl").returncode == 1


def test_one_that_could_not_be_made_good_says_why(
    cluster: Cluster, tmp_path: Path, rescued: Callable[[Json], None]
) -> None:
    rescued(
        rescue(cluster.store.create("pods", injected("p")), state="Refused", reason="Refused", message="quota exceeded")
    )
    assert (
        "rescue  Refused  owed a:b, told Failed with exit code 7: Refused: quota exceeded"
        in status(tmp_path, "p").stdout
    )


def test_watch_shows_a_pod_again_when_it_changes(cluster: Cluster, tmp_path: Path) -> None:
    cluster.store.create("pods", injected("etl-1"))
    command = [sys.executable, "-u", "-m", "podhooks.cli", "status", "--kubeconfig", str(tmp_path / "kubeconfig"), "-w"]
    out = tmp_path / "out"
    with out.open("w") as file, subprocess.Popen(command, stdout=file, env={**os.environ}) as ran:
        until(lambda: out.read_text().count("pod etl-1") == 1)
        cluster.store.mutate(
            "pods", "default", "etl-1", lambda pod: pod["metadata"].update(labels={"a": "b"}), subresource=""
        )
        ended(cluster, "etl-1")
        until(lambda: "exit code 7" in out.read_text())
        ran.send_signal(signal.SIGINT)
        assert ran.wait(SECONDS) == 130
    assert out.read_text().count("pod etl-1") == 2, "a label is nothing that is told"


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
