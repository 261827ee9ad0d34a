"""Rows of the matrix from what arrived. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from tests.faults.collector import Arrival


@dataclass(frozen=True)
class Case:
    """One cell's coordinates."""

    fault: str
    mode: str
    guarantee: str


@dataclass(frozen=True)
class Run:
    """One pod (of a Job's first attempt) and what came of it.

    `expected` are the results that are true for this fault; `ended_at` is the moment of main's end as well as anything
    outside knows it (main's own word, else the blow), None where there is none.
    """

    case: Case
    name: str
    expected: frozenset[str]
    ended_at: float | None
    arrivals: tuple[Arrival, ...]
    counted_twice: bool = False
    problem: str = ""
    """Why the run says nothing of Podhooks: the pod never started, the cluster refused it."""


@dataclass(frozen=True)
class Row:
    case: Case
    runs: int
    lost: int
    twice: int
    counted: int
    wrong: int
    rescued: int
    p50: float | None
    p95: float | None
    problems: tuple[str, ...] = field(default=())


def rows(runs: Iterable[Run]) -> list[Row]:
    key = lambda run: (run.case.fault, run.case.mode, run.case.guarantee)  # noqa: E731
    return [row(list(group)) for _, group in groupby(sorted(runs, key=key), key)]


def row(runs: Sequence[Run]) -> Row:
    valid = [run for run in runs if not run.problem]
    doubled = [run for run in valid if has_doubles(run.arrivals)]
    delays = sorted(run.arrivals[0].at - run.ended_at for run in valid if run.arrivals and run.ended_at is not None)
    return Row(
        runs[0].case,
        runs=len(valid),
        lost=sum(not run.arrivals for run in valid),
        twice=len(doubled),
        counted=sum(run.counted_twice for run in doubled),
        wrong=sum(any(each.result not in run.expected for each in run.arrivals) for run in valid),
        rescued=sum(any(each.rescued for each in run.arrivals) for run in valid),
        p50=percentile(delays, 50),
        p95=percentile(delays, 95),
        problems=tuple(run.problem for run in runs if run.problem),
    )


def has_doubles(arrivals: Sequence[Arrival]) -> bool:
    """Whether a callback's effect came twice. The callbacks of the matrix never fail after their effect."""
    keys = [each.key for each in arrivals]
    return len(set(keys)) < len(keys)


def percentile(values: Sequence[float], percent: int) -> float | None:
    """Of sorted values, by nearest rank."""
    return values[max(math.ceil(len(values) * percent / 100) - 1, 0)] if values else None


def total(found: Sequence[Row]) -> str:
    """One line on all rows."""
    runs, lost, twice, counted, wrong, rescued = (
        sum(getattr(each, name) for each in found) for name in ("runs", "lost", "twice", "counted", "wrong", "rescued")
    )
    return f"{runs} runs: {lost} lost, {wrong} wrong, {twice} twice ({counted} of them counted), {rescued} rescued"


def markdown(found: Sequence[Row]) -> str:
    """The table as it is published."""
    head = (
        "| fault | mode | guarantee | runs | lost | twice (counted) | wrong | rescued | p50 | p95 |\n"
        + "|---" * 10
        + "|\n"
    )
    return head + "".join(_line(each) for each in found)


def _line(each: Row) -> str:
    case, twice = each.case, f"{each.twice} ({each.counted})" if each.twice else "0"
    numbers = (each.runs, each.lost, twice, each.wrong, each.rescued, _seconds(each.p50), _seconds(each.p95))
    return f"| {case.fault} | {case.mode} | {case.guarantee} | {' | '.join(str(number) for number in numbers)} |\n"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{max(value, 0.0):.1f} s"
