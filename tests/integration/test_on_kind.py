"""`make e2e` on stand-ins for kind and docker, which only write down how they were called: neither is needed here."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "e2e" / "on_kind.sh"
TOOLS = ("bash", "sh", "dirname", "mktemp", "cat", "rm", "tr", "grep", "sed", "seq", "sleep")
SECONDS = 30.0
ENGINE = """
case "$*" in
  "save --help") echo "--platform string" ;;
  "version -f"*) echo amd64 ;;
  "network inspect"*) echo "fc00::1 172.18.0.1" ;;
  "exec "*curl*172.18.0.1*) exit 0 ;;
  "exec "*curl*) exit 7 ;;
esac
"""


class Stage:
    """A PATH with the tools that the script uses, and what was called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls = folder / "calls"
        for tool in TOOLS:
            (folder / tool).symlink_to(shutil.which(tool) or "")

    def put(self, tool: str, script: str) -> None:
        (self.folder / tool).write_text(f'#!/bin/sh\necho "{tool} $*" >> {self.calls}\n{script}\n')
        (self.folder / tool).chmod(0o755)

    def complete(self, **scripts: str) -> None:
        serve = f'case "$*" in "-u -m http.server"*) exec {sys.executable} "$@";; esac'
        for tool, script in {"kind": "", "docker": ENGINE, "python": ""}.items():
            self.put(tool, (serve if tool == "python" else "") + "\n" + scripts.get(tool, script))

    def environment(self, **more: str) -> dict[str, str]:
        logs = str(self.folder / "logs")
        return {"PATH": str(self.folder), "PYTHON": str(self.folder / "python"), "LOGS": logs, **more}

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = ["bash", str(SCRIPT), *arguments]
        return subprocess.run(command, env=self.environment(**environment), capture_output=True, text=True)

    def said(self, start: str) -> list[str]:
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        return [line for line in lines if line.startswith(start)]

    @property
    def suites(self) -> list[str]:
        return self.said("python -m pytest")


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.mark.parametrize(
    ("there", "environment", "missing"),
    [
        ({}, {}, "no kind on this machine"),
        ({"kind": "", "docker": "exit 1"}, {}, "docker doesn't answer"),
        ({"kind": "", "docker": 'case "$1" in image) exit 1;; esac'}, {}, "no image podhooks/podhooks:0.1.0"),
        ({"kind": "", "docker": ""}, {"NODE_IMAGE": "kindest/node:v1.30.4"}, "needs 1.31 or newer"),
    ],
)
def test_what_is_missing_is_one_line_and_nothing_is_left(
    stage: Stage, there: Mapping[str, str], environment: dict[str, str], missing: str
) -> None:
    for tool, script in there.items():
        stage.put(tool, script)
    ran = stage.run(**environment, TMPDIR=str(stage.folder))
    assert ran.returncode == 2
    assert missing in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert not list(stage.folder.glob("tmp.*"))
    assert not stage.said("kind")


@pytest.mark.parametrize(
    ("failing", "code", "expected"),
    [("none", 0, 0), ("tests/e2e ", 3, 3), ("test_disruptions", 3, 3), ("test_disruptions", 5, 0), ("pytest", 5, 5)],
)
def test_both_parts_of_the_suite_run_and_the_cluster_is_deleted_whatever_they_say(
    stage: Stage, failing: str, code: int, expected: int
) -> None:
    stage.complete(python=f'case "$*" in *"{failing}"*) exit {code};; esac')
    ran = stage.run("-k", "deleted", PREFECT_IMAGE="prefect:3")
    assert ran.returncode == expected, ran.stderr
    assert ["-n 4" in part for part in stage.suites] == [True, False]
    assert "--webhook-host 172.18.0.1" in stage.suites[0]
    assert "docker exec" in stage.suites[1].partition("--stop-kubelet")[2]
    assert all("-k deleted" in part for part in stage.suites)
    assert ("no test of the suite was selected: -k deleted" in ran.stderr) is (expected == 5)
    assert bool(stage.said("kind export logs")) is (expected != 0)
    assert stage.said("")[-1].startswith("kind delete cluster")


def test_images_reach_the_node_as_an_archive_of_one_platform(stage: Stage) -> None:
    stage.complete()
    stage.run(PREFECT_IMAGE="prefect:3", MAIN_IMAGE="main:1")
    (saved,) = stage.said("docker save --platform")
    assert saved.startswith("docker save --platform linux/amd64 -o ")
    assert saved.endswith(".tar podhooks/podhooks:0.1.0 main:1 python:3.12-slim prefect:3"), "the examples' image, too"
    assert len(stage.said("kind load image-archive")) == 1
    assert not stage.said("docker pull"), "all of them are here"


def test_an_older_engine_saves_without_a_platform(stage: Stage) -> None:
    stage.complete(docker=ENGINE.replace("--platform string", "nothing"))
    stage.run()
    assert any(each.startswith("docker save -o ") for each in stage.said("docker save"))


@pytest.mark.parametrize(
    ("image", "gate"),
    [("", False), ("kindest/node:v1.34.3", True), ("kindest/node:v1.36.1@sha256:0", False), ("mine:latest", False)],
)
def test_a_node_that_needs_the_feature_gate_for_image_volumes_gets_it(stage: Stage, image: str, gate: bool) -> None:
    stage.complete(
        kind=f'case "$*" in "create "*) while [ "$1" != --config ]; do shift; done; cat "$2" >> {stage.calls};; esac'
    )
    stage.run(**({"NODE_IMAGE": image} if image else {}))
    assert bool(stage.said("featureGates: {ImageVolume: true}")) is gate


def test_a_file_narrows_the_run_to_it(stage: Stage) -> None:
    stage.complete()
    stage.run("tests/e2e/test_run.py::test_x", "-x")
    (only,) = stage.suites
    assert "tests/e2e/test_run.py::test_x -n 4" in only
    assert " -x " in only
    stage.calls.unlink()
    stage.run("tests/e2e/test_disruptions.py")
    assert ["-n 0" in each for each in stage.suites] == [False, True]


def test_where_the_node_reaches_this_machine_is_tried(stage: Stage) -> None:
    unreachable = ENGINE.replace('"exec "*curl*172.18.0.1*) exit 0 ;;', "")
    stage.complete(docker=unreachable)
    ran = stage.run()
    assert "the node can't reach this machine" in ran.stderr
    assert "--webhook-host" not in stage.suites[0]
    stage.calls.unlink()
    stage.complete(docker=unreachable.replace("exit 7", "exit 0"))
    stage.run(WEBHOOK_HOST="10.0.0.5")
    assert "--webhook-host 10.0.0.5" in stage.suites[0]


def test_an_api_server_is_killed_and_waited_for(stage: Stage) -> None:
    stage.complete()
    stage.run()
    command = stage.suites[1].partition("--restart-api-server ")[2]
    assert "kill -9 $(pidof kube-apiserver)" in command
    assert "get --raw /readyz" in command


def test_a_kept_cluster_is_named(stage: Stage) -> None:
    stage.complete()
    ran = stage.run(KEEP="1")
    assert not stage.said("kind delete")
    assert "kubeconfig: " in ran.stderr


def test_an_interrupted_run_ends_and_deletes_its_cluster(stage: Stage) -> None:
    """pytest says 2 after Ctrl-C; the second part doesn't begin."""
    stage.complete(python='case "$*" in *pytest*) exit 2;; esac')
    assert stage.run().returncode == 130
    assert len(stage.suites) == 1
    assert len(stage.said("kind delete cluster")) == 1


def test_a_signal_ends_the_run_and_deletes_its_cluster(stage: Stage) -> None:
    stage.complete(python='case "$*" in *pytest*) sleep 60;; esac')
    command = ["bash", str(SCRIPT)]
    with subprocess.Popen(command, env=stage.environment(), start_new_session=True, stderr=subprocess.DEVNULL) as ran:
        deadline = time.monotonic() + SECONDS
        while not stage.suites:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(ran.pid, signal.SIGINT)
        assert ran.wait(SECONDS) == 130
    assert len(stage.suites) == 1
    assert len(stage.said("kind delete cluster")) == 1
