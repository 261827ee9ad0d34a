"""Our own runtime image as a directory: links to the installed packages, laid out as in the image."""

from __future__ import annotations

import sys
from pathlib import Path

from podhooks.contract import IMAGE_INTERPRETER_DIR, IMAGE_RUNTIME_DIR
from podhooks.inject.inject_settings import InjectSettings
from podhooks.runtime.install import PACKAGES, SCRIPT, SCRIPTS, source_of


def runtime_image(directory: Path) -> dict[str, Path]:
    """The reference under which injected pods name our image, and the directory that stands for its root."""
    return {InjectSettings().image: lay_out(directory / "podhooks")}


def lay_out(root: Path) -> Path:
    """Make `root` look like our image. Links, not copies: a local cluster should start at once."""
    packages = root / IMAGE_RUNTIME_DIR.lstrip("/")
    packages.mkdir(parents=True)
    for name in PACKAGES:
        (packages / name).symlink_to(source_of(name))
    for name, package in SCRIPTS.items():
        (packages / name).write_text(SCRIPT.format(package=package))
    lay_out_interpreter(root)
    return root


def lay_out_interpreter(root: Path) -> None:
    """The interpreter of the image is the one that runs us."""
    link = root / IMAGE_INTERPRETER_DIR.lstrip("/") / "bin/python3"
    link.parent.mkdir(parents=True)
    link.symlink_to(sys.executable)
