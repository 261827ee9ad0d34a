"""What `kubectl get` prints: the server decides the columns, and kubectl only aligns them.

The pod's STATUS and READY follow the API server's own printer (pkg/printers/internalversion), including its oddities:
a native sidecar counts in READY while it has started, `NotReady` stands for "main completed, another container runs".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from podhooks.kinds.resources import Json
from podhooks.local.deletion import parse_rfc3339

Cells = list[Any]


@dataclass(frozen=True)
class Printer:
    """Columns of one kind; those in `wide` are shown with `-o wide` only. `cells` makes one row, all columns."""

    columns: tuple[str, ...]
    cells: Callable[[Json, datetime], Cells]
    wide: tuple[str, ...] = ()


def table(plural: str, objects: list[Json], version: str, *, include: str, headers: bool = True) -> Json:
    """metav1.Table. `include` is None, Metadata or Object: how much of each object comes with its row."""
    printer, now = PRINTERS.get(plural, _PLAIN), datetime.now(timezone.utc)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": version},
        "columnDefinitions": [_column(printer, name) for name in printer.columns] if headers else [],
        "rows": [{"cells": printer.cells(obj, now), **_included(obj, include)} for obj in objects],
    }


def partial(obj: Json) -> Json:
    """metav1.PartialObjectMetadata."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def pod_status(pod: Json) -> str:
    """The STATUS column."""
    status, initializing = _init_status(pod)
    if not initializing or _condition(pod, "Initialized"):
        status = _main_status(pod, status)
    over = _status(pod).get("phase") in ("Succeeded", "Failed")
    if "deletionTimestamp" in pod["metadata"] and _status(pod).get("reason") == "NodeLost":
        return "Unknown"
    return "Terminating" if "deletionTimestamp" in pod["metadata"] and not over else status


def pod_ready(pod: Json) -> str:
    """The READY column: started sidecars count, finished init containers don't."""
    sidecars = _sidecars(pod)
    ready = sum(1 for s in _until_initializing(pod) if s["name"] in sidecars and _runs_as_sidecar(s) and s.get("ready"))
    if not _init_status(pod)[1] or _condition(pod, "Initialized"):
        ready += sum(1 for s in _containers(pod) if s.get("ready") and "running" in _state(s))
    return f"{ready}/{len(pod.get('spec', {}).get('containers', [])) + len(sidecars)}"


def pod_restarts(pod: Json, now: datetime) -> str:
    """The RESTARTS column: `2 (14s ago)`."""
    sidecars = _sidecars(pod)
    counted = _until_initializing(pod)
    if not _init_status(pod)[1] or _condition(pod, "Initialized"):
        counted = [s for s in counted if s["name"] in sidecars] + _containers(pod)
    restarts = sum(int(s.get("restartCount") or 0) for s in counted)
    ends = [((s.get("lastState") or {}).get("terminated") or {}).get("finishedAt") for s in counted]
    last = max((end for end in ends if end), default=None)
    return f"{restarts} ({since(last, now)} ago)" if restarts and last else str(restarts)


def human_duration(seconds: float) -> str:
    """Go's `duration.HumanDuration`: two units at most, the coarser the longer."""
    total = int(seconds)
    minutes, hours, days = total // 60, total // 3600, total // 86400
    if total < -1:
        return "<invalid>"
    if total < 120:
        return f"{max(total, 0)}s"
    if minutes < 10:
        return _two(minutes, "m", total % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    return _two(days // 365, "y", days % 365, "d") if days < 2920 else f"{days // 365}y"


def since(timestamp: str | None, now: datetime) -> str:
    """The AGE of something."""
    if not timestamp:
        return "<unknown>"
    return human_duration((now - parse_rfc3339(timestamp.split(".")[0].rstrip("Z") + "Z")).total_seconds())


# -- parts of the pod printer


def _init_status(pod: Json) -> tuple[str, bool]:
    """(STATUS as far as init containers decide it, whether one of them holds the pod up)."""
    status = _status(pod)
    phase = str(status.get("reason") or status.get("phase") or "")
    if any(c.get("type") == "PodScheduled" and c.get("reason") == "SchedulingGated" for c in _conditions(pod)):
        phase = "SchedulingGated"
    sidecars = _sidecars(pod)
    for index, container in enumerate(_init_containers(pod)):
        terminated, waiting = _state(container).get("terminated"), _state(container).get("waiting") or {}
        if terminated is not None and terminated.get("exitCode") == 0:
            continue
        if container["name"] in sidecars and container.get("started"):
            continue
        if terminated is not None:
            return "Init:" + _ended(terminated), True
        if waiting.get("reason") not in (None, "", "PodInitializing"):
            return f"Init:{waiting['reason']}", True
        return f"Init:{index}/{len(pod['spec']['initContainers'])}", True
    return phase, False


def _main_status(pod: Json, status: str) -> str:
    running = False
    for container in reversed(_containers(pod)):
        state = _state(container)
        if (state.get("waiting") or {}).get("reason"):
            status = state["waiting"]["reason"]
        elif state.get("terminated") is not None:
            status = _ended(state["terminated"])
        elif container.get("ready") and "running" in state:
            running = True
    if status == "Completed" and running:
        return "Running" if _condition(pod, "Ready") else "NotReady"
    return status


def _ended(terminated: Json) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _until_initializing(pod: Json) -> list[Json]:
    """Statuses of the init containers up to the one that holds the pod up: the printer looks no further."""
    seen, sidecars = [], _sidecars(pod)
    for container in _init_containers(pod):
        seen.append(container)
        terminated = _state(container).get("terminated")
        done = terminated is not None and terminated.get("exitCode") == 0
        if not done and not (container["name"] in sidecars and container.get("started")):
            break
    return seen


def _runs_as_sidecar(container: Json) -> bool:
    return bool(container.get("started")) and (_state(container).get("terminated") or {}).get("exitCode") != 0


def _sidecars(pod: Json) -> set[str]:
    init = pod.get("spec", {}).get("initContainers") or []
    return {container["name"] for container in init if container.get("restartPolicy") == "Always"}


def _status(obj: Json) -> Json:
    status: Json = obj.get("status") or {}
    return status


def _state(container: Json) -> Json:
    state: Json = container.get("state") or {}
    return state


def _containers(pod: Json) -> list[Json]:
    return list(_status(pod).get("containerStatuses") or [])


def _init_containers(pod: Json) -> list[Json]:
    return list(_status(pod).get("initContainerStatuses") or [])


def _conditions(obj: Json) -> list[Json]:
    return list(_status(obj).get("conditions") or [])


def _condition(obj: Json, kind: str) -> bool:
    return any(c.get("type") == kind and c.get("status") == "True" for c in _conditions(obj))


def _two(first: int, unit: str, second: int, smaller: str) -> str:
    return f"{first}{unit}{second}{smaller}" if second else f"{first}{unit}"


# -- rows


def _age(obj: Json, now: datetime) -> str:
    return since(obj["metadata"].get("creationTimestamp"), now)


def _pod(pod: Json, now: datetime) -> Cells:
    status, spec = _status(pod), pod.get("spec") or {}
    addresses = [ip.get("ip") for ip in status.get("podIPs") or []]
    where = [addresses[0] if addresses else status.get("podIP"), spec.get("nodeName"), status.get("nominatedNodeName")]
    name = pod["metadata"]["name"]
    row = [name, pod_ready(pod), pod_status(pod), pod_restarts(pod, now), _age(pod, now)]
    return [*row, *(part or "<none>" for part in where), "<none>"]


def _job_state(job: Json) -> str:
    for condition, word in (("Complete", "Complete"), ("Failed", "Failed")):
        if _condition(job, condition):
            return word
    if "deletionTimestamp" in job["metadata"]:
        return "Terminating"
    states = ("Suspended", "FailureTarget", "SuccessCriteriaMet")
    return next((state for state in states if _condition(job, state)), "Running")


def _completions(job: Json) -> str:
    spec, succeeded = job.get("spec") or {}, _status(job).get("succeeded") or 0
    if spec.get("completions") is not None:
        return f"{succeeded}/{spec['completions']}"
    parallelism = spec.get("parallelism") or 0
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _job(job: Json, now: datetime) -> Cells:
    status, spec = _status(job), job.get("spec") or {}
    started, ended = status.get("startTime"), status.get("completionTime")
    until = parse_rfc3339(ended) if ended else now
    duration = since(started, until) if started else ""
    row = [job["metadata"]["name"], _job_state(job), _completions(job), duration, _age(job, now)]
    containers = ((spec.get("template") or {}).get("spec") or {}).get("containers") or []
    labels = ((spec.get("selector") or {}).get("matchLabels") or {}).items()
    selector = ",".join(f"{key}={value}" for key, value in labels) or "<none>"
    return [*row, ",".join(c["name"] for c in containers), ",".join(c.get("image", "") for c in containers), selector]


def _event(event: Json, now: datetime) -> Cells:
    about = event.get("involvedObject") or {}
    first = event.get("firstTimestamp") or event.get("eventTime")
    last = (event.get("series") or {}).get("lastObservedTime") or event.get("lastTimestamp") or first
    source = event.get("source") or {}
    named = f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}"
    row = [since(last, now), event.get("type"), event.get("reason"), named, about.get("fieldPath", "")]
    by = ", ".join(part for part in (source.get("component"), source.get("host")) if part)
    return [*row, by, str(event.get("message", "")).strip(), since(first, now), event.get("count", 1), _name(event)]


def _name(obj: Json) -> str:
    return str(obj["metadata"]["name"])


def _node(node: Json, now: datetime) -> Cells:
    labels = node["metadata"].get("labels") or {}
    prefix = "node-role.kubernetes.io/"
    roles = ",".join(sorted(label[len(prefix) :] for label in labels if label.startswith(prefix)))
    version = (_status(node).get("nodeInfo") or {}).get("kubeletVersion", "")
    return [
        _name(node),
        "Ready" if _condition(node, "Ready") else "NotReady",
        roles or "<none>",
        _age(node, now),
        version,
    ]


_PLAIN = Printer(("Name", "Age"), lambda obj, now: [_name(obj), _age(obj, now)])

PRINTERS: dict[str, Printer] = {
    "pods": Printer(
        ("Name", "Ready", "Status", "Restarts", "Age", "IP", "Node", "Nominated Node", "Readiness Gates"),
        _pod,
        ("IP", "Node", "Nominated Node", "Readiness Gates"),
    ),
    "jobs": Printer(
        ("Name", "Status", "Completions", "Duration", "Age", "Containers", "Images", "Selector"),
        _job,
        ("Containers", "Images", "Selector"),
    ),
    "events": Printer(
        ("Last Seen", "Type", "Reason", "Object", "Subobject", "Source", "Message", "First Seen", "Count", "Name"),
        _event,
        ("Subobject", "Source", "First Seen", "Count", "Name"),
    ),
    "namespaces": Printer(("Name", "Status", "Age"), lambda o, now: [_name(o), _status(o).get("phase"), _age(o, now)]),
    "nodes": Printer(("Name", "Status", "Roles", "Age", "Version"), _node),
    "configmaps": Printer(("Name", "Data", "Age"), lambda o, now: [_name(o), len(o.get("data") or {}), _age(o, now)]),
    "secrets": Printer(
        ("Name", "Type", "Data", "Age"),
        lambda o, now: [_name(o), o.get("type", "Opaque"), len(o.get("data") or {}), _age(o, now)],
    ),
}


def _column(printer: Printer, name: str) -> Json:
    return {
        "name": name,
        "type": "string",
        "format": "name" if name == "Name" else "",
        "description": "",
        "priority": 1 if name in printer.wide else 0,
    }


def _included(obj: Json, include: str) -> Json:
    if include == "None":
        return {}
    return {"object": obj if include == "Object" else partial(obj)}
