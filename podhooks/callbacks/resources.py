"""Collects what the cluster has left, so that main can decide how many workers of which size to start."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from fractions import Fraction
from typing import TYPE_CHECKING
from urllib.parse import quote

from podhooks.callbacks.api import Api, Grant
from podhooks.callbacks.budget import Budget
from podhooks.callbacks.pod_requests import Amounts, add, fits, is_over, quantities, requested, subtract, total
from podhooks.context import RunContext, format_time
from podhooks.errors import CallbackError, InputError

if TYPE_CHECKING:
    from podhooks.context import Json

SCHEMA = "podhooks.io/resources/v1"
QUOTA_INSTEAD = (
    ". Where nobody may give you that, `scope: namespace` takes the namespace's ResourceQuota instead of the nodes"
)
CLUSTER_GRANT = Grant("podhooks-resources", "list", "nodes,pods", cluster_wide=True, otherwise=QUOTA_INSTEAD)
QUOTA_GRANT = Grant("podhooks-quota", "list", "resourcequotas")
KEEPS_OUT = ("NoSchedule", "NoExecute")
NOT_FINISHED = "status.phase!=Succeeded,status.phase!=Failed"


def collect_available(
    context: RunContext,
    selector: str = "",
    path: str = "resources.json",
    *,
    scope: str = "cluster",
    tolerate: Sequence[str] = (),
    worker: Mapping[str, Json] | None = None,
) -> None:
    """Write what is allocatable, requested and available as JSON to `path` (relative: in the shared directory)."""
    if scope not in ("cluster", "namespace"):
        raise InputError(f"scope: {scope!r} is unknown: write cluster or namespace")
    if scope == "namespace" and selector:
        raise InputError("selector: a ResourceQuota knows nothing of nodes; take out `selector`, or `scope: namespace`")
    size = worker_size(worker or {})
    grant = CLUSTER_GRANT if scope == "cluster" else QUOTA_GRANT
    with Api.in_cluster(grant, Budget.of(context)) as api:
        found = of_cluster(api, selector, tolerate, size) if scope == "cluster" else of_namespace(api, size)
    collected_at = format_time(datetime.now(timezone.utc).replace(microsecond=0))
    document = {"schema": SCHEMA, "collected_at": collected_at, "scope": scope, "selector": selector, **found}
    target = os.path.join(context.shared, path)
    write(target, document)
    free = ", ".join(f"{name} {value}" for name, value in found["total"]["available"].items())
    print(f"available: {free or 'nothing'}; written to {target}")


def worker_size(worker: Mapping[str, Json]) -> Amounts:
    try:
        return quantities(worker)
    except ValueError as error:
        raise InputError(f"worker: {error}") from error


# -- the nodes


def of_cluster(api: Api, selector: str, tolerate: Sequence[str], size: Amounts) -> dict[str, Json]:
    nodes = {each["metadata"]["name"]: each for each in api.items("/api/v1/nodes", labelSelector=selector)}
    taken: dict[str, Amounts] = {name: {} for name in nodes}
    pending: Amounts = {}
    for pod in api.items("/api/v1/pods", fieldSelector=NOT_FINISHED):
        name = (pod.get("spec") or {}).get("nodeName")
        if is_over(pod):
            continue
        if not name:
            pending = add(pending, requested(pod))
        elif name in nodes:
            taken[name] = add(taken[name], requested(pod))
    return report(nodes, taken, tolerate, size) | {"pending": numbers(pending)}


def report(
    nodes: Mapping[str, Json], taken: Mapping[str, Amounts], tolerate: Sequence[str], size: Amounts
) -> dict[str, Json]:
    """Nodes in the order of their names; in the total only those that take new pods."""
    lines, usable, workers = [], [], 0
    for name in sorted(nodes):
        reasons = why_not(nodes[name], tolerate)
        allocatable = quantities((nodes[name].get("status") or {}).get("allocatable") or {})
        free = subtract(allocatable, taken[name])
        count = fits(free, size) if not reasons else 0
        line = {"name": name, "usable": not reasons, "why_not": reasons, **balance(allocatable, taken[name], free)}
        lines.append(line | ({"workers": count} if size else {}))
        if not reasons:
            usable.append((allocatable, taken[name], free))
            workers += count
    sums = balance(*(total(each[part] for each in usable) for part in range(3)))
    return {"total": sums | {"nodes": len(usable)} | ({"workers": workers} if size else {}), "nodes": lines}


def why_not(node: Mapping[str, Json], tolerate: Sequence[str]) -> list[str]:
    """What keeps new pods from a node; empty for one that takes them. `tolerate` names taints that workers tolerate."""
    spec, conditions = node.get("spec") or {}, (node.get("status") or {}).get("conditions") or ()
    reasons = ["unschedulable"] if spec.get("unschedulable") else []
    if not any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions):
        reasons.append("not ready")
    for taint in spec.get("taints") or ():
        if taint.get("effect") in KEEPS_OUT and taint.get("key") not in tolerate:
            value = f"={taint['value']}" if taint.get("value") else ""
            reasons.append(f"taint {taint.get('key')}{value}:{taint['effect']}")
    return reasons


# -- the namespace's quota


def of_namespace(api: Api, size: Amounts) -> dict[str, Json]:
    namespace = api.login.namespace
    quotas = list(api.items(f"/api/v1/namespaces/{quote(namespace)}/resourcequotas"))
    limits = tightest([each for each in quotas if not is_scoped(each)])
    if not limits:
        raise CallbackError(f"namespace {namespace} has no ResourceQuota of requests: nothing says what is left for it")
    hard, used, free = ({name: each[part] for name, each in limits.items()} for part in range(3))
    count = {"workers": fits(free, size)} if size else {}
    return {"total": balance(hard, used, free) | count, "nodes": [], "pending": {}}


def is_scoped(quota: Mapping[str, Json]) -> bool:
    """For some pods only (a priority class, best effort): nobody knows here whether workers are among them."""
    spec = quota.get("spec") or {}
    return bool(spec.get("scopes") or spec.get("scopeSelector"))


def tightest(quotas: Sequence[Mapping[str, Json]]) -> dict[str, tuple[Fraction, Fraction, Fraction]]:
    """By resource: hard, used and free, of the quota that leaves least."""
    found: dict[str, tuple[Fraction, Fraction, Fraction]] = {}
    for quota in quotas:
        status = quota.get("status") or {}
        hard, used = quantities(status.get("hard") or {}), quantities(status.get("used") or {})
        free = subtract(hard, used)
        for limit in hard:
            name = resource_of(limit)
            if name and (name not in found or free[limit] < found[name][2]):
                found[name] = (hard[limit], used.get(limit, Fraction(0)), free[limit])
    return found


def resource_of(limit: str) -> str:
    """`requests.cpu` and `cpu` limit the same; limits and counts of objects say nothing about room for pods."""
    name = limit.removeprefix("requests.")
    asked = limit.startswith("requests.") and name != "storage" and ".storageclass." not in name
    return name if asked or limit in ("cpu", "memory", "ephemeral-storage", "pods") else ""


# -- the document


def balance(allocatable: Amounts, taken: Amounts, available: Amounts) -> dict[str, Json]:
    return {
        "allocatable": numbers(allocatable),
        "requested": numbers({name: taken.get(name, Fraction(0)) for name in allocatable}),
        "available": numbers(available),
    }


def numbers(given: Amounts) -> dict[str, int | float]:
    return {name: as_number(value) for name, value in given.items()}


def write(path: str, document: Mapping[str, Json]) -> None:
    """Whole or not at all: main may be reading the one before."""
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".part", "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
        os.replace(path + ".part", path)
    except OSError as error:
        raise CallbackError(f"can't write {path}: {error.strerror}") from error


def as_number(value: Fraction) -> int | float:
    """For JSON: a whole number, else to the thousandth, rounded down (what is free must be there)."""
    if value.denominator == 1:
        return int(value)
    return float(Fraction(int(value * 1000 // 1), 1000))
