"""The charts and manifests/ on a real cluster: installed, run, tested, upgraded, and gone without a trace."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from podhooks.yamltext.stream import parse
from tests.e2e.cluster import RealCluster
from tests.helm import CHARTS, helm

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
MANIFESTS = CHARTS.parent / "manifests"
HOOKS = """
def prepare(context):
    (context.shared_dir / "greeting").write_text("a greeting")


def report(context, who):
    print("tells", who, context.exit.result.value, context.exit.exit_code, context.exit.log_tail(1))
"""
MAIN = "import sys; print('main found', open('/podhooks/shared/greeting').read()); sys.exit(%d)"
LEFT_BEHIND = "jobs,cronjobs,pods,configmaps,secrets,serviceaccounts,roles,rolebindings,services,leases,pdb,deployments"
CLUSTER_WIDE = (
    "clusterroles,clusterrolebindings,mutatingwebhookconfigurations,mutatingadmissionpolicies,"
    "mutatingadmissionpolicybindings"
)


class Release:
    """One namespace with one release in it."""

    def __init__(self, cluster: RealCluster, name: str, chart: str) -> None:
        self.cluster = cluster
        self.name = name
        self.chart = CHARTS / chart
        self.namespace = f"{cluster.namespace}-{uuid.uuid4().hex[:4]}"

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        return self.cluster.kubectl("-n", self.namespace, *arguments, stdin=stdin)

    def helm(self, *arguments: str | Path, values: dict[str, Any] | None = None) -> str:
        where = ("--kubeconfig", self.cluster.kubeconfig, "--namespace", self.namespace)
        given = ("-f", "-") if values is not None else ()
        return helm(*arguments, *where, *given, stdin=json.dumps(values or {}))

    def install(self, values: dict[str, Any]) -> None:
        self.helm("install", self.name, self.chart, values=values)

    def names(self) -> set[str]:
        """Of everything that is there and isn't in every namespace."""
        found = self.kubectl("get", LEFT_BEHIND, "-o", "name").split()
        return {each for each in found if not each.startswith("configmap/") and each != "serviceaccount/default"}

    def cluster_wide(self) -> set[str]:
        found = self.kubectl("get", CLUSTER_WIDE, "-o", "name").split()
        return {each for each in found if each.endswith(f"/{self.name}")}

    def gone(self) -> bool:
        return not self.names() and not self.cluster_wide()


@pytest.fixture
def release(cluster: RealCluster, request: pytest.FixtureRequest) -> Iterator[Release]:
    chart = request.param
    made = Release(cluster, f"e2e-{uuid.uuid4().hex[:6]}", chart)
    cluster.kubectl("create", "namespace", made.namespace)
    yield made
    if made.names():
        made.helm("uninstall", made.name, "--ignore-not-found")
    cluster.kubectl("delete", "namespace", made.namespace, "--wait=false")


def flow_values(cluster: RealCluster, exit_code: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "image": cluster.image,
        "imagePullPolicy": cluster.pull_policy,
        "command": ["python3", "-c", MAIN % exit_code],
        "onStart": ["/hooks/hooks.py:prepare"],
        "onExit": [{"call": "/hooks/hooks.py:report", "with": {"who": "ops"}}],
        "callbacks": {"files": {"hooks.py": HOOKS}},
        "podhooks": {"runtime": {"image": cluster.settings.image, "pullPolicy": cluster.pull_policy}},
        "podSecurityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "fullnameOverride": "flow",
        **more,
    }


def on_exit_says(release: Release, job: str, what: str) -> None:
    def said() -> bool:
        return what in release.cluster.kubectl(
            "-n", release.namespace, "logs", f"job/{job}", "-c", "on-exit", check=False
        )

    release.cluster.until(said, f"on-exit of {job} says {what!r}")


@pytest.mark.parametrize("release", ["flow-job"], indirect=True)
def test_flow_job_runs_is_tested_runs_anew_when_upgraded_and_goes(cluster: RealCluster, release: Release) -> None:
    """In a namespace that Pod Security holds to "restricted"."""
    release.kubectl("label", "namespace", release.namespace, "pod-security.kubernetes.io/enforce=restricted")
    release.install(flow_values(cluster))
    release.kubectl("wait", "--for=condition=Complete", "job/flow-1", "--timeout=120s")
    on_exit_says(release, "flow-1", "tells ops Succeeded 0 main found a greeting")
    assert "0 problems" in release.helm("test", release.name, "--logs")
    release.helm("upgrade", release.name, release.chart, values=flow_values(cluster, exit_code=3))
    release.kubectl("wait", "--for=condition=Failed", "job/flow-2", "--timeout=120s")
    on_exit_says(release, "flow-2", "tells ops Failed 3 main found a greeting")
    release.helm("uninstall", release.name)
    cluster.until(release.gone, f"all of {release.name} is gone: {release.names()}")


@pytest.mark.parametrize("release", ["flow-job"], indirect=True)
def test_flow_job_with_a_schedule_is_started_by_hand(cluster: RealCluster, release: Release) -> None:
    values = flow_values(cluster, schedule="0 3 * * *")
    release.install({**values, "podhooks": {**values["podhooks"], "mode": "classic"}})
    release.kubectl("create", "job", "flow-now", "--from=cronjob/flow")
    release.kubectl("wait", "--for=condition=Complete", "job/flow-now", "--timeout=120s")
    on_exit_says(release, "flow-now", "tells ops Succeeded 0 main found a greeting")


@pytest.mark.parametrize("release", ["flow-job"], indirect=True)
def test_the_test_of_flow_job_finds_a_callback_that_is_not_there(cluster: RealCluster, release: Release) -> None:
    release.install(flow_values(cluster, onStart=["/hooks/hooks.py:prepaer"], schedule="0 3 * * *"))
    with pytest.raises(AssertionError, match="failed"):
        release.helm("test", release.name)
    assert "did you mean" in release.kubectl("logs", "flow-test")


@pytest.mark.parametrize("release", ["podhooks"], indirect=True)
def test_the_operator_injects_what_helm_did_not_and_goes_without_a_trace(
    cluster: RealCluster, release: Release, request: pytest.FixtureRequest
) -> None:
    operator_image = request.config.getoption("--operator-image")
    if not operator_image:
        pytest.skip("needs --operator-image, built as docs/image.md says")
    repository, _, tag = operator_image.rpartition(":")
    runtime = {"image": cluster.settings.image, "pullPolicy": cluster.pull_policy}
    image = {"repository": repository, "tag": tag, "pullPolicy": cluster.pull_policy}
    release.install({"image": image, "runtime": runtime, "optIn": True, "fullnameOverride": release.name})
    release.kubectl("rollout", "status", f"deployment/{release.name}", "--timeout=120s")
    assert "on-exit, on-start" in release.helm("test", release.name, "--logs")
    upgraded = {"image": image, "runtime": runtime, "optIn": True, "fullnameOverride": release.name, "replicas": 1}
    release.helm("upgrade", release.name, release.chart, values=upgraded)
    bundle = release.kubectl(
        "get", "mutatingwebhookconfiguration", release.name, "-o", "jsonpath={.webhooks[0].clientConfig.caBundle}"
    )
    assert bundle
    pods = Release(cluster, "flow", "flow-job")
    cluster.kubectl("create", "namespace", pods.namespace)
    try:
        cluster.kubectl("label", "namespace", pods.namespace, "podhooks.io/injection=enabled")
        check_injection(pods)
    finally:
        cluster.kubectl("delete", "namespace", pods.namespace, "--wait=false")
    release.helm("uninstall", release.name)
    cluster.until(release.gone, f"all of {release.name} is gone")


def check_injection(pods: Release) -> None:
    """An annotated pod gets our containers; one that Helm has injected stays as it is."""
    made = dry_run(pods, {"podhooks.io/on-exit": "a:b"})
    assert [each["name"] for each in made["spec"]["initContainers"]] == ["on-exit", "on-start"]
    cluster = pods.cluster
    pods.install(flow_values(cluster))
    template = json.loads(pods.kubectl("get", "job", "flow-1", "-o", "json"))["spec"]["template"]
    pods.kubectl("wait", "--for=condition=Complete", "job/flow-1", "--timeout=120s")
    (pod,) = json.loads(pods.kubectl("get", "pods", "-l", "job-name=flow-1", "-o", "json"))["items"]
    assert pod["metadata"]["annotations"] == template["metadata"]["annotations"]
    names = [each["name"] for each in pod["spec"]["initContainers"]]
    assert names == [each["name"] for each in template["spec"]["initContainers"]]


@pytest.mark.parametrize("release", ["podhooks"], indirect=True)
def test_the_policy_from_the_chart_injects_and_goes(cluster: RealCluster, release: Release) -> None:
    runtime = {"image": cluster.settings.image, "pullPolicy": cluster.pull_policy}
    values = {"injector": "policy", "optIn": True, "runtime": runtime, "fullnameOverride": release.name}
    release.install(values)
    pods = Release(cluster, "flow", "flow-job")
    cluster.kubectl("create", "namespace", pods.namespace)
    try:
        cluster.kubectl("label", "namespace", pods.namespace, "podhooks.io/injection=enabled")

        def injected() -> bool:
            return "initContainers" in dry_run(pods, {"podhooks.io/on-exit": "a:b"})["spec"]

        cluster.until(injected, "the policy is in force")
    finally:
        cluster.kubectl("delete", "namespace", pods.namespace, "--wait=false")
    release.helm("uninstall", release.name)
    cluster.until(release.gone, f"all of {release.name} is gone")


def dry_run(pods: Release, annotations: dict[str, str]) -> dict[str, Any]:
    """The pod as the API server would store it."""
    spec = {"restartPolicy": "Never", "containers": [{"name": "main", "image": pods.cluster.image}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "try", "annotations": annotations}, "spec": spec}
    command = ("create", "--dry-run=server", "-o", "json", "-f", "-")
    found: dict[str, Any] = json.loads(pods.kubectl(*command, stdin=json.dumps(pod)))
    return found


@pytest.mark.parametrize("release", ["flow-job"], indirect=True)
def test_the_flow_job_manifest_runs_as_it_stands(cluster: RealCluster, release: Release) -> None:
    """Images and the namespace aside, which are this cluster's."""
    text = (MANIFESTS / "flow-job.yaml").read_text()
    objects = [here(each.value, release) for each in parse(text, "flow-job.yaml").documents]
    release.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    release.kubectl("wait", "--for=condition=Complete", "job/flow", "--timeout=120s")
    on_exit_says(release, "flow", "Succeeded, exit code 0")


def here(value: Any, release: Release) -> Any:
    """The object with this cluster's images, pull policy and namespace in the place of its own."""
    if isinstance(value, list):
        return [here(each, release) for each in value]
    if not isinstance(value, dict):
        return value
    made = {key: here(each, release) for key, each in value.items()}
    policy = release.cluster.pull_policy
    if made.get("namespace") == "default":
        made["namespace"] = release.namespace
    if isinstance(made.get("image"), str):
        made |= {"image": release.cluster.image, "imagePullPolicy": policy}
    if "reference" in made:
        made |= {"reference": release.cluster.settings.image, "pullPolicy": policy}
    return made


@pytest.mark.parametrize("name", ["job", "cronjob", "rbac", "admission-policy"])
def test_the_api_server_takes_the_other_manifests_as_they_stand(cluster: RealCluster, name: str) -> None:
    """operator.yaml makes its own namespace, which a dry run doesn't; its objects are the chart's."""
    cluster.kubectl("-n", "default", "apply", "--dry-run=server", "-f", str(MANIFESTS / f"{name}.yaml"))
