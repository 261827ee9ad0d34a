"""What befalls a cluster itself: its API server restarts, a node is lost. Run alone: all that runs there feels it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from tests.e2e.cluster import RealCluster
from tests.e2e.test_promise import MODES, OBEDIENT, finished, job, told

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

CONNECT = "import os, socket; socket.create_connection((os.environ['KUBERNETES_SERVICE_HOST'], 443), 2)"
REACHED = f'python3 -c "{CONNECT}" 2>/dev/null'  # pods reach a new API server later than this machine does
TAINT = "podhooks-e2e=lost:NoExecute"
SECONDS_TO_BE_TOLD_AGAIN = 15  # a kubelet that is back ends what it finds: nothing may run twice for that


@pytest.mark.parametrize("mode", MODES)
def test_an_api_server_that_restarts_is_found_again(
    cluster: RealCluster, mode: str, request: pytest.FixtureRequest
) -> None:
    """The sidecar waits through it: the watch it had is dead, and it finds the new server by itself."""
    command = request.config.getoption("--restart-api-server")
    if not command:
        pytest.skip("needs a command that restarts the API server: --restart-api-server COMMAND")
    scenario = f"{mode}-restart"
    cluster.apply(
        job(
            cluster,
            scenario,
            f"while [ ! -e /podhooks/shared/go ]; do sleep 0.2; done; until {REACHED}; do sleep 0.5; done; exit 3",
        )
    )
    pod = cluster.until_main_runs(scenario)["metadata"]["name"]
    shell(command)
    cluster.kubectl("exec", pod, "-c", "main", "--", "touch", "/podhooks/shared/go")
    assert heard(cluster, scenario) == [("Failed", 3)]
    finished(cluster, scenario)
    assert len(cluster.words(scenario)) == 1


@pytest.fixture
def without_kubelet(cluster: RealCluster, request: pytest.FixtureRequest) -> Callable[[], AbstractContextManager[None]]:
    """A block in which the kubelet is stopped: its containers run on, and nobody tells them anything."""
    stop, start = request.config.getoption("--stop-kubelet"), request.config.getoption("--start-kubelet")
    if not stop or not start:
        pytest.skip("needs commands that stop and start the kubelet: --stop-kubelet COMMAND --start-kubelet COMMAND")

    @contextmanager
    def stopped() -> Iterator[None]:
        shell(stop)
        try:
            yield
        finally:
            shell(start)
            cluster.until(lambda: ready_nodes(cluster), "the node is back", 300)

    return stopped


@pytest.mark.parametrize("mode", MODES)
def test_a_pod_that_is_evicted_from_an_unreachable_node_is_told_in_time(
    cluster: RealCluster, mode: str, without_kubelet: Callable[[], AbstractContextManager[None]]
) -> None:
    """No SIGTERM ever comes: the API's word is all there is, and on_exit keeps its reserve of the grace period.

    The taint is ours: the cluster itself taints no node for being unreachable while that would be all of its nodes.
    """
    scenario = f"{mode}-unreachable"
    cluster.apply(job(cluster, scenario, OBEDIENT))
    node = cluster.until_main_runs(scenario)["spec"]["nodeName"]
    with without_kubelet():
        cluster.kubectl("taint", "node", node, TAINT)
        assert told(cluster, scenario) == [("Evicted", None)]
        cluster.kubectl("taint", "node", node, f"{TAINT}-")
    time.sleep(SECONDS_TO_BE_TOLD_AGAIN)
    assert len(cluster.words(scenario)) == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_node_that_is_gone_for_the_cluster_is_told_to_those_who_still_run_there(
    cluster: RealCluster, mode: str, without_kubelet: Callable[[], AbstractContextManager[None]]
) -> None:
    scenario = f"{mode}-lost"
    cluster.apply(job(cluster, scenario, OBEDIENT))
    node = cluster.until_main_runs(scenario)["spec"]["nodeName"]
    with without_kubelet():
        cluster.kubectl("delete", "node", node, "--wait=false")
        assert told(cluster, scenario) == [("NodeLost", None)]
    time.sleep(SECONDS_TO_BE_TOLD_AGAIN)
    assert len(cluster.words(scenario)) == 1


def heard(cluster: RealCluster, scenario: str) -> list[Any]:
    """Like told(), with patience for a server that is only just there again."""

    def any_words() -> bool:
        try:
            return bool(cluster.words(scenario))
        except OSError:
            return False

    cluster.until(any_words, f"on_exit of {scenario} leaves word")
    return told(cluster, scenario)


def shell(command: str) -> None:
    subprocess.run(command, shell=True, check=True, timeout=180)


def ready_nodes(cluster: RealCluster) -> bool:
    nodes = json.loads(cluster.kubectl("get", "nodes", "-o", "json"))["items"]
    ready = [
        each["status"] for node in nodes for each in node["status"].get("conditions", []) if each["type"] == "Ready"
    ]
    return bool(ready) and all(each == "True" for each in ready)
