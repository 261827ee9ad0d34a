"""Env files (`fileKeyRef`) as the kubelet reads them, and variables that come from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from podhooks.local.envfiles import EnvFileError, value_of
from podhooks.local.fields import ConfigError, Environment


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A='b'", "b"),
        ("\n# A='no'\n  \t\nX='1'\n \tA='b' # why\n", "b"),
        ("A='two\nlines\n'\t", "two\nlines\n"),
        ("X='1\nA=2'\nA='3'", "3"),
        ("A='$HOME \\n \"x\"'", '$HOME \\n "x"'),
        ("A= 'b'", ""),
        ("A=''", ""),
        ("B='b'", ""),
        ("", ""),
        ("A='first'\nA='second'", "first"),
        ("A='b'\nnonsense behind it", "b"),
    ],
)
def test_a_value(text: str, value: str) -> None:
    assert value_of(text, "A") == value


@pytest.mark.parametrize("text", ["nonsense", "='x'", "A ='x'", "A=x", 'A="x"', "A='x' y", "X='1\nA='2'", "A='x"])
def test_what_is_no_env_file(text: str) -> None:
    with pytest.raises(EnvFileError, match=r"^line 1|^line 2"):
        value_of(text, "A")


def variables(volume: Path, **reference: Any) -> dict[str, str]:
    source = {"volumeName": "work", "path": "a/env", "key": "A", **reference}
    pod = {"metadata": {"name": "p", "namespace": "n"}, "spec": {}}
    container = {"name": "main", "env": [{"name": "WHO", "valueFrom": {"fileKeyRef": source}}]}
    return Environment(pod, lambda *_: None, {"work": volume}).variables(container, {})


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "env").write_text("A='me'\n")
    return tmp_path


def test_a_variable_from_a_file(volume: Path) -> None:
    assert variables(volume) == {"WHO": "me"}
    assert variables(volume, key="B", optional=True) == {}


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ({"key": "B"}, 'environment variable key "B" not found in file'),
        ({"path": "gone"}, "couldn't parse env file"),
        ({"path": "gone", "optional": True}, "couldn't parse env file"),
        ({"path": "../x"}, "must stay inside its volume"),
        ({"volumeName": "gone"}, 'cannot find the volume "gone" referenced by FileKeyRef'),
    ],
)
def test_a_container_waits_for_what_is_not_there(volume: Path, reference: dict[str, Any], said: str) -> None:
    """An optional one waits for its file, too."""
    with pytest.raises(ConfigError, match=said):
        variables(volume, **reference)
