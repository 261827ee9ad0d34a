"""What to do with a flow run whose process is gone: a pure decision. docs/prefect.md has its table."""

from __future__ import annotations

import signal
from enum import Enum

from podhooks.context import Result, parse_time
from podhooks.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from podhooks.context import ExitInfo, Json, PodInfo, RunContext

FINAL = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})
RELINQUISH = "relinquish"  # PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR where Kubernetes retries the Job


class Action(str, Enum):
    LEAVE = "leave"
    CRASH = "crash"
    CANCEL = "cancel"


class Decision(Value):
    """`why` is for people: the state that was found, and what follows."""

    action: Action
    why: str


def decide(run: Mapping[str, Json], context: RunContext, *, retried: bool = False) -> Decision:
    """
    Args:
        run: as GET /flow_runs/ID answers.
        retried: Kubernetes makes another pod after one that failed (`backoff_limit` above 0).
    """
    state = run.get("state") or {}
    kind, name = state.get("type"), state.get("name") or state.get("type")
    if kind in FINAL:
        return Decision(Action.LEAVE, f"it is {name} already")
    if kind == "SCHEDULED":
        return Decision(Action.LEAVE, f"it is {name}: it will run again")
    if kind == "PAUSED":
        return Decision(Action.LEAVE, f"it is {name}: it may be resumed")
    if elsewhere := _elsewhere(run, context):
        return Decision(Action.LEAVE, f"it is {name} in another place: {elsewhere}")
    if kind == "CANCELLING":
        return Decision(Action.CANCEL, "it was being cancelled, and its process is gone")
    if retried and not (context.exit and context.exit.succeeded):  # after success its Job is complete
        return Decision(Action.LEAVE, f"it is {name}, and Kubernetes retries its Job (backoff_limit)")
    if kind == "PENDING" and _is_submitted_again(run, context):
        return Decision(Action.LEAVE, f"it is {name} again, submitted after this pod's main started")
    if kind in ("RUNNING", "PENDING"):
        return Decision(Action.CRASH, f"it is {name}, and its process is gone")
    return Decision(Action.LEAVE, f"its state {kind!r} isn't one that Podhooks knows")


def _elsewhere(run: Mapping[str, Json], context: RunContext) -> str:
    """The Job (`namespace:name`) that Prefect's worker made for this run last, if it isn't this pod's."""
    infrastructure = run.get("infrastructure_pid")
    if context.owner is None or not isinstance(infrastructure, str) or not infrastructure:
        return ""
    ours = f"{context.pod.namespace}:{context.owner.name}"
    return "" if infrastructure == ours or infrastructure.endswith(f":{ours}") else infrastructure


def _is_submitted_again(run: Mapping[str, Json], context: RunContext) -> bool:
    """Whether a Pending run has run before, and went back to Pending since our main started.

    That is a reschedule (after an eviction) which a worker has picked up but made no Job for yet.
    """
    if not run.get("run_count"):
        return False
    since = parse_time((run.get("state") or {}).get("timestamp"))
    started = context.exit.started_at if context.exit else None
    return since is None or started is None or since > started


def cause(end: ExitInfo, pod: PodInfo, container: str) -> str:
    """One line: how main ended, and where."""
    parts = []
    if end.exit_code is not None:
        parts.append(f"exit code {end.exit_code}")
    if end.signal is not None:
        parts.append(signal_name(end.signal))
    if end.reason and end.reason != end.result.value:
        parts.append(f"reason {end.reason}")
    known = f" ({', '.join(parts)})" if parts else ""
    said = f": {' '.join(end.message.split())}" if end.message.strip() else ""
    return f"{_ending(end)}{known}{said}; container {container} of pod {pod.namespace}/{pod.name}{_on(pod)}"[:1000]


def _ending(end: ExitInfo) -> str:
    if end.succeeded:
        return "The flow's process ended well but left its run unfinished: Succeeded"
    if end.result in (Result.NEVER_STARTED, Result.START_FAILED):
        return f"The flow's process was never started: {end.result.value}"
    return f"The flow's process ended: {end.result.value}"


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _on(pod: PodInfo) -> str:
    return f" on node {pod.node}" if pod.node else ""
