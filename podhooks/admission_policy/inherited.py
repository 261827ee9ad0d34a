"""What our containers take after main, in CEL: `podhooks.inject.containers` says it for every other door.

Objects are spelled out field by field, because CEL has no "all others" that the API server could turn into JSON.
"""

from __future__ import annotations

from podhooks.admission_policy.cel import Cel, literal, optional
from podhooks.inject import containers
from podhooks.inject.shapes import Json

CONTAINER = "Object.spec.initContainers"
"""The type that all our containers are written as, also where one isn't an init container: it is never checked."""

SECURITY_FIELDS = (
    "readOnlyRootFilesystem",
    "runAsGroup",
    "runAsNonRoot",
    "runAsUser",
    "seLinuxOptions",
    "windowsOptions",
)
MOUNT_FIELDS = ("readOnly", "recursiveReadOnly", "subPath", "subPathExpr")


def inherited() -> dict[str, Json]:
    return {
        optional("image"): Cel("variables.ownImage ? optional.of(variables.image) : variables.main.?image"),
        optional("imagePullPolicy"): Cel("variables.ownImage ? optional.none() : variables.main.?imagePullPolicy"),
        **{optional(field): Cel(f"variables.main.?{field}") for field in containers.INHERITED},
    }


def env() -> Cel:
    """Main's variables, where its own resources are named as main's."""
    return Cel(f"variables.env.map(e, {_SELF} ? dyn({_of_main('e')}) : dyn(e))")


_SELF = "has(e.valueFrom) && has(e.valueFrom.resourceFieldRef) && !has(e.valueFrom.resourceFieldRef.containerName)"


def _of_main(entry: str) -> Cel:
    reference = f"{entry}.valueFrom.resourceFieldRef"
    fields = {
        "containerName": Cel("variables.main.name"),
        "resource": Cel(f"{reference}.resource"),
        optional("divisor"): Cel(f"{reference}.?divisor"),
    }
    named = {"name": Cel(f"{entry}.name"), "valueFrom": {"resourceFieldRef": fields}}
    return literal(named, f"{CONTAINER}.env")


def mounts() -> Cel:
    one_way = f"m.?mountPropagation.orValue('') == 'Bidirectional' ? dyn({_one_way('m')}) : dyn(m)"
    return Cel(f"variables.mounts.map(m, {one_way})")


def _one_way(mount: str) -> Cel:
    """Main's mount where propagation into the host is main's privilege."""
    fields = {"name": Cel(f"{mount}.name"), "mountPath": Cel(f"{mount}.mountPath")}
    others = {optional(field): Cel(f"{mount}.?{field}") for field in MOUNT_FIELDS}
    return literal({**fields, **others, "mountPropagation": "HostToContainer"}, f"{CONTAINER}.volumeMounts")


def security(given: str) -> Cel:
    """Main's security context without its might, as `podhooks.inject.containers.security_context` has it."""
    path = f"{CONTAINER}.securityContext"
    fields = {
        **{optional(field): Cel(f"{given}.?{field}") for field in SECURITY_FIELDS},
        optional("appArmorProfile"): _confined(f"{given}.?appArmorProfile", "", "optional.none()"),
        optional("seccompProfile"): _confined(
            f"{given}.?seccompProfile", "Unconfined", "optional.of({'type': 'RuntimeDefault'})"
        ),
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    return literal(fields, path)


def _confined(profile: str, absent: str, otherwise: str) -> Cel:
    """A profile, an optional, unless it confines nothing; `absent` is the type that no profile stands for."""
    return Cel(f"{profile}.?type.orValue('{absent}') == 'Unconfined' ? {otherwise} : {profile}")
