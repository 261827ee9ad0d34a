"""Changes a YAML text where the value behind it changed, and nowhere else: comments, quotes, order and blank lines of
all other lines stay byte for byte.

Only lines are put in and taken out, so that taking out what was put in gives back the very same text. Where a place
can't be edited so (a flow mapping, a key with an anchor), the smallest block around it is written anew; where even
that would change something else (aliases), `Unspliceable` is raised and the whole document has to be.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from podhooks.cli import emit
from podhooks.cli.scalars import written
from podhooks.cli.yaml_nodes import Node, key_text
from podhooks.inject.shapes import Json

DASH = re.compile(r"( *)-[ ]+")
ALIAS = re.compile(r"\s*:\s*\*[^\s,\]}]+")  # from behind the key
SEQUENCE_INDENT = 2  # where a document has no list to go by


class Unspliceable(Exception):
    """This document can't be changed line by line."""


class Splicer:
    """Collects the edits of one text: from where, to where, and what comes there instead."""

    def __init__(self, text: str, shared: frozenset[Node]) -> None:
        self.text = text
        self.shared = shared
        self.newline = "\r\n" if "\r\n" in text else "\n"
        self.edits: list[tuple[int, int, str]] = []
        self.sequence_indent = SEQUENCE_INDENT

    def document(self, root: Node, old: Json, new: Json) -> bool:
        """Turn the document `root`, which means `old`, into one that means `new`. False if it can't be."""
        before = len(self.edits)
        self.sequence_indent = self._sequence_indent(root)
        if root.kind != "mapping" or not root.block or not new:
            return False
        try:
            self._mapping(root, old, new)
        except Unspliceable:
            del self.edits[before:]
            return False
        return True

    def rewrite(self, root: Node, new: Json) -> None:
        """The whole document. Its aliases become what they stand for, and its comments are lost."""
        start, end = root.start, root.end
        lines = emit.document_lines(new, self._sequence_indent(root))
        self.edits.append((start, start + len(self.text[start:end].rstrip()), self.newline.join(lines)))

    def result(self) -> str:
        parts, position = [], 0
        for start, stop, replacement in sorted(self.edits, key=lambda edit: edit[0]):
            parts += [self.text[position:start], replacement]
            position = stop
        text = "".join([*parts, self.text[position:]])
        return text if self.text.endswith("\n") else text.removesuffix(self.newline)

    def _mapping(self, node: Node, old: Mapping[str, Json], new: Mapping[str, Json]) -> None:
        self._own(node)
        entries = {key_text(key): (key, value) for key, value in node.entries if not key.is_merge}
        for name, value in old.items():
            if name in new and new[name] == value:
                continue
            if name not in entries:
                raise Unspliceable("a merged key")
            key, place = entries[name]
            if name not in new:
                self._remove_lines(self._line_of_key(key), self._end(key, place))
            else:
                self._change(key, place, value, new[name])
        column = node.entries[0][0].column
        added = [name for name in new if name not in old]
        lines = [line for name in added for line in emit.entry(name, new[name], self.sequence_indent)]
        if lines:
            self._insert_lines(self._end(*node.entries[-1]), lines, column)

    def _change(self, key: Node, place: Node, old: Json, new: Json) -> None:
        self._own(place)
        if place.kind == "mapping" and place.block and new and isinstance(new, Mapping):
            self._mapping(place, old, new)
        elif place.kind == "sequence" and place.block and new and isinstance(new, list):
            self._sequence(key, place, old, new)
        elif place.text and place.style not in ("|", ">") and not isinstance(new, (dict, list)):
            self.edits.append((place.start, place.end, written(new)))
        else:
            self._rewrite(key, place, new)

    def _sequence(self, key: Node, node: Node, old: list[Json], new: list[Json]) -> None:
        pairs = aligned(old, new)
        if pairs is None:
            self._rewrite(key, node, new)
            return
        column = self._dash(node.items[0])
        for each, place in enumerate(node.items):
            if each not in pairs.values():
                self._remove_lines(self._line_start(self._dash_index(place)), self._end(None, place))
        after = key.end
        for index, value in enumerate(new):
            if index not in pairs:
                self._insert_lines(after, emit.item(value, self.sequence_indent), column)
                continue
            place = node.items[pairs[index]]
            if value != old[pairs[index]]:
                if place.kind != "mapping" or not place.block:
                    raise Unspliceable("an entry in flow style")
                self._mapping(place, old[pairs[index]], value)
            after = self._end(None, place)

    def _rewrite(self, key: Node, place: Node, new: Json) -> None:
        """The whole entry, from behind its key."""
        self._own(key)
        lines = emit.entry("key", new, self.sequence_indent)
        head, column = lines[0].removeprefix("key"), key.column
        rest = [self.newline + " " * column + line for line in lines[1:]]
        self.edits.append((key.end, self._end(key, place), head + "".join(rest)))

    def _sequence_indent(self, root: Node) -> int:
        """How far the dashes of this document's first list stand behind their key."""
        waiting = [root]
        while waiting:
            node = waiting.pop(0)
            for key, value in node.entries if node.block else []:
                dash = DASH.match(self.text, self._line_start(value.items[0].start)) if value.items else None
                if value.block and dash and len(dash[1]) >= key.column:
                    return len(dash[1]) - key.column
            waiting += node.children
        return SEQUENCE_INDENT

    def _own(self, node: Node) -> None:
        if node in self.shared:
            raise Unspliceable("an alias")

    def _end(self, key: Node | None, node: Node) -> int:
        """Behind the last character of an entry; comments and blank lines that follow don't belong to it."""
        if node in self.shared:
            alias = ALIAS.match(self.text, key.end) if key is not None else None
            if alias:
                return alias.end()
            if key is None:
                raise Unspliceable("an alias in a list")
        if node.block:
            return self._end(*node.entries[-1]) if node.entries else self._end(None, node.items[-1])
        if key is not None and node.kind == "scalar" and node.style is None and not node.text:
            return self.text.index(":", key.end) + 1  # a null of no letters begins where the next thing does
        return node.start + len(self.text[node.start : node.end].rstrip())

    def _dash_index(self, place: Node) -> int:
        start = self._line_start(place.start)
        if not DASH.fullmatch(self.text[start : place.start]):
            raise Unspliceable("an entry that doesn't stand behind its dash")
        return self.text.index("-", start)

    def _dash(self, place: Node) -> int:
        index = self._dash_index(place)
        return index - self._line_start(index)

    def _line_start(self, index: int) -> int:
        return self.text.rfind("\n", 0, index) + 1

    def _line_of_key(self, key: Node) -> int:
        start = self._line_start(key.start)
        if self.text[start : key.start].strip(" "):
            raise Unspliceable("a key behind a dash")
        return start

    def _line_end(self, index: int) -> int:
        """Behind the line break of the line that `index` is in, or the text's end."""
        found = self.text.find("\n", index)
        return len(self.text) if found < 0 else found + 1

    def _remove_lines(self, start: int, end: int) -> None:
        self.edits.append((start, self._line_end(end), ""))

    def _insert_lines(self, after: int, lines: Sequence[str], column: int) -> None:
        """Behind the line in which `after` is."""
        at = self._line_end(after)
        text = self.newline.join(" " * column + line for line in lines)
        unfinished = at == len(self.text) and not self.text.endswith("\n")
        self.edits.append((at, at, self.newline + text if unfinished else text + self.newline))


def aligned(old: list[Json], new: list[Json]) -> dict[int, int] | None:
    """Which entry of `old` each kept entry of `new` was: by name, or one by one where nothing was added or taken.

    None where they can't be told, or changed places.
    """
    if all(isinstance(each, Mapping) and isinstance(each.get("name"), str) for each in (*old, *new)):
        before = {each["name"]: index for index, each in enumerate(old)}
        pairs = {index: before[each["name"]] for index, each in enumerate(new) if each["name"] in before}
        unique = len(before) == len(old) and len(set(pairs.values())) == len(pairs)
        if unique and list(pairs.values()) == sorted(pairs.values()) and pairs:
            return pairs
    return {index: index for index in range(len(old))} if len(old) == len(new) else None
