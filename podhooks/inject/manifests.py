"""Objects that hold pods: where their pod templates are, and what goes wrong around them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from podhooks import contract
from podhooks.annotations.finding import Finding
from podhooks.annotations.plan import Mode
from podhooks.inject import core, dask
from podhooks.inject.case import Case
from podhooks.inject.checks import finding, short_deadline
from podhooks.inject.edit import plain
from podhooks.inject.inject_settings import Delivery, InjectSettings
from podhooks.inject.report import Outcome, Report, error_codes
from podhooks.inject.shapes import Json, Path, Pod
from podhooks.pod.object import mapping, sequence, text
from podhooks.value import Value

TEMPLATE: Path = ("spec", "template")
TEMPLATES: Mapping[str, tuple[Path, ...]] = {
    "Pod": ((),),
    "PodTemplate": (("template",),),
    "CronJob": (("spec", "jobTemplate", "spec", "template"),),
    "DaskCluster": (("spec", "worker"), ("spec", "scheduler")),
    "DaskWorkerGroup": (("spec", "worker"),),
    "DaskJob": (("spec", "job"), ("spec", "cluster", "spec", "worker"), ("spec", "cluster", "spec", "scheduler")),
}
"""Kinds whose pod templates aren't at spec.template. A template is whatever has `metadata` and a pod's `spec`; Dask's
resources have both below scheduler, worker and job (dask-kubernetes 2022.10 and later)."""

KNOWN_KINDS = frozenset(
    {*TEMPLATES, "Job", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController"}
)

OLD_POD_SCHEMA = frozenset({"DaskCluster", "DaskWorkerGroup", "DaskJob"})
"""Kinds whose resource definition spells out a pod as of Kubernetes 1.21: the API server drops an init container's
restartPolicy (its sidecar would block the pod for ever) and image volumes."""

LISTS = frozenset({"List", "PodList", "JobList", "CronJobList", "DeploymentList", "StatefulSetList", "DaemonSetList"})
LISTS_OF: Mapping[str, str] = {kind: kind.removesuffix("List") for kind in LISTS if kind != "List"}


class ObjectReport(Value):
    """The report on one pod or template: of which object, where that is in the document, and where in the object."""

    kind: str
    name: str
    at: Path
    below: Path
    report: Report

    @property
    def path(self) -> Path:
        return (*self.at, *self.below)

    @property
    def label(self) -> str:
        """For people: `Job/etl`, and which template where a kind has several."""
        several = len(TEMPLATES.get(self.kind, ())) > 1
        return f"{self.kind}/{self.name}" + (f" {shown_path(self.below)}" if several else "")


def shown_path(path: Path) -> str:
    """`items[0].spec.template`, as Kubernetes writes field paths."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in path]
    return "".join(parts).removeprefix(".")


def pod_templates(document: Mapping[str, Json]) -> Iterator[tuple[Mapping[str, Json], Path, Path]]:
    """Each pod or pod template of a document: its object, that object's path, and the template's path below it."""
    for obj, at in objects(document):
        for below in TEMPLATES.get(text(obj.get("kind")), (TEMPLATE,)):
            if _holds_pods(obj, below):
                yield obj, at, below


def objects(document: Mapping[str, Json], at: Path = ()) -> Iterator[tuple[Mapping[str, Json], Path]]:
    """The objects of a document: itself, or the items of a List (also of a List in it)."""
    if text(document.get("kind")) not in LISTS:
        yield document, at
        return
    kind = LISTS_OF.get(text(document.get("kind")))
    for index, each in enumerate(sequence(document.get("items"))):
        if isinstance(each, Mapping):
            typed = {"kind": kind, **each} if kind else each
            yield from objects(typed, (*at, "items", index))


def inject_object(
    document: Mapping[str, Json], settings: InjectSettings = core.DEFAULTS
) -> tuple[Pod, tuple[ObjectReport, ...]]:
    """The document with every pod template in it injected, and a report for each.

    A template with an error is left as it was; who must not go on looks at the reports. Documents without pod
    templates come back with no report, unless they have annotations of ours.
    """
    result, reports = plain(document), []
    for obj, at, below in pod_templates(document):
        pod, report = _inject_template(obj, below, settings)
        result = _put(result, (*at, *below), pod)
        reports.append(_object_report(obj, at, below, report))
    seen = {each.at for each in reports}
    for obj, at in objects(document):
        if at not in seen and (stray := tuple(_stray(obj))):
            report = Report(Outcome.REFUSED, reasons=error_codes(stray), findings=stray)
            reports.append(_object_report(obj, at, (), report))
    return result, tuple(reports)


def uninject_object(document: Mapping[str, Json]) -> tuple[Pod, tuple[str, ...]]:
    """The document as it was before, and the objects (`Job/etl`) that had been injected."""
    result, changed = plain(document), []
    for obj, at, below in pod_templates(document):
        pod, was_injected = core.uninject(mapping(look_up(obj, below)))
        if was_injected:
            result = _put(result, (*at, *below), pod)
            changed.append(label_of(obj))
    return result, tuple(dict.fromkeys(changed))


def look_up(value: Json, path: Path) -> Json:
    """What is at `path`, None if nothing is."""
    for part in path:
        if isinstance(part, int):
            value = value[part] if isinstance(value, list) and part < len(value) else None
        else:
            value = mapping(value).get(part)
    return value


def _put(document: Pod, path: Path, value: Json) -> Json:
    if not path:
        return value
    holder = look_up(document, path[:-1])
    holder[path[-1]] = value
    return document


def _holds_pods(obj: Mapping[str, Json], below: Path) -> bool:
    """Of kinds we don't know, spec.template may be anything: it holds a pod if that has containers."""
    if text(obj.get("kind")) in KNOWN_KINDS:
        return isinstance(look_up(obj, below), Mapping)
    return isinstance(look_up(obj, (*below, "spec", "containers")), list)


def _inject_template(obj: Mapping[str, Json], below: Path, settings: InjectSettings) -> tuple[Pod, Report]:
    template: Mapping[str, Json] = look_up(obj, below)
    old_schema = text(obj.get("kind")) in OLD_POD_SCHEMA
    if old_schema and settings.delivery is Delivery.IMAGE:
        settings = settings.replace(delivery=Delivery.COPY)
    pod, report = core.inject(template, settings)
    report = report.replace(
        findings=tuple(
            _seen_from_object(each, below) for each in report.findings if not (old_schema and each.code == dask.CODE)
        )
    )
    found = (*_native_in_crd(obj, report), *_job_deadline(obj, below, report), *_around(obj, below))
    if not error_codes(found):
        return pod, report.with_findings(*found)
    refused = report.replace(outcome=Outcome.REFUSED, reasons=error_codes((*report.errors, *found)), added=())
    return plain(template), refused.replace(grace_seconds=None).with_findings(*found)


def _object_report(obj: Mapping[str, Json], at: Path, below: Path, report: Report) -> ObjectReport:
    kind, _, name = label_of(obj).partition("/")
    return ObjectReport(kind, name, at, below, report)


def _seen_from_object(found: Finding, below: Path) -> Finding:
    """A pod's own fields, `spec.volumes`, are `spec.template.spec.volumes` for who looks at the Job."""
    if not below or not found.where.startswith(("spec", "metadata")):
        return found
    return found.replace(where=f"{shown_path(below)}.{found.where}")


def label_of(obj: Mapping[str, Json]) -> str:
    metadata = mapping(obj.get("metadata"))
    name = text(metadata.get("name")) or text(metadata.get("generateName")) + "*"
    return f"{text(obj.get('kind')) or 'object'}/{name}"


def _prefixed(metadata: Json, field: str) -> list[str]:
    """Annotations (or labels) of ours, except the one that we write."""
    keys = mapping(mapping(metadata).get(field))
    return [key for key in keys if isinstance(key, str) and key.startswith(contract.PREFIX) and key != contract.STATUS]


def _stray(obj: Mapping[str, Json]) -> Iterator[Finding]:
    for key in _prefixed(obj.get("metadata"), "annotations"):
        problem = "this object has no pod template, so nothing comes of it: move it to the pod's own annotations"
        yield finding("misplaced", f"metadata.annotations[{key}]", problem)


def _around(obj: Mapping[str, Json], below: Path) -> Iterator[Finding]:
    """Annotations on the object itself, on a CronJob's job template, or among the labels."""
    right = shown_path((*below, "metadata", "annotations"))
    inside = bool(_prefixed(mapping(look_up(obj, below)).get("metadata"), "annotations"))
    for depth in range(len(below)):
        holder = mapping(look_up(obj, below[:depth]))
        for key in _prefixed(holder.get("metadata"), "annotations"):
            where = shown_path((*below[:depth], "metadata", "annotations")) + f"[{key}]"
            if inside:
                problem = f"only what is in {right} counts, and Podhooks annotations are there too: take this one out"
                yield finding("misplaced-too", where, problem)
            elif not _elsewhere(obj, below):
                yield finding("misplaced", where, f"the pods don't get it: move it to {right}")
    metadata = mapping(mapping(look_up(obj, below)).get("metadata"))
    for key in _prefixed(metadata, "labels"):
        if key == contract.GUARANTEE_LABEL and contract.GUARANTEE in mapping(metadata.get("annotations")):
            continue  # ours, of an earlier injection
        where = shown_path((*below, "metadata", "labels")) + f"[{key}]"
        yield finding("misplaced", where, f"is a label, and Podhooks reads annotations: move it to {right}")


def _elsewhere(obj: Mapping[str, Json], below: Path) -> bool:
    """Whether another template of the object has annotations, or comes first: one sentence is enough."""
    others = TEMPLATES.get(text(obj.get("kind")), ())
    annotated = [each for each in others if _prefixed(mapping(look_up(obj, each)).get("metadata"), "annotations")]
    return bool(annotated) or (len(others) > 1 and others[0] != below)


def _native_in_crd(obj: Mapping[str, Json], report: Report) -> Iterator[Finding]:
    kind = text(obj.get("kind"))
    if kind in OLD_POD_SCHEMA and report.plan.on_exit and report.plan.mode is Mode.NATIVE:
        problem = (
            f"the {kind} resource doesn't know native sidecars, so the API server drops what makes on-exit one and the "
            f"pod never starts: set {contract.MODE}: classic, or leave the injection to the webhook"
        )
        yield finding("native-not-in-crd", contract.MODE, problem)


def _job_deadline(obj: Mapping[str, Json], below: Path, report: Report) -> Iterator[Finding]:
    where: Path = (*below[:-1], "activeDeadlineSeconds")
    if below and below[-1] == "template" and report.injectable:
        case = Case(mapping(look_up(obj, below)), report.plan, core.DEFAULTS)
        yield from short_deadline(case, look_up(obj, where), shown_path(where))
