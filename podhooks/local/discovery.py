"""What kubectl asks before it does anything: which kinds there are, under which paths, in which version."""

from __future__ import annotations

from typing import Any

from podhooks.kinds.resources import RESOURCES, Json, ResourceType

VERSION = "v1.36.0"
"""The API that this server imitates. The kubelet's facts were measured on 1.36."""

_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_SUBRESOURCE_VERBS = {
    "status": ["get", "patch", "update"],
    "log": ["get"],
    "eviction": ["create"],
    "binding": ["create"],
}
_SUBRESOURCE_KINDS = {"eviction": ("policy", "v1", "Eviction"), "binding": ("", "v1", "Binding")}


def version() -> Json:
    """GET /version."""
    major, minor, _ = VERSION.lstrip("v").split(".")
    return {
        "major": major,
        "minor": minor,
        "gitVersion": f"{VERSION}+podhooks",
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": "linux/amd64",
    }


def groups() -> list[str]:
    """Names of the API groups but the core one."""
    return sorted({row.group for row in RESOURCES.values() if row.group})


def document(path: str, *, aggregated: bool) -> Json | None:
    """The discovery document at a path, or None if there is none there."""
    if path == "/api":
        return _aggregate([""]) if aggregated else {"kind": "APIVersions", "versions": ["v1"], **_ADDRESSES}
    if path == "/apis":
        found = groups()
        if aggregated:
            return _aggregate(found)
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(name) for name in found]}
    if path.startswith("/apis/") and path.count("/") == 2 and (name := path[len("/apis/") :]) in groups():
        return {"kind": "APIGroup", "apiVersion": "v1", **_group(name)}
    rows = [row for row in RESOURCES.values() if row.root == path]
    return _resource_list(rows) if rows else None


_ADDRESSES: Json = {"serverAddressByClientCIDRs": []}


def _group(name: str) -> Json:
    version = {"groupVersion": f"{name}/v1", "version": "v1"}
    return {"name": name, "versions": [version], "preferredVersion": version}


def _resource_list(rows: list[ResourceType]) -> Json:
    resources: list[Json] = []
    for row in rows:
        resources.append(_resource(row))
        resources.extend(_subresource(row, name) for name in row.subresources)
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": rows[0].api_version,
        "resources": resources,
    }


def _resource(row: ResourceType) -> Json:
    return {
        "name": row.plural,
        "singularName": row.singular,
        "namespaced": row.namespaced,
        "kind": row.kind,
        "verbs": list(_VERBS),
        **({"shortNames": list(row.short_names)} if row.short_names else {}),
        **({"categories": ["all"]} if row.plural in _IN_ALL else {}),
    }


_IN_ALL = ("pods", "services", "jobs", "cronjobs", "deployments", "statefulsets", "replicasets", "daemonsets")


def _subresource(row: ResourceType, name: str) -> Json:
    _, _, kind = _SUBRESOURCE_KINDS.get(name, ("", "", row.kind))
    return {
        "name": f"{row.plural}/{name}",
        "singularName": "",
        "namespaced": row.namespaced,
        "kind": kind,
        "verbs": _SUBRESOURCE_VERBS[name],
    }


def _aggregate(names: list[str]) -> Json:
    """apidiscovery.k8s.io/v2: everything in one answer instead of one request per group."""
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [_aggregate_group(name) for name in names],
    }


def _aggregate_group(name: str) -> Json:
    rows = [row for row in RESOURCES.values() if row.group == name]
    resources = [_aggregate_resource(row) for row in rows]
    meta: Json = {"name": name} if name else {}
    return {"metadata": meta, "versions": [{"version": "v1", "resources": resources, "freshness": "Current"}]}


def _aggregate_resource(row: ResourceType) -> Json:
    resource = _resource(row)
    return {
        "resource": row.plural,
        "responseKind": _response_kind(row.group, row.version, row.kind),
        "scope": "Namespaced" if row.namespaced else "Cluster",
        "singularResource": row.singular,
        "verbs": resource["verbs"],
        **{key: resource[key] for key in ("shortNames", "categories") if key in resource},
        "subresources": [_aggregate_subresource(row, name) for name in row.subresources],
    }


def _aggregate_subresource(row: ResourceType, name: str) -> dict[str, Any]:
    group, version, kind = _SUBRESOURCE_KINDS.get(name, (row.group, row.version, row.kind))
    return {
        "subresource": name,
        "responseKind": _response_kind(group, version, kind),
        "verbs": _SUBRESOURCE_VERBS[name],
    }


def _response_kind(group: str, version: str, kind: str) -> Json:
    return {"group": group, "version": version, "kind": kind}
