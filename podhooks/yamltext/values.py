"""Nodes to plain values, as kubectl has them."""

from __future__ import annotations

import base64
import binascii
import math

from podhooks.errors import ManifestError
from podhooks.yamltext.nodes import ALIAS, MAPPING, MERGE, SCALAR, SEQUENCE, TAG, Node, where
from podhooks.yamltext.scalars import resolve
from podhooks.yamltext.shapes import Json

MAX_NODES = 1_000_000  # after aliases are followed: a few lines of YAML can mean billions
_TYPES: dict[str, tuple[type, ...]] = {
    TAG + "int": (int,),
    TAG + "float": (int, float),
    TAG + "bool": (bool,),
    TAG + "null": (type(None),),
    TAG + "timestamp": (str,),
}
"""Tags that a plain scalar's letters must agree with. Other tags mean nothing to kubectl."""


class Construction:
    """Plain values of nodes. Aliases are followed, `<<` is merged. Of a key that is there twice the last one holds, as
    for kubectl; `repeated` are those keys."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.followed = 0
        self.aliases = 0
        self.repeated: list[Node] = []

    def value(self, node: Node) -> Json:
        if node.kind is ALIAS:
            return self._followed(node)
        if self.aliases:
            self.followed += 1
            if self.followed > MAX_NODES:
                raise ManifestError(f"{where(self.name, node)}: aliases that mean more than {MAX_NODES} values")
        if node.kind is SCALAR:
            return self._scalar(node)
        if node.kind is SEQUENCE:
            return [self.value(each) for each in node.items]
        return self._mapping(node)

    def _followed(self, node: Node) -> Json:
        self.aliases += 1
        value = self.value(node.meant)
        self.aliases -= 1
        return value

    def _mapping(self, node: Node) -> dict[str, Json]:
        found: dict[str, Json] = {}
        own: set[str] = set()
        for key, value in node.entries:
            if key.is_merge:
                found.update(self.merged(value))
                continue
            name = self.key(key)
            if name in own:
                self.repeated.append(key)
            own.add(name)
            found[name] = self.value(value)
        return found

    def merged(self, node: Node) -> dict[str, Json]:
        """What a `<<` with this value adds. Of several mappings the earlier one's keys hold."""
        several = node.kind is SEQUENCE
        merged: dict[str, Json] = {}
        for each in reversed(node.items) if several else [node]:
            if each.meant.kind is not MAPPING:
                raise ManifestError(f"{where(self.name, each)}: {MERGE} needs a mapping")
            merged.update(self.value(each))
        return merged

    def key(self, node: Node) -> str:
        """kubectl reads keys like values, and makes texts of them: `yes:` is the key `true`."""
        key = node.meant
        if key.kind is not SCALAR:
            raise ManifestError(f"{where(self.name, node)}: a key must be a text")
        value = resolve(key.text) if key.tag is None and not key.style else self._scalar(key)
        if type(value) is str:
            return value
        if value is None:
            raise ManifestError(f"{where(self.name, node)}: a key must be a text, and this one is null")
        if isinstance(value, float) and not math.isfinite(value):
            return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
        return str(value).lower() if isinstance(value, bool) else str(value)

    def _scalar(self, node: Node) -> Json:
        tag = node.tag
        if tag is not None and tag != "!":
            return self._tagged(node, tag)
        if node.style or tag:
            return node.text
        value = resolve(node.text)
        return self._finite(node, value) if type(value) is float else value

    def _tagged(self, node: Node, tag: str) -> Json:
        if tag == TAG + "binary":
            return self._binary(node)
        if tag not in _TYPES:
            return node.text
        value = resolve(node.text)
        if not isinstance(value, _TYPES[tag]) or (type(value) is bool and bool not in _TYPES[tag]):
            said = "!!" + tag.removeprefix(TAG)
            raise ManifestError(f"{where(self.name, node)}: {node.text[:40]!r} isn't {said}, the tag that it has")
        return self._finite(node, value)

    def _binary(self, node: Node) -> str:
        try:
            return base64.b64decode("".join(node.text.split()), validate=True).decode("utf-8", "replace")
        except binascii.Error as error:
            raise ManifestError(f"{where(self.name, node)}: isn't base64, as its tag !!binary says") from error

    def _finite(self, node: Node, value: Json) -> Json:
        if isinstance(value, float) and not math.isfinite(value):
            raise ManifestError(f"{where(self.name, node)}: {node.text} is a number that Kubernetes doesn't have")
        return value
