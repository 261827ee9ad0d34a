"""PIN-12's warning: callbacks for Dask are of no use where there is no Dask cluster."""

from __future__ import annotations

import json
from typing import Any

import pytest

from podhooks import LocalEnvironment
from podhooks.annotations.plan import Callback, Plan
from podhooks.context import EMPTY
from podhooks.inject import inject, inject_object
from podhooks.inject.dask import without_executor

CODE = "dask-without-cluster"
DASK = "podhooks.callbacks.dask:"


def pod(*callbacks: Any, labels: dict[str, str] | None = None, **main: Any) -> dict[str, Any]:
    annotations = {"podhooks.io/on-exit": json.dumps(callbacks)}
    return {
        "metadata": {"name": "p", "annotations": annotations, "labels": labels or {}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "i", **main}]},
    }


def messages(source: dict[str, Any]) -> list[str]:
    return [each.message for each in inject(source)[1].findings if each.code == CODE]


@pytest.mark.parametrize("function", ["register_worker_plugin", "wait_for_workers", "collect_diagnostics"])
def test_a_pod_that_knows_no_cluster_is_warned_of(function: str) -> None:
    (message,) = messages(pod(DASK + function))
    assert message.startswith(DASK + function)
    assert "give `scheduler`" in message


def test_each_callback_is_warned_of_and_the_pod_is_injected() -> None:
    source = pod(DASK + "wait_for_workers", "mine:own", DASK + "delete_cluster")
    assert [("give `name`" in each) for each in messages(source)] == [False, True]
    assert inject(source)[1].injectable


@pytest.mark.parametrize(
    "told",
    [
        {"labels": {"dask.org/cluster-name": "etl"}},
        {"env": [{"name": "DASK_SCHEDULER_ADDRESS", "value": "tcp://s:8786"}]},
        {"envFrom": [{"configMapRef": {"name": "dask"}}]},
    ],
)
def test_a_pod_that_knows_a_cluster_is_not(told: dict[str, Any]) -> None:
    assert messages(pod(DASK + "wait_for_workers", **told)) == []


@pytest.mark.parametrize(
    ("function", "argument"),
    [
        ("wait_for_workers", "scheduler"),
        ("collect_diagnostics", "cluster"),
        ("delete_cluster", "name"),
        ("delete_cluster", "name_file"),
    ],
)
def test_a_callback_that_is_told_is_not(function: str, argument: str) -> None:
    assert messages(pod({"call": DASK + function, "with": {argument: "x"}})) == []


def test_the_name_of_a_plugin_tells_of_no_cluster() -> None:
    assert len(messages(pod({"call": DASK + "register_worker_plugin", "with": {"name": "x"}}))) == 1


@pytest.mark.parametrize("kind", ["DaskCluster", "DaskWorkerGroup", "DaskJob"])
def test_the_operator_tells_the_pods_that_it_makes(kind: str) -> None:
    template = pod(DASK + "wait_for_workers")
    template["metadata"]["annotations"]["podhooks.io/mode"] = "classic"
    bare = {"spec": template["spec"]}
    spec: dict[str, Any] = {"worker": template, "scheduler": bare}
    if kind == "DaskJob":
        spec = {"job": template, "cluster": {"spec": {"worker": bare, "scheduler": bare}}}
    document = {"apiVersion": "kubernetes.dask.org/v1", "kind": kind, "metadata": {"name": "x"}, "spec": spec}
    reports = inject_object(document)[1]
    assert "injected" in [each.report.outcome.value for each in reports]
    assert CODE not in [found.code for each in reports for found in each.report.findings]


class TaskRunner:
    pass


class DaskTaskRunner(TaskRunner):
    pass


class OurDask(DaskTaskRunner):
    pass


class ThreadPoolTaskRunner(TaskRunner):
    pass


class Flow:
    def __init__(self, runner: object) -> None:
        self.task_runner = runner


PLAN = Plan(on_start=(Callback("k", call=DASK + "register_worker_plugin"), Callback("o", call="mine:own")))


def test_a_flow_without_a_dask_executor_is_warned_of() -> None:
    (found,) = without_executor(PLAN, Flow(ThreadPoolTaskRunner()))
    assert (found.code, found.where) == (CODE, "podhooks.io/on-start")
    assert "ThreadPoolTaskRunner" in found.message


@pytest.mark.parametrize("flow", [Flow(DaskTaskRunner()), Flow(OurDask()), Flow(None), print])
def test_a_flow_with_one_is_not_nor_a_function(flow: object) -> None:
    assert without_executor(PLAN, flow) == ()


def test_other_callbacks_are_nobody_s_business() -> None:
    other = Plan(on_start=(Callback("o", call="mine:own", arguments=EMPTY),))
    assert without_executor(other, Flow(ThreadPoolTaskRunner())) == ()


@pytest.mark.parametrize(("runner", "warned"), [(ThreadPoolTaskRunner(), True), (DaskTaskRunner(), False)])
def test_an_environment_says_so_when_it_runs_such_a_flow(
    runner: object, warned: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    def flow() -> None:
        pass

    flow.task_runner = runner  # type: ignore[attr-defined]
    callback = {"call": DASK + "delete_cluster", "when": "failure"}
    LocalEnvironment(on_exit=callback).execute(flow)
    assert (f"code={CODE}" in capfd.readouterr().err) is warned
