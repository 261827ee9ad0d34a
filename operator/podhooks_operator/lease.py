"""Which of the replicas works: a Lease (coordination.k8s.io) that one of them holds at a time.

Times of other replicas are never compared with our own clock. A holder counts from before it sent its renewal and stops
after two thirds of the duration. Another replica takes the Lease once it has seen it unchanged for the whole duration.
So two never hold it at once, as long as their clocks run at the same speed. The clock runs while a machine sleeps.

A holder that is interrupted between is_held() and its request still sends it. A request that must not be sent twice has
to be one that the API server refuses the second time: by a resourceVersion, a uid or a name.
https://kubernetes.io/docs/concepts/architecture/leases/
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from typing import Any, TypeAlias

from podhooks.errors import Conflict, NotFound
from podhooks.pod.object import mapping, text
from podhooks_operator.cluster import LEASES, Cluster

Json: TypeAlias = Any
HELD_PART = 2 / 3  # of the duration: a holder that can't renew stops then
RENEWED_PART = 1 / 3  # of the duration: a holder renews after that
LONGEST_SECONDS = 3600.0  # what is believed of another's leaseDurationSeconds


class Claim(str, Enum):
    CREATE = "create"
    RENEW = "renew"
    HOLD = "hold"  # it is ours, and fresh enough
    TAKE = "take"
    WAIT = "wait"


@dataclass(frozen=True)
class Seen:
    """A Lease as it was read: its holder, its version, for how long we have seen just that version, and for how long
    its holder may go without a renewal (seconds)."""

    holder: str
    version: str
    unchanged: float
    duration: float


def identity() -> str:
    """A holder's name: another one for each process, also of the same pod after a restart."""
    return f"{os.environ.get('HOSTNAME') or socket.gethostname()}_{secrets.token_hex(4)}"


def claim(seen: Seen | None, me: str, duration: float) -> Claim:
    if seen is None:
        return Claim.CREATE
    if seen.holder == me:
        return Claim.RENEW if seen.unchanged >= duration * RENEWED_PART else Claim.HOLD
    if not seen.holder or seen.unchanged > max(duration, seen.duration):
        return Claim.TAKE
    return Claim.WAIT


class Lease:
    """`me` must be another name in every process. `duration` in seconds. For one thread; is_held() is for all."""

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        name: str,
        me: str,
        duration: float,
        clock: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
    ) -> None:
        self._cluster = cluster
        self._collection = LEASES.format(namespace)
        self._metadata = {"name": name, "namespace": namespace}
        self._me = me
        self._duration = duration
        self._clock = clock
        self._version = ""
        self._since = 0.0
        self._held_until = float("-inf")

    def is_held(self) -> bool:
        """Whether it is ours now. Asks nobody."""
        return self._clock() < self._held_until

    def tend(self) -> bool:
        """Take it, or renew it; is_held() afterwards. To be called at least every sixth of the duration.

        Raises:
            ApiError: the API doesn't answer, or refuses; is_held() may still be true for a while.
        """
        lease = self._read()
        decision = claim(self._seen(lease), self._me, self._duration)
        if decision is Claim.WAIT:
            self._held_until = float("-inf")
        elif decision is not Claim.HOLD:
            self._write(lease)
        return self.is_held()

    def release(self) -> None:
        """Another may take it at once, if we hold it. ApiError: it is nobody's until it runs out."""
        self._held_until = float("-inf")
        lease = self._read()
        if lease is None or mapping(lease.get("spec")).get("holderIdentity") != self._me:
            return
        try:
            self._cluster.update(self._path, {**lease, "spec": {**lease["spec"], "holderIdentity": ""}})
        except (Conflict, NotFound):  # another has it already, or it is gone
            return

    def _write(self, lease: dict[str, Json] | None) -> None:
        """Only over the version that was read, so one of several gets it."""
        sent_at = self._clock()
        try:
            if lease is None:
                self._cluster.create(self._collection, self._renewed({}))
            else:
                self._cluster.update(self._path, self._renewed(lease))
        except (Conflict, NotFound):  # another was faster, or it was deleted meanwhile
            self._held_until = float("-inf")
            return
        self._held_until = sent_at + self._duration * HELD_PART

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
        metadata, spec = mapping(lease.get("metadata")), mapping(lease.get("spec"))
        version = f"{text(metadata.get('uid'))} {text(metadata.get('resourceVersion'))}"
        if version != self._version:
            self._version, self._since = version, self._clock()
        seconds = spec.get("leaseDurationSeconds")
        duration = min(float(seconds), LONGEST_SECONDS) if isinstance(seconds, int) else 0.0
        return Seen(text(spec.get("holderIdentity")), version, self._clock() - self._since, duration)

    def _renewed(self, lease: dict[str, Json]) -> dict[str, Json]:
        spec = mapping(lease.get("spec"))
        moment = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        ours = spec.get("holderIdentity") == self._me
        transitions = spec.get("leaseTransitions")
        transitions = transitions if isinstance(transitions, int) else 0
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
