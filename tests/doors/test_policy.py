"""The admission policy as a door: its CEL evaluated here, on the pods of all doors and on some of its own.

tests/e2e/test_policy.py does the same on a real API server.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from podhooks import contract
from podhooks.admission_policy import PolicySettings, policy, problems
from podhooks.annotations.parser import parse
from podhooks.inject import Delivery, InjectSettings, Outcome, inject, uninject
from podhooks.local.defaults import default_pod_spec
from tests.admission_policy.engine import Denied, Policy
from tests.doors.cases import DoorCase, Pod, comparable, door_cases
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
    grace,
    injected,
    large_pod,
    may_take_longer,
    pod,
    prolong,
    settings_for,
)

pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="cel-expr-python needs Python 3.11")
CASES = door_cases()


REFUSALS = [(reason, given) for reason, pods in REFUSED.items() for given in pods]
REFUSALS.append(("main mounts something below /podhooks", BESIDE_OURS))
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
    assert status_of(made) == policys_status(status_of(wanted))
    longer = grace(made) - grace(wanted)
    if longer:
        assert longer > 0
        assert may_take_longer(given["metadata"]["annotations"])
        prolong(wanted["spec"], longer)
    assert comparable(made) == comparable(decoded(wanted))


def status_of(made: Pod) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(made["metadata"]["annotations"][contract.STATUS])
    return found


def policys_status(wanted: dict[str, Any]) -> dict[str, Any]:
    """Of the status that inject() writes: what the policy knows of it."""
    grace = {"grace": contract.DEFAULT_GRACE_SECONDS if wanted.get("grace") is None else wanted["grace"]}
    own = {"own": wanted["own"]} if "own" in wanted else {}
    return {"version": wanted["version"], "door": "policy", **(grace if "grace" in wanted else {}), **own}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{'.'.join(map(str, case.path))}")
def test_a_shared_case_becomes_the_golden_pod(case: DoorCase) -> None:
    assert_same_as_inject(case.as_pod(), case.as_pod(case.golden), case.settings)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{'.'.join(map(str, case.path))}")
def test_a_shared_case_with_the_defaults_that_the_api_server_writes_beforehand(case: DoorCase) -> None:
    given, wanted = defaulted(case.as_pod()), defaulted(case.as_pod(case.golden))
    made = door(case.settings.replace(kubernetes=None)).admit(given)
    prolong(wanted["spec"], grace(made) - grace(wanted))
    assert comparable(defaulted(made)) == comparable(wanted)


def defaulted(given: Pod) -> Pod:
    """As the stand-in's API server would store it."""
    made: Pod = decoded(given)
    default_pod_spec(made["spec"])
    return made


@pytest.mark.parametrize("delivery", list(Delivery))
@pytest.mark.parametrize("name", PODS)
def test_a_pod_of_its_own_becomes_the_pod_that_inject_gives(name: str, delivery: Delivery) -> None:
    settings = InjectSettings(delivery=delivery)
    if name == "our interpreter" and delivery is Delivery.INSTALLED:
        pytest.skip("there is none with this delivery: an error")
    assert_same_as_inject(PODS[name], injected(PODS[name], settings), settings)


@pytest.mark.parametrize("name", [name for name in PODS if name.startswith("resources ")])
def test_resources_are_completed_from_other_defaults(name: str) -> None:
    settings = InjectSettings(resources=DEFAULTS)
    assert_same_as_inject(PODS[name], injected(PODS[name], settings), settings)


def test_requests_above_limits_stay_as_they_are_for_the_api_server_to_refuse() -> None:
    made = door().admit(ABOVE_LIMITS)["spec"]["initContainers"]
    assert all(each["resources"]["requests"]["cpu"] == "2" for each in made)
    assert all(each["resources"]["limits"]["cpu"] == "1" for each in made)


@pytest.mark.parametrize("name", PULLED)
def test_mains_pull_policy_is_not_for_another_image(name: str) -> None:
    assert_same_as_inject(PULLED[name], injected(PULLED[name], PLAIN), PLAIN)
    made = door().admit(PULLED[name])["spec"]["initContainers"]
    assert [each.get("imagePullPolicy") for each in made] == [None, None]


@pytest.mark.parametrize("name", PODS)
def test_what_the_policy_put_in_is_taken_out(name: str) -> None:
    bare, was_injected = uninject(door().admit(PODS[name]))
    assert was_injected
    wanted = json.loads(json.dumps(PODS[name]))
    wanted["spec"].setdefault("terminationGracePeriodSeconds", contract.DEFAULT_GRACE_SECONDS)
    bare["spec"].setdefault("terminationGracePeriodSeconds", contract.DEFAULT_GRACE_SECONDS)
    assert bare == wanted


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


@pytest.mark.parametrize("name", NOT_READ)
def test_the_reserve_of_a_list_that_cel_reads_otherwise_than_the_plan(name: str) -> None:
    """It may be too long. The pod's own grace period is never shortened."""
    text, seconds = NOT_READ[name]
    assert grace(door().admit(pod({"on-exit": text}))) == 30 + seconds


@pytest.mark.parametrize("annotation", ["on-exit-timeout", "reserve"])
def test_what_on_exit_alone_needs_refuses_no_pod_without_it(annotation: str) -> None:
    given = pod({"on-start": "a:b"})
    wrong = pod({"on-start": "a:b", annotation: "tomorrow"})
    assert door().admit(wrong)["spec"] == door().admit(given)["spec"]


@pytest.mark.parametrize("name", NOT_ASKED)
def test_a_pod_that_asks_for_nothing_stays_as_it_is(name: str) -> None:
    given = NOT_ASKED[name](PLAIN)
    assert door().admit(given) == given


@pytest.mark.parametrize(("reason", "given"), REFUSALS)
def test_a_pod_that_cannot_be_given_its_callbacks(reason: str, given: Pod) -> None:
    settings = settings_for(reason, PLAIN)
    with pytest.raises(Denied, match=reason):
        door(settings).admit(given)
    assert door(settings, failure_policy="Ignore").admit(given) == given
    if "resources" not in reason:
        assert inject(given, settings)[1].outcome is Outcome.REFUSED


def test_every_reason_has_a_pod() -> None:
    untried = [text for _, text in problems.reasons(Delivery.INSTALLED) if not any(map(text.startswith, REFUSED))]
    assert untried == []
