"""`make demo`: four ends of one Job, without a cluster, and what it says when one is not as it should be."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.runs import in_order

EXAMPLES = Path(__file__).parents[2] / "examples"
GOALS = ("demo", "test", "check")  # of the Makefile
ENDS = (
    ("main succeeds", "result Succeeded, exit code 0", 0),
    ("main fails", "result Failed, exit code 3", 3),
    ("main is killed", "result Failed, exit code 137", 137),
    ("the Job is deleted", "result Deleted, exit code None", 130),
)


def demo(place: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TMPDIR": str(place)}
    environment.pop("KUBECONFIG", None)
    command = [sys.executable, str(EXAMPLES / "demo.py")]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd="/", timeout=55)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    place = tmp_path_factory.mktemp("demo")
    done = demo(place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(place.iterdir()) == []
    return done.stdout.splitlines()


@pytest.mark.parametrize(("title", "told", "code"), ENDS)
def test_on_start_runs_before_main_and_on_exit_after_it(shown: list[str], title: str, told: str, code: int) -> None:
    begin = next(index for index, line in enumerate(shown) if line.endswith(f": {title} ==="))
    part = shown[begin : begin + next(i for i, line in enumerate(shown[begin:]) if line.startswith("Job/demo: ")) + 1]
    assert in_order(
        part,
        "on-start │ [on-start callbacks:prepare] before main: 40 rows are ready",
        "on-start   ended, exit code 0",
        "main       running",
        "main     │ main: 40 rows found",
        f"on-exit  │ [on-exit callbacks:report] after main: {told}",
        f"exit code {code}",
    ), "\n".join(part)


@pytest.mark.parametrize(("title", "told", "code"), ENDS)
def test_the_table_at_the_end_has_every_run(shown: list[str], title: str, told: str, code: int) -> None:
    row = next(line for line in reversed(shown) if line.strip().startswith(title))
    assert told in row
    assert f"podhooks run: {code} " in row
    assert row.endswith("as it should be")


def test_a_run_that_is_not_as_it_should_be_fails_the_demo(tmp_path: Path) -> None:
    """The demo looks at what happened: with another main it says so and ends with 1."""
    script = f"""
import runpy, sys
sys.argv = ["demo.py"]
names = runpy.run_path({str(EXAMPLES / "demo.py")!r})
scenario = names["Scenario"]("main succeeds", "fail", "result Succeeded, exit code 0", 0)
names["main"].__globals__["SCENARIOS"] = (scenario,)
sys.exit(names["main"]())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=55, cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "WRONG: expected result Succeeded, exit code 0; exit code 0" in done.stdout


def test_make_demo_installs_no_more_than_the_demo_needs(tmp_path: Path) -> None:
    """Who tries it first shouldn't wait for Prefect and Dask; `make test` still gets everything."""
    make = ["make", "--dry-run", "--always-make", f"VENV={tmp_path}/venv"]
    told = {
        goal: subprocess.run([*make, goal], capture_output=True, text=True, cwd=EXAMPLES.parent).stdout
        for goal in GOALS
    }
    installs = {goal: [line.split()[-1] for line in out.splitlines() if " -e " in line] for goal, out in told.items()}
    assert installs == {"demo": ["'.[cli]'"], "test": ["'.[dev]'"], "check": ["'.[dev]'"]}
