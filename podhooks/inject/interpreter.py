"""Which Python our containers run by, and what is known of images that have none."""

from __future__ import annotations

from collections.abc import Iterator

from podhooks import contract
from podhooks.annotations.finding import Finding, Severity
from podhooks.inject.case import Case
from podhooks.inject.inject_settings import Delivery
from podhooks.pod.object import text

CODES = {"bundled-not-delivered": Severity.ERROR, "image-without-python": Severity.WARNING}

HUB = frozenset({"alpine", "bash", "busybox", "caddy", "debian", "hello-world", "httpd", "nginx", "traefik", "ubuntu"})
WITHOUT_PYTHON = HUB | {"curlimages/curl", "registry.k8s.io/pause"}
"""Well-known images as they are published. Of others nothing is said: nobody can tell without pulling them."""
DISTROLESS = "gcr.io/distroless/"
OPTIONAL_PREFIXES = ("docker.io/", "index.docker.io/", "library/")


def findings(case: Case) -> Iterator[Finding]:
    if case.plan.bundled:
        yield from _not_delivered(case)
    elif case.plan.python == contract.DEFAULT_PYTHON and has_no_python(image := image_of(case)):
        where = contract.IMAGE if case.plan.image != contract.MAIN_IMAGE else "spec.containers"
        problem = (
            f"{image} has no {contract.DEFAULT_PYTHON}, so our containers can't start and main never does: set "
            f"{contract.PYTHON}: {contract.BUNDLED_PYTHON}, which brings one along"
        )
        yield Finding("image-without-python", CODES["image-without-python"], where, problem)


def _not_delivered(case: Case) -> Iterator[Finding]:
    if case.settings.delivery is not Delivery.INSTALLED:
        return
    problem = (
        f"{contract.BUNDLED_PYTHON} is the interpreter that comes along with the runtime, and delivery `installed` "
        "brings none: use --delivery image or copy, or name the interpreter of the image"
    )
    yield Finding("bundled-not-delivered", CODES["bundled-not-delivered"], contract.PYTHON, problem)


def image_of(case: Case) -> str:
    """The image of our containers."""
    return text(case.main.get("image")) if case.plan.image == contract.MAIN_IMAGE else case.plan.image


def has_no_python(image: str) -> bool:
    """By an image's name alone, so only where that is sure."""
    name = repository(image)
    if name.startswith(DISTROLESS):
        return not name.removeprefix(DISTROLESS).startswith("python")
    return name in WITHOUT_PYTHON


def repository(image: str) -> str:
    """`nginx` of `docker.io/library/nginx:1.27-alpine@sha256:...`."""
    name = image.partition("@")[0]
    host, slash, last = name.rpartition("/")
    name = f"{host}{slash}{last.partition(':')[0]}"
    for prefix in OPTIONAL_PREFIXES:
        name = name.removeprefix(prefix)
    return name
