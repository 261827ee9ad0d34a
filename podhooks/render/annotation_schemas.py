"""JSON schemas of annotations' values, as charts and work pools take them: made of the table, a value of each kind.

JSON Schema draft 7. What is left out, or is empty, is for whoever takes the value to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from podhooks import contract
from podhooks.annotations.options import WHEN_WORDS
from podhooks.annotations.plan import CALLBACK_OPTIONS, LISTS, TABLE, Annotation
from podhooks.context import Hook
from podhooks.inject.shapes import Json

Schema = dict[str, Json]

_NUMBER = r"[0-9]+(\.[0-9]+)?"
DURATION = rf"^({_NUMBER}h)?({_NUMBER}m)?({_NUMBER}s)?({_NUMBER}ms)?$"  # "" passes, too
TEXT: Schema = {"type": "string"}
AMOUNTS: Schema = {"type": "object", "additionalProperties": {"type": ["string", "number"]}}


def schema(annotation: Annotation) -> Schema:
    return SCHEMAS[annotation.kind.name](annotation)


def choices(annotation: Annotation) -> list[str]:
    """The words that an annotation of the kind `choice` may be."""
    return [each.value for each in type(annotation.default)]


def words_of_choices() -> dict[str, list[str]]:
    return {each.name: choices(each) for each in TABLE if each.kind.name == "choice"}


def _text(_: Annotation) -> Schema:
    return dict(TEXT)


def _choice(annotation: Annotation) -> Schema:
    return {"type": "string", "enum": choices(annotation)}


def _duration(_: Annotation) -> Schema:
    return {"type": "string", "pattern": DURATION}


def _retries(_: Annotation) -> Schema:
    return {"type": "integer", "minimum": 0, "maximum": contract.MAX_RETRIES}


def _results(_: Annotation) -> Schema:
    return {"type": ["string", "array"], "items": {"enum": sorted(WHEN_WORDS)}}


def _resources(_: Annotation) -> Schema:
    return {"type": "object", "additionalProperties": False, "properties": {"requests": AMOUNTS, "limits": AMOUNTS}}


def _callbacks(annotation: Annotation) -> Schema:
    """A text as the annotation has it, or a list of names and mappings."""
    hook = next(hook for hook, each in LISTS.items() if each is annotation)
    entry = {
        "type": ["string", "object"],
        "minLength": 3,
        "additionalProperties": False,
        "properties": _fields(hook),
        "if": {"type": "object"},
        "then": {"oneOf": [{"required": ["call"]}, {"required": ["exec"]}]},
    }
    return {"type": ["string", "array"], "items": entry}


def _fields(hook: Hook) -> Schema:
    options = {each.key: schema(each) for each in CALLBACK_OPTIONS[hook]}
    return {
        "call": {"type": "string", "minLength": 3},
        "exec": {"type": "array", "minItems": 1, "items": {"type": "string"}},
        "with": {"type": "object"},
        **{key: {**each, **({"minLength": 2} if "pattern" in each else {})} for key, each in options.items()},
    }


SCHEMAS: Mapping[str, Callable[[Annotation], Schema]] = {
    "callbacks": _callbacks,
    "choice": _choice,
    "duration": _duration,
    "retries": _retries,
    "results": _results,
    "text": _text,
    "word": _text,
    "resources": _resources,
}
"""By the name of the kind."""
