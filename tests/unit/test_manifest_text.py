"""Manifests as text: read as kubectl reads them, changed only where they change."""

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from podhooks.cli import emit
from podhooks.cli.scalars import resolve, written
from podhooks.cli.stream import parse
from podhooks.errors import ManifestError
from podhooks.inject import inject_object, uninject_object
from tests.unit.test_inject import pods


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0644", 420),
        ("0o644", 420),
        ("0x1F", 31),
        ("0b101", 5),
        ("-7", -7),
        ("1_000", 1000),
        ("0", 0),
        ("08", 8.0),  # no octal, so it is a float to Go
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".inf", float("inf")),
        ("yes", True),
        ("Off", False),
        ("y", True),
        ("~", None),
        ("", None),
        ("1:30", "1:30"),
        ("10m", "10m"),
        ("2020-01-01", "2020-01-01"),
        ("1.2.3", "1.2.3"),
        ("0x", "0x"),
        ("-", "-"),
    ],
)
def test_plain_scalars_mean_what_they_mean_to_kubectl(text: str, value: object) -> None:
    found = resolve(text)
    assert (found, type(found)) == (value, type(value))


ODD = "yes no on y ~ null 0644 1e3 1:30 -S - # { [ &a *a !t % @ ` | > ? = << ' \" \u2028 \x85 0x1F 1_0"
TEXTS = st.text() | st.sampled_from(["", " ", "\t", "a\nb", "- x", "a: b", "a #b", *ODD.split(" ")])


@given(TEXTS.filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text)))
@settings(max_examples=500)
def test_a_text_that_is_written_is_read_back_by_either_version_of_yaml(text: str) -> None:
    for version in ((1, 1), (1, 2)):
        reader = YAML(typ="safe", pure=True)
        reader.version = version
        assert reader.load(io.StringIO(f"key: {written(text)}\n"))["key"] == text
    (document,) = parse(f"kind: {written('K')}\nkey: {written(text)}\n", "t").documents
    assert document.value["key"] == text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@given(JSON, st.sampled_from([0, 2, 4]))
@settings(max_examples=300)
def test_what_is_emitted_is_read_back(value: Any, sequence_indent: int) -> None:
    text = "\n".join(emit.document_lines({"kind": "K", "value": value}, sequence_indent))
    (document,) = parse(text, "t").documents
    assert document.value == {"kind": "K", "value": value}


@st.composite
def manifests(draw: st.DrawFn) -> tuple[str, bool]:
    """A text with a pod in it, with comments and blank lines anywhere; and whether no list of it was empty."""
    pod = draw(pods())
    lines = emit.document_lines({"kind": "Pod", **pod}, draw(st.sampled_from([0, 2])))
    commented = []
    for line in lines:
        commented += draw(st.sampled_from([[], [], [], ["# a remark"], [""], [" " * 12 + "# far", ""]]))
        commented.append(line + draw(st.sampled_from(["", "", "  # here"])))
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    text = newline.join(["---", *commented]) + draw(st.sampled_from([newline, "", newline + "# end" + newline]))
    empty = any(line.rstrip().endswith(("[]", "null")) for line in lines)
    return text, not empty


@given(manifests())
@settings(max_examples=25)
def test_injecting_adds_lines_and_uninjecting_takes_exactly_those_out(manifest: tuple[str, bool]) -> None:
    text, exact = manifest
    stream = parse(text, "t")
    values = [inject_object(each.value)[0] for each in stream.documents]
    changed = stream.rewritten(values)
    assert [each.value for each in parse(changed, "t").documents] == values
    again = parse(changed, "t")
    back = again.rewritten([uninject_object(each.value)[0] for each in again.documents])
    if exact:
        assert back == text
        left = changed
        for line in text.splitlines():
            if "terminationGracePeriodSeconds: " not in line:
                assert line in left
                left = left[left.index(line) + len(line) :]
    assert [each.value for each in parse(back, "t").documents] == [each.value for each in stream.documents]


def test_merge_keys_and_aliases_are_followed() -> None:
    text = "kind: K\nbase: &base {a: 1, b: 2}\nmore: {<<: *base, b: 3}\nmany: {<<: [*base, {a: 9, c: 4}]}\n"
    assert parse(text, "t").documents[0].value == {
        "kind": "K",
        "base": {"a": 1, "b": 2},
        "more": {"a": 1, "b": 3},
        "many": {"a": 1, "b": 2, "c": 4},
    }


def test_a_document_with_aliases_is_written_anew_and_costs_no_other_its_comments() -> None:
    aliased = "kind: A\nlist: &x\n  - a: 1 # gone\nother: *x\n"
    plain = "kind: B\nlist: # kept\n  - a: 1\n"
    stream = parse(f"{aliased}---\n{plain}", "t")
    changed = stream.rewritten(
        [{"kind": "A", "list": [{"a": 2}], "other": [{"a": 1}]}, {"kind": "B", "list": [{"a": 2}]}]
    )
    assert changed == "kind: A\nlist:\n  - a: 2\nother:\n  - a: 1\n---\nkind: B\nlist: # kept\n  - a: 2\n"


def test_tags_are_followed_as_far_as_they_mean_something() -> None:
    text = "kind: K\na: !!str 1\nb: !!int '3'\nc: &x !!str yes\nd: !!binary aGk=\n"
    assert parse(text, "t").documents[0].value == {"kind": "K", "a": "1", "b": 3, "c": "yes", "d": "hi"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("kind: K\na: [1\n", "f:3:1: not YAML"),
        ("kind: K\n\ta: 1\n", "f:2:1: not YAML"),
        ("kind: K\na: *nobody\n", "f:2:4: not YAML"),
        ("kind: K\na: 1\nb: 2\na: 3\n", "f:4:1: the key 'a' is there twice"),
        ("kind: K\na: !secret x\n", "f:2:4: the tag !secret"),
        ("kind: K\n? [a]\n: b\n", "f:2:3: a key must be a text"),
        ("kind: K\na: &a\n  b: *a\n", "aliases"),
        ("kind: K\na: {<<: 1}\n", "<< needs a mapping"),
        ("- a\n", "f:1: is a list, not a Kubernetes object"),
        ("kind: K\n---\nhello\n", "f:3: is the value 'hello', not"),
        ("apiVersion: v1\n", "f:1: has no kind"),
        ("kind: 7\n", "f:1: has no kind"),
        ('{"kind": "K" 1}', "f:1:14: not JSON"),
        ('{"kind": "K"}\n{"kind": "K", "a": 1, "a": 2}', "f:2: the key 'a' is there twice"),
        ('{"kind": "K", "a": NaN}', "f:1: NaN isn't JSON"),
        ('{"kind": "K"} x', "f:1:15: not JSON"),
        ("a: " + "[" * 5000, "nested too deeply"),
        ("[" * 100000, "nested too deeply"),
    ],
)
def test_what_can_not_be_read_is_named_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse(text, "f")
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_few_lines_that_mean_billions_are_refused() -> None:
    lines = ["kind: K", "a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(ManifestError, match="aliases that mean more than"):
        parse("\n".join(lines), "f")


def test_json_streams_stay_json() -> None:
    text = '{"kind":"A"}\n{\n   "kind": "B",\n   "x": "\\ud800 é"\n}'
    stream = parse(text, "f")
    changed = stream.rewritten([{"kind": "A"}, {"kind": "B", "x": "\ud800 é", "y": [1]}])
    assert changed.startswith('{"kind":"A"}\n{\n   "kind": "B",\n   "x": "\\ud800 ')
    assert json.loads(changed[13:]) == {"kind": "B", "x": "\ud800 é", "y": [1]}
    changed.encode("utf-8")


def test_lines_of_places() -> None:
    (document,) = parse("# c\nkind: Pod\nspec:\n  containers:\n  - name: a\n    env: []\n", "f").documents
    assert document.line_of(("spec", "containers", 0, "env")) == 6
    assert document.line_of(("spec", "containers", 0)) == 5
    assert document.line_of(("spec", "volumes", 3)) == 3
    assert document.line_of(()) == 2
