"""Manifests as text: read as kubectl reads them, changed only where they change."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from podhooks.errors import ManifestError
from podhooks.inject import inject_object, uninject_object
from podhooks.yamltext import emit
from podhooks.yamltext.scalars import resolve, written
from podhooks.yamltext.stream import parse
from tests.dressed import Dresser
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
        ("08", 8),  # no octal, so it is a float to Go, which writes it without a fraction
        ("1.5", 1.5),
        ("1e3", 1000),
        ("1e-3", 0.001),
        ("12e4567", "12e4567"),  # too large for a float, so it is a text to Go
        ("-0b11", -3),
        ("0o8", "0o8"),
        ("18446744073709551615", 18446744073709551615.0),
        ("99999999999999999999999", 1e23),
        ("9" * 5000, "9" * 5000),
        (".5e400", ".5e400"),
        (".1_0", 0.1),
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
def manifests(draw: st.DrawFn) -> str:
    """A text with a pod in it, in any mixture of styles, with comments anywhere."""
    pod = draw(pods())
    text = "---\n" + Dresser(draw(st.randoms(use_true_random=False))).document({"kind": "Pod", **pod})
    text = text.removesuffix("\n") + draw(st.sampled_from(["\n", "", "\n# end\n", "\n...\n"]))
    return draw(st.sampled_from([text, text.replace("\n", "\r\n")]))


@pytest.mark.parametrize("empty", ["", " null", " ~", " {}", "   {}", " # a comment"])
def test_labels_that_were_empty_come_back_with_their_letters(empty: str) -> None:
    """The label of `guarantee: cluster` makes a mapping of them."""
    text = (
        "kind: Pod\nmetadata:\n  annotations: {podhooks.io/on-exit: 'a:b', podhooks.io/guarantee: cluster}\n"
        f"  labels:{empty}\n  name: x\nspec: {{containers: [{{name: a, image: a}}]}}\n"
    )
    stream = parse(text, "t")
    changed = stream.rewritten([inject_object(each.value)[0] for each in stream.documents])
    assert "    podhooks.io/guarantee: cluster" in changed.text
    again = parse(changed.text, "t")
    assert again.rewritten([uninject_object(each.value)[0] for each in again.documents]).text == text


@given(manifests())
@settings(max_examples=50)
def test_injecting_adds_to_the_text_and_uninjecting_gives_the_very_same_back(text: str) -> None:
    stream = parse(text, "t")
    values = [inject_object(each.value)[0] for each in stream.documents]
    changed = stream.rewritten(values)
    assert not changed.anew
    assert [each.value for each in parse(changed.text, "t").documents] == values
    again = parse(changed.text, "t")
    back = again.rewritten([uninject_object(each.value)[0] for each in again.documents])
    assert back.text == text
    left = changed.text
    for remark in re.findall(r"(?:^|(?<=\s))#(?! was ).*", text):
        assert remark in left
        left = left[left.index(remark) + len(remark) :]


def test_merge_keys_and_aliases_are_followed() -> None:
    text = "kind: K\nbase: &base {a: 1, b: 2}\nmore: {<<: *base, b: 3}\nmany: {<<: [*base, {a: 9, c: 4}]}\n"
    assert parse(text, "t").documents[0].value == {
        "kind": "K",
        "base": {"a": 1, "b": 2},
        "more": {"a": 1, "b": 3},
        "many": {"a": 1, "b": 2, "c": 4},
    }


def test_an_alias_of_what_changes_is_written_out_and_comes_back() -> None:
    text = "kind: A\nlist: &x\n  - name: 1 # kept\nother: *x # this too\n"
    stream = parse(text, "t")
    changed = stream.rewritten([{"kind": "A", "list": [{"name": 1}, {"name": 2}], "other": [{"name": 1}]}])
    assert changed.text == (
        "kind: A\nlist: &x\n  - name: 1 # kept\n  - name: 2\nother: # was *x # this too\n  - name: 1\n"
    )
    back = parse(changed.text, "t").rewritten([each.value for each in stream.documents])
    assert (back.text, back.anew) == (text, ())


def test_a_merged_list_that_changes_gets_a_key_of_its_own_and_comes_back() -> None:
    text = "kind: A\nbase: &b {list: [1]}\nx:\n  <<: *b\n  z: 1\n"
    stream = parse(text, "t")
    changed = stream.rewritten([{"kind": "A", "base": {"list": [1]}, "x": {"list": [1, 2], "z": 1}}])
    assert changed.text == text + "  list: # was <<\n    - 1\n    - 2\n"
    back = parse(changed.text, "t").rewritten([each.value for each in stream.documents])
    assert (back.text, back.anew) == (text, ())


def test_a_document_that_is_written_anew_is_named_and_costs_no_other_its_comments() -> None:
    aliased = "kind: A\nlist: &x\n  - a: 1 # gone\nother:\n  - *x\n"
    plain = "kind: B\nlist: # kept\n  - a: 1\n"
    stream = parse(f"{aliased}---\n{plain}", "t")
    changed = stream.rewritten(
        [{"kind": "A", "list": [{"a": 2}], "other": [[{"a": 1}]]}, {"kind": "B", "list": [{"a": 2}]}]
    )
    assert changed.text == "kind: A\nlist:\n  - a: 2\nother:\n  - - a: 1\n---\nkind: B\nlist: # kept\n  - a: 2\n"
    assert changed.anew == (stream.documents[0],)


@pytest.mark.parametrize(
    ("text", "new", "changed"),
    [
        ("kind: K\nx: [a] # c\n", {"x": ["a", "b"]}, "kind: K\nx: [a, b] # c\n"),
        ("kind: K\nx: [a, ]\n", {"x": ["b", "a"]}, "kind: K\nx: [b, a, ]\n"),
        ("kind: K\nx: [\n  a # c\n]\n", {"x": ["a", "b"]}, "kind: K\nx: [\n  a, # c\n  b\n]\n"),
        ("kind: K\nx: [\n  a,\n]\n", {"x": ["b", "a"]}, "kind: K\nx: [\n  b,\n  a,\n]\n"),
        ("kind: K\nx: [{a: 1}]\n", {"x": [{"a": 1, "b": "y z"}]}, 'kind: K\nx: [{a: 1, b: "y z"}]\n'),
        ("{kind: K, x: {}}\n", {"x": {"a": 1}}, "{kind: K, x: {a: 1}}\n"),
        ('{"kind":"K", "x":[]}\n', {"x": ["yes"]}, '{"kind":"K", "x":["yes"]}\n'),
        ("kind: K\nx: # c\n", {"x": ["a"]}, "kind: K\nx: # c\n  - a\n"),
        ("kind: K\nx:  ~ # c\n", {"x": ["a"]}, "kind: K\nx: # was  ~ # c\n  - a\n"),
        ("kind: K\nx: [ ]\n", {"x": ["a"]}, "kind: K\nx: # was [ ]\n  - a\n"),
        (
            "kind: K\nx:\n  -\n    name: a\n",
            {"x": [{"name": "b"}, {"name": "a"}]},
            "kind: K\nx:\n  - name: b\n  -\n    name: a\n",
        ),
        ("kind: K\nx:\n  - |+\n    a\n\n# c\n", {"x": ["a\n\n", "b"]}, "kind: K\nx:\n  - |+\n    a\n\n  - b\n# c\n"),
        ("kind: K\nx: null\n", {"x": 1}, "kind: K\nx: 1 # was null\n"),
    ],
)
def test_what_is_put_in_looks_like_what_is_around_it_and_goes_without_a_trace(
    text: str, new: dict[str, Any], changed: str
) -> None:
    stream = parse(text, "t")
    found = stream.rewritten([{**stream.documents[0].value, **new}])
    assert (found.text, found.anew) == (changed, ())
    back = parse(changed, "t").rewritten([stream.documents[0].value])
    assert (back.text, back.anew) == (text, ())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"""x: "it\'s" """, "it's"),
        (r"""x: 'C:\' """, "C:\\"),
        ("x: nginx\t# pinned", "nginx"),
        ("x: 12e4567", "12e4567"),
        ("x: !secret a", "a"),
        ("x: {a: 1, a: 2}", {"a": 2}),
        ("x: {a: 1, <<: {a: 2}}", {"a": 2}),
        ("x: {<<: {a: 2}, a: 1}", {"a": 1}),
        ("x: {yes: 1, 0x1F: 2, 1.5: 3, .inf: 4, '1': 5}", {"true": 1, "31": 2, "1.5": 3, ".inf": 4, "1": 5}),
        ("x: {a, b: , }", {"a": None, "b": None}),
    ],
)
def test_it_is_read_as_kubectl_reads_it(text: str, value: object) -> None:
    """Seen with kubectl 1.37: `kubectl annotate --local -o json -f - x=y`."""
    assert parse(f"kind: K\n{text}\n", "t").documents[0].value["x"] == value


def test_a_key_that_is_there_twice_is_said_for_the_last_one_holds() -> None:
    assert parse("kind: K\na: 1\nb: 2\na: 3\n", "f").notes == ("f:4:1: the key 'a' is there twice: the last one holds",)
    assert parse('{"kind": "K", "a": 1, "a": 3}', "f").notes == ("f:1: the key 'a' is there twice: the last one holds",)


def test_a_python_without_libyaml_reads_with_the_slower_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[1] / "golden" / "anchors" / "input.yaml").read_text()
    fast = parse(text, "t")
    monkeypatch.delattr(yaml, "CSafeLoader")
    slow = parse(text, "t")
    assert [each.value for each in slow.documents] == [each.value for each in fast.documents]
    values = [inject_object(each.value)[0] for each in slow.documents]
    assert slow.rewritten(values) == fast.rewritten(values)
    assert not slow.rewritten(values).anew


def test_tags_are_followed_as_far_as_they_mean_something() -> None:
    text = "kind: K\na: !!str 1\nb: !!int '3'\nc: &x !!str yes\nd: !!binary aGk=\n"
    assert parse(text, "t").documents[0].value == {"kind": "K", "a": "1", "b": 3, "c": "yes", "d": "hi"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("kind: K\na: [1\n", "f:3:1: not YAML"),
        ("kind: K\n\ta: 1\n", "f:2:1: not YAML"),
        ("kind: K\na: *nobody\n", "f:2:4: not YAML: there is no &nobody"),
        ("kind: K\na: .inf\n", "f:2:4: .inf is a number that Kubernetes doesn't have"),
        ("kind: K\na: !!int x\n", "f:2:4: 'x' isn't !!int"),
        ("kind: K\na: !!binary x\n", "f:2:4: isn't base64"),
        ("kind: K\n~: x\n", "f:2:1: a key must be a text"),
        ("%YAML 1.2\n---\nkind: K\n", "f:1: kubectl reads no lines that begin with %"),
        ("kind: K\na: \x07\n", "f:2: not YAML: holds the character U+0007"),
        ('{"kind": "K", "a": ' + "1" * 5000 + "}", "f:1: a number of 5000 digits"),
        ('{"kind": "K", "a": 1e999}', "f:1: 1e999 is a number"),
        ("kind: K\n? [a]\n: b\n", "f:2:3: a key must be a text"),
        ("kind: K\na: &a\n  b: *a\n", "f:3:6: not YAML: &a holds itself"),
        ("kind: K\na: {<<: 1}\n", "<< needs a mapping"),
        ("- a\n", "f:1: is a list, not a Kubernetes object"),
        ("kind: K\n---\nhello\n", "f:3: is the value 'hello', not"),
        ("apiVersion: v1\n", "f:1: has no kind"),
        ("kind: 7\n", "f:1: has no kind"),
        ('{"kind": "K" 1}', "f:1:14: not JSON"),
        ('{"kind": "K", "a": NaN}', "f:1: NaN isn't JSON"),
        ('{"kind": "K"} x', "f:1:15: not JSON"),
        ("kind: K\na: " + "[" * 300 + "]" * 300, "f:2: nested too deeply"),
        ("a: " + "[" * 5000, "nesting depth"),
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
    changed = stream.rewritten([{"kind": "A"}, {"kind": "B", "x": "\ud800 é", "y": [1]}]).text
    assert changed.startswith('{"kind":"A"}\n{\n   "kind": "B",\n   "x": "\\ud800 ')
    assert json.loads(changed[13:]) == {"kind": "B", "x": "\ud800 é", "y": [1]}
    changed.encode("utf-8")


def test_lines_of_places() -> None:
    (document,) = parse("# c\nkind: Pod\nspec:\n  containers:\n  - name: a\n    env: []\n", "f").documents
    assert document.line_of(("spec", "containers", 0, "env")) == 6
    assert document.line_of(("spec", "containers", 0)) == 5
    assert document.line_of(("spec", "volumes", 3)) == 3
    assert document.line_of(()) == 2
