"""The resources of our containers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from podhooks.annotations.quantities import quantity
from podhooks.context import EMPTY
from podhooks.inject.shapes import Json
from podhooks.pod.object import mapping


def for_ours(given: Mapping[str, Json], defaults: Mapping[str, Json]) -> Mapping[str, Mapping[str, Json]]:
    """completed(), done once for all pods whose annotations say nothing of resources."""
    if given:
        return completed(given, defaults)
    key = tuple((part, tuple(mapping(defaults.get(part)).items())) for part in ("requests", "limits"))
    return _defaults_completed(key)


@lru_cache(maxsize=8)
def _defaults_completed(defaults: tuple[tuple[str, tuple[tuple[str, Json], ...]], ...]) -> Mapping[str, Json]:
    return completed(EMPTY, {part: dict(values) for part, values in defaults})


def completed(given: Mapping[str, Json], defaults: Mapping[str, Json]) -> dict[str, dict[str, Json]]:
    """Requests and limits, always both: those given, then the defaults, moved where they contradict what is given.

    A default limit below a given request is raised to it, a default request above a given limit lowered to it. A
    resource that has no default (`ephemeral-storage`) is limited to what is requested and the other way about, since
    extended resources must have both the same.
    """
    requests, limits = (dict(mapping(given.get(part))) for part in ("requests", "limits"))
    merged = {
        "requests": {**mapping(defaults.get("requests")), **requests},
        "limits": {**mapping(defaults.get("limits")), **limits},
    }
    for name in {**merged["requests"], **merged["limits"]}:
        request, limit = merged["requests"].get(name), merged["limits"].get(name)
        if request is None or (name not in requests and _above(request, limit)):
            merged["requests"][name] = limit
        elif limit is None or (name not in limits and _above(request, limit)):
            merged["limits"][name] = request
    return {part: {name: values[name] for name in values} for part, values in merged.items()}


def is_quantity(value: Json) -> bool:
    try:
        quantity(value)
    except ValueError:
        return False
    return True


def _above(left: Json, right: Json) -> bool:
    try:
        return quantity(left) > quantity(right)
    except ValueError:  # told elsewhere
        return False
