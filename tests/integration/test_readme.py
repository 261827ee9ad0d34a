"""What README.md and docs/run.md show is true: the pod runs, links lead somewhere, options and codes are all there."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from podhooks.cli import run as command
from podhooks.report.verdict import STOP_CODES
from tests.integration.runs import Run, in_order

ROOT = Path(__file__).parents[2]


def test_the_smallest_pod_runs(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    manifest = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert manifest is not None
    (tmp_path / "hello.yaml").write_text(manifest[1])
    ran = Run(str(tmp_path / "hello.yaml"))
    assert ran.end() == 0, ran.output
    assert in_order(ran.lines, "] before main", "main     │ main", "] after main: Succeeded")


def test_every_option_is_documented() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    command.configure(parser)
    page = (ROOT / "docs" / "run.md").read_text(encoding="utf-8")
    table = page.partition("## Options")[2].partition("## Exit code")[0]
    options = {name for name in parser._option_string_actions if name.startswith("--")} - {"--filename"}
    assert options == set(re.findall(r"--[a-z][a-z-]*", table))


def test_every_exit_code_of_our_own_is_documented() -> None:
    page = (ROOT / "docs" / "run.md").read_text(encoding="utf-8")
    rows = {each[1]: each[0] for each in re.findall(r"^\| (.*) \| (\d+) \|$", page, re.MULTILINE)}
    assert {str(code) for code in STOP_CODES.values()} | {"0", "1", "2"} == set(rows)
    assert all(stop.value in rows[str(code)] for stop, code in STOP_CODES.items())
