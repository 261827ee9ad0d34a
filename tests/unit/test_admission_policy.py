"""The admission policy as an object: what it matches, what it is made of, and that its sums are never too small.

That it makes what inject() makes is shown in tests/doors/test_policy.py, and on a real API server in tests/e2e.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from podhooks import contract
from podhooks.admission_policy import PolicySettings, binding, policy, problems, reserve, resource_variables
from podhooks.admission_policy.cel import Cel, first_match, literal, pattern
from podhooks.admission_policy.inherited import MOUNT_FIELDS, SECURITY_FIELDS
from podhooks.annotations.durations import parse_duration
from podhooks.annotations.finding import Severity
from podhooks.annotations.parser import parse
from podhooks.annotations.text import read_entries
from podhooks.cli import main
from podhooks.cli.render import as_yaml
from podhooks.errors import PlanError
from podhooks.inject import Delivery, InjectSettings, Outcome, inject, uninject
from podhooks.version import __version__

GOLDEN = Path(__file__).parents[1] / "admission_policy"
DELIVERIES = list(Delivery)
LONG_IMAGE = "registry.example.com:5000/podhooks@sha256:" + "0" * 64


def settings(delivery: Delivery = Delivery.IMAGE, **more: Any) -> PolicySettings:
    return PolicySettings(inject=InjectSettings(delivery=delivery), **more)


def expressions(made: dict[str, Any]) -> list[str]:
    spec = made["spec"]
    named = [*spec["matchConditions"], *spec["variables"], *(each["jsonPatch"] for each in spec["mutations"])]
    return [each["expression"] for each in named]


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_the_policy_is_the_golden_one(delivery: Delivery, update_golden: bool) -> None:
    path = GOLDEN / f"{delivery.value}.yaml"
    text = as_yaml([policy(settings(delivery)), binding(settings(delivery))]).replace(__version__, "VERSION")
    if update_golden:
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("opt_in", [False, True])
@pytest.mark.parametrize("failure_policy", ["Ignore", "Fail"])
@pytest.mark.parametrize("delivery", DELIVERIES)
def test_the_objects_are_valid(delivery: Delivery, failure_policy: str, opt_in: bool) -> None:
    made = PolicySettings(
        inject=InjectSettings(delivery=delivery, image=LONG_IMAGE, pull_policy="Always"),
        opt_in=opt_in,
        failure_policy=failure_policy,
    )
    for each in (policy(made), binding(made)):
        assert kubernetes_validate.validate(each, "1.36", strict=True) == "1.36"


def test_by_default_it_ignores_what_it_cannot_do_and_is_asked_again() -> None:
    spec = policy(PolicySettings())["spec"]
    assert (spec["failurePolicy"], spec["reinvocationPolicy"]) == ("Ignore", "IfNeeded")
    (rule,) = spec["matchConstraints"]["resourceRules"]
    assert rule == {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}


def test_the_system_and_the_operator_are_never_touched() -> None:
    spec = policy(PolicySettings(namespace="hooks"))["spec"]
    (names,) = spec["matchConstraints"]["namespaceSelector"]["matchExpressions"]
    assert names == {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system", "hooks"]}


@pytest.mark.parametrize(("opt_in", "operator", "value"), [(False, "NotIn", "disabled"), (True, "In", "enabled")])
def test_the_namespace_label(opt_in: bool, operator: str, value: str) -> None:
    spec = binding(PolicySettings(name="hooks", opt_in=opt_in))["spec"]
    (label,) = spec["matchResources"]["namespaceSelector"]["matchExpressions"]
    assert label == {"key": "podhooks.io/injection", "operator": operator, "values": [value]}
    assert spec["policyName"] == "hooks"


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_no_patch_has_a_list_of_objects_for_a_value(delivery: Delivery) -> None:
    """That makes the API server panic, whatever failurePolicy says."""
    (mutation,) = policy(settings(delivery))["spec"]["mutations"]
    text = mutation["jsonPatch"]["expression"]
    assert text.count("value: []") == 2  # the search below would find those that aren't empty
    assert not re.search(r"value: (has\([^)]*\) \? [^:]* : )?(dyn\()?\[\s*Object", text)


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_variables_use_only_what_is_before_them(delivery: Delivery) -> None:
    known: set[str] = set()
    for each in policy(settings(delivery))["spec"]["variables"]:
        assert set(re.findall(r"variables\.(\w+)", each["expression"])) <= known
        assert "Object." not in each["expression"]  # a type that variables don't know
        known.add(each["name"])


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_every_variable_is_used(delivery: Delivery) -> None:
    made = policy(settings(delivery))
    whole = "\n".join(expressions(made))
    unused = [each["name"] for each in made["spec"]["variables"] if f"variables.{each['name']}" not in whole]
    assert unused == []


def test_what_inject_inherits_is_spelled_out_whole() -> None:
    """A field that a later Kubernetes adds is to be seen here."""
    ours = {"allowPrivilegeEscalation", "capabilities", "seccompProfile", "appArmorProfile", "privileged", "procMount"}
    assert {*SECURITY_FIELDS, *ours} == fields_of("securitycontext")
    assert {*MOUNT_FIELDS, "name", "mountPath", "mountPropagation"} == fields_of("volumemount")


def fields_of(kind: str) -> set[str]:
    root = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema" / "v1.36.0-local"
    schema = json.loads((root / f"{kind}-v1.json").read_text())
    return set(schema["properties"])


@pytest.mark.parametrize(
    "text",
    ["30s", "5m", "1h30m", "1.5s", "500ms", "1h2m3s4ms", "0.5h", "30", "1.s", ".5s", "-1s", "1s1m", "1d", "5 m", ""],
)
def test_durations_are_those_of_the_plan(text: str) -> None:
    try:
        parse_duration(text)
        read = True
    except PlanError:
        read = False
    assert bool(text and re.search(reserve.DURATION, text)) == read


JSON_RESOURCES = ['{"requests": {"cpu": "2"}}', '{ "limits":{"memory":"16Mi","cpu":0.5} , "requests" : {} }']
OTHER_RESOURCES = ["requests: {cpu: 2}", '{"requests": {"cpu": "\\u0032"}}', "{}", '{"requests": {"cpu": "2"}} x', "[]"]


@pytest.mark.parametrize("text", [*JSON_RESOURCES, *OTHER_RESOURCES])
def test_resources_are_read_where_they_are_plain_json(text: str) -> None:
    assert bool(re.search(resource_variables.JSON, text)) == (text in JSON_RESOURCES)


def reserved_ms(text: str, timeout_ms: int) -> int:
    """What the policy's variables come to for a list that isn't of plain names."""
    own = [re.search("[0-9][0-9.hms]*$", each) for each in re.findall(reserve.TIMEOUT, text)]
    texts = [each[0] for each in own if each]
    obscure = re.search(reserve.OBSCURE, text) or text.count("timeout") != len(texts)
    if obscure or not all(re.search(reserve.DURATION, each) for each in texts):
        return reserve.MOST_MS
    count = len(re.findall(reserve.NAME, text)) + text.count("exec")
    others = 0 if re.search(reserve.OUTSIDE, text) else len(texts)
    total = round(1000 * sum(map(parse_duration, texts))) + max(0, count - others) * timeout_ms
    return min(reserve.MOST_MS, total)


TIMEOUTS = ("timeout: 5s", "# timeout: 1s", "echo 'timeout: 2s'", "- timeout: 1s", "{timeout: 1s}")
WORDS = st.sampled_from(
    ["a:b", "/opt/f.py:run", "ü:ö", "m:timeout", "http://a/b", "exec", "with", "x", "*", "&a", "\n- c:d", *TIMEOUTS]
)
DURATIONS = st.sampled_from(["1s", "90s", "1m30s", "250ms"])
OPTIONS: dict[str, st.SearchStrategy[Any]] = {
    "timeout": DURATIONS,
    "retries": st.integers(0, 3),
    "when": st.sampled_from(["failure", ["Failed", "Evicted"]]),
}
CALLS = st.fixed_dictionaries(
    {"call": st.sampled_from(["a:b", "ü.ä:ö", "/opt/f.py:run", "m:timeout", "m.exec:f"])},
    optional={**OPTIONS, "with": st.dictionaries(st.sampled_from(["timeout", "call", "x"]), WORDS, max_size=2)},
)
COMMANDS = st.fixed_dictionaries({"exec": st.lists(WORDS, min_size=1, max_size=4)}, optional=OPTIONS)
ENTRIES = st.lists(st.one_of(st.sampled_from(["a:b", "c.d:E.f"]), CALLS, COMMANDS), min_size=1, max_size=6)


def block(entry: Any) -> str:
    """As people write it: one line for each key, its value in JSON, which is YAML."""
    if isinstance(entry, str):
        return f"- {entry}"
    return "- " + "\n  ".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in entry.items())


@given(entries=ENTRIES, style=st.sampled_from(["block", "json", "compact", "ascii"]), timeout=DURATIONS)
def test_the_reserve_is_never_less_than_what_inject_reserves(entries: list[Any], style: str, timeout: str) -> None:
    text = {
        "block": "\n".join(map(block, entries)),
        "json": json.dumps(entries, ensure_ascii=False, indent=1),
        "compact": json.dumps(entries, ensure_ascii=False, separators=(",", ":")),
        "ascii": json.dumps(entries),
    }[style]
    plan, findings = parse({contract.ON_EXIT: text, contract.ON_EXIT_TIMEOUT: timeout})
    if any(each.severity is Severity.ERROR and each.where.startswith(contract.ON_EXIT) for each in findings):
        return  # on-start refuses the pod
    assert len(plan.on_exit) == len(read_entries(text))
    assert reserved_ms(text, round(parse_duration(timeout) * 1000)) >= math.floor(plan.reserve_seconds * 1000)


def injected_by_the_policy() -> dict[str, Any]:
    """As tests/e2e sees it come back."""
    made, _ = inject(
        {
            "metadata": {"annotations": {contract.ON_EXIT: "a:b"}},
            "spec": {"containers": [{"name": "main", "image": "a:1"}], "terminationGracePeriodSeconds": 30},
        }
    )
    made["metadata"]["annotations"][contract.STATUS] = '{"version":"0.1.0","door":"policy","grace":30}'
    return made


def test_a_pod_that_the_policy_injected_is_taken_back_and_injected_anew() -> None:
    given_pod = injected_by_the_policy()
    bare, was_injected = uninject(given_pod)
    assert was_injected
    assert bare["spec"] == {"containers": [{"name": "main", "image": "a:1"}], "terminationGracePeriodSeconds": 30}
    again, report = inject(given_pod)
    assert (report.outcome, again["spec"]) == (Outcome.UPDATED, given_pod["spec"])


def test_render_writes_policy_and_binding(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--delivery", "copy", "--image", "own:1", "--opt-in", "--failure-policy", "Fail", "--name", "hooks"]
    assert main(["render", "admission-policy", *flags]) == 0
    written = list(YAML(typ="safe").load_all(capsys.readouterr().out))
    wanted = settings(Delivery.COPY, name="hooks", opt_in=True, failure_policy="Fail")
    wanted = replace(wanted, inject=wanted.inject.replace(image="own:1"))
    assert written == [policy(wanted), binding(wanted)]


@pytest.mark.parametrize("said", ["`resources`", "`reserve`", "YAML", "--failure-policy", "podhooks validate"])
def test_the_help_says_what_this_door_cannot_do(said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["render", "admission-policy", "--help"])
    assert left.value.code == 0
    assert said in capsys.readouterr().out


def test_every_reason_is_on_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "admission-policy.md").read_text().replace("`", "")
    missing = [text for _, text in problems.reasons(Delivery.INSTALLED) if text.partition(": ")[0] not in page]
    assert missing == []


def test_literals() -> None:
    assert literal({"a": ["b", True, 1], "?c": Cel("d.?e"), "f": {"g": 'h"'}}, "Object.x") == (
        'Object.x{a: ["b", true, 1], ?c: d.?e, f: Object.x.f{g: "h\\""}}'
    )
    assert literal({"requests": {"cpu": "1"}}, "Object.x") == 'Object.x{requests: {"cpu": "1"}}'
    assert (pattern(r"\s"), pattern(r"'\s")) == (r"r'\s'", r'"' + r"'\\s" + '"')
    assert first_match([("a", "1"), ("b", "2")], "3") == "a ? 1 :\nb ? 2 :\n3"
