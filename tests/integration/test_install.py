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
        ([], "needs a directory to fill"),
        (["a", "b", "c"], "needs a directory to fill"),
        (["--help"], "needs a directory to fill"),
        (["/proc/podhooks"], "can't write the runtime to /proc/podhooks"),
    ],
)
def test_what_can_not_be_done_gets_one_line(arguments: list[str], complaint: str) -> None:
    done = install(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1


def image_with_an_interpreter(root: Path) -> Path:
    """What image/interpreter.py makes, as far as copying goes: links to files that lie elsewhere in the image."""
    runtime, interpreter = root / "opt/podhooks", root / "opt/interpreter"
    assert install(str(runtime)).returncode == 0
    library = root / "usr/lib/python3"
    for name in ("os.py", "test/test_os.py", "json/__init__.py"):
        (library / name).parent.mkdir(parents=True, exist_ok=True)
        (library / name).write_text(name)
    (library / "sitecustomize.py").symlink_to("/etc/python3/sitecustomize.py")  # as Debian has it
    (root / "usr/lib/libc.so.6.1").write_text("libc")
    for name in ("bin", "lib"):
        (interpreter / name).mkdir(parents=True)
    (interpreter / "bin/python3").write_text("python3")
    (interpreter / "bin/python3").chmod(0o755)
    (interpreter / "lib/python3").symlink_to("../../../usr/lib/python3")
    (interpreter / "lib/libc.so.6").symlink_to("../../../usr/lib/libc.so.6.1")
    return runtime


def copied(runtime: Path, *targets: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", *map(str, (runtime / "podhooks/runtime/install.py", *targets))]
    return subprocess.run(command, capture_output=True, text=True, timeout=50)


def test_the_images_interpreter_comes_along_without_links_out_of_the_directory(tmp_path: Path) -> None:
    runtime, made = image_with_an_interpreter(tmp_path / "image"), tmp_path / "volume/opt/interpreter"
    for _ in range(2):
        done = copied(runtime, tmp_path / "volume/opt/podhooks", made)
        assert (done.returncode, done.stderr) == (0, "")
    assert files(made) == {"bin/python3", "lib/libc.so.6", "lib/python3/os.py", "lib/python3/json/__init__.py"}
    assert not [each for each in made.rglob("*") if each.is_symlink()]
    assert os.access(made / "bin/python3", os.X_OK)
    assert (made / "lib/libc.so.6").read_text() == "libc"
    assert {each.name for each in made.parent.iterdir()} == {"podhooks", "interpreter"}


def test_an_image_without_an_interpreter_is_told_in_one_line(tmp_path: Path) -> None:
    runtime = tmp_path / "opt/podhooks"
    install(str(runtime))
    done = copied(runtime, tmp_path / "volume/podhooks", tmp_path / "volume/interpreter")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "opt/interpreter" in done.stderr
