"""CEL's text as tokens, with the brackets that belong together: enough to rewrite it and to break it on purpose.

Words: https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

TOKEN = re.compile(
    r"""\s*(?:
    (?P<string>[rR]?(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'))
    |(?P<number>\d+(?:\.\d+)?)
    |(?P<name>[A-Za-z_]\w*)
    |(?P<mark>\.\?|\[\?|&&|\|\||==|!=|<=|>=|[-+*/%!<>?:.,()\[\]{}])
    )""",
    re.VERBOSE,
)
CLOSING = {"(": ")", "[": "]", "[?": "]", "{": "}"}


class Token(str):
    """A token's text; `kind` is the group of TOKEN that it is of."""

    __slots__ = ("kind",)
    kind: str

    def __new__(cls, text: str, kind: str) -> Token:
        made = super().__new__(cls, text)
        made.kind = kind
        return made


def tokens(text: str) -> list[Token]:
    """Without the blanks. ValueError: a character that begins no token."""
    made, at, text = [], 0, text.rstrip()
    while at < len(text):
        found = TOKEN.match(text, at)
        if found is None:
            raise ValueError(f"no CEL at {text[at : at + 20]!r}")
        kind = str(found.lastgroup)
        made.append(Token(found[kind], kind))
        at = found.end()
    return made


def joined(parts: Sequence[str]) -> str:
    return " ".join(parts)


def partners(parts: Sequence[Token]) -> dict[int, int]:
    """Where the bracket closes that opens at an index."""
    opened: list[int] = []
    found: dict[int, int] = {}
    for index, part in enumerate(parts):
        if part.kind == "mark" and part in CLOSING:
            opened.append(index)
        elif part.kind == "mark" and part in CLOSING.values():
            begin = opened.pop()
            if CLOSING[parts[begin]] != part:
                raise ValueError(f"{parts[begin]} is closed by {part}")
            found[begin] = index
    return found


def items(parts: Sequence[Token], pairs: Mapping[int, int], begin: int) -> list[tuple[int, int]]:
    """The ranges between the commas, behind the bracket at `begin`. `pairs` is what partners() says of `parts`."""
    found, start, index, end = [], begin + 1, begin + 1, pairs[begin]
    while index < end:
        if parts[index] == "," and parts[index].kind == "mark":
            found.append((start, index))
            start = index + 1
        index = pairs.get(index, index) + 1
    return [*found, (start, end)] if start < end else found
