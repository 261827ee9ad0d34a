"""Main in this process, the callbacks in a process beside it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podhooks import contract
from podhooks.annotations.plan import Callback
from podhooks.context import EMPTY, CallbackOutcome, ExitInfo, Hook, PodInfo, Result
from podhooks.environments import flows, memory, pickling, pin12
from podhooks.environments.base import Environment, label_mapping
from podhooks.environments.flows import Ended
from podhooks.environments.handle import Finished
from podhooks.environments.hooks import Callbacks, Planned
from podhooks.environments.main_child import leave_last_words
from podhooks.environments.watcher import Job, Report, Watcher
from podhooks.report.summary import CallbackLine


class LocalEnvironment(Environment):
    """
    Args:
        executor: Prefect 0.15's, which had this place; refused with a sentence.
        isolated: run main in a child of its own. Then on_exit is told exactly how it ended, also when it was killed
            (in this process that can't be seen any more: on_exit runs all the same, with the result Unknown); what the
            flow returns is not handed back.

    The others are `Environment`'s.
    """

    where_main_runs = "this process"
    where_callbacks_run = "a process beside it, one child for each"

    def __init__(
        self,
        executor: None = None,
        labels: Any = None,
        on_start: Callbacks = None,
        on_exit: Callbacks = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        annotations: Mapping[str, str] = EMPTY,
        isolated: bool = False,
    ) -> None:
        pin12.refuse_gone(executor=executor)
        super().__init__(labels, on_start, on_exit, metadata, annotations)
        self.isolated = isolated
        if isolated:
            self.where_main_runs = "a child of this process"

    def execute(self, flow: Callable[..., object], parameters: Mapping[str, Any] = EMPTY) -> Finished:
        """Returns when main and on_exit are over. A KeyboardInterrupt is raised again after on_exit."""
        flow = flows.check(flow)
        with kept() as name_for, workspace() as work_dir:
            planned = self.planned(name_for)
            site = Site(self._pod(flow, planned), work_dir, os.path.join(work_dir, "shared"), isolated=self.isolated)
            return run(flow, parameters, planned, site)

    def _pod(self, flow: object, planned: Planned) -> PodInfo:
        """What stands for the pod: a name and an uid of this run, and this machine as its node."""
        uid = str(uuid.uuid4())
        name = f"{flows.name_of(flow)}-{uid[:8]}"
        labels = label_mapping(self.labels)
        return PodInfo(name, "", uid, socket.gethostname(), labels, dict(planned.annotations))


@dataclass(frozen=True)
class Site:
    """Where a run takes place, if it isn't a pod's own containers that see to it."""

    pod: PodInfo
    work_dir: str
    shared_dir: str
    isolated: bool = False


def run(flow: Callable[..., object], parameters: Mapping[str, Any], planned: Planned, site: Site) -> Finished:
    """on_start, main, on_exit."""
    flows.warn_of_callbacks(flow, planned.plan)

    def main() -> int:
        ended = flows.run(flow, parameters)
        flows.report(ended.error)
        if ended.end.message:
            leave_last_words(site.work_dir, ended.end.message)
        return ended.end.exit_code or 0

    job = Job(planned.plan, site.pod, site.work_dir, site.shared_dir, main if site.isolated else None)
    watcher = Watcher(job)
    ended: Ended | None = None
    if _may_start(watcher) and not site.isolated:
        ended = _in_this_process(flow, parameters, site.shared_dir)
    report = _finish(watcher, ended)
    if ended is not None and isinstance(ended.error, KeyboardInterrupt):
        raise ended.error
    log = tuple(_lines(job.main_log))
    found = ended or Ended(report.end)
    return Finished(report.end, lines(planned, report), value=found.value, error=found.error, log=log)


def _may_start(watcher: Watcher) -> bool:
    """Ctrl-C while on_start runs: main never starts, on_exit runs."""
    try:
        return watcher.may_start()
    except KeyboardInterrupt:
        message = "interrupted before main had started"
        watcher.finish(ExitInfo(Result.NEVER_STARTED, message=message, container=flows.MAIN))
        raise


def _finish(watcher: Watcher, ended: Ended | None) -> Report:
    """Ctrl-C while we wait is for main, where the watcher runs it; on_exit has its time, the next one ends the wait."""
    try:
        return watcher.finish(ended.end if ended else None)
    except KeyboardInterrupt:
        watcher.stop()
        watcher.finish()
        raise


def _in_this_process(flow: Callable[..., object], parameters: Mapping[str, Any], shared_dir: str) -> Ended:
    before = os.environ.get(contract.ENV_SHARED_DIR)
    os.environ[contract.ENV_SHARED_DIR] = shared_dir
    try:
        ended = flows.run(flow, parameters)
    finally:
        if before is None:
            os.environ.pop(contract.ENV_SHARED_DIR, None)
        else:
            os.environ[contract.ENV_SHARED_DIR] = before
    flows.report(ended.error)
    return ended


def lines(planned: Planned, report: Report) -> tuple[CallbackLine, ...]:
    plan = planned.plan
    return (
        *_lines_of(Hook.ON_START, plan.on_start, report.on_start, planned, report.end),
        *_lines_of(Hook.ON_EXIT, plan.on_exit, report.on_exit, planned, report.end),
    )


def _lines_of(
    hook: Hook, callbacks: Sequence[Callback], outcomes: Sequence[CallbackOutcome], planned: Planned, end: ExitInfo
) -> Iterator[CallbackLine]:
    known = {each.name: each for each in outcomes}
    for each in callbacks:
        name, outcome = planned.label(each.key), known.get(each.key)
        if outcome is None:
            yield CallbackLine(hook, name, None, end.message)
        else:
            yield CallbackLine(hook, name, outcome.replace(name=name))


def _lines(path: str) -> Iterator[str]:
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        yield from (line.rstrip("\n") for line in file)


@contextlib.contextmanager
def kept() -> Iterator[Callable[[Callable[..., object], Hook], str]]:
    """Gives functions names: their own, if it leads to them, else one that holds in forked processes."""
    names: list[str] = []

    def name_for(function: Callable[..., object], _: Hook) -> str:
        own = pickling.name_of(function)
        if own is None:
            names.append(own := memory.keep(function))
        return own

    try:
        yield name_for
    finally:
        for each in names:
            memory.forget(each)


@contextlib.contextmanager
def workspace() -> Iterator[str]:
    """A directory for one run, with one in it for on_start, main and on_exit to share."""
    path = tempfile.mkdtemp(prefix="podhooks-run-")
    for name in ("shared", contract.RECORD_DIR):
        Path(path, name).mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
