"""What the injector itself has to say about a pod. Each check is a function from the case to findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from podhooks import contract
from podhooks.annotations.durations import format_duration
from podhooks.annotations.finding import Finding, Severity, did_you_mean
from podhooks.annotations.plan import Mode
from podhooks.inject import dask, interpreter, jobs, needs, pod_resources, quality_of_service
from podhooks.inject.case import Case
from podhooks.inject.container_resources import is_quantity
from podhooks.inject.env import OUR_ENV_NAMES, SHARED_ENV
from podhooks.inject.inject_settings import Delivery
from podhooks.inject.shapes import Json
from podhooks.pod.object import is_shared_mount, mapping, mappings, sequence, text, whole

CODES: Mapping[str, Severity] = {
    "malformed-pod": Severity.ERROR,
    "bad-status": Severity.ERROR,
    "no-containers": Severity.ERROR,
    "windows": Severity.ERROR,
    "mirror-pod": Severity.ERROR,
    "unknown-main": Severity.ERROR,
    "unknown-default-container": Severity.WARNING,
    "guessed-main": Severity.WARNING,
    **needs.CODES,
    "container-taken": Severity.ERROR,
    "volume-taken": Severity.ERROR,
    "mount-taken": Severity.ERROR,
    "env-taken": Severity.ERROR,
    "label-taken": Severity.ERROR,
    "bad-quantity": Severity.ERROR,
    pod_resources.CODE: Severity.ERROR,
    "native-too-new": Severity.ERROR,
    "image-volume-too-new": Severity.ERROR,
    "image-volume-off": Severity.WARNING,
    "user-namespace-image-volume": Severity.WARNING,
    **interpreter.CODES,
    "no-api-access": Severity.ERROR,
    "blind-on-exit": Severity.WARNING,
    "main-restarts": Severity.WARNING,
    "short-deadline": Severity.WARNING,
    **quality_of_service.CODES,
    "guarantee-not-kept": Severity.WARNING,
    "outside-needs-rescuer": Severity.WARNING,
    "outside-without-rescuer": Severity.ERROR,
    dask.CODE: Severity.WARNING,
    # of objects around the pod, see manifests.py
    **jobs.CODES,
    "misplaced": Severity.ERROR,
    "misplaced-too": Severity.WARNING,
    "annotations-not-mapping": Severity.ERROR,
    "no-template": Severity.WARNING,
    "may-be-pruned": Severity.WARNING,
    "native-not-in-crd": Severity.ERROR,
}
"""Every code of the injector's own findings; docs/inject.md describes each, a test compares them."""

NATIVE_SIDECARS_SINCE = (1, 29)  # on by default
IMAGE_VOLUMES_SINCE = (1, 31)  # behind a feature gate
IMAGE_VOLUMES_ON_SINCE = (1, 35)  # on by default; GA in 1.36
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
OUR_ROOT = "/podhooks"
ONLY_DICTS = frozenset({dict})


def finding(code: str, where: str, message: str) -> Finding:
    return Finding(code, CODES[code], where, message)


def check(case: Case) -> tuple[Finding, ...]:
    """Everything about a well-formed pod (see `malformed`) that has callbacks."""
    return tuple(found for each in CHECKS for found in each(case))


def _kind_of_pod(case: Case) -> Iterator[Finding]:
    os = mapping(case.spec.get("os")).get("name") or mapping(case.spec.get("nodeSelector")).get("kubernetes.io/os")
    if os == "windows":
        yield finding("windows", "spec.os.name", "Podhooks runs in Linux pods only: take its annotations out")
    if MIRROR_ANNOTATION in case.annotations:
        problem = "this mirrors a static pod, which the API can't change: run podhooks inject on the kubelet's own file"
        yield finding("mirror-pod", f"metadata.annotations[{MIRROR_ANNOTATION}]", problem)


def _label(case: Case) -> Iterator[Finding]:
    value = mapping(mapping(case.pod.get("metadata")).get("labels")).get(contract.GUARANTEE_LABEL)
    if case.plan.guaranteed and value not in (None, contract.GUARANTEE_CLUSTER):
        problem = f"is {value!r}, and with {contract.GUARANTEE}: cluster Podhooks sets this label itself: take it out"
        yield finding("label-taken", f"metadata.labels[{contract.GUARANTEE_LABEL}]", problem)


def _main(case: Case) -> Iterator[Finding]:
    names = [text(each.get("name")) for each in case.containers]
    wanted = case.plan.main_container
    if wanted is not None and wanted not in (*names, contract.ALL_CONTAINERS):
        problem = f"names {wanted!r}, which is no container of this pod"
        if wanted in [each.get("name") for each in case.init_containers]:
            problem = f"names {wanted!r}, which is an init container: main must be one of the containers"
        advice = did_you_mean(wanted, names, f"write one of {', '.join(names)}, or *")
        yield finding("unknown-main", contract.MAIN_CONTAINER, f"{problem}: {advice}")
    default = case.annotations.get(contract.DEFAULT_CONTAINER_ANNOTATION)
    if wanted is None and default is not None and default not in names:
        problem = f"names {default!r}, which is no container of this pod, so main is {case.main_label!r}, the first"
        yield finding("unknown-default-container", contract.DEFAULT_CONTAINER_ANNOTATION, problem)
    elif wanted is None and default is None and case.chosen is None and len(names) > 1:
        problem = (
            f"the pod has {len(names)} containers and nothing says which one is main, so it is {case.main_label!r}, "
            f"the first: name it in {contract.MAIN_CONTAINER}"
        )
        yield finding("guessed-main", "spec.containers", problem)


def _names_taken(case: Case) -> Iterator[Finding]:
    for field in ("initContainers", "containers"):
        for index, each in enumerate(mappings(case.spec.get(field))):
            if each.get("name") in contract.OUR_CONTAINERS:
                problem = f"a container named {each['name']!r} is there already, a name that Podhooks needs: rename it"
                yield finding("container-taken", f"spec.{field}[{index}].name", problem)
    for index, each in enumerate(mappings(case.spec.get("volumes"))):
        if each.get("name") in contract.OUR_VOLUMES:
            problem = f"a volume named {each['name']!r} is there already, a name that Podhooks needs: rename it"
            yield finding("volume-taken", f"spec.volumes[{index}].name", problem)


def _main_fields_taken(case: Case) -> Iterator[Finding]:
    names = {main["name"] for main in case.mains}
    for number, main in enumerate(case.containers):
        if main["name"] not in names:
            continue
        where = f"spec.containers[{number}]"
        for index, each in enumerate(mappings(main.get("volumeMounts"))):
            path = text(each.get("mountPath")).rstrip("/")
            if (path == OUR_ROOT or path.startswith(OUR_ROOT + "/")) and not is_shared_mount(each):
                problem = f"{path} is below {OUR_ROOT}, where Podhooks mounts its own volumes: mount it elsewhere"
                yield finding("mount-taken", f"{where}.volumeMounts[{index}].mountPath", problem)
        for index, each in enumerate(mappings(main.get("env"))):
            if each.get("name") in OUR_ENV_NAMES and each != SHARED_ENV:
                problem = f"{each['name']} is a variable that Podhooks sets itself: take it out"
                yield finding("env-taken", f"{where}.env[{index}].name", problem)


def _resources(case: Case) -> Iterator[Finding]:
    for part, values in mapping(case.plan.resources).items():
        for name, value in mapping(values).items():
            if not is_quantity(value):
                problem = f"{part}.{name} is {value!r}, which isn't a quantity: write one like 100m or 256Mi"
                yield finding("bad-quantity", contract.RESOURCES, problem)


def _kubernetes(case: Case) -> Iterator[Finding]:
    version = case.settings.kubernetes
    if version is None:
        return
    said = f"Kubernetes {version[0]}.{version[1]}"
    if case.plan.on_exit and case.plan.mode is Mode.NATIVE and version < NATIVE_SIDECARS_SINCE:
        problem = f"{said} has no native sidecars (1.29 has): set {contract.MODE}: classic"
        yield finding("native-too-new", contract.MODE, problem)
    if case.settings.delivery is not Delivery.IMAGE or version >= IMAGE_VOLUMES_ON_SINCE:
        return
    if version < IMAGE_VOLUMES_SINCE:
        problem = f"{said} has no image volumes (1.35 has): deliver the runtime by copy (--delivery copy)"
        yield finding("image-volume-too-new", "delivery", problem)
    else:
        problem = (
            f"{said} has image volumes behind a feature gate only, ImageVolume: turn it on, or use --delivery copy"
        )
        yield finding("image-volume-off", "delivery", problem)


def _api_access(case: Case) -> Iterator[Finding]:
    """kubelet facts 2-4: natively, SIGTERM tells that main ended; classic has nothing but the API."""
    mounted = any(m.get("mountPath") == contract.SERVICE_ACCOUNT_DIR for m in mappings(case.main.get("volumeMounts")))
    if case.spec.get("automountServiceAccountToken") is not False or mounted or not case.plan.exits_in_pod:
        return
    where, missing = "spec.automountServiceAccountToken", "without a token on-exit can't ask the API how main ended"
    if case.plan.mode is Mode.CLASSIC:
        problem = f"{missing}, and in classic mode never learns that it did: mount the token, or use native mode"
        yield finding("no-api-access", where, problem)
    else:
        yield finding("blind-on-exit", where, f"{missing}: callbacks will run, with the result Unknown")


def _restarts(case: Case) -> Iterator[Finding]:
    if case.plan.on_exit and case.spec.get("restartPolicy", "Always") == "Always":
        problem = "main is restarted for ever (Always), so on_exit runs only when the pod is deleted or evicted"
        yield finding("main-restarts", "spec.restartPolicy", problem)


def _deadline(case: Case) -> Iterator[Finding]:
    yield from short_deadline(case, case.spec.get("activeDeadlineSeconds"), "spec.activeDeadlineSeconds")


def short_deadline(case: Case, deadline: Json, where: str) -> Iterator[Finding]:
    """Also for a Job's own deadline, which deletes the pod (kubelet fact 10)."""
    budget = sum(each.timeout_seconds for each in case.plan.on_start)
    if isinstance(deadline, int) and case.plan.on_start and deadline <= budget:
        problem = (
            f"the pod is ended after {format_duration(deadline)}, and on_start alone may take "
            f"{format_duration(budget)}: set a shorter {contract.ON_START_TIMEOUT}, or a longer deadline"
        )
        yield finding("short-deadline", where, problem)


def _user_namespace(case: Case) -> Iterator[Finding]:
    """https://github.com/containerd/containerd/issues/12812"""
    if case.spec.get("hostUsers") is False and case.settings.delivery is Delivery.IMAGE:
        problem = (
            "containerd older than the fixes of early 2026 can't mount an image volume in a pod with users of its own, "
            "and the pod never starts: use --delivery copy where nodes may have it"
        )
        yield finding("user-namespace-image-volume", "spec.hostUsers", problem)


def _guarantee(case: Case) -> Iterator[Finding]:
    if case.plan.on_exit and case.plan.mode is Mode.OUTSIDE:
        yield from _outside(case)
        return
    if case.plan.guaranteed and case.settings.rescuer is False:
        problem = (
            "no operator with a rescuer is here, so nobody makes good what the pod can't: on_exit may not run at all "
            "when the node is lost; install one (charts/podhooks with rescuer.enabled), or take this out"
        )
        yield finding("guarantee-not-kept", contract.GUARANTEE, problem)


def _outside(case: Case) -> Iterator[Finding]:
    if case.settings.rescuer is False:
        problem = (
            "no operator with a rescuer is here, so on_exit would never run: install one (charts/podhooks with "
            "rescuer.enabled), or use native mode"
        )
        yield finding("outside-without-rescuer", contract.MODE, problem)
    elif case.settings.rescuer is None:
        problem = "on_exit runs only where the operator has a rescuer: podhooks check tells whether yours has"
        yield finding("outside-needs-rescuer", contract.MODE, problem)


CHECKS = (
    _kind_of_pod,
    _label,
    _main,
    _names_taken,
    _main_fields_taken,
    needs.not_there_yet,
    _resources,
    pod_resources.too_small,
    _kubernetes,
    interpreter.findings,
    _api_access,
    _restarts,
    _deadline,
    _user_namespace,
    quality_of_service.findings,
    _guarantee,
    dask.without_cluster,
)


def malformed(pod: Mapping[str, Json]) -> Iterator[Finding]:
    """What keeps us from reading the pod at all. Only fields that we read or extend; the rest is the API's business."""
    spec = pod.get("spec")
    if not isinstance(spec, Mapping):
        yield finding("malformed-pod", "spec", f"must be a mapping, not {_shape(spec)}")
        return
    if spec.get("containers") in (None, []):
        yield finding("no-containers", "spec.containers", "the pod has no containers, so there is no main")
    for field in ("containers", "initContainers", "volumes"):
        yield from _list_of_named(spec.get(field), f"spec.{field}")
    for index, each in enumerate(mappings(spec.get("containers"))):
        for field in ("env", "envFrom", "volumeMounts", "volumeDevices"):
            yield from _list_of_mappings(each.get(field), f"spec.containers[{index}].{field}")
    labels = mapping(pod.get("metadata")).get("labels")
    if labels and not isinstance(labels, Mapping):
        yield finding("malformed-pod", "metadata.labels", f"must be a mapping, not {_shape(labels)}")
    yield from _seconds(spec, "terminationGracePeriodSeconds")
    yield from _repeated_names(spec)


def _list_of_mappings(value: Json, where: str) -> Iterator[Finding]:
    if value is None:
        return
    if not isinstance(value, list):
        yield finding("malformed-pod", where, f"must be a list, not {_shape(value)}")
        return
    if set(map(type, value)) <= ONLY_DICTS:  # nearly always, and there may be hundreds
        return
    for index, each in enumerate(value):
        if not isinstance(each, Mapping):
            yield finding("malformed-pod", f"{where}[{index}]", f"must be a mapping, not {_shape(each)}")


def _list_of_named(value: Json, where: str) -> Iterator[Finding]:
    yield from _list_of_mappings(value, where)
    for index, each in enumerate(sequence(value)):
        if type(each) is not dict and not isinstance(each, Mapping):
            continue
        if not (isinstance(each.get("name"), str) and each["name"]):
            yield finding("malformed-pod", f"{where}[{index}].name", f"must be a name, not {_shape(each.get('name'))}")


def _seconds(spec: Mapping[str, Json], field: str) -> Iterator[Finding]:
    value = spec.get(field)
    if value is not None and (whole(value) is None or value < 0):
        yield finding("malformed-pod", f"spec.{field}", f"must be a number of seconds, not {_shape(value)}")


def _repeated_names(spec: Mapping[str, Json]) -> Iterator[Finding]:
    named: Sequence[Json] = [
        each.get("name") for field in ("initContainers", "containers") for each in mappings(spec.get(field))
    ]
    if len(set(map(text, named))) == len(named):
        return
    for name, count in Counter(filter(None, map(text, named))).items():
        if count > 1:
            yield finding(
                "malformed-pod", "spec.containers", f"{count} containers are named {name!r}: names are unique"
            )


def _shape(value: Json) -> str:
    if value is None:
        return "missing"
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list) else f"{str(value)[:40]!r}"
