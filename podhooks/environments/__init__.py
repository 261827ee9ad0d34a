"""PIN-12's environments: a flow, the place where it runs, and the callbacks around it.

hooks       what on_start and on_exit may be, and the annotations that they become     pure
flows       what a flow is, and what its end means
handle      what `execute` gives back
base        what all environments have
local       main in this process; watcher: the process beside it that runs the callbacks, with inherited and main_child
remote      main in the pod that one is in
pickling    how functions reach another process: by name, or pickled in a Secret
manifest    the Job of a job file with the flow in it                                  pure
kubernetes_job, dask_kubernetes   main in a Job of its own; job_handle and progress: how it goes on
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from podhooks.environments.base import Environment
    from podhooks.environments.dask_kubernetes import DaskKubernetesEnvironment
    from podhooks.environments.handle import Handle, RunFailed
    from podhooks.environments.kubernetes_job import KubernetesJobEnvironment
    from podhooks.environments.local import LocalEnvironment
    from podhooks.environments.remote import RemoteEnvironment

__all__ = [
    "DaskKubernetesEnvironment",
    "Environment",
    "Handle",
    "KubernetesJobEnvironment",
    "LocalEnvironment",
    "RemoteEnvironment",
    "RunFailed",
]

_HOMES = {
    "podhooks.environments.base": ("Environment",),
    "podhooks.environments.dask_kubernetes": ("DaskKubernetesEnvironment",),
    "podhooks.environments.handle": ("Handle", "RunFailed"),
    "podhooks.environments.kubernetes_job": ("KubernetesJobEnvironment",),
    "podhooks.environments.local": ("LocalEnvironment",),
    "podhooks.environments.remote": ("RemoteEnvironment",),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            from importlib import import_module

            return getattr(import_module(home), name)
    raise AttributeError(f"module 'podhooks.environments' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
