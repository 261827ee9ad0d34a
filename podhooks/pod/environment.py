"""Main's environment, for callbacks in containers that were made before main's was known.

A Prefect work pool's template is injected once, and the worker adds variables to the flow's container later. Our
containers there carry contract.ENV_INHERIT, and what they lack is read from the pod as the API shows it. Values that
come from Secrets, ConfigMaps or fields are not in it: only a container that names them itself has those. The template
names the usual ones, under contract.ENV_OTHERWISE.
"""

from __future__ import annotations

import os

from podhooks import contract
from podhooks.pod.object import main_containers, mapping, mappings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from podhooks.context import Json, RunContext


def inherit(context: RunContext) -> None:
    """Called in a callback's process. What is set already stays: it was meant for this container."""
    for name, value in literal_environment(context.pod_object, context.main_container).items():
        os.environ.setdefault(name, value)
    for name in [each for each in os.environ if each.startswith(contract.ENV_OTHERWISE)]:
        value = os.environ.pop(name)
        if value:
            os.environ.setdefault(name[len(contract.ENV_OTHERWISE) :], value)


def literal_environment(pod: Mapping[str, Json], container: str) -> dict[str, str]:
    """The variables that are written into the pod, of main (of the first of them with `*`)."""
    entries = mappings(_main(pod, container).get("env"))
    values = {each.get("name"): each.get("value", "") for each in entries if "valueFrom" not in each}
    return {
        name: value
        for name, value in values.items()
        if isinstance(name, str) and isinstance(value, str) and _is_usable(name, value)
    }


def hidden_source(pod: Mapping[str, Json], container: str, name: str) -> str:
    """Where main has the variable from when the pod doesn't show its value; "" where it is shown, or main lacks it.

    Like `Secret prefect-api-key, key key`. After `envFrom` nobody can tell from the pod whether the variable is in it.
    """
    main = _main(pod, container)
    entry = next((each for each in mappings(main.get("env")) if each.get("name") == name), None)
    if entry is not None:
        return next(iter(_references(mapping(entry.get("valueFrom")))), "")
    return " or ".join(found for each in mappings(main.get("envFrom")) for found in _references(each))


def _references(source: Mapping[str, Json]) -> list[str]:
    """https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#environment-variables"""
    kinds = {
        "secretKeyRef": "Secret",
        "configMapKeyRef": "ConfigMap",
        "secretRef": "Secret",
        "configMapRef": "ConfigMap",
    }
    found = []
    for field, value in source.items():
        if field in kinds:
            named = mapping(value)
            key = f", key {named['key']}" if "key" in named else ""
            found.append(f"{kinds[field]} {named.get('name')}{key}")
    return found


def _main(pod: Mapping[str, Json], container: str) -> Mapping[str, Json]:
    mains = main_containers(pod, container) or main_containers(pod)
    return mains[0].spec if mains else {}


def _is_usable(name: str, value: str) -> bool:
    """As the kernel wants it; a reference `$(OTHER)` would have been resolved by the kubelet, not by us."""
    return bool(name) and "=" not in name and "\0" not in name + value and "$(" not in value
