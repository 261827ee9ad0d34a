"""Plain values to lines of block YAML: for what is put into a manifest, in the manifest's own manner."""

from __future__ import annotations

from collections.abc import Mapping

from podhooks.cli.scalars import written
from podhooks.inject.shapes import Json


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


def _flat(value: Json) -> str:
    if isinstance(value, (Mapping, list)):
        return "{}" if isinstance(value, Mapping) else "[]"
    return written(value)


def _indented(lines: list[str], by: int) -> list[str]:
    return [" " * by + line for line in lines]
