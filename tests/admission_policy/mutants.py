"""Wrong CEL, made of right CEL by one small change: what a test of the policy must notice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tests.admission_policy.tokens import CLOSING, Token, items, joined, partners, tokens
from tests.admission_policy.translation import TYPES

SWAPS = {
    "min": "max",
    "exists": "all",
    "startsWith": "endsWith",
    "&&": "||",
    "==": "!=",
    "<": "<=",
    ">": ">=",
    "+": "-",
    "*": "+",
    "/": "*",
    "true": "false",
    "requestsGiven": "limitsGiven",
    "requestsMerged": "limitsMerged",
}
SWAPS |= {new: old for old, new in SWAPS.items() if new not in SWAPS}
STEPS = ("trim", "filter", "replace")  # calls whose result has the receiver's type
LOOSER: dict[str, frozenset[str]] = {
    "||": frozenset([",", ":", "?"]),
    "&&": frozenset([",", ":", "?", "||"]),
    "+": frozenset([",", ":", "?", "||", "&&", "==", "!=", "<", "<=", ">", ">=", "in", "-"]),
}
"""For an operator, the marks that end its operands beside brackets and itself."""
Change = tuple[str, Sequence[str]]


def mutants(expression: str) -> dict[str, str]:
    """The texts, each by a description of what was changed."""
    parts = tokens(expression)
    made: dict[str, str] = {}
    for change in (_swapped, _renamed, _without_items, _without_steps, _without_operands, _negated):
        for at, (said, changed) in enumerate(change(parts)):
            made[f"{said} ({change.__name__.strip('_')} {at})"] = joined(changed)
    return made


def _swapped(parts: list[Token]) -> Iterator[Change]:
    """`min` for `max`, an index off by one, another text, a condition without its `!`."""
    for index, part in enumerate(parts):
        for new in _others(part):
            yield f"{part} -> {new or 'nothing'}: {_near(parts, index)}", _replaced(parts, index, index + 1, new)


def _others(part: Token) -> list[str]:
    if part.kind == "string":
        begin = 2 if part[0] in "rR" else 1
        return [f"{part[:begin]}~{part[begin:]}"] if len(part) > begin + 1 else []
    if part.kind == "number":
        return [str(int(part) + 1), str(int(part) - 1)] if 0 < int(part) < 100 else [str(int(part) * 2 + 1)]
    if part == "!":
        return [""]
    return [SWAPS[part]] if part in SWAPS else []


def _renamed(parts: list[Token]) -> Iterator[Change]:
    """A field that is another's: in what is read (`c.name`, `c.?env`), and in what is written (`{name: ...}`)."""
    typed = {index for index, part in enumerate(parts) if part in TYPES}
    for index, part in enumerate(parts):
        if part.kind != "name" or index in typed:
            continue
        before, after = parts[index - 1] if index else "", parts[index + 1] if index + 1 < len(parts) else ""
        read = before in (".", ".?") and after not in ("(", "{") and not _in_a_type(parts, index)
        if read and parts[index - 2] != "variables":
            yield f"field {part}: {_near(parts, index)}", _replaced(parts, index, index + 1, f"{part}X")
        elif after == ":" and before in ("{", ",", "?") and (before != "?" or parts[index - 2] in ("{", ",")):
            yield f"key {part}: {_near(parts, index)}", _replaced(parts, index, index + 1, f"{part}X")


def _in_a_type(parts: list[Token], index: int) -> bool:
    begin = index
    while begin >= 2 and parts[begin - 1] == ".":
        begin -= 2
    return parts[begin] in TYPES


def _without_items(parts: list[Token]) -> Iterator[Change]:
    """A list or a mapping without one of its elements."""
    pairs = partners(parts)
    for begin, end in pairs.items():
        if parts[begin] == "{" or (parts[begin] == "[" and not _ends_a_value(parts[:begin])):
            for first, behind in items(parts, pairs, begin):
                comma = behind < end and parts[behind] == ","
                start = first - 1 if not comma and parts[first - 1] == "," else first
                yield f"dropped {_shown(parts[first:behind])}", _replaced(parts, start, behind + comma)


def _without_steps(parts: list[Token]) -> Iterator[Change]:
    """`a.b()` without `.b()`."""
    pairs = partners(parts)
    for index, part in enumerate(parts):
        if part in STEPS and parts[index - 1] == ".":
            end = pairs[index + 1] + 1
            yield f"dropped {_shown(parts[index:end])}", _replaced(parts, index - 1, end)


def _without_operands(parts: list[Token]) -> Iterator[Change]:
    """`a + b` and its like without either."""
    pairs = partners(parts)
    for index, part in enumerate(parts):
        if part in LOOSER and part.kind == "mark":
            ends = LOOSER[part] | {part}
            first, behind = _left(parts, pairs, index, ends), _right(parts, pairs, index, ends)
            yield f"dropped {_shown(parts[first:index])}", _replaced(parts, first, index + 1)
            yield f"dropped {_shown(parts[index + 1 : behind])}", _replaced(parts, index, behind)


def _negated(parts: list[Token]) -> Iterator[Change]:
    """`a ? b : c` with `!a`."""
    pairs = partners(parts)
    for index, part in enumerate(parts):
        if part == "?" and part.kind == "mark" and parts[index - 1] not in ("{", ","):
            first = _left(parts, pairs, index, frozenset([",", ":", "?"]))
            condition = joined(parts[first:index])
            yield f"negated {_shown(parts[first:index])}", _replaced(parts, first, index, f"!({condition})")


def _right(parts: list[Token], pairs: Mapping[int, int], index: int, ends: frozenset[str]) -> int:
    """Behind the operand that is right of `index`."""
    behind = index + 1
    while behind < len(parts) and parts[behind] not in ends and parts[behind] not in CLOSING.values():
        behind = pairs.get(behind, behind) + 1
    return behind


def _left(parts: list[Token], pairs: Mapping[int, int], index: int, ends: frozenset[str]) -> int:
    """Where the operand begins that is left of `index`."""
    opening = {end: begin for begin, end in pairs.items()}
    first = index
    while first > 0 and parts[first - 1] not in ends and parts[first - 1] not in CLOSING:
        first = opening.get(first - 1, first - 1)
    return first


def _ends_a_value(parts: list[Token]) -> bool:
    return bool(parts) and (parts[-1].kind in ("name", "string") or parts[-1] in (")", "]")) and parts[-1] != "in"


def _replaced(parts: list[Token], begin: int, end: int, *new: str) -> list[str]:
    return [*parts[:begin], *(each for each in new if each), *parts[end:]]


def _near(parts: list[Token], index: int) -> str:
    return _shown(parts[max(0, index - 6) : index + 6])


def _shown(parts: Sequence[str]) -> str:
    text = joined(parts)
    return text if len(text) <= 80 else f"{text[:60]} ... {text[-16:]}"
