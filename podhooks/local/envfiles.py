"""Env files (`fileKeyRef`, KEP-3721), read as the kubelet reads them. Pure.

https://github.com/kubernetes/kubernetes/blob/v1.36.0/pkg/kubelet/util/env/env_util.go: a strict subset of a shell's
syntax, `NAME='value'`, in which every value is in single quotes and may have several lines.
"""

from __future__ import annotations

from collections.abc import Iterator


class EnvFileError(Exception):
    """The file isn't one; the message says the line."""


def value_of(text: str, key: str) -> str:
    """What the file says of `key`, "" where it says nothing. EnvFileError: a line up to it can't be read."""
    lines = iter(enumerate(text.split("\n"), 1))
    for number, line in lines:
        name, equals, rest = line.lstrip(" \t").partition("=")
        if (not name.strip() and not equals) or name.startswith("#"):
            continue
        if not equals:
            raise EnvFileError(f"line {number} has no '='")
        if not name or name != name.rstrip(" \t"):
            raise EnvFileError(f"line {number} has a blank in front of '=', or no name")
        value = "" if rest[:1] in (" ", "\t") else _quoted(rest, number, lines)
        if name == key:
            return value
    return ""


def _quoted(rest: str, number: int, lines: Iterator[tuple[int, str]]) -> str:
    """The value that begins in `rest`, perhaps over several lines. A blank behind `=` makes it empty."""
    if not rest.startswith("'"):
        raise EnvFileError(f"line {number} has a value without single quotes")
    value, closed, after = rest[1:].partition("'")
    while not closed:
        _, line = next(lines, (0, None))
        if line is None:
            raise EnvFileError(f"line {number} opens a quote that nothing closes")
        more, closed, after = line.partition("'")
        value += f"\n{more}"
    if after.strip(" \t") and not after.lstrip(" \t").startswith("#"):
        raise EnvFileError(f"line {number} has something behind its closing quote")
    return value
