"""The rescuer's decisions: one row an ending of a pod, one row a turn of a Rescue."""

from __future__ import annotations

from typing import Any

import pytest
from podhooks_operator.rescue.debt import debt_of
from podhooks_operator.rescue.decide import (
    Cancel,
    Finish,
    Hold,
    Note,
    Record,
    Release,
    Run,
    SeenJob,
    Tried,
    Try,
    Wait,
    decide_pod,
    decide_rescue,
    verdict_of,
)
from podhooks_operator.rescue.objects import State, new_rescue, read_rescue, rescue_name
from podhooks_operator.rescue.rescue_settings import RescueSettings
from podhooks_operator.rescue.standing import Standing, standing

from podhooks import contract
from podhooks.context import Result, Status
from tests.rescue_pods import RUNNING, UID, WAITING, Json, at, ended, outcome, pod, record, stamp

SETTINGS = RescueSettings()
BOTH = (outcome("a:b"), outcome("c:d"))
COMPLETE = record(*BOTH, complete=True)
LOST = [{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC", "lastTransitionTime": stamp(0)}]
FINISHED: dict[str, Any] = {"phase": "Succeeded", "main": ended(0), "on_exit": ended(137)}


def step(source: Json, seconds: float = 1, **more: Any) -> Any:
    return decide_pod(source, at(seconds), SETTINGS, **more)


@pytest.mark.parametrize(
    ("source", "verdict", "code", "owed"),
    [
        (pod(**FINISHED), Result.SUCCEEDED, 0, ("a:b", "c:d")),
        (pod(phase="Failed", main=ended(7), left=record(outcome("a:b"))), Result.FAILED, 7, ("c:d",)),
        (pod(phase="Failed", main=ended(7), on_exit=ended(0), deleted_at=0), Result.DELETED, 7, ("a:b", "c:d")),
        (pod(phase="Failed", main=ended(137), on_exit=None, reason="Evicted"), Result.EVICTED, 137, ("a:b", "c:d")),
        (pod(phase="Pending", main=None, on_exit=None, node="", deleted_at=0, grace=0), Result.NEVER_STARTED, None,
         ("a:b", "c:d")),
        (pod(phase="Failed", main=WAITING, on_exit=WAITING, reason="DeadlineExceeded"), Result.DEADLINE_EXCEEDED, None,
         ("a:b", "c:d")),
    ],
)  # fmt: skip
def test_a_pod_that_is_over_and_owes_something_is_recorded_with_the_truth_and_only_then_released(
    source: Json, verdict: Result, code: int | None, owed: tuple[str, ...]
) -> None:
    decided = step(source)
    assert isinstance(decided, Record)
    assert (decided.verdict.result, decided.verdict.exit_code, decided.debt.owed) == (verdict, code, owed)
    assert decided.standing.confirmed
    assert step(source, recorded=True) == Release(contract.RELEASED_RECORDED)


@pytest.mark.parametrize(
    "left",
    [
        COMPLETE,
        record(*BOTH),  # killed between the last outcome and the mark of completeness
        record(outcome("a:b"), outcome("c:d", Status.FAILED, 3), complete=True),
        record(outcome("a:b", Status.TIMED_OUT, 3), outcome("c:d", Status.SKIPPED, 0), complete=True),
    ],
)
def test_a_pod_that_did_it_all_is_only_released(left: Any) -> None:
    assert step(pod(phase="Succeeded", main=ended(0), left=left)) == Release(contract.RELEASED_COMPLETE)


def test_what_only_the_pods_lack_of_time_brought_about_is_owed() -> None:
    """What was ended by force may have had its effect before: seen once in 25 deletions with `--now`."""
    left = record(
        outcome("a:b", Status.TIMED_OUT, 1, cut=True), outcome("c:d", Status.SKIPPED, 0, cut=True), complete=True
    )
    decided = step(pod(phase="Failed", main=ended(137), left=left))
    assert (decided.debt.owed, decided.debt.begun) == (("a:b", "c:d"), ("a:b",))


def test_a_callback_that_died_between_effect_and_record_may_run_twice_if_its_retries_allow_it() -> None:
    left = record(outcome("a:b", Status.RUNNING, 1))
    debt = step(pod(phase="Succeeded", main=ended(0), left=left)).debt
    assert (debt.owed, debt.begun, debt.forfeit) == (("a:b", "c:d"), ("a:b",), ())
    once = pod(phase="Succeeded", main=ended(0), left=left, annotations={contract.ON_EXIT_RETRIES: "0"})
    debt = step(once).debt
    assert (debt.owed, debt.begun, debt.forfeit) == (("c:d",), (), ("a:b",))


def test_callbacks_that_are_not_wanted_are_not_owed() -> None:
    on_failure = {contract.ON_EXIT_WHEN: "failure"}
    assert step(pod(**FINISHED, annotations=on_failure)) == Release(contract.RELEASED_COMPLETE)
    failed = pod(phase="Failed", main=ended(3), on_exit=ended(137), annotations=on_failure)
    assert step(failed).debt.owed == ("a:b", "c:d")


def test_behind_a_failure_that_ends_the_list_nothing_is_owed() -> None:
    classic = {contract.MODE: "classic", contract.ON_EXIT_POLICY: "fail"}
    left = record(outcome("a:b", Status.FAILED, 3))
    source = pod(phase="Failed", main=ended(0), left=left, annotations=classic)
    assert step(source) == Release(contract.RELEASED_COMPLETE)


@pytest.mark.parametrize(
    "source",
    [
        pod(),
        pod(deleted_at=30),
        pod(deleted_at=-300),  # its kubelet is silent: the object waits for that, not for us
        pod(phase="Pending", main=WAITING, on_exit=WAITING),
        pod(main=ended(0)),  # the sidecar is at work
        pod(held=False, deleted_at=30),  # too late for a finalizer
        pod(**FINISHED, held=False, annotations={contract.RELEASED: "recorded"}),
        pod(held=False, annotations={contract.RELEASED: "by-hand"}),
    ],
)
def test_nothing_is_done(source: Json) -> None:
    assert step(source) == Wait()


def test_a_pod_that_came_through_another_door_is_held_while_it_lives() -> None:
    assert step(pod(held=False)) == Hold()
    assert step(pod(held=False, annotations={contract.GUARANTEE: "pod"})) == Wait()
    assert isinstance(step(pod(**FINISHED, held=False)), Record)


@pytest.mark.parametrize(
    "source", [pod(phase="Failed", conditions=LOST, deleted_at=0, grace=0), pod(deleted_at=0, grace=0)]
)
def test_an_end_that_no_kubelet_confirms_is_waited_for_and_not_for_ever(source: Json) -> None:
    assert step(source, 1) == step(source, SETTINGS.hold - 1) == Wait(at(SETTINGS.hold))
    decided = step(source, SETTINGS.hold)
    assert isinstance(decided, Record)
    assert not decided.standing.confirmed
    back = {**source, "status": pod(phase="Failed", main=ended(7), left=COMPLETE)["status"]}
    assert step(back, 2) == Release(contract.RELEASED_COMPLETE)


def test_no_pod_is_held_beyond_the_bound_once_it_is_said_to_be_over() -> None:
    for phase in ("Running", "Failed", "Succeeded", "Pending", "Unknown"):
        for main in (RUNNING, WAITING, ended(0), None):
            source = pod(phase=phase, main=main, deleted_at=0, grace=0)
            assert not isinstance(step(source, SETTINGS.hold), Wait), (phase, main)


# Rescues.


def rescue(source: Json | None = None, *, state: State = State.RECORDED, seconds: float = 0, **status: Any) -> Any:
    source = source or pod(**FINISHED)
    verdict = verdict_of(source)
    raw = new_rescue(source, "podhooks", verdict, debt_of(source, verdict), standing(source, at(0), 120))
    raw["metadata"] |= {"creationTimestamp": stamp(seconds), "resourceVersion": "9"}
    raw["status"] |= {"state": state.value, **status}
    return read_rescue(raw)


def turn(given: Any, seconds: float = 1, **more: Any) -> Any:
    return decide_rescue(given, at(seconds), SETTINGS, **more)


def test_a_rescue_says_what_it_is_about_and_can_be_read_again() -> None:
    source = pod(phase="Failed", main=ended(7), left=record(outcome("a:b", Status.RUNNING)), conditions=LOST)
    source["metadata"]["managedFields"] = [{"manager": "kubelet"}]
    given = rescue(source)
    assert (given.pod.name, given.pod.namespace, given.pod.uid, given.pod.node) == ("etl", "etl", UID, "node-1")
    assert (given.owed, given.begun, given.record.outcomes[0].status) == (("a:b", "c:d"), ("a:b",), Status.RUNNING)
    assert (given.verdict, given.state, given.attempts) == (verdict_of(source), State.RECORDED, 0)
    assert "managedFields" not in given.object["metadata"]


def test_names_of_rescues_are_the_pods_own() -> None:
    assert rescue_name("etl", UID) == f"etl.{UID}"
    assert len(rescue_name("x" * 253, UID)) == 253
    assert rescue_name("x" * 216 + ".y", UID) == "x" * 216 + f".{UID}"


def test_a_dry_run_comes_before_the_job_and_the_job_before_the_note() -> None:
    given = rescue()
    assert turn(given) == Try()
    assert turn(given, tried=Tried()) == Run(1)
    assert turn(given, job=SeenJob(1)) == Note(State.RUNNING, attempts=1)
    assert turn(given, room=False) == Wait()


def test_a_refusal_is_told_asked_again_and_final_at_the_deadline() -> None:
    tried = Tried("exceeded quota: pods", again_at=at(30))
    assert turn(rescue(), tried=tried) == Note(State.RECORDED, reason="Refused", message="exceeded quota: pods")
    told = rescue(reason="Refused", message="exceeded quota: pods")
    assert turn(told, tried=tried) == Wait(at(30))
    assert turn(told, 30, tried=tried) == Try()
    assert turn(told, SETTINGS.deadline, tried=tried) == Finish(State.REFUSED, "Refused", "exceeded quota: pods")
    assert turn(rescue(), tried=Tried("no namespace", final=True)).state is State.REFUSED


def test_every_rescue_ends_at_its_deadline() -> None:
    for room in (True, False):
        assert turn(rescue(), SETTINGS.deadline, room=room).state is State.EXPIRED
    running = rescue(state=State.RUNNING, attempts=1)
    assert turn(running, SETTINGS.deadline, job=SeenJob(1)) == Cancel()
    assert turn(running, SETTINGS.deadline).state is State.EXPIRED
    assert turn(running, 5, job=SeenJob(1)) == Wait(at(SETTINGS.deadline))


def finished(left: Any, **more: Any) -> SeenJob:
    return SeenJob(1, finished=True, record=left, **more)


def test_a_job_that_ran_everything_ends_the_rescue() -> None:
    running = rescue(state=State.RUNNING, attempts=1)
    assert turn(running, job=finished(COMPLETE)) == Finish(State.DONE, "Completed", "ran a:b, c:d", COMPLETE)
    failed = record(outcome("a:b"), outcome("c:d", Status.FAILED, 3, message="boom"), complete=True)
    assert turn(running, job=finished(failed)).message == "c:d failed: boom"
    assert turn(running, job=finished(failed)).state is State.FAILED


def test_a_rerun_of_what_had_begun_is_counted() -> None:
    begun = pod(phase="Succeeded", main=ended(0), left=record(outcome("a:b", Status.RUNNING)))
    done = turn(rescue(begun, state=State.RUNNING, attempts=1), job=finished(COMPLETE))
    assert (done.state, done.twice) == (State.DONE, ("a:b",))


def test_a_job_whose_pod_was_lost_is_tried_again_from_what_it_left() -> None:
    running = rescue(state=State.RUNNING, attempts=1)
    left = record(outcome("a:b"), outcome("c:d", Status.RUNNING))
    again = turn(running, job=finished(left, trouble="evicted"))
    assert again == Note(State.RECORDED, reason="Again", message="evicted", record=left, twice=("c:d",))
    nothing = turn(running, job=finished(None, trouble="evicted"))
    assert nothing.twice == ("a:b", "c:d"), "a pod that left no record may have run anything"
    last = turn(rescue(state=State.RUNNING, attempts=SETTINGS.attempts), job=finished(None, trouble="evicted"))
    assert (last.state, last.reason, last.message) == (State.FAILED, "JobLost", "not run: a:b, c:d: evicted")


def test_what_its_retries_forbid_to_run_again_is_a_failure_that_is_told() -> None:
    retries = {contract.ON_EXIT: "a:b", contract.ON_EXIT_RETRIES: "0"}
    left = record(outcome("a:b", Status.RUNNING))
    once = pod(phase="Succeeded", main=ended(0), left=left, annotations=retries)
    decided = turn(rescue(once))
    assert (decided.state, decided.reason, decided.twice) == (State.FAILED, "NoAttemptsLeft", ())


def test_a_job_that_somebody_deleted_is_not_made_again() -> None:
    assert turn(rescue(state=State.RUNNING, attempts=1)).reason == "JobDeleted"


@pytest.mark.parametrize("state", [each for each in State if each.ended])
def test_an_ended_rescue_stays_ended(state: State) -> None:
    for job in (None, SeenJob(1), finished(COMPLETE)):
        assert turn(rescue(state=state), 9e9, job=job) == Wait()


def test_standing_of_a_pod_deleted_by_force_counts_from_the_deletion() -> None:
    assert standing(pod(deleted_at=-10, grace=0), at(0), 120).until == at(110)
    assert standing(pod(), at(0), 120) == Standing(standing(pod(), at(0), 120).stage)
