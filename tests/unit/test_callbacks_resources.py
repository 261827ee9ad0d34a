"""What a pod takes of a node, exactly, and what is left."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from podhooks.annotations.quantities import quantity
from podhooks.callbacks import resources
from podhooks.callbacks.pod_requests import fits, is_over, requested
from podhooks.callbacks.resources import as_number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("100m", Fraction(1, 10)),
        ("0.1", Fraction(1, 10)),
        (".5", Fraction(1, 2)),
        ("1.", 1),
        ("+2", 2),
        ("-2", -2),
        ("1Ki", 1024),
        ("1.5Gi", 3 << 29),
        ("1k", 1000),
        ("1M", 10**6),
        ("1E", 10**18),
        ("1Ei", 1 << 60),
        ("12e3", 12000),
        ("1E3", 1000),
        ("5e-3", Fraction(5, 1000)),
        ("3n", Fraction(3, 10**9)),
        ("7u", Fraction(7, 10**6)),
        ("128974848", 128974848),
        ("9223372036854775807", 9223372036854775807),
        (2, 2),
        (0.5, Fraction(1, 2)),
    ],
)
def test_a_quantity_is_read_exactly(text: object, value: Fraction | int) -> None:
    assert quantity(text) == value


@pytest.mark.parametrize(
    "text", ["", "1MB", "1 Gi", "Gi", "1mi", "1K", "e3", "1e", "0x10", "1.2.3", None, True, [], "∞"]
)
def test_what_is_no_quantity_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        quantity(text)


def test_numbers_for_json_are_whole_or_rounded_down() -> None:
    assert as_number(Fraction(4 << 30)) == 4294967296
    assert as_number(Fraction(1, 10)) == 0.1
    assert as_number(Fraction(19999, 10000)) == 1.999


def container(name: str = "main", *, sidecar: bool = False, **requests: str) -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "resources": {"requests": requests}}
    return made | ({"restartPolicy": "Always"} if sidecar else {})


def pod(*containers: dict[str, Any], init: tuple[dict[str, Any], ...] = (), **more: Any) -> dict[str, Any]:
    return {"spec": {"containers": list(containers), "initContainers": list(init), **more.pop("spec", {})}, **more}


def cpu(made: dict[str, Any]) -> Fraction:
    return requested(made)["cpu"]


def test_containers_add_up() -> None:
    asked = requested(pod(container(cpu="100m", memory="1Gi"), container(cpu="0.2", memory="512Mi")))
    assert asked == {"cpu": Fraction(3, 10), "memory": 3 << 29, "pods": 1}


def test_an_init_container_counts_if_it_is_larger_than_all_that_runs_later() -> None:
    assert cpu(pod(container(cpu="1"), init=(container(cpu="3"), container(cpu="2")))) == 3
    assert cpu(pod(container(cpu="2"), container(cpu="2"), init=(container(cpu="3"),))) == 4


def test_a_native_sidecar_runs_beside_containers_and_later_init_containers() -> None:
    sidecar = container("sidecar", sidecar=True, cpu="1")
    assert cpu(pod(container(cpu="2"), init=(sidecar,))) == 3
    assert cpu(pod(container(cpu="2"), init=(sidecar, container(cpu="5")))) == 6
    assert cpu(pod(container(cpu="2"), init=(container(cpu="5"), sidecar))) == 5
    assert cpu(pod(init=(sidecar, sidecar, container(cpu="1")))) == 3


def test_each_resource_has_its_own_largest_moment() -> None:
    asked = requested(pod(container(cpu="2", memory="1"), init=(container(cpu="1", memory="9"),)))
    assert list(map(int, asked.values())) == [2, 9, 1]


def test_overhead_comes_on_top_and_the_pod_itself_is_one() -> None:
    asked = requested(pod(container(cpu="1"), spec={"overhead": {"cpu": "250m", "memory": "120Mi"}}))
    assert asked == {"cpu": Fraction(5, 4), "memory": 120 << 20, "pods": 1}


def test_what_the_whole_pod_asks_for_replaces_its_containers_sum() -> None:
    whole = {"resources": {"requests": {"cpu": "5", "hugepages-2Mi": "4Mi"}}}
    asked = requested(pod(container(cpu="1", memory="1Gi"), spec=whole))
    assert asked == {"cpu": 5, "memory": 1 << 30, "hugepages-2Mi": 4 << 20, "pods": 1}


def test_a_container_that_shrinks_still_holds_what_it_was_given() -> None:
    status = {
        "containerStatuses": [
            {"name": "main", "allocatedResources": {"cpu": "2"}, "resources": {"requests": {"cpu": "3"}}}
        ]
    }
    assert cpu(pod(container(cpu="1"), status=status)) == 3
    assert cpu(pod(container(cpu="4"), status=status)) == 4


def test_extended_resources_and_containers_without_requests() -> None:
    asked = requested(pod({"name": "bare"}, {"name": "gpu", "resources": {"requests": {"nvidia.com/gpu": "2"}}}))
    assert asked == {"nvidia.com/gpu": 2, "pods": 1}


def test_finished_pods_hold_nothing() -> None:
    assert [is_over({"status": {"phase": each}}) for each in ("Succeeded", "Failed", "Running", "Pending")] == [
        True,
        True,
        False,
        False,
    ]


def test_workers_fit_as_often_as_their_scarcest_resource_allows() -> None:
    free = {"cpu": Fraction(7, 2), "memory": Fraction(10)}
    assert fits(free, {"cpu": Fraction(1, 2), "memory": Fraction(4)}) == 2
    assert fits(free, {"nvidia.com/gpu": Fraction(1)}) == 0
    assert fits(free, {}) == 0


# -- nodes


def node(name: str = "n", *, ready: str = "True", **spec: Any) -> dict[str, Any]:
    status = {
        "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
        "conditions": [{"type": "Ready", "status": ready}],
    }
    return {"metadata": {"name": name}, "spec": spec, "status": status}


TAINT = {"key": "gpu", "value": "only", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("made", "reasons"),
    [
        (node(), []),
        (node(unschedulable=True), ["unschedulable"]),
        (node(ready="Unknown"), ["not ready"]),
        (node(taints=[TAINT]), ["taint gpu=only:NoSchedule"]),
        (node(taints=[{"key": "soon", "effect": "PreferNoSchedule"}]), []),
        (node(taints=[{"key": "gone", "effect": "NoExecute"}]), ["taint gone:NoExecute"]),
    ],
)
def test_a_node_says_what_keeps_pods_from_it(made: dict[str, Any], reasons: list[str]) -> None:
    assert resources.why_not(made, ()) == reasons


def test_tolerated_taints_keep_nobody_out() -> None:
    assert resources.why_not(node(taints=[TAINT]), ["gpu"]) == []


def test_the_total_is_of_the_nodes_that_take_pods() -> None:
    nodes = {"b": node("b", taints=[TAINT]), "a": node("a")}
    taken = {"a": requested(pod(container(cpu="500m", memory="1Gi"))), "b": {}}
    found = resources.report(nodes, taken, (), {"cpu": Fraction(1)})
    assert [(each["name"], each["usable"], each["workers"]) for each in found["nodes"]] == [
        ("a", True, 3),
        ("b", False, 0),
    ]
    assert found["total"] == {
        "allocatable": {"cpu": 4, "memory": 8 << 30, "pods": 110},
        "requested": {"cpu": 0.5, "memory": 1 << 30, "pods": 1},
        "available": {"cpu": 3.5, "memory": 7 << 30, "pods": 109},
        "nodes": 1,
        "workers": 3,
    }


def test_a_node_that_promised_more_than_it_has_has_nothing_left() -> None:
    found = resources.report({"a": node("a")}, {"a": requested(pod(container(cpu="9")))}, (), {})
    assert found["nodes"][0]["available"]["cpu"] == 0


# -- quotas


def test_the_tightest_quota_decides() -> None:
    one = {"status": {"hard": {"requests.cpu": "10", "limits.cpu": "99", "pods": "5"}, "used": {"requests.cpu": "1"}}}
    two = {"status": {"hard": {"cpu": "4", "requests.nvidia.com/gpu": "2"}, "used": {"cpu": "500m"}}}
    found = {name: tuple(map(float, each)) for name, each in resources.tightest([one, two]).items()}
    assert found == {"cpu": (4, 0.5, 3.5), "pods": (5, 0, 5), "nvidia.com/gpu": (2, 0, 2)}


@pytest.mark.parametrize(
    "limit",
    ["limits.memory", "requests.storage", "count/jobs.batch", "fast.storageclass.storage.k8s.io/requests.storage"],
)
def test_what_says_nothing_about_room_for_pods_is_left_out(limit: str) -> None:
    assert resources.resource_of(limit) == ""
