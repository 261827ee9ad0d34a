"""Changes inside of brackets: flow style, KYAML and JSON.

An entry that has its lines for itself comes and goes with these lines. Any other is put in behind the end of the one
before it (`, new`), and taken out from there; so taking out what was put in gives the very same text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from podhooks.yamltext.edits import Edits, Unspliceable, aligned
from podhooks.yamltext.emit import STEP, Brackets
from podhooks.yamltext.nodes import ALIAS, MAPPING, SCALAR, SEQUENCE, Node, body
from podhooks.yamltext.shapes import Json
from podhooks.yamltext.values import Construction

Slot = tuple[Node, Node]  # an entry's first node and its last one: key and value, or twice the same


class BracketSplicer:
    """Changes one collection in brackets, with all that is in it."""

    def __init__(self, edits: Edits, construction: Construction, usual: Brackets) -> None:
        self.edits = edits
        self.construction = construction
        self.usual = usual

    def change(self, place: Node, old: Json, new: Json) -> None:
        """`place` stands for `old` and is to stand for `new`, which is something of the same kind, or empty."""
        if place.kind is ALIAS:
            raise Unspliceable("an alias")
        if place.kind is MAPPING and isinstance(new, Mapping) and _has_kept(old, new):
            self._mapping(place, old or {}, new)
        elif place.kind is SEQUENCE and isinstance(new, list) and _has_kept(old, new):
            self._sequence(place, old or [], new)
        elif not place.is_empty or place.start < place.end:
            self.edits.add(body(self.edits.text, place), place.end, self._style(place).line(new))
        else:
            raise Unspliceable("an entry without a value")

    def _mapping(self, place: Node, old: Mapping[str, Json], new: Mapping[str, Json]) -> None:
        entries = {self.construction.key(key): (key, value) for key, value in place.entries if not key.is_merge}
        removed = set()
        for name, value in old.items():
            if name in new and new[name] == value:
                continue
            if name not in entries:
                raise Unspliceable("a merged key")
            if name in new:
                self.change(entries[name][1], value, new[name])
            else:
                removed.add(id(entries[name][0]))
        slots = list(place.entries)
        added = [name for name in new if name not in old]
        self._remove(slots, [number for number, each in enumerate(slots) if id(each[0]) in removed])
        style = self._style(place)
        self._insert(
            place, slots, len(slots) - 1, [self._entry(place, style, name, new[name]) for name in added], closing="}"
        )

    def _sequence(self, place: Node, old: list[Json], new: list[Json]) -> None:
        pairs = (aligned(old, new) or {}) if old and new else {}
        slots: list[Slot] = [(each, each) for each in place.items]
        kept = set(pairs.values())
        self._remove(slots, [number for number in range(len(slots)) if number not in kept])
        style, waiting, previous = self._style(place), [], -1
        for index, value in enumerate(new):
            if index not in pairs:
                waiting.append(self._lines(place, style, value))
                continue
            self._insert(place, slots, previous, waiting, closing="]")
            waiting, previous = [], pairs[index]
            if value != old[previous]:
                self.change(place.items[previous], old[previous], value)
        self._insert(place, slots, previous, waiting, closing="]")

    def _style(self, place: Node) -> Brackets:
        """By the first mapping that there is, in it or around it."""
        if self.usual.json:
            return self.usual
        sample = place if place.kind is MAPPING else next((each for each in place.items if each.entries), None)
        if sample is None or not sample.entries:
            return self.usual
        texts = [value for _, value in sample.entries if value.kind is SCALAR]
        return Brackets(
            quoted_keys=sample.entries[0][0].style == '"',
            quoted_texts=any(value.style == '"' for value in texts) and all(value.style for value in texts),
        )

    def _entry(self, place: Node, style: Brackets, key: str, value: Json) -> list[str]:
        return style.entry(key, value) if self._is_tall(place) else [f"{style.key(key)}: {style.line(value)}"]

    def _lines(self, place: Node, style: Brackets, value: Json) -> list[str]:
        return style.lines(value) if self._is_tall(place) else [style.line(value)]

    def _is_tall(self, place: Node) -> bool:
        return "\n" in self.edits.text[place.start : place.end]

    def _start(self, slot: Slot) -> int:
        return slot[0].start

    def _end(self, slot: Slot) -> int:
        return max(slot[0].end, slot[1].end)

    def _comma(self, slot: Slot) -> int | None:
        """Where the comma behind an entry is."""
        index = self.edits.skip(self._end(slot))
        return index if self.edits.text.startswith(",", index) else None

    def _behind(self, slot: Slot) -> int:
        comma = self._comma(slot)
        return self._end(slot) if comma is None else comma + 1

    def _remove(self, slots: Sequence[Slot], numbers: list[int]) -> None:
        """Runs of neighbours together."""
        while numbers:
            run = [numbers.pop(0)]
            while numbers and numbers[0] == run[-1] + 1:
                run.append(numbers.pop(0))
            self._remove_run(slots, run[0], run[-1])

    def _remove_run(self, slots: Sequence[Slot], first: int, last: int) -> None:
        edits, start = self.edits, self._start(slots[first])
        alone = edits.is_first_on_line(start) and edits.ends_line(self._behind(slots[last]))
        is_last = last == len(slots) - 1
        if alone:
            edits.remove_lines(edits.line_start(start), self._behind(slots[last]))
            comma = self._comma(slots[first - 1]) if first else None
            if is_last and comma is not None and self._comma(slots[last]) is None:
                edits.add(comma, comma + 1, "")
        elif first:
            edits.add(self._end(slots[first - 1]), self._end(slots[last]), "")
        elif not is_last:
            edits.add(start, self._start(slots[last + 1]), "")
        else:
            edits.add(start, self._behind(slots[last]), "")

    def _insert(
        self, place: Node, slots: Sequence[Slot], previous: int, entries: list[list[str]], *, closing: str
    ) -> None:
        """Behind the entry that is number `previous`, -1 for the beginning."""
        if not entries:
            return
        if self.edits.text[place.end - 1] != closing:
            raise Unspliceable("a mapping without braces")
        bracket = body(self.edits.text, place) + 1
        behind = self._behind(slots[previous]) if previous >= 0 else bracket
        if self.edits.ends_line(behind):
            self._insert_lines(place, slots, previous, behind, entries)
        else:
            self._insert_inline(place, slots, previous, entries)

    def _insert_lines(
        self, place: Node, slots: Sequence[Slot], previous: int, behind: int, entries: list[list[str]]
    ) -> None:
        edits = self.edits
        last_without_comma = previous == len(slots) - 1 and (previous < 0 or self._comma(slots[previous]) is None)
        if last_without_comma and previous >= 0:
            edits.add(self._end(slots[previous]), self._end(slots[previous]), ",")
        commas = ["," for _ in entries]
        commas[-1] = "" if last_without_comma else ","
        lines = [line for each, comma in zip(entries, commas, strict=True) for line in [*each[:-1], each[-1] + comma]]
        edits.insert_lines(behind, lines, self._column(place, slots, previous))

    def _column(self, place: Node, slots: Sequence[Slot], previous: int) -> int:
        neighbour = slots[max(previous, 0)][0] if slots else None
        if neighbour is not None and self.edits.is_first_on_line(neighbour.start):
            return neighbour.column
        return self.edits.indent_of_line(place.start) + STEP

    def _insert_inline(self, place: Node, slots: Sequence[Slot], previous: int, entries: list[list[str]]) -> None:
        edits = self.edits
        if previous >= 0:
            at, head, tail = self._end(slots[previous]), ", ", ""
        elif slots:
            at, head, tail = self._start(slots[0]), "", ", "
        else:
            at, head, tail = body(edits.text, place) + 1, "", ""
        first_of_line = slots[previous][0].start if previous >= 0 else place.start
        indent = edits.newline + " " * edits.indent_of_line(first_of_line)
        edits.add(at, at, head + ", ".join(indent.join(each) for each in entries) + tail)


def _has_kept(old: Json, new: Mapping[str, Json] | list[Json]) -> bool:
    """Whether there is an entry to go by; to an empty collection, or from one, there needn't be."""
    if not old or not new:
        return True
    return bool(aligned(old, new)) if isinstance(new, list) else any(name in old for name in new)
