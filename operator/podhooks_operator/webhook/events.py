"""Events about pods that were admitted without what they asked for: their authors see no admission warnings when a
Job's controller makes the pods.

One Event for each owner and problem, counted up: its name is made of both, so that replicas and restarts meet.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, TypeAlias

from podhooks import log
from podhooks.errors import ApiError, Conflict, NotFound
from podhooks.pod.object import text
from podhooks_operator.cluster import EVENTS, Cluster
from podhooks_operator.webhook.review import Refusal

Json: TypeAlias = Any
REASON = "PodhooksNotInjected"
COMPONENT = "podhooks-webhook"
MAX_MESSAGE = 1024  # characters; the API server refuses more
PAUSE_SECONDS = 60.0  # between two writes of one Event
MAX_REMEMBERED = 1000
MAX_WAITING = 100
TRIES = 3


@dataclass(frozen=True)
class Subject:
    """What an Event is about: the pod's owner, or the namespace for a pod that nothing owns."""

    api_version: str
    kind: str
    name: str
    uid: str


def subject(refusal: Refusal) -> Subject:
    owner = refusal.owner
    if text(owner.get("name")) and text(owner.get("kind")):
        fields = (text(owner.get(key)) for key in ("apiVersion", "kind", "name", "uid"))
        return Subject(*fields)
    return Subject("v1", "Namespace", refusal.namespace, "")


def event(refusal: Refusal, now: datetime) -> dict[str, Json]:
    about = subject(refusal)
    stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    reference = {"apiVersion": about.api_version, "kind": about.kind, "name": about.name, "uid": about.uid}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": _name(about, refusal), "namespace": refusal.namespace},
        "involvedObject": {**{key: value for key, value in reference.items() if value}, "namespace": refusal.namespace},
        "type": "Warning",
        "reason": REASON,
        "message": message(refusal),
        "source": {"component": COMPONENT},
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "count": 1,
    }


def message(refusal: Refusal) -> str:
    said = "; ".join(f"{each.where}: {each.message} [{each.code}]" for each in refusal.findings)
    how = "with the callbacks' containers it came with" if refusal.has_containers else "without callbacks"
    whole = f"pod {refusal.name} was admitted {how}: {said}"
    return whole if len(whole) <= MAX_MESSAGE else whole[: MAX_MESSAGE - 3] + "..."


def counted_up(old: Mapping[str, Json], new: Mapping[str, Json], times: int) -> dict[str, Json]:
    count = old.get("count")
    more = (count if isinstance(count, int) else 1) + times
    return {**old, "message": new["message"], "lastTimestamp": new["lastTimestamp"], "count": more}


class Recorder:
    """Takes refusals from the webhook without making it wait, and writes Events one after the other."""

    def __init__(self, cluster: Cluster, done: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._cluster = cluster
        self._done = done
        self._clock = clock
        self._queue: asyncio.Queue[tuple[Refusal, int]] = asyncio.Queue(MAX_WAITING)
        self._recent: dict[str, tuple[float, int]] = {}  # Event -> when it was written, how often it happened since

    def record(self, refusal: Refusal) -> None:
        """Drops it when too many are waiting; counts it when the same was written a short while ago."""
        key = f"{refusal.namespace}/{_name(subject(refusal), refusal)}"
        written, since = self._recent.get(key, (-PAUSE_SECONDS, 0))
        if self._clock() - written < PAUSE_SECONDS:
            self._recent[key] = (written, since + 1)
            return self._done("deduplicated")
        if self._queue.full():
            return self._done("dropped")
        if len(self._recent) >= MAX_REMEMBERED:
            self._recent.pop(next(iter(self._recent)))
        self._recent.pop(key, None)
        self._recent[key] = (self._clock(), 0)
        self._queue.put_nowait((refusal, since + 1))
        return None

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            refusal, times = await self._queue.get()
            try:
                await asyncio.to_thread(self._write, refusal, times)
                self._done("written")
            except ApiError as error:
                log.warning("an Event can't be written", namespace=refusal.namespace, why=error)
                self._done("failed")
            finally:
                self._queue.task_done()

    async def drain(self, seconds: float) -> None:
        """Waits for those that are still to be written."""
        try:
            await asyncio.wait_for(self._queue.join(), seconds)
        except asyncio.TimeoutError:
            log.warning("Events are lost", count=self._queue.qsize())

    def _write(self, refusal: Refusal, times: int) -> None:
        new = event(refusal, datetime.now(timezone.utc))
        collection = EVENTS.format(refusal.namespace)
        for tries_left in reversed(range(TRIES)):
            try:
                self._cluster.create(collection, {**new, "count": times})
                return
            except Conflict:
                pass
            try:
                old = self._cluster.get(f"{collection}/{new['metadata']['name']}")
                self._cluster.update(f"{collection}/{new['metadata']['name']}", counted_up(old, new, times))
                return
            except (Conflict, NotFound):  # counted up by another replica, or just run out
                if not tries_left:
                    raise


def _name(about: Subject, refusal: Refusal) -> str:
    codes = sorted({f"{each.code} {each.where}" for each in refusal.findings})
    told_apart = "\0".join((about.kind, about.name, about.uid, *codes))
    digest = hashlib.sha256(told_apart.encode()).hexdigest()[:16]
    return f"{about.name[:200]}.podhooks-{digest}"
