"""The three kinds of PATCH that clients send: JSON patch, merge patch, strategic merge patch. Pure.

`kubectl apply`, `annotate` and `label` send strategic merge patches: lists of named things (containers, volumes, env)
are merged by name, all other lists are replaced. The merge keys are looked up by the list's own name, which is enough
for everything that pods and jobs contain.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from podhooks.kinds.resources import Json, clone
from podhooks.local.problems import ApiError, bad_request

MERGE_KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "ports": ("containerPort", "port"),
    "conditions": ("type",),
    "hostAliases": ("ip",),
    "imagePullSecrets": ("name",),
    "ownerReferences": ("uid",),
    "topologySpreadConstraints": ("topologyKey",),
    "resourceClaims": ("name",),
    "schedulingGates": ("name",),
    "podIPs": ("ip",),
    "hostIPs": ("ip",),
    "secrets": ("name",),
}
_SETS = ("finalizers",)  # lists of plain values that are merged, not replaced
_ORDER, _DELETE_PLAIN, _RETAIN = "$setElementOrder/", "$deleteFromPrimitiveList/", "$retainKeys"


def apply_patch(content_type: str, obj: Json, body: bytes) -> Json:
    """A patched copy of `obj`. ApiError 400 for a malformed patch, 415 for a kind of patch that isn't supported."""
    kind = check_patch_type(content_type)
    try:
        patch = json.loads(body)
    except ValueError as error:
        raise bad_request(f"error decoding patch: {error}") from error
    patched: Json = _APPLY[kind](clone(obj), patch)
    if not isinstance(patched, dict):
        raise bad_request("the patch does not leave an object")
    return patched


def check_patch_type(content_type: str) -> str:
    """The media type without its parameters. ApiError 415 for a kind of patch that isn't supported."""
    kind = content_type.partition(";")[0].strip()
    if kind not in _APPLY:
        raise ApiError(415, "UnsupportedMediaType", _unsupported(kind))
    return kind


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396: null removes, objects merge, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def strategic_merge(target: Any, patch: Any) -> Any:
    """Kubernetes' own merge: like a merge patch, but named lists are merged element by element."""
    if not isinstance(patch, dict):
        return patch
    if patch.get("$patch") == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    if patch.get("$patch") == "delete":
        return {}
    merged = dict(target) if isinstance(target, dict) else {}
    if _RETAIN in patch:
        merged = {key: value for key, value in merged.items() if key in patch[_RETAIN]}
    for key, value in patch.items():
        _merge_field(merged, key, value)
    for key, value in patch.items():
        if key.startswith(_ORDER):
            _reorder(merged, key[len(_ORDER) :], value)
    return merged


def _merge_field(merged: Json, key: str, value: Any) -> None:
    if key.startswith(_DELETE_PLAIN):
        name = key[len(_DELETE_PLAIN) :]
        merged[name] = [item for item in merged.get(name) or [] if item not in value]
    elif key.startswith("$"):
        return
    elif value is None:
        merged.pop(key, None)
    elif isinstance(value, list):
        merged[key] = _merge_list(key, merged.get(key) or [], value)
    else:
        merged[key] = strategic_merge(merged.get(key), value)


def _merge_list(name: str, target: list[Any], patch: list[Any]) -> list[Any]:
    if name in _SETS:
        return [*target, *(item for item in patch if item not in target)]
    if any(isinstance(item, dict) and item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if "$patch" not in item]
    key = _merge_key(name, [*target, *patch])
    if key is None:
        return patch
    merged = list(target)
    for item in patch:
        at = next((i for i, old in enumerate(merged) if old.get(key) == item.get(key)), None)
        if item.get("$patch") == "delete":
            merged = [old for old in merged if old.get(key) != item.get(key)]
        elif at is None:
            merged.append(strategic_merge({}, item))
        else:
            merged[at] = strategic_merge(merged[at], item)
    return merged


def _merge_key(name: str, items: list[Any]) -> str | None:
    if not all(isinstance(item, dict) for item in items):
        return None
    return next((key for key in MERGE_KEYS.get(name, ()) if all(key in item for item in items)), None)


def _reorder(merged: Json, name: str, order: list[Any]) -> None:
    """Put the elements that the patch names into its order; the others keep their places after them."""
    items = merged.get(name)
    if not isinstance(items, list) or not items:
        return
    key = _merge_key(name, [*items, *order])

    def place(item: Any) -> int:
        wanted = [o.get(key) for o in order] if key else order
        value = item.get(key) if key else item
        return wanted.index(value) if value in wanted else len(wanted)

    merged[name] = sorted(items, key=place)


# -- JSON patch, RFC 6902


def json_patch(target: Json, patch: Any) -> Any:
    """Apply a list of operations in order. ApiError 422 for one that doesn't fit the object."""
    if not isinstance(patch, list):
        raise bad_request("a JSON patch is a list of operations")
    document: Any = {"": target}  # so that the root, too, is a member of something
    for operation in patch:
        _try_operation(document, operation)
    return document[""]


def _try_operation(document: Json, operation: Json) -> None:
    try:
        _operate(document, operation)
    except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
        message = f"the server rejected our request due to an error in our request: {operation}: {error}"
        raise ApiError(422, "Invalid", message) from error


def _operate(document: Json, operation: Json) -> None:
    name, path = operation["op"], operation["path"]
    if name in ("move", "copy"):
        parent, key = _locate(document, operation["from"])
        value = clone(parent[key])
        if name == "move":
            del parent[key]
        _put(*_locate(document, path), value)
    elif name == "test":
        parent, key = _locate(document, path)
        if parent[key] != operation.get("value"):
            raise ValueError(f"testing value {path} failed")
    elif name == "remove":
        parent, key = _locate(document, path)
        del parent[key]
    elif name == "replace":
        parent, key = _locate(document, path)
        parent[key]
        parent[key] = operation["value"]
    elif name == "add":
        _put(*_locate(document, path), operation["value"])
    else:
        raise ValueError(f"unknown operation {name!r}")


def _locate(document: Json, path: str) -> tuple[Any, Any]:
    """(container, key or index) of a JSON pointer."""
    if path and not path.startswith("/"):
        raise ValueError(f"the path {path!r} does not start with a slash")
    keys = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")]
    parent: Any = document
    for key in keys[:-1]:
        parent = parent[_index(parent, key)]
    return parent, _index(parent, keys[-1])


def _index(parent: Any, key: str) -> Any:
    if not isinstance(parent, list):
        return key
    return len(parent) if key == "-" else int(key)


def _put(parent: Any, key: Any, value: Any) -> None:
    if isinstance(parent, list):
        if not 0 <= key <= len(parent):
            raise IndexError(f"index {key} is outside the list")
        parent.insert(key, value)
    else:
        parent[key] = value


_APPLY: dict[str, Callable[[Json, Any], Any]] = {
    "application/json-patch+json": json_patch,
    "application/merge-patch+json": merge_patch,
    "application/strategic-merge-patch+json": strategic_merge,
}


def _unsupported(kind: str) -> str:
    if kind in ("application/apply-patch+yaml", "application/apply-patch+cbor"):
        return (
            "server-side apply is not supported by the embedded API server; use `kubectl apply` without --server-side"
        )
    accepted = ", ".join(_APPLY)
    return f"the body of the request was in an unknown format - accepted media types include: {accepted}; got {kind!r}"
