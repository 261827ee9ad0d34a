"""The YAML that people write by hand into an annotation, read strictly and with the standard library alone.

Block and flow lists and mappings, texts on one line, comments. The rule: what this accepts means the same to every
YAML reader that takes it, old (1.1) or new (1.2); everything else is refused with line, column and what to write
instead. So there are no anchors, tags, block scalars, documents or texts over several lines, and `yes`, `0123`,
`1:30` and dates must be quoted.
"""

from __future__ import annotations

from podhooks.annotations.yaml_scalars import Scanner, YamlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from podhooks.context import Json

__all__ = ["YamlError", "loads"]

MAX_DEPTH = 32  # of lists and mappings in each other


def loads(text: str) -> Json:
    """The value of a YAML text; None where there is nothing but comments. Raises YamlError."""
    reader = _BlockReader(text.replace("\r\n", "\n"))
    reader.check_characters()
    reader.skip()
    value = reader.node(0) if reader.char else None
    reader.skip()
    if reader.char:
        reader.fail("this doesn't belong to what stands above it: check the indentation, or write JSON instead")
    return value


class _FlowReader(Scanner):
    """`[a, b]` and `{a: b}`, over as many lines as they like."""

    def flow(self, depth: int) -> Json:
        """The list or mapping that opens here."""
        if depth > MAX_DEPTH:
            self.fail(f"lists and mappings are in each other more than {MAX_DEPTH} deep: make it flatter")
        return self.flow_list(depth) if self.char == "[" else self.flow_mapping(depth)

    def flow_list(self, depth: int) -> list[Json]:
        items: list[Json] = []
        start = self.open()
        while self.char != "]":
            items.append(self.flow_value(depth))
            self.separator(start, "]")
        self.at += 1
        return items

    def flow_mapping(self, depth: int) -> dict[str, Json]:
        mapping: dict[str, Json] = {}
        start = self.open()
        while self.char != "}":
            key = self.add_key(mapping, in_flow=True)
            self.skip()
            if self.char not in (",", "}"):
                mapping[key] = self.flow_value(depth)
            self.separator(start, "}")
        self.at += 1
        return mapping

    def open(self) -> int:
        start = self.at
        self.at += 1
        self.skip()
        if not self.char:
            self.fail("this isn't closed: close it", start)
        return start

    def flow_value(self, depth: int) -> Json:
        return self.flow(depth + 1) if self.char in ("[", "{") else self.scalar(in_flow=True)

    def separator(self, start: int, close: str) -> None:
        self.skip()
        comma = self.char == ","
        if comma:
            self.at += 1
            self.skip()
        if not self.char:
            self.fail(f"this isn't closed: write {close} at its end", start)
        if not comma and self.char != close:
            self.fail(f"a comma or {close} belongs here: quote a text that has a colon and a blank in it")


class _BlockReader(_FlowReader):
    """Lists with dashes and mappings, told from each other by their columns."""

    def starts_entry(self) -> bool:
        return self.char == "-" and self.blank(1)

    def node(self, depth: int) -> Json:
        """What begins here, whatever it is."""
        if depth > MAX_DEPTH:
            self.fail(f"lists and mappings are in each other more than {MAX_DEPTH} deep: make it flatter")
        if self.starts_entry():
            return self.block_list(self.column, depth)
        if self.char in "[{":
            return self.alone(self.flow(depth))
        start = self.at
        value = self.scalar(in_flow=False)
        self.blanks()
        if self.char == ":":
            self.at = start
            return self.block_mapping(self.column, depth)
        return self.alone(value)

    def alone(self, value: Json) -> Json:
        """`value`, if nothing but a comment is behind it on its line."""
        self.blanks()
        if self.char in ("", "\n") or (self.char == "#" and self.text[self.at - 1] == " "):
            return value
        self.fail("nothing can stand here: quote a text that has a colon and a blank in it, or write JSON instead")

    def block_list(self, column: int, depth: int) -> list[Json]:
        items: list[Json] = []
        while self.starts_entry() and self.column == column:
            self.at += 1
            self.skip()
            items.append(self.node(depth + 1) if self.char and self.column > column else None)
            self.skip()
        self.check_indentation(column)
        return items

    def block_mapping(self, column: int, depth: int) -> dict[str, Json]:
        mapping: dict[str, Json] = {}
        while self.char and not self.starts_entry() and self.column == column:
            key = self.add_key(mapping, in_flow=False)
            mapping[key] = self.behind_colon(column, depth)
            self.skip()
        self.check_indentation(column)
        return mapping

    def behind_colon(self, column: int, depth: int) -> Json:
        """A value on the key's line or below it: null where neither is."""
        end = self.line_end()
        self.skip()
        if not self.char:
            return None
        if self.at > end:
            inside = self.column > column or (self.column == column and self.starts_entry())
            return self.node(depth + 1) if inside else None
        if self.starts_entry():
            self.fail("a list can't begin behind a key: begin it on the next line, or write [a, b]")
        return self.alone(self.flow(depth + 1) if self.char in "[{" else self.scalar(in_flow=False))

    def check_indentation(self, column: int) -> None:
        if self.char and self.column > column:
            self.fail("this is indented more than what it follows: check the indentation, or write JSON instead")
