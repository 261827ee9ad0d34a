"""The admission policy as a door: its CEL evaluated here, on the pods of all doors and on some of its own.

tests/e2e/test_policy.py does the same on a real API server.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from podhooks import contract
from podhooks.admission_policy import PolicySettings, policy, problems
from podhooks.annotations.parser import parse
from podhooks.inject import Delivery, InjectSettings, Outcome, inject
from tests.admission_policy.engine import Denied, Policy
from tests.doors.cases import DoorCase, Pod, comparable, door_cases
from tests.doors.policy_pods import (
    LISTS,
    MAPPINGS,
    NOT_ASKED,
    PODS,
    REFUSED,
    TIMES,
    grace,
    injected,
    large_pod,
    may_take_longer,
    pod,
    prolong,
)

pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="cel-expr-python needs Python 3.11")
CASES = door_cases()


DOORS: dict[str, Policy] = {}
PLAIN = InjectSettings()


def door(settings: InjectSettings = PLAIN, failure_policy: str = "Fail") -> Policy:
    made = PolicySettings(inject=settings, failure_policy=failure_policy)
    if repr(made) not in DOORS:
        DOORS[repr(made)] = Policy(policy(made))
    return DOORS[repr(made)]


def decoded(given: Any, quantities: bool = False) -> Any:
    """As the API server reads it: without fields that are null, and with texts for quantities that are numbers."""
    if isinstance(given, Mapping):
        known = {key: value for key, value in given.items() if value is not None}
        return {key: decoded(value, quantities or key in ("requests", "limits")) for key, value in known.items()}
    if isinstance(given, list):
        return [decoded(each) for each in given]
    return str(given) if quantities else given


def assert_same_as_inject(given: Pod, wanted: Pod, settings: InjectSettings) -> None:
    made = door(settings.replace(kubernetes=None)).admit(decoded(given))
    longer = grace(made) - grace(wanted)
    if longer:
        assert longer > 0
        assert may_take_longer(given["metadata"]["annotations"])
        prolong(wanted["spec"], longer)
    assert comparable(made) == comparable(decoded(wanted))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{'.'.join(map(str, case.path))}")
def test_a_shared_case_becomes_the_golden_pod(case: DoorCase) -> None:
    assert_same_as_inject(case.as_pod(), case.as_pod(case.golden), case.settings)


@pytest.mark.parametrize("delivery", list(Delivery))
@pytest.mark.parametrize("name", PODS)
def test_a_pod_of_its_own_becomes_the_pod_that_inject_gives(name: str, delivery: Delivery) -> None:
    settings = InjectSettings(delivery=delivery)
    assert_same_as_inject(PODS[name], injected(PODS[name], settings), settings)


def test_a_large_pod() -> None:
    assert_same_as_inject(large_pod(), injected(large_pod(), PLAIN), PLAIN)


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("names", LISTS)
def test_the_grace_period_is_the_same_for_lists_of_names(names: str, times: str) -> None:
    given = pod({"on-exit": LISTS[names], **TIMES[times]}, terminationGracePeriodSeconds=7)
    assert grace(door().admit(given)) == grace(inject(given)[0])


@pytest.mark.parametrize("name", MAPPINGS)
def test_the_grace_period_is_never_shorter_for_lists_with_mappings(name: str) -> None:
    text, longer = MAPPINGS[name]
    given = pod({"on-exit": text})
    wanted = math.ceil(30 + parse({contract.ON_EXIT: text})[0].reserve_seconds)
    assert grace(door().admit(given)) - wanted == longer >= 0
    given["metadata"]["annotations"][contract.RESERVE] = "2m"
    assert grace(door().admit(given)) == 150


@pytest.mark.parametrize("name", NOT_ASKED)
def test_a_pod_that_asks_for_nothing_stays_as_it_is(name: str) -> None:
    given = NOT_ASKED[name](PLAIN)
    assert door().admit(given) == given


@pytest.mark.parametrize("reason", REFUSED)
def test_a_pod_that_cannot_be_given_its_callbacks(reason: str) -> None:
    given = REFUSED[reason]
    with pytest.raises(Denied, match=reason):
        door().admit(given)
    assert door(failure_policy="Ignore").admit(given) == given
    if "resources" not in reason:
        assert inject(given)[1].outcome is Outcome.REFUSED


def test_every_reason_has_a_pod() -> None:
    untried = [text for _, text in problems.reasons() if not any(map(text.startswith, REFUSED))]
    assert untried == []
