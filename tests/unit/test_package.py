"""What the package offers, and what it costs to import."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import podhooks

ROOT = Path(__file__).parents[2]
RUNTIME = [
    "podhooks.runtime.runner",
    "podhooks.runtime.record",
    "podhooks.pod.info",
    "podhooks.annotations.plan",
    "podhooks.pod.status",
]


def test_every_exported_name_is_there_and_the_list_is_sorted() -> None:
    assert podhooks.__all__ == sorted(podhooks.__all__)
    assert dir(podhooks) == podhooks.__all__
    for name in podhooks.__all__:
        assert getattr(podhooks, name) is not None


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = podhooks.nope


def test_the_version_is_the_distributions() -> None:
    assert metadata.version("podhooks") == podhooks.__version__


@pytest.mark.parametrize("module", RUNTIME)
def test_the_runtime_is_cheap_to_import(module: str) -> None:
    """Each of these costs a good part of a bare interpreter start, in every pod."""
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    dear = {"asyncio", "dataclasses", "inspect", "logging", "pathlib", "re", "ssl", "subprocess", "tempfile", "typing"}
    allowed = {"re"} if module in ("podhooks.runtime.runner", "podhooks.runtime.record") else set()  # json needs it
    assert dear & set(loaded.stdout.split()) <= allowed
