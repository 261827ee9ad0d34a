"""An embedded one-node stand-in for a cluster: a small API server, and a kubelet that runs containers as processes.

    from podhooks.local import Cluster

    with Cluster() as cluster:
        cluster.store.create("pods", pod)

What differs from a real cluster is what `cluster.notices(pod["spec"])` says. `Cluster` and its neighbours are imported
on first use: the process that starts containers imports parts of this package and must stay small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from podhooks.local.cluster import Cluster
    from podhooks.local.limitations import notices

__all__ = ["Cluster", "notices"]

_HOMES = {"Cluster": "cluster", "notices": "limitations"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
