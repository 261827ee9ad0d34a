"""All annotations together: which are ours, what each says, and where they contradict each other."""

from __future__ import annotations

from podhooks import contract
from podhooks.annotations.callbacks import Rules, kept_policy, read_callbacks
from podhooks.annotations.durations import format_duration
from podhooks.annotations.finding import Finding, Place, closest, control_character, odd_character, shown
from podhooks.annotations.options import CALLBACKS, RESOURCES
from podhooks.annotations.plan import (
    ANNOTATIONS,
    CALLBACK_OPTIONS,
    LISTS,
    POD_OPTIONS,
    TABLE,
    USER_ANNOTATIONS,
    Annotation,
    Callback,
    Mode,
    Plan,
    Position,
    total_timeout,
)
from podhooks.context import Hook

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# Their texts may hold any character.
STRUCTURED = {each.name for each in TABLE if each.kind is CALLBACKS or each.kind is RESOURCES}
SHORT_NAMES = {name.removeprefix(contract.PREFIX): name for name in USER_ANNOTATIONS}


class Source:
    """The texts of our annotations that can be read at all, and the findings about them."""

    def __init__(self, annotations: Mapping[str, str], found: list[Finding]) -> None:
        self.found = found
        self.named = [name for name in USER_ANNOTATIONS if name in annotations]
        texts = {name: _text(annotations[name], self.at(name)) for name in self.named}
        self.texts = {name: text for name, text in texts.items() if text is not None}

    def at(self, name: str) -> Place:
        return Place(name, self.found)

    def read(self, options: tuple[Annotation, ...]) -> dict[str, Any]:
        """The value of each option's field: what the annotation says, else its default."""
        values = {each.field: each.default for each in options}
        for each in options:
            if each.name in self.texts:
                values[each.field] = each.kind.read(self.texts[each.name], values[each.field], self.at(each.name))
        return values


def parse(annotations: Mapping[str, str]) -> tuple[Plan, tuple[Finding, ...]]:
    """The plan that `annotations` describe, and everything that is to be said about them.

    Never raises: where an annotation is unusable the finding is an error and the plan holds that field's default, so
    callers that must not go on check for errors. Annotations of others are passed over.
    """
    found: list[Finding] = []
    for name in annotations:
        _check_name(name, found)
    source = Source(annotations, found)
    options = source.read(POD_OPTIONS)
    # a mode that can't be read gets its own finding; what it would have allowed is not to be guessed
    may_fail = source.texts.get(contract.MODE, Mode.NATIVE.value) not in (Mode.NATIVE.value, Mode.OUTSIDE.value)
    on_start = _callbacks(_rules(Hook.ON_START, source, may_fail=True), source)
    on_exit = _callbacks(_rules(Hook.ON_EXIT, source, may_fail=may_fail), source)
    reserve = _reserve(options["reserve_seconds"], on_exit, source)
    plan = Plan(on_start=on_start, on_exit=on_exit, **{**options, "reserve_seconds": reserve})
    _check_position(plan, source)
    _check_presence(source)
    return plan, tuple(found)


def _text(value: object, at: Place) -> str | None:
    """The annotation's text; None, and a finding, where there is nothing to read."""
    if not isinstance(value, str):
        at.add("value-not-text", f"is {shown(value)}, but annotations hold text: put it in quotes")
        return None
    text = value.replace("\r\n", "\n")
    text = text if at.where in STRUCTURED and text.strip() else text.strip()  # positions in a list are the user's
    odd = control_character(text) if at.where in STRUCTURED else odd_character(text)
    if odd:
        at.add("odd-character", f"holds {odd}: write it in plain characters")
        return None
    if not text:
        at.add("empty-value", "is empty: write a value, or remove the annotation")
        return None
    return text


def _check_name(name: object, found: list[Finding]) -> None:
    if not isinstance(name, str) or name in ANNOTATIONS:
        return
    place = Place(name if name.isprintable() and len(name) < 100 else shown(name), found)
    if name.startswith(contract.PREFIX):
        place.add("unknown-annotation", _unknown(name))
    elif meant := _near_miss(name):
        place.add("near-miss", f"isn't ours and does nothing: did you mean {meant}?")


def _unknown(name: str) -> str:
    if name == contract.ON_START + "-when":
        return "isn't an annotation: on_start runs before main has a result, so remove it"
    meant = closest(name.removeprefix(contract.PREFIX), SHORT_NAMES)
    advice = f"did you mean {SHORT_NAMES[meant]}?" if meant else f"the names are {', '.join(SHORT_NAMES)}"
    return f"isn't an annotation: {advice}"


def _near_miss(name: str) -> str | None:
    """Which annotation of ours was meant by one that isn't ours, if one was."""
    prefix, slash, word = name.lower().rpartition("/")
    ours = "podhook" in prefix.replace("-", "")
    if not slash:
        if "podhook" in word:
            return closest(word, USER_ANNOTATIONS, 0.8)
        return SHORT_NAMES.get(word) if word.startswith("on-") else None
    if ours or (word in SHORT_NAMES and closest(prefix, [contract.PREFIX], 0.75)):
        meant = closest(word, SHORT_NAMES, 0.8)
        return meant and SHORT_NAMES[meant]
    return None


def _rules(hook: Hook, source: Source, *, may_fail: bool) -> Rules:
    options = source.read(CALLBACK_OPTIONS[hook])
    policy = kept_policy(options["policy"], source.at(f"{LISTS[hook].name}-policy"), may_fail=may_fail)
    return Rules(hook, Callback(key="", **{**options, "policy": policy}), may_fail)


def _callbacks(rules: Rules, source: Source) -> tuple[Callback, ...]:
    name = LISTS[rules.hook].name
    return read_callbacks(source.texts[name], rules, source.at(name)) if name in source.texts else ()


def _reserve(given: float, on_exit: tuple[Callback, ...], source: Source) -> float:
    """Seconds; `given` is 0 where the annotation says none that can be read."""
    needed = total_timeout(on_exit)
    most = contract.MAX_DEFAULT_RESERVE_SECONDS
    default = min(needed, most)
    reserve = given or default
    at = source.at(contract.RESERVE)
    if not on_exit:
        return 0.0
    if contract.RESERVE not in source.named and needed > most:
        at.add("capped-reserve", _cut_short(f"isn't set and is {format_duration(most)} at most, but", needed))
    elif reserve < default or (contract.RESERVE in source.texts and reserve < needed):
        at.add("short-reserve", _cut_short(f"is {format_duration(reserve)}, but", needed))
    return reserve


def _check_position(plan: Plan, source: Source) -> None:
    if plan.position is Position.FIRST and plan.mode is Mode.CLASSIC:
        source.at(contract.ON_EXIT_POSITION).add(
            "first-in-classic",
            "first is for native mode: in classic mode on-exit is an ordinary container, which starts with main: "
            f"remove this, or {contract.MODE}",
        )


def _cut_short(but: str, needed: float) -> str:
    total = format_duration(needed)
    advice = f"write {total}, or shorten them"
    return f"{but} the timeouts of on_exit add up to {total}, so later callbacks may be cut short: {advice}"


def _check_presence(source: Source) -> None:
    """Options for nothing: of a hook without callbacks, or a pod without any."""
    present = [each.name for each in LISTS.values() if each.name in source.named]
    if source.named and not present:
        message = f"does nothing alone: add {contract.ON_START} or {contract.ON_EXIT}, or remove it"
        source.at(source.named[0]).add("no-callbacks", message)
        return
    for each in TABLE:
        hook = LISTS[each.hook].name if each.hook else None
        if hook and each.name in source.named and hook not in present:
            message = f"does nothing without {hook}: add that, or remove this"
            source.at(each.name).add("options-without-callbacks", message)
