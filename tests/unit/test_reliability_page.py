"""The published matrix has every fault that can be made without commands, in its modes, and loses nothing that it promises."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.faults.faults import FAULTS

PAGE = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text()
ROW = re.compile(r"^\| ([^|]+) \| (native|classic) \| (pod|cluster) \| (\d+) \| (\d+) \| (\d+)(?: \((\d+)\))? \| (\d+) \| (\d+) \|", re.MULTILINE)


def rows(guarantee: str) -> list[tuple[str, ...]]:
    return [match.groups("0") for match in ROW.finditer(PAGE) if match[3] == guarantee]


@pytest.mark.parametrize("guarantee", ["pod", "cluster"])
def test_every_fault_has_its_row(guarantee: str) -> None:
    wanted = {(fault.name, mode) for fault in FAULTS if not fault.needs for mode in fault.modes}
    assert {(row[0], row[1]) for row in rows(guarantee)} >= wanted


def test_a_thousand_guaranteed_runs_lost_nothing_and_told_no_lie() -> None:
    found = rows("cluster")
    assert sum(int(row[3]) for row in found) >= 1000
    assert sum(int(row[4]) for row in found) == 0, "lost"
    assert sum(int(row[7]) for row in found) == 0, "wrong"
    assert all(row[5] == row[6] for row in found), "twice, and not counted"
