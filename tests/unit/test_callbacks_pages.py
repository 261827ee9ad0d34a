"""docs/callbacks/*.md say what the code does: arguments, defaults, fields, rights and the commands that give them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from podhooks.annotations.parser import parse
from podhooks.callbacks import events, logs, metrics, notify, resources
from podhooks.callbacks.api import Grant
from podhooks.callbacks.templates import fields
from podhooks.context import RunContext
from tests.callback_contexts import on_exit

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "callbacks"
Function = Callable[..., None]
CALLBACKS: dict[str, tuple[Function, str, str]] = {
    "webhook": (notify.webhook, "notify", "## webhook"),
    "slack": (notify.slack, "notify", "## slack"),
    "apprise": (notify.apprise, "notify", "## apprise"),
    "collect_available": (resources.collect_available, "resources", "#"),
    "save": (logs.save, "logs", "#"),
    "push": (metrics.push, "metrics", "#"),
    "record": (events.record, "events", "#"),
}
GRANTS = {
    "resources": [resources.CLUSTER_GRANT, resources.QUOTA_GRANT],
    "logs": [logs.GRANT],
    "events": [events.GRANT],
}


def page(name: str) -> str:
    return (PAGES / f"{name}.md").read_text(encoding="utf-8")


def table(text: str, heading: str) -> dict[str, str]:
    """First to second column of the first table under `heading` that begins with it."""
    rows = text.partition(f"| {heading} |")[2].partition("\n\n")[0].splitlines()[2:]
    cells = [[each.strip() for each in row.strip("|").split("|")] for row in rows]
    return {name: row[1] for row in cells for name in re.findall(r"`(\w+)`", row[0])}


@pytest.mark.parametrize("name", CALLBACKS)
def test_the_table_of_arguments_is_the_signature(name: str) -> None:
    function, module, heading = CALLBACKS[name]
    documented = table(page(module).partition(heading)[2], "argument")
    parameters = list(inspect.signature(function).parameters.values())
    assert parameters[0].name == "context"
    assert list(documented) == [each.name for each in parameters[1:]]
    for each in parameters[1:]:
        shown = re.fullmatch(r"`([^`]*)`", documented[each.name])
        if shown:
            assert shown[1] == str(each.default).lower() if isinstance(each.default, bool) else str(each.default)
        elif documented[each.name] == "must be given":
            assert each.default is each.empty
        else:
            assert not each.default, f"{each.name} has the default {each.default!r}"


@pytest.mark.parametrize("module", GRANTS)
def test_the_rights_as_yaml_and_as_commands_are_those_that_a_403_names(module: str) -> None:
    text = page(module)
    documents = [YAML(typ="safe").load(each) for each in re.findall(r"```yaml\n(apiVersion.*?)```", text, re.DOTALL)]
    commands = re.findall(r"^\$ (kubectl .*)$", text, re.MULTILINE)
    assert documents == [role(each) for each in GRANTS[module]]
    named = [each.commands("NAMESPACE", "NAMESPACE:ACCOUNT") for each in GRANTS[module]]
    assert " && ".join(commands) == " && ".join(named).replace(" -n NAMESPACE", "")
    assert f"Grant it: {GRANTS[module][0].commands('etl', 'etl:default')}" in text


def role(grant: Grant) -> dict[str, Any]:
    rule = {"apiGroups": [""], "resources": grant.resources.split(","), "verbs": grant.verbs.split(",")}
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole" if grant.cluster_wide else "Role",
        "metadata": {"name": grant.role},
        "rules": [rule],
    }


def test_every_field_of_the_webhooks_document_is_described() -> None:
    document = notify.notification(on_exit())
    rows = page("notify").partition("| field |")[2].partition("\n\n")[0]
    first = [name for row in rows.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(first) == sorted(document)
    for name in (*document["exit"], *document["pod"], *document["owner"]):
        assert f"`{name}`" in rows


def test_every_field_of_a_template_is_listed() -> None:
    listed = re.findall(r"`\{(\w+)\}`", page("notify").partition("## Fields")[2])
    assert sorted(listed) == sorted(fields(on_exit()))


def test_every_metric_is_listed() -> None:
    assert list(table(page("metrics"), "metric")) == [name for name, _, _ in metrics.families(on_exit())]


def test_every_annotation_on_the_pages_parses() -> None:
    for module in ("notify", "resources", "logs", "metrics", "events"):
        for block in re.findall(r"```yaml\n(podhooks.io/.*?)```", page(module), re.DOTALL):
            plan, findings = parse(YAML(typ="safe").load(block))
            assert not findings
            for callback in (*plan.on_start, *plan.on_exit):
                function = CALLBACKS[callback.call.partition(":")[2]][0]
                inspect.signature(function).bind(RunContext, **callback.arguments)


def test_the_examples_that_pages_name_are_there() -> None:
    for path in PAGES.glob("*.md"):
        for link in re.findall(r"\]\((\.\./[^)#]+)\)", path.read_text(encoding="utf-8")):
            assert (PAGES / link).exists(), link
