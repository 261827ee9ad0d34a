"""What a callback may rely on is the same in every environment: one suite for all of them.

tests/e2e/test_environments.py runs it on a real cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from podhooks import LocalEnvironment
from podhooks.environments import Environment, Handle
from tests.integration.environment_callbacks import WORD_DIR
from tests.integration.environment_contract import Contract, Site


class FilesOfThisMachine(Site):
    """Environments whose main and callbacks see this machine's files."""

    def __init__(self, make: Callable[..., Environment], directory: Path) -> None:
        self._make = make
        self._directory = directory

    def execute(self, flow: Any, parameters: Mapping[str, Any], **arguments: Any) -> Handle:
        return self._make(**arguments).execute(flow, parameters)

    def words(self) -> list[tuple[str, dict[str, Any]]]:
        return words_in(self._directory)


def words_in(directory: Path) -> list[tuple[str, dict[str, Any]]]:
    import json

    files = sorted(each for each in directory.iterdir() if not each.name.startswith("."))
    return [(each.name.split("-")[1], json.loads(each.read_text())) for each in files]


def isolated(**arguments: Any) -> LocalEnvironment:
    return LocalEnvironment(isolated=True, **arguments)


KINDS: dict[str, Callable[..., Environment]] = {"local": LocalEnvironment, "isolated": isolated}


@pytest.fixture(params=KINDS)
def site(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv(WORD_DIR, str(tmp_path))
    found = FilesOfThisMachine(KINDS[request.param], tmp_path)
    found.sees_signals = request.param != "local"
    return found


class TestHere(Contract):
    pass
