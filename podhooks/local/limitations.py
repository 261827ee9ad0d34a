"""What in a pod's spec can't work locally, one line each: nothing is ignored without a word. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from podhooks.pod.object import mapping, mappings, text

_POD_FIELDS = {
    "nodeSelector": "there is one node, every pod runs on it",
    "affinity": "there is one node, every pod runs on it",
    "topologySpreadConstraints": "there is one node, every pod runs on it",
    "runtimeClassName": "containers are local processes",
    "hostAliases": "the machine's own /etc/hosts holds",
    "dnsConfig": "the machine's own resolver holds",
    "imagePullSecrets": "no image is pulled",
    "readinessGates": "no readiness gate is evaluated",
    "overhead": "nothing is accounted",
    "resourceClaims": "there are no devices to claim",
    "ephemeralContainers": "ephemeral containers are not started",
    "shareProcessNamespace": "containers don't share a PID namespace",
    "setHostnameAsFQDN": "the machine keeps its host name",
    "hostNetwork": "every pod is on this machine's network",
    "hostPID": "containers don't see the machine's processes where PID namespaces are used",
    "hostIPC": "every pod shares this machine's IPC",
    "hostUsers": "users stay those of the user who runs this",
    "schedulingGates": "nobody removes them, the pod waits until you do",
}
_CONTAINER_FIELDS = {
    "livenessProbe": "probes are not run: a container is alive as long as it runs",
    "readinessProbe": "probes are not run: a container is ready as soon as it runs",
    "startupProbe": "probes are not run: a container has started as soon as it runs",
    "volumeDevices": "there are no block devices",
    "ports": "ports are the machine's own: a port that is taken stays taken",
    "stdin": "containers read from /dev/null",
    "tty": "containers have no terminal",
}
_SECURITY_IGNORED = "users, groups, capabilities and seccomp stay those of the user who runs this"


def notices(pod_spec: Mapping[str, Any]) -> list[str]:
    """One line per thing that doesn't work as on a cluster, in the order of the spec, without repetition."""
    found: dict[str, None] = {}
    for line in _lines(pod_spec):
        found.setdefault(line)
    return list(found)


def _lines(spec: Mapping[str, Any]) -> Iterator[str]:
    images = [text(c.get("image")) for c in _containers(spec)]
    if images:
        yield f"image ({', '.join(dict.fromkeys(images))}): not pulled, containers see this machine's file system"
    for field, why in _POD_FIELDS.items():
        if spec.get(field):
            yield f"{field}: {why}"
    if spec.get("securityContext"):
        yield f"securityContext: {_SECURITY_IGNORED}"
    for volume in mappings(spec.get("volumes")):
        yield from _volume(volume)
    for container in _containers(spec):
        yield from _container(container)


def _containers(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*mappings(spec.get("initContainers")), *mappings(spec.get("containers"))]


def _volume(volume: Mapping[str, Any]) -> Iterator[str]:
    name = volume.get("name")
    rules: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "persistentVolumeClaim": lambda _: "a directory that lasts as long as this local cluster",
        "image": lambda source: f"image {source.get('reference')} must be mapped to a local directory (image_volumes)",
        "hostPath": lambda source: f"this machine's {source.get('path')}",
        "ephemeral": lambda _: "an empty directory",
        "emptyDir": lambda source: (
            "medium and sizeLimit are not enforced" if source.get("medium") or source.get("sizeLimit") else ""
        ),
    }
    known = {*rules, "configMap", "secret", "downwardAPI", "projected"}
    for kind, source in volume.items():
        if kind in rules and (line := rules[kind](mapping(source))):
            yield f"volume {name}: {line}"
        elif kind != "name" and kind not in known:
            yield f"volume {name}: {kind} volumes don't exist locally, the pod will wait for it"


def _container(container: Mapping[str, Any]) -> Iterator[str]:
    name = container.get("name")
    if given := mapping(mapping(container.get("resources")).get("limits")):
        limits = ", ".join(f"{key} {value}" for key, value in given.items())
        yield f"container {name}: resource limits ({limits}) are not enforced, so nothing is OOMKilled by them"
    if container.get("securityContext"):
        yield f"container {name}: securityContext: {_SECURITY_IGNORED}"
    for field, why in _CONTAINER_FIELDS.items():
        if container.get(field):
            yield f"container {name}: {field}: {why}"
    hooks = [hook for hook in ("postStart", "preStop") if hook in mapping(container.get("lifecycle"))]
    if hooks:
        yield f"container {name}: lifecycle: {' and '.join(hooks)} hooks are not run"
    if not container.get("command"):
        yield f"container {name}: it has no command, and an image's entrypoint is unknown here: it will not start"
    if any(rule.get("action") not in ("Restart", None) for rule in mappings(container.get("restartPolicyRules"))):
        yield f"container {name}: restartPolicyRules: only the action Restart exists locally"
    for mount in mappings(container.get("volumeMounts")):
        if mount.get("mountPropagation") not in (None, "None"):
            yield f"container {name}: mountPropagation of {mount.get('mountPath')}: mounts are private"
