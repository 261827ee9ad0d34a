"""The kubelet and the scheduler of the one node: gives every pod a worker, and reads logs."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock, Thread

from podhooks.contract import LOCAL_NODE
from podhooks.kinds.resources import Json
from podhooks.local import logs
from podhooks.local.containers import Container
from podhooks.local.events import Recorder, timestamp
from podhooks.local.node import Node
from podhooks.local.podworker import PodWorker
from podhooks.local.problems import bad_request, not_found
from podhooks.local.statuses import TERMINAL
from podhooks.local.store import ApiError, Watch

JOIN_SECONDS = 5.0


class Kubelet:
    """Watches all pods and runs them. One thread for the watch, one per pod."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._scheduler_events = Recorder(node.store, "default-scheduler")
        self._lock = Lock()
        self._workers: dict[str, PodWorker] = {}
        self._watch: Watch = node.store.watch("pods")
        self._stopping = False
        self._thread = Thread(target=self._run, name="podhooks-kubelet", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def is_connected(self) -> bool:
        return self._node.connected.is_set()

    def disconnect(self) -> None:
        """The kubelet is cut off, or down: pods go on, and the API hears nothing of them."""
        self._node.connected.clear()

    def reconnect(self) -> None:
        """The kubelet is back: it says how its pods are, and hears what was asked of them meanwhile."""
        self._node.connected.set()
        self._watch.close()
        with self._lock:
            workers = list(self._workers.values())
        for worker in workers:
            worker.publish_again()

    def stop(self) -> None:
        """Stop working. The processes are still there; the sandbox kills them."""
        self._stopping = True
        self._node.connected.set()
        self._watch.close()
        self._thread.join(JOIN_SECONDS)
        with self._lock:
            workers = list(self._workers.values())
        for worker in workers:
            worker.stop()

    def join(self) -> None:
        """Wait for the workers, after the sandbox has stopped."""
        for worker in list(self._workers.values()):
            worker.join(JOIN_SECONDS)

    def _run(self) -> None:
        while not self._stopping:
            for event in self._watch:
                self._node.connected.wait()
                if event.type == "ERROR":  # fell behind the history: look at everything afresh
                    break
                self._handle(event.type, event.object)
            if self._is_stopping():
                return
            self._watch = self._node.store.watch("pods")
            self._forget_gone()

    def _is_stopping(self) -> bool:
        return self._stopping

    def _forget_gone(self) -> None:
        live = {pod["metadata"]["uid"] for pod in self._node.store.list("pods")[0]}
        with self._lock:
            gone = [(uid, worker) for uid, worker in self._workers.items() if uid not in live]
        for uid, worker in gone:
            self._drop(uid, worker)

    def _handle(self, kind: str, pod: Json) -> None:
        uid = pod["metadata"]["uid"]
        with self._lock:
            worker = self._workers.get(uid)
        if kind == "DELETED":
            if worker:
                self._drop(uid, worker)
        elif worker:
            worker.update(pod)
            if worker.finished and "deletionTimestamp" in pod["metadata"]:
                worker.delete_object()
        elif not pod["spec"].get("nodeName"):
            self._schedule(pod)
        elif pod["spec"]["nodeName"] == LOCAL_NODE and (pod.get("status") or {}).get("phase") not in TERMINAL:
            self._adopt(uid, pod)

    def _drop(self, uid: str, worker: PodWorker) -> None:
        with self._lock:
            self._workers.pop(uid, None)
        worker.remove()

    def _adopt(self, uid: str, pod: Json) -> None:
        worker = PodWorker(self._node, pod)
        with self._lock:
            self._workers[uid] = worker
        worker.start()

    def _schedule(self, pod: Json) -> None:
        meta = pod["metadata"]
        if pod["spec"].get("schedulingGates") or "deletionTimestamp" in meta:
            return

        def bind(pod: Json) -> None:
            pod["spec"]["nodeName"] = LOCAL_NODE
            scheduled = {"type": "PodScheduled", "status": "True", "lastProbeTime": None}
            pod["status"]["conditions"] = [{**scheduled, "lastTransitionTime": timestamp()}]

        try:
            self._node.store.mutate("pods", meta["namespace"], meta["name"], bind, subresource="*")
        except ApiError:  # it went away meanwhile
            return
        where = f"Successfully assigned {meta['namespace']}/{meta['name']} to {LOCAL_NODE}"
        self._scheduler_events.normal(pod, "Scheduled", where)

    # -- logs -------------------------------------------------------------------------------------------------------

    def logs(  # noqa: PLR0913 (the options of `kubectl logs`)
        self,
        namespace: str,
        pod: str,
        container: str | None = None,
        *,
        follow: bool = False,
        previous: bool = False,
        tail_lines: int | None = None,
        since_seconds: float | None = None,
        timestamps: bool = False,
        limit_bytes: int | None = None,
    ) -> Iterator[bytes]:
        """A container's output. ApiError 404: no such pod, 400: no such container, or it has not run yet."""
        found = self._container(namespace, pod, container)
        log = found.previous_log if previous else found.log
        if log is None and previous:
            raise bad_request(f'previous terminated container "{found.name}" in pod "{pod}" not found')
        if log is None:
            reason = found.waiting[0] if found.waiting else "PodInitializing"
            raise bad_request(f'container "{found.name}" in pod "{pod}" is waiting to start: {reason}')
        if not log.path.exists():
            raise not_found("pods", pod)
        return logs.select(
            log,
            follow=follow,
            tail_lines=tail_lines,
            since_seconds=since_seconds,
            timestamps=timestamps,
            limit_bytes=limit_bytes,
        )

    def _container(self, namespace: str, pod: str, name: str | None) -> Container:
        obj = self._node.store.get("pods", namespace, pod)
        with self._lock:
            worker = self._workers.get(obj["metadata"]["uid"])
        spec = obj["spec"]
        mains = [c["name"] for c in spec["containers"]]
        if not name and len(mains) > 1:
            choice = f"choose one of: [{' '.join(mains)}]"
            raise bad_request(f"a container name must be specified for pod {pod}, {choice}")
        wanted = name or mains[0]
        if wanted not in mains + [c["name"] for c in spec.get("initContainers") or ()]:
            raise bad_request(f"container {wanted} is not valid for pod {pod}")
        if worker is None:
            raise bad_request(f'container "{wanted}" in pod "{pod}" is waiting to start: the pod is not scheduled yet')
        return next(c for c in worker.containers if c.name == wanted)
