"""Surroundings of a function that runs by our own interpreter."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from podhooks import contract
from podhooks.errors import CallbackNotFound
from podhooks.runtime import bundled, forked, resolve


@pytest.fixture
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image without certificates, and ours with them."""
    monkeypatch.setattr(sys, "executable", contract.INTERPRETER)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "PYTHONHOME"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    (tmp_path / "ours.pem").write_text("")
    monkeypatch.setattr(bundled, "OWN_CERTIFICATES", str(tmp_path / "ours.pem"))
    monkeypatch.setattr(bundled, "CERTIFICATES", (str(tmp_path / "debian.crt"), str(tmp_path / "alpine.pem")))
    return tmp_path


def test_an_image_without_certificates_trusts_as_ours_does(ours: Path) -> None:
    bundled.settle()
    assert os.environ["SSL_CERT_FILE"] == str(ours / "ours.pem")


def test_mains_own_certificates_come_first(ours: Path) -> None:
    (ours / "alpine.pem").write_text("")
    bundled.settle()
    assert os.environ["SSL_CERT_FILE"] == str(ours / "alpine.pem")


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_a_choice_of_mains_stays(ours: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "/mine")
    bundled.settle()
    assert {each: os.environ.get(each) for each in ("SSL_CERT_FILE", "SSL_CERT_DIR")} == {
        "SSL_CERT_FILE": None,
        "SSL_CERT_DIR": None,
        name: "/mine",
    }


def test_a_home_of_mains_python_is_not_for_ours(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/usr/local")
    forked.run_site()
    assert "PYTHONHOME" not in os.environ


def test_another_interpreter_is_left_alone(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    monkeypatch.setenv("PYTHONHOME", "/usr/local")
    bundled.settle()
    assert os.environ["PYTHONHOME"] == "/usr/local"
    assert "SSL_CERT_FILE" not in os.environ


def test_a_module_that_only_mains_python_has_is_named_with_what_to_do(ours: Path) -> None:
    with pytest.raises(CallbackNotFound, match=r"podhooks.io/python: bundled has Python's own modules only"):
        resolve.load("there_is_no_such_module:function")
