"""What turns one JSON value into another, as a JSON patch (RFC 6902).

Not a general minimal diff of lists: entries that are the same object for Kubernetes (the same `name`) are compared with
each other, what stands between them is added or removed, in one pass from left to right.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Any, TypeAlias

Json: TypeAlias = Any
Operation: TypeAlias = dict[str, Json]


def diff(before: Json, after: Json) -> list[Operation]:
    """Operations to apply in order; none for equal values (as Python has it: 1 and true are equal inside of others).

    Values in it are those of `after`, not copies.
    """
    return list(_values(before, after, ""))


def _values(before: Json, after: Json, path: str) -> Iterator[Operation]:
    if before is after:  # most of a pod stays as it is
        return
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _objects(before, after, path)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _arrays(before, after, path)
    elif type(before) is not type(after) or before != after:
        yield {"op": "replace", "path": path, "value": after}


def _objects(before: dict[str, Json], after: dict[str, Json], path: str) -> Iterator[Operation]:
    if not before.keys() <= after.keys():
        yield from ({"op": "remove", "path": _below(path, key)} for key in before if key not in after)
    for key, value in after.items():
        if key not in before:
            yield {"op": "add", "path": _below(path, key), "value": value}
        elif before[key] is not value:
            yield from _values(before[key], value, _below(path, key))


def _arrays(before: list[Json], after: list[Json], path: str) -> Iterator[Operation]:
    index = _alike(before, after)
    for tag, old, new in _aligned(before[index:], after[index:]):
        here = f"{path}/{index}"
        if tag == "same":
            yield from _values(old, new, here)
        elif tag == "add":
            yield {"op": "add", "path": here, "value": new}
        else:
            yield {"op": "remove", "path": here}
            continue
        index += 1


def _alike(before: list[Json], after: list[Json]) -> int:
    """How many entries are equal at the beginning: mostly all but one or two."""
    for index, (old, new) in enumerate(zip(before, after, strict=False)):
        if old is not new and old != new:
            return index
    return min(len(before), len(after))


def _aligned(before: list[Json], after: list[Json]) -> Iterator[tuple[str, Json, Json]]:
    """Which entries of `before` are which of `after`, from left to right. Mostly something was put at one place."""
    if not before:
        yield from (("add", None, each) for each in after)
    elif not after:
        yield from (("remove", each, None) for each in before)
    else:
        old, new = [_identity(each) for each in before], [_identity(each) for each in after]
        if old == new:
            yield from (("same", *pair) for pair in zip(before, after, strict=True))
        else:
            yield from _matched(before, after, old, new)


def _matched(before: list[Json], after: list[Json], old: list[str], new: list[str]) -> Iterator[tuple[str, Json, Json]]:
    """The same, by the entries' identities."""
    for tag, old_start, old_end, new_start, new_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        left, right = before[old_start:old_end], after[new_start:new_end]
        paired = min(len(left), len(right)) if tag in ("equal", "replace") else 0
        yield from (("same", *pair) for pair in zip(left[:paired], right[:paired], strict=True))
        yield from (("remove", each, None) for each in left[paired:])
        yield from (("add", None, each) for each in right[paired:])


def _identity(entry: Json) -> str:
    """What an entry is recognised by: its name, else all of it."""
    if isinstance(entry, dict) and isinstance(entry.get("name"), str):
        return f"name {entry['name']}"
    return repr(entry)


def _below(path: str, key: str) -> str:
    if "~" in key or "/" in key:
        key = key.replace("~", "~0").replace("/", "~1")
    return f"{path}/{key}"
