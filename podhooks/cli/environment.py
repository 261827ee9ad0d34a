"""An environment of Python's, explained: where main and its callbacks run, then the timeline of its pod."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from podhooks.annotations.finding import shown
from podhooks.cli import timeline
from podhooks.cli.timeline import Line, block
from podhooks.context import Hook
from podhooks.environments import Environment, KubernetesJobEnvironment, LocalEnvironment
from podhooks.environments.hooks import Planned
from podhooks.environments.pickling import PickledFunctions, name_of
from podhooks.errors import CallbackNotFound, InputError
from podhooks.inject import inject_object
from podhooks.runtime.resolve import did_you_mean, import_file, import_module, is_file, public_names, split_name


def load(name: str) -> Environment:
    """`package.module:environment` or `file.py:environment`. Raises InputError."""
    sys.path.insert(0, os.getcwd())  # as `python -m` has it
    try:
        place, attribute = split_name(name)
        module = import_file(os.path.abspath(place)) if is_file(place) else import_module(place)
    except CallbackNotFound as error:
        raise InputError(f"{name}: {error}") from error
    found = getattr(module, attribute, None)
    if isinstance(found, Environment):
        return found
    known = [each for each in public_names(module) if isinstance(getattr(module, each), Environment)]
    if found is None:
        raise InputError(f"{name}: {place} has no {attribute!r}{did_you_mean(attribute, known) or _listed(known)}")
    raise InputError(f"{name}: is {shown(found)}, not an environment{_listed(known)}")


def _listed(known: list[str]) -> str:
    return f"; there are {', '.join(known)}" if known else "; make one, like `environment = LocalEnvironment(...)`"


def explain(environment: Environment, name: str) -> Iterator[Line]:
    yield Line(f"{type(environment).__name__}  ({name})", timeline.HEAD)
    yield Line("")
    yield block("main", environment.where_main_runs)
    yield block("where", environment.where_callbacks_run)
    for hook, each in zip(Hook, environment.entries, strict=True):
        for entry in each:
            if entry.function is not None and name_of(entry.function) is None:
                yield block(
                    "", f"{hook.name.lower()}: {entry.label} can't be imported by a name: {_carried(environment)}"
                )
    yield Line("")
    planned = environment.planned(PickledFunctions().name_for)
    if isinstance(environment, KubernetesJobEnvironment):
        yield from _of_job(environment, planned)
    else:
        yield from _beside_main(environment, planned)


def _carried(environment: Environment) -> str:
    if isinstance(environment, LocalEnvironment):
        return "only forks of this process have it"
    return "it travels pickled, in a Secret of the Job"


def _of_job(environment: KubernetesJobEnvironment, planned: Planned) -> Iterator[Line]:
    job = environment.draft(planned)
    injected, reports = inject_object(job, environment.settings)
    errors = [f"{each.where}: {each.message}" for report in reports for each in report.report.errors]
    if errors:
        raise InputError("; ".join(errors))
    for each in reports:
        if each.report.injectable:
            yield from timeline.explain(each, injected)


def _beside_main(environment: Environment, planned: Planned) -> Iterator[Line]:
    plan = planned.plan
    labelled = [
        tuple(each.replace(key=planned.label(each.key)) for each in callbacks)
        for callbacks in (plan.on_start, plan.on_exit)
    ]
    yield block("on_start", "before main" if plan.on_start else "nothing: no callback is named")
    if plan.on_start:
        yield from timeline.callback_lines(
            labelled[0], "main never starts" + (", on_exit runs" if plan.on_exit else "")
        )
    yield block("main", environment.where_main_runs)
    yield block("on_exit", "after main, however it ended" if plan.on_exit else "nothing: no callback is named")
    if plan.on_exit:
        yield from timeline.callback_lines(labelled[1], "the rest is skipped")
