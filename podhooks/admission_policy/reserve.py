"""How long on_exit may take: what inject() reserves, or more where CEL can't tell.

CEL parses neither YAML nor JSON, but a sum of timeouts needs only how many callbacks there are at most, and which
timeouts: every callback has a name (two parts around a colon) or the key `exec`. Where even that can't be told it
takes the bound that holds for every default. Too long a reserve only lengthens the grace period: when on_exit starts is
decided by the runtime, which parses everything.
"""

from __future__ import annotations

from podhooks import contract
from podhooks.admission_policy.cel import Cel, first_match, listed, pattern, quoted
from podhooks.annotations.text import YAML_BEGINS

_DIGITS = {"h": 5, "m": 7, "s": 9, "ms": 9}  # more than a week has, and no more than CEL's durations hold
DURATION = "^" + "".join(rf"([0-9]{{1,{most}}}(\.[0-9]{{1,9}})?{unit})?" for unit, most in _DIGITS.items()) + "$"
NAME = r"""[^\s,:{}\[\]"']:[^\s,:{}\[\]"'/0-9]"""  # the middle of one: no key's colon, no address, no port
COMMAND = r"""exec["']?\s*:[\s\[]"""  # the key of a command's words
TIMEOUT = r"""timeout["']?\s*:\s*["']?[0-9][0-9.hms]*"""
OBSCURE = r"\\|([-:,\[{?]|^)\s*[&*!]"  # escapes, anchors, aliases, tags: a name or a timeout may hide behind them
OUTSIDE = "with|exec|#"  # with any of these in the text, a timeout in it may be none of a callback's
LONGEST = f"duration('{int(contract.MAX_TIMEOUT_SECONDS)}s')"
MOST_MS = int(contract.MAX_DEFAULT_RESERVE_SECONDS * 1000)


def reserve_variables() -> dict[str, str]:
    """`raised`: the grace period that the pod gets, in seconds, as inject() has it or longer."""
    return {
        "exitText": f"variables.given[?{quoted(contract.ON_EXIT)}].orValue('')",
        "exitLines": (
            "variables.exitText.split('\\n').map(line, line.trim())"
            ".map(line, line.startsWith('#') ? '' : line.split(' #')[0]).filter(line, line != '')"
        ),
        "exitStructured": _structured("variables.exitLines[0]"),
        "exitCount": _count(),
        "exitOwnTimeouts": (
            f"!variables.exitStructured ? [] : variables.exitText.findAll({pattern(TIMEOUT)})"
            f".map(text, text.find({pattern('[0-9][0-9.hms]*$')}))"
        ),
        "exitObscure": _obscure(),
        "exitTimeout": _given_duration(contract.ON_EXIT_TIMEOUT, contract.DEFAULT_ON_EXIT_TIMEOUT_SECONDS),
        "reserveMs": _reserve(),
        "grace": f"object.spec.?terminationGracePeriodSeconds.orValue({contract.DEFAULT_GRACE_SECONDS})",
        "raised": (
            "variables.withExit && !variables.outside ? variables.grace + (variables.reserveMs + 999) / 1000 "
            ": variables.grace"
        ),
    }


def is_duration(text: str) -> Cel:
    """Whether `text`, an expression that isn't empty, is one that the plan reads."""
    return Cel(f"({_is_positive(text)} && duration({text}) <= {LONGEST})")


def _is_positive(text: str) -> Cel:
    return Cel(f"{text}.matches({pattern(DURATION)}) && duration({text}) > duration('0s')")


def _structured(line: str) -> str:
    """As `podhooks.annotations.text.read_entries` tells names from YAML, by the first line."""
    begins = f"{listed(YAML_BEGINS)}.exists(b, {line}.startsWith(b))"
    yaml = f"{begins} || {line} == '-' || {line}.contains(': ') || {line}.endsWith(':')"
    return f"size(variables.exitLines) > 0 && ({yaml})\n&& !({line}.startsWith('/') || {line}.startsWith('lambda'))"


def _count() -> str:
    """The number of callbacks, or more."""
    names = "variables.exitLines.map(line, line.split(',').filter(name, name.trim() != '').size()).sum()"
    text = "variables.exitText"
    listed_names = f"{text}.findAll({pattern(NAME)}).size() + {text}.findAll({pattern(COMMAND)}).size()"
    return f"variables.exitStructured ? {listed_names} :\n{names}"


def _obscure() -> str:
    """Whether the text may say more than can be counted."""
    valid = _is_positive("text")
    return (
        f"variables.exitStructured && (variables.exitText.matches({pattern(OBSCURE)})\n"
        "|| variables.exitText.findAll('timeout').size() != variables.exitOwnTimeouts.size()\n"
        f"|| !variables.exitOwnTimeouts.all(text, {valid}))"
    )


def _given_duration(annotation: str, default_seconds: float) -> str:
    return f"duration(variables.given[?{quoted(annotation)}].orValue('{int(default_seconds)}s'))"


def _reserve() -> str:
    """Milliseconds."""
    own, timeout = "variables.exitOwnTimeouts", "variables.exitTimeout.getMilliseconds()"
    given = f"duration(variables.given[{quoted(contract.RESERVE)}]).getMilliseconds()"
    sum_of_own = f"{own}.map(text, duration(text).getMilliseconds()).sum()"
    others = f"(variables.exitText.matches({pattern(OUTSIDE)}) ? 0 : {own}.size())"
    total = f"{sum_of_own} + [0, variables.exitCount - {others}].max() * {timeout}"
    choices = [(f"{quoted(contract.RESERVE)} in variables.given", given), ("variables.exitObscure", str(MOST_MS))]
    return first_match(choices, f"[{MOST_MS}, {total}].min()")
