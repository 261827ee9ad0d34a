"""The published matrix has every fault that needs no command, in its modes, and lost nothing that is guaranteed."""

from __future__ import annotations

import re
from pathlib import Path

from tests.faults.faults import FAULTS

PAGE = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text()
ROW = re.compile(
    r"^\| ([^|]+) \| (native|classic) \| (pod|cluster) \| (\d+) \| (\d+) \| (\d+)(?: \((\d+)\))? \| (\d+) \| (\d+) \|",
    re.MULTILINE,
)


def rows(guarantee: str) -> list[tuple[str, ...]]:
    return [match.groups("0") for match in ROW.finditer(PAGE) if match[3] == guarantee]


def test_every_fault_has_its_row() -> None:
    wanted = {(fault.name, mode) for fault in FAULTS if not fault.needs for mode in fault.modes}
    assert {(row[0], row[1]) for row in rows("cluster")} >= wanted


def test_a_thousand_guaranteed_runs_lost_nothing() -> None:
    found = rows("cluster")
    assert sum(int(row[3]) for row in found) >= 1000
    assert sum(int(row[4]) for row in found) == 0
