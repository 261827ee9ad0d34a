"""A text with manifests in it, YAML or JSON: its objects, and the same text with some of them changed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from podhooks.errors import InputError, ManifestError
from podhooks.yamltext import nodes
from podhooks.yamltext.nodes import MAX_DEPTH, Node
from podhooks.yamltext.shapes import Json, Path
from podhooks.yamltext.splice import Splicer
from podhooks.yamltext.values import Construction

JSON_START = re.compile(r"\s*[{\[]")
JSON_BLANKS = re.compile(r"[ \t\r\n]*")
MAX_FLOAT_DIGITS = 308  # of a whole number: more is no float, and Kubernetes' numbers are int64 or float64


@dataclass(frozen=True)
class Document:
    """One object of a stream. `start` and `end` are its place in a JSON text, `_node` its root in a YAML one."""

    value: dict[str, Json]
    line: int
    start: int = 0
    end: int = 0
    _node: Node | None = field(default=None, repr=False, compare=False)

    def line_of(self, path: Path) -> int:
        """The line, from 1, of what is at `path` (or nearest above it); a JSON document's first."""
        return self.line if self._node is None else nodes.line_of(self._node, path)


@dataclass(frozen=True)
class Rewritten:
    """A text with other values. `anew` are the documents that were written anew: their comments and style are lost."""

    text: str
    anew: tuple[Document, ...] = ()


@dataclass(frozen=True)
class Stream:
    """A file's text and its objects, in order; empty documents are none. `notes` are lines for people."""

    name: str
    text: str
    documents: tuple[Document, ...]
    is_json: bool
    notes: tuple[str, ...] = ()

    def rewritten(self, values: Sequence[Mapping[str, Json]]) -> Rewritten:
        """The text with `values` in the place of the documents. What didn't change is byte for byte what it was.

        Place by place where that can be done. The text is read again to be sure; the documents in which it went wrong
        are written anew.
        """
        changed = [
            number
            for number, (document, value) in enumerate(zip(self.documents, values, strict=True))
            if document.value != value
        ]
        if not changed:
            return Rewritten(self.text)
        write = self._json if self.is_json else self._yaml
        anew: set[int] = set()
        for _ in range(3):
            text = write(values, changed, anew)
            wrong = self._wrong(text, values)
            if not wrong:
                return Rewritten(text, tuple(self.documents[number] for number in sorted(anew)))
            anew |= wrong & set(changed) or set(changed)
        raise ManifestError(f"{self.name}: can't be changed in place: convert it to JSON, or write it more plainly")

    def _wrong(self, text: str, values: Sequence[Mapping[str, Json]]) -> set[int]:
        """The documents of a text that aren't what they should be; all of them if that can't be told."""
        everything = set(range(len(values)))
        found = []
        try:
            read = _parsed_json(text, self.name, []) if self.is_json else _parsed_yaml(text, self.name, [])
            for number, document in enumerate(read):
                found.append(number < len(values) and document.value == values[number])
        except (ManifestError, json.JSONDecodeError):
            return everything
        if len(found) != len(values):
            return everything
        return {number for number, right in enumerate(found) if not right}

    def _yaml(self, values: Sequence[Mapping[str, Json]], changed: Iterable[int], anew: set[int]) -> str:
        splicer = Splicer(self.text)
        for number in changed:
            document, value = self.documents[number], values[number]
            if document._node is None:
                continue
            if number in anew or not splicer.document(document._node, document.value, value):
                anew.add(number)
                splicer.rewrite(document._node, value)
        return splicer.result()

    def _json(self, values: Sequence[Mapping[str, Json]], changed: Iterable[int], anew: set[int]) -> str:
        parts, position = [], 0
        for number in changed:
            document, value = self.documents[number], values[number]
            old = self.text[document.start : document.end]
            new = None if number in anew else _spliced_json(old, document.value, value)
            if new is None:
                anew.add(number)
                new = json.dumps(value, indent=_json_indent(old))
            parts += [self.text[position : document.start], new]
            position = document.end
        return "".join([*parts, self.text[position:]])


def parse(text: str, name: str) -> Stream:
    """ManifestError, with line and column, for what is neither YAML nor JSON, or holds something else than objects."""
    if not JSON_START.match(text):
        return _yaml_stream(text, name)
    try:
        return _json_stream(text, name)
    except json.JSONDecodeError as error:
        try:
            return _yaml_stream(text, name)  # YAML's flow style looks like JSON at first
        except ManifestError as yaml_error:
            if re.match(r'\s*[{\[]\s*(?:["\]}\[{]|\Z)', text) is None:
                raise
            problem = f"{name}:{error.lineno}:{error.colno}: not JSON: {error.msg}"
            raise ManifestError(problem) from yaml_error


def load(text: str, name: str) -> list[Json]:
    """The values of all documents of a YAML text, whatever they are; null for an empty one."""
    construction = Construction(name)
    return [None if node is None else construction.value(node) for node in nodes.compose(text, name)]


def _json_stream(text: str, name: str) -> Stream:
    notes: list[str] = []
    return Stream(name, text, tuple(_parsed_json(text, name, notes)), is_json=True, notes=tuple(notes))


def _yaml_stream(text: str, name: str) -> Stream:
    notes: list[str] = []
    return Stream(name, text, tuple(_parsed_yaml(text, name, notes)), is_json=False, notes=tuple(notes))


def _parsed_yaml(text: str, name: str, notes: list[str]) -> Iterable[Document]:
    for node in nodes.compose(text, name):
        if node is None:
            continue
        construction = Construction(name)
        value = construction.value(node)
        notes += [f"{nodes.where(name, key)}: {_repeated(key.meant.text)}" for key in construction.repeated]
        if value is not None:
            line = node.line + 1
            yield Document(_checked(value, name, line), line, _node=node)


def _parsed_json(text: str, name: str, notes: list[str]) -> Iterable[Document]:
    repeated: list[str] = []
    decoder = json.JSONDecoder(
        object_pairs_hook=lambda pairs: _object(pairs, repeated),
        parse_constant=_refuse_constant,
        parse_int=_whole,
        parse_float=_float,
    )
    position = _skip_blank(text, 0)
    while position < len(text):
        line = text.count("\n", 0, position) + 1
        try:
            value, end = decoder.raw_decode(text, position)
            _check_depth(value)
        except ManifestError as error:
            raise ManifestError(f"{name}:{line}: {error}") from error
        except RecursionError as error:
            raise ManifestError(f"{name}:{line}: nested too deeply") from error
        notes += [f"{name}:{line}: {_repeated(key)}" for key in repeated]
        repeated.clear()
        if value is not None:
            yield Document(_checked(value, name, line), line, position, end)
        position = _skip_blank(text, end)


def _object(pairs: list[tuple[str, Json]], repeated: list[str]) -> dict[str, Json]:
    """The last of several with one key holds, as for kubectl."""
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            repeated += [key] if key in seen else []
            seen.add(key)
    return found


def _repeated(key: str) -> str:
    return f"the key {key[:60]!r} is there twice: the last one holds"


def _check_depth(value: Json) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for each in level if isinstance(each, (dict, list)) for inner in _inner(each)]
        if not level:
            return
    raise ManifestError("nested too deeply")


def _inner(value: dict[str, Json] | list[Json]) -> Iterable[Json]:
    return value.values() if isinstance(value, dict) else value


def _checked(value: Json, name: str, line: int) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise ManifestError(f"{name}:{line}: is {_described(value)}, not a Kubernetes object")
    if not isinstance(value.get("kind"), str) or not value["kind"]:
        raise ManifestError(f"{name}:{line}: has no kind, so it isn't a Kubernetes object")
    return value


def _described(value: Json) -> str:
    return "a list" if isinstance(value, list) else f"the value {str(value)[:40]!r}"


def _skip_blank(text: str, position: int) -> int:
    found = JSON_BLANKS.match(text, position)
    return found.end() if found else position


def _refuse_constant(name: str) -> Json:
    raise ManifestError(f"{name} isn't JSON")


def _whole(digits: str) -> int:
    if len(digits) > MAX_FLOAT_DIGITS:
        raise ManifestError(f"a number of {len(digits)} digits is none that Kubernetes has")
    return int(digits)


def _float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ManifestError(f"{text[:40]} is a number that Kubernetes doesn't have")
    return value


def _spliced_json(text: str, old: Json, new: Json) -> str | None:
    """None where YAML's reader, which knows the places, can't read this JSON."""
    try:
        roots = list(nodes.compose(text, ""))
    except InputError:
        return None
    splicer = Splicer(text, json=True)
    if len(roots) != 1 or roots[0] is None or not splicer.document(roots[0], old, new):
        return None
    return splicer.result()


def _json_indent(text: str) -> int | None:
    """How the text itself is indented; None for one on a single line."""
    match = re.match(r"[{\[]\s*\n( *)", text)
    return len(match[1]) if match else None
