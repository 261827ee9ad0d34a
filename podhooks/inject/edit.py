"""Entries put into the lists of a pod, so that they can be taken out again exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from podhooks.inject.shapes import Json, Pod
from podhooks.pod.object import is_shared_mount


def plain(value: Json) -> Json:
    """A deep copy out of dicts and lists.

    What JSON is made of comes first: asking for an abstract class instead costs several times as much, which is what
    the webhook would spend most of its time on.
    """
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind is dict:
        return {key: plain(each) for key, each in value.items()}
    if kind is list:
        return [plain(each) for each in value]
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [plain(each) for each in value]
    return value


class Edit:
    """Adds entries to lists of a pod's spec, and remembers what taking them out again must know.

    `spec` and its containers are changed in place; their lists are replaced by longer ones, so others may hold them.
    """

    def __init__(self, spec: Pod) -> None:
        self.spec = spec
        self.was: dict[str, Json] = {}
        self.own: list[str] = []
        self.added: list[str] = []

    def add(self, field: str, entry: Mapping[str, Json], at: int | None = None) -> None:
        """Into a list of the spec itself, at the end or before the entry that is number `at`."""
        self._insert(self.spec, field, field, entry, at)
        self.added.append(f"spec.{field}[{entry['name']}]")

    def is_own(self, container: Pod, field: str, entry: Mapping[str, Json]) -> bool:
        """Whether a container's list has the entry already, which is remembered."""
        entries = container.get(field) or ()
        own = any(map(is_shared_mount, entries)) if field == "volumeMounts" else entry in entries
        if own:
            self.own.append(_path(container, field))
        return own

    def add_to_container(self, container: Pod, field: str, entry: Mapping[str, Json]) -> None:
        """At the end of a container's list."""
        self._insert(container, field, _path(container, field), entry, None)
        self.added.append(f"spec.containers[{container['name']}].{field}[{entry['name']}]")

    def _insert(self, holder: Pod, field: str, path: str, entry: Mapping[str, Json], at: int | None) -> None:
        if field in holder and not holder[field]:
            self.was[path] = holder[field]
        entries = list(holder.get(field) or ())
        entries.insert(len(entries) if at is None else at, entry)
        holder[field] = entries


def _path(container: Mapping[str, Json], field: str) -> str:
    return f"{container['name']}.{field}"
