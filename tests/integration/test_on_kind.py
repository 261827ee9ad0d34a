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
