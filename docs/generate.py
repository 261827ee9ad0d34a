"""Writes the tables of annotations in these pages from the table in podhooks/annotations/plan.py: `make docs`.

With --check it writes nothing and ends with 1 where a page isn't what it would write.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from podhooks import contract
from podhooks.annotations.plan import TABLE, Annotation
from podhooks.annotations.writer import text_of
from podhooks.render.prefect_pool import DEFAULT_RESERVE_SECONDS
from podhooks.render.prefect_variables import (
    NO_CALLBACKS,
    RESOURCES,
    Variable,
    annotation_variables,
    hook_variables,
    pod_variables,
)

DOCS = Path(__file__).parent
BEGIN, END = "<!-- {}: written by `make docs`; don't edit -->", "<!-- end of {} -->"
BY_NAME = {each.name: each for each in TABLE}


def main(arguments: list[str]) -> int:
    stale = {path: text for path, text in pages().items() if path.read_text(encoding="utf-8") != text}
    for path, text in stale.items():
        if "--check" in arguments:
            print(f"{path.relative_to(DOCS.parent)} is stale: run make docs", file=sys.stderr)
        else:
            path.write_text(text, encoding="utf-8")
    return int(bool(stale) and "--check" in arguments)


def pages() -> dict[Path, str]:
    """Each page as it should be."""
    grace = int(contract.DEFAULT_GRACE_SECONDS + DEFAULT_RESERVE_SECONDS)
    pod = pod_variables(grace_seconds=grace, reserve_seconds=DEFAULT_RESERVE_SECONDS)
    variables = [*hook_variables(None, NO_CALLBACKS, NO_CALLBACKS), *pod]
    sections = {
        "annotations.md": {"annotations": annotations()},
        "prefect.md": {
            "variables": variable_table(variables),
            "variables of the annotations": variable_table(annotation_variables()),
        },
    }
    return {DOCS / name: replaced((DOCS / name).read_text(encoding="utf-8"), found) for name, found in sections.items()}


def replaced(page: str, sections: dict[str, str]) -> str:
    """The page with the text of each section between its two comments. ValueError where they aren't there."""
    for name, text in sections.items():
        begin, end = BEGIN.format(name), END.format(name)
        parts = re.split(f"({re.escape(begin)}|{re.escape(end)})", page)
        if parts[1::2] != [begin, end]:
            raise ValueError(f"{begin} and {end} are to be there, once and in this order")
        page = f"{parts[0]}{begin}\n{text}{end}{parts[4]}"
    return page


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n".replace("| --- | --- | --- |", "|---|---|---|") for cells in lines)


def annotations() -> str:
    rows = [(f"`{each.name}`", each.help, default(each)) for each in TABLE]
    ours = [
        (f"`{contract.STATUS}`", "written by the injector; leave it alone", "none"),
        (
            f"`{contract.RELEASED}`",
            "written by the [rescuer](rescuer.md) when it lets go of the pod; leave it alone",
            "none",
        ),
    ]
    return table(("name", "value", "default"), [*rows, *ours])


def default(annotation: Annotation) -> str:
    return annotation.otherwise or f"`{text_of(annotation, annotation.default)}`"


def variable_table(variables: Iterable[Variable]) -> str:
    rows = [(f"`{each.name}`", _default(each), _help(each)) for each in variables]
    return table(("variable", "default", "what it is"), rows)


def _default(variable: Variable) -> str:
    default = variable.schema["default"]
    if variable.name == RESOURCES:
        return "as [injected](inject.md)"
    if default == "":
        return "none"
    return f"`{json.dumps(default) if isinstance(default, dict) else default}`"


def _help(variable: Variable) -> str:
    if variable.annotation:
        return BY_NAME[variable.annotation].help
    return str(variable.schema["description"]).removesuffix(".")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
