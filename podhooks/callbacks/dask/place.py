"""Which Dask cluster a callback means: from `with`, the environment, or the pod's labels. Pure but for one file.

The Dask operator sets DASK_SCHEDULER_ADDRESS in ordinary containers only, so on-start, an init container, goes by the
label that the operator gives to every pod of a cluster.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from podhooks import contract
from podhooks.annotations.finding import shown
from podhooks.context import RunContext
from podhooks.errors import CallbackError, InputError
from podhooks.value import Value

PORT = 8786  # of the scheduler, unless a cluster's service says otherwise
ADDRESS = re.compile(r"(?:(?P<scheme>[a-z]+)://)?(?P<host>\[[0-9a-fA-F:]+\]|[\w.-]+):(?P<port>\d{1,5})", re.ASCII)
SERVICE = re.compile(r"\w+://(?P<name>[a-z0-9-]+)-scheduler\.(?P<namespace>[a-z0-9-]+)(\.svc[\w.-]*)?:\d+", re.ASCII)
NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", re.ASCII)
SAID_BY_NAME = "from `name`"
HOW_TO_TELL = (
    f"give `scheduler` (tcp://host:8786) or `cluster` (a DaskCluster's name) in `with`, or set {contract.ENV_SCHEDULER}"
)


class Scheduler(Value):
    """Where a scheduler is, and who said so."""

    address: str
    said_by: str

    def __str__(self) -> str:
        return f"{self.address} ({self.said_by})"


class DaskCluster(Value):
    """A DaskCluster resource, and who named it."""

    name: str
    namespace: str
    said_by: str


def scheduler_of(
    context: RunContext, environ: Mapping[str, str], scheduler: str | None, cluster: str | None, namespace: str | None
) -> Scheduler:
    """Raises InputError for what can't be an address or a name, and where nothing tells."""
    if scheduler is not None:
        return Scheduler(_address(scheduler, "scheduler"), "from `scheduler`")
    if cluster is not None:
        return Scheduler(_service(_name(cluster, "cluster"), namespace or context.pod.namespace), "from `cluster`")
    told = environ.get(contract.ENV_SCHEDULER)
    if told:
        return Scheduler(_address(told, contract.ENV_SCHEDULER), f"from {contract.ENV_SCHEDULER}")
    label = context.pod.labels.get(contract.LABEL_DASK_CLUSTER)
    if label:
        address = _service(label, namespace or context.pod.namespace)
        return Scheduler(address, f"from the pod's label {contract.LABEL_DASK_CLUSTER}")
    raise InputError(f"nothing tells where the Dask scheduler is: {HOW_TO_TELL}")


def cluster_of(
    context: RunContext,
    environ: Mapping[str, str],
    name: str | None,
    namespace: str | None,
    name_file: str | None,
) -> DaskCluster | None:
    """None where main was to leave the name in `name_file` and hasn't: then it has made no cluster."""
    where = namespace or context.pod.namespace
    if name is not None:
        return DaskCluster(_name(name, "name"), where, SAID_BY_NAME)
    if name_file is not None:
        left = _left_by_main(context, name_file)
        return DaskCluster(_name(left, name_file), where, f"from {name_file}") if left else None
    of_service = SERVICE.fullmatch(environ.get(contract.ENV_SCHEDULER, ""))
    if of_service:
        found = namespace or of_service["namespace"]
        return DaskCluster(of_service["name"], found, f"from {contract.ENV_SCHEDULER}")
    label = context.pod.labels.get(contract.LABEL_DASK_CLUSTER)
    if label:
        return DaskCluster(label, where, f"from the pod's label {contract.LABEL_DASK_CLUSTER}")
    raise InputError(
        "nothing tells which DaskCluster to delete: give `name` in `with`, or let main write it to a file in "
        f"${contract.ENV_SHARED_DIR} and give `name_file`"
    )


def _left_by_main(context: RunContext, name_file: str) -> str:
    path = context.shared_dir / name_file
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise CallbackError(f"{path} can't be read: {error}") from error


def _address(text: object, where: str) -> str:
    found = ADDRESS.fullmatch(text) if isinstance(text, str) else None
    if found is None or not 0 < int(found["port"]) < 65536:
        raise InputError(f"{where}: {shown(text)} is no scheduler's address: write tcp://host:{PORT}")
    return f"{found['scheme'] or 'tcp'}://{found['host']}:{found['port']}"


def _service(cluster: str, namespace: str) -> str:
    """The service that the Dask operator makes. `.svc` is found by the search list, whatever the cluster's domain."""
    return f"tcp://{cluster}-scheduler.{namespace}.svc:{PORT}"


def _name(text: object, where: str) -> str:
    if isinstance(text, str) and len(text) <= 63 and NAME.fullmatch(text):
        return text
    raise InputError(f"{where}: {shown(text)} is no DaskCluster's name: write small letters, digits and dashes")
