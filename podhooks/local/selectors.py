"""Label and field selectors: text in, predicate out.

Which fields can be selected is part of each kind's API; asking for another one is an error on a real cluster, too,
and a silent "matches nothing" would look like an empty namespace.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from podhooks.local.problems import ApiError, bad_request

Predicate = Callable[[Mapping[str, Any]], bool]

_EVERYWHERE = ("metadata.name", "metadata.namespace")
_FIELDS: dict[str, tuple[str, ...]] = {
    "pods": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.phase",
        "status.podIP",
    ),
    "jobs": ("status.successful",),
    "namespaces": ("status.phase",),
    "nodes": ("spec.unschedulable",),
    "secrets": ("type",),
    "events": (
        *(f"involvedObject.{name}" for name in ("kind", "namespace", "name", "uid", "apiVersion", "fieldPath")),
        "involvedObject.resourceVersion",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
}
_KEY = r"[A-Za-z0-9][A-Za-z0-9_./-]*"
_SET = re.compile(rf"^({_KEY})\s+(in|notin)\s*\(([^()]*)\)$")
_EQUAL = re.compile(rf"^({_KEY})\s*(==|=|!=)\s*([A-Za-z0-9_.-]*)$")
_EXISTS = re.compile(rf"^(!?)\s*({_KEY})$")


def label_selector(text: str) -> Predicate:
    """Predicate over whole objects for `a=b,c!=d,e in (f,g),h notin (i),j,!k`. Empty text matches all."""
    checks = [_label_check(part) for part in _requirements(text)]
    if not checks:
        return lambda _: True

    def matches(obj: Mapping[str, Any]) -> bool:
        labels = (obj.get("metadata") or {}).get("labels") or {}
        return all(check(labels) for check in checks)

    return matches


def field_selector(plural: str, text: str) -> Predicate:
    """Predicate over whole objects for `metadata.name=x,status.phase!=Running`. ApiError 400 for an unknown field."""
    checks = [_field_check(plural, part.strip()) for part in text.split(",") if part.strip()]
    return lambda obj: all(check(obj) for check in checks)


def matcher(plural: str, labels: str, fields: str) -> Predicate:
    """Both selectors together."""
    by_label, by_field = label_selector(labels), field_selector(plural, fields)
    return lambda obj: by_label(obj) and by_field(obj)


def _requirements(text: str) -> Iterator[str]:
    """Split at commas outside parentheses."""
    for part in re.split(r",(?![^(]*\))", text):
        if part.strip():
            yield part.strip()


def _label_check(part: str) -> Predicate:
    if found := _SET.match(part):
        key, word, values = found.groups()
        wanted = {value.strip() for value in values.split(",")}
        if word == "in":
            return lambda labels: labels.get(key) in wanted
        return lambda labels: labels.get(key) not in wanted
    if found := _EQUAL.match(part):
        name, operator, value = found.groups()
        return lambda labels: (labels.get(name) == value) is (operator != "!=")
    if found := _EXISTS.match(part):
        absent, label = found.groups()
        return lambda labels: (label in labels) is not bool(absent)
    raise bad_request(f'unable to parse requirement: found "{part}", expected: a label selector such as app=web')


def _field_check(plural: str, part: str) -> Predicate:
    found = re.match(r"^([A-Za-z.]+)\s*(==|=|!=)(.*)$", part)
    if not found:
        raise bad_request(f'invalid selector: "{part}"; can\'t understand "{part}"')
    path, operator, value = found.groups()
    if path not in (*_EVERYWHERE, *_FIELDS.get(plural, ())):
        raise ApiError(400, "BadRequest", f'field label not supported: "{path}"')
    keys, value = path.split("."), value.strip()
    return lambda obj: (_text_at(obj, keys) == value) is (operator != "!=")


def _text_at(obj: Mapping[str, Any], keys: list[str]) -> str:
    """The selectable text of a field; an absent one is empty, as in the real API."""
    value: Any = obj
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    if isinstance(value, Mapping):  # events: `source` selects source.component
        value = value.get("component")
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
