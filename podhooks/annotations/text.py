"""What stands in an annotation that holds more than a word: names, JSON, or the YAML that people write by hand."""

from __future__ import annotations

from math import isfinite

from podhooks.errors import PlanError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from podhooks.context import Json

MAX_DEPTH = 32  # of lists and mappings in each other, as in yaml_subset, which is read only when it is needed
YAML_BEGINS = ("[", "{", "- ", '"', "---", "|", ">", "&", "!", "%")


def read_entries(text: str) -> list[Json]:
    """The entries of a list of callbacks, whichever way it is written; a single mapping is a list of one.

    Names stay what they are, texts that nobody has looked at yet. Raises PlanError where the text can't be read.
    """
    lines = [_without_comment(line) for line in text.split("\n")]
    first = next((line for line in lines if line), "")
    structured = first.startswith(YAML_BEGINS) or first == "-" or ": " in first or first.endswith(":")
    if not structured or first.startswith(("/", "lambda")):
        return [name.strip() for line in lines for name in line.split(",") if name.strip()]
    value = read_structure(text)
    return [] if value is None else value if isinstance(value, list) else [value]


def read_structure(text: str) -> Json:
    """The value of a JSON or YAML text. Raises PlanError with a position."""
    try:
        value = _read_json(text)
    except (ValueError, RecursionError):
        from podhooks.annotations.yaml_subset import loads

        value = loads(text)
    _check(value)
    return value


def _without_comment(line: str) -> str:
    line = line.strip()
    return "" if line.startswith("#") else line.partition(" #")[0].rstrip()


def _read_json(text: str) -> Json:
    if not text.lstrip().startswith(("[", "{", '"')):
        raise ValueError("YAML, if anything")
    from json import loads

    return loads(text, object_pairs_hook=_mapping, parse_constant=_refuse_constant)


def _mapping(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    mapping: dict[str, Json] = {}
    for key, value in pairs:
        if key in mapping:
            raise PlanError(f"the key {key[:40]!r} is there twice: keep one of them")
        mapping[key] = value
    return mapping


def _refuse_constant(name: str) -> Json:
    raise PlanError(f"{name} isn't a number that JSON has: write a finite one, or text")


def _check(value: Json) -> None:
    for part, depth in _walk(value):
        if depth > MAX_DEPTH:
            raise PlanError(f"lists and mappings are in each other more than {MAX_DEPTH} deep: make it flatter")
        if isinstance(part, float) and not isfinite(part):
            raise PlanError("a number is too large to be held: write a smaller one, or text")
        if isinstance(part, str) and not part.isascii() and any("\ud800" <= c <= "\udfff" for c in part):
            raise PlanError("a text holds half of a surrogate pair, which isn't a character: write the whole one")


def _walk(value: Json) -> Iterator[tuple[Json, int]]:
    """Every value in it with its depth, keys too; not recursive, for a text may be deeper than Python's stack."""
    waiting = [(value, 0)]
    while waiting:
        part, depth = waiting.pop()
        yield part, depth
        if isinstance(part, dict):
            waiting += [(each, depth + 1) for pair in part.items() for each in pair]
        elif isinstance(part, list):
            waiting += [(each, depth + 1) for each in part]
