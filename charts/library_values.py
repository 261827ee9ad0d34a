"""The library chart's values.yaml: a key for each annotation, below the help that its entry in the table has."""

from __future__ import annotations

from textwrap import wrap

from schemas import Schema, camel_case, or_nothing

from podhooks.annotations.plan import TABLE, Annotation
from podhooks.annotations.writer import text_of
from podhooks.render.annotation_schemas import schema

HEAD = """\
# Written by `make charts`; don't edit.

# Put these below the dependency's name in your chart's values (or below its alias: `podhooks`), and give that section
# to podhooks.inject. Every key is the annotation podhooks.io/<key-with-dashes>, see docs/annotations.md. What is empty
# isn't written, and then the default named here holds.
#
# Callbacks are names (package.module:function, /path/file.py:function), or mappings with call or exec, and with,
# timeout, retries, policy, at exit also when. A text is taken as the annotation's.
"""
TAIL = """\
# How the runtime reaches the pod. No annotations: these are the injector's settings, here the chart's.
runtime:
  # Our image. Default: the one of this version.
  image: ""
  # image (an image volume, Kubernetes 1.35), copy (an init container, any), installed (your image has it).
  delivery: image
  # For that image: Always, IfNotPresent, Never. Default: Kubernetes' own.
  pullPolicy: ""
"""
WIDTH = 120
EMPTY = {"integer": "null", "array": "[]", "object": "{}", "string": '""'}
"""What stands for nothing given, by the JSON type of the value."""


def text() -> str:
    return "\n".join([HEAD, *(_entry(each) for each in TABLE), TAIL])


def _entry(annotation: Annotation) -> str:
    default = annotation.otherwise or text_of(annotation, annotation.default)
    sentences = f"{annotation.help[0].upper()}{annotation.help[1:]}. Default: {default}.".replace("`", "")
    comment = "\n".join(f"# {line}" for line in wrap(sentences, WIDTH - 2, break_on_hyphens=False))
    return f"{comment}\n{camel_case(annotation.short_name)}: {_nothing(or_nothing(schema(annotation)))}\n"


def _nothing(value: Schema) -> str:
    types = value["type"] if isinstance(value["type"], list) else [value["type"]]
    return next(nothing for kind, nothing in EMPTY.items() if kind in types)
