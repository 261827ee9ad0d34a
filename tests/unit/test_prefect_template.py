"""The work pool template: what it takes over, what it adds, and what it refuses. No Prefect needed."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from podhooks import contract
from podhooks.annotations.parser import parse
from podhooks.annotations.plan import USER_ANNOTATIONS, Mode
from podhooks.cli.main import main
from podhooks.errors import InputError, ManifestError
from podhooks.inject import Delivery, InjectSettings
from podhooks.render.prefect_pool import PoolOptions, base_job_template, default_image
from podhooks.render.prefect_variables import Variable, annotation_variables, hook_variables, pod_variables

Json = Any
BASE: Json = {
    "job_configuration": {
        "command": "{{ command }}",
        "env": "{{ env }}",
        "job_manifest": {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"annotations": "{{ annotations }}", "generateName": "{{ name }}-", "labels": "{{ labels }}"},
            "spec": {
                "backoffLimit": "{{ backoff_limit }}",
                "template": {
                    "spec": {
                        "restartPolicy": "Never",
                        "serviceAccountName": "{{ service_account_name }}",
                        "containers": [
                            {
                                "name": "prefect-job",
                                "args": "{{ command }}",
                                "env": "{{ env }}",
                                "image": "{{ image }}",
                                "imagePullPolicy": "{{ image_pull_policy }}",
                                "resources": {"limits": {"memory": "{{ memory_limit }}"}},
                            }
                        ],
                    }
                },
            },
        },
    },
    "variables": {
        "type": "object",
        "properties": {
            "image": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None, "title": "Image"},
            "env": {"type": "object", "title": "Environment Variables"},
        },
    },
}


def changed(change: Any, **options: Any) -> Json:
    """The template of BASE with a change of its pod's spec (or of all of it)."""
    base = copy.deepcopy(BASE)
    change(base["job_configuration"]["job_manifest"]["spec"]["template"])
    return base_job_template(base, PoolOptions(**options))


def pod_of(template: Json) -> Json:
    return template["job_configuration"]["job_manifest"]["spec"]["template"]


def names(template: Json) -> list[str]:
    spec = pod_of(template)["spec"]
    return [each["name"] for each in (*spec.get("initContainers", []), *spec["containers"])]


def test_placeholders_of_the_base_survive_in_main_and_go_into_our_containers() -> None:
    template = base_job_template(BASE, PoolOptions())
    spec = pod_of(template)["spec"]
    main = spec["containers"][0]
    assert main["args"] == "{{ command }}"
    assert main["resources"] == {"limits": {"memory": "{{ memory_limit }}"}}
    assert {each["image"] for each in (*spec["initContainers"], main)} == {"{{ image }}"}
    assert spec["serviceAccountName"] == "{{ service_account_name }}"
    assert template["job_configuration"]["env"] == "{{ env }}", "where the worker takes main's environment from"
    assert main["env"] == [{"name": "PODHOOKS_SHARED_DIR", "value": "/podhooks/shared"}]


def test_the_base_is_not_changed() -> None:
    before = copy.deepcopy(BASE)
    base_job_template(BASE, PoolOptions())
    assert before == BASE


def test_every_placeholder_has_a_variable_and_every_variable_of_ours_a_place() -> None:
    for only in (False, True):
        template = base_job_template(BASE, PoolOptions(annotations_only=only))
        ours = set(template["variables"]["properties"]) - set(BASE["variables"]["properties"])
        places = re.findall(r"\{\{ (\w+) \}\}", json.dumps(template["job_configuration"]))
        assert ours <= set(places)
        known = {"command", "env", "name", "labels", "annotations", "backoff_limit"}
        known |= {"service_account_name", "image", "image_pull_policy", "memory_limit"}
        assert set(places) - ours <= known


def all_variables() -> list[Variable]:
    pod = pod_variables(grace_seconds=90, reserve_seconds=60)
    return [*hook_variables(Mode.CLASSIC, "[]", "[]"), *pod, *annotation_variables()]


@pytest.mark.parametrize("variable", all_variables(), ids=lambda each: each.name)
def test_a_variable_is_shown_with_what_people_need(variable: Variable) -> None:
    schema = variable.schema
    assert schema["title"].lower().replace(" ", "_") == variable.name
    assert schema["description"].endswith(".")
    assert "default" in schema
    assert variable.annotation in ("", *USER_ANNOTATIONS)


@pytest.mark.parametrize("mode", list(Mode))
def test_the_defaults_are_those_of_the_annotations(mode: Mode) -> None:
    filled = {
        each.annotation: each.placeholder.replace(f"{{{{ {each.name} }}}}", str(each.schema["default"]))
        for each in hook_variables(mode, "[]", "[]")
    }
    plan, findings = parse({**filled, contract.ON_START: "a:b", contract.ON_EXIT: "c:d"})
    assert plan == parse({contract.ON_START: "a:b", contract.ON_EXIT: "c:d"})[0]
    assert findings == ()


def test_a_template_may_be_made_from_our_own() -> None:
    once = base_job_template(BASE, PoolOptions())
    assert base_job_template(once, PoolOptions()) == once
    other = PoolOptions(mode=Mode.CLASSIC, settings=InjectSettings(delivery=Delivery.COPY))
    assert base_job_template(once, other) == base_job_template(BASE, other)


def test_classic_and_copy() -> None:
    options = PoolOptions(mode=Mode.CLASSIC, settings=InjectSettings(delivery=Delivery.COPY, image="mine:1"))
    template = base_job_template(BASE, options)
    assert names(template) == ["podhooks-runtime", "on-start", "prefect-job", "on-exit"]
    assert template["variables"]["properties"]["on_exit_policy"]["enum"] == ["fail", "ignore"]
    runtime = pod_of(template)["spec"]["initContainers"][0]
    assert runtime["image"] == "mine:1"
    assert "envFrom" not in runtime


def test_native_offers_no_policy_that_it_can_not_keep() -> None:
    template = base_job_template(BASE, PoolOptions())
    assert template["variables"]["properties"]["on_exit_policy"]["enum"] == ["ignore"]


def test_the_default_grace_period_holds_the_default_callbacks() -> None:
    properties = base_job_template(BASE, PoolOptions())["variables"]["properties"]
    assert properties["on_exit_reserve"]["default"] == "1m"
    assert properties["termination_grace_period_seconds"]["default"] == 90
    on_exit = '[{"call": "a:b", "timeout": "2m"}, "c:d"]'
    properties = base_job_template(BASE, PoolOptions(on_exit=on_exit))["variables"]["properties"]
    assert properties["on_exit"]["default"] == on_exit
    assert properties["on_exit_reserve"]["default"] == "2m30s"
    assert properties["termination_grace_period_seconds"]["default"] == 180
    template = changed(lambda pod: pod["spec"].update(terminationGracePeriodSeconds=100))
    assert template["variables"]["properties"]["termination_grace_period_seconds"]["default"] == 160


def test_an_image_of_the_base_stays_and_a_missing_one_is_prefects() -> None:
    assert base_job_template(BASE, PoolOptions())["variables"]["properties"]["image"]["default"] == default_image()
    own = copy.deepcopy(BASE)
    own["variables"]["properties"]["image"]["default"] = "etl:3"
    assert base_job_template(own, PoolOptions())["variables"]["properties"]["image"]["default"] == "etl:3"


def test_secrets_that_the_base_gives_to_main_go_into_our_containers() -> None:
    secret = {"name": "PREFECT_API_KEY", "valueFrom": {"secretKeyRef": {"name": "prefect", "key": "key"}}}
    template = changed(lambda pod: pod["spec"]["containers"][0].update(env=[secret]))
    spec = pod_of(template)["spec"]
    assert all(secret in each["env"] for each in (*spec["initContainers"], *spec["containers"]))


def env_of_ours(template: Json) -> list[Json]:
    found = [each for each in pod_of(template)["spec"]["initContainers"] if each["name"] in ("on-start", "on-exit")]
    assert [each["name"] for each in found] == ["on-exit", "on-start"]
    return [{each["name"]: each for each in container["env"]} for container in found]


def test_the_secret_of_prefects_chart_is_named_and_may_be_missing() -> None:
    template = base_job_template(BASE, PoolOptions())
    for env in env_of_ours(template):
        assert env["PODHOOKS_OTHERWISE_PREFECT_API_KEY"]["valueFrom"] == "{{ callback_api_key_from }}"
        assert env["PODHOOKS_OTHERWISE_PREFECT_API_AUTH_STRING"]["valueFrom"] == "{{ callback_api_auth_string_from }}"
        assert env["PODHOOKS_OTHERWISE_PREFECT_API_URL"]["value"] == "{{ callback_api_url }}"
    variables = template["variables"]["properties"]
    chart = {"secretKeyRef": {"name": "prefect-api-key", "key": "key", "optional": True}}
    assert variables["callback_api_key_from"]["default"] == chart
    assert variables["callback_api_auth_string_from"]["default"]["secretKeyRef"]["optional"] is True


@pytest.mark.parametrize(
    ("limit", "expected"), [("{{ backoff_limit }}", "{{ backoff_limit }}.0"), (0, "0.0"), (3, "3.0"), (None, "6.0")]
)
def test_callbacks_are_told_whether_kubernetes_retries(limit: Any, expected: str) -> None:
    base = copy.deepcopy(BASE)
    spec = base["job_configuration"]["job_manifest"]["spec"]
    spec.pop("backoffLimit") if limit is None else spec.update(backoffLimit=limit)
    for env in env_of_ours(base_job_template(base, PoolOptions())):
        assert env["PODHOOKS_BACKOFF_LIMIT"]["value"] == expected


def test_a_guarantee_is_a_label_too_by_which_the_rescuer_finds_the_pod() -> None:
    template = base_job_template(BASE, PoolOptions())
    labels = pod_of(template)["metadata"]["labels"]
    assert labels["podhooks.io/guarantee"] == "{{ on_exit_guarantee }}"
    elsewhere = base_job_template(template, PoolOptions(annotations_only=True))
    assert pod_of(elsewhere)["metadata"].get("labels", {}) == {}, "the webhook sets it there"


def test_annotations_only_adds_no_container() -> None:
    template = base_job_template(BASE, PoolOptions(annotations_only=True))
    assert names(template) == ["prefect-job"]
    assert pod_of(template)["spec"] == pod_of(BASE)["spec"]
    assert pod_of(template)["metadata"]["annotations"]["podhooks.io/mode"] == "{{ callback_mode }}"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda pod: pod["spec"].update(volumes="{{ volumes }}"), "spec.volumes: must be a list"),
        (lambda pod: pod["spec"].update(terminationGracePeriodSeconds="{{ grace }}"), "write the flow's own number"),
        (lambda pod: pod.update(metadata={"annotations": "{{ mine }}"}), "write the annotations one by one"),
        (lambda pod: pod.update(metadata={"labels": "{{ mine }}"}), "write the labels one by one"),
        (lambda pod: pod["spec"].update(initContainers=[{"name": "on-exit"}]), "rename it"),
        (lambda pod: pod["spec"].update(containers="{{ containers }}"), "no base job template of a Kubernetes"),
    ],
)
def test_a_base_that_can_not_be_injected_is_refused(change: Any, said: str) -> None:
    with pytest.raises(ManifestError, match=re.escape(said)):
        changed(change)


@pytest.mark.parametrize("only", [False, True])
def test_default_callbacks_that_can_not_be_used_are_refused(only: bool) -> None:
    with pytest.raises(InputError, match=r"podhooks.io/on-exit"):
        base_job_template(BASE, PoolOptions(on_exit="no-colon", annotations_only=only))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "isn't JSON, as `prefect work-pool` writes templates"),
        ("[" * 100_000, "isn't JSON, as `prefect work-pool` writes templates"),
        ("[]", "isn't a template but list"),
        ("{}", "this is no base job template of a Kubernetes work pool"),
        (None, "No such file or directory"),
    ],
)
def test_a_wrong_file_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Any, text: str | None, said: str
) -> None:
    path = tmp_path / "base.json"
    if text is not None:
        path.write_text(text)
    assert main(["prefect", "base-job-template", "--base", str(path)]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert str(path) in output.err
    assert said in output.err


def test_without_a_git_repository_around_git_does_not_complain(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_image()
    assert capfd.readouterr().err == ""


PAGE = (Path(__file__).parents[2] / "docs" / "prefect.md").read_text(encoding="utf-8")


def table(*first: str) -> dict[str, str]:
    """Rows of the page's tables whose first cell is one of these, with their second cell."""
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", PAGE, re.MULTILINE)
    return {name: second for name, second in rows if name in first}


def test_the_page_has_every_variable_and_its_default() -> None:
    variables = all_variables()
    found = table(*(each.name for each in variables))
    assert list(found) == [each.name for each in variables]
    for each in variables:
        default = each.schema["default"]
        if not isinstance(default, dict):
            assert found[each.name] == (f"`{default}`" if default != "" else "none")


def test_the_page_has_every_state() -> None:
    from podhooks.callbacks.prefect_state import FINAL

    left_alone = table("SCHEDULED", "PAUSED")
    assert all(what.startswith("left alone") for what in left_alone.values())
    assert len(left_alone) == 2
    assert table("RUNNING")["RUNNING"] == "Crashed"
    assert table("PENDING")["PENDING"].startswith("Crashed")
    assert table("CANCELLING")["CANCELLING"].startswith("Cancelled")
    final = next(line for line in PAGE.splitlines() if line.startswith("| `COMPLETED`"))
    assert set(re.findall(r"`(\w+)`", final)) == FINAL
