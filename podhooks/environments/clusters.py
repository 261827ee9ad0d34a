"""Which cluster: the one that this pod is in, one of the kubeconfig, or the stand-in on this machine."""

from __future__ import annotations

import atexit
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from podhooks.cluster.backend import Backend
from podhooks.cluster.real import RealCluster
from podhooks.cluster.stand_in import StandIn
from podhooks.errors import ApiError, InputError
from podhooks.inject import Delivery, InjectSettings

LOCAL = "local"
ADVICE = "set KUBECONFIG, run in a pod, or give cluster='local' for the stand-in on this machine"


def connect(cluster: str | None, kubeconfig: str | None, settings: InjectSettings, directory: Path) -> Backend:
    """
    Args:
        cluster: a context of the kubeconfig, `local`, or None: the current context; without a kubeconfig, in a pod, the
            pod's own cluster.
        directory: where the stand-in's containers work and import from.

    Raises:
        InputError: there is none, or it doesn't answer.
    """
    if cluster == LOCAL:
        backend = StandIn(directory, settings)
        atexit.register(backend.close)  # for runs that nobody deletes: their processes are this machine's
        return backend
    if find_spec("kubernetes") is None:
        raise InputError("a cluster needs the kubernetes package: pip install 'podhooks[environments]'")
    try:
        return RealCluster(kubeconfig, cluster)
    except InputError as error:
        raise InputError(f"no cluster: {error}; {ADVICE}") from error


def settings_for(cluster: str | None, given: InjectSettings | None) -> InjectSettings:
    """On this machine our runtime is installed; elsewhere it comes in its image."""
    if given is not None:
        return given
    return InjectSettings(delivery=Delivery.INSTALLED) if cluster == LOCAL else InjectSettings()


def import_path() -> str:
    """What can be imported here, for containers that are processes of this machine: tests' directories, for one."""
    return os.pathsep.join(each for each in sys.path if each and "-packages" not in each and os.path.isdir(each))


def said(what: str, error: ApiError) -> InputError:
    """An error of the API as one line, with what to do."""
    advice = {
        0: f" ({ADVICE})",
        409: ": delete it, or give unique_job_name=True",
    }.get(error.status, "")
    return InputError(f"{what}: {error}{advice}")
