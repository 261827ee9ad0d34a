"""What time does to Rescues: ended ones are forgotten, and a node that was lost may come back.

A node that comes back may have run on_exit itself, before a rescue Job did or meanwhile. Nobody sees that afterwards:
every callback that ran is counted as one that may have run twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, TypeAlias

from podhooks import log
from podhooks.context import parse_time
from podhooks.errors import Forbidden
from podhooks.pod.object import mapping, mappings, text
from podhooks_operator.rescue.objects import (
    ENDED_SELECTOR,
    NODE_ANNOTATION,
    UNCONFIRMED_LABEL,
    Rescue,
    read_rescue,
)
from podhooks_operator.rescue.requests import Requests
from podhooks_operator.rescue.rescue_metrics import RescueMetrics
from podhooks_operator.rescue.rescue_settings import RescueSettings
from podhooks_operator.rescue.tell import twice_event

Json: TypeAlias = Any


def overdue(ended: Iterable[Mapping[str, Json]], now: datetime, settings: RescueSettings) -> list[str]:
    """The names of Rescues to forget: too old, or too many, the oldest first. Objects or only their metadata."""
    oldest = datetime.min.replace(tzinfo=timezone.utc)
    aged = sorted(
        (parse_time(mapping(each.get("metadata")).get("creationTimestamp")) or oldest, text(each["metadata"]["name"]))
        for each in ended
    )
    surplus = max(len(aged) - settings.keep_most, 0)
    limit = now - timedelta(seconds=settings.keep)
    return [name for index, (created, name) in enumerate(aged) if index < surplus or created <= limit]


def is_back(node: Mapping[str, Json] | None) -> bool:
    conditions = mappings(mapping(mapping(node).get("status")).get("conditions"))
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)


class Sweep:
    def __init__(
        self,
        requests: Requests,
        settings: RescueSettings,
        metrics: RescueMetrics,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._requests = requests
        self._settings = settings
        self._metrics = metrics
        self._now = now or (lambda: datetime.fromtimestamp(requests.cluster.now(), timezone.utc))
        self._sees_nodes = True

    def forget(self) -> int:
        names = overdue(self._requests.rescues(ENDED_SELECTOR), self._now(), self._settings)
        for name in names:
            self._requests.forget(name)
        return len(names)

    def count_returns(self) -> None:
        """One look at each node of which ended Rescues have no confirmed end."""
        if not self._sees_nodes:
            return
        nodes: dict[str, list[str]] = {}
        for each in self._requests.rescues(f"{UNCONFIRMED_LABEL}=true,{ENDED_SELECTOR}"):
            metadata = mapping(each.get("metadata"))
            node = text(mapping(metadata.get("annotations")).get(NODE_ANNOTATION))
            nodes.setdefault(node, []).append(text(metadata.get("name")))
        for node, names in nodes.items():
            try:
                back = is_back(self._requests.node(node))
            except Forbidden as error:
                log.warning("nodes that come back aren't noticed", why=error)
                self._sees_nodes = False
                return
            for name in names if back else ():
                self._count(name)

    def _count(self, name: str) -> None:
        raw = self._requests.rescue(name)
        if raw is None:
            return
        rescue = read_rescue(raw)
        ran = tuple(each for each in ran_callbacks(rescue) if each not in rescue.twice)
        if ran:
            self._requests.tell(twice_event(rescue, ran, self._now()))
        written = rescue.with_status(twice=[*rescue.twice, *ran] or None)
        written["metadata"]["labels"].pop(UNCONFIRMED_LABEL, None)
        if self._requests.write(written):
            self._metrics.twice.inc(len(ran))


def ran_callbacks(rescue: Rescue) -> tuple[str, ...]:
    """Those that the rescue itself began."""
    outcomes = {each.name: each for each in rescue.record.outcomes} if rescue.record else {}
    return tuple(key for key in rescue.owed if key in outcomes and outcomes[key].attempts > 0)
