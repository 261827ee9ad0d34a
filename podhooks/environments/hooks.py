"""What `on_start` and `on_exit` may be, and the annotations that they become. Pure.

Every environment makes its plan of annotations, also where there is no pod: what they say means the same everywhere.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from podhooks import contract
from podhooks.annotations.finding import Severity, shown
from podhooks.annotations.parser import parse
from podhooks.annotations.plan import Plan
from podhooks.context import Hook
from podhooks.errors import CallbackNotFound, InputError
from podhooks.runtime.resolve import bind

Callback: TypeAlias = Callable[..., object] | str | Mapping[str, Any]
Callbacks: TypeAlias = Callback | Sequence[Callback] | None
"""A function, a name (`package.module:function`), a mapping as in the annotations whose `call` may be a function, or
several of these."""

NameFor: TypeAlias = Callable[[Callable[..., object], Hook], str]
"""Makes a function callable where the hook will run, and gives the name that it has there."""

ARGUMENTS = {Hook.ON_START: "on_start", Hook.ON_EXIT: "on_exit"}
ANNOTATIONS = {Hook.ON_START: contract.ON_START, Hook.ON_EXIT: contract.ON_EXIT}
FORMS = "give a function, a name like 'package.module:function', a mapping with `call` or `exec`, or a list of these"


@dataclass(frozen=True)
class Entry:
    """One callback: its function, if it was given as one, and the rest of what an annotation's entry says."""

    function: Callable[..., object] | None
    options: Mapping[str, Any]

    @property
    def label(self) -> str:
        """For people."""
        if self.function is None:
            return str(self.options.get("call") or self.options.get("exec"))
        return str(getattr(self.function, "__qualname__", None) or type(self.function).__name__)


def entries(given: Callbacks, hook: Hook) -> tuple[Entry, ...]:
    """Raises InputError for what is no callback, or can't be called the way it will be."""
    if given is None:
        return ()
    each = given if isinstance(given, (list, tuple)) else [given]
    return tuple(_entry(one, ARGUMENTS[hook]) for one in each)


def _entry(given: object, where: str) -> Entry:
    if isinstance(given, str):
        return Entry(None, {"call": given})
    if isinstance(given, Mapping):
        options = {key: value for key, value in given.items() if key != "call" or isinstance(value, str)}
        call = given.get("call")
        if call is None or isinstance(call, str):
            return _checked(Entry(None, options), where)
        return _checked(_of_function(call, options, where), where)
    return _checked(_of_function(given, {}, where), where)


def _of_function(given: object, options: Mapping[str, Any], where: str) -> Entry:
    if not callable(given):
        hint = "pass the function itself, without calling it" if hasattr(given, "__await__") else FORMS
        raise InputError(f"{where}: {shown(given)} isn't callable: {hint}")
    if isinstance(given, functools.partial) and not given.args and _is_json(given.keywords):
        return Entry(given.func, {**options, "with": {**given.keywords, **options.get("with", {})}})
    return Entry(given, options)


def _checked(entry: Entry, where: str) -> Entry:
    arguments = entry.options.get("with", {})
    if not _is_json(dict(entry.options)):
        raise InputError(
            f"{where}: {entry.label}: its mapping holds what JSON can't: use functools.partial for such arguments"
        )
    if entry.function is not None and isinstance(arguments, Mapping):
        try:
            bind(entry.function, arguments, None)
        except CallbackNotFound as error:
            raise InputError(f"{where}: {entry.label} can't be called: {error}") from error
    return entry


def _is_json(value: object) -> bool:
    try:
        return bool(json.loads(json.dumps(value, allow_nan=False)) == value)
    except (TypeError, ValueError, RecursionError):
        return False


@dataclass(frozen=True)
class Planned:
    """`annotations` are what a pod needs; `labels` tells people what is behind a name that was made for a function."""

    annotations: Mapping[str, str]
    plan: Plan
    labels: Mapping[str, str]

    def label(self, key: str) -> str:
        """What a callback's key in a record is about."""
        name, mark, number = key.rpartition("#")
        if mark and number.isdigit() and name in self.labels:
            return f"{self.labels[name]}#{number}"
        return self.labels.get(key, key)


def planned(
    on_start: Sequence[Entry], on_exit: Sequence[Entry], annotations: Mapping[str, str], name_for: NameFor
) -> Planned:
    """Raises InputError with all that is wrong with the annotations."""
    labels: dict[str, str] = {}
    texts = dict(annotations)
    for hook, each in ((Hook.ON_START, on_start), (Hook.ON_EXIT, on_exit)):
        if each:
            texts[ANNOTATIONS[hook]] = json.dumps([_written(one, hook, name_for, labels) for one in each])
    plan, findings = parse(texts)
    errors = [f"{each.where}: {each.message}" for each in findings if each.severity is Severity.ERROR]
    if errors:
        raise InputError("; ".join(errors))
    return Planned(texts, plan, labels)


def _written(entry: Entry, hook: Hook, name_for: NameFor, labels: dict[str, str]) -> dict[str, Any]:
    if entry.function is None:
        return dict(entry.options)
    name = name_for(entry.function, hook)
    labels[name] = entry.label if ":" not in entry.label and _is_made(name) else name
    return {"call": name, **entry.options}


def _is_made(name: str) -> bool:
    """Whether the name was made for the function's sake, rather than being its own."""
    return name.startswith(("/", "podhooks.environments.memory:"))
