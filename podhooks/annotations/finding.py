"""Every code of a finding with its severity, and how a finding comes about: at a place, in one sentence.

docs/findings.md describes each code; a test compares it with `CODES`.
"""

from __future__ import annotations

from enum import Enum

from podhooks.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Severity(str, Enum):
    ERROR = "error"
    WARNING = "warning"


class Finding(Value):
    """Something about the annotations that their author wants to know.

    `code` is stable and documented; `where` is the annotation (or field) it is about; `message` a sentence with what
    to do about it.
    """

    code: str
    severity: Severity
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.severity.value}: {self.where}: {self.message} [{self.code}]"


CODES: Mapping[str, Severity] = {
    "unknown-annotation": Severity.ERROR,
    "value-not-text": Severity.ERROR,
    "empty-value": Severity.ERROR,
    "odd-character": Severity.ERROR,
    "bad-list": Severity.ERROR,
    "bad-entry": Severity.ERROR,
    "unknown-key": Severity.ERROR,
    "call-or-exec": Severity.ERROR,
    "bad-callback": Severity.ERROR,
    "bad-exec": Severity.ERROR,
    "bad-arguments": Severity.ERROR,
    "arguments-for-exec": Severity.ERROR,
    "bad-duration": Severity.ERROR,
    "bad-retries": Severity.ERROR,
    "bad-policy": Severity.ERROR,
    "bad-when": Severity.ERROR,
    "when-at-start": Severity.ERROR,
    "fail-in-native": Severity.ERROR,
    "bad-main-container": Severity.ERROR,
    "bad-mode": Severity.ERROR,
    "bad-position": Severity.ERROR,
    "first-in-classic": Severity.ERROR,
    "bad-image": Severity.ERROR,
    "bad-python": Severity.ERROR,
    "bad-guarantee": Severity.ERROR,
    "bad-resources": Severity.ERROR,
    "near-miss": Severity.WARNING,
    "no-callbacks": Severity.WARNING,
    "options-without-callbacks": Severity.WARNING,
    "short-reserve": Severity.WARNING,
    "capped-reserve": Severity.WARNING,
    "duplicate-callback": Severity.WARNING,
}

LOOKALIKES = "\u2018\u2019\u201c\u201d\u2013\u2014\u2212\uff1a\uff0c\uff1b"  # what word processors make of ' " - : ,


class Place:
    """Where in the annotations one is; findings about it go to the list that it was made with."""

    __slots__ = ("found", "where")

    def __init__(self, where: str, found: list[Finding]) -> None:
        self.where = where
        self.found = found

    def add(self, code: str, message: str) -> None:
        self.found.append(Finding(code, CODES[code], self.where, message))

    def item(self, index: int) -> Place:
        """The entry `index` of a list, counted from 0 as Kubernetes counts in field paths."""
        return Place(f"{self.where}[{index}]", self.found)

    def field(self, name: str) -> Place:
        return Place(f"{self.where}.{name if name.isidentifier() else shown(name)}", self.found)


def shown(value: object) -> str:
    """`value` quoted for a sentence: on one line, and short."""
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:57] + "...")
    text = repr(value) if isinstance(value, (bool, int, float)) or value is None else type(value).__name__
    return {"True": "true", "False": "false", "None": "null", "dict": "a mapping", "list": "a list"}.get(
        text, text[:60]
    )


def closest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word that was probably meant; capitals make no difference."""
    from difflib import get_close_matches

    spelled = {name.lower(): name for name in known}
    hits = get_close_matches(word[:100].lower(), spelled, 1, cutoff)
    return spelled[hits[0]] if hits else None


def did_you_mean(word: str, known: Iterable[str], otherwise: str) -> str:
    """The rest of a sentence about an unknown word."""
    known = tuple(known)
    hit = closest(word, known)
    return f"did you mean {hit}?" if hit else otherwise


def control_character(text: str) -> str | None:
    """The first control character that no text should hold, described; tabs and line breaks are none."""
    return next((described(c) for c in text if (c < " " and c not in "\t\n\r") or "\x7f" <= c <= "\x9f"), None)


def odd_character(text: str) -> str | None:
    """The first character that is invisible, or looks like another and isn't it, described."""
    return next((described(c) for c in text if not c.isprintable() or c in LOOKALIKES), None)


def described(character: str) -> str:
    from unicodedata import name

    return f"U+{ord(character):04X} {name(character, 'control character')}"
