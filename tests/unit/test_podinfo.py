"""What the pod knows of itself: the downward API's files and variables."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podhooks import contract
from podhooks.context import Hook, Owner, PodInfo
from podhooks.errors import InputError
from podhooks.pod import info as podinfo

GO_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}


def go_quote(text: str) -> str:
    """Go's strconv.Quote for valid text, as its documentation describes it."""
    out = []
    for letter in text:
        if letter in '"\\':
            out.append("\\" + letter)
        elif letter in GO_ESCAPES:
            out.append(GO_ESCAPES[letter])
        elif letter.isprintable():
            out.append(letter)
        elif ord(letter) < 0x80:
            out.append(f"\\x{ord(letter):02x}")
        else:
            out.append(f"\\u{ord(letter):04x}" if ord(letter) < 0x10000 else f"\\U{ord(letter):08x}")
    return '"' + "".join(out) + '"'


@pytest.mark.parametrize(
    ("quoted", "value"),
    [
        ('"plain"', "plain"),
        ('""', ""),
        (r'"a\nb\tc"', "a\nb\tc"),
        (r'"say \"hi\" \\ bye"', 'say "hi" \\ bye'),
        (r'"\a\b\f\r\v"', "\a\b\f\r\v"),
        (r'"\u00e9 \u2028 \U0001F600"', "é \u2028 \U0001f600"),
        (r'"\x7f"', "\x7f"),
        (r'"\xc3\xa9"', "é"),
        (r'"\xff"', "\ufffd"),
        ('"ü=\'"', "ü='"),
        (r'"\q \u12"', "\\q \x12"),
        (r'"\uzzzz"', "\\uzzzz"),
        (r'"[\n  {\"call\": \"a:b\"}\n]\n"', '[\n  {"call": "a:b"}\n]\n'),
    ],
)
def test_a_quoted_value_is_what_go_meant(quoted: str, value: str) -> None:
    assert podinfo.parse_quoted_lines(f"key={quoted}\n") == {"key": value}


@given(st.dictionaries(st.from_regex(r"[a-z./-]{1,30}", fullmatch=True), st.text(), max_size=5))
def test_every_text_comes_back(values: dict[str, str]) -> None:
    text = "\n".join(f"{name}={go_quote(value)}" for name, value in values.items())
    assert podinfo.parse_quoted_lines(text) == values


@given(st.text())
def test_any_text_is_survived(text: str) -> None:
    podinfo.parse_quoted_lines(text)
    podinfo.parse_quoted_lines(f'a="{text}"')


def test_lines_that_are_none_are_passed_over() -> None:
    assert podinfo.parse_quoted_lines('a="1"\n\nnonsense\nb=unquoted\n="x"\nc="2"') == {"a": "1", "c": "2"}


def test_the_pod_is_read_from_files_and_variables(tmp_path: Path) -> None:
    (tmp_path / "annotations").write_text('podhooks.io/on-exit="a:b\\nc:d"\n')
    (tmp_path / "labels").write_text('app="x"\n')
    environ = {
        contract.ENV_POD_NAME: "p",
        contract.ENV_POD_NAMESPACE: "ns",
        contract.ENV_POD_UID: "u",
        contract.ENV_NODE_NAME: "n",
    }
    pod = podinfo.read(str(tmp_path), environ)
    assert pod == PodInfo("p", "ns", "u", "n", {"app": "x"}, {"podhooks.io/on-exit": "a:b\nc:d"})


def test_what_is_missing_is_empty(tmp_path: Path) -> None:
    (tmp_path / "annotations").write_text("")
    assert podinfo.read(str(tmp_path), {}) == PodInfo("", "", "", "", {}, {})


def test_without_annotations_nothing_is_run_in_silence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"can't be read: {tmp_path}/annotations: No such file"):
        podinfo.read(str(tmp_path), {})


@pytest.mark.parametrize(
    ("labels", "annotations", "owner"),
    [
        ({}, {}, None),
        ({contract.LABEL_JOB_NAME: "j"}, {}, Owner("Job", "j")),
        ({contract.LABEL_JOB_NAME: "j", contract.LABEL_JOB_COMPLETION_INDEX: "3"}, {}, Owner("Job", "j", 3)),
        ({contract.LABEL_JOB_NAME: "j"}, {contract.ANNOTATION_JOB_COMPLETION_INDEX: "0"}, Owner("Job", "j", 0)),
        ({contract.LABEL_JOB_NAME: "j", contract.LABEL_JOB_COMPLETION_INDEX: "x"}, {}, Owner("Job", "j")),
    ],
)
def test_a_job_is_found_as_the_owner(labels: dict[str, str], annotations: dict[str, str], owner: Owner | None) -> None:
    assert podinfo.owner(PodInfo("p", "ns", "u", labels=labels, annotations=annotations)) == owner


@pytest.mark.parametrize(
    ("environ", "labels", "expected"),
    [
        ({}, {}, None),
        ({"PREFECT__FLOW_RUN_ID": "a"}, {contract.LABEL_FLOW_RUN_ID: "c"}, "a"),
        ({"PREFECT_FLOW_RUN_ID": "b"}, {}, "b"),
        ({}, {contract.LABEL_FLOW_RUN_ID: "c"}, "c"),
        ({"PREFECT__FLOW_RUN_ID": ""}, {}, None),
    ],
)
def test_prefects_flow_run_is_found(environ: dict[str, str], labels: dict[str, str], expected: str | None) -> None:
    assert podinfo.flow_run_id(PodInfo("p", "ns", "u", labels=labels), environ) == expected


def test_the_pod_object_is_fetched_only_when_asked_for() -> None:
    asked = []

    def fetch() -> dict[str, object]:
        asked.append(1)
        return {"kind": "Pod"}

    pod = PodInfo("p", "ns", "u")
    context = podinfo.base_context(Hook.ON_START, pod, {}, main_container="m", shared_dir="/s", pod_object=fetch)
    assert not asked
    assert context.pod_object == {"kind": "Pod"}
    assert (context.shared, context.main_container, context.exit) == ("/s", "m", None)
