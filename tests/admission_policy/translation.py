"""Kubernetes' CEL as CEL that another engine takes: the same expression, spelled differently in four places.

1. `Object.spec.volumes{name: "a", ?emptyDir: x}` and `JSONPatch{op: "add"}` are the API server's types. Here they
   are maps: `{"name": "a", ?"emptyDir": x}`. The API server turns them into JSON, so that nothing else is lost.
2. `transformMap` makes a map entry by entry, with a function that the engine declares and doesn't have. Here it makes a
   list of pairs, which a function of ours turns into a map.
3. `transformMapEntry`: likewise, a list of maps with one entry each.
4. `getMilliseconds` of a duration gives all of its milliseconds in cel-go, which the API server has. Here, and in CEL's
   specification, it gives only those beyond whole seconds, so that a function of ours takes its place.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.admission_policy.tokens import Token, items, joined, partners, tokens

TYPES = ("Object", "JSONPatch")
PAIRS = "mapOfPairs"
ENTRIES = "mapOfEntries"
MILLISECONDS = "allMilliseconds"
RENAMED = {"transformMap": "transformList", "transformMapEntry": "transformList", "getMilliseconds": MILLISECONDS}


def translated(expression: str) -> str:
    return joined(list(_maps_made_at_once(_types_as_maps(tokens(expression)))))


def _types_as_maps(parts: list[Token]) -> list[Token]:
    pairs, made, index = partners(parts), list(parts), 0
    while index < len(parts):
        if parts[index] in TYPES and (index == 0 or parts[index - 1] not in (".", ".?")):
            end = index + 1
            while parts[end] == ".":
                end += 2
            if parts[end] != "{":
                raise ValueError(f"a type without a value: {parts[index]}")
            made[index:end] = [Token("", "gone")] * (end - index)
            for begin, _ in items(parts, pairs, end):
                key = begin + (parts[begin] == "?")
                made[key] = Token(f'"{parts[key]}"', "string")
            index = end
        index += 1
    return [each for each in made if each.kind != "gone"]


def _maps_made_at_once(parts: list[Token]) -> Iterator[str]:
    pairs = partners(parts)
    before: dict[int, str] = {}
    after: dict[int, str] = {}
    for index, part in enumerate(parts):
        if part.kind != "name" or part not in ("transformMap", "transformMapEntry"):
            continue
        begin, end = index + 1, pairs[index + 1]
        arguments = items(parts, pairs, begin)
        if part == "transformMap":
            before[arguments[-1][0]] = f"[{parts[arguments[0][0]]}, "
            after[end] = f"]).{PAIRS}()"
        else:
            after[end] = f").{ENTRIES}()"
    for index, part in enumerate(parts):
        yield before.get(index, "") + after.get(index, RENAMED.get(part, part) if part.kind == "name" else part)
