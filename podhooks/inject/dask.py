"""Whether callbacks for Dask have a Dask cluster to be about: PIN-12's own warning, as a finding. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from podhooks import contract
from podhooks.annotations.finding import Finding, Severity
from podhooks.annotations.plan import Callback, Plan
from podhooks.inject.case import Case
from podhooks.inject.shapes import Json
from podhooks.pod.object import mapping, mappings

CODE = "dask-without-cluster"
CALLBACKS = "podhooks.callbacks.dask:"
TELLING = frozenset({"scheduler", "cluster", "name", "name_file"})
"""Arguments that say which cluster is meant. (`name` of register_worker_* is the plugin's, and tells nothing.)"""
TASK_RUNNER = "DaskTaskRunner"


def without_cluster(case: Case) -> Iterator[Finding]:
    """For a pod in which nothing tells where a scheduler is. Pods of the Dask operator are told (see manifests.py)."""
    untold = list(_of_dask(case.plan))
    if not untold or _told(case):
        return
    for where, callback in untold:
        argument = "name" if callback.call == CALLBACKS + "delete_cluster" else "scheduler"
        problem = (
            f"{callback.call} needs a Dask cluster, and nothing in this pod tells of one: "
            f"set {contract.ENV_SCHEDULER} in main, give `{argument}` in `with`, or take the callback out"
        )
        yield Finding(CODE, Severity.WARNING, where, problem)


def without_executor(plan: Plan, flow: object) -> tuple[Finding, ...]:
    """For a flow that has a task runner, as Prefect's flows have, and not Dask's. A plain function's isn't known."""
    runner = getattr(flow, "task_runner", None)
    if runner is None or TASK_RUNNER in [each.__name__ for each in type(runner).__mro__]:
        return ()
    problem = (
        f"is for Dask, and the flow runs its tasks with {type(runner).__name__}: take {TASK_RUNNER}, or leave it out"
    )
    return tuple(Finding(CODE, Severity.WARNING, where, f"{each.call} {problem}") for where, each in _of_dask(plan))


def _of_dask(plan: Plan) -> Iterator[tuple[str, Callback]]:
    """Callbacks for Dask that don't say themselves which cluster they mean."""
    for where, callbacks in ((contract.ON_START, plan.on_start), (contract.ON_EXIT, plan.on_exit)):
        for callback in callbacks:
            told = TELLING & set(callback.arguments)
            if "register_worker" in callback.call:
                told -= {"name"}
            if callback.call.startswith(CALLBACKS) and not told:
                yield where, callback


def _told(case: Case) -> bool:
    labels = mapping(mapping(case.pod.get("metadata")).get("labels"))
    return contract.LABEL_DASK_CLUSTER in labels or any(map(_may_have_address, case.mains))


def _may_have_address(container: Mapping[str, Json]) -> bool:
    """`envFrom` may bring anything."""
    names = [each.get("name") for each in mappings(container.get("env"))]
    return contract.ENV_SCHEDULER in names or bool(container.get("envFrom"))
