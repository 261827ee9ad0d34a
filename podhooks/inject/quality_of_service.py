"""The pod's quality of service, and what it requests as a whole, before and after our containers came. Pure.

The rules are Kubernetes': ComputePodQOS (pkg/apis/core/v1/helper/qos) and defaultPodRequests (pkg/apis/core/v1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from podhooks import contract
from podhooks.annotations.finding import Finding, Severity
from podhooks.inject.case import Case
from podhooks.inject.shapes import Json
from podhooks.pod.object import mapping

GUARANTEED = ("cpu", "memory")
CODES = {"loses-guaranteed-qos": Severity.WARNING, "pod-requests-become-ours": Severity.WARNING}


def findings(case: Case) -> Iterator[Finding]:
    if isinstance(case.spec.get("resources"), Mapping):
        yield from _of_the_pod(case)
    elif case.resources["requests"] != case.resources["limits"] and all(map(_guaranteed, _all(case))):
        problem = (
            "the pod's QoS class is Guaranteed and becomes Burstable, because our containers request less than their "
            f"limits: set {contract.RESOURCES} with equal requests and limits to keep it"
        )
        yield _finding("loses-guaranteed-qos", contract.RESOURCES, problem)


def _of_the_pod(case: Case) -> Iterator[Finding]:
    """A limit of the pod is its request, too, as long as no container requests that resource; ours do."""
    resources = mapping(case.spec["resources"])
    requests, limits = mapping(resources.get("requests")), mapping(resources.get("limits"))
    asked = {name for one in _all(case) for name in _amounts(one)}
    ours = [
        name for name in limits if name not in requests and name not in asked and name in case.resources["requests"]
    ]
    equal = all(name in limits and _pod_request(name, requests, limits, asked) == limits[name] for name in GUARANTEED)
    lost = " and the pod's QoS class is no longer Guaranteed" if equal else ""
    for name in ours:
        problem = (
            f"the pod's request of {name} is its limit, {limits[name]}, because no container requests any; ours do, so "
            f"the API server would take their sum instead{lost}: write requests.{name}: {limits[name]} beside the limit"
        )
        code = "loses-guaranteed-qos" if equal and name in GUARANTEED else "pod-requests-become-ours"
        yield _finding(code, f"spec.resources.limits.{name}", problem)


def _pod_request(name: str, requests: Mapping[str, Json], limits: Mapping[str, Json], asked: set[str]) -> Json:
    return requests[name] if name in requests else None if name in asked else limits.get(name)


def _all(case: Case) -> list[Mapping[str, Json]]:
    return case.containers + case.init_containers


def _amounts(container: Mapping[str, Json]) -> Iterator[str]:
    """A container's limit is its request, where that has none."""
    resources = mapping(container.get("resources"))
    yield from mapping(resources.get("requests"))
    yield from mapping(resources.get("limits"))


def _guaranteed(container: Mapping[str, Json]) -> bool:
    resources = mapping(container.get("resources"))
    requests, limits = mapping(resources.get("requests")), mapping(resources.get("limits"))
    return all(name in limits and requests.get(name, limits[name]) == limits[name] for name in GUARANTEED)


def _finding(code: str, where: str, message: str) -> Finding:
    return Finding(code, CODES[code], where, message)
