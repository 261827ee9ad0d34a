"""YAML text to nodes that know their places. PyYAML reads it, through libyaml where its wheel has that; it is an extra
(`podhooks[cli]`).

kubectl's reader is a port of libyaml to Go, so libyaml is the nearest to it: it takes KYAML's trailing commas and a tab
in front of a comment, which readers that are written for Python alone refuse.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from podhooks.errors import InputError, ManifestError
from podhooks.yamltext.shapes import Path

MAX_DEPTH = 200  # resource definitions with their schemas have less than half of it
MERGE = "<<"
MAPPING, SEQUENCE, SCALAR, ALIAS = "mapping", "sequence", "scalar", "alias"
_CONTROL = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_APOSTROPHE = re.compile(r"(?<!\\)((?:\\\\)*)\\'")
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")  # a node's anchor and tag


class Node:
    """A mapping, a sequence, a scalar or an alias, and its place in the text: offsets, line and column from 0."""

    __slots__ = (
        "aliased",
        "column",
        "end",
        "entries",
        "flow",
        "items",
        "kind",
        "line",
        "start",
        "style",
        "tag",
        "target",
        "text",
    )

    def __init__(self, kind: str, event: Any) -> None:
        start = event.start_mark
        self.kind = kind
        self.start: int = start.index
        self.line: int = start.line
        self.column: int = start.column
        self.end: int = event.end_mark.index
        self.flow = False
        self.style = ""  # of a scalar: its quote, `|` or `>`; empty for a plain one
        self.tag: str | None = None
        self.text = ""
        self.items: list[Node] = []
        self.entries: list[tuple[Node, Node]] = []
        self.aliased = False  # an alias stands for it elsewhere
        self.target: Node | None = None  # of an alias: the node that it stands for

    @property
    def meant(self) -> Node:
        return self.target or self

    @property
    def block(self) -> bool:
        """Whether it is a collection, on lines of its own."""
        return not self.flow and bool(self.items or self.entries)

    @property
    def is_merge(self) -> bool:
        return self.kind == SCALAR and self.text == MERGE and not self.style and self.tag in (None, MERGE_TAG)

    @property
    def is_empty(self) -> bool:
        """A null without letters."""
        return self.kind == SCALAR and not self.text and not self.style


TAG = "tag:yaml.org,2002:"
MERGE_TAG = TAG + "merge"


def compose(text: str, name: str) -> Iterator[Node | None]:
    """The root node of each document, None for an empty one. ManifestError with line and column."""
    yaml = _library()
    _check_characters(text, name)
    shown, stand_in = _without_odd_escapes(text)
    try:
        yield from _Composer(yaml, shown, stand_in, name).documents()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ManifestError(f"{name}{place}: not YAML: {_one_line(error.problem or error.context)}") from error
    except yaml.YAMLError as error:
        raise ManifestError(f"{name}: not YAML: {_one_line(str(error))}") from error


def _library() -> Any:
    try:
        import yaml
    except ImportError:
        raise InputError("reading YAML needs PyYAML: pip install 'podhooks[cli]'") from None
    return yaml


def _check_characters(text: str, name: str) -> None:
    found = _CONTROL.search(text.removeprefix("\ufeff"))
    if found and (found[0] != "\ufeff" or text.removeprefix("\ufeff")[found.start() - 1] not in "\r\n"):
        line = text.count("\n", 0, found.start()) + 1
        raise ManifestError(f"{name}:{line}: not YAML: holds the character U+{ord(found[0]):04X}")


def _without_odd_escapes(text: str) -> tuple[str, str]:
    r"""`\'` in double quotes is an apostrophe to kubectl and an error to libyaml. A character that the text doesn't
    have stands for its backslash, so that all places stay where they are."""
    if "\\'" not in text:
        return text, ""
    stand_in = next(chr(code) for code in range(0xE000, 0xF8FF) if chr(code) not in text)
    return _APOSTROPHE.sub(rf"\1{stand_in}'", text), stand_in


class _Composer:
    """Events to nodes, without recursion: depth is an error and not the end of the stack."""

    def __init__(self, yaml: Any, text: str, stand_in: str, name: str) -> None:
        self.yaml = yaml
        self.stand_in = stand_in
        self.name = name
        # one that the wheel may not have: it is faster, and takes some things that the other one doesn't
        self.parser = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
        self.anchors: dict[str, Node] = {}

    def documents(self) -> Iterator[Node | None]:
        next_event, yaml = self.parser.get_event, self.yaml
        while True:
            event = next_event()
            if isinstance(event, yaml.StreamEndEvent):
                return
            if isinstance(event, yaml.DocumentStartEvent):
                self._refuse_directives(event)
                self.anchors = {}
                root = self._document()
                yield None if root.is_empty else root

    def _refuse_directives(self, event: Any) -> None:
        if event.version or event.tags:
            line = event.start_mark.line + 1
            raise ManifestError(f"{self.name}:{line}: kubectl reads no lines that begin with %: take them out")

    def _document(self) -> Node:
        yaml, next_event = self.yaml, self.parser.get_event
        scalar, alias = yaml.ScalarEvent, yaml.AliasEvent
        mapping, sequence = yaml.MappingStartEvent, yaml.SequenceStartEvent
        open_nodes: list[Node] = []
        keys: list[Node | None] = []  # of each open node: the key whose value comes next
        while True:
            event = next_event()
            kind = type(event)
            if kind is scalar:
                node = self._scalar(event)
            elif kind is mapping or kind is sequence:
                node = self._opened(MAPPING if kind is mapping else SEQUENCE, event, len(open_nodes))
                open_nodes.append(node)
                keys.append(None)
                continue
            elif kind is alias:
                node = self._alias(event, open_nodes)
            else:
                node = open_nodes.pop()
                keys.pop()
                node.end = event.end_mark.index
            if not open_nodes:
                return node
            holder = open_nodes[-1]
            if holder.kind is SEQUENCE:
                holder.items.append(node)
            elif keys[-1] is None:
                keys[-1] = node
            else:
                holder.entries.append((keys[-1], node))
                keys[-1] = None

    def _scalar(self, event: Any) -> Node:
        node = Node(SCALAR, event)
        node.style = event.style or ""
        node.text = event.value
        if self.stand_in and self.stand_in in node.text:
            node.text = node.text.replace(self.stand_in, "" if node.style == '"' else "\\")
        node.tag = event.tag
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def _opened(self, kind: str, event: Any, depth: int) -> Node:
        if depth >= MAX_DEPTH:
            raise ManifestError(f"{self.name}:{event.start_mark.line + 1}: nested too deeply")
        node = Node(kind, event)
        node.flow = bool(event.flow_style)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def _alias(self, event: Any, open_nodes: list[Node]) -> Node:
        node = Node(ALIAS, event)
        target = self.anchors.get(event.anchor)
        if target is None:
            raise ManifestError(f"{where(self.name, node)}: not YAML: there is no &{event.anchor} for this alias")
        if target in open_nodes:
            raise ManifestError(
                f"{where(self.name, node)}: not YAML: &{event.anchor} holds itself, through its aliases"
            )
        target.aliased = True
        node.target = target
        return node


def body(text: str, node: Node) -> int:
    """Where a node begins behind its anchor and its tag."""
    found = _PROPERTIES.match(text, node.start, node.end) if text[node.start : node.start + 1] in "&!" else None
    return found.end() if found else node.start


def where(name: str, node: Node) -> str:
    return f"{name}:{node.line + 1}:{node.column + 1}"


def line_of(node: Node, path: Path) -> int:
    """The line, from 1, of what is at `path`, or of the nearest thing above it that is there."""
    line = node.line
    for part in path:
        node = node.meant
        entry = next(((key, value) for key, value in reversed(node.entries) if key.meant.text == part), None)
        if entry is not None:
            line, node = entry[0].line, entry[1]
        elif isinstance(part, int) and part < len(node.items):
            node = node.items[part]
            line = node.line
        else:
            break
    return line + 1


def _one_line(text: str | None) -> str:
    return " ".join((text or "can't be read").split())
