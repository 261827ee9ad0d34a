"""All annotations together: which are ours, what each says, and where they contradict each other."""

from __future__ import annotations

from podhooks import contract
from podhooks.annotations.callbacks import Rules, read_callbacks, read_policy
from podhooks.annotations.durations import format_duration
from podhooks.annotations.finding import Finding, Place, closest, control_character, odd_character, shown
from podhooks.annotations.options import (
    read_choice,
    read_container,
    read_duration,
    read_image,
    read_python,
    read_resources,
    read_retries,
    read_when,
)
from podhooks.annotations.plan import Callback, Guarantee, Mode, Plan, Policy, total_timeout
from podhooks.context import Hook

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    T = TypeVar("T")

HOOK_NAMES = (contract.ON_START, contract.ON_EXIT)
LISTS = (*HOOK_NAMES, contract.RESOURCES)  # these may hold any character in their texts
SHORT_NAMES = {name.removeprefix(contract.PREFIX): name for name in contract.USER_ANNOTATIONS}


class Source:
    """The texts of our annotations that can be read at all, and the findings about them."""

    def __init__(self, annotations: Mapping[str, str], found: list[Finding]) -> None:
        self.found = found
        self.named = [name for name in contract.USER_ANNOTATIONS if name in annotations]
        texts = {name: _text(annotations[name], self.at(name)) for name in self.named}
        self.texts = {name: text for name, text in texts.items() if text is not None}

    def at(self, name: str) -> Place:
        return Place(name, self.found)

    def read(self, name: str, reader: Callable[[str, T, Place], T], default: T) -> T:
        return reader(self.texts[name], default, self.at(name)) if name in self.texts else default


def parse(annotations: Mapping[str, str]) -> tuple[Plan, tuple[Finding, ...]]:
    """The plan that `annotations` describe, and everything that is to be said about them.

    Never raises: where an annotation is unusable the finding is an error and the plan holds that field's default, so
    callers that must not go on check for errors. Annotations of others are passed over.
    """
    found: list[Finding] = []
    for name in annotations:
        _check_name(name, found)
    source = Source(annotations, found)
    mode = source.read(contract.MODE, read_choice, Mode.NATIVE)
    # a mode that can't be read gets its own finding; what it would have allowed is not to be guessed
    may_fail = source.texts.get(contract.MODE, Mode.NATIVE.value) != Mode.NATIVE.value
    on_start = _callbacks(_start_rules(source), source)
    on_exit = _callbacks(_exit_rules(source, may_fail=may_fail), source)
    plan = Plan(
        on_start=on_start,
        on_exit=on_exit,
        main_container=source.read(contract.MAIN_CONTAINER, read_container, None),
        mode=mode,
        image=source.read(contract.IMAGE, read_image, contract.MAIN_IMAGE),
        python=source.read(contract.PYTHON, read_python, contract.DEFAULT_PYTHON),
        reserve_seconds=_reserve(on_exit, source),
        guarantee=source.read(contract.GUARANTEE, read_choice, Guarantee.POD),
        resources=source.read(contract.RESOURCES, read_resources, None),
    )
    _check_presence(source)
    return plan, tuple(found)


def _text(value: object, at: Place) -> str | None:
    """The annotation's text; None, and a finding, where there is nothing to read."""
    if not isinstance(value, str):
        at.add("value-not-text", f"is {shown(value)}, but annotations hold text: put it in quotes")
        return None
    text = value.replace("\r\n", "\n")
    text = text if at.where in LISTS and text.strip() else text.strip()  # positions in a list are the user's
    odd = control_character(text) if at.where in LISTS else odd_character(text)
    if odd:
        at.add("odd-character", f"holds {odd}: write it in plain characters")
        return None
    if not text:
        at.add("empty-value", "is empty: write a value, or remove the annotation")
        return None
    return text


def _check_name(name: object, found: list[Finding]) -> None:
    if not isinstance(name, str) or name in contract.ANNOTATIONS:
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
            return closest(word, contract.USER_ANNOTATIONS, 0.8)
        return SHORT_NAMES.get(word) if word.startswith("on-") else None
    if ours or (word in SHORT_NAMES and closest(prefix, [contract.PREFIX], 0.75)):
        meant = closest(word, SHORT_NAMES, 0.8)
        return meant and SHORT_NAMES[meant]
    return None


def _start_rules(source: Source) -> Rules:
    return Rules(
        hook=Hook.ON_START,
        timeout_seconds=source.read(
            contract.ON_START_TIMEOUT, read_duration, contract.DEFAULT_ON_START_TIMEOUT_SECONDS
        ),
        retries=source.read(contract.ON_START_RETRIES, read_retries, contract.DEFAULT_ON_START_RETRIES),
        policy=source.read(contract.ON_START_POLICY, read_choice, Policy.FAIL),
    )


def _exit_rules(source: Source, *, may_fail: bool) -> Rules:
    policy = Policy.IGNORE
    if contract.ON_EXIT_POLICY in source.texts:
        text, at = source.texts[contract.ON_EXIT_POLICY], source.at(contract.ON_EXIT_POLICY)
        policy = read_policy(text, policy, at, may_fail=may_fail)
    return Rules(
        hook=Hook.ON_EXIT,
        timeout_seconds=source.read(contract.ON_EXIT_TIMEOUT, read_duration, contract.DEFAULT_ON_EXIT_TIMEOUT_SECONDS),
        retries=source.read(contract.ON_EXIT_RETRIES, read_retries, contract.DEFAULT_ON_EXIT_RETRIES),
        policy=policy,
        when=source.read(contract.ON_EXIT_WHEN, read_when, None),
        may_fail=may_fail,
    )


def _callbacks(rules: Rules, source: Source) -> tuple[Callback, ...]:
    name = contract.PREFIX + rules.hook.value
    return read_callbacks(source.texts[name], rules, source.at(name)) if name in source.texts else ()


def _reserve(on_exit: tuple[Callback, ...], source: Source) -> float:
    needed = total_timeout(on_exit)
    most = contract.MAX_DEFAULT_RESERVE_SECONDS
    default = min(needed, most)
    reserve = source.read(contract.RESERVE, read_duration, default)
    at = source.at(contract.RESERVE)
    if not on_exit:
        return 0.0
    if contract.RESERVE not in source.named and needed > most:
        at.add("capped-reserve", _cut_short(f"isn't set and is {format_duration(most)} at most, but", needed))
    elif reserve < default or (contract.RESERVE in source.texts and reserve < needed):
        at.add("short-reserve", _cut_short(f"is {format_duration(reserve)}, but", needed))
    return reserve


def _cut_short(but: str, needed: float) -> str:
    total = format_duration(needed)
    advice = f"write {total}, or shorten them"
    return f"{but} the timeouts of on_exit add up to {total}, so later callbacks may be cut short: {advice}"


def _check_presence(source: Source) -> None:
    """Options for nothing: of a hook without callbacks, or a pod without any."""
    present = [name for name in HOOK_NAMES if name in source.named]
    if source.named and not present:
        message = f"does nothing alone: add {contract.ON_START} or {contract.ON_EXIT}, or remove it"
        source.at(source.named[0]).add("no-callbacks", message)
        return
    for name in source.named:
        hook = _hook_of(name)
        if hook is not None and hook not in present:
            source.at(name).add("options-without-callbacks", f"does nothing without {hook}: add that, or remove this")


def _hook_of(name: str) -> str | None:
    """The annotation whose callbacks an option is about; None where it is about the pod."""
    if name == contract.RESERVE:
        return contract.ON_EXIT
    return next((hook for hook in HOOK_NAMES if name.startswith(hook + "-")), None)
