"""Main's environment, for callbacks in containers that were made before main's was known.

A Prefect work pool's template is injected once, and the worker adds variables to the flow's container later. Our
containers there carry contract.ENV_INHERIT, and what they lack is read from the pod as the API shows it. Values that
come from Secrets, ConfigMaps or fields are not in it: only a container that names them itself has those.
"""

from __future__ import annotations

import os

from podhooks.pod.object import main_containers, mappings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from podhooks.context import Json, RunContext


def inherit(context: RunContext) -> None:
    """Called in a callback's process. What is set already stays: it was meant for this container."""
    for name, value in literal_environment(context.pod_object, context.main_container).items():
        os.environ.setdefault(name, value)


def literal_environment(pod: Mapping[str, Json], container: str) -> dict[str, str]:
    """The variables that are written into the pod, of main (of the first of them with `*`)."""
    mains = main_containers(pod, container) or main_containers(pod)
    entries = mappings(mains[0].spec.get("env")) if mains else ()
    values = {each.get("name"): each.get("value", "") for each in entries if "valueFrom" not in each}
    return {
        name: value
        for name, value in values.items()
        if isinstance(name, str) and isinstance(value, str) and _is_usable(name, value)
    }


def _is_usable(name: str, value: str) -> bool:
    """As the kernel wants it; a reference `$(OTHER)` would have been resolved by the kubelet, not by us."""
    return bool(name) and "=" not in name and "\0" not in name + value and "$(" not in value
