"""The arithmetic of jobs."""

from __future__ import annotations

from typing import Any

import pytest

from podhooks.local.jobs import job_notices, pod_of
from podhooks.local.jobstatus import (
    BACKOFF_LIMIT_EXCEEDED,
    Verdict,
    format_indexes,
    indexes_to_create,
    parse_indexes,
    too_many_failures,
    verdict,
)

Json = dict[str, Any]


def job(status: Json | None = None, **spec: Any) -> Json:
    template = {"spec": {"restartPolicy": spec.pop("policy", "Never"), "containers": [{"name": "main"}]}}
    return {
        "metadata": {"name": "j", "namespace": "d", "uid": "u"},
        "spec": {**spec, "template": template},
        "status": status or {},
    }


@pytest.mark.parametrize(
    ("indexes", "text"), [(set(), ""), ({0}, "0"), ({0, 1}, "0,1"), ({0, 1, 2, 5, 7, 8}, "0-2,5,7,8")]
)
def test_indexes_are_written_as_ranges_and_read_again(indexes: set[int], text: str) -> None:
    assert format_indexes(indexes) == text
    assert parse_indexes(text) == indexes


@pytest.mark.parametrize(
    ("spec", "status", "active", "missing"),
    [
        ({"completions": 1}, {}, 0, [None]),
        ({"completions": 1}, {}, 1, []),
        ({"completions": 5, "parallelism": 3}, {"succeeded": 3}, 1, [None]),
        ({"completions": 5, "parallelism": 3}, {}, 0, [None] * 3),
        ({"parallelism": 2}, {}, 0, [None] * 2),
        ({"parallelism": 2}, {"succeeded": 1}, 1, []),
        ({"completions": 3, "parallelism": 3, "completionMode": "Indexed"}, {"completedIndexes": "1"}, 0, [0, 2]),
    ],
)
def test_how_many_pods_are_missing(spec: Json, status: Json, active: int, missing: list[int | None]) -> None:
    pods: list[Json] = [{"metadata": {}, "status": {}} for _ in range(active)]
    assert indexes_to_create(job(status, **spec), pods) == missing


@pytest.mark.parametrize(
    ("policy", "limit", "failed", "restarts", "too_many"),
    [
        ("Never", 0, 0, 0, False),
        ("Never", 0, 1, 0, True),
        ("Never", 2, 2, 0, False),
        ("Never", 1, 0, 5, False),
        ("OnFailure", 0, 0, 1, True),
        ("OnFailure", 1, 0, 1, True),
        ("OnFailure", 2, 0, 1, False),
    ],
)
def test_when_failures_are_too_many(policy: str, limit: int, failed: int, restarts: int, too_many: bool) -> None:
    pods = [{"status": {"phase": "Running", "containerStatuses": [{"restartCount": restarts}]}}]
    assert too_many_failures(job({"failed": failed}, backoffLimit=limit, policy=policy), pods) is too_many


def test_success_goes_before_failure_and_a_decision_stays() -> None:
    done = job({"succeeded": 1}, completions=1)
    assert verdict(done, BACKOFF_LIMIT_EXCEEDED).final == "Complete"
    assert verdict(job({}, completions=1), BACKOFF_LIMIT_EXCEEDED) == Verdict(
        "FailureTarget", "Failed", *BACKOFF_LIMIT_EXCEEDED
    )
    assert verdict(job({}, completions=1), None) == Verdict()
    taken = {"type": "FailureTarget", "status": "True", "reason": "DeadlineExceeded", "message": "m"}
    assert verdict(job({"conditions": [taken], "succeeded": 1}, completions=1), None).reason == "DeadlineExceeded"


def test_an_indexed_pod_knows_its_index_in_every_way() -> None:
    pod = pod_of(job(completions=2), 1)
    assert pod["metadata"]["annotations"] == {"batch.kubernetes.io/job-completion-index": "1"}
    assert pod["metadata"]["labels"] == {"batch.kubernetes.io/job-completion-index": "1"}
    assert pod["metadata"]["generateName"] == "j-1-"
    assert pod["spec"]["hostname"] == "j-1"
    assert pod["spec"]["containers"][0]["env"][0]["name"] == "JOB_COMPLETION_INDEX"


def test_what_jobs_cannot_do_locally_is_said() -> None:
    assert job_notices({"backoffLimit": 1}) == []
    assert job_notices({"podFailurePolicy": {}})[0].startswith("job podFailurePolicy: ")
