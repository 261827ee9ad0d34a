"""One check's outcome: a mark, a sentence, and for what isn't right the fix and the page's section that tells more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

PAGE = "docs/check.md"


class Mark(str, Enum):
    """`skipped`: it can't be told, because a right or an earlier step is missing."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Check:
    """`code` is stable: it names a section of docs/check.md. `fix` is a command or a sentence."""

    category: str
    code: str
    mark: Mark
    said: str
    fix: str = ""

    @property
    def link(self) -> str:
        return f"{PAGE}#{self.code}"

    def to_json(self) -> Mapping[str, str]:
        known = {"category": self.category, "code": self.code, "mark": self.mark.value, "message": self.said}
        return {**known, **({"fix": self.fix, "link": self.link} if self.mark is not Mark.OK else {})}


def worst(checks: Iterable[Check]) -> Mark:
    """ERROR, else WARNING, else OK: what can't be told isn't held against anybody."""
    marks = {each.mark for each in checks}
    return next((mark for mark in (Mark.ERROR, Mark.WARNING) if mark in marks), Mark.OK)


class Category:
    """Makes the checks of one category, so that each says its name once."""

    def __init__(self, name: str) -> None:
        self.name = name

    def ok(self, code: str, said: str) -> Check:
        return Check(self.name, code, Mark.OK, said)

    def warning(self, code: str, said: str, fix: str) -> Check:
        return Check(self.name, code, Mark.WARNING, said, fix)

    def error(self, code: str, said: str, fix: str) -> Check:
        return Check(self.name, code, Mark.ERROR, said, fix)

    def skipped(self, code: str, said: str, fix: str) -> Check:
        return Check(self.name, code, Mark.SKIPPED, said, fix)
