"""The pages about environments: what they show runs, and their tables are the code's."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from podhooks import (
    DaskKubernetesEnvironment,
    Environment,
    KubernetesJobEnvironment,
    LocalEnvironment,
    RemoteEnvironment,
)

ROOT = Path(__file__).parents[2]
PAGES = ("environments.md", "from-pin-12.md", "testing-callbacks.md")
EXAMPLE = ROOT / "examples" / "environments"


def blocks(page: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def python(*arguments: str, directory: Path) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(directory)])}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=directory, env=environ, capture_output=True, text=True, timeout=55)


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_shows_is_python(page: str) -> None:
    for each in blocks(page):
        compile(each, page, "exec")


@pytest.mark.parametrize("block", [each for page in PAGES for each in blocks(page) if each.startswith("# runs")])
def test_what_a_page_shows_runs(block: str, tmp_path: Path) -> None:
    (tmp_path / "block.py").write_text(block)
    done = python("block.py", directory=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "environment"),
    [
        ("LocalEnvironment", LocalEnvironment()),
        ("LocalEnvironment(isolated=True)", LocalEnvironment(isolated=True)),
        ("RemoteEnvironment", RemoteEnvironment()),
        ("KubernetesJobEnvironment", KubernetesJobEnvironment()),
        ("DaskKubernetesEnvironment", DaskKubernetesEnvironment()),
    ],
)
def test_the_table_of_places_is_the_classes(name: str, environment: Environment) -> None:
    page = (ROOT / "docs" / "environments.md").read_text(encoding="utf-8")
    assert f"| `{name}` | {environment.where_main_runs} | {environment.where_callbacks_run} |" in page


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!https)([^)#]+)", text):
        assert (ROOT / "docs" / link).is_file(), link


def test_the_example_runs() -> None:
    done = python("etl.py", directory=EXAMPLE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[on-exit etl:notify] #jobs: orders: Succeeded" in done.stdout or "#jobs: orders: Succeeded" in done.stdout
    assert "Failed, ValueError: no rows" in done.stdout


def test_the_examples_tests_pass() -> None:
    done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_etl.py", directory=EXAMPLE)
    assert done.returncode == 0, done.stdout + done.stderr
