"""The Job of a job file with the flow in it; the objects of a Dask cluster."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from podhooks import DaskKubernetesEnvironment, KubernetesJobEnvironment, LocalEnvironment
from podhooks.environments import dask_cluster, manifest
from podhooks.environments.dask_cluster import ClusterSpec
from podhooks.environments.manifest import Call, Wanted
from podhooks.environments.pickling import SecretFile
from podhooks.errors import InputError

OLD_JOB_FILE = """\
apiVersion: batch/v1
kind: Job
metadata:
  name: custom-job
  labels: {team: data}
spec:
  template:
    metadata:
      labels: {team: data}
      annotations: {podhooks.io/on-exit-timeout: 7s}
    spec:
      restartPolicy: Never
      containers:
        - name: flow-container
          image: registry/flow:1
          command: ["/bin/sh", "-c"]
          args: ["python -c 'import prefect; prefect.environments.execution.load_and_run_flow()'"]
          env: [{name: PREFECT__CONTEXT__NAMESPACE, value: data}, {name: KEPT, value: "1"}]
        - name: proxy
          image: registry/proxy:1
"""


def wanted(**changes: Any) -> Wanted:
    return Wanted(name="job-1", namespace="data", call=Call("m:f", '{"x": "$(HOME)"}'), python="python3", **changes)


@pytest.fixture
def job_file(tmp_path: Path) -> Path:
    path = tmp_path / "job.yaml"
    path.write_text(OLD_JOB_FILE)
    return path


def test_an_old_job_file(job_file: Path) -> None:
    spec = manifest.read_job_file(job_file)
    annotations = {"podhooks.io/on-exit": '[{"call": "m:g"}]'}
    job = manifest.filled(spec, wanted(labels={"gpu": ""}, annotations=annotations, env={"KEPT": "2", "NEW": "3"}))
    template = job["spec"]["template"]
    main, proxy = template["spec"]["containers"]
    assert job["metadata"] == {"name": "job-1", "namespace": "data", "labels": {"team": "data", "gpu": ""}}
    assert template["metadata"]["labels"] == {"team": "data", "gpu": ""}
    assert template["metadata"]["annotations"] == {
        "podhooks.io/on-exit-timeout": "7s",
        "podhooks.io/on-exit": '[{"call": "m:g"}]',
        "podhooks.io/main-container": "flow-container",
    }
    assert main["command"][:3] == ["python3", "-u", "-c"]
    assert main["command"][4:] == ["m:f", '{"x": "$$(HOME)"}', "/dev/termination-log"]
    assert "args" not in main
    assert main["image"] == "registry/flow:1"
    assert [each["name"] for each in main["env"]] == ["PREFECT__CONTEXT__NAMESPACE", "KEPT", "NEW"]
    assert main["env"][1]["value"] == "1"
    given = [{"name": "KEPT", "value": "2"}, {"name": "NEW", "value": "3"}]
    assert proxy == {"name": "proxy", "image": "registry/proxy:1", "env": given}
    assert job["spec"]["backoffLimit"] == 0
    assert manifest.read_job_file(job_file) == spec
    kubernetes_validate.validate(job, "1.36", strict=True)


def test_an_image_that_is_given_wins(job_file: Path) -> None:
    job = manifest.filled(manifest.read_job_file(job_file), wanted(image="mine:2"))
    assert job["spec"]["template"]["spec"]["containers"][0]["image"] == "mine:2"


def test_pickled_functions_are_a_volume_of_the_jobs_secret() -> None:
    files = (SecretFile("a.py", "a.py", b"1"), SecretFile("cloudpickle-b.py", "cloudpickle/b.py", b"2"))
    job = manifest.filled(manifest.DEFAULT_SPEC, wanted(image="i", pickled_dir="/etc/podhooks"))
    job = manifest.with_items(job, files)
    pod = job["spec"]["template"]["spec"]
    assert pod["volumes"][0]["secret"] == {
        "secretName": "job-1",
        "items": [{"key": "a.py", "path": "a.py"}, {"key": "cloudpickle-b.py", "path": "cloudpickle/b.py"}],
    }
    assert pod["containers"][0]["volumeMounts"][0]["mountPath"] == "/etc/podhooks"
    made = {"metadata": {"name": "job-1", "uid": "u-1"}}
    secret = manifest.owned_by(manifest.secret("job-1", "data", files), made)
    assert secret["metadata"]["ownerReferences"] == [
        {"apiVersion": "batch/v1", "kind": "Job", "name": "job-1", "uid": "u-1"}
    ]
    for each in (job, secret):
        kubernetes_validate.validate(each, "1.36", strict=True)


JOB: dict[str, Any] = {
    "metadata": {"name": "x"},
    "spec": {"template": {"spec": {"containers": [{"name": "a", "image": "i"}]}}},
}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "holds 0 documents: it must be one Job"),
        ("--- 1\n--- 2\n", "holds 2 documents"),
        ("[1]", "holds no mapping"),
        ("a: [1", ":2:1: not YAML"),
        (b"\xff\xfe", "isn't UTF-8 text"),
        ({**JOB, "kind": "Pod", "apiVersion": "v1"}, "is a Pod of v1: it must be a Job of batch/v1"),
        ({"metadata": {"name": "x"}}, "has no spec: write a whole Job"),
        ({"metadata": {"name": "x"}, "spec": {"template": None}}, "has no spec.template"),
        ({**JOB, "spec": {"template": {"spec": {"containers": []}}}}, "containers is empty"),
    ],
)
def test_job_files_that_can_not_be_used(tmp_path: Path, content: Any, said: str) -> None:
    path = tmp_path / "job.yaml"
    text = json.dumps(content) if isinstance(content, dict) else content
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError) as caught:
        KubernetesJobEnvironment(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_job_file_that_can_not_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"job_spec_file .*: can't be read"):
        KubernetesJobEnvironment(tmp_path / name)


def test_callbacks_may_be_in_the_job_file_or_here_but_not_in_both(tmp_path: Path) -> None:
    template = {**JOB["spec"]["template"], "metadata": {"annotations": {"podhooks.io/on-exit": "m:f"}}}
    path = tmp_path / "job.yaml"
    path.write_text(json.dumps({**JOB, "spec": {"template": template}}))
    KubernetesJobEnvironment(path, on_start="m:g")
    with pytest.raises(InputError, match=r"has the annotation podhooks.io/on-exit, and on_exit= is given, too"):
        KubernetesJobEnvironment(path, on_exit="m:g")


def test_an_image_must_be_named_somewhere() -> None:
    with pytest.raises(InputError, match="no image is named for the flow: give image="):
        manifest.filled(manifest.DEFAULT_SPEC, wanted())


def test_unique_names_fit() -> None:
    assert len(manifest.unique("x" * 70)) == 63
    assert manifest.unique("a") != manifest.unique("a")
    assert "--" not in manifest.unique("a" * 53 + "-bcd")


# -- what main's container runs -------------------------------------------------------------------------------------


def run_main(tmp_path: Path, reference: str, parameters: str = "{}") -> tuple[int, str, str]:
    """Exit code, output and termination message, with an interpreter that has nothing of ours."""
    message = tmp_path / "message"
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n" + without_future()]
    ran = subprocess.run(
        [*command, reference, parameters, str(message)],
        capture_output=True,
        text=True,
        timeout=50,
        env={name: value for name, value in os.environ.items() if not name.startswith("PODHOOKS")},
    )
    return ran.returncode, ran.stdout + ran.stderr, message.read_text() if message.exists() else ""


def without_future() -> str:
    text = manifest.bootstrap()
    assert text.startswith("from __future__ import annotations\n")
    assert '"""' not in text.split("def main")[0]
    return text.removeprefix("from __future__ import annotations\n")


FLOWS = """
import sys
def good(x): print("x is", x)
async def later(x): print("later", x)
def bad(): raise ValueError("no\\nrows")
def leaves(): sys.exit(5)
class Steps:
    @staticmethod
    def first(): print("first")
"""


@pytest.mark.parametrize(
    ("reference", "parameters", "code", "said", "message"),
    [
        ("etl:good", '{"x": "ä$"}', 0, "x is ä$", ""),
        ("etl:later", '{"x": 2}', 0, "later 2", ""),
        ("etl:Steps.first", "{}", 0, "first", ""),
        ("etl:bad", "{}", 1, "ValueError: no", "ValueError: no rows"),
        ("etl:leaves", "{}", 5, "", ""),
        ("etl:good", "{}", 1, "TypeError", "TypeError: good() missing"),
        ("elt:good", "{}", 2, "error: the flow elt:good can't be used", "No module named 'elt'"),
        ("etl:goood", "{}", 2, "error: the flow etl:goood can't be used", "has no attribute 'goood'"),
        ("broken:f", "{}", 2, "Traceback", "ZeroDivisionError"),
    ],
)
def test_main(tmp_path: Path, reference: str, parameters: str, code: int, said: str, message: str) -> None:
    (tmp_path / "etl.py").write_text(FLOWS)
    (tmp_path / "broken.py").write_text("1/0")
    found = run_main(tmp_path, reference, parameters)
    assert found[0] == code, found
    assert said in found[1]
    assert message in found[2]
    assert bool(message) == bool(found[2])


PREFECT = """
class Flow:
    def __call__(self, **parameters): print("a new run", parameters)
def load_flow_run(run_id): return f"run {run_id.hex[:4]}"
def run_flow(flow, *, flow_run, parameters): print(flow_run, parameters)
"""


@pytest.mark.parametrize(
    ("run_id", "said"),
    [("", "a new run {'x': 1}"), ("abcd0000-0000-0000-0000-000000000000", "run abcd {'x': 1}")],
)
def test_a_prefect_flow_is_the_flow_run_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_id: str, said: str
) -> None:
    """With a stand-in for Prefect, which has these two functions at this place."""
    (tmp_path / "prefect").mkdir()
    (tmp_path / "prefect" / "__init__.py").touch()
    (tmp_path / "prefect" / "flow_engine.py").write_text(PREFECT)
    (tmp_path / "etl.py").write_text("from prefect.flow_engine import Flow\nflow = Flow()\n")
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", run_id)
    assert run_main(tmp_path, "etl:flow", '{"x": 1}') == (0, f"{said}\n", "")


# -- Dask -----------------------------------------------------------------------------------------------------------


def test_a_dask_cluster() -> None:
    spec = ClusterSpec(min_workers=2, max_workers=5, image="dask:1", image_pull_secrets=("a", "b"), work_stealing=False)
    cluster, autoscaler = dask_cluster.cluster_objects("etl-1", "data", spec)
    assert cluster["metadata"] == {"name": "etl-1", "namespace": "data"}
    assert cluster["spec"]["worker"]["replicas"] == 2
    for part in ("scheduler", "worker"):
        pod = cluster["spec"][part]["spec"]
        assert pod["imagePullSecrets"] == [{"name": "a"}, {"name": "b"}]
        assert pod["containers"][0]["image"] == "dask:1"
        assert pod["containers"][0]["env"][0]["value"] == "False"
    assert autoscaler["spec"] == {"cluster": "etl-1", "minimum": 2, "maximum": 5}
    assert len(dask_cluster.cluster_objects("x", "data", ClusterSpec(min_workers=2, max_workers=2))) == 1


def test_our_cluster_is_what_dask_kubernetes_makes() -> None:
    pytest.importorskip("dask_kubernetes")
    spec = ClusterSpec(image="dask:1")
    theirs = dask_cluster._by_dask_kubernetes("etl", spec)
    assert dask_cluster._without_nulls(theirs) == dask_cluster.own_cluster("etl", spec)


def test_dask_is_started_by_the_program_that_distributed_has() -> None:
    """dask-kubernetes 2026.3 writes `dask-scheduler` and `dask-worker`, which are gone since distributed 2026.6."""
    pytest.importorskip("dask_kubernetes")
    made = dask_cluster.cluster_objects("etl", "data", ClusterSpec())[0]["spec"]
    first = {part: made[part]["spec"]["containers"][0]["args"][:2] for part in ("scheduler", "worker")}
    assert first == {"scheduler": ["dask", "scheduler"], "worker": ["dask", "worker"]}


def test_pods_from_files(tmp_path: Path) -> None:
    pod = {"kind": "Pod", "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "w", "image": "mine"}]}}
    (tmp_path / "pod.yaml").write_text(json.dumps(pod))
    environment = DaskKubernetesEnvironment(worker_spec_file=tmp_path / "pod.yaml", image_pull_secret="a, b")
    assert environment.cluster_spec.image_pull_secrets == ("a", "b")
    cluster = dask_cluster.cluster_objects("etl", "data", environment.cluster_spec)[0]
    assert cluster["spec"]["worker"] == {"replicas": 1, "metadata": pod["metadata"], "spec": pod["spec"]}
    assert cluster["spec"]["scheduler"]["service"]["type"] == "ClusterIP"


def test_a_scheduler_spec_of_the_old_kind_is_the_flows_job(job_file: Path) -> None:
    environment = DaskKubernetesEnvironment(scheduler_spec_file=job_file)
    assert environment.job_spec_file == job_file
    assert environment.cluster_spec.scheduler is None
    with pytest.raises(InputError, match="is a Job, and job_spec_file is given, too"):
        DaskKubernetesEnvironment(scheduler_spec_file=job_file, job_spec_file=job_file)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"min_workers": -1}, "min_workers: -1 isn't a number of workers"),
        ({"min_workers": "2"}, "min_workers: '2' isn't"),
        ({"min_workers": 3}, "max_workers: 2 is less than min_workers"),
        ({"min_workers": 0, "max_workers": 0}, "no worker at all"),
        ({"worker_spec_file": "/nowhere"}, "worker_spec_file /nowhere: can't be read"),
        ({"worker_spec_file": os.devnull}, "holds 0 documents: it must be one object"),
    ],
)
def test_what_makes_no_dask_cluster(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        DaskKubernetesEnvironment(**arguments)
    assert said in str(caught.value)


# -- PIN-12's time --------------------------------------------------------------------------------------------------


def written(path: Path, job: dict[str, Any]) -> Path:
    path.write_text(json.dumps(job))
    return path


def job_with(pod: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    template = {"spec": {**JOB["spec"]["template"]["spec"], **(pod or {})}}
    return {"metadata": {"name": "x"}, "spec": {"template": template, **spec}}


def test_a_file_that_does_not_say_how_often_is_tried_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "job.yaml"
    cases: list[tuple[dict[str, Any], dict[str, Any], int | None, str | None]] = [
        ({}, {}, 0, None),
        ({"restartPolicy": "OnFailure"}, {}, 0, "Never"),
        ({"restartPolicy": "OnFailure"}, {"backoffLimit": 0}, 0, "OnFailure"),
        ({}, {"backoffLimitPerIndex": 1, "completionMode": "Indexed", "completions": 2}, None, None),
    ]
    for pod, spec, limit, policy in cases:
        found = manifest.read_job_file(written(path, job_with(pod, **spec)))["spec"]
        assert (found.get("backoffLimit"), found["template"]["spec"].get("restartPolicy")) == (limit, policy)
    KubernetesJobEnvironment(path)
    assert capfd.readouterr().err == ""
    KubernetesJobEnvironment(written(path, job_with(backoffLimit=4)))
    assert "job.yaml: has spec.backoffLimit: 4, so Kubernetes runs a flow that failed up to 4 times more" in (
        capfd.readouterr().err
    )


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        (None, r"load-rows-\w{8}"),
        ({}, r"load-rows-\w{8}"),
        ({"generateName": "etl-"}, r"etl-\w{8}"),
        ({"name": "x"}, "x"),
    ],
)
def test_a_file_needs_no_name(tmp_path: Path, metadata: dict[str, str] | None, name: str) -> None:
    def load_rows() -> None: ...

    environment = KubernetesJobEnvironment(written(tmp_path / "job.yaml", {**JOB, "metadata": metadata}))
    assert re.fullmatch(name, environment._name(load_rows))
    draft = environment.draft(environment.planned(lambda *_: ""))
    assert "generateName" not in draft["metadata"]


def test_the_image_of_metadata_is_the_flows(tmp_path: Path) -> None:
    path = written(tmp_path / "job.yaml", JOB)
    environment = KubernetesJobEnvironment(path, metadata={"image": "mine:2"})
    draft = environment.draft(environment.planned(lambda *_: ""))
    assert draft["spec"]["template"]["spec"]["containers"][0]["image"] == "mine:2"
    assert DaskKubernetesEnvironment(metadata={"image": "mine:2"}).cluster_spec.image == "mine:2"
    assert KubernetesJobEnvironment(path, metadata={"image": "a"}, image="a").image == "a"
    with pytest.raises(InputError, match=r"image: is 'b', and metadata has the image 'a': give one of them"):
        KubernetesJobEnvironment(path, metadata={"image": "a"}, image="b")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: KubernetesJobEnvironment(None, False, "registry/etl:1"), "image='registry/etl:1'"),  # type: ignore[arg-type]
        (lambda: KubernetesJobEnvironment(executor=object()), "give the flow itself a task runner"),  # type: ignore[arg-type]
        (lambda: LocalEnvironment(object()), "executor: is an argument of Prefect 0.15"),  # type: ignore[arg-type]
        (lambda: DaskKubernetesEnvironment(1, 2, True, True), "scheduler_logs: .* the scheduler is a pod of its own"),
        (lambda: DaskKubernetesEnvironment(private_registry=True), "private_registry: .* give image_pull_secret="),
        (lambda: DaskKubernetesEnvironment(docker_secret="D"), "docker_secret: .* image_pull_secret="),  # type: ignore[arg-type]
        (lambda: DaskKubernetesEnvironment(log_k8s_errors=True), "log_k8s_errors: .* are always told"),
    ],
)
def test_arguments_that_mean_nothing_any_more_are_refused_with_a_sentence(make: Any, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_old_worker_specs_are_warned_of(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The one that came with 0.15, and one whose author took it for a Deployment's."""
    shell = ["/bin/sh", "-c", "exec dask-worker --no-bokeh"]
    containers = [{"name": "w", "args": ["dask-worker", "--no-bokeh", "--death-timeout", "60"]}, {"command": shell}]
    path = written(tmp_path / "pod.yaml", {"kind": "Pod", "spec": {"replicas": 3, "containers": containers}})
    environment = DaskKubernetesEnvironment(worker_spec_file=path, image="mine:2")
    said = capfd.readouterr().err
    assert f"worker_spec_file {path}: spec.replicas is no field of a pod" in said
    for number in (0, 1):
        assert f"containers[{number}]: dask-worker is gone from distributed since 2026.6: write `dask worker`" in said
        assert f"containers[{number}]: --no-bokeh is an option that no dask worker has any more" in said
    worker = dask_cluster.cluster_objects("etl", "data", environment.cluster_spec)[0]["spec"]["worker"]
    assert worker["replicas"] == 1
    assert "replicas" not in worker["spec"]
    assert [each["image"] for each in worker["spec"]["containers"]] == ["mine:2"] * 2
    today = {"kind": "Pod", "spec": {"containers": [{"name": "w", "args": ["dask", "worker", "--no-dashboard"]}]}}
    DaskKubernetesEnvironment(worker_spec_file=written(path, today))
    assert capfd.readouterr().err == ""
