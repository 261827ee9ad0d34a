"""Every annotation of the table at every door: what each must do with it, tried on a value that isn't the default.

An annotation that is new here needs no test of its own for the doors, but for `SAMPLES` where its kind is new.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from podhooks import contract
from podhooks.annotations.parser import parse
from podhooks.annotations.plan import (
    CALLBACK_OPTIONS,
    LISTS,
    POD_OPTIONS,
    TABLE,
    USER_ANNOTATIONS,
    Annotation,
    Plan,
    summary_hash,
)
from podhooks.annotations.writer import text_of, to_annotations
from podhooks.cli.main import main
from podhooks.inject import inject
from podhooks.inject.inject_settings import DEFAULT_RESOURCES
from podhooks.render.annotation_schemas import choices
from podhooks.render.prefect_variables import annotation_variables, hook_variables, pod_variables
from tests.admission_policy.engine import Policy
from tests.doors.cases import Pod, comparable
from tests.doors.policy_pods import pod
from tests.helm import CHARTS, HelmError, rendered, template

ROOT = Path(__file__).parents[2]
EVERY = pytest.mark.parametrize("each", TABLE, ids=lambda each: each.short_name)
BOTH = {contract.ON_START: "a:b", contract.ON_EXIT: "c:d"}
NEEDED_BESIDE = {contract.ON_EXIT_POLICY: {contract.MODE: "classic"}}
SAMPLES = {
    "callbacks": "e.f:g",
    "duration": "1m17s",
    "retries": "7",
    "results": "Failed",
    "text": "other",
    "word": "other:1",
    "resources": '{"limits":{"memory":"600Mi"}}',  # as Helm writes JSON
}
"""By the kind, a text that no annotation of that kind has as its default. Of choices it is another word."""


def sample(each: Annotation) -> str:
    if each.kind.name == "choice":
        return next(word for word in choices(each) if word != each.default.value)
    return SAMPLES[each.kind.name]


def without(each: Annotation) -> dict[str, str]:
    """Annotations that mean something without this one, and with it."""
    return {} if each in LISTS.values() else {**BOTH, **NEEDED_BESIDE.get(each.name, {})}


def having(each: Annotation) -> dict[str, str]:
    return {**without(each), each.name: sample(each)}


def a_pod(annotations: dict[str, str]) -> Pod:
    containers = [{"name": "main", "image": "etl:1"}, {"name": "other", "image": "proxy:1"}]
    return pod(annotations, containers=containers, initContainers=[{"name": "fetch", "image": "curl:8"}])


def field_of(plan: Plan, each: Annotation) -> Any:
    of_hook = (plan.on_start, plan.on_exit)[list(LISTS).index(each.hook)] if each.hook and each.key else (plan,)
    return getattr(of_hook[0], each.field)


def test_every_name_that_code_asks_for_is_in_the_table() -> None:
    known = {value for value in vars(contract).values() if isinstance(value, str) and value.startswith(contract.PREFIX)}
    ours = (contract.STATUS, contract.RELEASED, contract.INJECTION_LABEL, contract.RESCUE_LABEL, contract.ADDED_LABEL)
    assert known - {contract.PREFIX, *ours} <= set(USER_ANNOTATIONS)
    assert len(set(USER_ANNOTATIONS)) == len(TABLE)


def test_every_field_of_a_plan_and_of_a_callback_has_its_annotation() -> None:
    assert {each.field for each in (*LISTS.values(), *POD_OPTIONS)} == set(Plan._public)
    for hook, options in CALLBACK_OPTIONS.items():
        assert {LISTS[hook], *options} == {each for each in TABLE if each.hook is hook and each not in POD_OPTIONS}


@EVERY
def test_the_parser_reads_it_into_its_field(each: Annotation) -> None:
    plan, findings = parse(having(each))
    assert [found for found in findings if found.severity.value == "error"] == []
    assert field_of(plan, each) != each.default


@EVERY
def test_the_parser_says_where_it_cannot_be_read(each: Annotation) -> None:
    _, findings = parse({**having(each), each.name: " "})
    assert (findings[0].code, findings[0].where) == ("empty-value", each.name)


@EVERY
def test_the_writer_gives_it_back(each: Annotation) -> None:
    plan, _ = parse(having(each))
    written = to_annotations(plan)
    assert parse(written)[0] == plan
    if each in POD_OPTIONS:
        assert written[each.name] == text_of(each, field_of(plan, each))
        assert each.name not in to_annotations(parse(without(each))[0])


@EVERY
def test_the_hash_follows_it(each: Annotation) -> None:
    assert summary_hash(having(each)) != summary_hash(without(each))


def shape_of(annotations: dict[str, str]) -> Any:
    made = inject(a_pod(annotations))[0]
    return made["spec"], made["metadata"].get("labels")


@EVERY
def test_it_shapes_the_pod_if_the_table_says_so_and_else_it_does_not(each: Annotation) -> None:
    assert (shape_of(having(each)) != shape_of(without(each))) is each.shapes_pod


@pytest.mark.skipif(sys.version_info < (3, 11), reason="cel-expr-python needs Python 3.11")
@EVERY
def test_the_admission_policy_makes_the_same_pod(each: Annotation) -> None:
    given = a_pod(having(each))
    assert comparable(the_policy().admit(given)) == comparable(inject(given)[0])


@cache
def the_policy() -> Policy:
    from podhooks.admission_policy import PolicySettings, policy

    return Policy(policy(PolicySettings(failure_policy="Fail")))


def key_of(each: Annotation) -> str:
    """Its name as a chart's value."""
    first, *rest = each.short_name.split("-")
    return first + "".join(word.capitalize() for word in rest)


def value_of(each: Annotation) -> Any:
    return json.loads(sample(each)) if each.kind.name in ("retries", "resources") else sample(each)


@cache
def made_by_helm() -> dict[str, Pod]:
    """By the name of the annotation that is given as a value; the others are in the pod."""
    pods = {
        each.short_name: {"pod": json.dumps(a_pod(without(each))), "values": {key_of(each): value_of(each)}}
        for each in TABLE
    }
    return {
        made["metadata"]["name"]: made["template"] for made in rendered(ROOT / "tests/charts/doors", {"pods": pods})
    }


@EVERY
def test_the_charts_value_makes_the_same_pod(each: Annotation) -> None:
    assert made_by_helm()[each.short_name] == inject(a_pod(having(each)))[0]


def test_the_charts_schema_takes_every_value_and_refuses_every_wrong_one() -> None:
    options = {key_of(each): value_of(each) for each in TABLE} | {"onExitPosition": "last"}
    assert "kind: Job" in template("flow-job", {"podhooks": {**options, "mainContainer": "main", "mode": "classic"}})
    with pytest.raises(HelmError) as caught:
        template("flow-job", {"podhooks": dict.fromkeys(options, True)})
    assert [key for key in options if key not in str(caught.value)] == []


def test_the_library_chart_names_every_annotation_with_its_default() -> None:
    written = (CHARTS / "podhooks-lib" / "values.yaml").read_text().replace("\n# ", " ")
    for each in TABLE:
        default = each.otherwise or text_of(each, each.default)
        plain = f"{each.help[1:]}. Default: {default}.".replace("`", "")
        assert f"{plain}\n{key_of(each)}: " in written


def test_the_operators_chart_takes_every_one_as_a_default() -> None:
    schema = json.loads((CHARTS / "podhooks" / "values.schema.json").read_text())
    assert schema["properties"]["annotations"]["propertyNames"]["enum"] == list(USER_ANNOTATIONS)


def test_a_work_pool_has_a_variable_for_every_one() -> None:
    pod_has = pod_variables(grace_seconds=90, reserve_seconds=60)
    variables = [*hook_variables(None, "[]", "[]"), *pod_has, *annotation_variables()]
    elsewhere = {contract.MAIN_CONTAINER, contract.RESOURCES}  # the flow's container is first; a variable of its own
    assert {each.annotation for each in variables} - {""} == set(USER_ANNOTATIONS) - elsewhere
    assert len({each.name for each in variables}) == len(variables)


@EVERY
def test_explain_shows_it(each: Annotation, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def explained(annotations: dict[str, str]) -> str:
        path = tmp_path / "pod.json"
        path.write_text(json.dumps(a_pod(annotations)))
        assert main(["explain", "-f", str(path)]) == 0
        return capsys.readouterr().out

    shown = explained(having(each))
    assert shown != explained(without(each))
    if each in POD_OPTIONS:
        assert f"{each.short_name} {text_of(each, field_of(parse(having(each))[0], each))}" in shown


def test_the_tables_in_the_docs_are_as_fresh_as_the_code() -> None:
    command = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_default_resources_are_those_that_the_table_tells() -> None:
    (told,) = (each.otherwise for each in TABLE if each.name == contract.RESOURCES)
    requests, limits = DEFAULT_RESOURCES["requests"], DEFAULT_RESOURCES["limits"]
    assert told == (
        f"requests of {requests['cpu']} CPU and {requests['memory']} memory, "
        f"limits of {limits['cpu']} CPU and {limits['memory']}"
    )
