"""What the rescuer does next about one pod, or about one Rescue. Pure: no clock, no API; the loop brings them.

Each step is one request. Whatever is lost between two of them (the process, an answer, the lead) is found again by
looking at the objects: a step that was done already is answered by the API server, or isn't decided a second time.

    pod:     Hold -> (the pod lives) -> Record -> Release, or only Release where nothing is owed
    Rescue:  Try -> Run -> Note (running) -> Finish, with Note (recorded again) where a Job was lost
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from podhooks import contract
from podhooks.context import ExitInfo, Result, Status
from podhooks.pod.object import is_deleting, mapping, sequence
from podhooks.pod.status import exit_info
from podhooks.runtime.record import Record as RecordOfHook
from podhooks.runtime.record import RecordData
from podhooks.value import Value
from podhooks_operator.rescue.debt import Debt, debt_left, debt_of, is_final, plan_of
from podhooks_operator.rescue.objects import Rescue, State
from podhooks_operator.rescue.rescue_settings import RescueSettings
from podhooks_operator.rescue.standing import Stage, Standing, standing

Json: TypeAlias = Any


class Wait(Value):
    """Nothing to do before `until`, or before something changes."""

    until: datetime | None = None


class Hold(Value):
    """Add the finalizer, so that the pod's end can be read."""


class Release(Value):
    """Drop the finalizer, and say why."""

    why: str


class Record(Value):
    """Write the Rescue."""

    verdict: ExitInfo
    debt: Debt
    standing: Standing


class Try(Value):
    """Ask by a dry run whether the pod of the Job would be let in."""


class Run(Value):
    """Create the Job of this attempt."""

    attempt: int


class Note(Value):
    """Write into the Rescue's status."""

    state: State
    attempts: int | None = None
    reason: str = ""
    message: str = ""
    record: RecordData | None = None
    twice: tuple[str, ...] = ()


class Cancel(Value):
    """Delete the Job, whose time is over."""


class Finish(Value):
    """End the Rescue: tell it by an Event, and write the state."""

    state: State
    reason: str
    message: str
    record: RecordData | None = None
    twice: tuple[str, ...] = ()


PodStep: TypeAlias = "Wait | Hold | Record | Release"
RescueStep: TypeAlias = "Wait | Try | Run | Note | Cancel | Finish"


class Tried(Value):
    """What a dry run was answered. `final`: it will never be answered otherwise. `again_at`: when to ask again."""

    refused: str = ""
    final: bool = False
    again_at: datetime | None = None


class SeenJob(Value):
    """A rescue Job. `record` is what its pod left, `trouble` why it didn't get that far."""

    attempt: int
    finished: bool = False
    record: RecordData | None = None
    trouble: str = ""


def decide_pod(pod: Mapping[str, Json], now: datetime, settings: RescueSettings, *, recorded: bool = False) -> PodStep:
    """`recorded`: a Rescue of this very pod (its UID) is there. `now` is the API server's time."""
    metadata = mapping(pod.get("metadata"))
    held = contract.FINALIZER in sequence(metadata.get("finalizers"))
    if not held and contract.RELEASED in mapping(metadata.get("annotations")):
        return Wait()
    at = standing(pod, now, settings.hold)
    if at.stage is not Stage.OVER:
        wanted = not held and not is_deleting(pod) and plan_of(pod).guaranteed
        return Hold() if wanted else Wait(at.until)
    verdict = verdict_of(pod)
    debt = debt_of(pod, verdict)
    if debt.paid or not plan_of(pod).guaranteed:
        return Release(contract.RELEASED_COMPLETE)
    return Release(contract.RELEASED_RECORDED) if recorded else Record(verdict, debt, at)


def verdict_of(pod: Mapping[str, Json]) -> ExitInfo:
    """By the last object that there will be."""
    return exit_info(pod, gone=True) or ExitInfo(Result.UNKNOWN)


def decide_rescue(
    rescue: Rescue,
    now: datetime,
    settings: RescueSettings,
    *,
    job: SeenJob | None = None,
    tried: Tried | None = None,
    room: bool = True,
) -> RescueStep:
    """`job` is that of the running attempt, or of the next one if it is there already; `room`: another may run."""
    if rescue.state.ended:
        return Wait()
    if not rescue.owed:
        return Finish(State.FAILED, "NoAttemptsLeft", _forfeited(rescue))
    deadline = (rescue.created_at or now) + timedelta(seconds=settings.deadline)
    if rescue.state is State.RUNNING:
        return _of_running(rescue, now, deadline, job, settings)
    if job is not None:
        return Note(State.RUNNING, attempts=job.attempt)
    if now >= deadline:
        refused = rescue.reason == "Refused"
        return Finish(*((State.REFUSED, "Refused", rescue.message) if refused else _expired("no Job could begin")))
    if not room:
        return Wait()
    return _begin(rescue, now, tried)


def _begin(rescue: Rescue, now: datetime, tried: Tried | None) -> RescueStep:
    if tried is None or (tried.refused and tried.again_at is not None and now >= tried.again_at):
        return Try()
    if not tried.refused:
        return Run(rescue.attempts + 1)
    if tried.final:
        return Finish(State.REFUSED, "Refused", tried.refused)
    if rescue.message != tried.refused:
        return Note(State.RECORDED, reason="Refused", message=tried.refused)
    return Wait(tried.again_at)


def _of_running(
    rescue: Rescue, now: datetime, deadline: datetime, job: SeenJob | None, settings: RescueSettings
) -> RescueStep:
    if job is None:
        gone = _expired("its Job took too long") if now >= deadline else None
        return Finish(*(gone or (State.FAILED, "JobDeleted", "the rescue Job was deleted before it had ended")))
    if not job.finished:
        return Cancel() if now >= deadline else Wait(deadline)
    record = job.record or rescue.record
    left = debt_left(plan_of(rescue.object), record, rescue.verdict)
    twice = _together(rescue.twice, rescue.begun)
    if not left.owed or rescue.attempts >= settings.attempts or now >= deadline:
        return _end(rescue, record, left, job.trouble, twice)
    again = left.begun if job.record else left.owed  # a pod that left no record may have run anything
    return Note(State.RECORDED, reason="Again", message=job.trouble, record=record, twice=_together(twice, again))


def _end(rescue: Rescue, record: RecordData | None, left: Debt, trouble: str, twice: tuple[str, ...]) -> Finish:
    if left.owed:
        message = f"not run: {', '.join(left.owed)}" + (f": {trouble}" if trouble else "")
        return Finish(State.FAILED, "JobLost", message, record, twice)
    failed = _failures(record, (*rescue.owed, *rescue.forfeit))
    if failed:
        return Finish(State.FAILED, "CallbackFailed", "; ".join(failed), record, twice)
    return Finish(State.DONE, "Completed", f"ran {', '.join(rescue.owed)}", record, twice)


def _failures(record: RecordData | None, keys: tuple[str, ...]) -> list[str]:
    """In words, the callbacks that neither succeeded nor were skipped."""
    outcomes = RecordOfHook(record, "", "", None) if record else None
    found = []
    for key in keys:
        outcome = outcomes.outcome(key) if outcomes else None
        if outcome is None or outcome.status in (Status.SUCCEEDED, Status.SKIPPED):
            continue
        status = outcome.status if is_final(outcome) else Status.INTERRUPTED
        found.append(f"{key} {status.value}" + (f": {outcome.message}" if outcome.message else ""))
    return found


def _forfeited(rescue: Rescue) -> str:
    return f"{', '.join(rescue.forfeit)}: had begun in the pod, and the retries allow no further attempt"


def _expired(why: str) -> tuple[State, str, str]:
    return State.EXPIRED, "DeadlineExceeded", f"not within the deadline: {why}"


def _together(*names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for each in names for name in each))
