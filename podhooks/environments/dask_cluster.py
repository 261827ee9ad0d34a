"""The objects of a Dask cluster: a DaskCluster, and a DaskAutoscaler where it may grow. Pure, but for reading files.

The Dask operator makes pods and services of them. dask-kubernetes' own function writes the DaskCluster, where it is
installed; what is written here is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podhooks.environments import pin12
from podhooks.environments.manifest import read_mapping
from podhooks.errors import InputError, ManifestError
from podhooks.pod.object import mapping

API_VERSION = "kubernetes.dask.org/v1"
DEFAULT_IMAGE = "ghcr.io/dask/dask:latest"
SCHEDULER_PORT = 8786
DASHBOARD_PORT = 8787
WORKER_DASHBOARD_PORT = 8788

Object = dict[str, Any]


@dataclass(frozen=True)
class ClusterSpec:
    """What a DaskCluster is made of. The specs are pods' (with `spec`), in the place of the default ones."""

    min_workers: int = 1
    max_workers: int = 2
    work_stealing: bool = True
    image: str = DEFAULT_IMAGE
    image_pull_secrets: tuple[str, ...] = ()
    scheduler: Mapping[str, Any] | None = None
    worker: Mapping[str, Any] | None = None

    @property
    def grows(self) -> bool:
        return self.max_workers > self.min_workers


def check_workers(min_workers: int, max_workers: int) -> None:
    """Raises InputError."""
    for name, value in (("min_workers", min_workers), ("max_workers", max_workers)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise InputError(f"{name}: {value!r} isn't a number of workers: give a whole one, 0 or more")
    if max_workers < min_workers or max_workers == 0:
        raise InputError(f"max_workers: {max_workers} is less than min_workers ({min_workers}), or no worker at all")


def read_pod(path: str | Path | None, what: str) -> Object | None:
    """A Pod, or anything with a pod's `spec`; None for no file. Raises ManifestError."""
    if path is None:
        return None
    found = read_mapping(path, what)
    containers = mapping(found.get("spec")).get("containers")
    if not containers or not isinstance(containers, list):
        raise ManifestError(f"{what} {path}: spec.containers is empty: write a Pod")
    return {key: found[key] for key in ("metadata", "spec") if key in found}


def scheduler_address(name: str, namespace: str) -> str:
    return f"tcp://{name}-scheduler.{namespace}:{SCHEDULER_PORT}"


def cluster_objects(name: str, namespace: str, spec: ClusterSpec) -> list[Object]:
    """The DaskCluster, then its autoscaler."""
    made = _by_dask_kubernetes(name, spec) or own_cluster(name, spec)
    made["metadata"]["namespace"] = namespace
    for part, given in (("scheduler", spec.scheduler), ("worker", spec.worker)):
        if given is not None:
            made["spec"][part].update(_with_images(given, spec.image))
        elif spec.image_pull_secrets:
            secrets = [{"name": each} for each in spec.image_pull_secrets]
            made["spec"][part]["spec"]["imagePullSecrets"] = secrets
    return [_without_nulls(made), *([_autoscaler(name, namespace, spec)] if spec.grows else [])]


def _with_images(pod: Mapping[str, Any], image: str) -> Object:
    """Containers that name none have the cluster's: in Prefect 0.15 files needn't name one."""
    containers = [{"image": image, **each} for each in pod["spec"]["containers"]]
    return {**pod, "spec": {**pod["spec"], "containers": containers}}


def _by_dask_kubernetes(name: str, spec: ClusterSpec) -> Object | None:
    try:
        from dask_kubernetes.operator import make_cluster_spec  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        return None
    made: Object = make_cluster_spec(name, image=spec.image, n_workers=spec.min_workers, env=_env(spec))
    for part in ("scheduler", "worker"):  # as of 2026.3 it starts programs that distributed 2026.6 has no more
        pod = made["spec"][part]["spec"]
        pod["containers"] = [pin12.with_programs_of_today(each) for each in pod["containers"]]
    return made


def own_cluster(name: str, spec: ClusterSpec) -> Object:
    scheduler = {
        "name": "scheduler",
        "image": spec.image,
        "args": ["dask", "scheduler", "--host", "0.0.0.0"],  # noqa: S104  in a pod: the workers are in others
        "env": _env(spec),
        "ports": _ports("containerPort"),
        "readinessProbe": {**_PROBE, "initialDelaySeconds": 0, "periodSeconds": 1, "timeoutSeconds": 300},
        "livenessProbe": {**_PROBE, "initialDelaySeconds": 15, "periodSeconds": 20},
    }
    dashboard = ["--dashboard", "--dashboard-address", str(WORKER_DASHBOARD_PORT)]
    worker = {
        "name": "worker",
        "image": spec.image,
        "args": ["dask", "worker", "--name", "$(DASK_WORKER_NAME)", *dashboard],
        "env": _env(spec),
        "ports": [{"name": "http-dashboard", "containerPort": WORKER_DASHBOARD_PORT, "protocol": "TCP"}],
    }
    selector = {"dask.org/cluster-name": name, "dask.org/component": "scheduler"}
    ports = [{**each, "targetPort": each["name"]} for each in _ports("port")]
    return {
        "apiVersion": API_VERSION,
        "kind": "DaskCluster",
        "metadata": {"name": name},
        "spec": {
            "idleTimeout": 0,
            "worker": {"replicas": spec.min_workers, "spec": {"containers": [worker]}},
            "scheduler": {
                "spec": {"containers": [scheduler]},
                "service": {"type": "ClusterIP", "selector": selector, "ports": ports},
            },
        },
    }


_PROBE: Mapping[str, Any] = {"httpGet": {"port": "http-dashboard", "path": "/health"}}


def _ports(field: str) -> list[Object]:
    named = {"tcp-comm": SCHEDULER_PORT, "http-dashboard": DASHBOARD_PORT}
    return [{"name": name, field: port, "protocol": "TCP"} for name, port in named.items()]


def _env(spec: ClusterSpec) -> list[Object]:
    return [{"name": "DASK_DISTRIBUTED__SCHEDULER__WORK_STEALING", "value": str(spec.work_stealing)}]


def _autoscaler(name: str, namespace: str, spec: ClusterSpec) -> Object:
    return {
        "apiVersion": API_VERSION,
        "kind": "DaskAutoscaler",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"cluster": name, "minimum": spec.min_workers, "maximum": spec.max_workers},
    }


def _without_nulls(value: Any) -> Any:
    """dask-kubernetes writes null for what isn't given."""
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value
