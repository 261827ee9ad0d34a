"""What the API server adds to a new pod or job, and what it refuses. Pure but for random names."""

from __future__ import annotations

import random
from collections.abc import Iterator

from podhooks.contract import DEFAULT_GRACE_SECONDS, SERVICE_ACCOUNT_DIR, TERMINATION_LOG
from podhooks.kinds.resources import Json
from podhooks.local.problems import invalid
from podhooks.local.volumes import ROOT_CA

_NAME_CHARACTERS = "bcdfghjklmnpqrstvwxz2456789"
_FILE_MODE = 0o644
RESTART_POLICIES = ("Always", "OnFailure", "Never")


def default_pod(pod: Json) -> None:
    """Fill in a new pod. ApiError 422: it is not valid."""
    name, spec = pod["metadata"]["name"], pod.setdefault("spec", {})
    check_pod_spec(spec, "pods", name, "spec")
    default_pod_spec(spec)
    _mount_service_account(spec)
    pod["status"] = {"phase": "Pending", "qosClass": qos_class(spec)}


def default_pod_spec(spec: Json) -> None:
    """The defaults that pods and pod templates share."""
    defaults = {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": DEFAULT_GRACE_SECONDS,
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
    }
    for field, value in defaults.items():
        spec.setdefault(field, value)
    spec.setdefault("securityContext", {})
    for container in _containers(spec):
        _default_container(container)
    for volume in spec.get("volumes") or ():
        _default_volume(volume)


def _containers(spec: Json) -> Iterator[Json]:
    yield from spec.get("initContainers") or ()
    yield from spec.get("containers") or ()


def _default_container(container: Json) -> None:
    container.setdefault("terminationMessagePath", TERMINATION_LOG)
    container.setdefault("terminationMessagePolicy", "File")
    container.setdefault("resources", {})
    image = str(container.get("image", ""))
    tag = image.rpartition("/")[2].partition(":")[2]
    latest = tag in ("", "latest") and "@" not in image
    container.setdefault("imagePullPolicy", "Always" if latest else "IfNotPresent")
    for entry in container.get("env") or ():
        reference = (entry.get("valueFrom") or {}).get("fieldRef")
        if reference is not None:
            reference.setdefault("apiVersion", "v1")
    for port in container.get("ports") or ():
        port.setdefault("protocol", "TCP")


def _default_volume(volume: Json) -> None:
    if set(volume) == {"name"}:
        volume["emptyDir"] = {}
    for kind in ("configMap", "secret", "projected", "downwardAPI"):
        if volume.get(kind) is not None:
            volume[kind].setdefault("defaultMode", _FILE_MODE)


def _mount_service_account(spec: Json) -> None:
    """What the API server's ServiceAccount admission does."""
    account = spec.setdefault("serviceAccountName", spec.get("serviceAccount") or "default")
    spec["serviceAccount"] = account
    spec.setdefault("enableServiceLinks", True)
    lacking = [c for c in _containers(spec) if not _mounts(c, SERVICE_ACCOUNT_DIR)]
    if spec.get("automountServiceAccountToken") is False or not lacking:
        return
    name = "kube-api-access-" + "".join(random.choices(_NAME_CHARACTERS, k=5))  # noqa: S311 (no secret)
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    sources: list[Json] = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": ROOT_CA, "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [namespace]}},
    ]
    spec.setdefault("volumes", []).append({"name": name, "projected": {"sources": sources, "defaultMode": _FILE_MODE}})
    for container in lacking:
        mount = {"name": name, "readOnly": True, "mountPath": SERVICE_ACCOUNT_DIR}
        container.setdefault("volumeMounts", []).append(mount)


def _mounts(container: Json, path: str) -> bool:
    return any(mount.get("mountPath") == path for mount in container.get("volumeMounts") or ())


def qos_class(spec: Json) -> str:
    """Guaranteed: every container limits CPU and memory and requests no less. BestEffort: none says anything."""
    resources = [c.get("resources") or {} for c in _containers(spec)]
    if not any(r.get("limits") or r.get("requests") for r in resources):
        return "BestEffort"
    for given in resources:
        limits = given.get("limits") or {}
        if not {"cpu", "memory"} <= set(limits) or (given.get("requests") or limits) != limits:
            return "Burstable"
    return "Guaranteed"


def check_pod_spec(spec: Json, plural: str, name: str, where: str) -> None:
    """The rules whose violation would only show up later, as a pod that hangs. ApiError 422."""
    if not spec.get("containers"):
        raise invalid(plural, name, f"{where}.containers", "Required value")
    if spec.get("restartPolicy", "Always") not in RESTART_POLICIES:
        raise _unsupported(plural, name, f"{where}.restartPolicy", spec["restartPolicy"], RESTART_POLICIES)
    volumes = {volume.get("name") for volume in spec.get("volumes") or ()}
    names: set[str] = set()
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or ()):
            at = f"{where}.{field}[{index}]"
            if not container.get("name"):
                raise invalid(plural, name, f"{at}.name", "Required value")
            if container["name"] in names:
                raise invalid(plural, name, f"{at}.name", f'Duplicate value: "{container["name"]}"')
            names.add(container["name"])
            if not container.get("image"):
                raise invalid(plural, name, f"{at}.image", "Required value")
            _check_mounts(container, volumes, plural, name, at)


def _check_mounts(container: Json, volumes: set[str | None], plural: str, name: str, at: str) -> None:
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        if mount.get("name") not in volumes:
            raise invalid(plural, name, f"{at}.volumeMounts[{index}].name", f'Not found: "{mount.get("name")}"')


def _unsupported(plural: str, name: str, field: str, value: object, known: tuple[str, ...]) -> Exception:
    choice = ", ".join(f'"{k}"' for k in known)
    return invalid(plural, name, field, f'Unsupported value: "{value}": supported values: {choice}')


def default_job(job: Json) -> None:
    """Fill in a new job. ApiError 422: it is not valid."""
    meta, spec = job["metadata"], job.setdefault("spec", {})
    template = spec.setdefault("template", {})
    pod_spec = template.setdefault("spec", {})
    policy = pod_spec.get("restartPolicy", "Always")
    if policy not in ("OnFailure", "Never"):
        raise _unsupported("jobs", meta["name"], "spec.template.spec.restartPolicy", policy, ("OnFailure", "Never"))
    check_pod_spec(pod_spec, "jobs", meta["name"], "spec.template.spec")
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    if spec.get("completionMode", "NonIndexed") == "Indexed" and spec.get("completions") is None:
        raise invalid("jobs", meta["name"], "spec.completions", "Required value: when completion mode is Indexed")
    defaults = {
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "suspend": False,
        "manualSelector": False,
        "podReplacementPolicy": "TerminatingOrFailed",
    }
    for field, value in defaults.items():
        spec.setdefault(field, value)
    default_pod_spec(pod_spec)
    labels = {"controller-uid": meta["uid"], "job-name": meta["name"]}
    all_labels = {**labels, **{f"batch.kubernetes.io/{key}": value for key, value in labels.items()}}
    template["metadata"] = {**(template.get("metadata") or {})}
    template["metadata"]["labels"] = {**(template["metadata"].get("labels") or {}), **all_labels}
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": meta["uid"]}}
    job["metadata"].setdefault("labels", dict(template["metadata"]["labels"]))
    job["status"] = {}
