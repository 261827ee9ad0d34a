"""Callbacks that come with Podhooks on a real API server: with the rights that their pages give them, and without."""

from __future__ import annotations

import json
import re
import shlex
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.e2e.cluster import RealCluster

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

PAGES = Path(__file__).parents[2] / "docs" / "callbacks"
FAILING = "echo working; echo ending with 3; exit 3"


@pytest.fixture(scope="module")
def place(cluster: RealCluster) -> Iterator[RealCluster]:
    """A namespace of our own: rights are given and missed in it."""
    made = RealCluster(
        cluster.kubeconfig, image=cluster.image, runtime_image=cluster.settings.image, pull_policy=cluster.pull_policy
    )
    made.namespace = f"cb-{uuid.uuid4().hex[:8]}"
    made.open()
    yield made
    made.close()


class Runs:
    """Jobs under a service account that may do what every on-exit sidecar may, and nothing else."""

    def __init__(self, place: RealCluster, account: str) -> None:
        self.place = place
        self.account = account
        place.kubectl("create", "serviceaccount", account)
        subject = f"--serviceaccount={place.namespace}:{account}"
        place.kubectl("create", "rolebinding", f"{account}-watches", "--role=podhooks", subject)

    def run(self, annotations: dict[str, str], script: str = FAILING) -> str:
        """The Job's name, when its pod is over."""
        name = f"{self.account}-{uuid.uuid4().hex[:4]}"
        main = {
            "name": "main",
            "image": self.place.image,
            "imagePullPolicy": self.place.pull_policy,
            "command": ["sh", "-c", script],
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
        }
        template = {
            "metadata": {
                "annotations": {f"podhooks.io/{each}": value for each, value in annotations.items()},
                "labels": {"scenario": name},
            },
            "spec": {"restartPolicy": "Never", "serviceAccountName": self.account, "containers": [main]},
        }
        metadata = {"name": name, "namespace": self.place.namespace}
        spec = {"backoffLimit": 0, "template": template}
        self.place.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec})
        until_over(self.place, name)
        return name

    def log(self, job: str, container: str) -> str:
        [pod] = self.place.pods(job)
        return self.place.kubectl("logs", pod["metadata"]["name"], "-c", container)

    def grant(self, log: str, page: str) -> None:
        """Do what the line in `log` says. What that gives is what the page documents."""
        found = re.search(r"Grant it: (kubectl .*? --serviceaccount=\S+?)(?:\. Where|['\s]|$)", log)
        assert found is not None, log
        for command in found[1].split(" && "):
            self.place.kubectl(*shlex.split(command)[1:])
        kind, name = re.findall(r"create (role|clusterrole) (\S+)", found[1])[0]
        given = json.loads(self.place.kubectl("get", kind, name, "-o", "json"))
        assert given["rules"] == documented(page, name)


def until_over(place: RealCluster, scenario: str) -> None:
    place.until(lambda: [is_over(pod) for pod in place.pods(scenario)] == [True], f"{scenario} is over")


def is_over(pod: dict[str, Any]) -> bool:
    statuses = [*pod["status"].get("initContainerStatuses", []), *pod["status"].get("containerStatuses", [])]
    over = pod["status"].get("phase") in ("Succeeded", "Failed")
    return over and not any("running" in each["state"] for each in statuses)


def documented(page: str, name: str) -> Any:
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    documents = [YAML(typ="safe").load(each) for each in re.findall(r"```yaml\n(apiVersion.*?)```", text, re.DOTALL)]
    return next(each["rules"] for each in documents if each["metadata"]["name"] == name)


def test_an_event_is_recorded_with_the_documented_role_only(place: RealCluster) -> None:
    runs = Runs(place, "events")
    annotations = {"on-exit": "podhooks.callbacks.events:record", "on-exit-retries": "0"}
    said = runs.log(runs.run(annotations), "on-exit")
    assert 'cannot create resource "events" in API group "" in the namespace' in said
    assert "Traceback" not in said
    runs.grant(said, "events")
    job = runs.run(annotations)
    assert f"Job/{job}: PodhooksOnExit/Failed recorded" in runs.log(job, "on-exit")
    described = place.kubectl("describe", "job", job)
    assert re.search(
        r"Warning +PodhooksOnExit/Failed .* podhooks +Main container main of pod .* exit code 3", described
    )
    selector = f"involvedObject.name={job},reason=PodhooksOnExit/Failed"
    [event] = json.loads(place.kubectl("get", "events", "--field-selector", selector, "-o", "json"))["items"]
    uid = json.loads(place.kubectl("get", "job", job, "-o", "json"))["metadata"]["uid"]
    assert (event["involvedObject"]["kind"], event["involvedObject"]["uid"]) == ("Job", uid)


def test_two_attempts_make_one_event(place: RealCluster) -> None:
    runs = Runs(place, "twice")
    place.kubectl("create", "role", "twice", "--verb=create", "--resource=events")
    place.kubectl("create", "rolebinding", "twice", "--role=twice", f"--serviceaccount={place.namespace}:twice")
    job = runs.run({"on-exit": "podhooks.callbacks.events:record"})
    selector = f"involvedObject.name={job},reason=PodhooksOnExit/Failed"
    [event] = json.loads(place.kubectl("get", "events", "--field-selector", selector, "-o", "json"))["items"]
    before = {key: event[key] for key in ("metadata", "count")}
    assert place.kubectl("create", "-f", "-", stdin=json.dumps(fresh(event)), check=False) == ""
    [event] = json.loads(place.kubectl("get", "events", "--field-selector", selector, "-o", "json"))["items"]
    assert {key: event[key] for key in ("metadata", "count")} == before


def fresh(event: dict[str, Any]) -> dict[str, Any]:
    """What a second attempt would send."""
    metadata = {key: event["metadata"][key] for key in ("name", "namespace")}
    return {**event, "metadata": metadata}


def test_logs_are_saved_with_the_documented_role_only(place: RealCluster) -> None:
    runs = Runs(place, "logs")
    callbacks = """
- call: podhooks.callbacks.logs:save
  with: {to: saved, selector: "saved=yes"}
  retries: 0
- exec: [sh, -c, 'cd "$PODHOOKS_SHARED_DIR"; for each in saved/*/*; do echo "== $each"; cat "$each"; done']
"""
    other = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "neighbour", "labels": {"saved": "yes", "scenario": "neighbour"}},
        "spec": {
            "restartPolicy": "Never",
            "containers": [
                {
                    "name": "only",
                    "image": place.image,
                    "imagePullPolicy": place.pull_policy,
                    "command": ["echo", "from the neighbour"],
                }
            ],
        },
    }
    place.kubectl("create", "-f", "-", stdin=json.dumps(other))
    until_over(place, "neighbour")
    said = runs.log(runs.run({"on-exit": callbacks}), "on-exit")
    assert 'cannot list resource "pods"' in said or 'cannot get resource "pods/log"' in said
    runs.grant(said, "logs")
    said = runs.log(runs.run({"on-exit": callbacks}), "on-exit")
    lines = [line.partition("] ")[2] for line in said.splitlines() if line.startswith("[on-exit ")]
    heads = {re.sub(r"logs-.*/", "own/", line): index for index, line in enumerate(lines) if line.startswith("== ")}
    assert {"== saved/own/main.log", "== saved/neighbour/only.log"} <= heads.keys(), said
    main = heads["== saved/own/main.log"]
    assert lines[main + 1 : main + 3] == ["working", "ending with 3"]
    neighbour = lines.index("== saved/neighbour/only.log")
    assert lines[neighbour + 1] == "from the neighbour"


def test_resources_are_collected_with_the_documented_cluster_role_only(place: RealCluster) -> None:
    runs = Runs(place, "resources")
    annotations = {"on-start": "podhooks.callbacks.resources:collect_available"}
    script = 'cat "$PODHOOKS_SHARED_DIR/resources.json"'
    said = runs.log(runs.run(annotations, script), "on-start")
    assert 'cannot list resource "nodes" in API group "" at the cluster scope' in said
    assert "`scope: namespace` takes the namespace's ResourceQuota" in said
    try:
        runs.grant(said, "resources")
        found = json.loads(runs.log(runs.run(annotations, script), "main"))
    finally:
        place.kubectl("delete", "clusterrole,clusterrolebinding", "podhooks-resources", "--ignore-not-found")
    nodes = {
        each["metadata"]["name"]: each for each in json.loads(place.kubectl("get", "nodes", "-o", "json"))["items"]
    }
    assert {each["name"] for each in found["nodes"]} == set(nodes)
    node = next(each for each in found["nodes"] if each["usable"])
    assert node["allocatable"]["cpu"] == float(nodes[node["name"]]["status"]["allocatable"]["cpu"])
    assert node["requested"]["cpu"] >= 0.01
    assert node["requested"]["pods"] >= 1
    for name, value in node["available"].items():
        assert value == pytest.approx(node["allocatable"][name] - node["requested"][name], abs=0.002)


def test_a_quota_is_read_with_the_documented_role_only(place: RealCluster) -> None:
    runs = Runs(place, "quota")
    place.kubectl("create", "quota", "room", "--hard=requests.cpu=100,requests.memory=100Gi,pods=90")
    place.until(lambda: "used" in place.kubectl("get", "quota", "room", "-o", "json"), "the quota is counted")
    callbacks = "- call: podhooks.callbacks.resources:collect_available\n  with: {scope: namespace}\n"
    script = 'cat "$PODHOOKS_SHARED_DIR/resources.json"'
    try:
        said = runs.log(runs.run({"on-start": callbacks}, script), "on-start")
        runs.grant(said, "resources")
        found = json.loads(runs.log(runs.run({"on-start": callbacks}, script), "main"))
    finally:
        place.kubectl("delete", "quota", "room")
    total = found["total"]
    assert (total["allocatable"]["cpu"], total["allocatable"]["memory"]) == (100, 100 << 30)
    assert 0 < total["requested"]["cpu"] < 5
    assert total["available"]["cpu"] == pytest.approx(100 - total["requested"]["cpu"])
