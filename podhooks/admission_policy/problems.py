"""Why a pod can't be given what it asks for: the first reason, or "". With failurePolicy Fail it is what users read.

Only what the pod's shape depends on. All else the annotations may have wrong is found by on-start, which parses
them in the pod, before main starts.
"""

from __future__ import annotations

from collections.abc import Iterator

from podhooks import contract
from podhooks.admission_policy import needs, resource_variables
from podhooks.admission_policy.cel import Cel, first_match, listed, pattern, quoted
from podhooks.admission_policy.predicates import is_shared_env, is_shared_mount
from podhooks.admission_policy.reserve import is_duration
from podhooks.annotations.plan import TABLE, Mode, Position
from podhooks.inject.checks import MIRROR_ANNOTATION, OUR_ROOT
from podhooks.inject.env import OUR_ENV
from podhooks.inject.inject_settings import Delivery

SHAPING = tuple(each.name for each in TABLE if each.shapes_pod)
"""The annotations that this door reads itself."""


def problem(delivery: Delivery) -> Cel:
    """The last of them in a variable of its own: engines of CEL bound how deep an expression may be."""
    own = ((f"({condition})", quoted(text)) for condition, text in _own_reasons(delivery))
    return first_match(own, "variables.needProblem")


def reasons(delivery: Delivery) -> Iterator[tuple[str, str]]:
    """Conditions, and the sentences for people; docs/admission-policy.md has a table of them."""
    yield from _own_reasons(delivery)
    yield from needs.reasons()


def _own_reasons(delivery: Delivery) -> Iterator[tuple[str, str]]:
    yield from _kind_of_pod()
    yield from _annotations()
    if delivery is Delivery.INSTALLED:
        yield "variables.bundled", f"{contract.PYTHON}: bundled needs a delivery by image or copy"
    yield from _names_taken()
    yield _label_taken()
    yield from _main_fields_taken()
    yield _api_access()


def _kind_of_pod() -> Iterator[tuple[str, str]]:
    os = "object.spec.?os.?name.orValue(object.spec.?nodeSelector[?'kubernetes.io/os'].orValue(''))"
    yield f"{os} == 'windows'", "Podhooks runs in Linux pods only: take its annotations out"
    yield f"{quoted(MIRROR_ANNOTATION)} in object.metadata.annotations", "a static pod can't be changed by the API"


def _annotations() -> Iterator[tuple[str, str]]:
    empty = "name in variables.given && variables.given[name] == ''"
    yield f"{listed(SHAPING)}.exists(name, {empty})", "an annotation is empty"
    modes = [each.value for each in Mode]
    yield f"!(variables.mode in {listed(modes)})", f"{contract.MODE} must be {' or '.join(modes)}"
    positions = [each.value for each in Position]
    yield (
        f"!(variables.position in {listed(positions)})",
        f"{contract.ON_EXIT_POSITION} must be {' or '.join(positions)}",
    )
    first = f"variables.position == {quoted(Position.FIRST.value)}"
    yield (
        f"{first} && variables.mode == {quoted(Mode.CLASSIC.value)}",
        f"{contract.ON_EXIT_POSITION}: first is for native mode: in classic mode on-exit starts with main",
    )
    everyone = quoted(contract.ALL_CONTAINERS)
    unknown = f"variables.mainLabel != {everyone} && !(variables.mainLabel in variables.names)"
    yield unknown, f"{contract.MAIN_CONTAINER} names no container of this pod"
    for name, value in ((contract.IMAGE, "image"), (contract.PYTHON, "python")):
        yield f"variables.{value}.matches({pattern('[[:space:]]')})", f"{name} has a blank in it"
    for name in (contract.ON_EXIT_TIMEOUT, contract.RESERVE):
        given = f"variables.given[{quoted(name)}]"
        condition = f"variables.withExit && {quoted(name)} in variables.given && !{is_duration(given)}"
        yield condition, f"{name} isn't a duration: write one like 30s, 5m or 1h30m"
    condition = f"{quoted(contract.RESOURCES)} in variables.given && !{resource_variables.is_readable()}"
    yield condition, f"{contract.RESOURCES} can't be read by the admission policy: write plain JSON with quantities"


def _names_taken() -> Iterator[tuple[str, str]]:
    """A pod with init containers named as our hooks' is taken for one that is injected already."""
    runtime = f"c.name == {quoted(contract.RUNTIME_CONTAINER)}"
    ours = f"c.name in {listed(sorted(contract.OUR_CONTAINERS))}"
    yield (
        f"variables.initContainers.exists(c, {runtime}) || object.spec.containers.exists(c, {ours})",
        "a container has a name that Podhooks needs: rename it",
    )
    volumes = listed(sorted(contract.OUR_VOLUMES))
    yield (
        f"object.spec.?volumes.orValue([]).exists(v, v.name in {volumes})",
        "a volume has a name that Podhooks needs: rename it",
    )


def _label_taken() -> tuple[str, str]:
    cluster = quoted(contract.GUARANTEE_CLUSTER)
    label = f"object.metadata.?labels[?{quoted(contract.GUARANTEE_LABEL)}].orValue({cluster})"
    return f"variables.guaranteed && {label} != {cluster}", "a label has a name that Podhooks needs: take it out"


def _main_fields_taken() -> Iterator[tuple[str, str]]:
    below = f"m.mountPath.matches({pattern(f'^{OUR_ROOT}(/|$)')})"
    mounts = f"c.?volumeMounts.orValue([]).exists(m, {below} && !{is_shared_mount('m')})"
    yield f"variables.mains.exists(c, {mounts})", f"main mounts something below {OUR_ROOT}: mount it elsewhere"
    env = f"c.?env.orValue([]).exists(e, e.name in {listed(OUR_ENV)} && !{is_shared_env('e')})"
    yield f"variables.mains.exists(c, {env})", "main sets a variable that Podhooks sets itself: take it out"


def _api_access() -> tuple[str, str]:
    mounted = f"m.mountPath == {quoted(contract.SERVICE_ACCOUNT_DIR)}"
    return (
        f"variables.withExit && variables.mode == {quoted(Mode.CLASSIC.value)} "
        "&& object.spec.?automountServiceAccountToken.orValue(true) == false "
        f"&& !variables.main.?volumeMounts.orValue([]).exists(m, {mounted})",
        "classic mode needs the API to learn how main ended: mount the service account's token",
    )
