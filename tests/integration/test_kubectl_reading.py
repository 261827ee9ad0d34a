"""Texts as the real kubectl reads them, which needs no cluster for that: they are read the same here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from podhooks.yamltext.stream import parse

KUBECTL = shutil.which("kubectl", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
pytestmark = pytest.mark.skipif(KUBECTL is None, reason="needs kubectl")
GOLDEN = Path(__file__).parents[1] / "golden"
HEAD = "apiVersion: v1\nkind: Thing\nmetadata: {name: a}\n"
VALUES = (
    "12e4567 1e3 1e-3 08 0644 0o17 0o8 0x1F 0x_1 0b11 -0b11 +0b11 0X1f 1_000 1__0 _1 1_ +1 -0 .5 -.5 1. .1_0 .5e400"
)
VALUES += (
    " 1e400 99999999999999999999 18446744073709551615 9223372036854775808 yes no on off y N ~ null Null -.nan 1:30"
)
VALUES += " 2020-01-01 2020-01-01T00:00:00Z 0x1p3 .e1 ?a -a a:b 1.2.3 0x 0. 00 007 1e+3 1E3 -1e3 .inf. <<"
ENTRIES = [
    *(f"x: {value}" for value in VALUES.split()),
    r"""x: "it\'s and \\' \\\' " """,
    r"x: 'C:\'",
    'x: "a\\\n  b"',
    "x: a\t# c",
    "x: [a,b,]",
    "x: {a: 1,}",
    "x: {a, b: , c: [c:d], e:f}",
    "x: [a: 1]",
    'x: {"a":1}',
    "? x\n: 1",
    "{yes: 1, 1.5: 2, 0x1F: 3, 1e3: 4, .inf: 5}".join(["x: ", ""]),
    "x: {a: 1, a: 2}",
    "x: {a: 1, <<: {a: 2}}",
    "x: {<<: {a: 2}, a: 1}",
    "b: &b {a: 1}\nx: {<<: [*b, {a: 2, c: 3}]}",
    "x: !!int '3'",
    "x: !!str 1",
    "x: !!binary aGk=",
    "x: ! 1",
    "x: !foo {a: 1}",
    "x: !secret a",
    "x: !!float 1",
    "x: |\n  a\n\n   b\n\n",
    "x: |+\n  a\n\n",
    "x: >-\n  a\n  b\n\n  c\n",
    "x:\n-\n  a: 1\n- - b\n  - c",
    "x: [a,\n\tb]",
]


def by_kubectl(text: str) -> list[Any]:
    command = [str(KUBECTL), "annotate", "--local", "-o", "json", "-f", "-", "added=1"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    found, position, decoder = [], 0, json.JSONDecoder(parse_int=_whole)
    while position < len(done.stdout):
        value, position = decoder.raw_decode(done.stdout, position)
        position += len(done.stdout[position:]) - len(done.stdout[position:].lstrip())
        found.append(value)
    return found


def _whole(digits: str) -> int | float:
    """What doesn't fit in 64 bits is a float to Kubernetes, which it shows without a fraction."""
    return int(digits) if -(2**63) <= int(digits) < 2**63 else float(digits)


def with_annotation(value: dict[str, Any]) -> dict[str, Any]:
    metadata = value["metadata"]
    return {**value, "metadata": {**metadata, "annotations": {**metadata.get("annotations", {}), "added": "1"}}}


def test_scalars_keys_and_styles() -> None:
    text = "---\n".join(f"{HEAD}{each}\n" for each in ENTRIES)
    for theirs, ours, entry in zip(by_kubectl(text), parse(text, "t").documents, ENTRIES, strict=True):
        assert with_annotation(ours.value) == theirs, entry


@pytest.mark.parametrize("case", sorted(each.parent.name for each in GOLDEN.glob("*/expected.yaml")))
def test_manifests_before_and_after(case: str) -> None:
    for name in ("input.yaml", "expected.yaml"):
        text = (GOLDEN / case / name).read_text(encoding="utf-8")
        found = [
            each
            for document in parse(text, name).documents
            for each in (document.value["items"] if document.value["kind"].endswith("List") else [document.value])
        ]
        assert [with_annotation(each) for each in found] == by_kubectl(text)
