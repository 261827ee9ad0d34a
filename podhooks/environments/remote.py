"""Main in the pod that one is in: that of Prefect's worker's job, say.

An injected pod has its own init container and sidecar. What its annotations name has been run by them, or will be, and
isn't run here again. What they don't name, and everything where nothing was injected, runs as LocalEnvironment does it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podhooks import contract, log
from podhooks.annotations.parser import parse
from podhooks.annotations.plan import Plan
from podhooks.context import EMPTY, Hook, PodInfo
from podhooks.environments import flows, hooks, pickling
from podhooks.environments.handle import Finished
from podhooks.environments.hooks import Entry, Planned
from podhooks.environments.local import LocalEnvironment, Site, kept, run, workspace
from podhooks.errors import PodhooksError
from podhooks.pod.object import mapping, text
from podhooks.runtime.access import Access
from podhooks.runtime.client import Client
from podhooks.runtime.record import RecordData, parse_message


@dataclass(frozen=True)
class Surroundings:
    """What is known of the pod that one is in.

    `plan` is None where nothing was injected, or nobody may see what was; `record` is on-start's.
    """

    pod: PodInfo
    shared_dir: str = ""
    record: RecordData | None = None
    plan: Plan | None = None

    @property
    def is_injected(self) -> bool:
        return self.record is not None

    def names(self, hook: Hook) -> set[str]:
        """What the pod's own containers run at `hook`."""
        if self.plan is not None:
            return {each.call for each in (self.plan.on_start if hook is Hook.ON_START else self.plan.on_exit)}
        if self.record is None or hook is Hook.ON_EXIT:
            return set()
        return {each.name for each in self.record.outcomes}


class RemoteEnvironment(LocalEnvironment):
    """`Environment`'s arguments. Outside of a pod it is a LocalEnvironment."""

    where_main_runs = "this process, in the initial job's pod"
    where_callbacks_run = "that pod's init container and sidecar, if they have them; else beside this process"

    def __init__(
        self,
        labels: Any = None,
        on_start: hooks.Callbacks = None,
        on_exit: hooks.Callbacks = None,
        metadata: Mapping[str, Any] | None = None,
        annotations: Mapping[str, str] = EMPTY,
    ) -> None:
        super().__init__(None, labels, on_start, on_exit, metadata, annotations=annotations)
        self.where_main_runs = RemoteEnvironment.where_main_runs

    def execute(self, flow: Callable[..., object], parameters: Mapping[str, Any] = EMPTY) -> Finished:
        flow = flows.check(flow)
        around = surroundings(os.environ)
        with kept() as name_for, workspace() as work_dir:
            planned = self._left(around, name_for)
            pod = around.pod if around.is_injected else self._pod(flow, planned)
            shared_dir = around.shared_dir or os.path.join(work_dir, "shared")
            return run(flow, parameters, planned, Site(pod, work_dir, shared_dir))

    def _left(self, around: Surroundings, name_for: hooks.NameFor) -> Planned:
        """What the pod's own containers don't see to."""
        on_start, on_exit = self.entries
        rest = {hook: _not_in(each, around.names(hook)) for hook, each in zip(Hook, (on_start, on_exit), strict=True)}
        for hook, each in rest.items():
            if around.is_injected and each:
                names = ", ".join(one.label for one in each)
                log.warning(
                    "callbacks run beside main, where a pod that is killed takes them with it: the pod's annotations "
                    f"don't name them, or can't be read; name them in {hooks.ANNOTATIONS[hook]}",
                    callbacks=names,
                )
        return hooks.planned(rest[Hook.ON_START], rest[Hook.ON_EXIT], self.annotations, name_for)


def _not_in(entries: tuple[Entry, ...], names: set[str]) -> list[Entry]:
    return [each for each in entries if call_of(each) not in names]


def call_of(entry: Entry) -> str | None:
    """The name that an annotation would call it by."""
    return entry.options.get("call") if entry.function is None else pickling.name_of(entry.function)


def surroundings(environ: Mapping[str, str]) -> Surroundings:
    """An injected pod is known by what on-start left in the shared directory, which main is told of."""
    shared_dir = environ.get(contract.ENV_SHARED_DIR, "")
    record = _record(shared_dir) if shared_dir else None
    name = environ.get("HOSTNAME", "")
    if record is None:
        return Surroundings(PodInfo(name, "", ""))
    pod = _own_pod(environ, name)
    metadata = mapping(pod.get("metadata"))
    if text(metadata.get("uid")) != record.pod_uid:
        return Surroundings(PodInfo(name, "", record.pod_uid), shared_dir, record)
    annotations, labels = _texts(metadata.get("annotations")), _texts(metadata.get("labels"))
    node = text(mapping(pod.get("spec")).get("nodeName"))
    info = PodInfo(name, text(metadata.get("namespace")), record.pod_uid, node, labels, annotations)
    return Surroundings(info, shared_dir, record, parse(annotations)[0])


def _record(shared_dir: str) -> RecordData | None:
    try:
        return parse_message(Path(shared_dir, contract.RECORD_DIR, f"{Hook.ON_START.value}.json").read_bytes())
    except OSError:
        return None


def _own_pod(environ: Mapping[str, str], name: str) -> Mapping[str, Any]:
    """Empty where it may not be read."""
    try:
        client = Client(Access.in_cluster(environ))
        try:
            return client.get_pod(name)
        finally:
            client.close()
    except PodhooksError as error:
        log.warning("the pod's annotations can't be read", cause=error)
        return EMPTY


def _texts(value: object) -> dict[str, str]:
    return {key: each for key, each in mapping(value).items() if isinstance(key, str) and isinstance(each, str)}
