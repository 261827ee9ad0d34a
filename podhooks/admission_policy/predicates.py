"""Questions about parts of the pod; `name` is the CEL variable that holds the part."""

from __future__ import annotations

from podhooks import contract
from podhooks.admission_policy.cel import Cel, quoted
from podhooks.inject import containers
from podhooks.inject.env import SHARED_ENV


def is_main(name: str) -> Cel:
    return Cel(f"(variables.mainLabel == {quoted(contract.ALL_CONTAINERS)} || variables.mainLabel == {name}.name)")


def is_shared_mount(name: str) -> Cel:
    return Cel(f"({name}.name == {quoted(containers.SHARED_MOUNT['name'])} && {takes_shared_path(name)})")


def is_shared_env(name: str) -> Cel:
    value = quoted(SHARED_ENV["value"])
    return Cel(f"({takes_shared_name(name)} && {name}.?value.orValue('') == {value})")


def takes_shared_path(name: str) -> Cel:
    """Whether a mount is where the shared directory's goes. In main it is then that mount: `problem` sees to it."""
    return Cel(f"{name}.mountPath == {quoted(containers.SHARED_MOUNT['mountPath'])}")


def takes_shared_name(name: str) -> Cel:
    """As above, for the variable."""
    return Cel(f"{name}.name == {quoted(SHARED_ENV['name'])}")
