"""A node that is silent, gone, out of service, and back: what the stand-in shows of its pods (facts R4 and R5)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from podhooks.contract import LOCAL_NODE
from podhooks.local import Cluster
from podhooks.local.nodecontroller import OUT_OF_SERVICE, NodeTimes
from podhooks.local.problems import ApiError

from .local_pods import SECONDS, Json, container, create, ended, is_over, is_running, pod, status_of, wait

HELD = ["podhooks.io/on-exit"]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(node_times=NodeTimes(period=0.05, quarantine=0.2, heartbeat=0.1)) as made:
        yield made


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def running(cluster: Cluster, script: str, **metadata: object) -> str:
    manifest = pod(container(script))
    manifest["metadata"].update(metadata)
    name = create(cluster, manifest)
    wait(cluster, name, is_running())
    return name


def stored(cluster: Cluster, name: str) -> Json:
    return cluster.store.get("pods", "default", name)


def disruption(obj: Json) -> str:
    return next((c["reason"] for c in obj["status"]["conditions"] if c["type"] == "DisruptionTarget"), "")


def node_ready(cluster: Cluster) -> str:
    nodes = cluster.store.list("nodes")[0]
    return str(nodes[0]["status"]["conditions"][0]["status"]) if nodes else ""


def test_a_silent_node_is_not_ready_and_its_pods_stay(cluster: Cluster) -> None:
    name = running(cluster, "sleep 60")
    cluster.disconnect_node()
    until(lambda: node_ready(cluster) == "Unknown")
    assert (stored(cluster, name)["status"]["phase"], disruption(stored(cluster, name))) == ("Running", "")
    cluster.reconnect_node()
    until(lambda: node_ready(cluster) == "True")


def test_what_ended_while_the_node_was_silent_is_published_when_it_is_back(cluster: Cluster) -> None:
    name = running(cluster, "trap 'exit 7' TERM; read x < /tmp/never || sleep 0.2; exit 7")
    cluster.disconnect_node()
    until(lambda: node_ready(cluster) == "Unknown")
    assert "running" in status_of(stored(cluster, name))["state"]
    cluster.reconnect_node()
    assert ended(wait(cluster, name, is_over))["exitCode"] == 7


def test_a_pod_of_a_node_that_is_gone_is_failed_and_deleted_with_containers_that_still_run(cluster: Cluster) -> None:
    free, held = running(cluster, "sleep 60"), running(cluster, "trap 'exit 7' TERM; sleep 60 & wait", finalizers=HELD)
    cluster.disconnect_node()
    watch = cluster.store.watch("pods", since=cluster.store.resource_version)
    cluster.store.delete("nodes", None, LOCAL_NODE)
    wait(cluster, held, lambda each: "deletionTimestamp" in each["metadata"])
    until(lambda: all(each["metadata"]["name"] != free for each in cluster.store.list("pods")[0]))
    lost = stored(cluster, held)
    assert (lost["status"]["phase"], disruption(lost)) == ("Failed", "DeletionByPodGC")
    assert "running" in status_of(lost)["state"]
    first = next(event for event in watch if event.object["metadata"]["name"] == held).object
    assert (first["status"]["phase"], "deletionTimestamp" in first["metadata"]) == ("Failed", False)
    cluster.reconnect_node()
    back = wait(cluster, held, lambda each: bool(ended(each)))
    assert ended(back)["exitCode"] == 7
    until(lambda: node_ready(cluster) == "True")
    cluster.store.mutate("pods", "default", held, lambda o: o["metadata"].update(finalizers=[]), subresource="")
    with pytest.raises(ApiError, match="not found"):
        stored(cluster, held)


def test_a_node_out_of_service_loses_its_pods_to_the_taint(cluster: Cluster) -> None:
    name = running(cluster, "sleep 60", finalizers=HELD)
    cluster.disconnect_node()
    taint = {"key": OUT_OF_SERVICE, "value": "nodeshutdown", "effect": "NoExecute"}
    cluster.store.mutate("nodes", None, LOCAL_NODE, lambda node: node["spec"].update(taints=[taint]), subresource="")
    lost = wait(cluster, name, is_over)
    assert (lost["status"]["phase"], disruption(lost)) == ("Failed", "DeletionByTaintManager")
    assert "running" in status_of(lost)["state"]


def test_a_job_waits_for_its_held_pod_when_its_time_is_over(cluster: Cluster) -> None:
    """Fact R8: the TTL deletes in the foreground."""
    template = {"metadata": {"finalizers": HELD}, "spec": pod(container("true"))["spec"]}
    spec = {"template": template, "ttlSecondsAfterFinished": 0}
    cluster.store.create("jobs", {"metadata": {"name": "j", "namespace": "default"}, "spec": spec})
    until(lambda: cluster.store.get("jobs", "default", "j")["metadata"].get("finalizers") == ["foregroundDeletion"])
    (made,) = cluster.store.list("pods")[0]
    assert "deletionTimestamp" in made["metadata"]
    name = made["metadata"]["name"]
    cluster.store.mutate("pods", "default", name, lambda o: o["metadata"].update(finalizers=[]), subresource="")
    until(lambda: cluster.store.list("jobs")[0] == [])
    assert cluster.store.list("pods")[0] == []
