"""The Pod Security Standards' profile "restricted" (and "baseline" in it), as rules over a pod's spec.

Written from the standard's own table of controls, apart from the injector: what a namespace with
`pod-security.kubernetes.io/enforce: restricted` would say.
"""

from collections.abc import Iterator, Mapping
from typing import Any

ALLOWED_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


def violations(spec: Mapping[str, Any]) -> list[str]:
    """Everything that "restricted" forbids in this pod; empty if it is admitted."""
    pod = spec.get("securityContext") or {}
    found = [f"{field} is true" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    found += [
        f"volume {each['name']}: {sorted(set(each) - {'name'} - ALLOWED_VOLUMES)}"
        for each in spec.get("volumes") or []
        if set(each) - {"name"} - ALLOWED_VOLUMES
    ]
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        found += [f"{container['name']}: {problem}" for problem in _container(container, pod)]
    return found


def _container(container: Mapping[str, Any], pod: Mapping[str, Any]) -> Iterator[str]:
    own = container.get("securityContext") or {}
    if own.get("privileged"):
        yield "privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation isn't false"
    if "ALL" not in (own.get("capabilities") or {}).get("drop", []):
        yield "capabilities.drop lacks ALL"
    if set((own.get("capabilities") or {}).get("add") or []) - {"NET_BIND_SERVICE"}:
        yield "capabilities.add"
    if own.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
        yield "runAsNonRoot isn't true"
    if 0 in (own.get("runAsUser"), pod.get("runAsUser")):
        yield "runAsUser is 0"
    if (own.get("seccompProfile") or pod.get("seccompProfile") or {}).get("type") not in (
        "RuntimeDefault",
        "Localhost",
    ):
        yield "seccompProfile"
    if (own.get("appArmorProfile") or {}).get("type") == "Unconfined":
        yield "appArmorProfile"
    if own.get("procMount", "Default") != "Default":
        yield "procMount"
    if any(port.get("hostPort") for port in container.get("ports") or []):
        yield "hostPort"
