"""Which Dask cluster a callback means: who is asked, in which order, and what nobody can mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from podhooks.callbacks.dask.place import DaskCluster, Scheduler, cluster_of, scheduler_of
from podhooks.context import Hook, PodInfo, RunContext
from podhooks.errors import CallbackError, InputError

LABEL = {"dask.org/cluster-name": "etl"}
VARIABLE = {"DASK_SCHEDULER_ADDRESS": "tcp://simple-scheduler.team.svc.cluster.local:8786"}


def context(labels: dict[str, str] | None = None, shared: str = "/none") -> RunContext:
    pod = PodInfo("p", "flows", "u", labels=labels or {})
    return RunContext(
        hook=Hook.ON_EXIT, callback="c", pod=pod, main_container="main", idempotency_key="k", shared=shared
    )


def scheduler(environ: dict[str, str] | None = None, labels: dict[str, str] | None = None, **told: Any) -> Scheduler:
    given = {"scheduler": None, "cluster": None, "namespace": None, **told}
    return scheduler_of(context(labels), environ or {}, **given)


def cluster(
    environ: dict[str, str] | None = None, labels: dict[str, str] | None = None, shared: str = "/none", **told: Any
) -> DaskCluster | None:
    given = {"name": None, "namespace": None, "name_file": None, **told}
    return cluster_of(context(labels, shared), environ or {}, **given)


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("tcp://10.0.0.1:8786", "tcp://10.0.0.1:8786"),
        ("dask-scheduler:8786", "tcp://dask-scheduler:8786"),
        ("tls://scheduler.ns:1", "tls://scheduler.ns:1"),
        ("tcp://[fd00::1]:8786", "tcp://[fd00::1]:8786"),
    ],
)
def test_an_address_is_taken_as_it_is(given: str, address: str) -> None:
    assert scheduler(VARIABLE, LABEL, scheduler=given).address == address


@pytest.mark.parametrize(
    "given", ["", "scheduler", "tcp://scheduler", "http://x/y:1", "tcp://x:0", "tcp://x:70000", 8786]
)
def test_what_is_no_address_is_refused(given: object) -> None:
    with pytest.raises(InputError, match="write tcp://host:8786"):
        scheduler(scheduler=given)


def test_the_nearest_word_counts() -> None:
    assert scheduler(VARIABLE, LABEL, cluster="mine").address == "tcp://mine-scheduler.flows.svc:8786"
    assert (
        scheduler(VARIABLE, LABEL, cluster="mine", namespace="other").address == "tcp://mine-scheduler.other.svc:8786"
    )
    assert scheduler(VARIABLE, LABEL).address == VARIABLE["DASK_SCHEDULER_ADDRESS"]
    assert scheduler({}, LABEL).address == "tcp://etl-scheduler.flows.svc:8786"
    assert "dask.org/cluster-name" in scheduler({}, LABEL).said_by


def test_where_nothing_tells_the_ways_to_tell_are_named() -> None:
    with pytest.raises(InputError, match=r"nothing tells where.*`scheduler`.*`cluster`.*DASK_SCHEDULER_ADDRESS"):
        scheduler()
    with pytest.raises(InputError, match=r"nothing tells which DaskCluster.*`name`.*`name_file`"):
        cluster()


def test_an_environment_with_a_broken_address_is_named() -> None:
    with pytest.raises(InputError, match="DASK_SCHEDULER_ADDRESS: 'here' is no"):
        scheduler({"DASK_SCHEDULER_ADDRESS": "here"}, LABEL)


def test_the_cluster_to_delete_is_found_like_the_scheduler() -> None:
    assert cluster(VARIABLE, LABEL, name="mine") == DaskCluster("mine", "flows", "from `name`")
    assert cluster(VARIABLE, LABEL, name="mine", namespace="x") == DaskCluster("mine", "x", "from `name`")
    of_variable = cluster(VARIABLE, LABEL)
    assert of_variable is not None
    assert (of_variable.name, of_variable.namespace) == ("simple", "team")
    of_label = cluster({"DASK_SCHEDULER_ADDRESS": "tcp://10.0.0.1:8786"}, LABEL)
    assert of_label is not None
    assert (of_label.name, of_label.namespace) == ("etl", "flows")


def test_main_may_leave_the_name(tmp_path: Path) -> None:
    assert cluster(VARIABLE, LABEL, str(tmp_path), name_file="cluster") is None
    (tmp_path / "cluster").write_text("made-by-main\n")
    found = cluster(VARIABLE, LABEL, str(tmp_path), name_file="cluster")
    assert found == DaskCluster("made-by-main", "flows", "from cluster")
    with pytest.raises(CallbackError, match="can't be read"):
        cluster({}, {}, str(tmp_path), name_file=".")


@pytest.mark.parametrize("name", ["", "Simple", "a/b", "../x", "a" * 64, "-a", 3, "naïve"])
def test_what_is_no_name_is_refused(name: object) -> None:
    with pytest.raises(InputError, match="is no DaskCluster's name"):
        cluster(name=name)
    with pytest.raises(InputError, match="is no DaskCluster's name"):
        scheduler(cluster=name)
