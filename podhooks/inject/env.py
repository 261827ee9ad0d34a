"""The environment of our containers: main's, what keeps main's surroundings out of ours, and our own variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from podhooks import contract
from podhooks.inject.case import Case
from podhooks.inject.shapes import Json
from podhooks.pod.object import mapping, mappings

SHARED_ENV = {"name": contract.ENV_SHARED_DIR, "value": contract.SHARED_DIR}
FROM_POD = {
    contract.ENV_POD_NAME: "metadata.name",
    contract.ENV_POD_NAMESPACE: "metadata.namespace",
    contract.ENV_POD_UID: "metadata.uid",
    contract.ENV_NODE_NAME: "spec.nodeName",
}
OUR_ENV = (
    contract.ENV_MAIN_CONTAINER,
    contract.ENV_MODE,
    contract.ENV_GRACE_SECONDS,
    *FROM_POD,
    contract.ENV_PODINFO_DIR,
    contract.ENV_SHARED_DIR,
)
OUR_ENV_NAMES = frozenset(OUR_ENV)
_CONSTANT_ENV: tuple[dict[str, Json], ...] = (
    *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in FROM_POD.items()),
    {"name": contract.ENV_PODINFO_DIR, "value": contract.PODINFO_DIR},
    SHARED_ENV,
)

UNLESS_MAINS = ({"name": contract.ENV_VISIBLE_GPUS, "value": contract.NO_GPU},)
"""For our containers, unless main's environment has the name. Images made for GPUs say `all`, and where NVIDIA's
runtime is the node's default, every container of such an image then gets every GPU, asked for or not:
https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/docker-specialized.html"""

BUNDLED_ENV = ({"name": contract.ENV_PRELOADED},)
"""Instead of main's (also of its image's), with our own interpreter: what is made for main's C library can't be loaded
beside ours. Without a value, as the API server gives back an empty one."""
BUNDLED_NAMES = frozenset(each["name"] for each in BUNDLED_ENV)


def environment(case: Case) -> list[Mapping[str, Json]]:
    """Main's first: ours may not be changed by it. Where main has the shared directory itself it stays in its place,
    because others may refer to it."""
    main = list(_mains(case))
    added = [each for each in UNLESS_MAINS if each["name"] not in {one.get("name") for one in main}]
    bundled = list(BUNDLED_ENV) if case.plan.bundled else []
    own = [each for each in _own(case) if each != SHARED_ENV or SHARED_ENV not in main]
    return [*main, *added, *bundled, *own]


def _mains(case: Case) -> Iterator[Mapping[str, Json]]:
    names = OUR_ENV_NAMES | BUNDLED_NAMES if case.plan.bundled else OUR_ENV_NAMES
    for each in mappings(case.main.get("env")):
        if each.get("name") not in names or each == SHARED_ENV:
            yield _of_main(each, case.main)


def _of_main(entry: Mapping[str, Json], main: Mapping[str, Json]) -> Mapping[str, Json]:
    """A container's own requests and limits are main's in ours, too."""
    if "valueFrom" not in entry:
        return entry
    source = mapping(entry["valueFrom"])
    reference = mapping(source.get("resourceFieldRef"))
    if not reference or reference.get("containerName"):
        return entry
    named = {"containerName": main["name"], **{key: reference[key] for key in reference if key != "containerName"}}
    return {**entry, "valueFrom": {**source, "resourceFieldRef": named}}


def _own(case: Case) -> list[dict[str, Json]]:
    values = {
        contract.ENV_MAIN_CONTAINER: case.main_label,
        contract.ENV_MODE: case.plan.mode.value,
        contract.ENV_GRACE_SECONDS: str(case.raised_grace_seconds),
    }
    return [*({"name": name, "value": value} for name, value in values.items()), *_CONSTANT_ENV]
