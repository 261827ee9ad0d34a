"""The exit code of `podhooks run`, for every way in which a run can end; docs/run.md has the same table."""

from __future__ import annotations

from typing import Any

import pytest

from podhooks.context import ExitInfo, Result
from podhooks.report.summary import PodSummary
from podhooks.report.verdict import Stop, exit_code, verdict

POD = {"kind": "Pod"}


def summary(result: Result, code: int | None = None) -> PodSummary:
    return PodSummary("p", "default", "", ExitInfo(result, exit_code=code), None, ())


def job(*conditions: str) -> dict[str, Any]:
    held = [{"type": each, "status": "True", "reason": "Because"} for each in conditions]
    return {"kind": "Job", "status": {"conditions": held}}


@pytest.mark.parametrize(
    ("result", "code", "expected"),
    [
        (Result.SUCCEEDED, 0, 0),
        (Result.FAILED, 3, 3),
        (Result.FAILED, 255, 255),
        (Result.FAILED, 137, 137),
        (Result.OOM_KILLED, 5, 5),
        (Result.OOM_KILLED, 0, 1),
        (Result.DELETED, 143, 143),
        (Result.DELETED, 0, 1),
        (Result.DELETED, None, 1),
        (Result.NEVER_STARTED, None, 1),
        (Result.START_FAILED, None, 1),
        (Result.NODE_LOST, None, 1),
        (Result.UNKNOWN, None, 1),
        (Result.FAILED, 256, 1),
        (Result.FAILED, -1, 1),
    ],
)
def test_mains_own_code_where_it_has_one_and_never_0_for_what_did_not_succeed(
    result: Result, code: int | None, expected: int
) -> None:
    assert exit_code(ExitInfo(result, exit_code=code)) == expected
    assert verdict(POD, [summary(result, code)]).exit_code == expected


@pytest.mark.parametrize(
    ("stop", "expected"), [(Stop.INTERRUPT, 130), (Stop.TERMINATE, 143), (Stop.HANGUP, 129), (Stop.TIMEOUT, 124)]
)
def test_a_run_that_was_ended_by_us_says_by_what(stop: Stop, expected: int) -> None:
    found = verdict(POD, [summary(Result.DELETED, 143)], stop)
    assert (found.exit_code, stop.value in found.line) == (expected, True)


def test_an_end_of_mains_own_stands_although_we_were_about_to_end_it() -> None:
    assert verdict(POD, [summary(Result.FAILED, 3)], Stop.INTERRUPT).exit_code == 3
    assert verdict(POD, [summary(Result.SUCCEEDED, 0)], Stop.TIMEOUT).exit_code == 0


def test_a_job_has_the_last_word_on_its_pods() -> None:
    retried = [summary(Result.FAILED, 3), summary(Result.SUCCEEDED, 0)]
    assert verdict(job("Complete"), retried).exit_code == 0
    assert verdict(job("Failed"), [*reversed(retried)]).exit_code == 3
    assert verdict(job("Failed"), []).exit_code == 1


def test_the_last_line_names_what_kept_main_from_starting() -> None:
    found = verdict(POD, [summary(Result.NEVER_STARTED)], Stop.TIMEOUT, "main: ErrImagePull: no such image")
    assert found.line.endswith("main never started: main: ErrImagePull: no such image")
    assert verdict(POD, [summary(Result.SUCCEEDED, 0)], None, "old").line == "main succeeded"


def test_no_pod_at_all_is_no_success() -> None:
    assert verdict(job(), []).exit_code == 1
    assert verdict(job(), [], Stop.INTERRUPT).exit_code == 130
