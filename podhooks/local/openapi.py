"""The least OpenAPI that kubectl needs: which writes take `fieldValidation`, so that it leaves checking to the server.

There are no field descriptions: `kubectl explain` is told so.
"""

from __future__ import annotations

from podhooks.local.resources import RESOURCES, Json, ResourceType

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
        "components": {"schemas": {_schema_name(row): _schema(row) for row in rows}},
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


def _schema_name(row: ResourceType) -> str:
    return f"io.podhooks.local.{row.group or 'core'}.{row.version}.{row.kind}"


def _schema(row: ResourceType) -> Json:
    return {"type": "object", "description": _NO_FIELDS, "x-kubernetes-group-version-kind": [_kind(row)]}
