"""Manifests before and after, to the byte: tests/golden/<case>/{input,expected}.* with report.txt and flags.txt.

`pytest tests/unit/test_golden.py --update-golden` writes what is expected anew; the diff is the review.
"""

import argparse
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from podhooks.cli.arguments import add_settings_arguments, settings_from
from podhooks.cli.reports import finding_lines, judge, outcome_line
from podhooks.inject import InjectSettings, uninject_object
from podhooks.inject.templates import look_up, objects, pod_templates
from podhooks.version import __version__
from podhooks.yamltext.stream import Stream, parse
from tests.pod_security import violations

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = sorted(each for each in GOLDEN.iterdir() if each.is_dir())
VERSION = "VERSION"  # stands for ours, so that a release changes no file


def read(case: Path) -> Stream:
    (path,) = case.glob("input.*")
    return parse(path.read_bytes().decode("utf-8"), path.name)


def flags(case: Path) -> InjectSettings:
    parser = argparse.ArgumentParser()
    add_settings_arguments(parser)
    path = case / "flags.txt"
    return settings_from(parser.parse_args(path.read_text().split() if path.exists() else []))


def outcome(stream: Stream, settings: InjectSettings) -> tuple[str | None, str]:
    """The changed text (None with an error) and the report."""
    judged = judge([stream], settings)
    lines = [line for one in judged for line in finding_lines(one)]
    lines += [outcome_line(each) for one in judged for each in one.reports]
    refused = any(each.report.errors for one in judged for each in one.reports)
    text = None if refused else stream.rewritten([one.result for one in judged]).text
    return text, "\n".join(lines) + "\n"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_golden(case: Path, update_golden: bool) -> None:
    stream = read(case)
    text, report = outcome(stream, flags(case))
    expected = case / f"expected{Path(stream.name).suffix}"
    shown = None if text is None else text.replace(__version__, VERSION)
    if update_golden:
        (case / "report.txt").write_text(report.replace(__version__, VERSION))
        if shown is not None:
            expected.write_bytes(shown.encode())
    assert report.replace(__version__, VERSION) == (case / "report.txt").read_text()
    assert shown == (expected.read_bytes().decode() if expected.exists() else None)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_golden_is_taken_back_to_the_byte_and_not_changed_by_a_second_time(case: Path) -> None:
    stream, settings = read(case), flags(case)
    text, _ = outcome(stream, settings)
    if text is None:
        return
    changed = parse(text, stream.name)
    assert outcome(changed, settings)[0] == text
    back = changed.rewritten([uninject_object(each.value)[0] for each in changed.documents]).text
    assert [each.value for each in parse(back, "back").documents] == [each.value for each in stream.documents]
    assert back == stream.text


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_golden_is_what_the_api_accepts(case: Path) -> None:
    stream, settings = read(case), flags(case)
    text, _ = outcome(stream, settings)
    after = parse(text, "").documents if text is not None else ()
    for old, new in zip(stream.documents, after, strict=False):
        for each, _ in objects(new.value):
            if "." not in each["apiVersion"]:  # not of a custom resource
                kubernetes_validate.validate(dict(each), "1.36", strict=True)
        for (before, _, below), (then, _, _) in zip(pod_templates(old.value), pod_templates(new.value), strict=True):
            if not violations(pod_spec(before, below)):
                assert violations(pod_spec(then, below)) == []


def pod_spec(obj: Any, below: tuple[str | int, ...]) -> dict[str, Any]:
    found = look_up(obj, (*below, "spec"))
    assert isinstance(found, dict)
    return found
