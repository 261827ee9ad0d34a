"""Python values as CEL (Kubernetes' Common Expression Language): literals, objects, patch operations.

CEL has no mixed-type map literals in Kubernetes; objects are written with a type's path instead, as in
`Object.spec.initContainers{name: "a"}`, and every field of a mapping or list below it has a path of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from podhooks.inject.shapes import Json

FREE_MAPS = frozenset(["requests", "limits", "emptyDir"])
"""Fields whose mappings are written as maps: names that users choose, or nothing at all."""


WIDTH = 110


class Cel(str):
    """An expression, where a value would stand. As a field's value it is that field's; see `optional` for keys."""

    __slots__ = ()


def quoted(text: str) -> Cel:
    """A string literal: JSON's escapes are CEL's."""
    return Cel(json.dumps(text))


def pattern(regular_expression: str) -> Cel:
    """A regular expression (RE2); a raw literal if it can be, so that backslashes are its own."""
    return Cel("r'" + regular_expression + "'") if "'" not in regular_expression else quoted(regular_expression)


def listed(words: Iterable[str]) -> Cel:
    return Cel(f"[{', '.join(map(quoted, words))}]")


def optional(field: str) -> str:
    """A key whose value is an optional: the field is there only if that has a value."""
    return f"?{field}"


def literal(value: Json, path: str) -> Cel:
    """`value` as CEL. `path` is the type's, `Object.spec.volumes`; it only has to be the same for the same fields."""
    if isinstance(value, Cel):
        return value
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, Mapping):
        return _mapping(value, path)
    if isinstance(value, list):
        return bracketed("[", (literal(each, path) for each in value), "]")
    return Cel(json.dumps(value))


def text_map(texts: Mapping[str, str]) -> Cel:
    return Cel("{" + ", ".join(f"{quoted(key)}: {quoted(text)}" for key, text in texts.items()) + "}")


def add(path: str, value: Cel) -> Cel:
    """A JSON Patch operation; `path` may be a literal or an expression.

    The value may be an object, or a list of texts or maps. A list of objects makes the API server panic (1.36: "value
    of type *structpb.Struct is not assignable"), and no failurePolicy saves the request then: add an empty list first.
    """
    shown = path if isinstance(path, Cel) else quoted(path)
    return bracketed("JSONPatch{", ('op: "add"', f"path: {shown}", f"value: {value}"), "}")


def first_match(choices: Iterable[tuple[str, str]], otherwise: str) -> Cel:
    """The value of the first condition that holds."""
    return Cel("\n".join(f"{condition} ? {value} :" for condition, value in choices) + f"\n{otherwise}")


def bracketed(begin: str, items: Iterable[str], end: str) -> Cel:
    """On one line if that is short, for these texts are read by people who decide whether to apply them."""
    items = list(items)
    line = f"{begin}{', '.join(items)}{end}"
    if len(line) <= WIDTH and "\n" not in line:
        return Cel(line)
    return Cel(f"{begin}\n" + indented(",\n".join(items)) + f"\n{end}")


def indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.split("\n"))


def _mapping(value: Mapping[str, Json], path: str) -> Cel:
    if path.rpartition(".")[2] in FREE_MAPS:
        return Cel("{" + ", ".join(f"{quoted(key)}: {literal(each, path)}" for key, each in value.items()) + "}")
    fields = (f"{key}: {literal(each, path + '.' + key.lstrip('?'))}" for key, each in value.items())
    return bracketed(f"{path}{{", fields, "}")
