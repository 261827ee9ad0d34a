"""Whether a pod is over, from its object alone. Pure.

Over means: nothing more will be learnt from it. A deletion, a node that isn't ready or a missed heartbeat is no proof
of that. A terminal phase with no container shown as running is. An object that the kubelet doesn't confirm (its node
is gone, or it was deleted by force) is over after a wait: the node may come back and tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, TypeAlias

from podhooks.context import parse_time
from podhooks.pod.object import FINISHED_PHASES, containers, is_deleting, mapping, mappings, phase, text, whole
from podhooks.value import Value

Json: TypeAlias = Any


class Stage(str, Enum):
    ALIVE = "alive"  # something may still happen in it, and nothing is to be done
    UNCONFIRMED = "unconfirmed"  # it is said to be over, and its node hasn't confirmed that
    OVER = "over"


class Standing(Value):
    """`until` is when an unconfirmed pod counts as over. `confirmed` is False for one that became over by waiting."""

    stage: Stage
    until: datetime | None = None
    confirmed: bool = True


def standing(pod: Mapping[str, Json], now: datetime, hold_seconds: float) -> Standing:
    """`now` is the API server's time, as all times in the object are."""
    finished, running = phase(pod) in FINISHED_PHASES, is_anything_running(pod)
    if finished and not running:
        return Standing(Stage.OVER)
    if is_deleting(pod) and not text(mapping(pod.get("spec")).get("nodeName")):
        return Standing(Stage.OVER)  # no kubelet has ever had it
    by_force = is_deleting(pod) and not whole(mapping(pod.get("metadata")).get("deletionGracePeriodSeconds"))
    if not finished and not by_force:
        return Standing(Stage.ALIVE)
    until = max(_told_at(pod), default=now) + timedelta(seconds=hold_seconds)
    return Standing(Stage.OVER if now >= until else Stage.UNCONFIRMED, until, confirmed=False)


def is_anything_running(pod: Mapping[str, Json]) -> bool:
    return any("running" in each.state for each in (*containers(pod, init=True), *containers(pod)))


def _told_at(pod: Mapping[str, Json]) -> Iterator[datetime]:
    """When the object was told that the pod ends."""
    metadata, status = mapping(pod.get("metadata")), mapping(pod.get("status"))
    told = [metadata.get("deletionTimestamp")]
    told += [
        each.get("lastTransitionTime")
        for each in mappings(status.get("conditions"))
        if each.get("type") in ("DisruptionTarget", "Ready", "ContainersReady", "PodScheduled")
    ]
    return (moment for moment in map(parse_time, told) if moment is not None)
