"""Findings as admission warnings: what kubectl shows to whoever applied the pod.

The API server cuts a warning at 256 characters, and drops all of them behind 4096 in sum over all webhooks, silently.
So they are cut here, where what is missing can be counted.
https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#response
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from podhooks.annotations.finding import Finding, Severity
from podhooks.inject import Report

MAX_CHARACTERS = 256
MAX_ALL_CHARACTERS = 4096
CUT = "..."


def warnings_of(report: Report, lead: str) -> list[str]:
    """One for each finding, errors first. `lead` says what the errors led to."""
    if not report.findings:
        return []
    ordered = sorted(report.findings, key=lambda each: each.severity is not Severity.ERROR)
    return limited(
        sentence(each, f"podhooks: {lead}" if each.severity is Severity.ERROR else "podhooks") for each in ordered
    )


def sentence(finding: Finding, lead: str) -> str:
    return f"{lead}: {finding.where}: {finding.message} [{finding.code}]"


def limited(texts: Iterable[str]) -> list[str]:
    """As many as Kubernetes shows, each on one line; what doesn't fit is counted in the last."""
    lines = [_cut(" ".join(each.split())) for each in texts]
    room = _room(lines, MAX_ALL_CHARACTERS)
    if room == len(lines):
        return lines
    room = _room(lines, MAX_ALL_CHARACTERS - len(_rest(len(lines))))
    return [*lines[:room], _rest(len(lines) - room)]


def _rest(count: int) -> str:
    return f"podhooks: and {count} more: podhooks validate shows all of them"


def _room(lines: Sequence[str], characters: int) -> int:
    """How many of the lines fit."""
    for index, line in enumerate(lines):
        characters -= len(line)
        if characters < 0:
            return index
    return len(lines)


def _cut(text: str) -> str:
    """The code at the end stays: it is what one looks up."""
    text = "".join(c if c.isprintable() else "?" for c in text)
    if len(text) <= MAX_CHARACTERS:
        return text
    head, bracket, code = text.rpartition(" [")
    tail = f"{CUT}{bracket}{code}" if bracket and len(code) < 64 else CUT
    return f"{(head or text)[: MAX_CHARACTERS - len(tail)]}{tail}"
