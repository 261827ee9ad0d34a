"""docs/how-main-ends.md says what the code does and what was recorded."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

import pytest

from podhooks.context import ExitInfo, Result
from podhooks.pod.status import exit_info, presumed
from tests.unit.test_podstatus import TRACES, by_pod, on_exit_alive

PAGE = (Path(__file__).parents[2] / "docs" / "how-main-ends.md").read_text()
EXPECTED = json.loads((TRACES / "expected.json").read_text())
LATER = datetime(2100, 1, 1, tzinfo=timezone.utc)  # a pod's deadline is over by then
End = tuple[str, "int | None"]


class Line(NamedTuple):
    """One scenario of the table. `in_pod` is None where on_exit can't run."""

    in_pod: End | None
    final: End
    all_mains: End | None


def ends(cell: str) -> list[End]:
    return [(name, None if code == "-" else int(code)) for name, code in re.findall(r"`(\w+)` (-|\d+)", cell)]


def lines() -> dict[str, Line]:
    found: dict[str, Line] = {}
    for row in re.findall(r"^\| (`(?:native|classic|held)-.*) \|$", PAGE, re.MULTILINE):
        names, _, in_pod, final = row.split(" | ")
        said = ends(final)
        line = Line(next(iter(ends(in_pod)), None), said[0], said[1] if len(said) > 1 else None)
        assert line.in_pod or in_pod == "nothing"
        found |= dict.fromkeys(re.findall(r"`([\w-]+)`", names), line)
    return found


def end(info: ExitInfo) -> End:
    return info.result.value, info.exit_code


def told_in_the_pod(scenario: str) -> End | None:
    """What on_exit is told: main's end if it shows while on-exit lives, else what is presumed at the last."""
    told = []
    for stream in by_pod(TRACES, scenario).values():
        alive = [pod for kind, pod in stream if kind != "DELETED" and on_exit_alive(pod)]
        seen = [found for pod in alive if (found := exit_info(pod)) is not None]
        told += [end(each) for each in (seen[:1] or [presumed(pod, now=LATER) for pod in alive[-1:]])]
    assert len(set(told)) <= 1
    return told[0] if told and told[0][0] != Result.UNKNOWN.value else None


@pytest.mark.parametrize("result", Result)
def test_every_result_is_explained(result: Result) -> None:
    assert re.search(rf"^\| `{result.value}` \| ", PAGE, re.MULTILINE)


def test_every_recorded_scenario_is_in_the_table_and_no_other() -> None:
    assert lines().keys() == EXPECTED.keys()


@pytest.mark.parametrize("scenario", EXPECTED)
def test_the_final_object_says_what_the_table_says(scenario: str) -> None:
    expected, line = EXPECTED[scenario], lines()[scenario]
    assert line.final == (expected["final"]["result"], expected["final"]["exit_code"])
    together = expected.get("all_mains")
    assert line.all_mains == (together and (together["result"], together["exit_code"]))


@pytest.mark.parametrize("scenario", EXPECTED)
def test_on_exit_is_told_in_the_pod_what_the_table_says(scenario: str) -> None:
    if scenario == "classic-start-failed":  # the on-start container knows what its own callbacks did
        assert lines()[scenario].in_pod == (Result.START_FAILED.value, None)
    else:
        assert lines()[scenario].in_pod == told_in_the_pod(scenario)
