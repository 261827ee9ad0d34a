"""Who renews the certificates: a Lease that one replica at a time holds.

It spares the replicas work and conflicts; nothing goes wrong when two hold it at once, because every write is only over
the version that was read. Times of other replicas are never compared with our own clock: a Lease has run out when *we*
have seen it unchanged for its duration.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from enum import Enum
from time import monotonic
from typing import Any, TypeAlias

from podhooks.errors import Conflict, NotFound
from podhooks.pod.object import mapping, text
from podhooks.value import Value
from podhooks_operator.cluster import LEASES, Cluster

Json: TypeAlias = Any


class Claim(str, Enum):
    CREATE = "create"
    RENEW = "renew"
    HOLD = "hold"  # it is ours, and fresh enough
    TAKE = "take"
    WAIT = "wait"


class Seen(Value):
    """A Lease as it was read: of whom, in which version, and for how long we have seen just that version (seconds)."""

    holder: str
    version: str
    unchanged: float


def claim(seen: Seen | None, me: str, duration: float) -> Claim:
    if seen is None:
        return Claim.CREATE
    if seen.holder == me:
        return Claim.RENEW if seen.unchanged >= duration / 3 else Claim.HOLD
    if not seen.holder or seen.unchanged > duration:
        return Claim.TAKE
    return Claim.WAIT


class Leadership:
    """`me` must be another name in every process."""

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        name: str,
        me: str,
        duration: float,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._cluster = cluster
        self._collection = LEASES.format(namespace)
        self._metadata = {"name": name, "namespace": namespace}
        self._me = me
        self._duration = duration
        self._clock = clock
        self._version = ""
        self._since = 0.0

    def held(self) -> bool:
        """Whether we are the one, asking for it by the way. ApiError if the API doesn't answer."""
        lease = self._read()
        decision = claim(self._seen(lease), self._me, self._duration)
        try:
            if decision is Claim.CREATE:
                self._cluster.create(self._collection, self._renewed({}))
            elif decision in (Claim.RENEW, Claim.TAKE):
                self._cluster.update(self._path, self._renewed(mapping(lease)))
        except Conflict:
            return False
        return decision is not Claim.WAIT

    def release(self) -> None:
        """Another may take it at once, if we hold it."""
        lease = self._read()
        seen = self._seen(lease)
        if lease is not None and seen is not None and seen.holder == self._me:
            self._cluster.update(self._path, {**lease, "spec": {**lease["spec"], "holderIdentity": ""}})

    @property
    def _path(self) -> str:
        return f"{self._collection}/{self._metadata['name']}"

    def _read(self) -> dict[str, Json] | None:
        try:
            return self._cluster.get(self._path)
        except NotFound:
            return None

    def _seen(self, lease: dict[str, Json] | None) -> Seen | None:
        if lease is None:
            return None
        version = text(mapping(lease.get("metadata")).get("resourceVersion"))
        if version != self._version:
            self._version, self._since = version, self._clock()
        return Seen(text(mapping(lease.get("spec")).get("holderIdentity")), version, self._clock() - self._since)

    def _renewed(self, lease: Json) -> dict[str, Json]:
        spec = mapping(lease.get("spec"))
        moment = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        ours = spec.get("holderIdentity") == self._me
        transitions = int(spec.get("leaseTransitions") or 0)
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": lease.get("metadata") or self._metadata,
            "spec": {
                "holderIdentity": self._me,
                "leaseDurationSeconds": max(1, round(self._duration)),
                "acquireTime": spec.get("acquireTime") if ours else moment,
                "renewTime": moment,
                "leaseTransitions": transitions if ours or not lease else transitions + 1,
            },
        }
