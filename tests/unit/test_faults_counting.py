"""How the fault matrix counts: lost, twice, wrong, rescued."""

from __future__ import annotations

from tests.faults.collector import Arrival
from tests.faults.counting import Case, Run, markdown, percentile, row, rows, total
from tests.faults.faults import FAULTS

CASE = Case("deleted", "native", "pod")


def arrival(at: float = 1.0, result: str = "Deleted", key: str = "u/on-exit/0", *, rescued: bool = False) -> Arrival:
    return Arrival("run-1", "on-exit", "u", at, key, 1, result, rescued=rescued)


def run(*arrivals: Arrival, **more: object) -> Run:
    given: dict[str, object] = {"expected": frozenset({"Deleted"}), "ended_at": 0.5, **more}
    return Run(CASE, "run-1", arrivals=arrivals, **given)  # type: ignore[arg-type]


def test_what_never_came_is_lost_and_what_is_not_true_is_wrong() -> None:
    found = row([run(), run(arrival()), run(arrival(result="Succeeded"))])
    assert (found.runs, found.lost, found.wrong, found.twice, found.rescued) == (3, 1, 1, 0, 0)


def test_an_effect_that_came_again_is_twice_and_may_have_been_counted() -> None:
    again = (arrival(1.0), arrival(9.0, rescued=True))
    found = row([run(*again), run(*again, counted_twice=True), run(arrival(), arrival(key="u/on-exit/1"))])
    assert (found.twice, found.counted, found.rescued) == (2, 1, 2)
    assert "| 2 (1) |" in markdown([found])


def test_a_run_that_never_began_counts_for_nothing() -> None:
    found = row([run(arrival()), run(problem="no node")])
    assert (found.runs, found.lost, found.problems) == (1, 0, ("no node",))


def test_delays_are_from_mains_end_to_the_first_arrival() -> None:
    found = row(
        [run(arrival(0.5 + delay), arrival(99.0, key="other")) for delay in (1.0, 2.0, 3.0)]
        + [run(arrival(), ended_at=None)]
    )
    assert (found.p50, found.p95) == (2.0, 3.0)
    assert percentile([], 50) is None


def test_cells_are_kept_apart_and_summed() -> None:
    other = Run(Case("deleted", "classic", "pod"), "run-2", frozenset({"Deleted"}), None, ())
    found = rows([run(arrival()), other, run(arrival())])
    assert [(each.case.mode, each.runs, each.lost) for each in found] == [("classic", 1, 1), ("native", 2, 0)]
    assert total(found) == "3 runs: 1 lost, 0 wrong, 0 twice (0 of them counted), 0 rescued"


def test_faults_have_names_of_their_own() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
