"""Changes a YAML text where the value behind it changed, and nowhere else: comments, quotes, order and blank lines of
all other lines stay byte for byte.

Taking out what was put in gives back the very same text. A value that makes room for others is kept in a comment,
`env: # was *common`, unless its letters are the ones that would be written anyway. Where a place can't be edited so,
the smallest block around it is written anew; where even that would change something else (an anchor's node),
`Unspliceable` is raised and the whole document has to be.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from podhooks.errors import ManifestError
from podhooks.yamltext import emit
from podhooks.yamltext.brackets import BracketSplicer
from podhooks.yamltext.edits import BLANKS, Edits, Unspliceable, aligned
from podhooks.yamltext.nodes import ALIAS, MAPPING, SCALAR, SEQUENCE, Node, body
from podhooks.yamltext.scalars import written
from podhooks.yamltext.shapes import Json
from podhooks.yamltext.values import Construction

SEQUENCE_INDENT = 2  # where a document has no list to go by
KEPT = r"(?:[&!][^\s#]*[ ]+)*(?:~|[nN]ull|NULL|\[ *\]|\{ *\}|\*[^\s#]+|<<)"
WAS = re.compile(rf" # was([ \t]+)({KEPT})(?=\s|\Z)")
REPLACED = re.compile(KEPT)
MERGED = " # was <<"
BEFORE_DASH = re.compile(r"(?:\s+|#[^\n]*|[&!]\S*)*")


class Splicer:
    """The edits of one text, document by document."""

    def __init__(self, text: str, *, json: bool = False) -> None:
        self.edits = Edits(text)
        self.text = text
        self.has_written_out = " # was *" in text
        self.sequence_indent = SEQUENCE_INDENT
        self.construction = Construction("")
        self.brackets = BracketSplicer(self.edits, self.construction, emit.Brackets(json=json))
        self.root: Node | None = None
        self.touched: dict[Node, Json] = {}  # nodes with an anchor, and what they mean from now on

    def document(self, root: Node, old: Json, new: Json) -> bool:
        """Turn the document `root`, which means `old`, into one that means `new`. False if it can't be."""
        before = len(self.edits.found)
        self.root = root
        self.touched = {}
        self.sequence_indent = self._sequence_indent(root)
        if root.kind is not MAPPING or not root.entries or not new:
            return False
        try:
            if root.flow:
                self.brackets.change(root, old, new)
            else:
                self._mapping(root, old, new)
            if self.touched or self.has_written_out:
                self._settle(root, old, new)
        except (Unspliceable, ManifestError):
            del self.edits.found[before:]
            return False
        return True

    def rewrite(self, root: Node, new: Json) -> None:
        """The whole document. Its aliases become what they stand for, and its comments are lost."""
        end = root.start + len(self.text[root.start : self.edits.end(None, root)].rstrip())
        lines = emit.document_lines(new, self._sequence_indent(root))
        column = self.edits.newline + " " * root.column
        self.edits.add(root.start, end, column.join(lines))

    def result(self) -> str:
        return self.edits.result()

    def _mapping(self, node: Node, old: Mapping[str, Json], new: Mapping[str, Json]) -> None:
        self._touch(node, new)
        entries = {self.construction.key(key): (key, value) for key, value in node.entries if not key.is_merge}
        added = []
        for name, value in old.items():
            if name in new and new[name] == value:
                continue
            if name not in entries:
                added += emit.entry(name, new[name], self.sequence_indent) if name in new else _unspliceable()
                added[0] += MERGED
            elif name not in new or self._was_merged(node, entries[name][0], name, new[name]):
                self._remove(*entries[name])
            else:
                self._change(*entries[name], value, new[name])
        for name in new:
            if name not in old:
                added += emit.entry(name, new[name], self.sequence_indent)
        if added:
            last = node.entries[-1]
            self.edits.insert_lines(self.edits.end(*last), added, node.entries[0][0].column)

    def _change(self, key: Node, place: Node, old: Json, new: Json) -> None:
        if place.kind is ALIAS or (not old and not place.aliased and isinstance(new, (dict, list)) and new):
            self._fill(key, place, new)
            return
        self._touch(place, new)
        if place.flow and type(new) is (dict if place.kind is MAPPING else list):
            self.brackets.change(place, old, new)
        elif place.kind is MAPPING and place.block and new and isinstance(new, dict):
            self._mapping(place, old, new)
        elif place.kind is MAPPING and place.block and not new and new in (None, {}):
            self._empty_mapping(key, place, new)
        elif place.kind is SEQUENCE and place.block and (new is None or isinstance(new, list)):
            self._sequence(key, place, old, new)
        elif place.kind is SCALAR and place.style not in ("|", ">") and not isinstance(new, (dict, list)):
            self._scalar(key, place, old, new)
        else:
            self._rewrite(key, place, new)

    def _scalar(self, key: Node, place: Node, old: Json, new: Json) -> None:
        was = WAS.match(self.text, place.end)
        if new is None:
            self.edits.add(self.edits.colon(key) + 1, was.end() if was else place.end, was[1] + was[2] if was else "")
        elif old is None:
            colon, letters = self.edits.colon(key), self.text[place.start : place.end]
            kept = f" # was{self.text[colon + 1 : place.start]}{letters}" if letters else ""
            self.edits.add(colon + 1, place.end, f" {written(new)}{kept}")
        else:
            self.edits.add(body(self.text, place), place.end, written(new))

    def _settle(self, node: Node, old: Json, new: Json) -> None:
        """Where the value stayed and yet the letters have to change: an alias of a node that means something else now
        is written out, and one that was written out is put back when the node means the same again."""
        if node.kind is SEQUENCE and node.block and isinstance(new, list):
            for after, before in (aligned(old, new) or {}).items():
                self._settle(node.items[before], old[before], new[after])
        if node.kind is not MAPPING or not node.block or not isinstance(new, dict):
            return
        for key, value in node.entries:
            name = "" if key.is_merge else self.construction.key(key)
            if name not in new or name not in old:
                continue
            if value.kind is ALIAS or old[name] != new[name]:
                target = self.touched.get(value.meant, new[name])
                if value.kind is ALIAS and old[name] == new[name] != target:
                    self._fill(key, value, new[name])
                else:
                    self._settle(value, old[name], new[name])
            elif value.kind is SEQUENCE and value.block:
                was = WAS.match(self.text, self.edits.colon(key) + 1)
                if was and was[2].startswith("*") and self._anchored(was[2][1:], value) == new[name]:
                    self._empty(key, value, [], was)
                else:
                    self._settle(value, old[name], new[name])
            else:
                self._settle(value, old[name], new[name])

    def _sequence(self, key: Node, node: Node, old: list[Json], new: list[Json] | None) -> None:
        was = WAS.match(self.text, self.edits.colon(key) + 1)
        if not new or (was and was[2].startswith("*") and self._anchored(was[2][1:], node) == new):
            self._empty(key, node, new, was)
            return
        pairs = aligned(old, new)
        if pairs is None:
            self._rewrite(key, node, new)
            return
        self._remove_items(node, set(range(len(old))) - set(pairs.values()))
        column = self._column(node)
        after = self.edits.colon(key)
        for index, value in enumerate(new):
            if index not in pairs:
                self.edits.insert_lines(after, emit.item(value, self.sequence_indent), column)
                continue
            place = node.items[pairs[index]]
            if value != old[pairs[index]]:
                self._change_item(place, old[pairs[index]], value)
            after = self.edits.end(None, place)

    def _change_item(self, place: Node, old: Json, new: Json) -> None:
        if place.kind is not MAPPING or not isinstance(new, dict):
            raise Unspliceable("an entry that is no mapping")
        if place.flow:
            self.brackets.change(place, old, new)
        else:
            self._mapping(place, old, new)

    def _fill(self, key: Node, place: Node, new: Json) -> None:
        """Lines below the key, in the place of an alias, an empty list or a null."""
        colon = self.edits.colon(key)
        blanks, letters = self.text[colon + 1 : place.start], self.text[place.start : place.end]
        if blanks.strip(" \t") or not (REPLACED.fullmatch(letters) or not letters):
            if place.flow and not place.aliased:
                self.brackets.change(place, None, new)
            else:
                self._rewrite(key, place, new)
            return
        usual = not letters or (blanks, letters) == (" ", "[]" if isinstance(new, list) else "{}")
        if letters:
            self.edits.add(colon + 1, place.end, "" if usual else f" # was{blanks}{letters}")
        self.edits.insert_lines(place.end, self._below(new), self._below_column(key, new))

    def _below(self, new: Json) -> list[str]:
        if isinstance(new, list):
            return emit.list_lines(new, self.sequence_indent)
        return emit.mapping_lines(new, self.sequence_indent)

    def _below_column(self, key: Node, new: Json) -> int:
        return key.column + (self.sequence_indent if isinstance(new, list) else emit.STEP)

    def _empty(self, key: Node, node: Node, new: list[Json] | None, was: re.Match[str] | None) -> None:
        """The opposite of `_fill`."""
        self._remove_items(node, set(range(len(node.items))))
        colon = self.edits.colon(key)
        if was:
            self.edits.add(was.start(), was.end(), was[1] + was[2])
        elif new is not None:
            self.edits.add(colon + 1, colon + 1, " []")

    def _empty_mapping(self, key: Node, node: Node, new: Mapping[str, Json] | None) -> None:
        """The opposite of `_fill` for a mapping: its lines go, and the key keeps the letters that it had before."""
        was = WAS.match(self.text, self.edits.colon(key) + 1)
        for entry in node.entries:
            self._remove(*entry)
        if was:
            self.edits.add(was.start(), was.end(), was[1] + was[2])
        elif new is not None:
            colon = self.edits.colon(key)
            self.edits.add(colon + 1, colon + 1, " {}")

    def _anchored(self, name: str, before: Node) -> Json:
        """The value of the last node with this anchor in front of a place; what equals nothing if there is none."""
        found: Node | None = None
        waiting = [self.root] if self.root else []
        while waiting:
            node = waiting.pop()
            head = self.text[node.start : body(self.text, node)].split()
            if f"&{name}" in head and node.start < before.start and (found is None or node.start > found.start):
                found = node
            waiting += node.items
            waiting += [each for entry in node.entries for each in entry]
        if found is None:
            return object()
        return self.touched[found] if found in self.touched else self.construction.value(found)

    def _was_merged(self, node: Node, key: Node, name: str, new: Json) -> bool:
        """Whether an entry stands there instead of the same one that `<<` gives."""
        if not self.text.startswith(MERGED, self.edits.colon(key) + 1):
            return False
        merged: dict[str, Json] = {}
        for each, value in node.entries:
            if each.is_merge:
                merged.update(self.construction.merged(value))
        return name in merged and bool(merged[name] == new)

    def _remove(self, key: Node, place: Node) -> None:
        start = self.edits.line_start(key.start)
        if self.text[start : key.start].strip(" "):
            raise Unspliceable("a key behind a dash")
        self.edits.remove_lines(start, self.edits.end(key, place))

    def _remove_items(self, node: Node, numbers: set[int]) -> None:
        for number in sorted(numbers):
            dash = self._dash(node, number)
            if not self.edits.is_first_on_line(dash):
                raise Unspliceable("a dash behind something else")
            self.edits.remove_lines(self.edits.line_start(dash), self.edits.end(None, node.items[number]))

    def _dash(self, node: Node, number: int) -> int:
        """Where an entry's dash is; it may have a line for itself."""
        after = self.edits.end(None, node.items[number - 1]) if number else node.start
        found = BEFORE_DASH.match(self.text, after)
        index = found.end() if found else after
        if not self.text.startswith("-", index):
            raise Unspliceable("an entry without a dash")
        return index

    def _column(self, node: Node) -> int:
        dash = self._dash(node, 0)
        return dash - self.edits.line_start(dash)

    def _rewrite(self, key: Node, place: Node, new: Json) -> None:
        """The whole entry, from behind its key."""
        if key.aliased:
            raise Unspliceable("a key with an anchor")
        lines = emit.entry("key", new, self.sequence_indent)
        head, column = lines[0].removeprefix("key"), key.column
        rest = [self.edits.newline + " " * column + line for line in lines[1:]]
        self.edits.add(key.end, self.edits.end(key, place), head + "".join(rest))

    def _sequence_indent(self, root: Node) -> int:
        """How far the dashes of this document's first list stand behind their key."""
        waiting = [root]
        while waiting:
            node = waiting.pop(0)
            for key, value in node.entries if node.block else []:
                if value.kind is SEQUENCE and value.block:
                    start = self.edits.line_start(value.items[0].start)
                    dash = len(BLANKS.match(self.text, start)[0])  # type: ignore[index]
                    if self.text.startswith("-", start + dash) and dash >= key.column:
                        return dash - key.column
            waiting += [value for _, value in node.entries] if node.entries else node.items
        return SEQUENCE_INDENT

    def _touch(self, node: Node, new: Json) -> None:
        if node.kind is ALIAS:
            raise Unspliceable("an alias")
        if self.text.startswith("&", node.start):
            self.touched[node] = new


def _unspliceable() -> list[str]:
    raise Unspliceable("a merged key")
