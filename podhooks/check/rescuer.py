"""The rescuer, which keeps `guarantee: cluster`: whether it is there, leads, and gets its work done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from podhooks import contract
from podhooks.check.finding import Category, Check
from podhooks.check.pods import shown
from podhooks.check.reader import Reader, Unreadable
from podhooks.context import parse_time
from podhooks.pod.object import mapping, text, whole

Json: TypeAlias = Any
RESCUER = Category("podhooks-rescuer")
DEFINITION = f"rescues.{contract.RESCUE_GROUP}"
OPEN_STATES = ("Recorded", "Running")
STUCK = timedelta(minutes=15)
RESCUES = f"/apis/{contract.RESCUE_GROUP}/{contract.RESCUE_VERSION}/rescues"


def check_rescuer(reader: Reader, now: datetime, *, guaranteed: int) -> Iterator[Check]:
    """`guaranteed` pods ask for it: without any, a cluster without a rescuer is no fault."""
    try:
        definition = reader.get(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{DEFINITION}")
        rescues = list(reader.items(RESCUES)) if definition is not None else []
    except Unreadable as error:
        fix = "ask for the right to get customresourcedefinitions and to list rescues"
        yield RESCUER.skipped("rescuer-installed", f"can't see whether there is a rescuer: {error}", fix)
        return
    if definition is None:
        yield without_rescuer(guaranteed)
        return
    yield RESCUER.ok("rescuer-installed", f"the rescuer's kind is there, {len(rescues)} rescues are kept")
    yield from check_leader(reader, now)
    yield from check_rescues(rescues, now)


def without_rescuer(guaranteed: int) -> Check:
    if guaranteed:
        fix = "install the chart podhooks with its rescuer, or set podhooks.io/guarantee: pod"
        said = f"{guaranteed} pods ask for guarantee: cluster, and this cluster has no rescuer"
        return RESCUER.error("rescuer-installed", said, fix)
    return RESCUER.ok("rescuer-installed", "no rescuer, and no pod asks for guarantee: cluster")


def check_leader(reader: Reader, now: datetime) -> Iterator[Check]:
    try:
        leases = [each for each in reader.items("/apis/coordination.k8s.io/v1/leases") if is_rescuers(each)]
    except Unreadable as error:
        yield RESCUER.skipped("rescuer-leads", f"can't see who leads: {error}", "ask for the right to list leases")
        return
    fresh = [each for each in leases if is_held(each, now)]
    if fresh:
        spec = mapping(fresh[0].get("spec"))
        yield RESCUER.ok("rescuer-leads", f"{text(spec.get('holderIdentity'))} leads the rescuer")
    else:
        fix = "see the operator's log: kubectl -n podhooks logs deployment/podhooks"
        yield RESCUER.error(
            "rescuer-leads", "nobody leads the rescuer: guaranteed pods are held until somebody does", fix
        )


def is_rescuers(lease: Mapping[str, Json]) -> bool:
    return text(mapping(lease.get("metadata")).get("name")).endswith("-rescuer")


def is_held(lease: Mapping[str, Json], now: datetime) -> bool:
    spec = mapping(lease.get("spec"))
    renewed, seconds = parse_time(spec.get("renewTime")), whole(spec.get("leaseDurationSeconds")) or 0
    return (
        bool(text(spec.get("holderIdentity")))
        and renewed is not None
        and now - renewed < timedelta(seconds=2 * seconds)
    )


def check_rescues(rescues: list[Mapping[str, Json]], now: datetime) -> Iterator[Check]:
    stuck = [label_of(each) for each in rescues if is_stuck(each, now)]
    failed = [label_of(each) for each in rescues if state_of(each) in ("Refused", "Failed", "Expired")]
    twice = [label_of(each) for each in rescues if mapping(each.get("status")).get("twice")]
    if stuck:
        fix = "kubectl get rescues -A; the reason and the message say what they wait for"
        yield RESCUER.error("rescues-move", f"open for more than {STUCK.seconds // 60} minutes: {shown(stuck)}", fix)
    if failed:
        fix = "kubectl get rescues -A; each has its reason, and an Event on the pod's owner"
        yield RESCUER.warning("rescues-succeed", f"on_exit couldn't be made good: {shown(failed)}", fix)
    if twice:
        fix = "compare with what those callbacks do: their idempotency keys are in the Rescue"
        yield RESCUER.warning("rescues-once", f"may have run twice: {shown(twice)}", fix)
    if not (stuck or failed or twice):
        yield RESCUER.ok("rescues-succeed", "every rescue that is kept succeeded, or is under way")


def state_of(rescue: Mapping[str, Json]) -> str:
    return text(mapping(rescue.get("status")).get("state"))


def is_stuck(rescue: Mapping[str, Json], now: datetime) -> bool:
    created = parse_time(mapping(rescue.get("metadata")).get("creationTimestamp"))
    return state_of(rescue) in OPEN_STATES and created is not None and now - created > STUCK


def label_of(rescue: Mapping[str, Json]) -> str:
    pod = mapping(mapping(rescue.get("spec")).get("pod"))
    return f"{text(pod.get('namespace'))}/{text(pod.get('name'))} ({state_of(rescue)})"
