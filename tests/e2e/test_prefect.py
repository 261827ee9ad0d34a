"""Prefect's flow runs on a real cluster: its own server and worker's code, and a pod that dies in every way.

The server is a process beside the test, at --webhook-host: pods must be able to reach it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("prefect_kubernetes", reason="Prefect's worker isn't installed: pip install 'podhooks[prefect]'")

from podhooks.render.prefect_pool import PoolOptions, base_job_template
from tests.e2e.cluster import RealCluster
from tests.integration.prefect_runs import Worker, deployed_run
from tests.integration.prefect_server import Server, shared_server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
Json = Any
FLOW = """
import time
from prefect import flow

@flow
def etl(how: str = "succeed"):
    print("the flow says hello", flush=True)
    if how == "eat":
        eaten = b"x" * (3 << 30)
    if how == "wait":
        time.sleep(600)
"""
ON_EXIT = "podhooks.callbacks.prefect:mark_crashed, podhooks.callbacks.prefect:report_exit"
KILL = """
import os, signal
for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
    try:
        environment = open(f"/proc/{pid}/environ", "rb").read()
    except OSError:
        continue
    if b"PREFECT__FLOW_RUN_ID=" in environment and pid != os.getpid():
        os.kill(pid, signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    host = request.config.getoption("--webhook-host")
    if not host or not request.config.getoption("--prefect-image"):
        pytest.skip("needs --prefect-image IMAGE and --webhook-host ADDRESS: this machine's, as pods see it")
    with shared_server(tmp_path_factory.mktemp("prefect"), host) as running:
        yield running


@pytest.fixture(scope="module")
def worker(server: Server, cluster: RealCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    running = Worker(server, tmp_path_factory.mktemp("worker") / "log")
    shutil.copy(cluster.kubeconfig, running.kubeconfig)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def pool(server: Server, worker: Worker, cluster: RealCluster) -> str:
    """The template of Prefect's worker with the flow's code in a ConfigMap, and then with our containers."""
    cluster.kubectl("create", "configmap", "flows", f"--from-literal=flow.py={FLOW}")
    base = json.loads(json.dumps(worker.default_template))
    spec = base["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]
    spec["volumes"] = [{"name": "flows", "configMap": {"name": "flows"}}]
    spec["shareProcessNamespace"] = True  # a container's first process can't be killed from inside otherwise
    spec["containers"][0]["volumeMounts"] = [{"name": "flows", "mountPath": "/flows"}]
    return server.work_pool(base_job_template(base, PoolOptions(settings=cluster.settings)))


class Run:
    """One flow run, in a pod of its own."""

    def __init__(self, cluster: RealCluster, server: Server, run: str) -> None:
        self.cluster, self.server, self.id = cluster, server, run

    def pod(self) -> str:
        def running() -> str:
            for pod in self.cluster.items("pods", f"prefect.io/flow-run-id={self.id}"):
                name: str = pod["metadata"]["name"]
                return name
            return ""

        found: str = self.cluster.until(running, "the flow run's pod")
        return found

    def until_it_runs(self) -> None:
        self.cluster.until(lambda: self.server.state(self.id)["type"] == "RUNNING", "the flow runs")

    def end(self) -> tuple[str, str]:
        """The state in which the run ended, and its message, once on_exit has reported."""
        self.cluster.until(lambda: self.server.artifacts(self.id), "report_exit's artifact")
        state = self.server.state(self.id)
        return state["type"], state["message"] or ""

    def report(self) -> str:
        [artifact] = self.server.artifacts(self.id)
        data: str = artifact["data"]
        return data


@pytest.fixture
def start(cluster: RealCluster, server: Server, worker: Worker, pool: str, request: pytest.FixtureRequest) -> Any:
    def started(how: str, **variables: Json) -> Run:
        image = {
            "image": request.config.getoption("--prefect-image"),
            "image_pull_policy": cluster.pull_policy,
            "namespace": cluster.namespace,
            "on_exit": ON_EXIT,
        }
        run = deployed_run(server, pool, {**image, **variables}, "/flows", parameters={"how": how})
        worker.create_job(pool, run)
        return Run(cluster, server, run)

    return started


def test_a_flow_that_succeeds_is_left_alone_and_reported(start: Any) -> None:
    run = start("succeed")
    assert run.end()[0] == "COMPLETED"
    assert "| Result | **Succeeded** |" in run.report()
    assert "the flow says hello" in run.report()


def test_a_flow_whose_process_is_killed_is_crashed_with_the_true_cause(cluster: RealCluster, start: Any) -> None:
    run = start("wait")
    run.until_it_runs()
    pod = run.pod()
    cluster.kubectl("exec", pod, "-c", "prefect-job", "--", "python3", "-c", KILL, check=False)
    kind, message = run.end()
    assert kind == "CRASHED"
    assert "exit code 137, SIGKILL" in message
    assert f"pod {cluster.namespace}/{pod}" in message


def test_a_flow_that_eats_all_memory_is_crashed_and_out_of_memory_is_the_cause(start: Any) -> None:
    """Where only the flow's process dies, Prefect's own around it says Crashed first, and nothing of memory."""
    run = start("eat", memory_limit="1Gi", memory_request="256Mi")
    assert run.end()[0] == "CRASHED"
    assert "| Result | **OOMKilled** |" in run.report()


def test_a_flow_whose_pod_is_deleted_does_not_run_for_ever(cluster: RealCluster, start: Any) -> None:
    """Prefect's process hears SIGTERM and hands the run back; that isn't undone."""
    run = start("wait")
    run.until_it_runs()
    cluster.kubectl("delete", "pod", run.pod(), "--wait=false")
    assert run.end()[0] == "SCHEDULED"
    assert "| Result | **Deleted** |" in run.report()
