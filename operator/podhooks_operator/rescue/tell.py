"""Events about the end of a Rescue: on what made the pod, where people look. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeAlias

from podhooks.pod.object import mapping, mappings, text
from podhooks.render.rescue_definition import KIND
from podhooks_operator.rescue.objects import API_VERSION, Rescue, State

Json: TypeAlias = Any
MAX_MESSAGE = 1024  # the API server's
REASONS = {
    State.DONE: "Rescued",
    State.FAILED: "RescueFailed",
    State.REFUSED: "RescueRefused",
    State.EXPIRED: "RescueExpired",
}
TWICE = "MayHaveRunTwice"


def end_event(rescue: Rescue, state: State, message: str, now: datetime) -> dict[str, Json]:
    kind = "Normal" if state is State.DONE else "Warning"
    said = f"on_exit of pod {rescue.pod.name} ({rescue.verdict.result.value}), run outside it: {message}"
    return _event(rescue, kind, REASONS[state], said, now)


def twice_event(rescue: Rescue, callbacks: tuple[str, ...], now: datetime) -> dict[str, Json]:
    said = (
        f"on_exit of pod {rescue.pod.name}: may have run twice, with the same idempotency key: {', '.join(callbacks)}"
    )
    return _event(rescue, "Warning", TWICE, said, now)


def at_home(event: Mapping[str, Json], rescue: Rescue) -> dict[str, Json]:
    """The same about the Rescue itself, in the operator's namespace, where the pod's takes no more Events."""
    about = {"apiVersion": API_VERSION, "kind": KIND, "name": rescue.name, "namespace": rescue.namespace}
    metadata = {**event["metadata"], "namespace": rescue.namespace}
    return {**event, "metadata": metadata, "involvedObject": about}


def _event(rescue: Rescue, kind: str, reason: str, message: str, now: datetime) -> dict[str, Json]:
    """Its name is the news', so that it is told once, whoever tells it."""
    about, stamp = _subject(rescue), now.strftime("%Y-%m-%dT%H:%M:%SZ")
    digest = hashlib.sha256(f"{rescue.pod.uid} {reason}".encode()).hexdigest()[:16]
    short = message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 3] + "..."
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{about['name'][:200]}.podhooks-{digest}", "namespace": rescue.pod.namespace},
        "involvedObject": about,
        "type": kind,
        "reason": reason,
        "message": short,
        "source": {"component": "podhooks-rescuer"},
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "count": 1,
    }


def _subject(rescue: Rescue) -> dict[str, Json]:
    """The pod's controller, else the pod."""
    owners = mappings(mapping(rescue.object.get("metadata")).get("ownerReferences"))
    owner = next((each for each in owners if each.get("controller") is True), None)
    if owner is None:
        name, uid = rescue.pod.name, rescue.pod.uid
        return {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid, "namespace": rescue.pod.namespace}
    found = {key: text(owner.get(key)) for key in ("apiVersion", "kind", "name", "uid")}
    return {**found, "namespace": rescue.pod.namespace}
