"""What a real API server refuses although it is JSON: unknown fields, wrong types, changes that can't be. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from podhooks.kinds.resources import Json, ResourceType, clone
from podhooks.local.fieldtable import fields
from podhooks.local.problems import bad_request, invalid

_POD_FIELDS = ("activeDeadlineSeconds", "terminationGracePeriodSeconds", "tolerations")
_POD_RULE = (
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_EXPECTED: dict[str, tuple[str, tuple[type, ...]]] = {
    "s": ("a string", (str,)),
    "i": ("an integer", (int,)),
    "b": ("a boolean", (bool,)),
    "q": ("a quantity", (str, int, float)),
    "x": ("an integer or a string", (str, int)),
}
_KINDS = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list", dict: "an object"}


def check_update(kind: ResourceType, old: Json, new: Json) -> None:
    """A pod's containers and a job's template can't be changed once they exist. ApiError 422."""
    name = old["metadata"]["name"]
    if kind.plural == "pods" and _fixed(old) != _fixed(new):
        raise invalid(kind.plural, name, "spec", _POD_RULE)
    if kind.plural == "jobs" and _spec(old).get("template") != _spec(new).get("template"):
        raise invalid(kind.plural, name, "spec.template", "Invalid value: field is immutable")


def check_fields(kind: ResourceType, obj: Mapping[str, Any], validation: str) -> list[str]:
    """Warnings about unknown fields, or ApiError 400 for them if `validation` is Strict. Wrong types are always 400.

    Of kinds without a table only the metadata is looked at.
    """
    if validation not in ("", "Strict", "Warn", "Ignore"):
        raise bad_request(f'Unsupported value: "{validation}": fieldValidation is one of Strict, Warn, Ignore')
    known = kind.kind in fields()
    findings = list(_object(obj, kind.kind, "") if known else _value(obj.get("metadata"), "ObjectMeta", "metadata"))
    wrong = [text for unknown, text in findings if not unknown]
    unknown = [text for unknown, text in findings if unknown and validation != "Ignore"]
    title = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}'
    if wrong:
        raise bad_request(f"{title}: {', '.join(wrong)}")
    if unknown and validation == "Strict":
        raise bad_request(f"{title}: strict decoding error: {', '.join(unknown)}")
    return unknown


def without_unknown(kind: ResourceType, obj: Json) -> Json:
    """A copy with the known fields only, and without nulls: what the API stores when it lets unknown ones pass."""
    known: Json = _pruned(obj, kind.kind) if kind.kind in fields() else obj
    return known


Finding = tuple[bool, str]
"""Whether it is an unknown field (else a wrong type), and the sentence."""


def _object(value: Any, name: str, path: str) -> Iterator[Finding]:
    if not isinstance(value, Mapping):
        yield _wrong(value, "an object", path)
        return
    for key, member in value.items():
        where = f"{path}.{key}" if path else str(key)
        if key not in fields()[name]:
            yield True, f'unknown field "{where}"'
        elif member is not None:
            yield from _value(member, fields()[name][key], where)


def _value(value: Any, expected: str, path: str) -> Iterator[Finding]:
    if expected == "*":
        return
    if expected in _EXPECTED:
        words, types = _EXPECTED[expected]
        if not isinstance(value, types) or (isinstance(value, bool) and expected != "b"):
            yield _wrong(value, words, path)
    elif expected.startswith("["):
        yield from _list(value, expected[1:-1], path)
    elif expected.startswith("{"):
        yield from _map(value, expected[1:-1], path)
    else:
        yield from _object(value, expected, path)


def _list(value: Any, expected: str, path: str) -> Iterator[Finding]:
    if not isinstance(value, list):
        yield _wrong(value, "a list", path)
        return
    for index, item in enumerate(value):
        yield from _value(item, expected, f"{path}[{index}]")


def _map(value: Any, expected: str, path: str) -> Iterator[Finding]:
    if not isinstance(value, Mapping):
        yield _wrong(value, "an object", path)
        return
    for key, item in value.items():
        if item is not None:
            yield from _value(item, expected, f"{path}.{key}")


def _pruned(value: Any, expected: str) -> Any:
    if expected.startswith("["):
        return [_pruned(item, expected[1:-1]) for item in value]
    members = fields().get(expected)
    if members is None or value is None:
        return value
    kept = {key: member for key, member in value.items() if key in members and member is not None}
    return {key: _pruned(member, members[key]) for key, member in kept.items()}


def _wrong(value: Any, expected: str, path: str) -> Finding:
    got = _KINDS.get(type(value), "null")
    hint = ": put it in quotes" if expected == "a string" and isinstance(value, (bool, int, float)) else ""
    return False, f"{path}: {expected} is expected, got {got}{hint}"


def _spec(obj: Mapping[str, Any]) -> Json:
    spec: Json = obj.get("spec") or {}
    return spec


def _fixed(pod: Json) -> Json:
    """The part of a pod's spec that no update may change."""
    spec: Json = clone({key: value for key, value in _spec(pod).items() if key not in _POD_FIELDS})
    for container in (spec.get("containers") or []) + (spec.get("initContainers") or []):
        container.pop("image", None)
    return spec
