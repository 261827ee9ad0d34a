"""Phases, restarts and backoff: tables. What whole pods publish is compared with recordings elsewhere."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from podhooks.local.containers import Backoff, Container, Ended, Role, containers_of, go_duration, is_restarted
from podhooks.local.statuses import PodState, mark_lost, phase_of, pod_status

STATE = PodState("2026-11-23T00:00:00Z", "2026-11-23T00:00:01Z", sandbox_ready=True)
Json = dict[str, Any]


def made(role: Role, state: str, **spec: object) -> Container:
    """state: waiting, running, or an exit code."""
    container = Container({"name": f"{role.value}", **spec}, role)
    if state == "running":
        container.running_since = "2026-11-23T00:00:00Z"
    elif state != "waiting":
        container.ended = Ended(int(state), "Completed" if state == "0" else "Error")
    return container


def pod(policy: str = "Never") -> Json:
    return {"metadata": {"name": "p", "namespace": "d", "uid": "u"}, "spec": {"restartPolicy": policy}, "status": {}}


@pytest.mark.parametrize(
    ("policy", "init", "sidecar", "main", "phase"),
    [
        ("Never", "waiting", "waiting", "waiting", "Pending"),
        ("Never", "running", "running", "waiting", "Pending"),
        ("Never", "7", "running", "waiting", "Failed"),
        ("OnFailure", "7", "running", "waiting", "Pending"),
        ("Never", "0", "running", "waiting", "Pending"),
        ("Never", "0", "running", "running", "Running"),
        ("Never", "0", "running", "0", "Running"),
        ("Never", "0", "0", "0", "Succeeded"),
        ("Never", "0", "137", "0", "Succeeded"),
        ("Never", "0", "0", "3", "Failed"),
        ("OnFailure", "0", "0", "3", "Running"),
        ("OnFailure", "0", "0", "0", "Succeeded"),
        ("Always", "0", "0", "0", "Running"),
    ],
)
def test_the_phase_is_what_the_containers_say(policy: str, init: str, sidecar: str, main: str, phase: str) -> None:
    containers = [made(Role.SIDECAR, sidecar), made(Role.INIT, init), made(Role.MAIN, main)]
    assert phase_of(pod(policy), containers, STATE) == phase


def test_a_sidecars_exit_code_never_decides_the_phase() -> None:
    """Kubelet fact 20."""
    for code in ("0", "3", "137"):
        assert phase_of(pod(), [made(Role.SIDECAR, code), made(Role.MAIN, "0")], STATE) == "Succeeded"


def test_a_classic_sidecars_death_fails_the_pod() -> None:
    """Kubelet fact 22."""
    assert phase_of(pod(), [made(Role.MAIN, "0"), made(Role.MAIN, "137")], STATE) == "Failed"


def test_a_final_phase_is_held_back_until_all_is_over() -> None:
    running = {**pod(), "status": {"phase": "Running"}}
    containers = [made(Role.MAIN, "3")]
    held = pod_status(running, containers, STATE)
    assert held["phase"] == "Running"
    assert {c["type"]: c.get("reason") for c in held["conditions"]}["Ready"] == "PodFailed"
    assert pod_status(running, containers, replace(STATE, over=True))["phase"] == "Failed"


def test_conditions_of_others_and_times_of_unchanged_ones_stay() -> None:
    old = {"type": "Ready", "status": "False", "lastTransitionTime": "2020-01-01T00:00:00Z"}
    theirs = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    before = {**pod(), "status": {"phase": "Running", "conditions": [old, theirs]}}
    conditions = pod_status(before, [made(Role.MAIN, "3")], STATE)["conditions"]
    assert theirs in conditions
    assert next(c for c in conditions if c["type"] == "Ready")["lastTransitionTime"] == "2020-01-01T00:00:00Z"


def test_lost_containers_are_those_that_should_have_run() -> None:
    initialized = [made(Role.INIT, "0"), made(Role.MAIN, "waiting")]
    assert mark_lost(initialized)
    assert initialized[1].ended
    assert initialized[1].ended.reason == "ContainerStatusUnknown"
    failed = [made(Role.SIDECAR, "0"), made(Role.INIT, "7"), made(Role.MAIN, "waiting")]
    assert not mark_lost(failed)


RULE = [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]
NOT_RULE = [{"action": "Restart", "exitCodes": {"operator": "NotIn", "values": [1]}}]


@pytest.mark.parametrize(
    ("role", "policy", "code", "spec", "again"),
    [
        (Role.MAIN, "Always", "0", {}, True),
        (Role.MAIN, "OnFailure", "0", {}, False),
        (Role.MAIN, "OnFailure", "1", {}, True),
        (Role.MAIN, "Never", "1", {}, False),
        (Role.MAIN, "Always", "1", {"restartPolicy": "Never"}, False),
        (Role.MAIN, "Never", "1", {"restartPolicy": "OnFailure"}, True),
        (Role.MAIN, "Never", "42", {"restartPolicy": "Never", "restartPolicyRules": RULE}, True),
        (Role.MAIN, "Never", "41", {"restartPolicy": "Never", "restartPolicyRules": RULE}, False),
        (Role.MAIN, "Never", "2", {"restartPolicy": "Never", "restartPolicyRules": NOT_RULE}, True),
        (Role.MAIN, "Never", "1", {"restartPolicy": "Never", "restartPolicyRules": NOT_RULE}, False),
        (Role.INIT, "Always", "0", {}, False),
        (Role.INIT, "Always", "1", {}, True),
        (Role.SIDECAR, "Never", "0", {"restartPolicy": "Always"}, True),
    ],
)
def test_who_is_run_again(role: Role, policy: str, code: str, spec: Json, again: bool) -> None:
    assert is_restarted(made(role, code, **spec), policy) is again


def test_sidecars_are_init_containers_that_always_restart() -> None:
    spec = {"initContainers": [{"name": "s", "restartPolicy": "Always"}, {"name": "i"}], "containers": [{"name": "m"}]}
    assert [c.role for c in containers_of({"spec": spec})] == [Role.SIDECAR, Role.INIT, Role.MAIN]


def test_the_first_restart_is_immediate_then_the_delay_doubles_up_to_five_minutes() -> None:
    backoff, container = Backoff(10.0), made(Role.MAIN, "1")
    container.ended = replace(Ended(1, "Error"), ended=time.monotonic())
    delays = []
    for _ in range(8):
        delays.append(backoff.restart_at(container) - container.ended.ended)
        backoff.advance(container)
    assert delays == pytest.approx([0, 10, 20, 40, 80, 160, 300, 300])


@pytest.mark.parametrize(("seconds", "text"), [(0.3, "0.3s"), (10, "10s"), (80, "1m20s"), (300, "5m0s")])
def test_durations_look_as_go_prints_them(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text
