"""Each expression of the admission policy, made wrong in every small way: some pod of test_policy.py must show it.

Where a mutant survives, the pods don't show what that piece of CEL is for: add one to policy_pods.py, or take the piece
out of the policy. Write CEL so that no change of it means the same.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from podhooks.admission_policy import PolicySettings, policy
from podhooks.inject import Delivery, InjectSettings
from tests.admission_policy.engine import CelError, Denied, Expression, Json, Policy
from tests.admission_policy.mutants import mutants
from tests.doors.cases import Pod, door_cases
from tests.doors.needs_pods import REFUSED as TOO_EARLY
from tests.doors.needs_pods import TAKEN
from tests.doors.policy_pods import (
    ABOVE_LIMITS,
    BESIDE_OURS,
    DEFAULTS,
    LISTS,
    MAPPINGS,
    NOT_ASKED,
    NOT_READ,
    PODS,
    PULLED,
    REFUSED,
    TIMES,
    pod,
)
from tests.doors.test_policy import decoded

pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="cel-expr-python needs Python 3.11")
SETTINGS = PolicySettings(inject=InjectSettings(delivery=Delivery.COPY, resources=DEFAULTS), failure_policy="Fail")
"""COPY has all that the other deliveries have."""
UNSHOWN = {
    "made": 2,
    "madeEarly": 11,
    "madeBeside": 12,
    "wanted": 2,
    "paths": 9,
    "envFiles": 8,
    "needProblem": 10,
}
"""How many mutants no pod shows yet: paths with dots or doubled slashes, read-only mounts. It may only shrink."""
PARTS = {"mutation": 12, "problem": 6}
"""Of long expressions, so that no test takes long."""


def pods() -> Iterator[Pod]:
    """Those of test_policy.py and test_needs.py, each compared with what inject() makes or what is written there."""
    yield from (case.as_pod() for case in door_cases())
    yield from PODS.values()
    yield from (ABOVE_LIMITS, BESIDE_OURS)
    yield from PULLED.values()
    yield from (each for several in REFUSED.values() for each in several)
    yield from (given for _, given in TOO_EARLY.values())
    yield from TAKEN.values()
    yield from (made(SETTINGS.inject) for made in NOT_ASKED.values())
    yield from (pod({"on-start": "a:b", name: "tomorrow"}) for name in ("on-exit-timeout", "reserve"))
    texts = [*LISTS.values(), *(text for text, _ in MAPPINGS.values()), *(text for text, _ in NOT_READ.values())]
    yield from (
        pod({"on-exit": text, **times}, terminationGracePeriodSeconds=7) for text in texts for times in TIMES.values()
    )


class Trial:
    """The right policy, with what it makes of every pod."""

    def __init__(self) -> None:
        self.right = Policy(policy(SETTINGS))
        self.pods = [decoded(each) for each in pods()]
        self.known = [self.right.values(each) for each in self.pods]
        self.outcomes = [outcome(self.right, each) for each in self.pods]

    def notices(self, name: str, text: str) -> bool:
        """Whether a pod comes out otherwise with `text` for the expression `name`."""
        try:
            wrong = Expression(text, self.right.types())
        except CelError:
            return True  # no API server takes such a policy
        door, right = self.right.changed(name, wrong), self.right.expressions()[name]
        differing = (n for n, known in enumerate(self.known) if value(wrong, known) != value(right, known))
        return any(outcome(door, self.pods[n]) != self.outcomes[n] for n in differing)


@cache
def trial() -> Trial:
    return Trial()


def outcome(door: Policy, given: Pod) -> Json:
    try:
        return door.admit(given)
    except Denied as denied:
        return str(denied)


def value(expression: Expression, known: dict[str, Any]) -> Json:
    try:
        return expression(known)
    except CelError:
        return CelError


def names() -> Iterator[tuple[str, int]]:
    spec = policy(SETTINGS)["spec"]
    for each in (*spec["matchConditions"], *spec["variables"], {"name": "mutation"}):
        yield from ((each["name"], part) for part in range(PARTS.get(each["name"], 1)))


@pytest.mark.parametrize(("name", "part"), list(names()))
def test_a_pod_shows_that_the_expression_is_wrong(name: str, part: int) -> None:
    right = trial().right.expressions()[name]
    some = list(mutants(right.text).items())[part :: PARTS.get(name, 1)]
    assert some
    survivors = [said for said, text in some if not trial().notices(name, text)]
    assert len(survivors) <= UNSHOWN.get(name, 0), survivors
