"""YAML text to nodes that know their places, and nodes to plain values as kubectl has them. ruamel.yaml does the
reading; it is an extra (`podhooks[cli]`)."""

from __future__ import annotations

import base64
import re
import warnings
from typing import Any

from podhooks.cli.scalars import resolve
from podhooks.errors import InputError, ManifestError
from podhooks.inject.shapes import Json, Path

MAX_NODES = 1_000_000  # after aliases are followed: a few lines of YAML can mean billions
MERGE = "<<"
TAGS = ("int", "float", "bool", "null", "timestamp")  # of scalars, which is read by its letters anyway
_TAG = "tag:yaml.org,2002:"
_TAGGED = re.compile(r"(?:&\S+\s+)?!")  # a node with a tag or an anchor begins with it


class Node:
    """A mapping, a sequence or a scalar, and where it is in the text: offsets, line and column from 0.

    An alias is the very node that its anchor is at, with that one's place.
    """

    def __init__(self, read: Any) -> None:
        self.kind: str = read.id
        self.start: int = read.start_mark.index
        self.end: int = read.end_mark.index
        self.line: int = read.start_mark.line
        self.column: int = read.start_mark.column
        self.flow = bool(getattr(read, "flow_style", False))
        self.style: str | None = getattr(read, "style", None)
        self.tag = str(read.ctag) if _TAGGED.match(read.start_mark.buffer, self.start) else None
        self.text: str = read.value if self.kind == "scalar" else ""
        self.items: list[Node] = []
        self.entries: list[tuple[Node, Node]] = []

    @property
    def block(self) -> bool:
        """Whether it is a collection, on lines of its own."""
        return not self.flow and bool(self.items or self.entries)

    @property
    def is_merge(self) -> bool:
        return self.kind == "scalar" and self.text == MERGE and self.style is None

    @property
    def children(self) -> list[Node]:
        return self.items or [each for entry in self.entries for each in entry]


def compose(text: str, name: str) -> list[Node]:
    """The root node of each document. ManifestError with line and column."""
    try:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError, YAMLError
    except ImportError:
        raise InputError("reading YAML needs ruamel.yaml: pip install 'podhooks[cli]'") from None
    known: dict[int, tuple[Node, Any]] = {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a reused anchor
            constructor, _ = YAML(typ="safe", pure=True).get_constructor_parser(text)
            found = []
            while constructor.composer.check_node():
                found.append(_converted(constructor.composer.get_node(), known))
            return found
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ManifestError(f"{name}{place}: not YAML: {_one_line(error.problem or error.context)}") from error
    except YAMLError as error:
        raise ManifestError(f"{name}: not YAML: {_one_line(str(error))}") from error
    except RecursionError as error:
        raise ManifestError(f"{name}: nested too deeply") from error


def _converted(read: Any, known: dict[int, tuple[Node, Any]]) -> Node:
    """`known` keeps ruamel's nodes alive, so that no other gets the id of one."""
    if id(read) in known:
        return known[id(read)][0]
    node = Node(read)
    known[id(read)] = (node, read)
    if node.kind == "sequence":
        node.items = [_converted(each, known) for each in read.value]
    elif node.kind == "mapping":
        node.entries = [(_converted(key, known), _converted(value, known)) for key, value in read.value]
    return node


class Construction:
    """Plain values of nodes. Aliases are followed, `<<` is merged, a key that is there twice is an error."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0
        self.open: set[Node] = set()

    def value(self, node: Node) -> Json:
        self.count += 1
        if self.count > MAX_NODES or node in self.open:
            raise ManifestError(f"{where(self.name, node)}: aliases that mean more than {MAX_NODES} values")
        if node.kind == "scalar":
            return self._scalar(node)
        self.open.add(node)
        value = [self.value(each) for each in node.items] if node.kind == "sequence" else self._mapping(node)
        self.open.discard(node)
        return value

    def _mapping(self, node: Node) -> dict[str, Json]:
        own: dict[str, Json] = {}
        merged: dict[str, Json] = {}
        for key, value in node.entries:
            name = key_text(key)
            if key.is_merge:
                merged = {**self._merged(value), **merged}
            elif name is None:
                raise ManifestError(f"{where(self.name, key)}: a key must be a text")
            elif name in own:
                raise ManifestError(f"{where(self.name, key)}: the key {name!r} is there twice")
            else:
                own[name] = self.value(value)
        return {**{key: value for key, value in merged.items() if key not in own}, **own}

    def _merged(self, node: Node) -> dict[str, Json]:
        """Of several mappings the earlier one's keys hold."""
        merged: dict[str, Json] = {}
        for each in node.items or [node]:
            found = self.value(each)
            if not isinstance(found, dict):
                raise ManifestError(f"{where(self.name, each)}: << needs a mapping")
            merged = {**found, **merged}
        return merged

    def _scalar(self, node: Node) -> Json:
        if node.tag is None:
            return node.text if node.style is not None else resolve(node.text)
        tag = node.tag.removeprefix(_TAG)
        if tag == "str":
            return node.text
        if tag == "binary":
            return base64.b64decode(node.text).decode("utf-8", "replace")
        if tag not in TAGS:
            raise ManifestError(f"{where(self.name, node)}: the tag {tag} means nothing here")
        return resolve(node.text)


def key_text(key: Node) -> str | None:
    """Keys are texts for Kubernetes: `on:` or `1:` are read by their letters."""
    return key.text if key.kind == "scalar" else None


def where(name: str, node: Node) -> str:
    return f"{name}:{node.line + 1}:{node.column + 1}"


def line_of(node: Node, path: Path) -> int:
    """The line, from 1, of what is at `path`, or of the nearest thing above it that is there."""
    line = node.line
    for part in path:
        entry = next(((key, value) for key, value in node.entries if key_text(key) == part), None)
        if entry is not None:
            line, node = entry[0].line, entry[1]
        elif isinstance(part, int) and part < len(node.items):
            node = node.items[part]
            line = node.line
        else:
            break
    return line + 1


def shared_nodes(roots: list[Node]) -> frozenset[Node]:
    """Nodes that stand in more than one place (aliases): a change there would be a change elsewhere."""
    seen: set[Node] = set()
    shared: set[Node] = set()
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        if node in seen:
            shared.add(node)
            continue
        seen.add(node)
        waiting.extend(node.children)
    return frozenset(shared)


def _one_line(text: str | None) -> str:
    return " ".join((text or "can't be read").split())
