"""Objects that hold pods: where their pod templates are, and what goes wrong around them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from podhooks import contract
from podhooks.annotations.finding import Finding
from podhooks.annotations.plan import Mode
from podhooks.inject import core, dask, jobs
from podhooks.inject.case import Case
from podhooks.inject.checks import finding, short_deadline
from podhooks.inject.edit import plain
from podhooks.inject.inject_settings import Delivery, InjectSettings
from podhooks.inject.report import NO_TEMPLATE, Outcome, Report, error_codes
from podhooks.inject.shapes import Json, Path, Pod
from podhooks.inject.strays import around, strays
from podhooks.inject.templates import (
    OLD_POD_SCHEMA,
    TEMPLATES,
    look_up,
    objects,
    pod_templates,
    shown_path,
    templates_of,
)
from podhooks.pod.object import mapping, text
from podhooks.value import Value


class ObjectReport(Value):
    """The report on one pod or template: of which object, where that is in the document, and where in the object."""

    kind: str
    name: str
    at: Path
    below: Path
    report: Report
    several: bool = False

    @property
    def path(self) -> Path:
        return (*self.at, *self.below)

    @property
    def label(self) -> str:
        """For people: `Job/etl`, and which template where there may be several."""
        return f"{self.kind}/{self.name}" + (f" {shown_path(self.below)}" if self.several and self.below else "")


def inject_object(
    document: Mapping[str, Json], settings: InjectSettings = core.DEFAULTS
) -> tuple[Pod, tuple[ObjectReport, ...]]:
    """The document with every pod template in it injected, and a report for each.

    A template with an error is left as it was; who must not go on looks at the reports. Documents without pod
    templates come back with no report, unless they have annotations of ours.
    """
    result, reports = plain(document), []
    for obj, at in objects(document):
        found = []
        for below in templates_of(obj):
            pod, report = _inject_template(obj, below, settings)
            result = _put(result, (*at, *below), pod)
            found.append(_object_report(obj, at, below, report))
        found = _with_object_findings(obj, at, found, settings)
        if any(each.report.errors for each in found):
            result = _put(result, at, plain(look_up(document, at)))
        reports += found
    return result, tuple(reports)


def _with_object_findings(
    obj: Mapping[str, Json], at: Path, found: list[ObjectReport], settings: InjectSettings
) -> list[ObjectReport]:
    """What is to be said about an object as a whole stands in its first report; in one of its own without templates."""
    said = (*_pruned(obj, found, settings), *strays(obj))
    if not said:
        return found
    if not found:
        codes = error_codes(said)
        outcome = Outcome.REFUSED if codes else Outcome.SKIPPED
        return [_object_report(obj, at, (), Report(outcome, reasons=codes or (NO_TEMPLATE,), findings=said))]
    report = found[0].report.with_findings(*said)
    if error_codes(said):
        report = report.replace(outcome=Outcome.REFUSED, reasons=error_codes(report.findings), grace_seconds=None)
    return [found[0].replace(report=report), *found[1:]]


def uninject_object(document: Mapping[str, Json]) -> tuple[Pod, tuple[str, ...]]:
    """The document as it was before, and the objects (`Job/etl`) that had been injected."""
    result, changed = plain(document), []
    for obj, at, below in pod_templates(document):
        pod, was_injected = core.uninject(mapping(look_up(obj, below)))
        if was_injected:
            result = _put(result, (*at, *below), pod)
            changed.append(label_of(obj))
    return result, tuple(dict.fromkeys(changed))


def _put(document: Pod, path: Path, value: Json) -> Json:
    if not path:
        return value
    holder = look_up(document, path[:-1])
    holder[path[-1]] = value
    return document


def _inject_template(obj: Mapping[str, Json], below: Path, settings: InjectSettings) -> tuple[Pod, Report]:
    template: Mapping[str, Json] = look_up(obj, below)
    old_schema = text(obj.get("kind")) in OLD_POD_SCHEMA
    if old_schema and settings.delivery is Delivery.IMAGE:
        settings = settings.replace(delivery=Delivery.COPY)
    pod, report = core.inject(template, settings)
    unsaid = {dask.CODE} if old_schema else set()
    if text(obj.get("kind")) not in TEMPLATES and "restartPolicy" not in mapping(template.get("spec")):
        unsaid.add("main-restarts")  # the controller's business: PyTorchJob has it beside the template
    findings = (each for each in report.findings if each.code not in unsaid)
    report = report.replace(findings=tuple(_seen_from_object(each, below) for each in findings))
    found = (*_native_in_crd(obj, report), *_job(obj, below, report), *around(obj, below))
    if not error_codes(found):
        return pod, report.with_findings(*found)
    refused = report.replace(outcome=Outcome.REFUSED, reasons=error_codes((*report.errors, *found)), added=())
    return plain(template), refused.replace(grace_seconds=None).with_findings(*found)


def _object_report(obj: Mapping[str, Json], at: Path, below: Path, report: Report) -> ObjectReport:
    kind, _, name = label_of(obj).partition("/")
    several = len(TEMPLATES[kind]) > 1 if kind in TEMPLATES else len(templates_of(obj)) > 1
    return ObjectReport(kind, name, at, below, report, several=several)


def _seen_from_object(found: Finding, below: Path) -> Finding:
    """A pod's own fields, `spec.volumes`, are `spec.template.spec.volumes` for who looks at the Job."""
    if not below or not found.where.startswith(("spec", "metadata")):
        return found
    return found.replace(where=f"{shown_path(below)}.{found.where}")


def label_of(obj: Mapping[str, Json]) -> str:
    metadata = mapping(obj.get("metadata"))
    name = text(metadata.get("name")) or text(metadata.get("generateName")) + "*"
    return f"{text(obj.get('kind')) or 'object'}/{name}"


def _native_in_crd(obj: Mapping[str, Json], report: Report) -> Iterator[Finding]:
    kind = text(obj.get("kind"))
    if kind in OLD_POD_SCHEMA and report.plan.on_exit and report.plan.mode is Mode.NATIVE:
        problem = (
            f"the {kind} resource doesn't know native sidecars, so the API server drops what makes on-exit one and the "
            f"pod never starts: set {contract.MODE}: classic, or leave the injection to the webhook"
        )
        yield finding("native-not-in-crd", contract.MODE, problem)


def _pruned(obj: Mapping[str, Json], found: list[ObjectReport], settings: InjectSettings) -> Iterator[Finding]:
    """Custom resources whose schema is older than what we put in: the API server drops it without a word."""
    kind = text(obj.get("kind"))
    plans = [each.report.plan for each in found if each.report.injectable]
    if kind in TEMPLATES or not plans:
        return
    lost = []
    if any(plan.on_exit and plan.mode is Mode.NATIVE for plan in plans):
        lost.append(f"native sidecars (1.29; {contract.MODE}: classic needs none)")
    if settings.delivery is Delivery.IMAGE:
        lost.append("image volumes (1.31; --delivery copy needs none)")
    if lost:
        problem = (
            f"{kind} is a custom resource: if its schema spells out pods without {' or '.join(lost)}, the API server "
            "drops these fields and the pods never start. A webhook sees the pods themselves"
        )
        yield finding("may-be-pruned", shown_path(found[0].below), problem)


def _job(obj: Mapping[str, Json], below: Path, report: Report) -> Iterator[Finding]:
    """What a Job does with the pods of its template; other kinds have the same fields."""
    if not below or below[-1] != "template" or not report.injectable:
        return
    where, holder = shown_path(below[:-1]), mapping(look_up(obj, below[:-1]))
    case = Case(mapping(look_up(obj, below)), report.plan, core.DEFAULTS)
    yield from short_deadline(case, holder.get("activeDeadlineSeconds"), f"{where}.activeDeadlineSeconds")
    for code, field, message in jobs.findings(holder, report.plan):
        yield finding(code, f"{where}.{field}", message)
