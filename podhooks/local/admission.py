"""Writes that a real API server refuses although they are well-formed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podhooks.local.messages import Request
from podhooks.local.problems import invalid
from podhooks.local.resources import Json, ResourceType, clone

_POD_FIELDS = ("activeDeadlineSeconds", "terminationGracePeriodSeconds", "tolerations")
_POD_RULE = (
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def check_update(kind: ResourceType, old: Json, new: Json) -> None:
    """A pod's containers and a job's template can't be changed once they exist. ApiError 422."""
    name = old["metadata"]["name"]
    if kind.plural == "pods" and _fixed(old) != _fixed(new):
        raise invalid(kind.plural, name, "spec", _POD_RULE)
    if kind.plural == "jobs" and _spec(old).get("template") != _spec(new).get("template"):
        raise invalid(kind.plural, name, "spec.template", "Invalid value: field is immutable")


def check_fields(request: Request, kind: ResourceType, obj: Mapping[str, Any]) -> None:
    """Refuse unknown fields where the client asks for it."""


def _spec(obj: Mapping[str, Any]) -> Json:
    spec: Json = obj.get("spec") or {}
    return spec


def _fixed(pod: Json) -> Json:
    """The part of a pod's spec that no update may change."""
    spec: Json = clone({key: value for key, value in _spec(pod).items() if key not in _POD_FIELDS})
    for container in (spec.get("containers") or []) + (spec.get("initContainers") or []):
        container.pop("image", None)
    return spec
