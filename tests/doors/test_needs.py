"""What main needs and isn't there yet: the same is refused, and the same is taken, through every door."""

from __future__ import annotations

import json
import sys

import pytest

from podhooks.annotations.finding import Severity
from podhooks.inject import InjectSettings, Outcome, inject, needs
from tests.doors.cases import Pod, comparable
from tests.doors.needs_pods import REFUSED, TAKEN
from tests.doors.test_policy import assert_same_as_inject, door
from tests.helm import HelmError
from tests.unit.test_charts import injected_by_helm

SAID = r"makes a (subPath|path) of main|(makes|may make) main's environment"
WITHOUT_CEL = pytest.mark.skipif(sys.version_info < (3, 11), reason="cel-expr-python needs Python 3.11")


def found(given: Pod) -> list[str]:
    return [each.code for each in inject(given)[1].findings if each.code in needs.CODES]


@pytest.mark.parametrize("name", REFUSED)
def test_inject_refuses_it(name: str) -> None:
    code, given = REFUSED[name]
    made, report = inject(given)
    assert (report.outcome, report.reasons) == (Outcome.REFUSED, (code,))
    assert made == given
    (finding,) = report.errors
    assert finding.where.startswith(("spec.containers[", "podhooks.io/python"))


@pytest.mark.parametrize("name", TAKEN)
def test_inject_takes_it(name: str) -> None:
    assert inject(TAKEN[name])[1].outcome is Outcome.INJECTED
    assert not any(needs.CODES[code] is Severity.ERROR for code in found(TAKEN[name]))


@WITHOUT_CEL
@pytest.mark.parametrize("name", REFUSED)
def test_the_policy_refuses_it(name: str) -> None:
    from tests.admission_policy.engine import Denied

    with pytest.raises(Denied, match=SAID):
        door().admit(REFUSED[name][1])


@WITHOUT_CEL
@pytest.mark.parametrize("name", TAKEN)
def test_the_policy_takes_it(name: str) -> None:
    assert_same_as_inject(TAKEN[name], inject(TAKEN[name])[0], InjectSettings())


@pytest.mark.parametrize("name", REFUSED)
def test_the_helm_library_refuses_it(name: str) -> None:
    with pytest.raises(HelmError, match=SAID):
        injected_by_helm({"pod": {"pod": template(REFUSED[name][1]), "values": {}}})


def test_the_helm_library_takes_them() -> None:
    pods = {f"p{number}": given for number, given in enumerate(TAKEN.values())}
    made = injected_by_helm({name: {"pod": template(given), "values": {}} for name, given in pods.items()})
    assert {name: comparable(each) for name, each in made.items()} == {
        name: comparable(inject(given)[0]) for name, given in pods.items()
    }


def template(given: Pod) -> Pod:
    made: Pod = json.loads(json.dumps({"metadata": given["metadata"], "spec": given["spec"]}))
    return made


def test_it_says_which_init_containers_are_not_covered() -> None:
    assert found(TAKEN["made in front of a sidecar"]) == [needs.NOT_COVERED]
    assert found(TAKEN["made by a sidecar"]) == []


def test_what_a_post_start_hook_in_front_of_main_may_make_is_a_warning() -> None:
    name = "the same without a position"
    given = json.loads(json.dumps(TAKEN[name]))
    spec = given["spec"]
    hooked = {**spec["initContainers"][0], "name": "hooked", "lifecycle": {"postStart": {"exec": {"command": ["a"]}}}}
    given["metadata"]["annotations"]["podhooks.io/main-container"] = "main"
    behind = {**given, "spec": {**spec, "containers": [*spec["containers"], hooked]}}
    assert found(behind) == []
    front = {**given, "spec": {**spec, "containers": [hooked, *spec["containers"]]}}
    assert found(front) == [needs.PATH_BESIDE]
    assert inject(front)[1].outcome is Outcome.INJECTED
