"""The rescue Job, made from the pod that was recorded. Pure.

Its container is the one that the injector would put into that pod: main's image, environment, mounts and identity
around our program. What belongs to the pod as its owner's (labels, annotations, hostname, scheduling groups) isn't
taken over: the owner's selector, a Service, a mesh or our own webhook must not take this pod for one of theirs.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from podhooks import contract
from podhooks.context import PodInfo
from podhooks.inject import InjectSettings, containers
from podhooks.inject.case import Case
from podhooks.inject.edit import plain
from podhooks.inject.inject_settings import Delivery
from podhooks.inject.removal import without_ours
from podhooks.pod.object import main_container, mapping, mappings, text
from podhooks.runtime.record import RecordData
from podhooks.runtime.rescue_task import RescueTask
from podhooks_operator.rescue.debt import plan_of
from podhooks_operator.rescue.objects import Rescue

Json: TypeAlias = Any
ROOM_SECONDS = 600.0  # to be scheduled, to pull images, to get its volumes
RETRY_PAUSE_SECONDS = 30.0  # at most, before each retry of a callback
LEAST_SECONDS = 60.0
KEPT_SECONDS = 86400  # an ended Job, for its pod's log; longer than any Rescue stays open
MAX_TASK_BYTES = 200_000  # all annotations of an object have 256 KiB

TAKEN_OVER = (
    "serviceAccountName",
    "automountServiceAccountToken",
    "imagePullSecrets",
    "nodeSelector",
    "tolerations",
    "affinity",
    "securityContext",
    "runtimeClassName",
    "priorityClassName",
    "schedulerName",
    "hostNetwork",
    "hostUsers",
    "hostAliases",
    "dnsPolicy",
    "dnsConfig",
    "enableServiceLinks",
    "os",
)
"""Of the pod's spec. Not `nodeName`, which the scheduler wrote; not `hostname`, `subdomain` and the spread constraints,
which are about the owner's set of pods."""

LOST_VOLUMES = ("emptyDir", "ephemeral")
"""Kinds of volumes whose contents end with their pod."""

MESH_OPT_OUTS = {
    "sidecar.istio.io/inject": "false",
    "linkerd.io/inject": "disabled",
    "kuma.io/sidecar-injection": "disabled",
    "consul.hashicorp.com/connect-inject": "false",
    "openservicemesh.io/sidecar-injection": "disabled",
}
"""As annotations. A mesh's proxy that doesn't end keeps a Job from ever completing."""

MESH_OPT_OUT_LABELS = {"sidecar.istio.io/inject": "false", "kuma.io/sidecar-injection": "disabled"}
"""The same where the mesh looks at labels first."""


def rescue_job(
    rescue: Rescue, attempt: int, inject: InjectSettings, now: datetime, ends_at: datetime
) -> dict[str, Json]:
    """`ends_at` is when the Rescue expires: no Job outlives it."""
    labels = {"app.kubernetes.io/managed-by": "podhooks", contract.RESCUE_LABEL: rescue.pod.uid}
    name = job_name(rescue, attempt)
    metadata = {"name": name, "namespace": rescue.pod.namespace, "labels": labels}
    spec = {
        "backoffLimit": 0,
        "completions": 1,
        "parallelism": 1,
        "activeDeadlineSeconds": seconds_for(rescue, now, ends_at),
        "ttlSecondsAfterFinished": KEPT_SECONDS,
        "template": _template(rescue, inject, labels),
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def trial_pod(job: Mapping[str, Json]) -> dict[str, Json]:
    """The pod that the Job controller would create: a dry run of the Job itself asks neither quotas nor webhooks of
    pods."""
    template = plain(job["spec"]["template"])
    name, namespace = job["metadata"]["name"], job["metadata"]["namespace"]
    metadata = {**template["metadata"], "generateName": f"{name}-", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def job_name(rescue: Rescue, attempt: int) -> str:
    """At most 63 characters, and another one for every pod and attempt."""
    stem = re.sub(r"[^a-z0-9-]", "-", rescue.pod.name)[:30].strip("-")
    return f"{stem}-rescue-{rescue.pod.uid.replace('-', '')[:12]}-{attempt}"


def seconds_for(rescue: Rescue, now: datetime, ends_at: datetime) -> int:
    owed = [each for each in plan_of(rescue.object).on_exit if each.key in rescue.owed]
    budget = sum(each.timeout_seconds * (each.retries + 1) + RETRY_PAUSE_SECONDS * each.retries for each in owed)
    left = (ends_at - now) / timedelta(seconds=1)
    return math.ceil(max(min(budget + ROOM_SECONDS, left), LEAST_SECONDS))


def _template(rescue: Rescue, inject: InjectSettings, labels: Mapping[str, str]) -> dict[str, Json]:
    bare, _ = without_ours(plain(rescue.object))
    case = Case(bare, plan_of(rescue.object), inject)
    container = _container(case, rescue)
    mounted = {each["name"] for field in ("volumeMounts", "volumeDevices") for each in mappings(container.get(field))}
    volumes = [*_theirs(case, mounted), *_ours(case)]
    emptied = tuple(_emptied(container, volumes))
    spec: dict[str, Json] = {key: case.spec[key] for key in TAKEN_OVER if case.spec.get(key) is not None}
    spec |= {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": contract.DEFAULT_GRACE_SECONDS,
        "containers": [container],
        "volumes": volumes,
    }
    if inject.delivery is Delivery.COPY:
        spec["initContainers"] = [containers.runtime_container(case)]
    annotations = {**MESH_OPT_OUTS, contract.RESCUE_ANNOTATION: task_text(rescue, emptied)}
    return {"metadata": {"labels": {**labels, **MESH_OPT_OUT_LABELS}, "annotations": annotations}, "spec": spec}


def _container(case: Case, rescue: Rescue) -> dict[str, Json]:
    container: dict[str, Json] = plain(containers.hook_container(case, contract.ON_EXIT_CONTAINER))
    container.pop("restartPolicy", None)
    container["env"] = [
        *(_resolved(each, rescue.object) for each in container["env"]),
        {"name": contract.ENV_RESCUE, "value": f"{contract.PODINFO_DIR}/{contract.RESCUE_FILE}"},
    ]
    mounts = container["volumeMounts"]  # the token comes anew
    container["volumeMounts"] = [each for each in mounts if each["mountPath"] != contract.SERVICE_ACCOUNT_DIR]
    return container


def _resolved(entry: dict[str, Json], pod: Mapping[str, Json]) -> dict[str, Json]:
    """A variable that refers to the pod keeps the value it had there."""
    source = mapping(entry.get("valueFrom"))
    if "resourceFieldRef" in source:
        reference = {key: each for key, each in mapping(source["resourceFieldRef"]).items() if key != "containerName"}
        return {"name": entry["name"], "valueFrom": {"resourceFieldRef": reference}}
    value = _field(text(mapping(source.get("fieldRef")).get("fieldPath")), pod)
    return entry if value is None else {"name": entry["name"], "value": value.replace("$(", "$$(")}


def _field(path: str, pod: Mapping[str, Json]) -> str | None:
    """The value of a `fieldRef` in `pod`; None for one that we don't know."""
    metadata, spec, status = (mapping(pod.get(key)) for key in ("metadata", "spec", "status"))
    if match := re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path):
        return text(mapping(metadata.get(match[1])).get(match[2]))
    known = {
        "metadata.name": metadata.get("name"),
        "metadata.namespace": metadata.get("namespace"),
        "metadata.uid": metadata.get("uid"),
        "spec.nodeName": spec.get("nodeName"),
        "spec.serviceAccountName": spec.get("serviceAccountName"),
        "status.podIP": status.get("podIP"),
        "status.hostIP": status.get("hostIP"),
        "status.podIPs": ",".join(text(each.get("ip")) for each in mappings(status.get("podIPs"))),
        "status.hostIPs": ",".join(text(each.get("ip")) for each in mappings(status.get("hostIPs"))),
    }
    return text(known[path]) if path in known else None


def _theirs(case: Case, mounted: set[str]) -> Iterator[dict[str, Json]]:
    """The pod's own volumes that main mounts."""
    for each in mappings(case.spec.get("volumes")):
        if each.get("name") in mounted and each.get("name") not in contract.OUR_VOLUMES:
            yield dict(each)


def _ours(case: Case) -> list[dict[str, Json]]:
    path = f"metadata.annotations['{contract.RESCUE_ANNOTATION}']"
    task = {"items": [{"path": contract.RESCUE_FILE, "fieldRef": {"fieldPath": path}}]}
    ours = {each["name"]: each for each in containers.volumes(case)}
    return list({**ours, contract.PODINFO_VOLUME: {"name": contract.PODINFO_VOLUME, "downwardAPI": task}}.values())


def _emptied(container: Mapping[str, Json], volumes: list[dict[str, Json]]) -> Iterator[str]:
    lost = {each["name"] for each in volumes if any(kind in each for kind in LOST_VOLUMES)} - {contract.RUNTIME_VOLUME}
    for mount in mappings(container.get("volumeMounts")):
        if mount["name"] in lost:
            yield text(mount["mountPath"])


def task_text(rescue: Rescue, emptied: tuple[str, ...]) -> str:
    """At most MAX_TASK_BYTES: without the pod's object, then without others' annotations, where all is too much."""
    task = _task(rescue, emptied)
    ours = {key: each for key, each in task.pod.annotations.items() if key.startswith(contract.PREFIX)}
    bare = task.replace(pod_object={})
    for each in (task, bare, bare.replace(pod=bare.pod.replace(annotations=ours))):
        written = json.dumps(each.to_json(), separators=(",", ":"))
        if len(written) <= MAX_TASK_BYTES:
            break
    return written


def _task(rescue: Rescue, emptied: tuple[str, ...]) -> RescueTask:
    metadata = mapping(rescue.object.get("metadata"))
    labels, annotations = (
        {key: each for key, each in mapping(metadata.get(field)).items() if isinstance(each, str)}
        for field in ("labels", "annotations")
    )
    of = rescue.pod
    record: RecordData | None = rescue.record
    return RescueTask(
        pod=PodInfo(of.name, of.namespace, of.uid, of.node, labels, annotations),
        main_container=main_container(rescue.object) or "",
        exit_info=rescue.verdict,
        record=record,
        emptied=emptied,
        pod_object=rescue.object,
    )
