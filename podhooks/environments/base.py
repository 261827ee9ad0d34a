"""What all environments have: labels, callbacks, and the two steps `setup` and `execute`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from podhooks import contract, log
from podhooks.annotations.finding import shown
from podhooks.context import EMPTY, Hook
from podhooks.environments import hooks
from podhooks.environments.handle import Handle
from podhooks.environments.hooks import Callbacks, Entry, Planned
from podhooks.errors import InputError

LABEL_PART = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
LABEL = re.compile(rf"([a-z0-9.-]{{1,253}}/)?{LABEL_PART}(=({LABEL_PART})?)?")
LABEL_NAME = re.compile(r"(?P<prefix>[a-z0-9.-]{1,253}/)?(?P<name>.*)", re.DOTALL)


class Environment:
    """Where a flow runs, and what runs before and after it.

    Args:
        labels: of the run: `gpu`, `team=data`. The pod has them, where there is one, with dashes in the place of what
            Kubernetes takes in no label: `gpu machine` is `gpu-machine` there.
        on_start: before main; a failure means that main never starts (the annotation `podhooks.io/on-start-policy`
            can change that).
        on_exit: after main, however it ended.
        metadata: kept for you; nothing reads it.
        annotations: more of Podhooks' annotations, such as `podhooks.io/on-exit-timeout`.

    Raises:
        InputError: a callback isn't callable, or a label or an annotation can't be used.
    """

    where_main_runs = ""
    where_callbacks_run = ""

    def __init__(
        self,
        labels: Iterable[str] | None = None,
        on_start: Callbacks = None,
        on_exit: Callbacks = None,
        metadata: Mapping[str, Any] | None = None,
        annotations: Mapping[str, str] = EMPTY,
    ) -> None:
        self.labels = checked_labels(labels)
        self.on_start = on_start
        self.on_exit = on_exit
        self.metadata = dict(metadata or {})
        for line in _renamed(self.labels):
            log.warning(line)
        self.annotations = _without_lists(annotations)
        self.planned(lambda _, hook: f"podhooks:{hooks.ARGUMENTS[hook]}")  # what is wrong is said now, not in the run

    def __repr__(self) -> str:
        return f"<Environment: {type(self).__name__}>"

    @property
    def entries(self) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
        """on_start's and on_exit's callbacks."""
        return hooks.entries(self.on_start, Hook.ON_START), hooks.entries(self.on_exit, Hook.ON_EXIT)

    def planned(self, name_for: hooks.NameFor, annotations: Mapping[str, str] | None = None) -> Planned:
        """The annotations that ask for the callbacks. Raises InputError."""
        on_start, on_exit = self.entries
        return hooks.planned(on_start, on_exit, self.annotations if annotations is None else annotations, name_for)

    def setup(self, flow: Callable[..., object]) -> None:
        """Make what has to be there before `execute`: nothing, for most."""

    def execute(self, flow: Callable[..., object], parameters: Mapping[str, Any] = EMPTY) -> Handle:
        """Run `flow(**parameters)` with the callbacks around it.

        How the flow ended is told by the handle and never raised (`handle.check()` does).

        Raises:
            InputError: something can't be used; nothing has been started.
        """
        raise NotImplementedError(f"{type(self).__name__} runs nothing itself: take one of its subclasses")


def checked_labels(labels: Iterable[str] | None) -> set[str]:
    """The labels as they are given. Raises InputError for one of which no label of Kubernetes can be made."""
    if isinstance(labels, str):
        raise InputError(f"labels: {shown(labels)} is one text: write a list of them, [{shown(labels)}]")
    found = set(labels or ())
    for each in found:
        if not isinstance(each, str) or each.startswith(contract.PREFIX) or not LABEL.fullmatch(written(each)):
            raise InputError(
                f"labels: {shown(each)} can't be a label: write name or name=value, "
                "of letters, digits, dashes, dots and underscores, at most 63 each"
            )
    return found


def label_mapping(labels: Iterable[str]) -> dict[str, str]:
    """As Kubernetes has labels: `gpu` is a name with an empty value."""
    return {name: value for name, _, value in (written(each).partition("=") for each in sorted(labels))}


def written(label: str) -> str:
    """The label with dashes in the place of what Kubernetes wouldn't take: agents of 0.15's time took any text.

    https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
    """
    name, equals, value = label.partition("=")
    found = LABEL_NAME.fullmatch(name)
    prefix = (found and found["prefix"]) or ""
    return f"{prefix}{label_part(name.removeprefix(prefix))}{equals}{label_part(value)}"


def label_part(text: str) -> str:
    """A label's name or value of letters, digits, dashes, dots and underscores; "" where nothing is left."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-_.")[:63].rstrip("-_.")


def _renamed(labels: Iterable[str]) -> list[str]:
    return [
        f"labels: {shown(each)} is no label that Kubernetes takes: the Job and its pod have {written(each)!r}"
        for each in sorted(labels)
        if written(each) != each
    ]


def _without_lists(annotations: Mapping[str, str]) -> dict[str, str]:
    for name, argument in ((contract.ON_START, "on_start"), (contract.ON_EXIT, "on_exit")):
        if name in annotations:
            raise InputError(f"annotations: {name} is what {argument}= is for: give its callbacks there")
    return dict(annotations)
