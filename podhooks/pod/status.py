"""How did main end? Pod object in, ExitInfo (or None: not yet) out. Pure, and proven on recorded watch streams.

The order of trust: what the pod says of itself (`status.reason`, the `DisruptionTarget` condition, deletion) before
what the container says, unless the container had ended for good before that began. A container's `terminated` alone is
not the end: the kubelet may run it again. And once a pod is being deleted the API shows main as running until every
container of the pod is dead. An end that nobody saw has no exit code, whatever number stands there.
"""

from __future__ import annotations

from datetime import datetime

from podhooks.context import EMPTY, ExitInfo, Result, parse_time
from podhooks.pod.cause import (
    PROVIDER_NOT_FOUND,
    TAINT_MANAGER,
    Cause,
    cause_of_end,
    deadline_passed,
    reason_of,
)
from podhooks.pod.object import (
    FINISHED_PHASES,
    NEVER_RAN_REASONS,
    RESTARTING_ALL,
    Container,
    containers,
    is_deleting,
    is_lost,
    main_container,
    main_containers,
    mapping,
    mappings,
    may_restart,
    phase,
    rule_matches,
    text,
    whole,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from podhooks.context import Json

# What proves that a waiting container has not been created: it can't be running behind the API's back.
NOT_CREATED_REASONS = frozenset(
    {
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
        "CreateContainerConfigError",
        "CreateContainerError",
    }
)


def exit_info(
    pod: Mapping[str, Json], main: str | None = None, *, gone: bool = False, ran: Collection[str] = ()
) -> ExitInfo | None:
    """How main ended; None while it may still run, or run again.

    `main`: a container's name, `*` for all of them together, None for what the annotations say. `gone`: the object came
    with a DELETED event, so it is the last that will ever be known. `ran`: names of containers that earlier objects
    showed running; a kubelet that was restarted may forget that. Never raises, whatever the pod holds.
    """
    mains = _mains(pod, main, ran)
    if not mains:
        over = gone or phase(pod) in FINISHED_PHASES
        return ExitInfo(Result.UNKNOWN, message=f"the pod has no container {main!r}") if over else None
    ends = [_one_end(pod, each, gone=gone) for each in mains]
    return _together([end for end in ends if end is not None]) if all(ends) else None


def presumed(
    pod: Mapping[str, Json], main: str | None = None, *, now: datetime | None = None, ran: Collection[str] = ()
) -> ExitInfo:
    """The best that can be said when on_exit has to start before main's end can be seen.

    That is so when a pod is deleted or runs into its deadline: its last state is published after all its containers are
    dead. `now` is the API server's time; with it a pod's own deadline can be told from other terminations. `ran` as in
    exit_info().
    """
    seen = exit_info(pod, main, ran=ran)
    if seen is not None:
        return seen
    cause = cause_of_end(pod, over=False) or deadline_passed(pod, now) or Cause(Result.UNKNOWN, *reason_of(pod))
    name, mains = main or main_container(pod), _mains(pod, main, ran)
    restarts = sum(each.restarts for each in mains)
    started_at = min((each.started_at for each in mains if each.started_at is not None), default=None)
    never = cause.result is Result.DELETED and mains and all(_never_ran(pod, each) for each in mains)
    return ExitInfo(
        Result.NEVER_STARTED if never else cause.result,
        reason=cause.reason,
        message=cause.message,
        restarts=restarts,
        started_at=started_at,
        container=name or "",
    )


def restarting_all(pod: Mapping[str, Json]) -> bool:
    """Whether a container's end, by rule, starts every container of the pod afresh: ours is killed with them.

    https://github.com/kubernetes/kubernetes/blob/v1.36.0/pkg/kubelet/container/helpers.go (ShouldAllContainersRestart)
    """
    if phase(pod) in FINISHED_PHASES:
        return False
    conditions = mappings(mapping(pod.get("status")).get("conditions"))
    begun = any(each.get("type") == "AllContainersRestarting" and each.get("status") == "True" for each in conditions)
    return begun or any(
        rule_matches(rule, whole(mapping(each.state.get("terminated")).get("exitCode")))
        for each in (*containers(pod), *containers(pod, init=True))
        for rule in _restart_all_rules(each)
        if "terminated" in each.state
    )


def _mains(pod: Mapping[str, Json], main: str | None, ran: Collection[str]) -> list[Container]:
    mains = main_containers(pod, main)
    return [each.replace(seen_running=True) if each.name in ran else each for each in mains] if ran else mains


def _one_end(pod: Mapping[str, Json], main: Container, *, gone: bool) -> ExitInfo | None:
    over = gone or phase(pod) in FINISHED_PHASES
    cause, own = cause_of_end(pod, over=over), _own_end(pod, main)
    if cause is not None and cause.reason == TAINT_MANAGER and phase(pod) in FINISHED_PHASES and main.runs:
        cause = cause.replace(result=Result.NODE_LOST)
    if own is not None and (cause is None or _came_first(pod, own, cause)):
        return own
    if cause is None and gone:
        cause = Cause(Result.DELETED, "Deleted", "the pod is gone")
    if cause is not None:
        final = "terminated" in main.state and not may_restart(main, main.end or EMPTY)
        return _ended_by(pod, cause, main, over=over or final)
    return _leftover(pod, main) if over else None


def _own_end(pod: Mapping[str, Json], main: Container) -> ExitInfo | None:
    """Main's end by itself, or that of what had to run before it; None unless it is for good."""
    if restarting_all(pod):
        return None
    end = main.end if "terminated" in main.state else None
    if end is not None:
        removed = text(end.get("reason")) == RESTARTING_ALL
        again = removed or may_restart(main, end) or _may_restart_all(pod)
        return None if again else _info(_verdict(end), main, end)
    if main.runs or phase(pod) == "Succeeded":
        return None
    for init in containers(pod, init=True):
        end = init.end if "terminated" in init.state else None
        if end is not None and init.spec.get("restartPolicy") != "Always" and whole(end.get("exitCode")) != 0:
            if may_restart(init, end) or (is_lost(end) and (main.started or phase(pod) not in FINISHED_PHASES)):
                return None
            return _start_failed(init, end, main)
    return None


def _came_first(pod: Mapping[str, Json], own: ExitInfo, cause: Cause) -> bool:
    """Whether main had ended by itself before `cause` began.

    Once a pod is being ended, nothing of a container's end is published before all are dead, and then under the new
    generation. So an end is main's own if another container is still shown as running, if the kubelet's last status is
    older than the deletion, or if the containers stopped being ready before the last one ended (native-succeeded
    against native-deleted in traces/; a readiness probe does that, too, at any time). Evictions and deadlines say when
    they began, so there the clock decides. A deletion doesn't once the kubelet has made its last call.
    """
    everyone = (*containers(pod, init=True), *containers(pod))
    if own.finished_at is None:  # also of an end that nobody saw
        return False
    if phase(pod) not in FINISHED_PHASES and any("running" in each.state for each in everyone):
        return True
    if cause.since is not None and own.finished_at != cause.since:
        return own.finished_at < cause.since
    status, generation = mapping(pod.get("status")), whole(mapping(pod.get("metadata")).get("generation"))
    observed = whole(status.get("observedGeneration"))
    if cause.result is Result.DELETED and observed is not None and generation is not None and observed < generation:
        return True
    if any("readinessProbe" in each.spec for each in everyone):
        return False
    unready = [
        parse_time(each.get("lastTransitionTime"))
        for each in mappings(status.get("conditions"))
        if each.get("type") == "ContainersReady" and each.get("status") == "False"
    ]
    ends = [parse_time((each.end or EMPTY).get("finishedAt")) for each in everyone if "terminated" in each.state]
    last = max((end for end in ends if end is not None), default=None)
    return any(last is not None and moment is not None and own.finished_at <= moment < last for moment in unready)


def _start_failed(init: Container, end: Mapping[str, Json], main: Container) -> ExitInfo:
    said = _said(text(end.get("message")).strip())
    how = "was lost" if is_lost(end) else f"ended with exit code {whole(end.get('exitCode'))}"
    what = f"init container {init.name!r} {how}"
    return ExitInfo(
        Result.START_FAILED,
        reason=text(end.get("reason")),
        message=f"{what}: {said}" if said else what,
        finished_at=parse_time(end.get("finishedAt")),
        container=main.name,
    )


def _said(message: str) -> str:
    """A termination message for people. Ours is a record of callbacks: what failed in it is what there is to say."""
    if not message.startswith("{"):
        return message
    import json

    try:
        callbacks = json.loads(message.splitlines()[0])["callbacks"]
        bad = [each for each in callbacks if each["status"] not in ("succeeded", "skipped")]
        return "; ".join(f"{each['name']} {each['status']}: {each['message']}" for each in bad)
    except (ValueError, KeyError, TypeError, RecursionError):
        return message


def _ended_by(pod: Mapping[str, Json], cause: Cause, main: Container, *, over: bool) -> ExitInfo | None:
    waiting = text(mapping(main.state.get("waiting")).get("reason"))
    never = _never_ran(pod, main) and (over or waiting in NOT_CREATED_REASONS)
    if cause.result is Result.DELETED and never:
        return _info(
            Result.NEVER_STARTED, main, main.end or EMPTY, reason=waiting or cause.reason, message=cause.message
        )
    if not over:
        return None
    return _info(cause.result, main, main.end or EMPTY, reason=cause.reason, message=cause.message)


def _leftover(pod: Mapping[str, Json], main: Container) -> ExitInfo:
    """A finished pod that doesn't say why: what the container itself tells, whatever its restart policy was.

    The phase Succeeded says of all containers that they ended in success; Failed only that not all did.
    """
    end, (reason, message) = main.end or EMPTY, reason_of(pod)
    if phase(pod) == "Succeeded" and "terminated" not in main.state:
        return _info(Result.SUCCEEDED, main, EMPTY, reason=reason, message=message)
    if end and not is_lost(end):
        return _info(_verdict(end), main, end, message=text(end.get("message")) or message)
    result = _unexplained(pod, main)
    waiting = mapping(main.state.get("waiting")) if result is Result.NEVER_STARTED else EMPTY
    reason, message = reason or text(waiting.get("reason")), message or text(waiting.get("message"))
    return _info(result, main, end, reason=reason, message=message)


def _unexplained(pod: Mapping[str, Json], main: Container) -> Result:
    """Of a container whose end nobody saw, in a pod that failed."""
    if _never_ran(pod, main):
        return Result.NEVER_STARTED
    return Result.EVICTED if main.seen_running and _was_rejected(pod, main) else Result.UNKNOWN


def _never_ran(pod: Mapping[str, Json], main: Container) -> bool:
    """Whether the pod proves that. A pod on a node without a word of its containers proves nothing."""
    if main.started or phase(pod) == "Succeeded":
        return False
    placed = mapping(pod.get("spec")).get("nodeName") or mapping(pod.get("status")).get("startTime")
    told = bool(main.status) and reason_of(pod)[0] != PROVIDER_NOT_FOUND
    return told or _was_rejected(pod, main) or not placed


def _was_rejected(pod: Mapping[str, Json], main: Container) -> bool:
    """Whether the kubelet didn't admit the pod (`OutOfcpu`, `NodeAffinity`, `UnexpectedAdmissionError`).

    It then gives a reason and no container statuses; after its own restart also of a pod that ran for hours.
    https://github.com/kubernetes/kubernetes/blob/v1.36.0/pkg/kubelet/kubelet.go (rejectPod)
    """
    reason = reason_of(pod)[0]
    return phase(pod) == "Failed" and bool(reason) and reason != PROVIDER_NOT_FOUND and not main.status


def _info(result: Result, main: Container, end: Mapping[str, Json], *, reason: str = "", message: str = "") -> ExitInfo:
    code = None if is_lost(end) else whole(end.get("exitCode"))
    signal = whole(end.get("signal")) or (code - 128 if code is not None and 128 < code <= 192 else None)
    if text(end.get("reason")) in NEVER_RAN_REASONS:
        signal = None
    return ExitInfo(
        result,
        exit_code=code,
        signal=signal,
        reason=reason or text(end.get("reason")),
        message=message or text(end.get("message")),
        started_at=main.started_at,
        finished_at=None if is_lost(end) else parse_time(end.get("finishedAt")),
        restarts=main.restarts,
        container=main.name,
    )


def _verdict(end: Mapping[str, Json]) -> Result:
    """The container's own word. The reason decides: a child killed for memory leaves main's own exit code."""
    reason = text(end.get("reason"))
    if reason == "OOMKilled":
        return Result.OOM_KILLED
    if reason in NEVER_RAN_REASONS:
        return Result.NEVER_STARTED
    if is_lost(end):
        return Result.UNKNOWN
    code = whole(end.get("exitCode"))
    if code is None:
        return Result.UNKNOWN
    return Result.SUCCEEDED if code == 0 else Result.FAILED


def _together(ends: Sequence[ExitInfo]) -> ExitInfo:
    """Several mains as one: the first that didn't succeed speaks for all."""
    if len(ends) == 1:
        return ends[0]
    bad = [end for end in ends if end.result is not Result.SUCCEEDED]
    known = [end for end in bad if end.finished_at is not None]
    speaker = min(known, key=lambda end: end.finished_at or datetime.max) if known else (bad or list(ends))[0]
    return speaker.replace(
        started_at=min((end.started_at for end in ends if end.started_at is not None), default=None),
        finished_at=max((end.finished_at for end in ends if end.finished_at is not None), default=None),
        restarts=sum(end.restarts for end in ends),
    )


def _may_restart_all(pod: Mapping[str, Json]) -> bool:
    """Whether a container beside main may still do that. (Sidecars end after main: nobody waits for them.)"""
    others = [each for each in containers(pod) if "terminated" not in each.state]
    return not is_deleting(pod) and any(map(_restart_all_rules, others))


def _restart_all_rules(container: Container) -> list[Mapping[str, Json]]:
    rules = mappings(container.spec.get("restartPolicyRules"))
    return [rule for rule in rules if rule.get("action") == "RestartAllContainers"]
