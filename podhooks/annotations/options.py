"""The kinds of values that annotations hold: how each is read, from a text or a callback's mapping, and written.

Each reader takes the value, the default for a value that is unusable, and the place that hears about it.
"""

from __future__ import annotations

from podhooks import contract
from podhooks.annotations.durations import format_duration, parse_duration
from podhooks.annotations.finding import closest, did_you_mean, shown
from podhooks.annotations.quantities import quantity, quantity_problem
from podhooks.annotations.text import read_entries, read_structure
from podhooks.context import Result
from podhooks.errors import PlanError
from podhooks.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from enum import Enum
    from typing import Any, TypeVar

    from podhooks.annotations.finding import Place
    from podhooks.context import Json

    E = TypeVar("E", bound=Enum)

FAILURE = frozenset(Result) - {Result.SUCCEEDED}
WHEN_WORDS: Mapping[str, frozenset[Result] | None] = {
    "always": None,
    "success": frozenset({Result.SUCCEEDED}),
    "failure": FAILURE,
    **{result.value: frozenset({result}) for result in Result},
}
DNS_LABEL = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


def read_list(value: str, default: list[Json] | None, at: Place) -> list[Json] | None:
    """The entries of a list of callbacks, which nobody has looked at yet."""
    try:
        return read_entries(value)
    except PlanError as error:
        at.add("bad-list", f"can't be read: {error}")
        return default


def read_choice(value: Json, default: E, at: Place) -> E:
    """One of the words of `default`'s class; the code of the finding is the class's name."""
    words = [member.value for member in type(default)]
    if value in words:
        return type(default)(value)
    listed = f"write {' or '.join(words)}"
    advice = did_you_mean(value, words, listed) if isinstance(value, str) else listed
    at.add(
        f"bad-{type(default).__name__.lower()}", f"{shown(value)} isn't a {type(default).__name__.lower()}: {advice}"
    )
    return default


def read_duration(value: Json, default: float, at: Place) -> float:
    try:
        if isinstance(value, str):
            return parse_duration(value)
    except PlanError as error:
        at.add("bad-duration", str(error))
        return default
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    advice = f"a number without a unit: write {shown(value)}s for seconds" if number else "not a duration: write 30s"
    at.add("bad-duration", f"{shown(value)} is {advice}")
    return default


def read_retries(value: Json, default: int, at: Place) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 9:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= contract.MAX_RETRIES:
        return value
    at.add(
        "bad-retries",
        f"{shown(value)} can't be a number of retries: write a whole one from 0 to {contract.MAX_RETRIES}",
    )
    return default


def read_when(value: Json, default: frozenset[Result] | None, at: Place) -> frozenset[Result] | None:
    """The results named by a list or by a text with commas; None is always."""
    words = [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value
    if not isinstance(words, list) or not words:
        at.add(
            "bad-when",
            f"{shown(value)} names no result: write always, success, failure, or results like Failed, Evicted",
        )
        return default
    unknown = [word for word in words if not isinstance(word, str) or word not in WHEN_WORDS]
    for word in unknown:
        at.add("bad-when", f"{shown(word)} is no result: {_result_advice(word)}")
    if unknown:
        return default
    if "always" in words:
        return None
    return frozenset(result for word in words for result in WHEN_WORDS[word] or ())


def _result_advice(word: Json) -> str:
    listed = f"write one of {', '.join(WHEN_WORDS)}"
    if not isinstance(word, str):
        return listed
    begun = [each for each in WHEN_WORDS if len(word) > 2 and each.lower().startswith(word.lower())]
    return f"did you mean {begun[0]}?" if begun else did_you_mean(word, WHEN_WORDS, listed)


def read_container(value: str, default: str | None, at: Place) -> str | None:
    """A container's name, or `*`; None is for whoever reads the pod to decide."""
    if value == contract.ALL_CONTAINERS:
        return value
    if value in contract.OUR_CONTAINERS:
        at.add("bad-main-container", f"{value!r} is one of our own containers: name the one that does the work")
    elif not set(value) <= DNS_LABEL or value[0] == "-" or value[-1] == "-" or len(value) > 63:
        advice = "write one name of small letters, digits and dashes, or * for all of them together"
        at.add("bad-main-container", f"{shown(value)} can't be a container's name: {advice}")
    else:
        return value
    return default


def read_image(value: str, default: str, at: Place) -> str:
    if "://" in value or value.split() != [value]:
        why = "has a blank in it" if value.split() != [value] else "is a URL"
        at.add("bad-image", f"{shown(value)} {why}: write one image reference like registry/name:tag, or main")
        return default
    return value


def read_python(value: str, default: str, at: Place) -> str:
    if value.split() != [value]:
        advice = "write the interpreter alone, like python3 or /opt/venv/bin/python; options aren't taken"
        at.add("bad-python", f"{shown(value)} has a blank in it: {advice}")
        return default
    return value


def read_resources(value: str, default: Mapping[str, Json] | None, at: Place) -> Mapping[str, Json] | None:
    try:
        resources = read_structure(value)
    except PlanError as error:
        at.add("bad-resources", f"can't be read: {error}")
        return default
    problems = _resources_problems(resources)
    for problem in problems:
        at.add("bad-resources", problem)
    return default if problems else resources


def _resources_problems(resources: Json) -> list[str]:
    example = 'write {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}}'
    if not isinstance(resources, dict) or not resources:
        return [f"{shown(resources)} isn't a mapping of requests and limits: {example}"]
    problems = [
        f"{shown(key)} is neither requests nor limits: {example}"
        for key in resources
        if key not in ("requests", "limits")
    ]
    for kind in ("requests", "limits"):
        amounts = resources.get(kind, {})
        if isinstance(amounts, dict):
            problems += [f"{kind}: {why}" for name, amount in amounts.items() if (why := _amount_problem(name, amount))]
        else:
            problems.append(f"{kind} is {shown(amounts)}: {example}")
    return problems or _above_limit(resources.get("requests", {}), resources.get("limits", {}))


def _amount_problem(name: str, amount: Json) -> str | None:
    known = ("cpu", "memory", "ephemeral-storage")
    if name not in known and "/" not in name and not name.startswith("hugepages-"):
        return f"{shown(name)} isn't a resource: {did_you_mean(name, known, 'write cpu, memory or ephemeral-storage')}"
    return quantity_problem(name, amount)


def _above_limit(requests: Mapping[str, Json], limits: Mapping[str, Json]) -> list[str]:
    return [
        f"requests more {name} than its limit: write at most {limits[name]}"
        for name in requests
        if name in limits and quantity(requests[name]) > quantity(limits[name])
    ]


def read_identifiers(value: Json, at: Place) -> dict[str, Json]:
    """The keyword arguments of `with`."""
    if not isinstance(value, dict):
        at.add("bad-arguments", f"{shown(value)} isn't a mapping: write names and values, like {{channel: ops}}")
        return {}
    wrong = [name for name in value if not name.isidentifier()]
    for name in wrong:
        at.add("bad-arguments", f"{shown(name)} can't be an argument's name: write letters, digits and underscores")
    return {} if wrong else value


def unknown_word(word: str, known: Iterable[str]) -> str:
    known = tuple(known)
    hit = closest(word, known, 0.5)
    return f"did you mean {hit}?" if hit else f"the keys are {', '.join(known)}"


class Kind(Value):
    """One kind. `name` is how JSON schemas know it.

    `read` takes what the user wrote, the default for what can't be read, and the place that hears of it; `write` gives
    what a callback's mapping may hold, and an annotation as text.
    """

    name: str
    read: Callable[[Json, Any, Place], Any]
    write: Callable[[Any], Json]


def _as_it_is(value: Json) -> Json:
    return value


def _word(choice: Enum) -> Json:
    return choice.value


def _results(when: frozenset[Result] | None) -> Json:
    return "always" if when is None else [result.value for result in Result if result in when]


CALLBACKS = Kind("callbacks", read_list, _as_it_is)  # their entries; what each may hold, its hook's options say
CHOICE = Kind("choice", read_choice, _word)
DURATION = Kind("duration", read_duration, format_duration)
RETRIES = Kind("retries", read_retries, _as_it_is)
RESULTS = Kind("results", read_when, _results)
CONTAINER = Kind("text", read_container, _as_it_is)
IMAGE = Kind("word", read_image, _as_it_is)
PYTHON = Kind("word", read_python, _as_it_is)
RESOURCES = Kind("resources", read_resources, dict)
