"""DaskKubernetesEnvironment on the stand-in, which keeps Dask's objects and makes nothing of them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from podhooks import DaskKubernetesEnvironment, Result
from podhooks.cluster.backend import Backend, Selection
from podhooks.environments.dask_kubernetes import DELETE_CLUSTER
from podhooks.errors import InputError
from tests.integration import environment_callbacks as callbacks
from tests.integration.environment_callbacks import WORD_DIR
from tests.integration.test_environments_contract import words_in, write_job_file

SECONDS = 50.0


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., DaskKubernetesEnvironment]:
    (tmp_path / "words").mkdir()
    monkeypatch.setenv(WORD_DIR, str(tmp_path / "words"))
    write_job_file(tmp_path / "job.yaml", tmp_path / "words")

    def make(**arguments: Any) -> DaskKubernetesEnvironment:
        return DaskKubernetesEnvironment(job_spec_file=tmp_path / "job.yaml", cluster="local", **arguments)

    return make


def backend_of(environment: DaskKubernetesEnvironment) -> Backend:
    assert environment._standing is not None
    return environment._standing.backend


def there(backend: Backend) -> list[str]:
    kinds = ("DaskCluster", "DaskAutoscaler", "Job", "Secret", "Pod")
    return [kind for kind in kinds for _ in backend.list(Selection(kind, "default"))[0]]


def scheduler_flow() -> None:
    callbacks.leave("main", scheduler=os.environ["DASK_SCHEDULER_ADDRESS"])


def test_the_cluster_is_there_from_setup_to_the_last_callback(
    make: Callable[..., DaskKubernetesEnvironment], tmp_path: Path
) -> None:
    environment = make(on_start=callbacks.takes_nothing, on_exit=lambda: callbacks.leave("exit"))
    environment.setup(scheduler_flow)
    backend = backend_of(environment)
    assert there(backend) == ["DaskCluster", "DaskAutoscaler"]
    with environment.execute(scheduler_flow) as handle:
        assert handle.wait(SECONDS).succeeded
        assert handle.callbacks[-1].name == DELETE_CLUSTER
        assert [each.outcome and each.outcome.status.value for each in handle.callbacks] == ["succeeded"] * 3
        assert "DaskCluster" not in there(backend)
        assert "DaskAutoscaler" not in there(backend)
    said = words_in(tmp_path / "words")
    assert [name for name, _ in said] == ["nothing", "main", "exit"]
    assert said[1][1]["scheduler"].startswith("tcp://scheduler-flow-")
    assert said[1][1]["scheduler"].endswith("-scheduler.default:8786")


def test_a_client_that_vanishes_leaves_no_cluster(make: Callable[..., DaskKubernetesEnvironment]) -> None:
    environment = make(on_exit=callbacks.fails, annotations={"podhooks.io/on-exit-retries": "0"})
    environment.setup(callbacks.vanishing_flow)
    backend = backend_of(environment)
    with environment.execute(callbacks.vanishing_flow, {"code": 9}) as handle:
        assert handle.wait(SECONDS).result is Result.FAILED
        assert [each.outcome and each.outcome.status.value for each in handle.callbacks] == ["failed", "succeeded"]
        assert "DaskCluster" not in there(backend)


def test_a_later_step_that_fails_removes_the_cluster(make: Callable[..., DaskKubernetesEnvironment]) -> None:
    environment = make()
    environment.setup(callbacks.flow)
    backend = backend_of(environment)
    backend.create({"apiVersion": "batch/v1", **job_named("flow")})
    removed: list[list[str]] = []
    close = backend.close
    backend.close = lambda: (removed.append(there(backend)), close())[1]  # type: ignore[method-assign,func-returns-value]
    with pytest.raises(InputError, match=r"Job/flow in namespace default: .*already exists"):
        environment.execute(callbacks.flow, {"value": 1})
    assert removed in ([["Job"]], [["Job", "Pod"]])


def job_named(name: str) -> dict[str, Any]:
    container = {"name": "c", "image": "i", "command": ["sleep", "30"]}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    return {"kind": "Job", "metadata": {"name": name, "namespace": "default"}, "spec": {"template": template}}


def test_the_job_is_tried_once_because_the_cluster_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    job = job_named("flow")
    path.write_text(json.dumps(job))
    environment = DaskKubernetesEnvironment(job_spec_file=path, cluster="local")
    assert environment.draft(environment.planned(lambda *_: ""))["spec"]["backoffLimit"] == 0
    job["spec"]["backoffLimit"] = 3
    path.write_text(json.dumps(job))
    with pytest.raises(InputError, match=r"job.yaml: has spec.backoffLimit: 3, but .*: make it 0"):
        DaskKubernetesEnvironment(job_spec_file=path, cluster="local")


def test_a_setup_that_nobody_uses_can_be_taken_back(make: Callable[..., DaskKubernetesEnvironment]) -> None:
    environment = make(max_workers=1)
    environment.setup(callbacks.flow)
    backend = backend_of(environment)
    assert there(backend) == ["DaskCluster"]
    environment.teardown()
    environment.teardown()
    assert environment._standing is None


def test_a_cluster_without_the_operator_says_so(tmp_path: Path) -> None:
    """A real API server answers 404 for kinds that nobody defined; so does any HTTP server."""
    import http.server
    import threading

    class NothingThere(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_error(404)

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), NothingThere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        user = {"name": "u", "user": {"token": "t"}}
        cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
        context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
        config = {"clusters": [cluster], "users": [user], "contexts": [context], "current-context": "x"}
        path = tmp_path / "kubeconfig"
        path.write_text(json.dumps(config))
        environment = DaskKubernetesEnvironment(image="i", kubeconfig=str(path))
        with pytest.raises(InputError, match="does the cluster have the Dask operator"):
            environment.setup(callbacks.flow)
        server.shutdown()
