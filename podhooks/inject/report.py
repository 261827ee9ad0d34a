"""What the injector says about one pod: the decision, its reasons, and what was done. No text is matched anywhere:
codes are stable, sentences are for people."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from podhooks.annotations.finding import Finding, Severity
from podhooks.annotations.plan import Plan
from podhooks.value import Value

NOT_ANNOTATED = "not-annotated"
NO_CALLBACKS = "no-callbacks"
NO_TEMPLATE = "no-template"

REASONS: Mapping[str, str] = {
    NOT_ANNOTATED: "no podhooks.io annotations",
    NO_CALLBACKS: "neither podhooks.io/on-start nor podhooks.io/on-exit names a callback",
    NO_TEMPLATE: "its podhooks.io annotations are on no pod template",
}
"""Reasons to leave a pod alone that are nobody's mistake. All others are the codes of error findings."""


class Outcome(str, Enum):
    """What was done."""

    INJECTED = "injected"
    UPDATED = "updated"  # it had been injected: from other annotations, with other settings or by another version
    UNCHANGED = "unchanged"  # it had been injected, just like this
    REMOVED = "removed"  # it had been injected, and its annotations no longer ask for it
    SKIPPED = "skipped"  # nothing asks for it
    REFUSED = "refused"  # something asks for it, and it can't be done


class Report(Value):
    """One pod or pod template.

    `reasons` say why it isn't injectable, by stable codes. `added` are the paths of what was put in, in the pod's
    terms. `grace_seconds` is the grace period before and after; None where none was given before. `previous` is the
    version that had injected it earlier.
    """

    outcome: Outcome
    plan: Plan = Plan()
    reasons: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    added: tuple[str, ...] = ()
    main: tuple[str, ...] = ()
    grace_seconds: tuple[int | None, int] | None = None
    previous: str | None = None

    @property
    def injectable(self) -> bool:
        return not self.reasons

    @property
    def errors(self) -> tuple[Finding, ...]:
        return errors(self.findings)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return tuple(each for each in self.findings if each.severity is Severity.WARNING)

    def with_findings(self, *more: Finding) -> Report:
        return self.replace(findings=(*self.findings, *more))


def errors(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    return tuple(each for each in findings if each.severity is Severity.ERROR)


def error_codes(findings: tuple[Finding, ...]) -> tuple[str, ...]:
    """The codes of the errors, each once, in order."""
    return tuple(dict.fromkeys(each.code for each in errors(findings)))
