"""The copying of the runtime, as the init container does it: a plain interpreter, the file's path, a directory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from podhooks.version import __version__

INSTALL = Path(__file__).parents[2] / "podhooks" / "runtime" / "install.py"


def install(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-I", "-S", INSTALL, *arguments], capture_output=True, text=True, timeout=50)


def files(target: Path) -> set[str]:
    return {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}


def test_the_runtime_is_put_in_place_with_byte_code(tmp_path: Path) -> None:
    target = tmp_path / "opt" / "podhooks"
    done = install(str(target))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    found = files(target)
    assert {"on_start.py", "on_exit.py", "podhooks/contract.py", "podhooks/callbacks/__init__.py"} <= found
    assert {"podhooks_sidecar/__main__.py", "podhooks_initcontainer/__init__.py"} <= found
    assert any(name.startswith("podhooks/__pycache__/contract.") for name in found)
    assert not any(name.startswith(("podhooks/cli/", "podhooks/local/", "podhooks/inject/")) for name in found)
    assert sorted(each.name for each in target.parent.iterdir()) == ["podhooks"]


def test_a_restarted_init_container_does_it_again_without_harm(tmp_path: Path) -> None:
    target = tmp_path / "podhooks"
    assert install(str(target)).returncode == 0
    before = files(target)
    (target / "left-over").write_text("x")
    assert install(str(target)).returncode == 0
    assert files(target) == before


@pytest.mark.parametrize("path", ["/{}", ":."])
@pytest.mark.parametrize("script", ["on_start.py", "on_exit.py"])
def test_modules_of_the_users_do_not_get_into_our_programs(tmp_path: Path, script: str, path: str) -> None:
    target = tmp_path / "podhooks"
    install(str(target))
    for name in ("email", "enum", "http", "json", "select", "signal", "ssl"):
        (tmp_path / f"{name}.py").write_text("raise AssertionError('this is for callbacks')")
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": path.format(tmp_path)}
    command = [sys.executable, "-S", str(target / script), "--version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, cwd=tmp_path, env=environ)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("script", ["on_start.py", "on_exit.py"])
def test_the_start_scripts_need_nothing_but_their_directory(tmp_path: Path, script: str) -> None:
    target = tmp_path / "podhooks"
    install(str(target))
    for safe_path in ("", "1"):
        environ = {"PATH": os.environ["PATH"], "PYTHONSAFEPATH": safe_path}
        done = subprocess.run(
            [sys.executable, "-S", target / script, "--version"],
            capture_output=True,
            text=True,
            timeout=50,
            cwd="/",
            env=environ,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.strip().endswith(__version__)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "needs one argument"),
        (["a", "b"], "needs one argument"),
        (["--help"], "needs one argument"),
        (["/proc/podhooks"], "can't write the runtime to /proc/podhooks"),
    ],
)
def test_what_can_not_be_done_gets_one_line(arguments: list[str], complaint: str) -> None:
    done = install(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1
