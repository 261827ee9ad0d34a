"""What the controller manager does about the node: its Ready condition, the out-of-service taint, and PodGC.

Sources: https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/podgc/gc_controller.go,
https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/tainteviction/taint_eviction.go; facts R4 and R5.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from threading import Event, Thread

from podhooks.contract import LOCAL_NODE
from podhooks.kinds.resources import Json
from podhooks.local.controller import JOIN_SECONDS, node_object
from podhooks.local.events import timestamp
from podhooks.local.statuses import TERMINAL
from podhooks.local.store import ApiError, Store

OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
_TAINTED = ("DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint")
_ORPHANED = ("DeletionByPodGC", "PodGC: node no longer exists")


@dataclass(frozen=True)
class NodeTimes:
    """Seconds, with the controller manager's own defaults."""

    period: float = 20.0
    """Between two rounds."""
    quarantine: float = 40.0
    """How long a node must be missing before its pods are given up."""
    heartbeat: float = 50.0
    """How long a kubelet may be silent before its node is NotReady."""


class NodeController:
    """One thread. `is_connected` says whether the kubelet reaches the API."""

    def __init__(self, store: Store, is_connected: Callable[[], bool], times: NodeTimes) -> None:
        self._store = store
        self._is_connected = is_connected
        self._times = times
        self._heard = time.monotonic()
        self._missing: dict[str, float] = {}
        self._stop = Event()
        self._thread = Thread(target=self._run, name="podhooks-nodes", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(JOIN_SECONDS)

    def _run(self) -> None:
        while not self._stop.wait(self._times.period):
            self._look_after_node()
            self._collect()

    def _look_after_node(self) -> None:
        """The kubelet's heartbeat: it registers its node anew if that was deleted; silent, it becomes NotReady."""
        now = time.monotonic()
        if self._is_connected():
            self._heard = now
            with suppress(ApiError):
                self._store.create("nodes", node_object())
            self._set_ready("True", "KubeletReady", "containers run as local processes")
        elif now - self._heard >= self._times.heartbeat:
            self._set_ready("Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.")

    def _set_ready(self, status: str, reason: str, message: str) -> None:
        def change(node: Json) -> None:
            for each in node["status"]["conditions"]:
                if each["type"] == "Ready" and each["status"] != status:
                    each.update(status=status, reason=reason, message=message, lastTransitionTime=timestamp())

        with suppress(ApiError):  # the node's object was deleted
            self._store.mutate("nodes", None, LOCAL_NODE, change)

    def _collect(self) -> None:
        nodes = {each["metadata"]["name"]: each for each in self._store.list("nodes")[0]}
        for pod in self._store.list("pods")[0]:
            with suppress(ApiError):  # it went away meanwhile
                self._collect_pod(pod, nodes)

    def _collect_pod(self, pod: Json, nodes: dict[str, Json]) -> None:
        name, going = pod["spec"].get("nodeName"), "deletionTimestamp" in pod["metadata"]
        if not name:
            if going:
                self._give_up(pod)
        elif name not in nodes:
            if self._has_been_missing(name):
                self._give_up(pod, _ORPHANED)
        else:
            self._missing.pop(name, None)
            if is_out_of_service(nodes[name]):
                self._end_out_of_service(pod, going=going)

    def _has_been_missing(self, node: str) -> bool:
        now = time.monotonic()
        return now - self._missing.setdefault(node, now) >= self._times.quarantine

    def _end_out_of_service(self, pod: Json, *, going: bool) -> None:
        if not going:
            self._mark(pod, _TAINTED)
            self._store.delete("pods", pod["metadata"]["namespace"], pod["metadata"]["name"])
        self._give_up(pod)

    def _give_up(self, pod: Json, why: tuple[str, str] | None = None) -> None:
        """Phase Failed, unless the pod is over, and the end of its object without a grace period."""
        self._mark(pod, why, failed=True)
        meta = pod["metadata"]
        self._store.delete("pods", meta["namespace"], meta["name"], grace_seconds=0, uid=meta["uid"])

    def _mark(self, pod: Json, why: tuple[str, str] | None, *, failed: bool = False) -> None:
        def change(pod: Json) -> None:
            status = pod.setdefault("status", {})
            if status.get("phase") in TERMINAL:
                return
            if why:
                others = [each for each in status.get("conditions", []) if each["type"] != "DisruptionTarget"]
                status["conditions"] = [*others, _disruption(*why)]
            if failed:
                status["phase"] = "Failed"

        self._store.mutate("pods", pod["metadata"]["namespace"], pod["metadata"]["name"], change)


def is_out_of_service(node: Json) -> bool:
    """Not ready, and said to be so for good by the taint of its administrator."""
    ready = {each["type"]: each["status"] for each in node["status"].get("conditions", ())}.get("Ready")
    tainted = any(each.get("key") == OUT_OF_SERVICE for each in node.get("spec", {}).get("taints") or ())
    return tainted and ready != "True"


def _disruption(reason: str, message: str) -> Json:
    now = timestamp()
    return {
        "type": "DisruptionTarget",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }
