"""`make e2e` says in one line what it needs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "e2e" / "on_kind.sh"
BASICS = ("bash", "dirname", "mktemp", "cat")


@pytest.mark.parametrize(
    ("there", "missing"),
    [({}, "no kind on this machine"), ({"kind": "exit 0", "docker": "exit 1"}, "docker doesn't answer")],
)
def test_what_is_missing_is_one_line_and_exit_code_2(tmp_path: Path, there: dict[str, str], missing: str) -> None:
    for tool in BASICS:
        (tmp_path / tool).symlink_to(shutil.which(tool) or "")
    for tool, script in there.items():
        (tmp_path / tool).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / tool).chmod(0o755)
    ran = subprocess.run(["bash", SCRIPT], env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert ran.returncode == 2
    assert missing in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("failing", "code", "expected"),
    [("none", 0, 0), ("tests/e2e ", 3, 3), ("test_disruptions", 3, 3), ("test_disruptions", 5, 0)],
)
def test_both_parts_of_the_suite_run_and_the_cluster_is_deleted_whatever_they_say(
    tmp_path: Path, failing: str, code: int, expected: int
) -> None:
    """kind itself isn't here: what stands in for it only writes down how it was called."""
    calls = tmp_path / "calls"
    for tool in (*BASICS, "rm", "tr", "grep"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or "")
    scripts = {
        "kind": "",
        "docker": 'case "$*" in "network "*) echo 172.18.0.1;; esac',
        "python": f'case "$*" in *"{failing}"*) exit {code};; esac',
    }
    for tool, script in scripts.items():
        (tmp_path / tool).write_text(f'#!/bin/sh\necho "{tool} $*" >> {calls}\n{script}\n')
        (tmp_path / tool).chmod(0o755)
    (tmp_path / "sh").symlink_to(shutil.which("sh") or "")
    environment = {"PATH": str(tmp_path), "PYTHON": str(tmp_path / "python"), "PREFECT_IMAGE": "prefect:3"}
    ran = subprocess.run(["bash", SCRIPT, "-k", "deleted"], env=environment, capture_output=True, text=True)
    assert ran.returncode == expected, ran.stderr
    said = calls.read_text().splitlines()
    parts = [line for line in said if line.startswith("python ")]
    assert ["-n 4" in part for part in parts] == [True, False]
    assert "--webhook-host 172.18.0.1" in parts[0]
    assert "docker pull prefect:3" not in said  # it is here already
    assert any(line.startswith("kind load") and line.endswith(" prefect:3") for line in said)
    assert "--stop-kubelet docker exec" in parts[1]
    assert all("-k deleted" in part for part in parts)
    assert said[-1].startswith("kind delete cluster")
