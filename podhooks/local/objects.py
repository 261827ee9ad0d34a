"""Rules for one object: names, what a new one is stamped with, what a write may change. Pure, no I/O, no clock."""

from __future__ import annotations

import base64
import random
from collections.abc import Mapping
from typing import Any

from podhooks.kinds.resources import Json, ResourceType, by_kind, clone
from podhooks.local.naming import metadata_problems, name_problem
from podhooks.local.problems import bad_request, conflict, invalid

JOB_TRACKING = "batch.kubernetes.io/job-tracking"
FOREGROUND = "foregroundDeletion"
KEEPS_STATUS = ("nodes", "namespaces")
"""Kinds that are written together with their status by those who create them."""

Key = tuple[str, str, str]
"""Plural, namespace (empty for kinds without), name."""

_NAME_CHARACTERS = "bcdfghjklmnpqrstvwxz2456789"  # the API server's: no vowels, no words by accident
_NEVER_GIVEN = ("deletionTimestamp", "deletionGracePeriodSeconds", "managedFields", "selfLink", "generation")
_NEVER_CHANGED = ("name", "namespace", "generateName", "uid", "creationTimestamp", *_NEVER_GIVEN[:2], "generation")


def settle_name(kind: ResourceType, obj: Json) -> Key:
    """Give a new object its name and namespace. ApiError 422 for a name that the API refuses."""
    meta = obj.setdefault("metadata", {})
    if not meta.get("name") and (base := meta.get("generateName")):
        meta["name"] = str(base)[:58] + "".join(random.choices(_NAME_CHARACTERS, k=5))  # noqa: S311 (no secret)
    name = meta.get("name")
    if not name or not isinstance(name, str):
        raise invalid(kind.plural, "", "metadata.name", "Required value: name or generateName is required")
    if rule := name_problem(kind.plural, kind.group, name):
        raise invalid(kind.plural, name, "metadata.name", f'Invalid value: "{name}": {rule}')
    check_metadata(kind.plural, meta)
    if not kind.namespaced:
        meta.pop("namespace", None)
        return (kind.plural, "", name)
    meta["namespace"] = meta.get("namespace") or "default"
    return (kind.plural, meta["namespace"], name)


def check_metadata(plural: str, metadata: Mapping[str, Any]) -> None:
    """ApiError 422 for keys and values of labels, annotations and finalizers that the API refuses."""
    for field, sentence in metadata_problems(metadata):
        raise invalid(plural, str(metadata.get("name", "")), field, sentence)


def check_finalizers(plural: str, old: Json, new: Json) -> None:
    """An object that is being deleted gets no new finalizers: ApiError 422."""
    held = old["metadata"].get("finalizers") or ()
    added = [each for each in new["metadata"].get("finalizers") or () if each not in held]
    if added and "deletionTimestamp" in old["metadata"]:
        names = ", ".join(f'"{each}"' for each in added)
        why = (
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{"
            + names
            + "}"
        )
        raise invalid(
            plural, old["metadata"]["name"], "metadata.finalizers", f"Forbidden: {why}", "FieldValueForbidden"
        )


def stamp(kind: ResourceType, obj: Json, uid: str, created: str) -> None:
    """What the server alone decides about a new object."""
    meta = {k: v for k, v in obj["metadata"].items() if k not in _NEVER_GIVEN and not _is_empty(v)}
    obj["metadata"] = {**meta, "uid": uid, "creationTimestamp": created}
    if kind.generation:
        obj["metadata"]["generation"] = 1
    if "status" in kind.subresources and kind.plural not in KEEPS_STATUS:
        obj.pop("status", None)
    if kind.plural == "namespaces":
        obj["spec"], obj["status"] = {"finalizers": ["kubernetes"]}, {"phase": "Active"}
        obj["metadata"]["labels"] = {**meta.get("labels", {}), "kubernetes.io/metadata.name": meta["name"]}
    obj["kind"], obj["apiVersion"] = kind.kind, kind.api_version


def check_unchanged(plural: str, old: Json, given: Mapping[str, Any]) -> None:
    """Optimistic concurrency: a writer that names a version or uid must name the stored one."""
    stored = old["metadata"]
    if (given.get("uid") or stored["uid"]) != stored["uid"]:
        raise conflict(plural, stored["name"], f"Precondition failed: UID in record is {stored['uid']}")
    if (given.get("resourceVersion") or stored["resourceVersion"]) != stored["resourceVersion"]:
        raise conflict(plural, stored["name"])


def merged(kind: ResourceType, old: Json, given: Json, subresource: str) -> Json:
    """The stored object after a write of `given` through one door: what that door may not change stays."""
    if subresource == "status":
        return {**copy(old), "status": given.get("status") or {}}
    new = {**given, "kind": old["kind"], "apiVersion": old["apiVersion"]}
    stored, wanted = old["metadata"], given.get("metadata") or {}
    kept = {field: stored[field] for field in (*_NEVER_CHANGED, "resourceVersion") if field in stored}
    never = {*_NEVER_CHANGED, "resourceVersion", "managedFields", "selfLink"}
    new["metadata"] = {**kept, **{k: v for k, v in wanted.items() if k not in never and not _is_empty(v)}}
    if subresource == "" and "status" in kind.subresources:
        new.pop("status", None)
        if "status" in old:
            new["status"] = clone(old["status"])
    return new


def fold_string_data(secret: Json) -> None:
    """`stringData` is write-only: the API stores it, encoded, in `data`."""
    for key, text in (secret.pop("stringData", None) or {}).items():
        secret.setdefault("data", {})[key] = base64.b64encode(str(text).encode()).decode()


def type_of(obj: Mapping[str, Any]) -> ResourceType:
    """The row for a manifest. ApiError 400 for a kind that this server doesn't know."""
    kind = by_kind(str(obj.get("kind")), str(obj.get("apiVersion")))
    if kind is None:
        raise bad_request(f'no matches for kind "{obj.get("kind")}" in version "{obj.get("apiVersion")}"')
    return kind


def copy(obj: Json) -> Json:
    copied: Json = clone(obj)
    return copied


def key_of(kind: ResourceType, obj: Json) -> Key:
    return (kind.plural, obj["metadata"].get("namespace", "") if kind.namespaced else "", obj["metadata"]["name"])


def owners(obj: Json) -> list[Json]:
    """The owner references."""
    references: list[Json] = obj["metadata"].get("ownerReferences") or []
    return references


def add_finalizer(obj: Json, finalizer: str) -> None:
    held = obj["metadata"].setdefault("finalizers", [])
    if finalizer not in held:
        held.append(finalizer)


def drop_finalizer(obj: Json, finalizer: str) -> None:
    obj["metadata"]["finalizers"] = [held for held in obj["metadata"].get("finalizers", []) if held != finalizer]


def _is_empty(value: Any) -> bool:
    return value is None or value in ({}, [])
