"""The text exposition format and the gateway's paths; the format's own parser reads it back."""

from __future__ import annotations

import base64

import pytest
from prometheus_client.parser import text_string_to_metric_families

from podhooks.callbacks import metrics
from podhooks.context import Owner, Result
from podhooks.errors import InputError
from tests.callback_contexts import POD, ended, on_exit


def read(text: str) -> dict[tuple[str, str], float]:
    """By name and result label."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(each.name, each.labels.get("result", "")): each.value for each in samples}


def test_what_is_known_of_the_end_is_there() -> None:
    found = read(metrics.exposition(on_exit()))
    assert found["podhooks_main_duration_seconds", ""] == 12
    assert found["podhooks_main_exit_code", ""] == 3
    assert found["podhooks_main_restarts", ""] == 1
    assert found["podhooks_main_succeeded", ""] == 0
    assert found["podhooks_main_started_timestamp_seconds", ""] == 1777636800
    assert found["podhooks_main_finished_timestamp_seconds", ""] == 1777636812
    results = {result: value for (name, result), value in found.items() if name == "podhooks_main_result"}
    assert results == {each.value: float(each is Result.FAILED) for each in Result}


def test_what_nobody_knows_is_not_there() -> None:
    end = ended(Result.DELETED, None, started_at=None, finished_at=None)
    names = {name for name, _ in read(metrics.exposition(on_exit(end)))}
    assert names == {"podhooks_main_restarts", "podhooks_main_succeeded", "podhooks_main_result"}


def test_labels_are_escaped() -> None:
    odd = 'back\\slash "quoted"\nline'
    text = metrics.exposition(on_exit(pod=POD.replace(name=odd)))
    assert {sample.labels["pod"] for family in text_string_to_metric_families(text) for sample in family.samples} == {
        odd
    }
    assert all(line.startswith(("# ", "podhooks_main_")) for line in text.splitlines())


@pytest.mark.parametrize(
    ("grouping", "path"),
    [
        ({"job": "etl"}, "/metrics/job/etl"),
        ({"job": "etl", "namespace": "a b"}, "/metrics/job/etl/namespace/a%20b"),
        ({"job": "etl", "path": "/var/x"}, "/metrics/job/etl/path@base64/L3Zhci94"),
        ({"job": "etl", "empty": ""}, "/metrics/job/etl/empty@base64/="),
        ({"job": "etl", "up": ".."}, "/metrics/job/etl/up@base64/Li4="),
        ({"job": "?x=1#y"}, "/metrics/job/%3Fx%3D1%23y"),
    ],
)
def test_a_grouping_key_is_a_path(grouping: dict[str, str], path: str) -> None:
    assert metrics.group_url("http://gateway:9091/base/", grouping) == "http://gateway:9091/base" + path


def test_base64_is_that_of_urls() -> None:
    encoded = metrics.group_url("http://g", {"job": "/?>"}).rpartition("/")[2]
    assert base64.urlsafe_b64decode(encoded) == b"/?>"


def test_by_default_every_run_of_a_job_has_the_same_key() -> None:
    cronjob = on_exit(owner=Owner("Job", "nightly-29381760"))
    assert metrics.key(cronjob, "", None) == {"job": "nightly", "namespace": "team"}
    indexed = on_exit(owner=Owner("Job", "etl", 4))
    assert metrics.key(indexed, "", None) == {"job": "etl", "namespace": "team", "index": "4"}
    assert metrics.key(on_exit(owner=None), "", None)["job"] == "etl-x7z"


def test_a_key_of_ones_own_is_filled_in() -> None:
    assert metrics.key(on_exit(), "team-{job}", {"node": "{node}"}) == {"job": "team-etl", "node": "node-1"}


@pytest.mark.parametrize("label", ["job", "__name", "a-b", "1a", ""])
def test_a_label_that_cannot_be_one_is_refused(label: str) -> None:
    with pytest.raises(InputError, match="can't be the name of a label"):
        metrics.key(on_exit(), "", {label: "x"})
