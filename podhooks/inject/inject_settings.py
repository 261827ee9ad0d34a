"""What the injector is told by whoever runs it: the cluster's side, as annotations are the user's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

from podhooks.context import EMPTY
from podhooks.errors import InputError
from podhooks.inject.shapes import Json
from podhooks.value import Value
from podhooks.version import __version__


class Delivery(str, Enum):
    """How the runtime reaches the user's image."""

    IMAGE = "image"  # an image volume: nothing is copied, on by default since Kubernetes 1.35
    COPY = "copy"  # an init container copies it into an emptyDir: any Kubernetes, about a second more
    INSTALLED = "installed"  # the image has it: `pip install podhooks`


DEFAULT_RESOURCES: Mapping[str, Json] = MappingProxyType(
    {
        "requests": MappingProxyType({"cpu": "10m", "memory": "32Mi"}),
        "limits": MappingProxyType({"cpu": "1", "memory": "512Mi"}),
    }
)
"""Requests hold the waiting sidecar (an idle interpreter, about 20 MiB); limits hold the callbacks' own imports."""

KubernetesVersion = tuple[int, int]


class InjectSettings(Value):
    """Settings of one injector. docs/inject.md has this table; a test compares them.

    `image` is our own image: where the runtime comes from with delivery `image` and `copy`. `pull_policy` is for that
    image; None leaves it to Kubernetes. `kubernetes` is the oldest version that the pod must run on; None is unknown,
    then nothing is refused for its sake. `annotations` are defaults for pods that have Podhooks annotations of
    their own but not these. `rescuer` says whether an operator keeps `guarantee: cluster` here: with True the pod also
    gets the finalizer, with False a finding says that nobody keeps it; None is unknown.
    """

    image: str = f"podhooks/podhooks:{__version__}"
    delivery: Delivery = Delivery.IMAGE
    pull_policy: str | None = None
    kubernetes: KubernetesVersion | None = None
    resources: Mapping[str, Json] = DEFAULT_RESOURCES
    annotations: Mapping[str, str] = EMPTY
    rescuer: bool | None = None


def parse_kubernetes_version(text: str) -> KubernetesVersion:
    """`1.36`, `v1.36.2` or `1.36+` (as some clouds say) to (1, 36). Raises InputError."""
    match = re.fullmatch(r"v?(\d{1,3})\.(\d{1,4})(?:[.+-].*)?", text.strip())
    if not match:
        raise InputError(f"{text!r} isn't a Kubernetes version: write it like 1.36")
    return int(match[1]), int(match[2])
