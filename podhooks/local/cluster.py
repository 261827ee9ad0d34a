"""`Cluster`: the API server, the kubelet and the controllers of the stand-in, started and stopped together."""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from podhooks.errors import InputError
from podhooks.local.apiserver import ApiServer
from podhooks.local.containers import Backoff
from podhooks.local.controller import Bootstrap
from podhooks.local.defaults import default_job, default_pod
from podhooks.local.events import Recorder
from podhooks.local.jobs import JobController
from podhooks.local.kubelet import Kubelet
from podhooks.local.limitations import notices
from podhooks.local.node import Node, base_environment
from podhooks.local.nodecontroller import NodeController, NodeTimes
from podhooks.local.runtime_image import runtime_image
from podhooks.local.sandbox import Sandbox
from podhooks.local.store import Store

BACKOFF_SECONDS = 10.0


class Cluster:
    """One node, one user, as long as the `with` block. Several may run at once; nothing outlives them.

    Args:
        sandbox: "namespaces" or "paths" (see `sandbox.py`) instead of trying which one the machine allows.
        backoff_seconds: the first delay of CrashLoopBackOff, doubling to 300.
        job_backoff_seconds: the same for the pods of a failing Job, doubling to 600.
        relist_seconds: delay between a container's end and the kubelet's noticing; a real one has up to 1.
        missing_images: images that "can't be pulled".
        node_times: how soon the controllers give up a node that is silent or gone.
        image_volumes: image references and the directories that stand for them as image volumes.
        directory: working directory of containers whose spec names none; default: the current one.
        environment: variables that an image would set; default: PATH, HOME and a few others of this process.
        keep: leave the state directory (volumes, logs) where it is.
    """

    def __init__(  # noqa: PLR0913 (settings, by name, each with a default)
        self,
        *,
        sandbox: str | None = None,
        backoff_seconds: float = BACKOFF_SECONDS,
        job_backoff_seconds: float = BACKOFF_SECONDS,
        relist_seconds: float = 0.0,
        node_times: NodeTimes | None = None,
        missing_images: Collection[str] = (),
        image_volumes: Mapping[str, Path] | None = None,
        directory: str | Path | None = None,
        environment: Mapping[str, str] | None = None,
        keep: bool = False,
    ) -> None:
        self.image_volumes: dict[str, Path] = dict(image_volumes or {})
        self.missing_images: set[str] = set(missing_images)
        self.keep = keep
        self._mode = sandbox
        self._backoff_seconds = backoff_seconds
        self._job_backoff_seconds = job_backoff_seconds
        self._relist_seconds = relist_seconds
        self._node_times = node_times or NodeTimes()
        self._directory = str(directory or os.getcwd())
        self._environment = dict(environment) if environment is not None else base_environment()
        self._running: _Running | None = None

    notices = staticmethod(notices)

    def start(self) -> Cluster:
        """Start everything; returns itself. RuntimeError if it runs already, InputError where it can't run."""
        if self._running:
            raise RuntimeError("this cluster runs already")
        if platform.system() != "Linux":
            raise InputError(f"the local cluster needs Linux, this is {platform.system()}: use a real one (--context)")
        self._running = _Running(self, Path(tempfile.mkdtemp(prefix="podhooks-")))
        return self

    def stop(self) -> None:
        """Kill what runs and remove the state directory. Idempotent; takes a second at most."""
        running, self._running = self._running, None
        if running:
            running.stop()

    def __enter__(self) -> Cluster:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def store(self) -> Store:
        return self._now.store

    @property
    def apiserver(self) -> ApiServer:
        return self._now.apiserver

    @property
    def url(self) -> str:
        return self._now.apiserver.url

    @property
    def token(self) -> str:
        return self._now.apiserver.token

    @property
    def state_dir(self) -> Path:
        return self._now.state_dir

    @property
    def sandbox(self) -> str:
        """One line for people: how containers run here."""
        return self._now.sandbox.line

    @property
    def sandbox_mode(self) -> str:
        """ "namespaces" or "paths"."""
        return self._now.sandbox.mode

    def disconnect_node(self) -> None:
        """The node is cut off: its pods go on, and the API server hears nothing of them."""
        self._now.kubelet.disconnect()

    def reconnect_node(self) -> None:
        """The node is back, and says how its pods are."""
        self._now.kubelet.reconnect()

    def kubeconfig(self, path: str | Path) -> Path:
        """Write a kubeconfig (mode 0600) for kubectl and client libraries."""
        return self._now.apiserver.kubeconfig(path)

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
        """A container's output, line by line. ApiError 404 or 400 as from a real server."""
        return self._now.kubelet.logs(
            namespace,
            pod,
            container,
            follow=follow,
            previous=previous,
            tail_lines=tail_lines,
            since_seconds=since_seconds,
            timestamps=timestamps,
            limit_bytes=limit_bytes,
        )

    @property
    def _now(self) -> _Running:
        if not self._running:
            raise RuntimeError("this cluster isn't running: use it as a context manager or call start()")
        return self._running

    def _images(self, state_dir: Path) -> dict[str, Path]:
        return {**runtime_image(state_dir / "images"), **self.image_volumes}

    def _node(self, running: _Running) -> Node:
        return Node(
            store=running.store,
            sandbox=running.sandbox,
            recorder=Recorder(running.store, "kubelet"),
            state_dir=running.state_dir,
            url=running.apiserver.url,
            token=running.apiserver.token,
            directory=self._directory,
            backoff=Backoff(self._backoff_seconds),
            relist_seconds=self._relist_seconds,
            keep=self.keep,
            missing_images=self.missing_images,
            images=self._images(running.state_dir),
            environment=self._environment,
        )


class _Running:
    """The parts while they run, in the order of their start."""

    def __init__(self, cluster: Cluster, state_dir: Path) -> None:
        self.state_dir = state_dir
        self._keep = cluster.keep
        self.store = Store()
        self.store.defaulters.update(pods=default_pod, jobs=default_job)
        self.sandbox = Sandbox(state_dir, mode=cluster._mode, remove_state=not cluster.keep)
        self.apiserver = ApiServer(self.store, token=secrets.token_urlsafe(32))
        self.apiserver.start()
        self.kubelet = Kubelet(cluster._node(self))
        self.apiserver.logs = self.kubelet.logs
        self.bootstrap = Bootstrap(self.store, self.apiserver.url)
        self.jobs = JobController(self.store, cluster._job_backoff_seconds)
        self.nodes = NodeController(self.store, lambda: self.kubelet.is_connected, cluster._node_times)
        for part in (self.bootstrap, self.kubelet, self.jobs, self.nodes):
            part.start()

    def stop(self) -> None:
        self.nodes.stop()
        self.jobs.stop()
        self.bootstrap.stop()
        self.kubelet.stop()
        self.sandbox.stop()
        self.kubelet.join()
        self.store.close()
        self.apiserver.stop()
        if not self._keep:
            shutil.rmtree(self.state_dir, ignore_errors=True)
