"""Main in a Job of its own, on a Dask cluster that is made for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podhooks import contract, log
from podhooks.cluster.backend import Backend
from podhooks.context import EMPTY
from podhooks.environments import clusters, dask_cluster, flows, manifest, pin12
from podhooks.environments.dask_cluster import ClusterSpec
from podhooks.environments.hooks import Callbacks, Entry
from podhooks.environments.job_handle import JobHandle
from podhooks.environments.kubernetes_job import KubernetesJobEnvironment, Trip, made
from podhooks.environments.manifest import Object
from podhooks.errors import ApiError, InputError
from podhooks.inject import InjectSettings
from podhooks.pod.object import mapping

DELETE_CLUSTER = "podhooks.callbacks.dask:delete_cluster"


@dataclass(frozen=True)
class Standing:
    """A Dask cluster that `setup` made: where, and its objects as the server made them."""

    backend: Backend
    name: str
    namespace: str
    objects: tuple[Object, ...]


class DaskKubernetesEnvironment(KubernetesJobEnvironment):
    """`setup` makes a DaskCluster, which the Dask operator brings to life; `execute` runs the flow in a Job beside it.

    Main and the callbacks find the scheduler in DASK_SCHEDULER_ADDRESS, where Dask's `Client()` looks by itself. The
    last callback of on_exit deletes the cluster, also when main was killed.

    Args:
        min_workers: how many there are at first, and at least.
        max_workers: more than `min_workers` makes an autoscaler, too.
        scheduler_spec_file: a Pod for the scheduler. A Job is taken for the flow's, as it was in PIN-12's time.
        worker_spec_file: a Pod for each worker.
        image: of scheduler, workers and flow, where no file says otherwise; they should have the same packages.
        image_pull_secret: names of secrets, separated by commas, for the pods that no file describes.
        job_spec_file: the flow's Job.

    The others are `KubernetesJobEnvironment`'s. `scheduler_logs`, `private_registry`, `docker_secret` and
    `log_k8s_errors` have their places of Prefect 0.15, and are refused with a sentence.
    """

    where_main_runs = "a Job of its own, beside a DaskCluster made in setup"
    where_callbacks_run = "that Job's pod: init container and sidecar; on_exit also deletes the DaskCluster"

    def __init__(  # noqa: PLR0913, PLR0917  PIN-12's arguments, in its order
        self,
        min_workers: int = 1,
        max_workers: int = 2,
        work_stealing: bool = True,
        scheduler_logs: bool = False,
        private_registry: bool = False,
        docker_secret: None = None,
        labels: Iterable[str] | None = None,
        on_start: Callbacks = None,
        on_exit: Callbacks = None,
        metadata: Mapping[str, Any] | None = None,
        scheduler_spec_file: str | Path | None = None,
        worker_spec_file: str | Path | None = None,
        image_pull_secret: str | None = None,
        log_k8s_errors: bool = False,
        *,
        image: str | None = None,
        job_spec_file: str | Path | None = None,
        unique_job_name: bool = False,
        namespace: str | None = None,
        annotations: Mapping[str, str] = EMPTY,
        cluster: str | None = None,
        kubeconfig: str | None = None,
        settings: InjectSettings | None = None,
    ) -> None:
        pin12.refuse_gone(
            scheduler_logs=scheduler_logs,
            private_registry=private_registry,
            docker_secret=docker_secret,
            log_k8s_errors=log_k8s_errors,
        )
        dask_cluster.check_workers(min_workers, max_workers)
        image = pin12.image_of(image, metadata)
        if scheduler_spec_file and _is_job(scheduler_spec_file):
            if job_spec_file:
                raise InputError(
                    f"scheduler_spec_file {scheduler_spec_file}: is a Job, and job_spec_file is given, too"
                )
            job_spec_file, scheduler_spec_file = scheduler_spec_file, None
        self.cluster_spec = ClusterSpec(
            min_workers=min_workers,
            max_workers=max_workers,
            work_stealing=work_stealing,
            image=image or dask_cluster.DEFAULT_IMAGE,
            image_pull_secrets=tuple(filter(None, (image_pull_secret or "").replace(" ", "").split(","))),
            scheduler=_pod(scheduler_spec_file, "scheduler_spec_file"),
            worker=_pod(worker_spec_file, "worker_spec_file"),
        )
        self._standing: Standing | None = None
        super().__init__(
            job_spec_file,
            unique_job_name,
            None,
            labels,
            on_start,
            on_exit,
            metadata,
            image=image,
            namespace=namespace,
            annotations=annotations,
            cluster=cluster,
            kubeconfig=kubeconfig,
            settings=settings,
        )
        self._spec = _tried_once(self._spec, f"job_spec_file {self.job_spec_file}")

    @property
    def entries(self) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
        """With the deletion of the cluster after all others."""
        on_start, on_exit = super().entries
        where = {"name": self._standing.name, "namespace": self._standing.namespace} if self._standing else {}
        return on_start, (*on_exit, Entry(None, {"call": DELETE_CLUSTER, "with": where}))

    def setup(self, flow: Callable[..., object]) -> None:
        """Make the Dask cluster; `execute` does it, if this wasn't called.

        Raises:
            InputError: there is no cluster, it has no Dask operator, or it refuses. Nothing is left behind.
        """
        self.teardown()
        backend = clusters.connect(self.cluster, self.kubeconfig, self.settings, self._directory())
        name, namespace = manifest.unique(flows.name_of(flows.check(flow))), self._namespace(backend)
        objects = dask_cluster.cluster_objects(name, namespace, self.cluster_spec)
        created: list[Object] = []
        try:
            for each in objects:
                created.append(_made(_below(each, created), backend))
        except BaseException:
            _remove(created, backend)
            backend.close()
            raise
        self._standing = Standing(backend, name, namespace, tuple(created))

    def teardown(self) -> None:
        """Remove a cluster that `setup` made and no run has used."""
        standing, self._standing = self._standing, None
        if standing is not None:
            _remove(standing.objects, standing.backend)
            standing.backend.close()

    def _connected(self, flow: Callable[..., object]) -> Backend:
        if self._standing is None:
            self.setup(flow)
        assert self._standing is not None  # noqa: S101  setup has made it, or raised
        return self._standing.backend

    def _variables(self, flow_run_id: str | None) -> dict[str, str]:
        found = super()._variables(flow_run_id)
        if self._standing is None:
            return found
        address = dask_cluster.scheduler_address(self._standing.name, self._standing.namespace)
        return {contract.ENV_SCHEDULER: address, **found}

    def _handle(self, backend: Backend, job: Object, trip: Trip) -> JobHandle:
        """From here on the cluster is the run's: the next one has its own."""
        objects = self._standing.objects if self._standing else ()
        self._standing = None
        return JobHandle(backend, job, main=trip.main, label=trip.planned.label, others=objects)

    def _give_up(self, backend: Backend) -> None:  # noqa: ARG002  it is the one of setup
        self.teardown()


def _is_job(path: str | Path) -> bool:
    """Old files needn't say their kind, and a pod has no template."""
    found = manifest.read_mapping(path, "scheduler_spec_file")
    return found.get("kind") == "Job" or "template" in mapping(found.get("spec"))


def _pod(path: str | Path | None, what: str) -> Object | None:
    """Of a file, with a warning for each old thing in it."""
    read = dask_cluster.read_pod(path, what)
    if read is None:
        return None
    pod, warnings = pin12.worker_pod(read, f"{what} {path}")
    for line in warnings:
        log.warning(line)
    return pod


def _tried_once(job: Object, name: str) -> Object:
    """Kubernetes tries a Job six times more where it doesn't say, and on_exit of the first try deletes the cluster."""
    spec = {"backoffLimit": 0, **job["spec"]}
    if spec["backoffLimit"] != 0:
        raise InputError(
            f"{name}: has spec.backoffLimit: {spec['backoffLimit']}, but the Dask cluster goes with the first try: "
            "make it 0, or leave it out"
        )
    return {**job, "spec": spec}


def _below(obj: Object, created: list[Object]) -> Object:
    """An autoscaler goes when its cluster goes."""
    if not created:
        return obj
    metadata = created[0]["metadata"]
    owner = {"apiVersion": created[0]["apiVersion"], "kind": created[0]["kind"], "name": metadata["name"]}
    return {**obj, "metadata": {**obj["metadata"], "ownerReferences": [{**owner, "uid": metadata["uid"]}]}}


def _made(obj: Object, backend: Backend) -> Object:
    try:
        return made(obj, backend)
    except InputError as error:
        cause = error.__cause__
        if isinstance(cause, ApiError) and cause.status == 404:
            raise InputError(
                f"{error}: does the cluster have the Dask operator? Install it: https://kubernetes.dask.org"
            ) from cause
        raise


def _remove(objects: Iterable[Object], backend: Backend) -> None:
    for each in reversed(list(objects)):
        try:
            backend.delete(each)
        except ApiError:  # noqa: PERF203  the others are to go all the same
            continue
