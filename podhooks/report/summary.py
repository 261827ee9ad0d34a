"""How one pod ended: main, and every callback of its plan, also those that didn't run. Pure.

The callbacks' outcomes come from the termination messages of our containers, which need no rights but to read the pod.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from podhooks import contract
from podhooks.annotations.parser import parse
from podhooks.annotations.plan import Callback, Mode, Plan
from podhooks.context import EMPTY, CallbackOutcome, ExitInfo, Hook, Status, format_time
from podhooks.inject.shapes import Json
from podhooks.pod.object import Container, is_lost, mapping, text
from podhooks.pod.status import exit_info
from podhooks.report.news import all_containers, name_of
from podhooks.report.rescued import Rescued, held_since, rescued_of
from podhooks.runtime.record import Record, RecordData, parse_messages

CONTAINER_OF = {Hook.ON_START: contract.ON_START_CONTAINER, Hook.ON_EXIT: contract.ON_EXIT_CONTAINER}


@dataclass(frozen=True)
class CallbackLine:
    """One callback of the plan. `outcome` is None for one that nothing is recorded of; `why` then says why."""

    hook: Hook
    name: str
    outcome: CallbackOutcome | None = None
    why: str = ""

    def to_json(self) -> dict[str, Json]:
        known: dict[str, Json] = {"hook": self.hook.value, "name": self.name}
        if self.outcome is None:
            return {**known, "status": "not-run", "message": self.why}
        one = self.outcome
        numbers = {"status": one.status.value, "attempts": one.attempts, "seconds": round(one.seconds, 3)}
        return {**known, **numbers, "message": one.message}


@dataclass(frozen=True)
class PodSummary:
    """`end` is None while main may still run. `told` is what on_exit was told of main's end, None if nothing was.

    `rescued` is what the rescuer made of it, `held_since` when the pod would have gone but for the rescuer.
    """

    name: str
    namespace: str
    node: str
    end: ExitInfo | None
    told: ExitInfo | None
    callbacks: tuple[CallbackLine, ...]
    rescued: Rescued | None = None
    held_since: datetime | None = None

    def to_json(self) -> dict[str, Json]:
        """For programs. Fields are only ever added."""
        return {
            "pod": self.name,
            "namespace": self.namespace,
            "node": self.node,
            "main": self.end.to_json() if self.end else None,
            "told": self.told.to_json() if self.told else None,
            "callbacks": [each.to_json() for each in self.callbacks],
            "rescue": self.rescued.to_json() if self.rescued else None,
            "heldSince": format_time(self.held_since),
        }

    def of(self, hook: Hook) -> tuple[CallbackLine, ...]:
        return tuple(each for each in self.callbacks if each.hook is hook)


def summarize(pod: Mapping[str, Json], *, gone: bool = False, rescue: Mapping[str, Json] | None = None) -> PodSummary:
    """`gone`: the object came with a DELETED event. `rescue`: the Rescue of this very pod."""
    metadata = mapping(pod.get("metadata"))
    plan, _ = parse(_texts(metadata.get("annotations")))
    records = records_of(pod)
    on_exit = records.get(Hook.ON_EXIT)
    lines = [
        _line(pod, plan, records.get(hook), hook, callback, gone=gone)
        for hook, callbacks in ((Hook.ON_START, plan.on_start), (Hook.ON_EXIT, plan.on_exit))
        for callback in callbacks
    ]
    return PodSummary(
        name=name_of(pod),
        namespace=text(metadata.get("namespace")),
        node=text(mapping(pod.get("spec")).get("nodeName")),
        end=exit_info(pod, gone=gone),
        told=on_exit.exit_info if on_exit else None,
        callbacks=tuple(lines),
        rescued=rescued_of(rescue) if rescue else None,
        held_since=held_since(pod),
    )


def _texts(value: Json) -> dict[str, str]:
    return {key: each for key, each in mapping(value).items() if isinstance(key, str) and isinstance(each, str)}


def records_of(pod: Mapping[str, Json]) -> dict[Hook, RecordData]:
    """The latest record of each hook: of a container's present life before that of an earlier one."""
    uid = text(mapping(pod.get("metadata")).get("uid"))
    found: dict[Hook, RecordData] = {}
    for each in all_containers(pod):
        if each.name not in CONTAINER_OF.values():
            continue
        for holder in ("state", "lastState"):
            end = mapping(mapping(each.status.get(holder)).get("terminated"))
            for record in parse_messages(text(end.get("message"))):
                if record.pod_uid in ("", uid) and (record.hook not in found or not found[record.hook].complete):
                    found.setdefault(record.hook, record)
    return found


def _line(
    pod: Mapping[str, Json], plan: Plan, record: RecordData | None, hook: Hook, callback: Callback, *, gone: bool
) -> CallbackLine:
    outcome = Record(record, "", "", None).outcome(callback.key) if record else None
    if outcome is not None and outcome.status is Status.RUNNING:
        outcome = outcome.replace(status=Status.INTERRUPTED, message="its container was ended while it ran")
    if outcome is not None:
        return CallbackLine(hook, callback.key, outcome)
    return CallbackLine(hook, callback.key, None, _why_not(pod, plan, hook, record, gone=gone))


def _why_not(pod: Mapping[str, Json], plan: Plan, hook: Hook, record: RecordData | None, *, gone: bool) -> str:
    """Why nothing is known of a callback."""
    container = next((each for each in all_containers(pod) if each.name == CONTAINER_OF[hook]), None)
    if container is None and hook is Hook.ON_EXIT and plan.mode is Mode.OUTSIDE:
        return "mode outside: the operator runs it after the pod's end"
    if container is None:
        return "the pod was not injected"
    end = container.end
    if end is not None and container.started:
        code = "an end that nobody saw" if is_lost(end) else f"exit code {end.get('exitCode')}"
        if record is not None:
            return f"{container.name} was ended before its turn ({code})"
        said = _said(end)
        return f"{container.name} ended with {code} and left no record{f': {said}' if said else ''}"
    if "running" in container.state:
        return "the pod was gone before this was known" if gone else "not yet"
    if hook is Hook.ON_EXIT and plan.mode is Mode.CLASSIC:
        return f"{container.name} never started (classic mode: it starts with main)"
    return next(_obstacles(pod, container), f"{container.name} never started")


def _said(end: Mapping[str, Json]) -> str:
    """A termination message that is no record: why our program could not even begin."""
    return " ".join(text(end.get("message")).split())


def _obstacles(pod: Mapping[str, Json], container: Container) -> Iterator[str]:
    reason = text(mapping(container.state.get("waiting")).get("reason"))
    if reason and reason != "PodInitializing":
        yield f"{container.name} never started: {reason}"
    for each in all_containers(pod):
        end = each.end or EMPTY
        if each.name != container.name and end.get("exitCode") not in (None, 0):
            how = "was lost" if is_lost(end) else f"ended with exit code {end.get('exitCode')}"
            yield f"{container.name} never started: {each.name} {how} before it"
            return
