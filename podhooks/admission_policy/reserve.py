"""How long on_exit may take: never less than inject() would keep, and the same wherever the list is of plain names.

CEL can count names, written with commas or lines or as a YAML or JSON list. Mappings may have timeouts of their own,
which it can't read: for a list with any, the reserve is the most that a default may be. It only lengthens the grace
period: when on_exit starts is decided by the runtime, which parses everything.
"""

from __future__ import annotations

from podhooks import contract
from podhooks.admission_policy.cel import Cel, listed, pattern, quoted
from podhooks.plan_text import YAML_BEGINS

_NUMBER = r"[0-9]{1,9}(\.[0-9]{1,9})?"
DURATION = f"^({_NUMBER}h)?({_NUMBER}m)?({_NUMBER}s)?({_NUMBER}ms)?$"
NAME = r"[A-Za-z0-9_./]+:[A-Za-z0-9_.]+"
LINE = f"^- +{NAME}$"
_ITEM = f'("{NAME}"|{NAME})'
FLOW = rf"^\[\s*{_ITEM}(\s*,\s*{_ITEM})*\s*\]$"
LONGEST = f"duration('{int(contract.MAX_TIMEOUT_SECONDS)}s')"
MOST_MS = int(contract.MAX_DEFAULT_RESERVE_SECONDS * 1000)


def reserve_variables() -> dict[str, str]:
    """`raised`: the grace period that the pod gets, in seconds, as inject() has it or longer."""
    return {
        "exitText": f"variables.given[?{quoted(contract.ON_EXIT)}].orValue('')",
        "exitLines": (
            "variables.exitText.split('\\n').map(line, line.trim())"
            ".map(line, line.startsWith('#') ? '' : line.split(' #')[0].trim()).filter(line, line != '')"
        ),
        "exitStructured": _structured("variables.exitLines[0]"),
        "exitCount": _count(),
        "exitTimeout": _given_duration(contract.ON_EXIT_TIMEOUT, contract.DEFAULT_ON_EXIT_TIMEOUT_SECONDS),
        "reserveMs": _reserve(),
        "grace": f"object.spec.?terminationGracePeriodSeconds.orValue({contract.DEFAULT_GRACE_SECONDS})",
        "raised": "variables.withExit ? variables.grace + (variables.reserveMs + 999) / 1000 : variables.grace",
    }


def is_duration(text: str) -> Cel:
    """Whether `text`, an expression, is one that the plan reads."""
    valid = f"{text} != '' && {text}.matches({pattern(DURATION)})"
    return Cel(f"({valid} && duration({text}) > duration('0s') && duration({text}) <= {LONGEST})")


def _structured(line: str) -> str:
    """As `podhooks.plan_text.read_entries` tells names from YAML, by the first line."""
    begins = f"{listed(YAML_BEGINS)}.exists(b, {line}.startsWith(b))"
    yaml = f"{begins} || {line} == '-' || {line}.contains(': ') || {line}.endsWith(':')"
    return f"size(variables.exitLines) > 0 && ({yaml})\n&& !({line}.startsWith('/') || {line}.startsWith('lambda'))"


def _count() -> str:
    """The number of callbacks; -1 where it can't be told."""
    names = "variables.exitLines.map(line, line.split(',').filter(name, name.trim() != '').size()).sum()"
    return (
        f"!variables.exitStructured ? {names} :\n"
        f"variables.exitLines.all(line, line.matches({pattern(LINE)})) ? variables.exitLines.size() :\n"
        f"variables.exitText.matches({pattern(FLOW)}) ? variables.exitText.findAll({pattern(NAME)}).size() : -1"
    )


def _given_duration(annotation: str, default_seconds: float) -> str:
    return f"duration(variables.given[?{quoted(annotation)}].orValue('{int(default_seconds)}s'))"


def _reserve() -> str:
    """Milliseconds, rounded up. More than 600 callbacks of whatever length are beyond the bound as well."""
    total = "variables.exitCount * variables.exitTimeout.getMilliseconds()"
    default = f"variables.exitCount < 0 || {total} > {MOST_MS} ? {MOST_MS} : {total}"
    given = f"duration(variables.given[{quoted(contract.RESERVE)}]).getMilliseconds()"
    return f"{quoted(contract.RESERVE)} in variables.given ? {given} :\n{default}"
