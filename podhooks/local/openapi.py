"""The least OpenAPI that kubectl needs: which writes take `fieldValidation`, so that it leaves checking to the server.

The schemas list fields and their types, without descriptions, for `kubectl explain`.
"""

from __future__ import annotations

from podhooks.kinds.resources import RESOURCES, Json, ResourceType
from podhooks.local.fieldtable import fields

_QUERY_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation")
_NO_FIELDS = (
    "The embedded API server of podhooks keeps no descriptions of fields; "
    "see https://kubernetes.io/docs/reference/kubernetes-api/ for them."
)


def document(path: str, prefix: str = "") -> Json | None:
    """/openapi/v3 lists the group versions, /openapi/v3/apis/GROUP/VERSION describes one. `prefix`: see Request."""
    if path == "/openapi/v3":
        return {"paths": {root[1:]: {"serverRelativeURL": f"{prefix}/openapi/v3{root}"} for root in _roots()}}
    root = path[len("/openapi/v3") :]
    return _group_version(root) if path.startswith("/openapi/v3/") and root in _roots() else None


def _roots() -> list[str]:
    return sorted({row.root for row in RESOURCES.values()})


def _group_version(root: str) -> Json:
    rows = [row for row in RESOURCES.values() if row.root == root]
    return {
        "openapi": "3.0.0",
        "info": {"title": "podhooks embedded API server", "version": "v1"},
        "paths": {_path(row): {"patch": _patch(row), "get": _get(row)} for row in rows},
        "components": {"schemas": {**_types(), **{row.kind: _schema(row) for row in rows}}},
    }


def _path(row: ResourceType) -> str:
    return (
        f"{row.root}/namespaces/{{namespace}}/{row.plural}/{{name}}"
        if row.namespaced
        else f"{row.root}/{row.plural}/{{name}}"
    )


def _kind(row: ResourceType) -> Json:
    return {"group": row.group, "version": row.version, "kind": row.kind}


def _get(row: ResourceType) -> Json:
    return {"x-kubernetes-action": "get", "x-kubernetes-group-version-kind": _kind(row), "responses": {}}


def _patch(row: ResourceType) -> Json:
    parameters = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in _QUERY_PARAMETERS]
    return {
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": _kind(row),
        "parameters": parameters,
        "responses": {},
    }


def _schema(row: ResourceType) -> Json:
    return {**_type(row.kind), "description": _NO_FIELDS, "x-kubernetes-group-version-kind": [_kind(row)]}


def _types() -> Json:
    return {name: _type(name) for name in fields()}


def _type(name: str) -> Json:
    members = fields().get(name, {})
    return {"type": "object", "properties": {field: _value(kind) for field, kind in members.items()}}


def _value(kind: str) -> Json:
    """JSON schema of one type in the notation of the field table."""
    if kind.startswith("["):
        return {"type": "array", "items": _value(kind[1:-1])}
    if kind.startswith("{"):
        return {"type": "object", "additionalProperties": _value(kind[1:-1])}
    if kind in fields():
        return {"allOf": [{"$ref": f"#/components/schemas/{kind}"}]}
    return {"type": {"i": "integer", "b": "boolean", "*": "object"}.get(kind, "string")}
