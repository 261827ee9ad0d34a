"""Who is told to end when (kubelet facts 4, 5, 6, 23), on a clock of the test's own."""

from __future__ import annotations

from podhooks.local.termination import Step, Termination

NOTHING = ()


def native(grace: float = 10.0) -> Termination:
    return Termination(100.0, grace, ["main"], ["on-start"], ["a", "b"])


def test_main_goes_first_and_sidecars_follow_in_reverse_order() -> None:
    ending = native()
    assert ending.step(100, {"main", "a", "b"}).terminate == ("main",)
    assert ending.step(101, {"main", "a", "b"}) == Step(NOTHING, NOTHING, 110)
    assert ending.step(103, {"a", "b"}).terminate == ("b",)
    assert ending.step(104, {"a", "b"}).terminate == NOTHING
    assert ending.step(105, {"a"}).terminate == ("a",)


def test_a_sidecar_has_what_is_left_of_the_grace_period() -> None:
    ending = native()
    ending.step(100, {"main", "a"})
    assert ending.step(103, {"a"}) == Step(("a",), NOTHING, 110)
    assert ending.step(110, {"a"}).kill == ("a",)


def test_a_stubborn_main_is_killed_and_leaves_the_sidecar_two_seconds() -> None:
    ending = native()
    ending.step(100, {"main", "a"})
    late = ending.step(110, {"main", "a"})
    assert (late.kill, late.terminate, late.again_at) == (("main",), ("a",), 112)
    assert ending.step(111, {"a"}) == Step(NOTHING, NOTHING, 112)
    assert ending.step(112, {"a"}).kill == ("a",)


def test_a_running_init_container_goes_together_with_the_sidecar() -> None:
    assert set(native().step(100, {"on-start", "a"}).terminate) == {"on-start", "a"}


def test_no_container_has_less_than_two_seconds() -> None:
    ending = native(grace=0)
    assert ending.step(100, {"main"}) == Step(("main",), NOTHING, 102)


def test_a_more_impatient_deletion_shortens_the_wait() -> None:
    ending = native(grace=60)
    ending.step(100, {"main", "a"})
    ending.shorten(5, 110)
    assert ending.step(110, {"main", "a"}).again_at == 115
    assert ending.step(115, {"main", "a"}).kill == ("main",)


def test_a_more_patient_deletion_changes_nothing() -> None:
    ending = native(grace=5)
    ending.step(100, {"main"})
    ending.shorten(60, 101)
    assert ending.step(105, {"main"}).kill == ("main",)


def test_nobody_is_killed_twice_and_the_dead_need_nothing() -> None:
    ending = native(grace=3)
    ending.step(100, {"main"})
    assert ending.step(103, {"main"}).kill == ("main",)
    assert ending.step(104, {"main"}) == Step(NOTHING, NOTHING, None)
    assert ending.step(104, set()) == Step(NOTHING, NOTHING, None)
