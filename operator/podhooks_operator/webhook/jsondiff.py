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
    if before is after or (type(before) is type(after) and before == after):  # most of a pod stays as it is
        return
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _objects(before, after, path)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _arrays(before, after, path)
    else:
        yield {"op": "replace", "path": path, "value": after}


def _objects(before: dict[str, Json], after: dict[str, Json], path: str) -> Iterator[Operation]:
    for key in before:
        if key not in after:
            yield {"op": "remove", "path": _below(path, key)}
    for key, value in after.items():
        if key not in before:
            yield {"op": "add", "path": _below(path, key), "value": value}
        else:
            yield from _values(before[key], value, _below(path, key))


def _arrays(before: list[Json], after: list[Json], path: str) -> Iterator[Operation]:
    index = 0
    for tag, old, new in _aligned(before, after):
        here = f"{path}/{index}"
        if tag == "same":
            yield from _values(old, new, here)
        elif tag == "add":
            yield {"op": "add", "path": here, "value": new}
        else:
            yield {"op": "remove", "path": here}
            continue
        index += 1


def _aligned(before: list[Json], after: list[Json]) -> Iterator[tuple[str, Json, Json]]:
    """Which entries of `before` are which of `after`, from left to right. Mostly something was put at one place."""
    start = next((index for index, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]), None)
    if start is None:
        start = min(len(before), len(after))
    yield from (("same", each, each) for each in before[:start])
    old, new = before[start:], after[start:]
    if old and new:
        yield from _matched(old, new)
    else:
        yield from (("remove", each, None) for each in old)
        yield from (("add", None, each) for each in new)


def _matched(before: list[Json], after: list[Json]) -> Iterator[tuple[str, Json, Json]]:
    old, new = [_identity(each) for each in before], [_identity(each) for each in after]
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
    return f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
