"""Dask's own resource definitions, operator and functions on a real cluster, with our containers in their objects."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from podhooks import DaskKubernetesEnvironment, Result, contract
from podhooks.inject import inject_object
from tests.e2e.cluster import RealCluster
from tests.e2e.test_promise import finished, job, record_of, told

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
MAKE_CLUSTER = """
import json, sys
from dask_kubernetes.operator import make_cluster_spec
made = make_cluster_spec("made-by-dask", n_workers=1, image=sys.argv[1])
print("MADE", json.dumps(made))
"""


def is_established(cluster: RealCluster, name: str) -> bool:
    condition = "jsonpath={.status.conditions[?(@.type=='Established')].status}"
    return "True" in cluster.kubectl("get", "crd", name, "-o", condition, check=False)


@pytest.fixture(scope="module")
def definitions(cluster: RealCluster) -> Iterator[None]:
    """The operator's resource definitions, out of its package. Those of others stay; ours, too, in a parallel run."""
    spec = find_spec("dask_kubernetes")
    assert spec is not None
    assert spec.submodule_search_locations
    files = sorted(Path(spec.submodule_search_locations[0]).glob("operator/deployment/helm/*/crds/*.yaml"))
    before = cluster.kubectl("get", "crd", "-o", "name")
    names = [f"{path.stem}s.kubernetes.dask.org" for path in files]
    for path, name in zip(files, names, strict=True):
        cluster.kubectl("apply", "--server-side", "-f", str(path))
        cluster.until(partial(is_established, cluster, name), f"{name} is established")
    yield
    for name in names:
        if name not in before and "PYTEST_XDIST_WORKER" not in os.environ:
            cluster.kubectl("delete", "crd", name, "--wait=false", check=False)


@pytest.fixture
def operator(cluster: RealCluster, definitions: None, tmp_path: Path) -> Iterator[Path]:
    """Dask's operator as a process of this machine, for this namespace; its log."""
    log = tmp_path / "operator.log"
    kopf = str(Path(sysconfig.get_path("scripts")) / "kopf")
    command = [kopf, "run", "--module=dask_kubernetes.operator.controller", "--standalone"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, f"--namespace={cluster.namespace}"],
            stdout=out,
            stderr=out,
            env={**os.environ, "KUBECONFIG": cluster.kubeconfig},
        )
    yield log
    with contextlib.suppress(subprocess.TimeoutExpired):  # its finalizers have to go from what is left
        cluster.kubectl("delete", "daskjobs,daskclusters", "--all", "--timeout=30s", check=False)
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(20)


def made_by_dask(image: str) -> dict[str, Any]:
    """A DaskCluster out of dask-kubernetes' own function."""
    done = subprocess.run(
        [sys.executable, "-c", MAKE_CLUSTER, image], capture_output=True, text=True, check=True, timeout=100
    )
    (line,) = [each for each in done.stdout.splitlines() if each.startswith("MADE ")]
    found: dict[str, Any] = json.loads(line.removeprefix("MADE "))
    return found


def lost(sent: Any, kept: Any, path: str = "") -> list[str]:
    """Paths of what was sent and isn't there any more, but for nulls."""
    if isinstance(sent, dict):
        pairs = [
            (value, kept.get(key) if isinstance(kept, dict) else None, f"{path}.{key}") for key, value in sent.items()
        ]
    elif isinstance(sent, list):
        rest = kept if isinstance(kept, list) else []
        pairs = [(each, rest[n] if n < len(rest) else None, f"{path}[{n}]") for n, each in enumerate(sent)]
    else:
        return [] if sent in (None, kept) else [path]
    return [each for one in pairs for each in lost(*one)]


CLASSIC = {
    contract.MODE: "classic",
    contract.ON_START: "calls:announce",
    contract.ON_EXIT: "calls:done",
    contract.ON_EXIT_TIMEOUT: "8s",
}


def test_the_api_server_keeps_all_that_we_add_to_a_dask_cluster(cluster: RealCluster, definitions: None) -> None:
    document = made_by_dask(cluster.image)
    document["spec"]["worker"]["metadata"] = {"annotations": CLASSIC}
    injected, reports = inject_object(document, cluster.settings)
    assert [each.report.outcome.value for each in reports] == ["injected", "skipped"]
    cluster.kubectl("create", "--validate=strict", "-f", "-", stdin=json.dumps(injected))
    live = json.loads(cluster.kubectl("get", "daskcluster", "made-by-dask", "-o", "json"))
    cluster.kubectl("delete", "daskcluster", "made-by-dask", "--wait=false")
    assert lost(injected["spec"], live["spec"]) == []
    worker = live["spec"]["worker"]["spec"]
    assert [each["name"] for each in worker["containers"]] == ["worker", "on-exit"]
    assert [each["name"] for each in worker["initContainers"]] == ["podhooks-runtime", "on-start"]


@pytest.mark.parametrize(("code", "expected"), [(0, ("Successful", "Succeeded")), (3, ("Failed", "Failed"))])
def test_a_dask_job_ends_when_main_and_its_on_exit_have(
    cluster: RealCluster, operator: Path, code: int, expected: tuple[str, str]
) -> None:
    name = f"daskjob-{code}"
    dask = made_by_dask(cluster.image)["spec"]
    for part in ("worker", "scheduler"):  # the operator looks at main's pod only
        (container,) = dask[part]["spec"]["containers"]
        container.update(command=["sleep", "600"], args=[], imagePullPolicy=cluster.pull_policy)
        for probe in ("readinessProbe", "livenessProbe"):
            container.pop(probe, None)
    dask["scheduler"]["service"]["selector"]["dask.org/cluster-name"] = name
    pod = job(cluster, f"classic-{name}", f"sleep 1; exit {code}")["spec"]["template"]
    document = {
        "apiVersion": "kubernetes.dask.org/v1",
        "kind": "DaskJob",
        "metadata": {"name": name},
        "spec": {"job": pod, "cluster": {"spec": dask}},
    }
    injected, reports = inject_object(document, cluster.settings)
    assert [each.report.outcome.value for each in reports] == ["injected", "skipped", "skipped"]
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(injected))

    def status() -> str:
        return cluster.kubectl("get", "daskjob", name, "-o", "jsonpath={.status.jobStatus}", check=False)

    cluster.until(lambda: status() in ("Successful", "Failed"), f"{name} is over; the operator: {operator}")
    assert status() == expected[0]
    assert told(cluster, f"classic-{name}") == [(expected[1], code)]
    cluster.until(lambda: not cluster.kubectl("get", "daskclusters", "-o", "name"), "the operator deletes the cluster")


def test_the_cluster_of_a_killed_main_is_deleted_and_a_missing_right_is_told(
    cluster: RealCluster, definitions: None
) -> None:
    document = {**made_by_dask(cluster.image), "metadata": {"name": "left-behind"}}
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(document))
    deletion = json.dumps([{"call": "podhooks.callbacks.dask:delete_cluster", "with": {"name": "left-behind"}}])
    annotations = {"on-exit": deletion, "on-exit-retries": "0"}

    cluster.apply(job(cluster, "native-forbidden", "kill -9 $$; exit 137", annotations=annotations))
    record = record_of(finished(cluster, "native-forbidden"))
    assert "--verb=delete,list --resource=daskclusters.kubernetes.dask.org" in json.dumps(record)
    assert cluster.kubectl("get", "daskclusters", "-o", "name").split() == [
        "daskcluster.kubernetes.dask.org/left-behind"
    ]

    cluster.kubectl("create", "role", "dask", "--verb=delete,list", "--resource=daskclusters.kubernetes.dask.org")
    account = f"--serviceaccount={cluster.namespace}:default"
    cluster.kubectl("create", "rolebinding", "dask", "--role=dask", account)
    cluster.apply(job(cluster, "native-killed-client", "kill -9 $$; exit 137", annotations=annotations))
    finished(cluster, "native-killed-client")
    assert cluster.kubectl("get", "daskclusters", "-o", "name") == ""


def test_the_cluster_of_a_dask_environment_goes_with_its_run(
    cluster: RealCluster, operator: Path, tmp_path: Path
) -> None:
    """The scheduler's pod is the operator's work: it is there between setup and the last callback of on_exit."""
    verbs = ["--verb=delete,list", "--resource=daskclusters.kubernetes.dask.org"]
    cluster.kubectl("create", "role", "dask-environment", *verbs)
    account = f"--serviceaccount={cluster.namespace}:default"
    cluster.kubectl("create", "rolebinding", "dask-environment", "--role=dask-environment", account)
    container = {"name": "flow", "image": cluster.image, "imagePullPolicy": cluster.pull_policy}
    pod = {"restartPolicy": "Never", "containers": [container]}
    job_file = tmp_path / "job.yaml"
    job_file.write_text(json.dumps({"metadata": {"name": "flow"}, "spec": {"template": {"spec": pod}}}))
    environment = DaskKubernetesEnvironment(
        1,
        1,
        image=cluster.image,
        job_spec_file=job_file,
        unique_job_name=True,
        namespace=cluster.namespace,
        kubeconfig=cluster.kubeconfig,
        settings=cluster.settings,
    )

    def crash() -> None:
        os._exit(9)

    environment.setup(crash)

    def scheduler() -> list[dict[str, Any]]:
        return cluster.items("pods", "dask.org/component=scheduler")

    cluster.until(scheduler, f"the scheduler's pod; the operator: {operator}")
    with environment.execute(crash) as handle:
        end = handle.wait(120)
        assert (end.result, end.exit_code) == (Result.FAILED, 9)
        assert [each.outcome and each.outcome.status.value for each in handle.callbacks] == ["succeeded"]
    cluster.until(lambda: not cluster.kubectl("get", "daskclusters", "-o", "name"), "the cluster is gone")
    cluster.until(lambda: not scheduler(), "the scheduler's pod is gone")
