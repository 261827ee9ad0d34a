"""Puts how main ended where `kubectl describe job` shows it: a Kubernetes Event."""

from __future__ import annotations

import hashlib
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from podhooks.callbacks.api import Api, Grant
from podhooks.callbacks.budget import Budget
from podhooks.callbacks.templates import fields, fill
from podhooks.context import RunContext, format_time
from podhooks.errors import InputError

if TYPE_CHECKING:
    from podhooks.context import Json

GRANT = Grant("podhooks-events", "create", "events")
COMPONENT = "podhooks"
MESSAGE_BYTES = 1024  # the API server refuses more
NAME_CHARACTERS = 200  # of the object's name in the event's, which has 253 at most


def record(context: RunContext, *, about: str = "owner", message: str = "", event_type: str = "") -> None:
    """Create an Event about the pod's owner (its Job), or about the pod; once, however often this is tried."""
    if about not in ("owner", "pod"):
        raise InputError(f"about: {about!r} is unknown: write owner or pod")
    if event_type not in ("", "Normal", "Warning"):
        raise InputError(f"event_type: {event_type!r} is unknown to Kubernetes: write Normal or Warning")
    with Api.in_cluster(GRANT, Budget.of(context)) as api:
        made = event(context, subject(context, about), message, event_type)
        new = api.create_once(f"/api/v1/namespaces/{context.pod.namespace}/events", made)
    about_what = made["involvedObject"]
    print(f"{about_what['kind']}/{about_what['name']}: {made['reason']} {'recorded' if new else 'was recorded before'}")


def subject(context: RunContext, about: str) -> dict[str, str]:
    """What the Event is about. Events without the right uid aren't shown by `kubectl describe`, so an owner whose uid
    can't be had (no access to the pod object) gives way to the pod."""
    pod = context.pod
    if about == "owner":
        references = (context.pod_object.get("metadata") or {}).get("ownerReferences") or ()
        for each in references:
            if each.get("controller"):
                return _reference(each["apiVersion"], each["kind"], each["name"], each["uid"], pod.namespace)
    return _reference("v1", "Pod", pod.name, pod.uid, pod.namespace)


def event(context: RunContext, about: dict[str, str], message: str, event_type: str) -> dict[str, Json]:
    end, now = context.exit, format_time(datetime.now(timezone.utc).replace(microsecond=0))
    well = end is None or end.succeeded
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": event_name(about["name"], context.idempotency_key), "namespace": context.pod.namespace},
        "involvedObject": about,
        "reason": f"PodhooksOnExit/{end.result.value}" if end else "PodhooksOnStart",
        "message": shortened(fill(message, fields(context), "message") if message else sentence(context)),
        "type": event_type or ("Normal" if well else "Warning"),
        "source": {"component": COMPONENT, **({"host": context.pod.node} if context.pod.node else {})},
        "reportingComponent": COMPONENT,
        "reportingInstance": context.pod.name,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }


def event_name(about: str, idempotency_key: str) -> str:
    """The same for every attempt, so that the API server refuses the second."""
    return f"{about[:NAME_CHARACTERS].rstrip('.-')}.{hashlib.sha256(idempotency_key.encode()).hexdigest()[:16]}"


def sentence(context: RunContext) -> str:
    """`Main container etl of pod etl-x7z ended: Failed, exit code 3, after 12 s (2 restarts): why`."""
    end = context.exit
    if end is None:
        return f"Main container {context.main_container} of pod {context.pod.name} is about to start"
    values = fields(context)
    parts = [
        f"Main container {values['container']} of pod {context.pod.name} ended: {end.result.value}",
        f"exit code {end.exit_code}" if end.exit_code is not None else "",
        f"signal {end.signal}" if end.signal else "",
        f"after {values['seconds']} s" if values["seconds"] else "",
        f"{end.restarts} restarts" if end.restarts else "",
    ]
    said = " ".join(end.message.split())
    return ", ".join(part for part in parts if part) + (f": {said}" if said else "")


def shortened(text: str) -> str:
    return text.encode("utf-8", "replace")[:MESSAGE_BYTES].decode("utf-8", "ignore")


def _reference(api_version: str, kind: str, name: str, uid: str, namespace: str) -> dict[str, str]:
    return {"apiVersion": api_version, "kind": kind, "name": name, "uid": uid, "namespace": namespace}
