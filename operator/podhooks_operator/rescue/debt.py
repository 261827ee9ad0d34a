"""What a pod that is over still owes: callbacks of on_exit that it hasn't run to their end. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from podhooks.annotations.parser import parse
from podhooks.annotations.plan import Callback, Plan
from podhooks.context import CallbackOutcome, ExitInfo, Hook, Status
from podhooks.pod.object import mapping
from podhooks.report.summary import records_of
from podhooks.runtime.record import Record, RecordData
from podhooks.runtime.runner import ends_the_list
from podhooks.value import Value

Json: TypeAlias = Any


UNSEEN = (Status.RUNNING, Status.INTERRUPTED, Status.TIMED_OUT)  # it ended by force: its effect may be there, or not


class Debt(Value):
    """Keys of callbacks.

    `owed` are to be run. `begun` are those of them that had begun and may have had their effect. `forfeit` had begun,
    too, and their `retries` allow no further attempt. `record` is what the pod left, from which a rescue goes on.
    """

    owed: tuple[str, ...] = ()
    begun: tuple[str, ...] = ()
    forfeit: tuple[str, ...] = ()
    record: RecordData | None = None

    @property
    def paid(self) -> bool:
        return not self.owed and not self.forfeit


def debt_of(pod: Mapping[str, Json], verdict: ExitInfo) -> Debt:
    return debt_left(plan_of(pod), records_of(pod).get(Hook.ON_EXIT), verdict)


def debt_left(plan: Plan, record: RecordData | None, verdict: ExitInfo) -> Debt:
    """What `record` leaves to be done of the plan's on_exit, in the order of the list."""
    outcomes = Record(record, "", "", None) if record else None
    owed, begun, forfeit = [], [], []
    for callback in plan.on_exit:
        outcome = outcomes.outcome(callback.key) if outcomes else None
        if outcome is not None and is_final(outcome):
            if ends_the_list(callback, outcome):
                break
            continue
        if not callback.wanted(verdict.result):
            continue
        if outcome is not None and not may_try_again(callback, outcome):
            forfeit.append(callback.key)
            continue
        owed.append(callback.key)
        if outcome is not None and outcome.status in UNSEEN:
            begun.append(callback.key)
    return Debt(tuple(owed), tuple(begun), tuple(forfeit), record)


def is_final(outcome: CallbackOutcome) -> bool:
    """An outcome that only the pod's lack of time brought about isn't."""
    return outcome.status.final and not outcome.cut


def may_try_again(callback: Callback, outcome: CallbackOutcome) -> bool:
    """As the runner in the pod decides after a restart: attempts count, also those that were cut off."""
    return outcome.status is Status.SKIPPED or outcome.attempts <= callback.retries


def plan_of(pod: Mapping[str, Json]) -> Plan:
    annotations = mapping(mapping(pod.get("metadata")).get("annotations"))
    return parse({key: each for key, each in annotations.items() if isinstance(each, str)})[0]
