"""The small YAML reader: whatever it accepts is what real YAML readers make of it, and the rest is refused politely."""

import io
import json
import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from podhooks.annotations.yaml_subset import MAX_DEPTH, YamlError, loads
from podhooks.errors import PlanError

Json = Any


def ruamel(text: str) -> list[Json]:
    """The documents of a text, as the reference reads them."""
    return list(YAML(typ="safe", pure=True).load_all(text))


def identical(one: Json, other: Json) -> bool:
    """Equal, with 1 and True and 1.0 told apart, and keys in the same order."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(identical(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(identical, one, other))
    return bool(one == other)


EXAMPLE = """
- notify:main
- call: pkg.mod:fn
  with: {channel: ops, count: 3}
  timeout: 30s
- exec: [curl, -fsS, "http://x"]
- exec:
  - sh
  - -c
  - echo hi
"""


def test_the_lists_that_people_write_are_read() -> None:
    assert loads(EXAMPLE) == [
        "notify:main",
        {"call": "pkg.mod:fn", "with": {"channel": "ops", "count": 3}, "timeout": "30s"},
        {"exec": ["curl", "-fsS", "http://x"]},
        {"exec": ["sh", "-c", "echo hi"]},
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("# nothing\n", None),
        ("a", "a"),
        ("- a\n-\n- b", ["a", None, "b"]),
        ("- - a\n  - b\n- c", [["a", "b"], "c"]),
        ("a:\n- b\n- c\nd: e", {"a": ["b", "c"], "d": "e"}),
        ("a:\n    b:\n      - c: d\n        e: f", {"a": {"b": [{"c": "d", "e": "f"}]}}),
        ("a:\nb: ~", {"a": None, "b": None}),
        ("a : b # c\n'd e' : f#g", {"a": "b", "d e": "f#g"}),
        ("[a,\n  b, # why\n  {c: d,},\n]", ["a", "b", {"c": "d"}]),
        ('{"a":1,"b":[true,null,-2.5]}', {"a": 1, "b": [True, None, -2.5]}),
        ("{a: , b: c}", {"a": None, "b": "c"}),
        ("- 'it''s'\n- \"a\\tb\\u00e9\\x41\\\\\"", ["it's", "a\tb\u00e9A\\"]),
        ("- 30s\n- 1h30m\n- 10.0.0.1\n- 1.5.2\n- 0abc", ["30s", "1h30m", "10.0.0.1", "1.5.2", "0abc"]),
        ("- -c\n- --x=y\n- -fsS", ["-c", "--x=y", "-fsS"]),
        ("- 0\n- -7\n- 1.25\n- 1.5e+3\n- True\n- FALSE\n- Null", [0, -7, 1.25, 1500.0, True, False, None]),
        ("- a  # b\n- [c]  # d\n- e:  # f\n- 'g'  # h", ["a", ["c"], {"e": None}, "g"]),
        ("a: b\r\nc: d\r\n", {"a": "b", "c": "d"}),
        ("- pkg.mod:fn\n- /a/b.py:fn\n- http://x/?a=b&c=d#e", ["pkg.mod:fn", "/a/b.py:fn", "http://x/?a=b&c=d#e"]),
    ],
)  # fmt: skip
def test_what_is_read_is_what_yaml_means(text: str, value: Json) -> None:
    assert identical(loads(text), value)
    assert identical(ruamel(text) or [None], [value])


@pytest.mark.parametrize("word", [
    "yes", "No", "ON", "off", "y", "N", "0123", "0o17", "0x1F", "0b11", "1_000", "+1", "1.", ".5", "1e3", "1.5e3",
    "1:30", "10:20:30.5", "2001-12-14", "2001-12-14 21:59:43", "2001-12-14t21:59:43Z", ".inf", "-.INF", ".nan",
    "1.5e+999", "-_", "=", "<<",
])  # fmt: skip
@pytest.mark.parametrize("form", ["{}", "- {}", "a: {}", "[{}]", "{{a: {}}}", "{}: a", "{{{}: a}}"])
def test_what_old_and_new_readers_see_differently_must_be_quoted(word: str, form: str) -> None:
    with pytest.raises(YamlError, match="quote"):
        loads(form.format(word))
    assert loads(f"- '{word}'") == [word]


@pytest.mark.parametrize(
    ("text", "position", "advice"),
    [
        ("- &a b", "line 1, column 3", "anchors aren't read: write JSON instead"),
        ("- *a", "line 1, column 3", "aliases aren't read"),
        ("- !!str a", "line 1, column 3", "tags aren't read: write JSON instead"),
        ("- a\n- |\n  b", "line 2, column 3", "several lines aren't read: write JSON instead"),
        ("a: >-\n  b", "line 1, column 4", "several lines aren't read: write JSON instead"),
        ("? a\n: b", "line 1, column 1", "keys that begin with \\? aren't read"),
        ("---\na: b", "line 1, column 1", "documents aren't read"),
        ("- a\n---\n- b", "line 2, column 1", "documents aren't read"),
        ("[a,\n---\n]", "line 2, column 1", "documents aren't read"),
        ("- a\n...", "line 2, column 1", "documents aren't read"),
        ("%YAML 1.2", "line 1, column 1", "can't begin with %"),
        ("a:\n\tb: c", "line 2, column 1", "a tab"),
        ("a:\tb", "line 1, column 3", "a tab"),
        ("a: b\tc", "line 1, column 4", "a tab in a text"),
        ("a: b\na: c", "line 2, column 1", "'a' is there twice"),
        ("{a: b, a: c}", "line 1, column 8", "'a' is there twice"),
        ("1: a", "line 1, column 1", "a key must be text"),
        ("{null: a}", "line 1, column 2", "a key must be text"),
        ("[a]: b", "line 1, column 4", "nothing can stand here"),
        ("a: b: c", "line 1, column 5", "nothing can stand here"),
        ("a: - b", "line 1, column 4", "begin it on the next line"),
        ("- a\n  b", "line 2, column 3", "indented more"),
        ("  - a\n- b", "line 2, column 1", "check the indentation"),
        ("a: 'b\n  c'", "line 1, column 4", "isn't closed on its line"),
        ('a: "b\n  c"', "line 1, column 4", "isn't closed on its line"),
        ('a: "\\q"', "line 1, column 5", "no such escape"),
        ('a: "\\ud83d"', "line 1, column 5", "stands for no character"),
        ('a: "\\u12"', "line 1, column 5", "stands for no character"),
        ("a: [b", "line 1, column 4", "isn't closed"),
        ("a: [b,\n c", "line 1, column 4", "isn't closed"),
        ("{", "line 1, column 1", "isn't closed"),
        ("[a: b]", "line 1, column 3", "a comma or \\] belongs here"),
        ("[a, , b]", "line 1, column 5", "can't begin with ,"),
        ("[a,#b\n]", "line 1, column 4", "can't begin with #"),
        ("- 'a'#b", "line 1, column 6", "nothing can stand here"),
        ("{a}", "line 1, column 3", "needs a colon"),
        ("{a:}", "line 1, column 3", "needs a colon and a blank"),
        ("- a\nb: c", "line 2, column 1", "doesn't belong"),
        ("- a\x07", "line 1, column 4", "U\\+0007"),
        ("- a\u2028b", "line 1, column 4", "U\\+2028"),
        ("a" * 1100 + ": b", "line 1, column 1", "longer than 1000"),
    ],
)
def test_everything_else_is_refused_with_its_position_and_what_to_do(text: str, position: str, advice: str) -> None:
    with pytest.raises(YamlError, match=f"^{position}: .*{advice}") as refused:
        loads(text)
    assert isinstance(refused.value, PlanError)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "- " * 100_000 + "a", "{a: " * 100_000, "".join(" " * n + "a:\n" for n in range(900))]
)
def test_depth_has_an_end_before_pythons_own(text: str) -> None:
    with pytest.raises(YamlError, match=f"more than {MAX_DEPTH} deep"):
        loads(text)


# What people put into such lists, and the characters in between.
words = st.one_of(
    st.sampled_from(["a", "pkg.mod:fn", "-c", "30s", "yes", "0123", "1:30", "null", "~", "#x", "a #b", "a: b"]),
    st.sampled_from(["", " a ", "x\ty", "é", "'", '"', "\\", "a\nb"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False).map(lambda number: round(number, 3))
structures = st.recursive(
    words | numbers | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)
plain_words = st.from_regex(r"[a-z/][a-z0-9./:_=-]{0,10}[a-z0-9]", fullmatch=True).filter(
    lambda word: word not in ("no", "on", "off", "yes", "null", "true", "false")
)


def plain_structures(fewest_keys: int) -> st.SearchStrategy[Json]:
    return st.recursive(
        plain_words | st.integers() | st.booleans() | st.none(),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(plain_words, inner, min_size=fewest_keys, max_size=4)
        ),
        max_leaves=12,
    )


def dumped(value: Json, *, flow: bool) -> str:
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = flow
    yaml.width = 1_000_000
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    stream = io.StringIO()
    yaml.dump(value, stream)
    return stream.getvalue().removesuffix("...\n")


@given(structures, st.booleans())
def test_what_a_yaml_library_writes_is_read_as_that_library_reads_it_or_refused(value: Json, flow: bool) -> None:
    text = dumped(value, flow=flow)
    try:
        read = loads(text)
    except YamlError:
        return
    assert identical([read], ruamel(text) or [None])


@given(plain_structures(fewest_keys=0))
def test_plain_structures_in_block_style_are_read(value: Json) -> None:
    assert identical(loads(dumped(value, flow=False)), value)


@given(plain_structures(fewest_keys=2))  # the library writes [{a: b}] as [a: b], which is refused
def test_plain_structures_in_flow_style_are_read(value: Json) -> None:
    assert identical(loads(dumped(value, flow=True)), value)


@given(structures, st.sampled_from([None, 1]))
def test_json_is_read_but_for_the_numbers_of_its_own(value: Json, indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    try:
        assert identical(loads(text), value)
    except YamlError as refused:
        if not re.search("same to every reader|stands for no character", str(refused)):
            raise


PIECES = [
    *"- -:,[]{}#?&*!|>%@`'\"\n.+_\\=~\t\r",
    *(
        "\n  ",
        "\n    ",
        "\n- ",
        "\n  - ",
        ": ",
        ", ",
        " #",
        "key: ",
        "''",
        '"x"',
        "'y'",
        '{"a":1}',
        '"k":',
        "a",
        "b",
        "é",
    ),
    *("1", "-1", "0", "1.5", "1.0e+3", "yes", "true", "null", "<<", "2001-01-01", "0x1f", "e5"),
    *("---", "...", "a:b", "http://x", "-fsS", "\u2028", "\x85", "\ufeff"),
]


@settings(max_examples=400)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=12))
@example("- -_")
@example("{a: b, c: }")
def test_no_text_is_read_differently_from_the_reference(text: str) -> None:
    try:
        read = loads(text)
    except YamlError:
        return
    try:
        expected = ruamel(text)
    except YAMLError as error:
        pytest.fail(f"accepted {text!r} as {read!r}, which the reference refuses: {error}")
    assert identical([read], expected or [None])


@settings(max_examples=300)
@given(st.data())
def test_no_damaged_list_is_read_differently_from_the_reference(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(EXAMPLE)))
    end = data.draw(st.integers(start, min(start + 4, len(EXAMPLE))))
    damaged = EXAMPLE[:start] + data.draw(st.sampled_from(["", *PIECES])) + EXAMPLE[end:]
    test_no_text_is_read_differently_from_the_reference.hypothesis.inner_test(damaged)  # type: ignore[attr-defined]
