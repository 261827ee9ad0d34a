"""Whatever runs without Podhooks runs with it: each pod is run on the stand-in as it is, and injected.

Its phase, each of its containers' exit code and output, and the files in its volumes must be the same, and on_exit is
told the truth. Where that can't be had, injection refuses the pod.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from podhooks.inject import Delivery, InjectSettings, Outcome, inject, needs
from podhooks.inject.edit import plain
from podhooks.local import Cluster
from podhooks.pod.object import mapping, mappings
from tests.integration.local_pods import create, is_over, output, status_of, wait

Pod = dict[str, Any]
CASES = Path(__file__).parent / "no_harm"
SETTINGS = InjectSettings(delivery=Delivery.INSTALLED)
SERIAL = itertools.count()
ON_EXIT = '[{"exec": ["sh", "-c", "echo told $PODHOOKS_RESULT"]}]'
READ = YAML(typ="safe")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(keep=True) as made:
        if made.sandbox_mode != "namespaces":
            pytest.skip("containers see their volumes only where the machine allows namespaces")
        yield made


def ran(cluster: Cluster, pod: Pod, users: Pod) -> dict[str, Any]:
    """How the pod ended, by the containers and volumes that its author wrote."""
    own = plain(pod)
    own["metadata"]["name"] += f"-{next(SERIAL)}"
    name = create(cluster, own)
    over = wait(cluster, name, is_over)
    spec = users["spec"]
    names = [each["name"] for field in ("initContainers", "containers") for each in mappings(spec.get(field))]
    ends = {each: status_of(over, each) for each in names}
    return {
        "phase": over["status"]["phase"],
        "codes": {each: mapping(mapping(end["state"]).get("terminated")).get("exitCode") for each, end in ends.items()},
        "restarts": {each: end["restartCount"] for each, end in ends.items()},
        "output": {each: output(cluster, name, each) for each, end in ends.items() if "terminated" in end["state"]},
        "files": {each["name"]: files(cluster, over, each["name"]) for each in mappings(spec.get("volumes"))},
        "told": told(cluster, over),
    }


def files(cluster: Cluster, pod: Pod, volume: str) -> dict[str, tuple[str | bytes, int]]:
    """Of each path in a volume: what is in it, and its mode. Empty for what isn't a directory of this pod."""
    root = cluster.state_dir / "pods" / pod["metadata"]["uid"] / "volumes" / volume
    return {
        str(path.relative_to(root)): ("a directory" if path.is_dir() else path.read_bytes(), path.stat().st_mode)
        for path in sorted(root.rglob("*"))
    }


def told(cluster: Cluster, pod: Pod) -> str:
    """What on_exit was told of main's end; "" in a pod without it."""
    name = pod["metadata"]["name"]
    if not status_of(pod, "on-exit")["state"].keys() & {"running", "terminated"}:
        return ""
    found = re.findall(r"told ([A-Z]\w+)$", output(cluster, name, "on-exit"), re.MULTILINE)
    return str(found[-1]) if found else ""


def assert_no_harm(cluster: Cluster, pod: Pod, **annotations: str) -> None:
    """With us as without us, or refused with a code that is there for it."""
    ours = {f"podhooks.io/{name.replace('_', '-')}": text for name, text in annotations.items()}
    asking = plain(pod)
    asking["metadata"]["annotations"] = {
        **(pod["metadata"].get("annotations") or {}),
        "podhooks.io/on-exit": ON_EXIT,
        **ours,
    }
    made, report = inject(asking, SETTINGS)
    if report.outcome is Outcome.REFUSED:
        assert set(report.reasons) <= {needs.PATH, needs.ENVIRONMENT, needs.PYTHON, needs.FILE_BESIDE}
        assert "on_exit_position" in annotations or report.reasons == (needs.FILE_BESIDE,)
        return
    without, with_us = ran(cluster, pod, pod), ran(cluster, made, pod)
    result = with_us.pop("told")
    without.pop("told")
    assert with_us == without
    code = without["codes"][report.main[0]]
    never = "StartFailed" if "on_exit_position" in annotations and pod["spec"].get("initContainers") else ""
    assert result == (never if code is None else "Succeeded" if code == 0 else "Failed")


def named(name: str) -> Pod:
    pod: Pod = READ.load((CASES / f"{name}.yaml").read_text())
    return {**pod, "metadata": {"name": name, "namespace": "default"}}


@pytest.mark.parametrize("name", sorted(path.stem for path in CASES.glob("*.yaml")))
def test_a_pod_that_needs_what_its_init_containers_make(cluster: Cluster, name: str) -> None:
    assert_no_harm(cluster, named(name))


@pytest.mark.parametrize("name", sorted(path.stem for path in CASES.glob("*.yaml")))
def test_in_front_of_them_the_same_or_refused(cluster: Cluster, name: str) -> None:
    pod = named(name)
    assert_no_harm(cluster, pod, on_exit_position="first")


@pytest.mark.parametrize("name", ["subpath-file", "working-directory", "mount-point", "env-file"])
def test_it_would_be_harmed_in_front_of_them(cluster: Cluster, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the comparison can fail: the order that is refused, made all the same."""
    monkeypatch.setattr("podhooks.inject.checks.CHECKS", ())
    pod = named(name)
    hooked = plain(pod)
    hooked["metadata"]["name"] += "-harmed"
    hooked["metadata"]["annotations"] = {"podhooks.io/on-exit": ON_EXIT, "podhooks.io/on-exit-position": "first"}
    made, report = inject(hooked, SETTINGS)
    assert report.outcome is Outcome.INJECTED
    uid = create(cluster, made)

    def harmed(seen: Pod) -> bool:
        waiting = mapping(status_of(seen, "on-exit")["state"].get("waiting")).get("reason")
        return waiting == "CreateContainerConfigError" or seen["status"].get("phase") == "Failed"

    wait(cluster, uid, harmed)
    cluster.store.delete("pods", "default", uid, grace_seconds=0)


WAIT = "trap 'exit 0' TERM; sleep 300 & wait"  # the first process of a container ignores what it doesn't handle
SCRIPTS = {
    "file": "mkdir -p /w/d && echo made > /w/d/f && echo ok",
    "directory": "mkdir /w/d && echo made > /w/d/f",
    "env": "mkdir -p /w/d && printf \"WHO='me'\\n\" > /w/d/f",
    "nothing": "echo nothing",
    "failing": "echo no; exit 3",
}


@st.composite
def pods(draw: st.DrawFn) -> Pod:
    """Init containers that make things in a volume, and a main that takes them in one of several ways."""
    init: list[Pod] = [
        {
            "name": f"init-{number}",
            "image": "a",
            "command": ["sh", "-c", SCRIPTS[script]],
            "volumeMounts": [mount(draw, "/w")],
        }
        for number, script in enumerate(draw(st.lists(st.sampled_from(sorted(SCRIPTS)), max_size=2)))
    ]
    if draw(st.booleans()):
        sidecar: Pod = {"name": "sidecar", "image": "a", "command": ["sh", "-c", WAIT], "restartPolicy": "Always"}
        init.insert(draw(st.integers(0, len(init))), sidecar)
    main: Pod = {"name": "main", "image": "a", "volumeMounts": [mount(draw, "/data")]}
    if draw(st.booleans()):
        main["volumeMounts"].append(
            {"name": "w", "mountPath": "/etc/made.conf", "subPath": draw(st.sampled_from(["d", "d/f"]))}
        )
    if draw(st.booleans()):
        main["volumeMounts"].append({"name": "other", "mountPath": "/data/inner"})
    if draw(st.booleans()):
        main["workingDir"] = draw(st.sampled_from(["/data", "/data/d", "/tmp"]))
    if draw(st.booleans()):
        main["env"] = [{"name": "A", "value": draw(st.sampled_from(["x", "$(PODHOOKS_SHARED_DIR)", "$$"]))}]
    end = draw(st.sampled_from(["", "; exit 3", "; echo left > /data/left"]))
    main["command"] = ["sh", "-c", "pwd; ls /data /etc/made.conf 2>&1; echo A=$A" + end]
    containers = [main]
    if draw(st.booleans()):
        containers.append({"name": "second", "image": "a", "command": ["sh", "-c", "echo second"]})
    return {
        "metadata": {"name": "generated", "namespace": "default"},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "containers": containers,
            "initContainers": init,
            "volumes": [{"name": "w", "emptyDir": {}}, {"name": "other", "emptyDir": {}}],
        },
    }


def mount(draw: st.DrawFn, path: str) -> Pod:
    below = draw(st.sampled_from([{}, {}, {"subPath": "d"}]))
    return {"name": "w", "mountPath": path, **below}


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(pod=pods(), position=st.sampled_from(["last", "last", "first"]))
def test_a_generated_pod(cluster: Cluster, pod: Pod, position: str) -> None:
    assert_no_harm(
        cluster, pod, **({"on_exit_position": "first"} if position == "first" else {}), main_container="main"
    )


def test_the_cases_are_pods_that_run_without_us(cluster: Cluster) -> None:
    names = sorted(path.stem for path in CASES.glob("*.yaml"))
    assert len(names) >= 9
    for name in names:
        pod = named(name)
        over = ran(cluster, pod, pod)
        assert json.dumps(over["codes"]).count("null") <= 1, (name, over)


EXAMPLES = Path(__file__).parents[2] / "examples"
ALONE = ["cleanup", "notification"]  # main of the others works with what on_start hands over


@pytest.mark.parametrize("name", ALONE)
def test_an_example_without_its_callbacks(cluster: Cluster, name: str) -> None:
    """Main of each example does the same with them and without. (Their own annotations, and their own ConfigMaps.)"""
    documents = list(READ.load_all((EXAMPLES / name / "job.yaml").read_text()))
    for each in documents:
        if each["kind"] == "ConfigMap":
            each["metadata"]["namespace"] = "default"
            cluster.store.create("configmaps", each)
    (job,) = [each for each in documents if each["kind"] == "Job"]
    template = job["spec"]["template"]
    bare = {"metadata": {"name": f"example-{name}", "namespace": "default"}, "spec": plain(template["spec"])}
    hooked = plain(bare)
    hooked["metadata"]["annotations"] = template["metadata"]["annotations"]
    made, report = inject(hooked, SETTINGS)
    assert report.outcome is Outcome.INJECTED
    without, with_us = ran(cluster, bare, bare), ran(cluster, made, bare)
    assert {**with_us, "told": ""} == without
