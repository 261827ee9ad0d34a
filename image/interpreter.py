"""Lays out this image's Python so that it runs wherever the directory is mounted: in an image with another C library,
or with none.

Usage: python3 -I image/interpreter.py DIRECTORY MOUNTED      needs patchelf in PATH

`bin/python3` is this interpreter, with MOUNTED/lib/ld.so as the loader that the kernel starts, and `lib` beside it as
the place of its libraries. All else are relative links to the image's own files, so that the layout takes no room:

    bin/python3  lib/ld.so  lib/libc.so.6  lib/libssl.so.3 ...  lib/python3.13/  etc/ssl/cert.pem

The names are the same for every architecture, so a pod that names them runs on any node.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
from podhooks.runtime.bundled import CERTIFICATES

BESIDES = ("libgcc_s.so.1",)  # loaded by name when a thread is cancelled (pthread_exit)
OPTIONAL = ("_tkinter.", "_gdbm.", "_dbm.", "_test", "_xxtest")  # modules whose libraries an image may well not have


def main(arguments: list[str]) -> int:
    directory, mounted = Path(arguments[0]), arguments[1]
    try:
        lay_out(directory, mounted)
    except (OSError, ValueError, subprocess.CalledProcessError) as problem:
        print(f"image/interpreter.py: {problem}", file=sys.stderr)
        return 1
    return 0


def lay_out(directory: Path, mounted: str) -> None:
    python = Path(os.path.realpath(sys.executable))
    standard_library = Path(os.path.dirname(os.__file__))
    loader = Path(output("patchelf", "--print-interpreter", python))
    for name in ("bin", "lib", "etc/ssl"):
        (directory / name).mkdir(parents=True)
    link(directory / "lib/ld.so", loader)
    link(directory / "lib" / standard_library.name, standard_library)
    link(directory / "etc/ssl/cert.pem", certificates())
    for name, path in libraries(loader, python, standard_library).items():
        link(directory / "lib" / name, path)
    binary = directory / "bin/python3"
    shutil.copy(python, binary)
    # DT_RPATH comes before LD_LIBRARY_PATH and holds for all that is loaded; DT_RUNPATH does neither (ld.so(8)).
    places = ("--set-interpreter", f"{mounted}/lib/ld.so", "--force-rpath", "--set-rpath", "$ORIGIN/../lib")
    output("patchelf", *places, binary)


def link(path: Path, target: Path) -> None:
    """Relative, to the file itself: links on the way to it may be absolute (/lib64/ld-linux-x86-64.so.2 is)."""
    real = os.path.realpath(target)
    if not os.path.exists(real):
        raise ValueError(f"{target} is missing")
    path.symlink_to(os.path.relpath(real, os.path.realpath(path.parent)))


def libraries(loader: Path, python: Path, standard_library: Path) -> dict[str, Path]:
    """Every shared library that Python or one of its modules loads, by the name that it is loaded by."""
    modules = sorted((standard_library / "lib-dynload").glob("*.so"))
    loaded = [each for module in modules for each in needed(loader, module, optional=module.name.startswith(OPTIONAL))]
    found = dict([*needed(loader, python), *loaded])
    beside = [path.parent / name for path in found.values() for name in BESIDES]
    found |= {path.name: path for path in beside if path.exists()}
    for each in (*modules, *found.values()):
        if output("patchelf", "--print-rpath", each).startswith("/"):
            raise ValueError(f"{each} looks for libraries in a directory of its own: this base's Python can't be moved")
    return found


def needed(loader: Path, program: Path, *, optional: bool = False) -> Iterator[tuple[str, Path]]:
    """What the loader finds for it. ValueError where something is missing."""
    for line in output(loader, "--list", program).splitlines():
        name, _, path = (part.strip() for part in line.partition("=>"))
        if path.startswith("/"):
            yield name, Path(path.rpartition(" (")[0])
        elif path.startswith("not found") and not optional:
            raise ValueError(f"{program} needs {name}, which isn't there")


def certificates() -> Path:
    for each in CERTIFICATES:
        if os.path.isfile(each):
            return Path(each)
    raise ValueError("this base has no CA certificates, without which callbacks reach nothing by https: install them")


def output(*command: str | Path) -> str:
    return subprocess.run([str(each) for each in command], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
