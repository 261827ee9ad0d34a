"""Frozen values behave like frozen dataclasses."""

import copy
import pickle
from collections.abc import Callable

import pytest

from podhooks.annotations.plan import Callback
from podhooks.context import CallbackOutcome, ExitInfo, Result, Status
from podhooks.value import Value


def test_fields_come_by_position_and_by_name_with_defaults() -> None:
    outcome = CallbackOutcome("a:b", Status.FAILED, message="no")
    assert (outcome.name, outcome.status, outcome.attempts, outcome.message) == ("a:b", Status.FAILED, 0, "no")


def test_a_value_can_be_neither_changed_nor_emptied() -> None:
    outcome = CallbackOutcome("a:b", Status.FAILED)
    with pytest.raises(AttributeError, match="frozen"):
        outcome.attempts = 3  # type: ignore[misc]
    with pytest.raises(AttributeError, match="frozen"):
        del outcome.name


@pytest.mark.parametrize(
    ("args", "kwargs", "complaint"),
    [
        ((), {}, "needs 'name'"),
        (("a", Status.FAILED), {"nmae": 1}, "nmae"),
        (("a", Status.FAILED), {"name": "b"}, "name"),
        ((1,) * 20, {}, "values, got 20"),
    ],
)
def test_wrong_fields_are_refused(args: tuple[object, ...], kwargs: dict[str, object], complaint: str) -> None:
    with pytest.raises(TypeError, match=complaint):
        CallbackOutcome(*args, **kwargs)  # type: ignore[arg-type]


def test_a_copy_can_only_change_fields_that_there_are() -> None:
    outcome = CallbackOutcome("a:b", Status.FAILED)
    assert outcome.replace(attempts=3) == CallbackOutcome("a:b", Status.FAILED, 3)
    assert outcome.attempts == 0
    with pytest.raises(TypeError, match="CallbackOutcome has no field 'tries'"):
        outcome.replace(tries=3)


def test_values_are_equal_by_their_public_fields_and_hashable() -> None:
    plain = ExitInfo(Result.FAILED, exit_code=3)
    assert plain == plain.with_log(lambda lines: "x" * lines)
    assert hash(plain) == hash(plain.replace(exit_code=3))
    assert plain != plain.replace(exit_code=4)
    assert repr(plain).startswith("ExitInfo(result=<Result.FAILED")


def test_values_survive_copy_and_pickle() -> None:
    outcome = CallbackOutcome("a:b", Status.FAILED, 2)
    assert copy.deepcopy(outcome) == outcome
    assert pickle.loads(pickle.dumps(outcome)) == outcome


def test_defaults_are_not_shared_between_values() -> None:
    with pytest.raises(TypeError):
        Callback(key="a").arguments["x"] = 1  # type: ignore[index]


def test_a_function_as_default_is_a_value_and_no_method() -> None:
    class Asked(Value):
        answer: Callable[[], int] = lambda: 42

    assert Asked().answer() == 42
    assert Asked(lambda: 7).answer() == 7


def test_fields_of_a_parent_would_be_lost_so_there_is_none() -> None:
    with pytest.raises(TypeError, match="Worse: a Value can't be subclassed"):

        class Worse(CallbackOutcome):
            more: int = 0

    with pytest.raises(TypeError, match="Mixed: a Value can't be subclassed"):

        class Mixed(Value, Exception):
            more: int = 0


@pytest.mark.parametrize("default", [[], {}, set(), bytearray()])
def test_a_default_that_can_be_changed_is_refused(default: object) -> None:
    with pytest.raises(TypeError, match=r"Shared\.items: .* can be changed"):
        type("Shared", (Value,), {"__annotations__": {"items": "object"}, "items": default})
