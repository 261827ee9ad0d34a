"""The API server: whether it answers, and what its version can do."""

from __future__ import annotations

import re
from collections.abc import Iterator

from podhooks.check.finding import Category, Check
from podhooks.check.reader import Reader
from podhooks.errors import ApiError
from podhooks.pod.object import text

API = Category("kubernetes-api")
NATIVE_SIDECARS, IMAGE_VOLUMES, MUTATING_POLICIES = (1, 29), (1, 35), (1, 36)


def check_api(reader: Reader) -> Iterator[Check]:
    try:
        version = reader.version()
    except ApiError as error:
        fix = "look at the address in the kubeconfig, at the network, and whether you are logged in"
        yield API.error("api-reachable", f"the API server doesn't answer: {error}", fix)
        return
    yield API.ok("api-reachable", f"the API server answers at {reader.server}")
    yield check_version(text(version.get("gitVersion")))


def check_version(given: str) -> Check:
    """By the server's own word, like `v1.36.2` or `v1.35.1-gke.100`."""
    found = re.match(r"v?(\d+)\.(\d+)", given)
    if not found:
        fix = "native mode needs Kubernetes 1.29, image volumes 1.35"
        return API.skipped("kubernetes-version", f"the server gives its version as {given!r}", fix)
    version = (int(found[1]), int(found[2]))
    if version < NATIVE_SIDECARS:
        fix = "set podhooks.io/mode: classic, and --delivery copy"
        return API.error("kubernetes-version", f"Kubernetes {given} has no native sidecars", fix)
    if version < IMAGE_VOLUMES:
        fix = "use --delivery copy, unless the feature gate ImageVolume is on"
        return API.warning("kubernetes-version", f"Kubernetes {given} has image volumes off by default", fix)
    policies = ", mutating policies" if version >= MUTATING_POLICIES else ""
    return API.ok("kubernetes-version", f"Kubernetes {given} has native sidecars, image volumes{policies}")
