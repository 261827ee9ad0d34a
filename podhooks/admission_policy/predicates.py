"""Questions about parts of the pod; `name` is the CEL variable that holds the part."""

from __future__ import annotations

from podhooks import contract
from podhooks.admission_policy.cel import Cel, quoted
from podhooks.inject import containers


def is_main(name: str) -> Cel:
    return Cel(f"(variables.mainLabel == {quoted(contract.ALL_CONTAINERS)} || variables.mainLabel == {name}.name)")


def is_shared_mount(name: str) -> Cel:
    mount = containers.SHARED_MOUNT
    return Cel(f"({name}.name == {quoted(mount['name'])} && {name}.mountPath == {quoted(mount['mountPath'])})")


def is_shared_env(name: str) -> Cel:
    env = containers.SHARED_ENV
    return Cel(f"({name}.name == {quoted(env['name'])} && {name}.?value.orValue('') == {quoted(env['value'])})")
