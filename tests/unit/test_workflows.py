"""The workflows: what they run is what `make` runs here, and what others wrote is pinned."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from podhooks.version import __version__
from tests.helm import helm_binary

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z0-9-]+):", MAKEFILE, re.MULTILINE))


def read(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text())


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in WORKFLOWS:
        for name, job in read(path)["jobs"].items():
            yield from ((f"{path.name} {name}", step) for step in job["steps"])


def tool(name: str) -> str:
    found = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
    return found or pytest.skip(f"needs {name}: make test installs it where there is a wheel for this machine")


def test_every_command_is_a_target_of_make() -> None:
    commands = [step["run"] for _, step in steps() if "run" in step]
    assert len(commands) > 10
    others = [each for each in commands if not re.fullmatch(r"make [a-z0-9-]+", each)]
    unknown = [each for each in commands if each.removeprefix("make ") not in TARGETS]
    assert (others, unknown) == ([], [])


def test_every_action_is_pinned_to_a_commit_with_its_version_beside_it() -> None:
    lines = [line for path in WORKFLOWS for line in path.read_text().splitlines() if "uses:" in line]
    assert lines
    assert [
        each for each in lines if not re.search(r"uses: [\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", each)
    ] == []


def test_an_action_has_the_same_version_everywhere() -> None:
    pins = {step["uses"] for _, step in steps() if "uses" in step}
    assert len(pins) == len({each.partition("@")[0] for each in pins})


def test_a_workflow_may_only_read_unless_a_job_says_why() -> None:
    for path in WORKFLOWS:
        workflow = read(path)
        assert workflow["permissions"] == {"contents": "read"}
        text = path.read_text()
        assert len(re.findall(r": write", text)) == len(re.findall(r": write # |attestations: write", text))


def test_the_tests_run_on_every_python_that_the_package_takes() -> None:
    (job,) = [read(path)["jobs"]["test"] for path in WORKFLOWS if path.name == "ci.yml"]
    known = re.findall(r"PYTHON_(3)_(\d+)", (ROOT / "Dockerfile").read_text())
    wanted = {f"{major}.{minor}" for major, minor in known} | {"3.13"}  # the image's own
    assert set(job["strategy"]["matrix"]["python"]) == wanted
    assert 'requires-python = ">=3.10"' in (ROOT / "pyproject.toml").read_text()


def test_actionlint_has_nothing_to_say() -> None:
    """With shellcheck beside it, where there is one."""
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    command = [tool("actionlint"), "-no-color", *map(str, WORKFLOWS)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=50, env={**os.environ, "PATH": path})
    assert (ran.returncode, ran.stdout) == (0, "")


def test_zizmor_has_nothing_to_say() -> None:
    command = [tool("zizmor"), "--offline", "--no-progress", "--quiet", str(ROOT)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert ran.returncode == 0, ran.stdout


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """With the interpreter that runs the tests; `.installed` is taken for done, as it is where the tests run."""
    scripts = Path(sysconfig.get_path("scripts"))
    settings = (f"PYTHON={sys.executable}", f"VENV={scripts.parent}", "-o", f"{scripts.parent}/.installed")
    env = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}  # we may run below a make
    command = ["make", "--no-print-directory", "-C", str(ROOT), *settings, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=55, env=env)


def test_make_tells_the_version() -> None:
    ran = make("-s", "version", "GITHUB_OUTPUT=/dev/null")
    assert ran.stdout == f"version={__version__}\n"


def release_notes(*arguments: str) -> tuple[int, str, str]:
    command = [sys.executable, str(ROOT / ".github" / "release_notes.py"), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=50)
    return ran.returncode, ran.stdout, ran.stderr


@pytest.mark.parametrize("tag", ["", "v9.9.9", __version__])
def test_a_tag_that_is_not_the_version_releases_nothing(tag: str) -> None:
    code, out, err = release_notes(tag)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert f"tag v{__version__}" in err


def test_the_notes_are_the_changelogs_section(tmp_path: Path) -> None:
    """On a copy of the sources, because these may have nothing to release."""
    for each in (".github/release_notes.py", "podhooks/version.py"):
        (tmp_path / each).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / each, tmp_path / each)
    changelog = tmp_path / "CHANGELOG.md"
    command = [sys.executable, str(tmp_path / ".github" / "release_notes.py"), f"v{__version__}"]
    changelog.write_text("# Changelog\n\n## [Unreleased]\n\n- new\n")
    refused = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert (refused.returncode, "rename [Unreleased]" in refused.stderr) == (2, True)
    changelog.write_text(
        f"## [{__version__}] - 2026-01-02\n\n### Added\n\n- a door\n\n## [0.0.1] - 2025-01-02\n\n- old\n"
    )
    ran = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert (ran.returncode, ran.stdout) == (0, "### Added\n\n- a door\n")


def test_the_release_is_made_of_what_is_built() -> None:
    ran = make("-n", "github-release", "TAG=v1.2.3", "GH=gh")
    (command,) = [line for line in ran.stdout.splitlines() if line.startswith("gh ")]
    assert command.split()[:4] == ["gh", "release", "create", "'v1.2.3'"]
    assert "--notes-file build/release-notes.md" in command


def test_the_charts_are_packed() -> None:
    helm_binary()  # skips without one
    ran = make("chart-packages")
    assert ran.returncode == 0, ran.stderr
    packed = {path.name for path in (ROOT / "build" / "charts").glob("*.tgz")}
    assert packed == {f"{name}-{__version__}.tgz" for name in ("podhooks", "podhooks-lib", "flow-job")}


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md"])
def test_what_a_page_tells_to_run_is_there(name: str) -> None:
    text = (ROOT / name).read_text()
    commands = set(re.findall(r"(?:`|\$ )make ([a-z0-9-]+)", text))
    assert commands <= TARGETS
    missing = [path for path in re.findall(r"\]\((?!http)([^)#]+)", text) if not (ROOT / path).exists()]
    assert missing == []


def test_contributing_names_every_target() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    assert [each for each in sorted(TARGETS) if f"`make {each}`" not in text] == []


def test_pre_commit_runs_what_ci_runs() -> None:
    hooks = [hook for repo in read(ROOT / ".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    assert {each["entry"].removeprefix("make ") for each in hooks} <= TARGETS


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml")), ids=lambda path: path.stem
)
def test_an_issue_template_asks_for_something(path: Path) -> None:
    form = read(path)
    assert form["name"]
    assert form["description"]
    fields = [each for each in form["body"] if each["type"] != "markdown"]
    assert len({each["id"] for each in fields}) == len(fields)
    assert any(each.get("validations", {}).get("required") for each in fields)
