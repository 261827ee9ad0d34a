"""The Rescue object: written and read. Pure; JSON in, JSON out.

Its name comes from the pod's UID, so that two operators can't make two of one pod's, and a pod of the same name has
another. Its labels tell the open ones from the ended ones without their contents.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any, TypeAlias

from podhooks import contract
from podhooks.context import ExitInfo, parse_time
from podhooks.inject.edit import plain
from podhooks.pod.object import mapping, sequence, text, whole
from podhooks.render.rescue_definition import KIND
from podhooks.runtime.record import RecordData
from podhooks.value import Value
from podhooks_operator.rescue.debt import Debt
from podhooks_operator.rescue.standing import Standing

Json: TypeAlias = Any
API_VERSION = f"{contract.RESCUE_GROUP}/{contract.RESCUE_VERSION}"
STATE_LABEL = contract.PREFIX + "rescue-state"
OPEN_SELECTOR = f"{STATE_LABEL} in (Recorded,Running)"
ENDED_SELECTOR = f"{STATE_LABEL},{STATE_LABEL} notin (Recorded,Running)"
UNCONFIRMED_LABEL = contract.PREFIX + "unconfirmed"  # "true" while its node may still come back
NODE_ANNOTATION = contract.PREFIX + "node"
MAX_MESSAGE = 1000


class State(str, Enum):
    RECORDED = "Recorded"  # owed, and not begun
    RUNNING = "Running"  # a Job runs it
    DONE = "Done"  # every callback that was owed has succeeded
    REFUSED = "Refused"  # its Job wasn't let into the namespace
    FAILED = "Failed"  # a callback failed, or its Jobs were lost
    EXPIRED = "Expired"  # not within the deadline

    @property
    def ended(self) -> bool:
        return self not in (State.RECORDED, State.RUNNING)


class PodRef(Value):
    name: str
    namespace: str
    uid: str
    node: str = ""


class Rescue(Value):
    """As it was read. `version` is the resourceVersion, over which alone it is written."""

    name: str
    namespace: str
    version: str
    created_at: datetime | None
    pod: PodRef
    verdict: ExitInfo
    confirmed: bool
    owed: tuple[str, ...]
    begun: tuple[str, ...]
    forfeit: tuple[str, ...]
    object: Mapping[str, Json]
    state: State
    reason: str = ""
    message: str = ""
    attempts: int = 0
    job: str = ""
    finished_at: datetime | None = None
    twice: tuple[str, ...] = ()
    record: RecordData | None = None
    _raw: Mapping[str, Json] = mapping(None)

    def with_status(self, **changes: Json) -> dict[str, Json]:
        """The object to write: this one with some fields of its status changed, and the label that follows."""
        raw: dict[str, Json] = plain(self._raw)
        raw["status"] = {**mapping(raw.get("status")), **{k: v for k, v in changes.items() if v is not None}}
        raw["metadata"].setdefault("labels", {})[STATE_LABEL] = raw["status"]["state"]
        return raw


def rescue_name(pod_name: str, uid: str) -> str:
    """At most 253 characters, and never another pod's."""
    return f"{pod_name[: 253 - len(uid) - 1].rstrip('.-')}.{uid}"


def pod_ref(pod: Mapping[str, Json]) -> PodRef:
    metadata = mapping(pod.get("metadata"))
    name, namespace, uid = (text(metadata.get(key)) for key in ("name", "namespace", "uid"))
    return PodRef(name, namespace, uid, text(mapping(pod.get("spec")).get("nodeName")))


def new_rescue(
    pod: Mapping[str, Json], namespace: str, verdict: ExitInfo, debt: Debt, end: Standing
) -> dict[str, Json]:
    """To be created in the operator's namespace: the pod's own may be on its way out, and refuse everything."""
    of = pod_ref(pod)
    spec: dict[str, Json] = {
        "pod": {"name": of.name, "namespace": of.namespace, "uid": of.uid, "node": of.node},
        "verdict": verdict.to_json(),
        "confirmed": end.confirmed,
        "owed": list(debt.owed),
        "begun": list(debt.begun),
        "forfeit": list(debt.forfeit),
        "object": without_bulk(pod),
    }
    status: dict[str, Json] = {"state": State.RECORDED.value, "attempts": 0}
    if debt.record is not None:
        status["record"] = debt.record.to_json()
    labels = {STATE_LABEL: State.RECORDED.value, contract.RESCUE_LABEL: of.uid}
    metadata: dict[str, Json] = {"name": rescue_name(of.name, of.uid), "namespace": namespace, "labels": labels}
    if not end.confirmed and of.node:
        labels[UNCONFIRMED_LABEL] = "true"
        metadata["annotations"] = {NODE_ANNOTATION: of.node}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec, "status": status}


def without_bulk(pod: Mapping[str, Json]) -> dict[str, Json]:
    """Without what only the API server and kubectl need, which is the larger part of it."""
    copy: dict[str, Json] = plain(pod)
    copy["metadata"].pop("managedFields", None)
    mapping(copy["metadata"].get("annotations")) and copy["metadata"]["annotations"].pop(
        "kubectl.kubernetes.io/last-applied-configuration", None
    )
    return copy


def read_rescue(raw: Mapping[str, Json]) -> Rescue:
    """ValueError for one that nobody can go on from: it was changed by hand, or isn't ours."""
    metadata, spec, status = (mapping(raw.get(key)) for key in ("metadata", "spec", "status"))
    pod = mapping(spec.get("pod"))
    try:
        verdict = ExitInfo.from_json(mapping(spec.get("verdict")))
        record = mapping(status.get("record"))
        return Rescue(
            name=text(metadata.get("name")),
            namespace=text(metadata.get("namespace")),
            version=text(metadata.get("resourceVersion")),
            created_at=parse_time(metadata.get("creationTimestamp")),
            pod=PodRef(*(text(pod.get(key)) for key in ("name", "namespace", "uid", "node"))),
            verdict=verdict,
            confirmed=spec.get("confirmed") is not False,
            owed=_texts(spec.get("owed")),
            begun=_texts(spec.get("begun")),
            forfeit=_texts(spec.get("forfeit")),
            object=mapping(spec.get("object")),
            state=State(status.get("state")),
            reason=text(status.get("reason")),
            message=text(status.get("message")),
            attempts=whole(status.get("attempts")) or 0,
            job=text(status.get("job")),
            finished_at=parse_time(status.get("finishedAt")),
            twice=_texts(status.get("twice")),
            record=RecordData.from_json(record) if record else None,
            _raw=raw,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"Rescue {metadata.get('name')}: {error!r}") from error


def cut(message: str) -> str:
    return message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 3] + "..."


def _texts(value: Json) -> tuple[str, ...]:
    return tuple(each for each in sequence(value) if isinstance(each, str))
