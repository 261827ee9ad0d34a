"""Our own runtime image as a directory: links to the installed packages, laid out as in the image."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from podhooks.contract import IMAGE_RUNTIME_DIR

PACKAGES = ("podhooks", "podhooks_initcontainer", "podhooks_sidecar")


def lay_out(directory: Path) -> Path:
    """Make `directory` look like the root of our image, with links."""
    packages = directory / IMAGE_RUNTIME_DIR.lstrip("/")
    packages.mkdir(parents=True, exist_ok=True)
    for name in PACKAGES:
        found = importlib.util.find_spec(name)
        link = packages / name
        if found and found.origin and not link.exists():
            link.symlink_to(Path(found.origin).parent)
    return directory


def runtime_image(directory: Path) -> dict[str, Path]:
    """References under which manifests may name our image, and where it is."""
    try:
        from podhooks.settings import DEFAULT_IMAGE  # type: ignore[attr-defined,unused-ignore]
    except ImportError:
        return {}
    return {str(DEFAULT_IMAGE): lay_out(directory / "podhooks")}
