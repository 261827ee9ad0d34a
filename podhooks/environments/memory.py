"""Functions of this process under names, for processes that are forked from it.

A lambda has no name that leads to it; a forked process has the lambda itself.
"""

from __future__ import annotations

from collections.abc import Callable

_FUNCTIONS: dict[str, Callable[..., object]] = {}


def keep(function: Callable[..., object]) -> str:
    """A name that `podhooks.runtime.resolve` finds `function` by, here and in what is forked from here."""
    own = getattr(function, "__name__", "")
    base = name = own if own.isidentifier() and not own.startswith("_") else "function"
    number = 1
    while name in _FUNCTIONS:
        number += 1
        name = f"{base}_{number}"
    _FUNCTIONS[name] = function
    return f"{__name__}:{name}"


def forget(name: str) -> None:
    _FUNCTIONS.pop(name.rpartition(":")[2], None)


def __getattr__(name: str) -> Callable[..., object]:
    try:
        return _FUNCTIONS[name]
    except KeyError:
        raise AttributeError(name) from None
