"""docs/dask.md says what is: every callback and argument, plans that parse, rights that are asked for."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from podhooks.annotations.parser import parse
from podhooks.callbacks import dask
from podhooks.callbacks.dask import diagnostics
from podhooks.callbacks.dask.deletion import GRANT
from podhooks.runtime.resolve import bind

PAGE = Path(__file__).parents[2].joinpath("docs", "dask.md").read_text(encoding="utf-8")
PLANS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("name", dask.__all__)
def test_every_callback_and_argument_is_there(name: str) -> None:
    assert f"| `{name}` |" in PAGE
    for argument in inspect.signature(getattr(dask, name)).parameters:
        assert f"`{argument}`" in PAGE or argument == "context"


@pytest.mark.parametrize("text", PLANS)
def test_its_plans_are_good_and_their_callbacks_can_be_called(text: str) -> None:
    plan, findings = parse(YAML(typ="safe").load(text))
    assert findings == ()
    for callback in (*plan.on_start, *plan.on_exit):
        bind(getattr(dask, callback.call.rpartition(":")[2]), callback.arguments, None)


def test_rights_and_files_are_those_of_the_code() -> None:
    assert GRANT.commands("X", "NAMESPACE:ACCOUNT").replace("kubectl -n X", "kubectl").split(" && ") == re.findall(
        r"^\$ (.*)$", PAGE, re.MULTILINE
    )
    for name in (diagnostics.MEMORY, diagnostics.TASK_STREAM, diagnostics.REPORT):
        assert f"| `{name}` |" in PAGE
