"""Whatever runs without Podhooks runs with it, on a real kubelet: the pods of tests/integration/no_harm, with us and
without; and main, which stays main when another injector puts a container in front of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from podhooks import contract, exit_info
from podhooks.inject import Outcome, inject, needs
from podhooks.inject.edit import plain
from podhooks.pod.object import main_container, mapping, mappings
from podhooks.report.summary import summarize
from tests.e2e.cluster import RealCluster

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
CASES = Path(__file__).parents[1] / "integration" / "no_harm"
NAMES = sorted(
    {path.stem for path in CASES.glob("*.yaml")} - {"config-map-from-init"}
)  # that one is for the stand-in's API
ON_EXIT = {"podhooks.io/on-exit": '[{"exec": ["sh", "-c", "echo $PODHOOKS_RESULT"]}]'}
Pod = dict[str, Any]


def case(cluster: RealCluster, name: str, suffix: str) -> Pod:
    pod: Pod = YAML(typ="safe").load((CASES / f"{name}.yaml").read_text())
    for field in ("initContainers", "containers"):
        for each in pod["spec"].get(field, ()):
            each |= {"image": cluster.image, "imagePullPolicy": cluster.pull_policy}
    scenario = f"order-{name}-{suffix}"
    metadata = {"name": scenario, "labels": {"scenario": scenario}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, **pod}


def ended(cluster: RealCluster, pod: Pod) -> Pod:
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(pod))
    scenario = pod["metadata"]["name"]

    def over() -> Pod | None:
        (seen,) = cluster.pods(scenario)
        return seen if seen["status"]["phase"] in ("Succeeded", "Failed") else None

    found: Pod = cluster.until(over, f"{scenario} ends")
    return found


def outcome(cluster: RealCluster, seen: Pod) -> Pod:
    """By the user's containers: exit codes, restarts and output."""
    status = seen["status"]
    everyone = [*mappings(status.get("initContainerStatuses")), *mappings(status.get("containerStatuses"))]
    users = [each for each in everyone if each["name"] not in contract.OUR_CONTAINERS]
    ends = {each["name"]: mapping(each["state"].get("terminated")).get("exitCode") for each in users}
    name = seen["metadata"]["name"]
    logs = {each: cluster.kubectl("logs", name, "-c", each) for each, code in ends.items() if code is not None}
    return {"phase": status["phase"], "codes": ends, "restarts": [each["restartCount"] for each in users], "logs": logs}


@pytest.mark.parametrize("name", NAMES)
def test_a_pod_ends_with_us_as_without_us(cluster: RealCluster, name: str) -> None:
    without = ended(cluster, case(cluster, name, "without"))
    pod = case(cluster, name, "with")
    pod["metadata"]["annotations"] = ON_EXIT
    made, report = inject(pod, cluster.settings)
    assert report.outcome is Outcome.INJECTED
    seen = ended(cluster, made)
    assert outcome(cluster, seen) == outcome(cluster, without)
    told, end = summarize(seen).told, exit_info(seen)
    assert end is not None
    assert (told and told.result) == (None if end.result.value == "StartFailed" else end.result)


@pytest.mark.parametrize("name", ["init-fails", "on-failure"])
def test_in_front_of_init_containers_on_exit_covers_them(cluster: RealCluster, name: str) -> None:
    pod = case(cluster, name, "first")
    pod["metadata"]["annotations"] = {**ON_EXIT, contract.ON_EXIT_POSITION: "first"}
    made, report = inject(pod, cluster.settings)
    assert not {each.code for each in report.findings} & set(needs.CODES)
    told = summarize(ended(cluster, made)).told
    assert told is not None
    assert told.result.value == ("StartFailed" if name == "init-fails" else "Succeeded")


@pytest.mark.parametrize("mode", ["native", "classic"])
def test_a_proxy_in_front_of_main_is_not_main(cluster: RealCluster, mode: str) -> None:
    scenario = f"proxy-first-{mode}"
    image = {"image": cluster.image, "imagePullPolicy": cluster.pull_policy}
    main = {"name": "main", **image, "command": ["sh", "-c", "exit 3"]}
    proxy = {"name": "proxy", **image, "command": ["sh", "-c", "sleep 5"]}
    annotations = {**ON_EXIT, contract.MODE: mode}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": scenario, "labels": {"scenario": scenario}, "annotations": annotations},
        "spec": {"restartPolicy": "Never", "containers": [main]},
    }
    made = plain(inject(pod, cluster.settings)[0])
    made["spec"]["containers"].insert(0, proxy)
    seen = ended(cluster, made)
    summary = summarize(seen)
    assert main_container(seen) == "main"
    assert summary.told is not None
    assert summary.end is not None
    assert [(end.result.value, end.exit_code, end.container) for end in (summary.told, summary.end)] == [
        ("Failed", 3, "main")
    ] * 2
