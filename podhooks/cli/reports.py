"""Reports and findings as lines for people, and where in which file they are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from podhooks import contract
from podhooks.annotations.durations import format_duration
from podhooks.annotations.finding import Finding
from podhooks.inject import REASONS, InjectSettings, ObjectReport, Outcome, Report, inject_object
from podhooks.inject.report import NOT_ANNOTATED
from podhooks.inject.shapes import Path, Pod
from podhooks.yamltext.stream import Document, Stream

_FIELD = re.compile(r"\[([^\]]*)\]|([^.\[\]]+)")
_ANNOTATION = re.compile(r"[a-z.]+/[A-Za-z0-9._-]+?(?=[.\[]|$)")


@dataclass(frozen=True)
class Judged:
    """One document: what it becomes, and the reports on the pods in it."""

    stream: Stream
    document: Document
    result: Pod
    reports: tuple[ObjectReport, ...]


def judge(streams: Sequence[Stream], settings: InjectSettings) -> list[Judged]:
    return [
        Judged(stream, document, *inject_object(document.value, settings))
        for stream in streams
        for document in stream.documents
    ]


def place_of(judged: Judged, each: ObjectReport, found: Finding) -> tuple[str, int]:
    """The file and the line, from 1, that a finding is about: as near as can be told."""
    return judged.stream.name, judged.document.line_of(path_of(each, found))


def path_of(each: ObjectReport, found: Finding) -> Path:
    """From the document's root. A finding's place is an annotation's name, or a field of the object."""
    annotation = _ANNOTATION.match(found.where)
    if annotation:
        return (*each.path, "metadata", "annotations", annotation[0])
    parts = [index or name for index, name in _FIELD.findall(found.where)]
    return (*each.at, *(int(part) if part.isdigit() else part for part in parts))


def finding_line(judged: Judged, each: ObjectReport, found: Finding) -> str:
    name, line = place_of(judged, each, found)
    return f"{name}:{line}: {each.label}: {found}"


def finding_lines(judged: Judged) -> Iterator[str]:
    return (finding_line(judged, each, found) for each in judged.reports for found in each.report.findings)


def outcome_line(each: ObjectReport) -> str:
    """One line on what was done to one object."""
    report = each.report
    if report.outcome in (Outcome.SKIPPED, Outcome.REMOVED):
        return f"{each.label}: {report.outcome.value}: {REASONS[report.reasons[0]]}"
    if report.outcome is Outcome.REFUSED:
        return f"{each.label}: refused: {', '.join(report.reasons)}"
    before = f" (was injected by {report.previous})" if report.outcome is Outcome.UPDATED else ""
    return f"{each.label}: {report.outcome.value}{before}: {_what(report)}"


def _what(report: Report) -> str:
    plan = report.plan
    hooks = [f"{len(callbacks)} at {hook}" for hook, callbacks in (("start", plan.on_start), ("exit", plan.on_exit))]
    main = contract.ALL_CONTAINERS if plan.main_container == contract.ALL_CONTAINERS else report.main[0]
    return f"{plan.mode.value}, main {main}, callbacks {' and '.join(hooks)}{_grace(report)}"


def _grace(report: Report) -> str:
    if report.grace_seconds is None:
        return ""
    before, after = report.grace_seconds
    own = contract.DEFAULT_GRACE_SECONDS if before is None else before
    return f", grace period {format_duration(own)} -> {format_duration(after)}"


def annotated(each: ObjectReport) -> bool:
    return NOT_ANNOTATED not in each.report.reasons


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
