"""Runs the callbacks of one hook, one after the other, each in a child process of its own."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

from podhooks import log
from podhooks.annotations.plan import Policy
from podhooks.context import CallbackOutcome, Status
from podhooks.runtime import child, children
from podhooks.runtime.backoff import backoff_seconds
from podhooks.runtime.children import CGROUP_DIR, STDOUT, CutOff, Watch, never
from podhooks.runtime.output import Sink
from podhooks.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from podhooks.annotations.plan import Callback
    from podhooks.context import Hook, Result, RunContext
    from podhooks.runtime.children import Ended
    from podhooks.runtime.record import Record

FIRST_BACKOFF_SECONDS = 1.0
MOST_BACKOFF_SECONDS = 30.0
LEAST_RETRY_SECONDS = 1.0  # a retry with less time than this (or its timeout) isn't worth it


class HookOutcome(Value):
    """What became of the whole list. `failed`: a callback with policy `fail` did not succeed."""

    outcomes: tuple[CallbackOutcome, ...]
    failed: bool = False


def run_hook(  # noqa: PLR0913  the two that tests set are keywords with defaults
    callbacks: Sequence[Callback],
    context: RunContext,
    record: Record,
    *,
    hook_deadline: Callable[[], float | None],
    stop_requested: Callable[[], bool] = never,
    wake_fd: int = -1,
    out: int = STDOUT,
    cgroup_dir: str = CGROUP_DIR,
) -> HookOutcome:
    """Run what the record doesn't show as finished; every outcome is in the record when this returns.

    `hook_deadline()` is a time.monotonic() value or None; `wake_fd` a non-blocking descriptor (the read end of
    signal.set_wakeup_fd's pipe) that ends a wait early: both functions are asked again on every wake-up, and at least
    once a second. `out` is the descriptor for the callbacks' marked output. The caller calls `record.complete()`.
    """
    hook = _Hook(context, record, Watch(0.0, hook_deadline, stop_requested, wake_fd), Sink(out), cgroup_dir)
    outcomes: list[CallbackOutcome] = []
    failed_at = ""
    for position, callback in enumerate(callbacks):
        outcome = record.outcome(callback.key)
        if outcome is None or not outcome.status.final:
            later = sum(one.timeout_seconds for one in callbacks[position + 1 :] if one.wanted(hook.result))
            outcome = hook.settle(Turn(callback, later, tuple(outcomes), outcome), failed_at)
            record.finish(outcome)
            report(context.hook, outcome)
        outcomes.append(outcome)
        if not failed_at and ends_the_list(callback, outcome):
            failed_at = callback.key
    return HookOutcome(tuple(outcomes), failed=bool(failed_at))


class Turn(Value):
    """A callback's place in the list.

    `later_seconds` is what the callbacks after it may take; `unfinished` an attempt that an earlier life of this
    container didn't see the end of.
    """

    callback: Callback
    later_seconds: float = 0.0
    earlier: tuple[CallbackOutcome, ...] = ()
    unfinished: CallbackOutcome | None = None


def ends_the_list(callback: Callback, outcome: CallbackOutcome) -> bool:
    """Whether `outcome` is a failure that may not be passed over. A skipped callback has not failed."""
    return callback.policy is Policy.FAIL and outcome.status not in (Status.SUCCEEDED, Status.SKIPPED)


def report(hook: Hook, outcome: CallbackOutcome) -> None:
    say = log.info if outcome.status in (Status.SUCCEEDED, Status.SKIPPED) else log.warning
    cause = {"message": outcome.message} if outcome.message else {}
    status = outcome.status.value
    say("callback ended", hook=hook.value, callback=outcome.name, status=status, attempts=outcome.attempts, **cause)


def idempotency_key(pod_uid: str, hook: Hook, callback_key: str) -> str:
    """The same for every attempt at a callback of a pod, whoever makes it: this life, the next one, the operator."""
    return f"{pod_uid}/{hook.value}/{callback_key}"


class _Hook:
    """One run of a list: what all of its callbacks have in common."""

    def __init__(self, context: RunContext, record: Record, watch: Watch, sink: Sink, cgroup_dir: str) -> None:
        self.context = context
        self.record = record
        self.watch = watch
        self.sink = sink
        self.cgroup_dir = cgroup_dir

    @property
    def result(self) -> Result | None:
        return self.context.exit.result if self.context.exit else None

    def settle(self, turn: Turn, failed_at: str) -> CallbackOutcome:
        """The outcome of a callback that has none yet."""
        made = turn.unfinished.attempts if turn.unfinished else 0
        key = turn.callback.key
        if reason := self.reason_to_skip(turn.callback, failed_at):
            return CallbackOutcome(key, Status.SKIPPED, made, message=reason)
        if self.no_time_left():
            return CallbackOutcome(key, Status.SKIPPED, made, message="no time left", cut=True)
        if turn.unfinished and made > turn.callback.retries:
            return CallbackOutcome(key, Status.INTERRUPTED, made, message="its container ended while it ran")
        return self.run(turn, made)

    def reason_to_skip(self, callback: Callback, failed_at: str) -> str:
        """Empty when it is to run."""
        if self.watch.stop_requested():
            return "the pod was told to end"
        if failed_at:
            return f"{failed_at} failed, and its policy is fail"
        if self.result is not None and not callback.wanted(self.result):
            return f"not wanted when main ended as {self.result.value}"
        return ""

    def no_time_left(self) -> bool:
        deadline = self.watch.deadline()
        return deadline is not None and deadline <= time.monotonic()

    def run(self, turn: Turn, attempts: int) -> CallbackOutcome:
        """Attempts, until one succeeds, none is left, or there is no time for another."""
        callback, deadline, seconds = turn.callback, self.watch.deadline, 0.0
        while True:
            attempts += 1
            outcome = self.attempt(turn, attempts, deadline)
            seconds += outcome.seconds
            outcome = outcome.replace(seconds=seconds)
            if outcome.status not in (Status.FAILED, Status.TIMED_OUT) or attempts > callback.retries:
                return outcome
            deadline = earlier_by(self.watch.deadline, turn.later_seconds)
            delay = backoff_seconds(attempts, first=FIRST_BACKOFF_SECONDS, most=MOST_BACKOFF_SECONDS)
            if not leaves_time(deadline(), delay, callback.timeout_seconds):
                return outcome.replace(message=f"{outcome.message} (no time is left for a retry)", cut=True)
            log.info("callback failed, retrying", callback=callback.key, after=f"{delay:.1f}s", cause=outcome.message)
            if self.pause(delay):
                return outcome

    def attempt(self, turn: Turn, number: int, deadline: Callable[[], float | None]) -> CallbackOutcome:
        callback, hook = turn.callback, self.context.hook
        self.record.begin(callback.key, number)
        due = children.limits(time.monotonic(), callback.timeout_seconds, deadline()).term_at - time.monotonic()
        context = self.context.replace(
            callback=callback.key,
            idempotency_key=idempotency_key(self.context.pod.uid, hook, callback.key),
            attempt=number,
            deadline=datetime.now(timezone.utc) + timedelta(seconds=due),
            earlier=turn.earlier,
        )
        work = child.work(callback, context, self.cgroup_dir)
        watch = self.watch.replace(timeout_seconds=callback.timeout_seconds, deadline=deadline)
        mark = f"[{hook.value} {callback.key}] ".encode("utf-8", "replace")
        return judge(callback, number, children.run(work, watch, mark=mark, sink=self.sink))

    def pause(self, seconds: float) -> bool:
        """Wait before a retry; True when the wait was ended by a request to stop."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self.watch.stop_requested():
                return True
            children.sleep(min(left, children.LONGEST_WAIT_SECONDS), self.watch.wake_fd)
        return self.watch.stop_requested()


def judge(callback: Callback, attempts: int, ended: Ended) -> CallbackOutcome:
    """What the end of a child means for its callback."""
    said = ended.report.decode("utf-8", "replace")
    cut = ended.cut_off is CutOff.TIMED_OUT and ended.seconds < callback.timeout_seconds
    after = f"ended by force after {ended.seconds:.1f} s"
    if ended.cut_off is CutOff.STOPPED:
        status, message = Status.INTERRUPTED, f"{after}: the pod was told to end"
    elif cut:
        status, message = Status.TIMED_OUT, f"{after}: no time left (its timeout is {callback.timeout_seconds:g} s)"
    elif ended.cut_off is CutOff.TIMED_OUT:
        status, message = Status.TIMED_OUT, f"{after}: its timeout is {callback.timeout_seconds:g} s"
    elif ended.message:
        status, message = Status.FAILED, said or ended.message
    else:
        status, message = Status.SUCCEEDED, ""
    return CallbackOutcome(callback.key, status, attempts, ended.seconds, message, cut)


def earlier_by(deadline: Callable[[], float | None], seconds: float) -> Callable[[], float | None]:
    """A retry may not use the time that later callbacks are promised."""

    def earlier() -> float | None:
        moment = deadline()
        return None if moment is None else moment - seconds

    return earlier


def leaves_time(deadline: float | None, delay: float, timeout_seconds: float) -> bool:
    """Whether an attempt that begins after `delay` has a time worth trying."""
    least = min(timeout_seconds, LEAST_RETRY_SECONDS)
    return deadline is None or time.monotonic() + delay + least <= deadline
