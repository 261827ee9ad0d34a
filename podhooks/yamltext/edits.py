"""Edits of a text, and places in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from podhooks.yamltext.nodes import ALIAS, SCALAR, Node
from podhooks.yamltext.shapes import Json

NOTHING = re.compile(r"(?:\s+|(?<=\s)#[^\n]*|(?<=[\[{,])#[^\n]*)*")  # blanks, line breaks and comments
REST_OF_LINE = re.compile(r"[ \t]*(?:(?<=[ \t])#[^\n]*)?\r?(?=\n|\Z)")
BLANKS = re.compile(r"[ \t]*")


class Unspliceable(Exception):
    """This document can't be changed line by line."""


class Edits:
    """Of one text: from where, to where, and what comes there instead."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.newline = "\r\n" if "\r\n" in text else "\n"
        self.found: list[tuple[int, int, str]] = []

    def add(self, start: int, stop: int, replacement: str) -> None:
        self.found.append((start, stop, replacement))

    def result(self) -> str:
        parts, position = [], 0
        for start, stop, replacement in sorted(self.found, key=lambda edit: edit[:2]):
            parts += [self.text[position:start], replacement]
            position = stop
        text = "".join([*parts, self.text[position:]])
        return text if self.text.endswith("\n") else text.removesuffix(self.newline)

    def line_start(self, index: int) -> int:
        return self.text.rfind("\n", 0, index) + 1

    def line_end(self, index: int) -> int:
        """Behind the line break of the line that `index` is in, or the text's end. A line break belongs to the line
        that it ends; right behind one (where a `|+` text ends) nothing of the next line is."""
        if index and self.text[index - 1] == "\n":
            return index
        found = self.text.find("\n", index)
        return len(self.text) if found < 0 else found + 1

    def is_first_on_line(self, index: int) -> bool:
        return not self.text[self.line_start(index) : index].strip(" ")

    def indent_of_line(self, index: int) -> int:
        start = self.line_start(index)
        return len(BLANKS.match(self.text, start)[0])  # type: ignore[index]

    def ends_line(self, index: int) -> bool:
        """Whether nothing but a comment follows on the line."""
        return REST_OF_LINE.match(self.text, index) is not None

    def skip(self, index: int) -> int:
        """Behind blanks, line breaks and comments."""
        found = NOTHING.match(self.text, index)
        return found.end() if found else index

    def remove_lines(self, start: int, end: int) -> None:
        """The whole lines from the one that begins at `start` to the one that `end` is in."""
        self.add(start, self.line_end(end), "")

    def insert_lines(self, after: int, lines: Sequence[str], column: int) -> None:
        """Behind the line in which `after` is."""
        at = self.line_end(after)
        text = self.newline.join(" " * column + line for line in lines)
        unfinished = at == len(self.text) and not self.text.endswith("\n")
        self.add(at, at, self.newline + text if unfinished else text + self.newline)

    def end(self, key: Node | None, node: Node) -> int:
        """Behind the last character of an entry; comments and blank lines that follow don't belong to it."""
        while node.block:
            key, node = node.entries[-1] if node.entries else (None, node.items[-1])
        if node.kind is ALIAS or node.flow or node.style in ("'", '"') or node.text:
            return self._scalar_end(node)
        return max(node.end, self.colon(key) + 1 if key is not None and self.has_colon(key) else 0)

    def _scalar_end(self, node: Node) -> int:
        if node.kind is not SCALAR or node.style not in ("|", ">"):
            return node.end
        header = self.text[node.start : self.line_end(node.start)]
        trailing = self.text[node.start : node.end]
        stripped = trailing.rstrip("\r\n")
        if "+" in header.partition("#")[0] or stripped.endswith((" ", "\t")):
            return node.end  # blank lines are part of the text
        return node.start + len(stripped)

    def has_colon(self, key: Node) -> bool:
        return self.text.startswith(":", self.skip(key.end))

    def colon(self, key: Node) -> int:
        """Where the `:` behind a key is."""
        index = self.skip(key.end)
        if not self.text.startswith(":", index):
            raise Unspliceable("a key without a colon")
        return index


def aligned(old: list[Json], new: list[Json]) -> dict[int, int] | None:
    """Which entry of `old` each kept entry of `new` was: by name; or as they are, where some were only put in or only
    taken out; or one by one. None where they can't be told, or changed places."""
    if all(isinstance(each, Mapping) and isinstance(each.get("name"), str) for each in (*old, *new)):
        before = {each["name"]: index for index, each in enumerate(old)}
        pairs = {index: before[each["name"]] for index, each in enumerate(new) if each["name"] in before}
        unique = len(before) == len(old) and len(set(pairs.values())) == len(pairs)
        if unique and list(pairs.values()) == sorted(pairs.values()) and pairs:
            return pairs
    if len(new) >= len(old):
        kept = _kept(old, new)
        if kept is not None:
            return {index: number for number, index in enumerate(kept)}
    else:
        kept = _kept(new, old)
        if kept is not None:
            return dict(enumerate(kept))
    return {index: index for index in range(len(old))} if len(old) == len(new) else None


def _kept(few: list[Json], many: list[Json]) -> list[int] | None:
    """Where in `many` each entry of `few` is, in its order; None if one isn't."""
    found: list[int] = []
    start = 0
    for each in few:
        index = next((number for number in range(start, len(many)) if many[number] == each), None)
        if index is None:
            return None
        found.append(index)
        start = index + 1
    return found
