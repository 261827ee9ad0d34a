"""Kubernetes quantities (`100m`, `1.5Gi`, `2e3`), and the resources of our containers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from podhooks.inject.shapes import Json
from podhooks.podobject import mapping

_SUFFIXES: Mapping[str, Decimal] = {
    "": Decimal(1),
    **{
        suffix: Decimal(10) ** power
        for suffix, power in zip("numkMGTPE", (-9, -6, -3, 3, 6, 9, 12, 15, 18), strict=True)
    },
    **{suffix + "i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", 1)},
}
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d{1,2})|([numkMGTPE]|[KMGTPE]i)?)")


def parse_quantity(value: Json) -> Decimal | None:
    """The number that a quantity stands for; None for anything that isn't one."""
    match = _QUANTITY.fullmatch(str(value)) if isinstance(value, (str, int, float)) else None
    if match is None or isinstance(value, bool):
        return None
    return Decimal(match[1]) * (Decimal(10) ** int(match[2]) if match[2] else _SUFFIXES[match[3] or ""])


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


def _above(left: Json, right: Json) -> bool:
    one, other = parse_quantity(left), parse_quantity(right)
    return one is not None and other is not None and one > other
