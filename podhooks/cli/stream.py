"""A text with manifests in it, YAML or JSON: what it holds, and the same text with some of that changed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from podhooks.cli import yaml_nodes
from podhooks.cli.splice import Splicer
from podhooks.cli.yaml_nodes import Node
from podhooks.errors import ManifestError
from podhooks.inject.shapes import Json, Path
from podhooks.value import Value

JSON_START = re.compile(r"\s*[{\[]")


class Document(Value):
    """One object of a stream. `start` and `end` are where it is in a JSON text, `_node` what it is in a YAML one."""

    value: dict[str, Json]
    line: int
    start: int = 0
    end: int = 0
    _node: Node | None = None

    def line_of(self, path: Path) -> int:
        """The line, from 1, of what is at `path` (or nearest above it); a JSON document's first."""
        return self.line if self._node is None else yaml_nodes.line_of(self._node, path)


class Stream(Value):
    """A file's text and its objects, in order; empty documents are none."""

    name: str
    text: str
    documents: tuple[Document, ...]
    is_json: bool

    def rewritten(self, values: Sequence[Mapping[str, Json]]) -> str:
        """The text with `values` in the place of the documents. What didn't change is byte for byte what it was."""
        if all(document.value == value for document, value in zip(self.documents, values, strict=True)):
            return self.text
        return self._rewritten_json(values) if self.is_json else self._rewritten_yaml(values)

    def _rewritten_json(self, values: Sequence[Mapping[str, Json]]) -> str:
        parts, position = [], 0
        for document, value in zip(self.documents, values, strict=True):
            old = self.text[document.start : document.end]
            new = old if document.value == value else json.dumps(value, indent=_json_indent(old))
            parts += [self.text[position : document.start], new]
            position = document.end
        return "".join([*parts, self.text[position:]])

    def _rewritten_yaml(self, values: Sequence[Mapping[str, Json]]) -> str:
        """Line by line where that can be done. It is read again to be sure; else changed documents are written anew."""
        for anew in (False, True):
            text = self._spliced(values, anew=anew)
            if [each.value for each in parse(text, self.name).documents] == list(values):
                return text
        raise ManifestError(f"{self.name}: can't be changed in place: convert it to JSON, or write it more plainly")

    def _spliced(self, values: Sequence[Mapping[str, Json]], *, anew: bool) -> str:
        nodes = [each._node for each in self.documents if each._node is not None]
        splicer = Splicer(self.text, yaml_nodes.shared_nodes(nodes))
        for node, document, value in zip(nodes, self.documents, values, strict=True):
            if document.value == value:
                continue
            if anew or not splicer.document(node, document.value, value):
                splicer.rewrite(node, value)
        return splicer.result()


def parse(text: str, name: str) -> Stream:
    """ManifestError, with line and column, for what is neither YAML nor JSON, or holds something else than objects."""
    if not JSON_START.match(text):
        return _parse_yaml(text, name)
    try:
        return _parse_json(text, name)
    except json.JSONDecodeError as error:
        try:
            return _parse_yaml(text, name)  # YAML's flow style looks like JSON at first
        except ManifestError:
            problem = f"{name}:{error.lineno}:{error.colno}: not JSON: {error.msg}"
            raise ManifestError(problem) from error
    except RecursionError as error:
        raise ManifestError(f"{name}: nested too deeply") from error


def _parse_yaml(text: str, name: str) -> Stream:
    construction = yaml_nodes.Construction(name)
    documents = []
    for node in yaml_nodes.compose(text, name):
        value = construction.value(node)
        if value is not None:
            line = node.line + 1
            documents.append(Document(_checked(value, name, line), line, _node=node))
    return Stream(name, text, tuple(documents), is_json=False)


def _parse_json(text: str, name: str) -> Stream:
    decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)
    documents, position = [], _skip_blank(text, 0)
    while position < len(text):
        line = text.count("\n", 0, position) + 1
        try:
            value, end = decoder.raw_decode(text, position)
        except ManifestError as error:
            raise ManifestError(f"{name}:{line}: {error}") from error
        if value is not None:
            documents.append(Document(_checked(value, name, line), line, position, end))
        position = _skip_blank(text, end)
    return Stream(name, text, tuple(documents), is_json=True)


def _checked(value: Json, name: str, line: int) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise ManifestError(f"{name}:{line}: is {_described(value)}, not a Kubernetes object")
    if not isinstance(value.get("kind"), str) or not value["kind"]:
        raise ManifestError(f"{name}:{line}: has no kind, so it isn't a Kubernetes object")
    return value


def _described(value: Json) -> str:
    return "a list" if isinstance(value, list) else f"the value {str(value)[:40]!r}"


def _skip_blank(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for key, value in pairs:
        if key in found:
            raise ManifestError(f"the key {key!r} is there twice")
        found[key] = value
    return found


def _refuse_constant(name: str) -> Json:
    raise ManifestError(f"{name} isn't JSON")


def _json_indent(text: str) -> int | None:
    """How the text itself is indented; None for one on a single line."""
    match = re.match(r"[{\[]\s*\n( *)", text)
    return len(match[1]) if match else None
