"""Plain YAML scalars as kubectl reads them (YAML 1.1, as Go's library has it), and how to write texts for it.

`defaultMode: 0644` is octal there, and `yes` is true. What we write must be read the same by YAML 1.1 and 1.2.
"""

from __future__ import annotations

import json
import re

from podhooks.inject.shapes import Json

TRUE = frozenset(["y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"])
FALSE = frozenset(["n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"])
NULL = frozenset(["", "~", "null", "Null", "NULL"])
_INTEGER = re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_PLAIN = re.compile(r"(?:[A-Za-z_/]|-[A-Za-z])[A-Za-z0-9_./@+-]*(?::[A-Za-z0-9_./@+-]+)*|[0-9]+[A-Za-z]+")
"""Texts that need no quotes, provided that they aren't something else than a text."""


def resolve(text: str) -> Json:
    """What a scalar without quotes stands for."""
    if text in NULL:
        return None
    if text in TRUE or text in FALSE:
        return text in TRUE
    if _INTEGER.fullmatch(text):
        return _integer(text.replace("_", ""))
    if _FLOAT.fullmatch(text) or _SPECIAL.fullmatch(text):
        return float(text.replace(".", "", 1) if _SPECIAL.fullmatch(text) else text)
    return text


def written(value: Json) -> str:
    """A scalar on one line, in as few quotes as are safe."""
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and resolve(value) == value:
        return value
    if value.isprintable() and '"' in value:
        return "'" + value.replace("'", "''") + "'"
    return quoted(value)


def quoted(text: str) -> str:
    """In double quotes. JSON's escapes are YAML's; beyond them, what can't be seen is escaped too."""
    escaped = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else _escape(c) for c in escaped)


def _escape(character: str) -> str:
    return f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}"


def _integer(text: str) -> int:
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    for prefix, base in (("0b", 2), ("0o", 8), ("0x", 16), ("0", 8)):
        if digits.startswith(prefix) and len(digits) > len(prefix):
            return sign * int(digits.removeprefix(prefix), base)
    return sign * int(digits)
