"""How much of a node a pod takes, as the scheduler counts it. Pure: pod objects in, quantities out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from podhooks.annotations.quantities import quantity

if TYPE_CHECKING:
    from podhooks.context import Json

Amounts = Mapping[str, Fraction]
OF_PODS = ("cpu", "memory")  # and huge pages: what a pod's own `resources` may ask for all of its containers together


def is_over(pod: Mapping[str, Json]) -> bool:
    """Finished pods hold nothing, though their objects are still there."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def requested(pod: Mapping[str, Json]) -> Amounts:
    """Sum of the containers and native sidecars, or an init container with the sidecars before it if that is more,
    or what the pod as a whole asks for; its overhead on top; and itself, one of the node's `pods`."""
    spec, given = pod.get("spec") or {}, granted(pod.get("status") or {})
    sidecars: Amounts = {}
    starting: Amounts = {}
    for container in spec.get("initContainers") or ():
        asks = of_container(container, given)
        if container.get("restartPolicy") == "Always":
            sidecars = add(sidecars, asks)
            starting = largest(starting, sidecars)
        else:
            starting = largest(starting, add(sidecars, asks))
    running = total(of_container(container, given) for container in spec.get("containers") or ())
    whole = {name: value for name, value in amounts(spec, "resources").items() if _is_of_pods(name)}
    asked = {**largest(add(running, sidecars), starting), **whole}
    return add(add(asked, quantities(spec.get("overhead") or {})), {"pods": Fraction(1)})


def of_container(container: Mapping[str, Json], given: Mapping[str, Amounts]) -> Amounts:
    """While a container is resized in place it holds the larger: what it asks for, or what it still has."""
    return largest(amounts(container, "resources"), given.get(container.get("name") or "", {}))


def granted(status: Mapping[str, Json]) -> dict[str, Amounts]:
    """By container, what the kubelet says that it has."""
    found: dict[str, Amounts] = {}
    for kind in ("initContainerStatuses", "containerStatuses"):
        for each in status.get(kind) or ():
            allocated = quantities(each.get("allocatedResources") or {})
            found[each.get("name") or ""] = largest(allocated, amounts(each, "resources"))
    return found


def amounts(holder: Mapping[str, Json], name: str) -> dict[str, Fraction]:
    return quantities((holder.get(name) or {}).get("requests") or {})


def quantities(given: Mapping[str, Json]) -> dict[str, Fraction]:
    return {name: quantity(value) for name, value in given.items()}


def add(left: Amounts, right: Amounts) -> dict[str, Fraction]:
    return _merge(left, right, sum)


def largest(left: Amounts, right: Amounts) -> dict[str, Fraction]:
    return _merge(left, right, max)


def subtract(left: Amounts, right: Amounts) -> dict[str, Fraction]:
    """What is left, nothing below zero: a node may have promised more than it has."""
    return {name: max(Fraction(0), value - right.get(name, Fraction(0))) for name, value in left.items()}


def total(parts: Iterable[Amounts]) -> dict[str, Fraction]:
    found: dict[str, Fraction] = {}
    for part in parts:
        found = add(found, part)
    return found


def fits(available: Amounts, worker: Amounts) -> int:
    """How many workers that each ask for `worker` still find room."""
    limits = [available.get(name, Fraction(0)) // value for name, value in worker.items() if value > 0]
    return int(min(limits, default=Fraction(0)))


def _merge(left: Amounts, right: Amounts, both: Callable[[Sequence[Fraction]], Fraction | int]) -> dict[str, Fraction]:
    none = Fraction(0)
    return {
        name: Fraction(both((left.get(name, none), right.get(name, none)))) for name in dict.fromkeys((*left, *right))
    }


def _is_of_pods(name: str) -> bool:
    return name in OF_PODS or name.startswith("hugepages-")
