"""core/v1 Events: the story that `kubectl describe` tells."""

from __future__ import annotations

import itertools
import time
from threading import Lock

from podhooks.contract import LOCAL_NODE
from podhooks.kinds.resources import Json
from podhooks.local.store import ApiError, Store

_KEPT_KEYS = 1000


def timestamp(seconds: float | None = None) -> str:
    """RFC 3339 with whole seconds, as metav1.Time."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class Recorder:
    """Writes events; one that repeats (same object, reason and message) only counts up, as the real recorder does."""

    def __init__(self, store: Store, component: str) -> None:
        self._store = store
        self._component = component
        self._known: dict[tuple[str, str, str, str], str] = {}
        self._lock = Lock()
        self._serial = itertools.count(time.time_ns())

    def normal(self, obj: Json, reason: str, message: str, field_path: str = "") -> None:
        self._record("Normal", obj, reason, message, field_path)

    def warning(self, obj: Json, reason: str, message: str, field_path: str = "") -> None:
        self._record("Warning", obj, reason, message, field_path)

    def _record(self, kind: str, obj: Json, reason: str, message: str, field_path: str) -> None:
        key = (obj["metadata"]["uid"], reason, message, field_path)
        with self._lock:
            try:
                if key in self._known:
                    self._store.mutate("events", obj["metadata"]["namespace"], self._known[key], _count, subresource="")
                else:
                    self._remember(key, self._create(kind, obj, reason, message, field_path))
            except ApiError:  # the namespace is going, or somebody deleted the event: not worth stopping for
                self._known.pop(key, None)

    def _remember(self, key: tuple[str, str, str, str], name: str) -> None:
        if len(self._known) >= _KEPT_KEYS:
            self._known.clear()
        self._known[key] = name

    def _create(self, kind: str, obj: Json, reason: str, message: str, field_path: str) -> str:
        meta = obj["metadata"]
        involved = {
            "kind": obj["kind"],
            "namespace": meta["namespace"],
            "name": meta["name"],
            "uid": meta["uid"],
            "apiVersion": obj["apiVersion"],
            "resourceVersion": meta.get("resourceVersion", ""),
            **({"fieldPath": field_path} if field_path else {}),
        }
        now = timestamp()
        name = f"{meta['name'][:200]}.{next(self._serial):x}"
        source = {"component": self._component, **({"host": LOCAL_NODE} if self._component == "kubelet" else {})}
        self._store.create(
            "events",
            {
                "metadata": {"name": name, "namespace": meta["namespace"]},
                "involvedObject": involved,
                "reason": reason,
                "message": message,
                "source": source,
                "firstTimestamp": now,
                "lastTimestamp": now,
                "count": 1,
                "type": kind,
                "eventTime": None,
                "reportingComponent": self._component,
                "reportingInstance": LOCAL_NODE if self._component == "kubelet" else "",
            },
        )
        return name


def _count(event: Json) -> None:
    event["count"] += 1
    event["lastTimestamp"] = timestamp()
