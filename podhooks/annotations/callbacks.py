"""The entries of `on-start` and `on-exit`, to callbacks."""

from __future__ import annotations

from podhooks import contract
from podhooks.annotations.finding import Place, odd_character, shown
from podhooks.annotations.names import FORMS, problem
from podhooks.annotations.options import read_identifiers, read_list, unknown_word
from podhooks.annotations.plan import CALLBACK_OPTIONS, Callback, Policy
from podhooks.context import EMPTY, Hook, Result
from podhooks.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from podhooks.context import Json

OPTION_KEYS = tuple(dict.fromkeys(each.key for options in CALLBACK_OPTIONS.values() for each in options))
KEYS = ("call", "exec", "with", *OPTION_KEYS)
KEY_LENGTH = 60  # of a command's key in the record


class Rules(Value):
    """What holds at a hook: `defaults` for callbacks that don't say otherwise.

    `may_fail` is whether the policy `fail` can do what it says there.
    """

    hook: Hook
    defaults: Callback
    may_fail: bool = True


def read_callbacks(text: str, rules: Rules, at: Place) -> tuple[Callback, ...]:
    """The callbacks of a list; an entry that names none is left out, and `at` hears of it."""
    entries = read_list(text, None, at)
    if entries is None:
        return ()
    if not entries:
        at.add("no-callbacks", "lists no callback: name one, or remove the annotation")
    before = len(at.found)
    callbacks = [read_entry(entry, rules, at.item(index)) for index, entry in enumerate(entries)]
    numbered = with_keys(callback for callback in callbacks if callback is not None)
    if len(at.found) == before:  # what could not be read would look alike
        _find_duplicates(numbered, at)
    return numbered


def read_entry(entry: Json, rules: Rules, at: Place) -> Callback | None:
    """The callback of one entry, still without its key; None where nothing can be called."""
    fields = {"call": entry} if isinstance(entry, str) else entry
    if not isinstance(fields, dict):
        at.add("bad-entry", f"is {shown(entry)}, not a callback: {FORMS}")
        return None
    unknown = [key for key in fields if key not in KEYS]
    for key in unknown:
        at.add("unknown-key", _unknown_key(key, fields[key]))
    fields = {key: value for key, value in fields.items() if value is not None}
    if not unknown and ("call" in fields) == ("exec" in fields):
        both = "has both call and exec: keep one of them" if "call" in fields else "has neither call nor exec: add one"
        at.add("call-or-exec", both)
        return None
    call = read_name(fields["call"], at) if "call" in fields else ""
    command = read_command(fields["exec"], at.field("exec")) if "exec" in fields else ()
    arguments = _arguments(fields, at)
    if bool(call) == bool(command):
        return None
    options = _options(fields, rules, at)
    return rules.defaults.replace(call=call, exec=command, arguments=arguments, **options)


def _unknown_key(key: str, value: Json) -> str:
    if key.startswith("lambda"):
        return f"{shown(key)} {problem('lambda')}"
    name = f"{key}:{value}" if isinstance(value, str) else ""
    if name and problem(name) is None:
        return f"{shown(key)} isn't a key of a callback: write {name} without the blank if it is a callback's name"
    return f"{shown(key)} isn't a key of a callback: {unknown_word(key, KEYS)}"


def _options(fields: Mapping[str, Json], rules: Rules, at: Place) -> dict[str, Any]:
    """What the mapping says itself of the fields that the hook's annotations have defaults for."""
    options = CALLBACK_OPTIONS[rules.hook]
    here = [each.key for each in options]
    for key in OPTION_KEYS:
        if key in fields and key not in here:
            message = "has no meaning before main has run: remove it, or move it to on-exit"
            at.field(key).add(f"{key}-at-start", message)
    said = {}
    for each in options:
        if each.key in fields:
            default = getattr(rules.defaults, each.field)
            said[each.field] = each.kind.read(fields[each.key], default, at.field(each.key))
    if "policy" in said:
        said["policy"] = kept_policy(said["policy"], at.field("policy"), may_fail=rules.may_fail)
    return said


def kept_policy(policy: Policy, at: Place, *, may_fail: bool) -> Policy:
    """The policy, or `ignore` and a finding where `fail` can't do what it says."""
    if policy is Policy.FAIL and not may_fail:
        advice = f"write {contract.MODE}: classic, or policy ignore"
        at.add("fail-in-native", f"fail can't fail the pod in native mode, where main alone decides: {advice}")
        return Policy.IGNORE
    return policy


def read_name(value: Json, at: Place) -> str:
    """A callback's name, or "" and a finding."""
    if not isinstance(value, str):
        at.add("bad-callback", f"call is {shown(value)}, not a name: {FORMS}")
        return ""
    name = value.strip()
    why = problem(name)
    if why is None:
        return name
    odd = odd_character(name)
    if odd:
        at.add("odd-character", f"{shown(name)} holds {odd}: write it in plain characters")
    else:
        at.add("bad-callback", f"{shown(name)} {why}")
    return ""


def read_command(value: Json, at: Place) -> tuple[str, ...]:
    """The words of a command, or () and a finding."""
    example = 'write a list of words, like [curl, -fsS, "http://example.com"]'
    if not isinstance(value, list) or not value:
        at.add("bad-exec", f"is {shown(value) if value != [] else 'empty'}: {example}")
        return ()
    wrong = next((word for word in value if not isinstance(word, str) or "\0" in word), None)
    if wrong is not None or None in value:
        at.add("bad-exec", f"holds {shown(wrong)}, which isn't text that a command can be given: put it in quotes")
        return ()
    if not value[0].strip():
        at.add("bad-exec", f"begins with an empty word where the program's name belongs: {example}")
        return ()
    return tuple(value)


def _arguments(fields: Mapping[str, Json], at: Place) -> Mapping[str, Json]:
    if "with" not in fields:
        return EMPTY
    if "exec" in fields and "call" not in fields:
        advice = "put them among the words of exec, or call a function"
        at.field("with").add("arguments-for-exec", f"gives arguments to a command, which takes none: {advice}")
        return EMPTY
    return read_identifiers(fields["with"], at.field("with")) or EMPTY


def with_keys(callbacks: Iterable[Callback]) -> tuple[Callback, ...]:
    """The callbacks with keys that differ: what is called, and `#2` at the second one of the same name."""
    counts: dict[str, int] = {}
    keyed = []
    for callback in callbacks:
        base = callback.call or _command_key(callback.exec)
        count = counts[base] = counts.get(base, 0) + 1
        keyed.append(callback.replace(key=base if count == 1 else f"{base}#{count}"))
    return tuple(keyed)


def _command_key(command: tuple[str, ...]) -> str:
    from shlex import join

    line = "".join(c if c.isprintable() else " " for c in join(command))
    return line[:KEY_LENGTH].rstrip()


def _find_duplicates(callbacks: tuple[Callback, ...], at: Place) -> None:
    """Says once of each callback that it is there again, with the same arguments and for the same results."""
    if all("#" not in callback.key for callback in callbacks):
        return
    from json import dumps

    results: dict[object, frozenset[Result]] = {}
    told: set[object] = set()
    for callback in callbacks:
        same = (callback.call, callback.exec, dumps(dict(callback.arguments), sort_keys=True))
        wanted = frozenset(each for each in Result if callback.wanted(each))
        if wanted & results.get(same, frozenset()) and same not in told:
            told.add(same)
            at.add("duplicate-callback", _twice(callback))
        results[same] = results.get(same, frozenset()) | wanted


def _twice(callback: Callback) -> str:
    name = shown(callback.call or _command_key(callback.exec))
    return f"lists {name} twice with the same arguments, so it runs twice: remove one if that isn't meant"
