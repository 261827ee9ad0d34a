"""The model of claim, release and rescue holds in every order of its steps, and doesn't where one step is wrong."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

MODEL = Path(__file__).parents[1] / "model" / "rescue.pml"
CHECK = MODEL.with_name("check.sh")
WRONG = {
    "a claim that ignores the record": ("seen_complete -> skip", "true -> skip"),
    "released before it is recorded": (
        "       :: else ->                ",
        "       :: else -> held = false; MAY_DIE; ",
    ),
    "written over any version": (
        ":: version == seen_version ->\n                 version++;",
        ":: true ->\n                 version++;",
    ),
    "twice isn't counted": ("twice = twice || had_begun || (!seen_job_complete && seen_job_begun);", "skip;"),
    "never released": ("atomic { held = false; FORGET }", "FORGET"),
}

pytestmark = [
    pytest.mark.skipif(not (shutil.which("spin") and shutil.which("cc")), reason="needs spin and a C compiler"),
    pytest.mark.timeout(300),
]


def check(model: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", str(CHECK), str(model)], capture_output=True, text=True)


def test_the_model_holds() -> None:
    ran = check(MODEL)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count("errors: 0") == 2


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_step_is_found(tmp_path: Path, fault: str) -> None:
    right, wrong = WRONG[fault]
    text = MODEL.read_text()
    assert right in text
    broken = tmp_path / "broken.pml"
    broken.write_text(text.replace(right, wrong, 1))
    ran = check(broken)
    assert ran.returncode == 1, ran.stdout + ran.stderr
