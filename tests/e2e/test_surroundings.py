"""What a cluster may be like: restricted, short of quota."""

from __future__ import annotations

import json
from collections.abc import Iterator

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
