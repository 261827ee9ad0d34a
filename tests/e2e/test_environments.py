"""The contract of callbacks on a real cluster, and what only a cluster can show: rights, lost memory, nothing left."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from podhooks import KubernetesJobEnvironment
from podhooks.context import Result
from podhooks.environments.job_handle import JobHandle
from podhooks.errors import InputError
from tests.e2e.cluster import RealCluster
from tests.integration import environment_callbacks as callbacks
from tests.integration.environment_contract import Contract, Site

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
CONFIG_MAP = "environment-callbacks"


class OnTheCluster(Site):
    """Callbacks leave word in their containers' logs, which are read before the Job is deleted."""

    main_can_kill_itself = False

    def __init__(self, cluster: RealCluster, job_file: Path) -> None:
        self._cluster = cluster
        self._job_file = job_file
        self._words: list[tuple[str, dict[str, Any]]] = []

    def execute(self, flow: Any, parameters: Mapping[str, Any], **arguments: Any) -> JobHandle:
        return self.environment(**arguments).execute(flow, parameters)

    def environment(self, **arguments: Any) -> KubernetesJobEnvironment:
        return KubernetesJobEnvironment(
            self._job_file,
            unique_job_name=True,
            namespace=self._cluster.namespace,
            kubeconfig=self._cluster.kubeconfig,
            settings=self._cluster.settings,
            **arguments,
        )

    def run(self, flow: Any, parameters: Mapping[str, Any] | None = None, **arguments: Any) -> JobHandle:
        handle = super().run(flow, parameters, **arguments)
        assert isinstance(handle, JobHandle)
        started = {each.hook.value for each in handle.callbacks}
        end = handle.exit_info
        has_run = end is not None and end.result not in (Result.START_FAILED, Result.NEVER_STARTED)
        for container in ("on-start", None, "on-exit"):
            if (container in started) if container else has_run:
                self._words += words_in(handle, container)
        return handle

    def words(self) -> list[tuple[str, dict[str, Any]]]:
        return self._words

    def left(self) -> str:
        return self._cluster.kubectl("get", "jobs,secrets,pods", "-o", "name", "-l", "!word")


def words_in(handle: JobHandle, container: str | None) -> list[tuple[str, dict[str, Any]]]:
    marked = (line.partition(f"{callbacks.WORD} ")[2] for line in handle.logs(container))
    return [(line.partition(" ")[0], json.loads(line.partition(" ")[2])) for line in marked if line]


def job_file(cluster: RealCluster) -> dict[str, Any]:
    """The module of the callbacks is mounted beside main's image, as it would be inside of it."""
    path = f"{callbacks.__name__.replace('.', '/')}.py"
    items = [{"key": "callbacks.py", "path": path}]
    container = {
        "name": "flow",
        "image": cluster.image,
        "imagePullPolicy": cluster.pull_policy,
        "env": [{"name": "PYTHONPATH", "value": "/app"}],
        "volumeMounts": [{"name": "app", "mountPath": "/app"}],
    }
    volumes = [{"name": "app", "configMap": {"name": CONFIG_MAP, "items": items}}]
    pod = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 3, "containers": [container], "volumes": volumes}
    return {"metadata": {"name": "flow"}, "spec": {"backoffLimit": 0, "template": {"spec": pod}}}


@pytest.fixture(scope="module")
def with_callbacks(cluster: RealCluster) -> Iterator[RealCluster]:
    assert callbacks.__file__ is not None
    cluster.kubectl("create", "configmap", CONFIG_MAP, f"--from-file=callbacks.py={callbacks.__file__}")
    yield cluster
    cluster.kubectl("delete", "configmap", CONFIG_MAP)


@pytest.fixture
def site(with_callbacks: RealCluster, tmp_path: Path) -> OnTheCluster:
    path = tmp_path / "job.yaml"
    path.write_text(json.dumps(job_file(with_callbacks)))
    return OnTheCluster(with_callbacks, path)


class TestThere(Contract):
    pass


def test_main_runs_out_of_memory(site: OnTheCluster, with_callbacks: RealCluster, tmp_path: Path) -> None:
    spec = job_file(with_callbacks)
    spec["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"memory": "64Mi"}}
    (tmp_path / "job.yaml").write_text(json.dumps(spec))

    def eats() -> None:
        bytearray(300 << 20)

    with site.run(eats, on_exit=callbacks.takes_context) as handle:
        assert handle.wait().result is Result.OOM_KILLED
    assert dict(site.words())["context"]["exit"]["result"] == "OOMKilled"


def test_a_deleted_run_runs_on_exit_and_leaves_nothing(site: OnTheCluster) -> None:
    def waits() -> None:
        print("main runs", flush=True)
        time.sleep(100)

    with site.execute(waits, {}, on_exit=lambda: None) as handle:
        assert next(handle.logs()) == "main runs"
    assert handle.wait(1).result is Result.DELETED
    assert [each.outcome and each.outcome.status.value for each in handle.callbacks] == ["succeeded"]
    assert handle.name not in site.left()


def test_a_flow_that_the_image_does_not_have(site: OnTheCluster) -> None:
    module = type(sys)("module_of_nobody")

    def flow() -> None: ...

    flow.__module__, flow.__qualname__ = "module_of_nobody", "flow"
    module.flow = flow  # type: ignore[attr-defined]
    sys.modules["module_of_nobody"] = module
    try:
        with site.run(flow) as handle:
            end = handle.wait()
            assert end.exit_code == 2
            assert "the flow module_of_nobody:flow can't be used in this image" in end.message
            assert "No module named 'module_of_nobody'" in end.message
    finally:
        del sys.modules["module_of_nobody"]


def test_what_the_cluster_refuses_leaves_nothing(
    site: OnTheCluster, with_callbacks: RealCluster, tmp_path: Path
) -> None:
    spec = job_file(with_callbacks)
    spec["metadata"]["name"] = "Not A Name"
    (tmp_path / "job.yaml").write_text(json.dumps(spec))
    before = site.left()
    with pytest.raises(InputError, match="Not A Name"):
        site.execute(callbacks.flow, {}, on_exit=lambda: None)
    assert site.left() == before


def test_without_the_right_to_create_secrets_nothing_is_created(
    site: OnTheCluster, with_callbacks: RealCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = with_callbacks
    cluster.kubectl("create", "serviceaccount", "jobs-only")
    cluster.kubectl("create", "role", "jobs-only", "--verb=create,get,list,watch,delete", "--resource=jobs,pods")
    account = f"{cluster.namespace}:jobs-only"
    cluster.kubectl("create", "rolebinding", "jobs-only", "--role=jobs-only", f"--serviceaccount={account}")
    token = cluster.kubectl("create", "token", "jobs-only").strip()
    config = json.loads(cluster.kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json"))
    config["users"][0]["user"] = {"token": token}
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))
    before = site.left()
    environment = site.environment(on_exit=lambda: None)
    environment.kubeconfig = str(path)
    with pytest.raises(
        InputError, match=r"Secret/flow-\w+ in namespace .* cannot create resource \"secrets\".*ask for"
    ):
        environment.execute(callbacks.flow)
    assert site.left() == before
