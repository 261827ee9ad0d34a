"""Plain values to lines of YAML: for what is put into a manifest, in the manifest's own manner, block or brackets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from podhooks.yamltext.scalars import json_text, quoted, written
from podhooks.yamltext.shapes import Json

STEP = 2


def entry(key: str, value: Json, sequence_indent: int) -> list[str]:
    """The lines of `key: value`. `sequence_indent` is how far a list's dashes stand behind its key, 0 or more."""
    if isinstance(value, Mapping) and value:
        return [f"{written(key)}:", *_indented(mapping_lines(value, sequence_indent), 2)]
    if isinstance(value, list) and value:
        return [f"{written(key)}:", *_indented(list_lines(value, sequence_indent), sequence_indent)]
    if isinstance(value, str) and is_block(value):
        return [f"{written(key)}: |-", *_indented(value.split("\n"), 2)]
    return [f"{written(key)}: {_flat(value)}"]


def mapping_lines(value: Mapping[str, Json], sequence_indent: int) -> list[str]:
    return [line for key, each in value.items() for line in entry(key, each, sequence_indent)]


def list_lines(value: list[Json], sequence_indent: int) -> list[str]:
    return [line for each in value for line in item(each, sequence_indent)]


def item(value: Json, sequence_indent: int) -> list[str]:
    """The lines of one entry of a list, with its dash."""
    if isinstance(value, Mapping) and value:
        lines = mapping_lines(value, sequence_indent)
    elif isinstance(value, list) and value:
        lines = list_lines(value, sequence_indent)
    else:
        lines = [_flat(value)]
    return [f"- {lines[0]}", *_indented(lines[1:], 2)]


def document_lines(value: Json, sequence_indent: int) -> list[str]:
    return mapping_lines(value, sequence_indent) if value else ["{}"]


def is_block(text: str) -> bool:
    """Whether a text of several lines can stand as it is, below `|-`."""
    lines = text.split("\n")
    shown = all(line and line.isprintable() and not line.endswith(" ") for line in lines)
    return len(lines) > 1 and shown and not lines[0].startswith(" ")


@dataclass(frozen=True)
class Brackets:
    """How the collections in brackets around a place are written: JSON; or YAML, with or without quotes."""

    json: bool = False
    quoted_keys: bool = False
    quoted_texts: bool = False

    def key(self, name: str) -> str:
        return self._text(name) if self.json or self.quoted_keys else written(name)

    def scalar(self, value: Json) -> str:
        if self.json or not isinstance(value, str):
            return json_text(value)
        return quoted(value) if self.quoted_texts or self.quoted_keys else written(value)

    def _text(self, value: str) -> str:
        return json_text(value) if self.json else quoted(value)

    def line(self, value: Json) -> str:
        """All of a value on one line."""
        if isinstance(value, Mapping):
            return "{" + ", ".join(f"{self.key(key)}: {self.line(each)}" for key, each in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(map(self.line, value)) + "]"
        return self.scalar(value)

    def lines(self, value: Json) -> list[str]:
        """A mapping on lines of its own, as KYAML has it: `}, {` between the mappings of a list."""
        if isinstance(value, Mapping) and value:
            entries = [self.entry(key, each) for key, each in value.items()]
            return ["{", *_indented(self._with_commas(entries), STEP), "}"]
        if isinstance(value, list) and any(isinstance(each, (Mapping, list)) and each for each in value):
            lines = ["["]
            for number, each in enumerate(value):
                first, *rest = self.lines(each)
                lines[-1] += (", " if number else "") + first
                lines += rest
            lines[-1] += "]"
            return lines
        return [self.line(value)]

    def entry(self, key: str, value: Json) -> list[str]:
        first, *rest = self.lines(value)
        return [f"{self.key(key)}: {first}", *rest]

    def _with_commas(self, entries: list[list[str]]) -> list[str]:
        """JSON has none behind the last."""
        lines: list[str] = []
        for number, each in enumerate(entries):
            comma = "," if not self.json or number < len(entries) - 1 else ""
            lines += [*each[:-1], each[-1] + comma]
        return lines


def _flat(value: Json) -> str:
    if isinstance(value, (Mapping, list)):
        return "{}" if isinstance(value, Mapping) else "[]"
    return written(value)


def _indented(lines: list[str], by: int) -> list[str]:
    return [" " * by + line for line in lines]
