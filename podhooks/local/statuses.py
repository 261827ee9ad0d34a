"""Pod status from what the kubelet knows: phase, conditions, container states. Pure.

Every rule is one that the recorded watch streams show (`tests/integration/test_trace_order.py` compares).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from podhooks.kinds.resources import Json
from podhooks.local.containers import UNKNOWN, Container, Role, is_restarted

ADDRESS = "127.0.0.1"
TERMINAL = ("Succeeded", "Failed")
_OWN_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


@dataclass(frozen=True)
class PodState:
    """The pod's part of a status; `over`: no container will run any more, so the phase may become final."""

    started_at: str
    now: str
    sandbox_ready: bool = False
    ending: bool = False
    """Deletion or deadline: nothing is restarted, and reasons of waiting are no longer looked up."""
    over: bool = False
    given_up: bool = False
    """Lost containers were marked as such; the conditions stay as they were (`classic-image-missing`)."""
    reason: str = ""
    message: str = ""


def phase_of(pod: Json, containers: Sequence[Container], state: PodState) -> str:
    """What the containers say, as the kubelet's getPhase. A reason of the pod (deadline) means Failed."""
    if state.reason:
        return "Failed"
    policy = pod["spec"].get("restartPolicy", "Always")
    inits = [c for c in containers if c.role is Role.INIT]
    mains = [c for c in containers if c.role is Role.MAIN]
    sidecars = [c for c in containers if c.role is Role.SIDECAR]
    final = state.over or state.ending
    if any(c.exit_code and (final or not is_restarted(c, policy)) for c in inits):
        return "Failed"
    pending = any(c.exit_code is None for c in inits) or any(c.exit_code for c in inits)
    if pending or any(not c.has_run for c in mains):
        return "Pending"
    if any(not c.has_run for c in sidecars) and not is_initialized(containers):
        return "Pending"
    if any(c.is_running for c in (*mains, *sidecars)):
        return "Running"
    if not final and any(is_restarted(c, policy) for c in mains):
        return "Running"
    return "Failed" if any(c.exit_code for c in mains) else "Succeeded"


def is_initialized(containers: Sequence[Container]) -> bool:
    """Every init container is done and every sidecar has started, or a main container has already run."""
    if any(c.has_run for c in containers if c.role is Role.MAIN):
        return True
    return all(c.exit_code == 0 if c.role is Role.INIT else c.has_run for c in containers if c.role is not Role.MAIN)


def pod_status(pod: Json, containers: Sequence[Container], state: PodState) -> Json:
    """The whole status. A final phase is held back until `state.over`, its conditions are not (fact 10)."""
    old = pod.get("status") or {}
    computed = phase_of(pod, containers, state)
    held = computed in TERMINAL and not state.over
    phase = old.get("phase", "Pending") if held else computed
    generation = pod["metadata"].get("generation", 1)
    status: Json = {"observedGeneration": generation, "phase": phase}
    kept = old.get("conditions") if state.given_up else None
    status["conditions"] = kept or _conditions(old, containers, state, computed, generation)
    if not held and state.reason:
        status |= {"reason": state.reason, "message": state.message}
    status |= {"hostIP": ADDRESS, "hostIPs": [{"ip": ADDRESS}]}
    if any(c.has_run for c in containers):
        status |= {"podIP": ADDRESS, "podIPs": [{"ip": ADDRESS}]}
    status["startTime"] = state.started_at
    waiting = "PodInitializing" if pod["spec"].get("initContainers") else "ContainerCreating"
    early = [c for c in containers if c.role is not Role.MAIN]
    if early:
        status["initContainerStatuses"] = [container_status(c, waiting, state.ending) for c in early]
    mains = [c for c in containers if c.role is Role.MAIN]
    status["containerStatuses"] = [container_status(c, waiting, state.ending) for c in mains]
    return status | {"qosClass": old.get("qosClass", "BestEffort")}


def container_status(container: Container, waiting: str, ending: bool) -> Json:
    """One entry of containerStatuses."""
    started = container.is_running
    ready = container.exit_code == 0 if container.role is Role.INIT else started
    status: Json = {
        "name": container.name,
        "state": _state(container, waiting, ending),
        "lastState": _last_state(container, ending),
        "ready": ready,
        "restartCount": container.restarts,
        "image": container.spec.get("image", ""),
        "imageID": f"local://{container.spec.get('image', '')}" if container.has_run else "",
    }
    if container.container_id:
        status["containerID"] = container.container_id
    status |= {"started": started, "resources": container.spec.get("resources") or {}}
    mounts = [_mount(entry) for entry in container.spec.get("volumeMounts") or ()]
    if mounts:
        status["volumeMounts"] = mounts
    if container.has_run:
        status["user"] = {"linux": {"uid": os.getuid(), "gid": os.getgid(), "supplementalGroups": [os.getgid()]}}
    return status


def _mount(entry: Json) -> Json:
    known = {"name": entry["name"], "mountPath": entry["mountPath"]}
    return {**known, "readOnly": True, "recursiveReadOnly": "Disabled"} if entry.get("readOnly") else known


def _state(container: Container, waiting: str, ending: bool) -> Json:
    if container.is_running:
        return {"running": {"startedAt": container.running_since}}
    if container.ended and (ending or container.waiting is None):
        return {"terminated": container.ended.as_json()}
    reason, message = (container.waiting or (waiting, "")) if not ending else (waiting, "")
    return {"waiting": {"reason": reason, **({"message": message} if message else {})}}


def _last_state(container: Container, ending: bool) -> Json:
    """The run before; while it waits to be restarted, that is the one that ended last."""
    last = container.ended if container.ended and container.waiting and not ending else container.last
    return {"terminated": last.as_json()} if last else {}


def _conditions(old: Json, containers: Sequence[Container], state: PodState, phase: str, generation: int) -> list[Json]:
    before = {c["type"]: c for c in old.get("conditions") or ()}
    not_ready = [c.name for c in containers if c.role is not Role.INIT and not c.is_running]
    incomplete = [
        c.name
        for c in containers
        if (c.role is Role.INIT and c.exit_code != 0) or (c.role is Role.SIDECAR and not c.has_run)
    ]
    done = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}.get(phase)
    unready = (done, "") if done else ("ContainersNotReady", f"containers with unready status: [{' '.join(not_ready)}]")
    ready = (not not_ready and not done, *unready)
    initialized = is_initialized(containers)
    why = ("PodCompleted", "") if phase == "Succeeded" else ("", "")
    if not initialized:
        why = ("ContainersNotInitialized", f"containers with incomplete status: [{' '.join(incomplete)}]")
    wanted = {
        "PodReadyToStartContainers": (state.sandbox_ready, "", ""),
        "Initialized": (initialized, *why),
        "Ready": ready,
        "ContainersReady": ready,
        "PodScheduled": (True, "", ""),
    }
    made = [_condition(before.get(kind), kind, value, generation, state.now) for kind, value in wanted.items()]
    return [c for kind, c in before.items() if kind not in _OWN_CONDITIONS] + made


def _condition(before: Json | None, kind: str, value: tuple[bool, str, str], generation: int, now: str) -> Json:
    holds, reason, message = value
    status = "True" if holds else "False"
    since = before["lastTransitionTime"] if before and before["status"] == status else now
    found: Json = {
        "type": kind,
        "observedGeneration": generation,
        "status": status,
        "lastProbeTime": None,
        "lastTransitionTime": since,
    }
    if reason and not (holds and reason != "PodCompleted"):
        found["reason"] = reason
    if message and not holds:
        found["message"] = message
    return found


def mark_lost(containers: Sequence[Container]) -> bool:
    """The last word on a finished pod: what should have run but was never seen is given up (`classic-image-missing`).

    True if that changed anything. Main containers count once the pod was initialized, of the init containers those up
    to the last one that was tried.
    """
    lost = [c for c in containers if c.ended is None and c.role is Role.MAIN and is_initialized(containers)]
    early = [c for c in containers if c.role is not Role.MAIN]
    tried = max((i for i, c in enumerate(early) if c.has_run), default=0)
    lost += [c for c in early[: tried + 1] if c.ended is None]
    for container in lost:
        container.ended, container.waiting = replace(UNKNOWN), None
    return bool(lost)
