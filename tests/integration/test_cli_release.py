"""podhooks release against a real HTTP API: the embedded one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from podhooks import contract
from podhooks.local import Cluster
from tests.integration.local_pods import container, pod

LABELS = {contract.GUARANTEE_LABEL: "cluster"}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as running:
        yield running


@pytest.fixture
def kubeconfig(cluster: Cluster, tmp_path: Path) -> Path:
    return cluster.kubeconfig(tmp_path / "kubeconfig")


def release(kubeconfig: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "podhooks.cli", "release", "--kubeconfig", str(kubeconfig), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def create(cluster: Cluster, name: str, namespace: str = "default", **metadata: Any) -> None:
    source = pod(container("sleep 60"))
    finalizers = [contract.FINALIZER, "example.com/theirs"]
    source["metadata"] = {"name": name, "namespace": namespace, "finalizers": finalizers, "labels": LABELS, **metadata}
    cluster.store.create("pods", source)


def metadata(cluster: Cluster, name: str, namespace: str = "default") -> dict[str, Any]:
    found: dict[str, Any] = cluster.store.get("pods", namespace, name)["metadata"]
    return found


def test_a_pod_by_its_name_keeps_the_finalizers_of_others(cluster: Cluster, kubeconfig: Path) -> None:
    create(cluster, "a")
    create(cluster, "b")
    ran = release(kubeconfig, "a")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "default/a released\n", "")
    assert metadata(cluster, "a")["finalizers"] == ["example.com/theirs"]
    assert metadata(cluster, "a")["annotations"][contract.RELEASED] == "by-hand"
    assert contract.FINALIZER in metadata(cluster, "b")["finalizers"]


def test_all_of_a_cluster_also_those_that_are_not_held_yet(cluster: Cluster, kubeconfig: Path) -> None:
    cluster.store.create("namespaces", {"metadata": {"name": "other"}})
    create(cluster, "a")
    create(cluster, "b", "other")
    create(cluster, "c", finalizers=[])
    create(cluster, "not-ours", labels={})
    ran = release(kubeconfig, "-A")
    assert (ran.returncode, sorted(ran.stdout.splitlines())) == (0, ["default/a released", "other/b released"])
    assert metadata(cluster, "c")["annotations"][contract.RELEASED] == "by-hand"
    assert contract.RELEASED not in (metadata(cluster, "not-ours").get("annotations") or {})
    assert "no pod is held" in release(kubeconfig, "-A").stderr


def test_by_a_selector(cluster: Cluster, kubeconfig: Path) -> None:
    create(cluster, "a", labels={**LABELS, "app": "etl"})
    create(cluster, "b")
    assert release(kubeconfig, "-l", "app=etl").stdout == "default/a released\n"


def test_a_pod_that_is_being_deleted_is_gone_then(cluster: Cluster, kubeconfig: Path) -> None:
    create(cluster, "a", finalizers=[contract.FINALIZER])
    cluster.store.delete("pods", "default", "a", grace_seconds=0)
    assert release(kubeconfig, "a").returncode == 0
    assert [each["metadata"]["name"] for each in cluster.store.list("pods")[0]] == []


def test_what_is_not_there_is_said(cluster: Cluster, kubeconfig: Path) -> None:
    ran = release(kubeconfig, "nobody")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "no pod nobody" in ran.stderr


@pytest.mark.parametrize("wrong", [(), ("a", "-A"), ("a", "-l", "x=y"), ("-A", "-n", "x")])
def test_it_wants_to_know_which(kubeconfig: Path, wrong: tuple[str, ...]) -> None:
    ran = release(kubeconfig, *wrong)
    assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1)
