"""The wheel as a user installs it: its names, its entry points, and that the runtime in it needs nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(directory), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    [path] = directory.glob("*.whl")
    return path


def test_ships_our_names_and_no_others(wheel: Path) -> None:
    """A wheel with a top-level `sidecar` or `tests` would overwrite other projects' files without a word."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name.split("/")[0] for name in archive.namelist()}
    ours = {name for name in names if not name.endswith(".dist-info")}
    assert ours
    assert all(name == "podhooks" or name.startswith("podhooks_") for name in ours)
    assert {"podhooks", "podhooks_sidecar", "podhooks_initcontainer"} <= ours


def test_is_typed_and_carries_its_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "podhooks/py.typed" in names
    assert any(name.endswith("LICENSE") for name in names)


def test_needs_no_other_distribution_and_every_program_starts(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    metadata = next(tmp_path.glob("*.dist-info/METADATA")).read_text().splitlines()
    assert [line for line in metadata if line.startswith("Requires-Dist") and "extra ==" not in line] == []
    entry_points = ConfigParser()
    entry_points.read_string(next(tmp_path.glob("*.dist-info/entry_points.txt")).read_text())
    for program, target in entry_points["console_scripts"].items():
        if program in ("podhooks", "podhooks-on-start", "podhooks-on-exit"):
            module, function = target.split(":")
            code = f"import sys; sys.argv[1:] = ['--version']; from {module} import {function}; sys.exit({function}())"
            command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"]
            ran = subprocess.run(command, capture_output=True, text=True)
            assert ran.returncode == 0, ran.stderr
            assert "0." in ran.stdout
