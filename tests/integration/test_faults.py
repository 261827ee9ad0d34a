"""The fault matrix runs on the stand-in: a few cells of it, once each."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def matrix(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.faults", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)


@pytest.mark.timeout(110)
def test_every_kind_of_blow_arrives_with_the_truth_or_is_a_loss(tmp_path: Path) -> None:
    """From within (a failure), from outside (a deletion), to the sidecar, and to the node."""
    out = tmp_path / "rows.json"
    faults = "failed,deleted by force,sidecar killed running,node lost and back"
    ran = matrix("--guarantees", "pod", "--modes", "native", "--faults", faults, "--out", str(out))
    assert ran.returncode == 0, ran.stderr + ran.stdout
    rows = {row["case"]["fault"]: row for row in json.loads(out.read_text())}
    assert set(rows) == {"failed", "deleted by force", "sidecar killed running", "node lost and back"}
    assert all((row["runs"], row["wrong"], row["twice"]) == (1, 0, 0) for row in rows.values()), ran.stderr
    assert (rows["failed"]["lost"], rows["sidecar killed running"]["lost"]) == (0, 1), (
        "in the pod nobody starts it again"
    )
    assert "4 runs: " in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--faults", "earthquake"], "--faults earthquake: no such fault; there are: succeeded, failed"),
        (["--kubeconfig", "x"], "--kubeconfig needs --collector-host"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments: list[str], sentence: str) -> None:
    ran = matrix(*arguments)
    assert ran.returncode == 2
    assert sentence in ran.stderr
    assert "Traceback" not in ran.stderr
