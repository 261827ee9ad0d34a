"""What controllers share, and the objects that are simply there in a cluster: node, service accounts, root CA."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from contextlib import suppress
from threading import Thread

from podhooks.contract import LOCAL_NODE
from podhooks.kinds.resources import Json
from podhooks.local.events import timestamp
from podhooks.local.store import ApiError, Store, Watch
from podhooks.local.volumes import ROOT_CA

JOIN_SECONDS = 5.0
NO_CA = "# The embedded API server speaks plain HTTP on the loopback address: there is no certificate authority.\n"


class Informer:
    """Calls `handle(type, object)` for every object and every change, in a thread. Objects may be announced again."""

    def __init__(self, store: Store, plural: str, handle: Callable[[str, Json], None]) -> None:
        self._store = store
        self._plural = plural
        self._handle = handle
        self._watch: Watch = store.watch(plural)
        self._stopping = False
        self._thread = Thread(target=self._run, name=f"podhooks-watch-{plural}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._watch.close()
        self._thread.join(JOIN_SECONDS)

    def _run(self) -> None:
        while not self._stopping:
            for event in self._watch:
                if event.type == "ERROR":  # fell behind the history: look at everything afresh
                    self._watch = self._store.watch(self._plural)
                    break
                self._handle(event.type, event.object)
            else:
                return


class Bootstrap:
    """Gives every namespace its service account and root CA, and the cluster its node."""

    def __init__(self, store: Store, url: str) -> None:
        self._store = store
        self._url = url
        self._informer = Informer(store, "namespaces", self._namespace)

    def start(self) -> None:
        self._ensure("nodes", node_object())
        for namespace in self._store.list("namespaces")[0]:
            self._namespace("ADDED", namespace)
        self._informer.start()

    def stop(self) -> None:
        self._informer.stop()

    def _namespace(self, kind: str, namespace: Json) -> None:
        meta = namespace["metadata"]
        if kind != "ADDED" or "deletionTimestamp" in meta:
            return
        self._ensure("serviceaccounts", {"metadata": {"name": "default", "namespace": meta["name"]}})
        root = {"metadata": {"name": ROOT_CA, "namespace": meta["name"]}, "data": {"ca.crt": NO_CA}}
        self._ensure("configmaps", root)

    def _ensure(self, plural: str, obj: Json) -> None:
        with suppress(ApiError):  # it is there already, or its namespace is going
            self._store.create(plural, obj)


def node_object() -> Json:
    """The one node, as `kubectl get nodes` shows it."""
    now = timestamp()
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "KubeletReady",
        "message": "containers run as local processes",
        "lastHeartbeatTime": now,
        "lastTransitionTime": now,
    }
    capacity = {"cpu": str(os.cpu_count() or 1), "memory": f"{_memory_bytes() // 1024}Ki", "pods": "110"}
    info = {
        "architecture": platform.machine(),
        "kernelVersion": platform.release(),
        "kubeletVersion": "v1.36.0-podhooks",
        "osImage": platform.system(),
        "operatingSystem": "linux",
        "containerRuntimeVersion": "processes://1",
    }
    return {
        "metadata": {"name": LOCAL_NODE, "labels": {"kubernetes.io/hostname": LOCAL_NODE, "kubernetes.io/os": "linux"}},
        "spec": {},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": LOCAL_NODE}],
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": [ready],
            "nodeInfo": info,
        },
    }


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
