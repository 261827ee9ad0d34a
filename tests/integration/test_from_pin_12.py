"""docs/from-pin-12.md against the original: Prefect 0.15.13 says what it did, our environments what they do.

The original has an environment of its own, beside the one that the tests run in. Where it can't be installed there is
nothing to compare with, and the tests are skipped.
"""

from __future__ import annotations

import fcntl
import inspect
import json
import os
import re
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest

from podhooks import DaskKubernetesEnvironment, KubernetesJobEnvironment, LocalEnvironment, Result
from podhooks.environments import RunFailed, dask_cluster
from podhooks.environments.dask_kubernetes import DELETE_CLUSTER
from podhooks.environments.job_handle import JobHandle
from podhooks.errors import InputError
from tests.integration import environment_callbacks as callbacks
from tests.integration import pin_12_files as written

pytestmark = pytest.mark.timeout(900)  # the original is installed once
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "from-pin-12.md").read_text(encoding="utf-8")
ORIGINAL = Path(__file__).with_name("pin_12_original.py")
SECONDS = 120.0
ROWS: set[str] = set()
Test = TypeVar("Test", bound=Callable[..., None])


def row(*topics: str) -> Callable[[Test], Test]:
    """The test is about these rows of the page's table."""
    ROWS.update(topics)
    return lambda test: test


@pytest.fixture(scope="module")
def original() -> dict[str, Any]:
    """What Prefect 0.15.13 did, by the topics of the page's rows."""
    python = _installed(Path(sys.prefix, "pin-12"))
    done = subprocess.run([python, ORIGINAL], capture_output=True, text=True, cwd="/", timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _installed(directory: Path) -> str:
    """The Python that has it. Made once for all processes that test."""
    python, ready = directory / "bin" / "python", directory / "ready"
    with Path(tempfile.gettempdir(), "podhooks-pin-12.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            venv.create(directory, with_pip=True, clear=True)
            packages = ("prefect==0.15.13", "kubernetes")
            done = subprocess.run([python, "-m", "pip", "install", "-q", *packages], capture_output=True, text=True)
            usable = subprocess.run([python, "-c", "import prefect.environments, kubernetes"], capture_output=True)
            if done.returncode or usable.returncode:
                pytest.skip(f"Prefect 0.15.13 can't be installed here: {done.stderr[-300:]}")
            ready.touch()
    return str(python)


@pytest.fixture
def job_file(tmp_path: Path) -> Path:
    return _file(tmp_path / "job.yaml", written.JOB)


def _file(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def job_of(environment: KubernetesJobEnvironment) -> dict[str, Any]:
    return environment.draft(environment.planned(lambda *_: "m:f"))


def containers_of(job: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = job["spec"]["template"]["spec"]["containers"]
    return found


def test_every_row_of_the_table_has_a_test() -> None:
    table = PAGE.partition("| | Prefect 0.15.13 | Podhooks |")[2].partition("\n\n")[0]
    assert {line.split(" | ")[0].removeprefix("| ") for line in table.splitlines()[2:]} == ROWS


# -- the same -------------------------------------------------------------------------------------------------------


def test_arguments_have_the_order_that_they_had(original: dict[str, Any]) -> None:
    for ours in (KubernetesJobEnvironment, LocalEnvironment, DaskKubernetesEnvironment):
        parameters = inspect.signature(ours.__init__).parameters.values()
        positional = [each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
        assert positional[1:] == original["the order of arguments"][ours.__name__]


# -- callbacks ------------------------------------------------------------------------------------------------------


@row("callbacks run")
def test_callbacks_run(original: dict[str, Any], tmp_path: Path) -> None:
    assert original["callbacks run"] == {"in main's process": True}
    LocalEnvironment(on_start=lambda: _file(tmp_path / "pid", str(os.getpid()))).execute(callbacks.flow)
    assert (tmp_path / "pid").read_text() != str(os.getpid())


@row("main is killed, runs out of memory, is evicted")
def test_a_main_that_is_killed(original: dict[str, Any], tmp_path: Path) -> None:
    assert original["main is killed, runs out of memory, is evicted"] == {"killed": True, "on_exit": False}
    report = lambda context: _file(tmp_path / "exit", str(context.exit.exit_code))  # noqa: E731
    LocalEnvironment(isolated=True, on_exit=report).execute(callbacks.killed_flow)
    assert (tmp_path / "exit").read_text() == "137"


@row("a callback hangs")
def test_a_callback_that_hangs(original: dict[str, Any]) -> None:
    assert original["a callback hangs"] == {"waited for": True}
    hook = {"exec": ["sleep", "600"], "timeout": "300ms", "retries": 0}
    handle = LocalEnvironment(on_exit=hook).execute(callbacks.flow)
    assert [each.outcome and each.outcome.status.value for each in handle.callbacks] == ["timed-out"]


@row("a callback changes a variable of Python")
def test_a_variable_of_python(original: dict[str, Any]) -> None:
    assert original["a callback changes a variable of Python"] == {"seen by main": True}
    values: list[int] = []
    handle = LocalEnvironment(on_start=lambda: values.append(1)).execute(lambda: len(values))
    assert handle.value == 0


@row("`on_start` fails")
def test_a_start_that_fails(original: dict[str, Any], tmp_path: Path) -> None:
    assert original["`on_start` fails"] == {"raised": "RuntimeError", "ran": []}
    report = lambda: _file(tmp_path / "exit", "")  # noqa: E731
    start = {"call": callbacks.fails, "retries": 0}
    handle = LocalEnvironment(on_start=start, on_exit=report).execute(lambda: _file(tmp_path / "flow", ""))
    assert handle.wait().result is Result.START_FAILED
    assert [each.name for each in tmp_path.iterdir()] == ["exit"]


@row("`on_exit` fails")
def test_an_exit_that_fails(original: dict[str, Any]) -> None:
    assert original["`on_exit` fails"] == {"raised": "RuntimeError"}
    handle = LocalEnvironment(on_exit={"call": callbacks.fails, "retries": 0}).execute(callbacks.flow)
    handle.check()
    assert [each.outcome and each.outcome.status.value for each in handle.callbacks] == ["failed"]


@row("the flow fails")
def test_a_flow_that_fails(original: dict[str, Any]) -> None:
    """0.15's run returned, so the container ended with 0."""
    assert original["the flow fails"] == {"raised": None, "ran": ["on_exit"]}
    handle = LocalEnvironment(isolated=True).execute(callbacks.failing_flow)
    assert handle.wait().exit_code == 1
    with pytest.raises(RunFailed):
        handle.check()


@row("a callback is given")
def test_a_callback_is_given(original: dict[str, Any], tmp_path: Path) -> None:
    assert original["a callback is given"] == {"arguments": [0], "one that needs an argument": "TypeError"}
    start = lambda context: _file(tmp_path / "hook", context.hook.value)  # noqa: E731
    LocalEnvironment(on_start=[start, lambda: None]).execute(callbacks.flow).check()
    assert (tmp_path / "hook").read_text() == "on-start"


# -- execute --------------------------------------------------------------------------------------------------------


@row("`execute` returns")
def test_execute_returns(original: dict[str, Any]) -> None:
    assert original["`execute` returns"] == {"value": None}
    assert LocalEnvironment().execute(lambda: 42).value == 42


@row("`execute` works", "what runs in the Job", "functions get to the Job")
def test_a_job_from_outside(original: dict[str, Any]) -> None:
    assert original["`execute` works"] == {"outside": "OSError"}
    assert "load_and_run_flow()" in original["what runs in the Job"]["args"][0]
    assert original["functions get to the Job"] == {"on_start": "pickled with the flow"}
    environment = KubernetesJobEnvironment(cluster="local", on_start=lambda: None, on_exit=callbacks.takes_nothing)
    with environment.execute(callbacks.flow, flow_run_id="run-1") as handle:
        assert isinstance(handle, JobHandle)
        assert containers_of(handle.job)[0]["command"][4] == f"{callbacks.__name__}:flow"
        labels(handle.job, original["the labels `prefect.io/...`"])
        assert handle.wait(SECONDS).succeeded, handle.exit_info


def labels(job: dict[str, Any], then: dict[str, Any]) -> None:
    """The two labels are on Job and pod, as they were."""
    assert then["flow_run_id"] == ["run-1", "run-1"]
    for each in (job["metadata"]["labels"], job["spec"]["template"]["metadata"]["labels"]):
        assert {"prefect.io/flow_run_id", "prefect.io/identifier"} <= set(each) & set(then["names"][1])
        assert each["prefect.io/flow_run_id"] == "run-1"


# -- arguments and files --------------------------------------------------------------------------------------------


@row("`executor=`")
def test_executor(original: dict[str, Any]) -> None:
    assert original["`executor=`"] == {"kept": "LocalExecutor"}
    with pytest.raises(InputError, match="give the flow itself a task runner"):
        KubernetesJobEnvironment(executor=object())  # type: ignore[arg-type]


@row("`labels`")
def test_labels(original: dict[str, Any], job_file: Path) -> None:
    assert original["`labels`"]["kept"] == ["gpu machine"]
    assert "gpu machine" not in original["`labels`"]["of the Job"]
    environment = KubernetesJobEnvironment(job_file, labels=["gpu machine"])
    assert environment.labels == {"gpu machine"}
    assert "gpu-machine" in job_of(environment)["spec"]["template"]["metadata"]["labels"]


@row("the flow's image")
def test_image(original: dict[str, Any], job_file: Path) -> None:
    assert original["the flow's image"] == {"metadata": "i:1", "none": "ValueError", "job file's": "storage:1"}
    images = [
        containers_of(job_of(KubernetesJobEnvironment(job_file, **arguments)))[0]["image"]
        for arguments in ({}, {"metadata": {"image": "i:1"}}, {"image": "i:2"})
    ]
    assert images == ["mine", "i:1", "i:2"]


@row("added variables", "a variable that the job file has, too")
def test_variables(original: dict[str, Any], tmp_path: Path) -> None:
    then = original["added variables"]
    assert then["first"][1:] == then["second"]
    assert {"PREFECT__CLOUD__AUTH_TOKEN", "PREFECT__CONTEXT__FLOW_RUN_ID"} < set(then["second"])
    assert original["a variable that the job file has, too"] == {"values": ["file", "run-1"]}
    content = written.JOB.replace("PREFECT__CONTEXT__FLOW_RUN_ID", "PREFECT__FLOW_RUN_ID")
    environment = KubernetesJobEnvironment(_file(tmp_path / "job", content), cluster="local")
    with environment.execute(callbacks.flow, flow_run_id="run-1") as handle:
        env = [
            {each["name"]: each["value"] for each in container["env"] if each["name"].startswith("PREFECT")}
            for container in containers_of(handle.job)[:2]
        ]
    assert env == [{"PREFECT__FLOW_RUN_ID": "file"}, {"PREFECT__FLOW_RUN_ID": "run-1"}]


@row("a job file without `metadata.name`")
def test_a_job_file_without_a_name(original: dict[str, Any], job_file: Path) -> None:
    assert original["a job file without `metadata.name`"] == {"name": None, "unique": "KeyError"}
    assert re.fullmatch(r"etl-\w{8}", KubernetesJobEnvironment(job_file)._name(callbacks.flow))


@row("a job file without `backoffLimit`")
def test_a_job_file_without_a_limit(original: dict[str, Any], job_file: Path) -> None:
    then = {"backoffLimit": None, "restartPolicy": "OnFailure"}
    assert original["a job file without `backoffLimit`"] == then
    spec = job_of(KubernetesJobEnvironment(job_file))["spec"]
    assert (spec["backoffLimit"], spec["template"]["spec"]["restartPolicy"]) == (0, "Never")


@row("a job file without containers")
def test_a_job_file_without_containers(original: dict[str, Any], tmp_path: Path) -> None:
    assert original["a job file without containers"] == {"containers": 1, "name": None}
    with pytest.raises(InputError, match="write a whole Job"):
        KubernetesJobEnvironment(_file(tmp_path / "job", "metadata: {name: x}"))


@row("the namespace")
def test_namespace(original: dict[str, Any], tmp_path: Path) -> None:
    assert original["the namespace"] == {"in the file": "mine", "asks the context": True}
    path = _file(tmp_path / "job", written.JOB.replace("generateName", "namespace: mine, generateName"))
    with KubernetesJobEnvironment(path, cluster="local").execute(callbacks.flow) as handle:
        assert handle.namespace == "mine"


@row("an environment warns that it is deprecated")
def test_deprecation(original: dict[str, Any]) -> None:
    assert original["an environment warns that it is deprecated"] == {"said": True}
    LocalEnvironment()  # a warning is an error here


@row("`serialize()`, `dependencies`, `logger`")
def test_members(original: dict[str, Any]) -> None:
    assert original["`serialize()`, `dependencies`, `logger`"] == {"there": True}
    assert not [each for each in ("serialize", "dependencies", "logger") if hasattr(LocalEnvironment(), each)]


# -- Dask -----------------------------------------------------------------------------------------------------------


@row("`DaskKubernetesEnvironment`")
def test_dask(original: dict[str, Any]) -> None:
    assert original["`DaskKubernetesEnvironment`"] == {"setup": None, "made by main": True, "closed": False}
    environment = DaskKubernetesEnvironment(image="i", cluster="local")
    environment.setup(callbacks.flow)
    try:
        standing = environment._standing
        assert standing is not None
        assert standing.objects[0]["kind"] == "DaskCluster"
        assert environment.entries[1][-1].options == {
            "call": DELETE_CLUSTER,
            "with": {"name": standing.name, "namespace": "default"},
        }
    finally:
        environment.teardown()


@row("its `scheduler_spec_file`")
def test_scheduler_spec(original: dict[str, Any], job_file: Path) -> None:
    assert original["its `scheduler_spec_file`"] == {"name": True, "image": "storage:1"}
    environment = DaskKubernetesEnvironment(scheduler_spec_file=job_file)
    assert environment.job_spec_file == job_file
    assert re.fullmatch(r"etl-\w{8}", environment._name(callbacks.flow))


@row("its `worker_spec_file`")
def test_worker_spec(original: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    then = {"image": "storage:1", "args": ["dask-worker", "--no-bokeh"], "replicas": 3}
    assert original["its `worker_spec_file`"] == then
    environment = DaskKubernetesEnvironment(worker_spec_file=_file(tmp_path / "pod", written.POD))
    said = capfd.readouterr().err
    assert [word for word in ("dask-worker is gone", "--no-bokeh is", "spec.replicas is") if word not in said] == []
    worker = dask_cluster.cluster_objects("etl", "data", environment.cluster_spec)[0]["spec"]["worker"]["spec"]
    assert worker == {"containers": [{"name": "w", "image": "mine", "args": ["dask-worker", "--no-bokeh"]}]}


@row("`scheduler_logs`, `log_k8s_errors`", "`private_registry`, `docker_secret`")
def test_what_is_gone(original: dict[str, Any]) -> None:
    assert "'distributed.scheduler'" in original["`scheduler_logs`, `log_k8s_errors`"]["loggers"]
    assert original["`private_registry`, `docker_secret`"]["secret"] == "DOCKER_REGISTRY_CREDENTIALS"
    for name in ("scheduler_logs", "log_k8s_errors", "private_registry", "docker_secret"):
        with pytest.raises(InputError, match=rf"^{name}: is an argument of Prefect 0\.15 that does nothing here"):
            DaskKubernetesEnvironment(**cast(Any, {name: True}))
