"""Plain YAML scalars as kubectl reads them, and how to write texts for it.

kubectl's reader is Go's yaml.v2 with a way through JSON behind it (sigs.k8s.io/yaml): `defaultMode: 0644` is octal,
`yes` is true, `1e3` is 1000, and a number that is too large is a text. What we write must be read the same by YAML 1.1
and 1.2. Source: https://github.com/yaml/go-yaml/blob/v2.4.2/resolve.go
"""

from __future__ import annotations

import json
import math
import re

from podhooks.yamltext.shapes import Json

TRUE = frozenset(["y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"])
FALSE = frozenset(["n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"])
NULL = frozenset(["", "~", "null", "Null", "NULL"])
_WORDS: dict[str, Json] = {**dict.fromkeys(TRUE, True), **dict.fromkeys(FALSE, False), **dict.fromkeys(NULL)}
_SPECIAL: dict[str, float] = {
    **dict.fromkeys([".nan", ".NaN", ".NAN"], math.nan),
    **dict.fromkeys([".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"], math.inf),
    **dict.fromkeys(["-.inf", "-.Inf", "-.INF"], -math.inf),
}
_DATE = re.compile(r"[0-9]{4}-[0-9]")  # of a timestamp, which is a text in the end
_INTEGER = re.compile(r"([-+]?)(?:0[bB]([01]+)|0[oO]([0-7]+)|0[xX]([0-9a-fA-F]+)|0([0-7]+)|(0|[1-9][0-9]*))")
_BASES = (2, 8, 16, 8, 10)  # of the groups behind the sign
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_POINT_FLOAT = re.compile(r"\.[0-9]+(?:_[0-9]+)*(?:[eE][-+]?[0-9]+)?")
_MAX_DIGITS = 400  # no number of a manifest has so many, and Python refuses 4300
_INT64 = range(-(2**63), 2**63)
_UINT64 = range(2**64)
_PLAIN = re.compile(r"(?:[A-Za-z_/]|-[A-Za-z])[A-Za-z0-9_./@+-]*(?::[A-Za-z0-9_./@+-]+)*|[0-9]+[A-Za-z]+")
"""Texts that need no quotes, provided that they aren't something else than a text."""
_NUMBER_START = frozenset("+-.0123456789")


def resolve(text: str) -> Json:
    """The value of a scalar without quotes. Infinity and NaN are floats here, which JSON doesn't have."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_START:
        return text
    return _number(text)


def _number(text: str) -> Json:
    if text in _SPECIAL:
        return _SPECIAL[text]
    if text[0] == ".":
        return _through_json(float(text), text) if _POINT_FLOAT.fullmatch(text) else text
    plain = text.replace("_", "")
    if len(plain) > _MAX_DIGITS:
        return text
    if found := _INTEGER.fullmatch(plain):
        value = _integer(found)
        if value in _INT64:
            return value
        if value in _UINT64 and not found[1]:
            return float(value)
    if _FLOAT.fullmatch(plain) and not _DATE.match(text):
        return _through_json(float(plain), text)
    return text


def _integer(found: re.Match[str]) -> int:
    digits, base = next((group, base) for group, base in zip(found.groups()[1:], _BASES, strict=True) if group)
    return int(digits, base) * (-1 if found[1] == "-" else 1)


def _through_json(value: float, text: str) -> Json:
    """Go writes a float without a fraction as a whole number, and reads that as one. One that is too large for a float
    is no number to it."""
    if math.isinf(value):
        return text
    return int(value) if value.is_integer() and int(value) in _INT64 else value


def written(value: Json) -> str:
    """A scalar on one line, in as few quotes as are safe; also inside of brackets."""
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
    return escaped if escaped.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in escaped)


def json_text(value: Json) -> str:
    """A scalar as JSON has it: letters stay what they are, halves of surrogate pairs can't."""
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else "".join(c if not "\ud800" <= c <= "\udfff" else _escape(c) for c in text)


def _escape(character: str) -> str:
    return f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}"
