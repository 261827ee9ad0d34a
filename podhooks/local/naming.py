"""What the API server says of ill-formed names in an object's metadata. Pure; the sentences are the server's own.

Source: https://github.com/kubernetes/apimachinery/blob/master/pkg/util/validation/validation.go
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Problem = tuple[str, str]
"""The field's path and the sentence."""

_PART = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = re.compile(rf"{_PART}(\.{_PART})*\Z")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]\Z")
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?\Z")
_RBAC_NAME = re.compile(r"[^/%]+\Z")
_STANDARD_FINALIZERS = ("foregroundDeletion", "orphan", "kubernetes")

SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_NAME_PART_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


def name_problem(plural: str, group: str, name: str) -> str:
    """Why `name` can't be the name of such an object; empty if it can."""
    longest = 63 if plural in ("namespaces", "jobs") else 253
    if len(name) > longest:
        return f"must be no more than {longest} characters"
    if group.startswith("rbac."):
        return "" if _RBAC_NAME.match(name) else "may not contain '/' or '%'"
    if plural == "namespaces" and "." in name:
        return "must not contain dots"
    return "" if _SUBDOMAIN.match(name) else SUBDOMAIN_RULE


def metadata_problems(metadata: Mapping[str, Any]) -> Iterator[Problem]:
    """Everything wrong with the keys and values of labels, annotations and finalizers."""
    for index, finalizer in enumerate(metadata.get("finalizers") or ()):
        if "/" not in str(finalizer) and finalizer not in _STANDARD_FINALIZERS:
            rule = "name is neither a standard finalizer name nor is it fully qualified"
            yield f"metadata.finalizers[{index}]", _invalid(finalizer, rule)
        elif rule := _key_problem(str(finalizer)):
            yield "metadata.finalizers", _invalid(finalizer, rule)
    for key, value in (metadata.get("labels") or {}).items():
        if rule := _key_problem(key):
            yield "metadata.labels", _invalid(key, rule)
        if not _LABEL_VALUE.match(str(value)) or len(str(value)) > 63:
            yield "metadata.labels", _invalid(value, _VALUE_RULE)
    for key in metadata.get("annotations") or {}:
        if rule := _key_problem(key.lower()):
            yield "metadata.annotations", _invalid(key, rule)


def _key_problem(key: str) -> str:
    prefix, slash, name = key.rpartition("/")
    if slash and (not _SUBDOMAIN.match(prefix) or len(prefix) > 253):
        return f"prefix part {SUBDOMAIN_RULE}"
    return "" if _QUALIFIED.match(name) and len(name) <= 63 else _NAME_PART_RULE


def _invalid(value: object, rule: str) -> str:
    return f'Invalid value: "{value}": {rule}'
