"""What `podhooks run` says about pods that a real kubelet published, and about what it may meet."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podhooks.pod.object import containers
from podhooks.report.news import (
    Entry,
    Role,
    Tone,
    is_over,
    is_without_hope,
    job_news,
    obstacle,
    pod_news,
    role_of,
    runtime_image_trouble,
    state_word,
    warning_news,
)

TRACES = Path(__file__).parents[1] / "traces"
NAMES = sorted(path.stem for path in TRACES.glob("*.jsonl"))

Pod = dict[str, Any]


def events(name: str) -> list[tuple[str, Pod]]:
    lines = (TRACES / f"{name}.jsonl").read_text().splitlines()
    return [(event["type"], event["object"]) for event in (json.loads(line)["event"] for line in lines)]


def told(name: str) -> list[Entry]:
    """Everything that is said while a recorded run is watched."""
    seen: dict[str, Pod] = {}
    said: list[Entry] = []
    for kind, pod in events(name):
        uid = pod["metadata"]["uid"]
        said += pod_news(seen.get(uid, {}), pod, gone=kind == "DELETED")
        seen[uid] = pod
    return said


def texts(name: str, container: str = "main") -> list[str]:
    return [each.text for each in told(name) if each.container == container]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_said_twice_in_a_row(name: str) -> None:
    said = told(name)
    assert all(one != other for one, other in pairwise(said))


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_pod_is_over_at_its_last_event_and_not_before_main_ran(name: str) -> None:
    history = events(name)
    assert not is_over(history[0][1])
    kind, last = history[-1]
    assert kind == "DELETED" or is_over(last)


def test_the_usual_course_is_told_in_the_order_of_time() -> None:
    said = [(each.container, each.text) for each in told("native-failed")][1:]
    assert said == [
        ("on-exit", "running"),
        ("on-start", "running"),
        ("on-start", "ended, exit code 0"),
        ("main", "running"),
        ("main", "ended, exit code 3"),
        ("on-exit", "ended, exit code 0"),
    ]


def test_every_run_of_a_container_that_is_restarted_is_told_once() -> None:
    said = texts("native-onfailure-then-ok")
    assert [each for each in said if not each.startswith("waiting")] == [
        "running",
        "ended, exit code 4",
        "running again, restart 1",
        "ended, exit code 4",
        "running again, restart 2",
        "ended, exit code 0",
    ]
    assert any(each.startswith("waiting: CrashLoopBackOff: back-off 10s") for each in said)


@pytest.mark.parametrize(
    ("name", "container", "text"),
    [
        ("native-oom", "main", "out of memory, exit code 137 (SIGKILL)"),
        ("native-evicted-disk", "main", "ended, and nobody saw how"),
        ("native-deleted", "", "being deleted, "),
        ("classic-image-missing", "main", "waiting: ErrImageNeverPull: Container image"),
        ("native-evicted-disk", "", "Evicted: Usage of EmptyDir volume"),
        ("classic-evicted-api", "", "disrupted: EvictionByEvictionAPI"),
        ("native-force-deleted", "", "is gone, while on-exit and main still ran"),
    ],
)
def test_what_went_wrong_is_told(name: str, container: str, text: str) -> None:
    assert [each for each in texts(name, container) if each.startswith(text)]


def test_a_container_that_never_ran_did_not_end() -> None:
    assert not [each for each in texts("classic-image-missing") if "ended" in each]


@pytest.mark.parametrize(
    ("code", "reason"), [(137, "ContainerStatusUnknown"), (255, "Unknown"), (-137, "NotFound"), (0, "Terminated")]
)
def test_an_exit_code_that_somebody_made_up_is_not_shown(code: int, reason: str) -> None:
    end = {"exitCode": code, "reason": reason, "startedAt": "2026-11-23T00:00:00Z"}

    def pod(state: dict[str, Any]) -> Pod:
        spec = {"containers": [{"name": "main"}]}
        return {"metadata": {"name": "p"}, "spec": spec, "status": {"containerStatuses": [{"name": "main", **state}]}}

    running, ended = pod({"state": {"running": {}}}), pod({"state": {"terminated": end}})
    (entry,) = pod_news(running, ended)
    assert (entry.text, entry.tone) == ("ended, and nobody saw how", Tone.BAD)
    assert state_word(containers(ended)[0]) == "lost"


def test_what_keeps_main_from_starting_is_named_with_its_message() -> None:
    pod = next(pod for _, pod in events("classic-image-missing") if obstacle(pod))
    assert obstacle(pod).startswith("main: ErrImageNeverPull: Container image")


def test_a_pod_that_no_node_takes_says_so() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes\nfit"}
    pod = {"metadata": {"name": "p"}, "status": {"phase": "Pending", "conditions": [condition]}}
    assert [each.text for each in pod_news({}, pod)] == ["p created", "no node takes it: 0/1 nodes fit"]
    assert obstacle(pod) == "no node takes it: 0/1 nodes fit"


def test_roles_follow_the_annotations() -> None:
    pod = events("native-succeeded")[0][1]
    assert [role_of(pod, each) for each in ("on-start", "on-exit", "main", "nobody")] == [
        Role.ON_START,
        Role.ON_EXIT,
        Role.MAIN,
        Role.OTHER,
    ]


def test_a_failed_job_is_told_once_with_its_reason() -> None:
    failed = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "limit reached"}
    job = {"metadata": {"name": "j"}, "status": {"conditions": [failed]}}
    assert [each.text for each in job_news({}, job)] == ["job failed: BackoffLimitExceeded: limit reached"]
    assert not list(job_news(job, job))


def test_warnings_that_states_tell_are_not_repeated() -> None:
    def event(kind: str, reason: str) -> Pod:
        involved = {"kind": "Pod", "name": "p"}
        return {"type": kind, "reason": reason, "message": "m", "involvedObject": involved}

    assert [each.text for each in warning_news(event("Warning", "FailedMount"))] == ["FailedMount: m"]
    assert not list(warning_news(event("Warning", "BackOff")))
    assert not list(warning_news(event("Normal", "Pulled")))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
STATE = st.dictionaries(st.sampled_from(["running", "waiting", "terminated"]), JSON, max_size=2)
STATUS = st.fixed_dictionaries({"name": st.sampled_from(["main", "on-exit"]), "state": STATE | JSON, "lastState": JSON})
POD = st.fixed_dictionaries(
    {
        "metadata": st.fixed_dictionaries({"name": JSON, "deletionTimestamp": JSON}),
        "spec": st.just({"containers": [{"name": "main"}, {"name": "on-exit"}]}) | JSON,
        "status": st.fixed_dictionaries({"containerStatuses": st.lists(STATUS, max_size=2), "conditions": JSON}),
    }
)


@given(before=POD, after=POD, gone=st.booleans())
def test_any_pod_can_be_told(before: Pod, after: Pod, gone: bool) -> None:
    assert all("\n" not in each.text for each in pod_news(before, after, gone=gone))
    assert isinstance(obstacle(after), str)


def waiting_for(image: str, reason: str, message: str = "", **spec: Any) -> Pod:
    """An injected pod whose on-exit, which is made of main's image, waits."""
    runtime = {"name": "podhooks-runtime", "image": {"reference": "podhooks/podhooks:1"}}
    state = {"waiting": {"reason": reason, "message": message}}
    return {
        "metadata": {"name": "etl", "uid": "u"},
        "spec": {"initContainers": [{"name": "on-exit", "image": image}], "volumes": [runtime], **spec},
        "status": {"phase": "Pending", "initContainerStatuses": [{"name": "on-exit", "state": state}]},
    }


@pytest.mark.parametrize(
    ("pod", "told_", "hopeless"),
    [
        (waiting_for("main", "ErrImagePull", 'failed to pull "podhooks/podhooks:1": not found'), True, False),
        (waiting_for("main", "ErrImageNeverPull", 'image "podhooks/podhooks:1" is not present'), True, True),
        (waiting_for("main", "ErrImageNeverPull", 'image "main" is not present'), False, False),
        (waiting_for("main", "PodInitializing"), False, False),
        (waiting_for("x", "InvalidImageName", "couldn't parse"), False, False),
    ],
)
def test_an_image_of_ours_that_can_not_be_had_is_told_with_what_to_do(pod: Pod, told_: bool, hopeless: bool) -> None:
    said = [each.text for each in pod_news({}, pod) if "push it to a registry" in each.text]
    assert bool(said) == bool(runtime_image_trouble(pod)) == told_
    assert is_without_hope(pod) == hopeless


def test_the_copying_containers_own_image_is_known_by_its_name() -> None:
    state = {"waiting": {"reason": "InvalidImageName", "message": "couldn't parse"}}
    pod = {
        "metadata": {"name": "etl", "uid": "u"},
        "spec": {"initContainers": [{"name": "podhooks-runtime", "image": "UPPER"}]},
        "status": {"initContainerStatuses": [{"name": "podhooks-runtime", "state": state}]},
    }
    assert "UPPER" in runtime_image_trouble(pod)
    assert is_without_hope(pod)
