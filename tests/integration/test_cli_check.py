"""podhooks check against a real HTTP API: the embedded one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from podhooks.local import Cluster
from tests.integration.local_pods import container, pod


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as running:
        yield running


@pytest.fixture(scope="module")
def kubeconfig(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cluster.kubeconfig(tmp_path_factory.mktemp("check") / "kubeconfig")


def check(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "podhooks.cli", "check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, timeout=60)


def test_a_cluster_without_podhooks_is_told_so(kubeconfig: Path) -> None:
    ran = check("--kubeconfig", str(kubeconfig), PYTHONIOENCODING="utf-8")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("kubernetes-api\n--------------\n√ the API server answers at http://127.0.0.1:")
    assert "‼ no webhook and no admission policy" in ran.stdout
    assert "    see docs/check.md#door-exists\n" in ran.stdout
    assert ran.stdout.endswith("result: nothing is wrong, but see the warnings\n")
    plain = check("--kubeconfig", str(kubeconfig), PYTHONIOENCODING="ascii")
    assert "\n!! no webhook" in plain.stdout


def test_a_pod_that_was_missed_is_an_error(cluster: Cluster, kubeconfig: Path) -> None:
    missed = pod(container("sleep 60"))
    missed["metadata"]["annotations"] = {"podhooks.io/on-exit": "a:b"}
    cluster.store.create("pods", missed)
    ran = check("--kubeconfig", str(kubeconfig), "-n", "default", "-o", "json")
    assert ran.returncode == 1, ran.stderr
    found = json.loads(ran.stdout)
    assert found["status"] == "error"
    (wrong,) = [each for each in found["checks"] if each["mark"] == "error"]
    assert (wrong["code"], wrong["link"]) == ("pods-missed", "docs/check.md#pods-missed")
    elsewhere = check("--kubeconfig", str(kubeconfig), "-n", "kube-system", "-o", "json")
    assert elsewhere.returncode == 0


def test_before_installing(kubeconfig: Path) -> None:
    ran = check("--kubeconfig", str(kubeconfig), "--pre", PYTHONIOENCODING="utf-8")
    assert ran.returncode == 0
    assert "√ nothing of Podhooks is in namespace podhooks" in ran.stdout


def test_a_server_that_is_away_is_an_error_and_ends_the_list(tmp_path: Path) -> None:
    config = tmp_path / "kubeconfig"
    with Cluster() as gone:
        gone.kubeconfig(config)
    ran = check("--kubeconfig", str(config), PYTHONIOENCODING="utf-8")
    assert ran.returncode == 1
    assert "× the API server doesn't answer" in ran.stdout
    assert "podhooks-doors" not in ran.stdout


def test_without_a_kubeconfig_it_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    ran = check("--kubeconfig", str(tmp_path / "none"))
    assert ran.returncode == 2
    assert len(ran.stderr.splitlines()) == 1
