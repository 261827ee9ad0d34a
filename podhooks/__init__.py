"""Callbacks at both ends of a Kubernetes pod: on_start before the main container starts, on_exit after it ended.

What a callback's author needs is here: the types of what a callback gets. Everything is loaded when it is first used,
because every pod pays for what an import costs.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from podhooks.context import CallbackOutcome, ExitInfo, Hook, Owner, PodInfo, Result, RunContext
    from podhooks.environments import (
        DaskKubernetesEnvironment,
        Environment,
        KubernetesJobEnvironment,
        LocalEnvironment,
        RemoteEnvironment,
    )
    from podhooks.errors import PodhooksError
    from podhooks.pod.status import exit_info
    from podhooks.version import __version__

__all__ = [
    "CallbackOutcome",
    "DaskKubernetesEnvironment",
    "Environment",
    "ExitInfo",
    "Hook",
    "KubernetesJobEnvironment",
    "LocalEnvironment",
    "Owner",
    "PodInfo",
    "PodhooksError",
    "RemoteEnvironment",
    "Result",
    "RunContext",
    "__version__",
    "exit_info",
]

_HOMES = {
    "podhooks.context": ("CallbackOutcome", "ExitInfo", "Hook", "Owner", "PodInfo", "Result", "RunContext"),
    "podhooks.environments": (
        "DaskKubernetesEnvironment",
        "Environment",
        "KubernetesJobEnvironment",
        "LocalEnvironment",
        "RemoteEnvironment",
    ),
    "podhooks.errors": ("PodhooksError",),
    "podhooks.pod.status": ("exit_info",),
    "podhooks.version": ("__version__",),
}

__path__.append(f"{__path__[0]}/former")  # modules that users know under former names


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            from importlib import import_module

            return getattr(import_module(home), name)
    raise AttributeError(f"module 'podhooks' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
