"""What a cluster may be like: restricted, short of quota, without its API server for a while."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.cluster import RealCluster
from tests.e2e.test_promise import MODES, finished, job, told

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

RESTRICTED_POD = {"runAsNonRoot": True, "runAsUser": 12345, "seccompProfile": {"type": "RuntimeDefault"}}
RESTRICTED_MAIN = {
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    },
    "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "1", "memory": "64Mi"}},
}


CONNECT = "import os, socket; socket.create_connection((os.environ['KUBERNETES_SERVICE_HOST'], 443), 2)"
REACHED = f'python3 -c "{CONNECT}" 2>/dev/null'  # pods reach a new API server later than this machine does


@pytest.fixture
def strict(cluster: RealCluster) -> Iterator[RealCluster]:
    """A namespace that enforces Pod Security "restricted", and a quota that wants requests and limits of everything."""
    other = RealCluster(
        cluster.kubeconfig,
        image=cluster.image,
        runtime_image=cluster.settings.image,
        pull_policy=cluster.pull_policy,
    )
    other.open()
    other.kubectl("label", "namespace", other.namespace, "pod-security.kubernetes.io/enforce=restricted")
    hard = {"requests.cpu": "2", "requests.memory": "2Gi", "limits.cpu": "20", "limits.memory": "8Gi"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "all"}, "spec": {"hard": hard}}
    other.kubectl("create", "-f", "-", stdin=json.dumps(quota))
    yield other
    other.close()


@pytest.mark.parametrize("mode", MODES)
def test_a_restricted_namespace_with_a_quota_admits_and_runs_it(strict: RealCluster, mode: str) -> None:
    scenario = f"{mode}-restricted"
    pod = {"securityContext": RESTRICTED_POD}
    strict.apply(job(strict, scenario, "test -f /podhooks/shared/hello; exit 3", pod=pod, main=RESTRICTED_MAIN))
    assert told(strict, scenario) == [("Failed", 3)]
    finished(strict, scenario)
    assert len(strict.words(scenario)) == 1


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
    subprocess.run(command, shell=True, check=True, timeout=180)
    cluster.kubectl("exec", pod, "-c", "main", "--", "touch", "/podhooks/shared/go")
    assert heard(cluster, scenario) == [("Failed", 3)]
    finished(cluster, scenario)
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
