"""Resources of a pod as a whole (`spec.resources`, Kubernetes 1.34): ours count among them, and must fit in. Pure.

The rules are the API server's, which refuses a pod that breaks them, whoever made it so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction

from podhooks import contract
from podhooks.annotations.finding import Finding, Severity
from podhooks.annotations.plan import Mode
from podhooks.annotations.quantities import quantity
from podhooks.inject.case import Case
from podhooks.inject.container_resources import is_quantity
from podhooks.inject.shapes import Json
from podhooks.pod.object import mapping

CODE = "pod-resources-too-small"
NO_BOUND = Fraction(10) ** 30  # what can't be read is for the API server to refuse


def too_small(case: Case) -> Iterator[Finding]:
    """What containers request at once isn't more than the pod does, nor is a container's limit above the pod's.

    The author's ordinary init containers aren't looked at, but for those that on-exit runs beside: the others run
    before anything that is added up here.
    """
    resources = mapping(case.spec.get("resources"))
    requests, limits = mapping(resources.get("requests")), mapping(resources.get("limits"))
    ours = case.resources
    for name, amount in {**limits, **requests}.items():
        if name in ours["requests"] and _requested(case, name, ours) > _number(amount, otherwise=NO_BOUND):
            where = f"requests.{name}" if name in requests else f"limits.{name}"
            yield _finding(where, f"is {amount} for the whole pod, and its containers request more together with ours")
    for name, amount in limits.items() if case.plan.on_exit and case.plan.mode is Mode.CLASSIC else ():
        if name in ours["limits"] and _number(ours["limits"][name]) > _number(amount, otherwise=NO_BOUND):
            yield _finding(f"limits.{name}", f"is {amount} for the whole pod, and on-exit's own is above it")


def _finding(where: str, problem: str) -> Finding:
    message = f"{problem}: raise it, or lower that in {contract.RESOURCES}"
    return Finding(CODE, Severity.ERROR, f"spec.resources.{where}", message)


def _requested(case: Case, name: str, ours: Mapping[str, Mapping[str, Json]]) -> Fraction:
    """At once, at the most: while on-start runs, or later. Native sidecars run beside either."""
    each = _number(ours["requests"][name])
    at_start = each * 2 if case.plan.on_exit and case.plan.mode is Mode.NATIVE else each
    later = _sum(case.containers, name) + (each if case.plan.exits_in_pod else 0)
    sidecars = [one for one in case.init_containers if one.get("restartPolicy") == "Always"]
    beside = [each + _sum([one], name) for one in case.behind_on_exit]
    return max(at_start, later, *beside) + _sum(sidecars, name)


def _sum(these: list[Mapping[str, Json]], name: str) -> Fraction:
    """A limit without a request is one."""
    total = Fraction(0)
    for one in these:
        resources = mapping(one.get("resources"))
        total += _number({**mapping(resources.get("limits")), **mapping(resources.get("requests"))}.get(name))
    return total


def _number(amount: Json, otherwise: Fraction = Fraction(0)) -> Fraction:
    return quantity(amount) if is_quantity(amount) else otherwise
