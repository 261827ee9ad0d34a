"""Main is chosen once, when a pod is injected: whatever is put in front of it later, everybody goes by the choice."""

from __future__ import annotations

import base64
import json
from typing import Any

import jsonpatch
import pytest
from podhooks_operator.webhook.review import ReviewSettings, review

from podhooks import contract
from podhooks.context import Result
from podhooks.inject import InjectSettings, Outcome, inject, uninject
from podhooks.inject.edit import plain
from podhooks.pod.environment import literal_environment
from podhooks.pod.object import choice_written, main_container, main_containers
from podhooks.pod.status import exit_info, presumed
from podhooks.report.news import Role, role_of
from podhooks.report.summary import summarize
from podhooks.report.verdict import verdict
from tests.doors.cases import DoorCase, door_cases

Pod = dict[str, Any]
PROXY = {"name": "proxy", "image": "proxy:1", "env": [{"name": "WHO", "value": "proxy"}]}
ETL = {"name": "etl", "image": "etl:1", "env": [{"name": "WHO", "value": "etl"}]}
EVERYONE = {contract.MAIN_CONTAINER: "*"}


def pod(*containers: Pod, mode: str = "native", **annotations: str) -> Pod:
    given = {contract.ON_EXIT: "notify:slack", contract.MODE: mode, **annotations}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "etl", "uid": "1", "annotations": given},
        "spec": {"restartPolicy": "Never", "containers": [plain(each) for each in containers]},
    }


def with_proxy(made: Pod) -> Pod:
    """What another injector makes of it: its own container in front."""
    other: Pod = plain(made)
    other["spec"]["containers"].insert(0, plain(PROXY))
    return other


def prepended(given: Pod) -> Pod:
    return with_proxy(inject(given)[0])


def ended(given: Pod, **codes: int) -> Pod:
    """The pod as it is when those containers have ended."""
    times = {"startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z"}
    statuses = [
        {"name": name, "state": {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed", **times}}}
        for name, code in codes.items()
    ]
    phase = "Failed" if any(codes.values()) else "Succeeded"
    return {**given, "status": {"phase": phase, "containerStatuses": statuses}}


MODES = pytest.mark.parametrize("mode", ["native", "classic"])


@MODES
def test_main_stays_main_when_a_container_is_put_in_front_of_it(mode: str) -> None:
    made = prepended(pod(ETL, mode=mode))
    assert main_container(made) == "etl"
    assert [each.name for each in main_containers(made)] == ["etl"]
    assert (role_of(made, "etl"), role_of(made, "proxy")) == (Role.MAIN, Role.OTHER)


@MODES
def test_its_end_is_the_one_that_counts(mode: str) -> None:
    over = ended(prepended(pod(ETL, mode=mode)), etl=3, proxy=0)
    end = exit_info(over)
    assert end is not None
    assert (end.result, end.exit_code, end.container) == (Result.FAILED, 3, "etl")
    summary = summarize(over)
    assert summary.end == end
    told = verdict({"kind": "Pod"}, [summary])
    assert (told.exit_code, told.line) == (3, "main failed")


def test_a_proxy_that_is_killed_afterwards_is_not_mains_failure() -> None:
    end = exit_info(ended(prepended(pod(ETL)), etl=0, proxy=137))
    assert end is not None
    assert end.succeeded


def test_a_guess_before_the_end_goes_by_it_too() -> None:
    made = prepended(pod(ETL))
    made["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert presumed(made).container == "etl"


def test_callbacks_find_its_environment() -> None:
    made = prepended(pod(ETL))
    assert literal_environment(made, "etl")["WHO"] == "etl"
    everyone = prepended(pod(ETL, **EVERYONE))
    assert literal_environment(everyone, "*")["WHO"] == "etl"


@MODES
def test_the_webhook_called_again_changes_nothing(mode: str) -> None:
    made = prepended(pod(ETL, mode=mode))
    request = {
        "uid": "1",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "namespace": "default",
        "operation": "CREATE",
        "object": made,
    }
    asked = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    response = review(asked, ReviewSettings()).answer["response"]
    assert response["allowed"] is True
    patch = json.loads(base64.b64decode(response.get("patch", "W10=")))
    assert jsonpatch.apply_patch(made, patch) == made


@pytest.mark.parametrize("annotations", [{}, EVERYONE])
def test_injecting_again_with_other_settings_keeps_it(annotations: dict[str, str]) -> None:
    made = prepended(pod(ETL, **annotations))
    again, report = inject(made, InjectSettings(image="registry.example.com/podhooks:1"))
    assert (report.outcome, report.main) == (Outcome.UPDATED, ("etl",))
    assert main_container(again) == main_container(made)
    on_exit = next(each for each in again["spec"]["initContainers"] if each["name"] == "on-exit")
    assert on_exit["image"] == "etl:1"
    assert again["spec"]["containers"][0] == PROXY
    assert "guessed-main" not in [each.code for each in report.findings]


def test_a_new_init_container_at_the_end_is_in_front_of_ours_again() -> None:
    made = prepended(pod(ETL))
    made["spec"]["initContainers"].append({"name": "late", "image": "late:1"})
    again, report = inject(made)
    assert report.outcome is Outcome.UPDATED
    assert [each["name"] for each in again["spec"]["initContainers"]] == ["late", "on-exit", "on-start"]


def test_taking_ours_out_gives_back_the_rest() -> None:
    given = pod(ETL)
    assert uninject(prepended(given)) == (with_proxy(given), True)
    assert uninject(inject(given)[0]) == (given, True)


def test_new_annotations_choose_anew() -> None:
    made = prepended(pod(ETL))
    made["metadata"]["annotations"][contract.MAIN_CONTAINER] = "proxy"
    again, report = inject(made)
    assert (main_container(again), report.main) == ("proxy", ("proxy",))


def test_a_choice_of_the_policy_has_no_hash_and_stands_all_the_same() -> None:
    made = prepended(pod(ETL))
    made["metadata"]["annotations"][contract.STATUS] = json.dumps({"version": "0.1.0", "door": "policy", "grace": 30})
    assert inject(made)[1].main == ("etl",)
    made["metadata"]["annotations"][contract.MAIN_CONTAINER] = "proxy"
    assert inject(made)[1].main == ("proxy",)


def test_a_choice_whose_container_is_gone_is_none() -> None:
    made = prepended(pod(ETL))
    made["spec"]["containers"].pop()
    assert choice_written(made) is None
    assert main_container(made) == "proxy"


def test_all_together_are_those_that_were_there() -> None:
    """A proxy that was added later may run for ever."""
    second = {"name": "second", "image": "second:1"}
    made = prepended(pod(ETL, second, **EVERYONE))
    assert [each.name for each in main_containers(made)] == ["etl", "second"]
    assert [each.name for each in main_containers(made, "*")] == ["etl", "second"]
    running = ended(made, etl=0, second=2)
    running["status"]["containerStatuses"].insert(0, {"name": "proxy", "state": {"running": {}}})
    running["status"]["phase"] = "Running"
    end = exit_info(running, "*")
    assert end is not None
    assert (end.exit_code, end.container) == (2, "second")


@pytest.mark.parametrize("case", door_cases(), ids=lambda case: case.name)
def test_every_door_writes_it(case: DoorCase) -> None:
    """The golden pods are what all doors make."""
    written = choice_written(case.golden)
    assert written is not None
    assert written.label == main_container(case.pod)
    assert written.names == tuple(each.name for each in main_containers(case.pod))


def codes(given: Pod) -> list[str]:
    return [each.code for each in inject(given)[1].findings]


@pytest.mark.parametrize(
    ("annotations", "guessed"),
    [
        ({}, True),
        ({contract.MAIN_CONTAINER: "etl"}, False),
        (EVERYONE, False),
        ({contract.DEFAULT_CONTAINER_ANNOTATION: "etl"}, False),
    ],
)
def test_a_guess_among_several_is_told(annotations: dict[str, str], guessed: bool) -> None:
    given = pod(PROXY, ETL, **annotations)
    assert ("guessed-main" in codes(given)) is guessed
    assert "guessed-main" not in codes(pod(ETL, **annotations))
    (finding,) = [each for each in inject(pod(PROXY, ETL))[1].findings if each.code == "guessed-main"]
    assert "'proxy', the first" in finding.message


def test_a_default_container_that_is_not_there_is_told_once() -> None:
    found = codes(pod(PROXY, ETL, **{contract.DEFAULT_CONTAINER_ANNOTATION: "gone"}))
    assert found == ["unknown-default-container"]


@pytest.mark.parametrize("env", [None, "x", [None, 5, {"name": contract.ENV_MAIN_CONTAINER}], [{"name": None}]])
def test_a_written_choice_that_can_not_be_read_is_none(env: Any) -> None:
    made = inject(pod(ETL))[0]
    for each in made["spec"]["initContainers"]:
        each["env"] = env
    assert choice_written(made) is None
    assert main_container(made) == "etl"
