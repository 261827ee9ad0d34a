"""Puts the runtime into a directory: what the copying init container does, and what builds our image.

Usage: python3 -I /opt/podhooks/podhooks/runtime/install.py DIRECTORY [INTERPRETER]

Run as a file and with the standard library only, so that it depends on no import path. DIRECTORY appears whole or not
at all: a restarted init container finds it finished, or does it again. INTERPRETER is where the image's own interpreter
is to be, for main images that have none; it lies beside the runtime (image/interpreter.py).
"""

from __future__ import annotations

import compileall
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path

PACKAGES = ("podhooks", "podhooks_initcontainer", "podhooks_sidecar")
# Rooms of podhooks that run in a pod; the modules at its root come along with them.
ROOMS = ("annotations", "callbacks", "former", "pod", "runtime")
INTERPRETER = "interpreter"  # beside the runtime's directory in our image
UNUSED = ("ensurepip", "idlelib", "lib2to3", "test", "tkinter", "turtledemo")
UNCHECKED = b"\1\0\0\0"  # flags of byte code that is never compared with its source
SCRIPTS = {"on_start.py": "podhooks_initcontainer", "on_exit.py": "podhooks_sidecar"}
SCRIPT = '''"""Starts {package} from wherever this directory is mounted."""

import gc

gc.disable()  # nothing of what is imported becomes garbage: looking for it takes a quarter of an interpreter's start

import os
import sys

given = [os.path.abspath(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep)]
sys.path.sort(key=lambda entry: os.path.abspath(entry) in given)  # a user's `email` must not hide what we need
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # where PYTHONSAFEPATH is set it isn't there by itself

from {package}.__main__ import main

gc.freeze()
gc.enable()

if __name__ == "__main__":
    code = main()
    print(end="", flush=True)
    os._exit(code)  # tidying up takes half an interpreter's start, and a SIGTERM while it goes on kills
'''


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) not in (1, 2) or any(each.startswith("-") for each in arguments):
        return _refused(f"needs a directory to fill, and may have one for the interpreter: got {' '.join(arguments)!r}")
    target, *interpreters = map(Path, arguments)
    try:
        install(target)
        for each in interpreters:
            _replace(each, _copy_interpreter)
    except (OSError, shutil.Error) as error:
        return _refused(f"can't write the runtime to {' and '.join(arguments)}: {error}")
    return 0


def install(target: Path) -> None:
    """Fill `target`, replacing what is there. OSError where that can't be."""
    _replace(target, _fill)


def _replace(target: Path, fill: Callable[[Path], None]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".podhooks-", dir=target.parent) as scratch:
        made = Path(scratch, "new")
        fill(made)
        if target.exists():
            target.rename(Path(scratch, "old"))
        made.rename(target)


def source_of(package: str) -> Path:
    """Beside the package that this file is in: in our image, in site-packages; or in a checkout's program folders."""
    root = Path(__file__).resolve().parents[2]
    found = [root / package, *root.glob(f"*/{package}")]
    return next((each for each in found if (each / "__init__.py").is_file()), found[0])


def _fill(directory: Path) -> None:
    """Byte code that is there already stays, and isn't made again: in our image it is that of several interpreters."""
    directory.mkdir(mode=0o755)
    for package in PACKAGES:
        shutil.copytree(source_of(package), directory / package, ignore=_other_rooms)
    for script, package in SCRIPTS.items():
        (directory / script).write_text(SCRIPT.format(package=package), encoding="utf-8")
    for source in sorted(directory.rglob("*.py")):
        if not _is_compiled(source):
            compileall.compile_file(source, quiet=2)


def _copy_interpreter(directory: Path) -> None:
    """Files instead of links to the image's own; but the program itself as it is, also where it is a link (locally)."""
    source = Path(__file__).absolute().parents[3] / INTERPRETER
    directory.mkdir(mode=0o755)
    for each in sorted(source.iterdir()):
        links = each.name == "bin"
        shutil.copytree(each, directory / each.name, symlinks=links, ignore=_not_copied)


def _not_copied(directory: str, names: list[str]) -> list[str]:
    """Links that lead nowhere are the distribution's, to files that it doesn't need."""
    return [name for name in names if name in UNUSED or not os.path.exists(os.path.join(directory, name))]


def _is_compiled(source: Path) -> bool:
    """For this interpreter and for good: whatever the times of files in an image are (PEP 552)."""
    try:
        with open(cache_from_source(str(source)), "rb") as file:
            return file.read(8) == MAGIC_NUMBER + UNCHECKED
    except OSError:
        return False


def _other_rooms(directory: str, names: list[str]) -> list[str]:
    if os.path.basename(directory) != "podhooks":
        return []
    return [
        name for name in names if os.path.isdir(os.path.join(directory, name)) and name not in (*ROOMS, "__pycache__")
    ]


def _refused(problem: str) -> int:
    print(f"podhooks install: {problem}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
