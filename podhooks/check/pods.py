"""Pods: those that ask for callbacks and didn't get them, those that are held, and those that wait in vain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from podhooks import contract
from podhooks.check.finding import Category, Check
from podhooks.context import parse_time
from podhooks.pod.object import FINISHED_PHASES, is_deleting, mapping, mappings, phase, sequence, text

Json: TypeAlias = Any
PODS = Category("pods")
HELD_LONG = timedelta(minutes=5)
SHOWN = 5
IMAGE_TROUBLE = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName")


@dataclass
class Seen:
    """What a walk through all pods found: names as NAMESPACE/NAME, and the accounts of those that Podhooks is in."""

    injected: int = 0
    missed: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    guaranteed: int = 0
    imageless: list[str] = field(default_factory=list)
    accounts: set[tuple[str, str]] = field(default_factory=set)


def look(pods: Iterable[Mapping[str, Json]], now: datetime) -> Seen:
    seen = Seen()
    for pod in pods:
        metadata, spec = mapping(pod.get("metadata")), mapping(pod.get("spec"))
        annotations = mapping(metadata.get("annotations"))
        name = f"{text(metadata.get('namespace'))}/{text(metadata.get('name'))}"
        if is_held_long(pod, now):
            seen.held.append(name)
        if contract.GUARANTEE_LABEL in mapping(metadata.get("labels")):
            seen.guaranteed += 1
        if not any(key in annotations for key in (contract.ON_START, contract.ON_EXIT)):
            continue
        if phase(pod) in FINISHED_PHASES:
            continue
        if not has_ours(spec):
            seen.missed.append(name)
            continue
        seen.injected += 1
        seen.accounts.add((text(metadata.get("namespace")), text(spec.get("serviceAccountName")) or "default"))
        if lacks_image(pod):
            seen.imageless.append(name)
    return seen


def has_ours(spec: Mapping[str, Json]) -> bool:
    both = (*mappings(spec.get("initContainers")), *mappings(spec.get("containers")))
    return any(each.get("name") in contract.OUR_CONTAINERS for each in both)


def is_held_long(pod: Mapping[str, Json], now: datetime) -> bool:
    """Deleted, with our finalizer, and long past its grace period."""
    metadata = mapping(pod.get("metadata"))
    due = parse_time(metadata.get("deletionTimestamp"))
    held = contract.FINALIZER in sequence(metadata.get("finalizers"))
    return is_deleting(pod) and held and due is not None and now - due > HELD_LONG


def lacks_image(pod: Mapping[str, Json]) -> bool:
    status = mapping(pod.get("status"))
    both = (*mappings(status.get("initContainerStatuses")), *mappings(status.get("containerStatuses")))
    ours = [each for each in both if each.get("name") in contract.OUR_CONTAINERS]
    return any(mapping(mapping(each.get("state")).get("waiting")).get("reason") in IMAGE_TROUBLE for each in ours)


def check_pods(seen: Seen, *, doors: bool) -> Iterator[Check]:
    """`doors`: a webhook or a policy is there, so an annotated pod without our containers was missed by it."""
    yield PODS.ok("pods-injected", f"{seen.injected} unfinished pods have their callbacks")
    if seen.missed:
        said = f"annotated, and not injected: {shown(seen.missed)}"
        why = (
            "see their Events; create them anew: the webhook wasn't asked, or refused"
            if doors
            else "use podhooks inject, or install a door"
        )
        yield PODS.error("pods-missed", said, why)
    if seen.imageless:
        fix = "push the image to a registry that the nodes reach, or name another with --image"
        yield PODS.error("image-reachable", f"our image can't be had: {shown(seen.imageless)}", fix)
    if seen.held:
        first = seen.held[0].replace("/", " ").split()
        fix = f"is the operator running? by hand: podhooks release -n {first[0]} {first[1]}, or -A for all"
        yield PODS.error("pods-held", f"deleted long ago, and still held: {shown(seen.held)}", fix)


def shown(names: list[str]) -> str:
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")
