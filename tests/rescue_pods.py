"""Pods with `guarantee: cluster` in every stage, for the rescuer's tests: as a cluster shows them, cut to the fields
that matter."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from podhooks import contract
from podhooks.context import CallbackOutcome, ExitInfo, Hook, Result, Status
from podhooks.runtime.record import RecordData

Json = dict[str, Any]
UID = "0b6ff6ac-7a3c-4f65-9a5e-0d1e6a1c0f11"
T0 = datetime(2026, 11, 28, 12, 0, tzinfo=timezone.utc)


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(T0.timestamp() + seconds, timezone.utc)


def stamp(seconds: float) -> str:
    return at(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def record(
    *outcomes: CallbackOutcome, complete: bool = False, told: Result | None = Result.SUCCEEDED, uid: str = UID
) -> RecordData:
    return RecordData(Hook.ON_EXIT, uid, outcomes, ExitInfo(told) if told else None, complete)


def outcome(key: str, status: Status = Status.SUCCEEDED, attempts: int = 1, **more: Any) -> CallbackOutcome:
    return CallbackOutcome(key, status, attempts, **more)


def ended(code: int, message: str = "", reason: str = "") -> Json:
    found = {"exitCode": code, "startedAt": stamp(-60), "finishedAt": stamp(0), "message": message}
    return {"terminated": {**found, "reason": reason or ("Completed" if code == 0 else "Error")}}


RUNNING: Json = {"running": {"startedAt": stamp(-60)}}
WAITING: Json = {"waiting": {"reason": "PodInitializing"}}


def pod(
    *,
    phase: str = "Running",
    main: Json | None = RUNNING,
    on_exit: Json | None = RUNNING,
    left: RecordData | None = None,
    held: bool = True,
    annotations: Mapping[str, str] | None = None,
    deleted_at: float | None = None,
    grace: int = 30,
    node: str = "node-1",
    conditions: Sequence[Json] = (),
    reason: str = "",
    name: str = "etl",
    uid: str = UID,
) -> Json:
    """`left` is the record in the on-exit container's termination message. `main` None: no status of it at all."""
    if left is not None:
        on_exit = ended(0, json.dumps(left.to_json()))
    given = {contract.ON_EXIT: "a:b, c:d", contract.GUARANTEE: "cluster", **(annotations or {})}
    metadata: Json = {
        "name": name,
        "namespace": "etl",
        "uid": uid,
        "resourceVersion": "7",
        "creationTimestamp": stamp(-120),
        "labels": {contract.GUARANTEE_LABEL: "cluster"},
        "annotations": given,
    }
    if held:
        metadata["finalizers"] = [contract.FINALIZER]
    if deleted_at is not None:
        metadata |= {"deletionTimestamp": stamp(deleted_at), "deletionGracePeriodSeconds": grace}
    status: Json = {"phase": phase, "conditions": list(conditions)}
    if reason:
        status["reason"] = reason
    if main is not None:
        status["containerStatuses"] = [{"name": "main", "restartCount": 0, "state": main}]
    if on_exit is not None:
        status["initContainerStatuses"] = [{"name": "on-exit", "restartCount": 0, "state": on_exit}]
    spec: Json = {
        "restartPolicy": "Never",
        "containers": [{"name": "main", "image": "app:1"}],
        "initContainers": [{"name": "on-exit", "image": "app:1", "restartPolicy": "Always"}],
    }
    if node:
        spec["nodeName"] = node
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}
