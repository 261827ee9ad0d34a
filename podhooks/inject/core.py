"""inject and uninject: pod in, pod out. Pure; a pod here is a Pod or a pod template, anything with metadata and spec.

To inject again is to take out and inject: that makes it idempotent, and an upgrade after a change of annotations,
settings or version. What others added meanwhile stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from podhooks import contract
from podhooks.annotations.finding import Finding
from podhooks.annotations.parser import parse
from podhooks.annotations.plan import Mode, Plan, summary_hash
from podhooks.errors import ManifestError
from podhooks.inject import containers
from podhooks.inject.case import Case
from podhooks.inject.checks import check, finding, malformed
from podhooks.inject.defaulted import same_but_for_defaults
from podhooks.inject.edit import Edit, plain
from podhooks.inject.env import SHARED_ENV
from podhooks.inject.inject_settings import Delivery, InjectSettings
from podhooks.inject.marks import mark
from podhooks.inject.removal import without_ours
from podhooks.inject.report import (
    NO_CALLBACKS,
    NOT_ANNOTATED,
    Outcome,
    Report,
    error_codes,
)
from podhooks.inject.shapes import Json, Pod
from podhooks.inject.status import Status
from podhooks.pod.object import Choice, choice_written, mapping
from podhooks.version import __version__

DEFAULTS = InjectSettings()
REMEMBERED_CHARACTERS = 4096


def inject(pod: Mapping[str, Json], settings: InjectSettings = DEFAULTS) -> tuple[Pod, Report]:
    """The pod with the containers that its annotations ask for, and what there is to say about it.

    With an error among the findings, or nothing that asks for callbacks, the pod comes back as it was (without what
    an earlier injection added, in the latter case). The input is never changed, and the result shares nothing with it.
    """
    result, report = injected(plain(pod), settings)
    return plain(result), report


def injected(given: Pod, settings: InjectSettings) -> tuple[Pod, Report]:
    """inject() for who has a pod of dicts and lists, and only looks at the result: it shares what stays as it is.

    Copying costs more than everything else, and what is the same object need not be compared.
    """
    try:
        bare, previous = without_ours(given)
    except ManifestError as error:
        found = (finding("bad-status", contract.STATUS, str(error)),)
        return given, Report(Outcome.REFUSED, reasons=error_codes(found), findings=found)
    version = previous.version if previous else None
    plan, findings, defaults = _plan(bare, settings)
    if not error_codes(findings):
        if plan.empty:
            outcome = Outcome.SKIPPED if previous is None else Outcome.REMOVED
            reason = NO_CALLBACKS if _ours(bare) else NOT_ANNOTATED
            return bare, Report(outcome, plan, (reason,), findings, previous=version)
        findings += tuple(malformed(bare))
    if error_codes(findings):
        return given, Report(Outcome.REFUSED, plan, error_codes(findings), findings, previous=version)
    chosen = _standing_choice(given, previous, plan)
    case = Case(_with_annotations(bare, defaults), plan, settings, chosen)
    findings += check(case)
    report = Report(Outcome.REFUSED, plan, error_codes(findings), findings, main=_main_names(case), previous=version)
    return (given, report) if report.errors else _injected(given, case, report, defaults)


def uninject(pod: Mapping[str, Json]) -> tuple[Pod, bool]:
    """The pod as it was before, and whether it had been injected. ManifestError for a status that isn't ours."""
    bare, status = without_ours(plain(pod))
    return bare, status is not None


def _annotations(pod: Mapping[str, Json]) -> Mapping[str, Json]:
    return mapping(mapping(pod.get("metadata")).get("annotations"))


def _ours(pod: Mapping[str, Json]) -> bool:
    return any(str(key).startswith(contract.PREFIX) for key in _annotations(pod))


def _plan(pod: Pod, settings: InjectSettings) -> tuple[Plan, tuple[Finding, ...], dict[str, str]]:
    """The plan, what is to be said about it, and the default annotations that it took."""
    given = _annotations(pod)
    defaults = {key: value for key, value in settings.annotations.items() if key not in given} if _ours(pod) else {}
    plan, findings = _parsed({**given, **defaults})
    return plan, findings, defaults


def _parsed(annotations: Mapping[str, Json]) -> tuple[Plan, tuple[Finding, ...]]:
    """All pods of a workload have the same annotations: the webhook reads them once. Not long ones, of which its memory
    would fill up."""
    try:
        short = sum(map(len, annotations.values())) <= REMEMBERED_CHARACTERS
        return _parse_once(tuple(annotations.items())) if short else parse(annotations)
    except TypeError:  # something in them isn't even text
        return parse(annotations)


@lru_cache(maxsize=32)
def _parse_once(annotations: tuple[tuple[str, str], ...]) -> tuple[Plan, tuple[Finding, ...]]:
    return parse(dict(annotations))


def _summary_hash(annotations: Mapping[str, Json]) -> str:
    try:
        short = sum(map(len, annotations.values())) <= REMEMBERED_CHARACTERS
        return _hash_once(tuple(annotations.items())) if short else summary_hash(annotations)
    except TypeError:  # something in them isn't even text
        return summary_hash(annotations)


@lru_cache(maxsize=32)
def _hash_once(annotations: tuple[tuple[str, str], ...]) -> str:
    return summary_hash(dict(annotations))


def _standing_choice(given: Pod, previous: Status | None, plan: Plan) -> Choice | None:
    """Main, once chosen, stays main, whatever others put in front of it; new annotations choose anew.

    The policy's status has no hash: there an annotation that says otherwise is a new one.
    """
    written = choice_written(given) if previous is not None else None
    if previous is None or written is None:
        return None
    if previous.hash:
        return written if previous.hash == _summary_hash(_annotations(given)) else None
    return written if plan.main_container in (None, written.label) else None


def _with_annotations(pod: Pod, annotations: Mapping[str, str]) -> Pod:
    if not annotations:
        return pod
    metadata = pod["metadata"]
    return {**pod, "metadata": {**metadata, "annotations": {**metadata["annotations"], **annotations}}}


def _main_names(case: Case) -> tuple[str, ...]:
    return tuple(str(each["name"]) for each in case.mains)


def _injected(given: Pod, case: Case, report: Report, defaults: Mapping[str, str]) -> tuple[Pod, Report]:
    target = _copied(case.pod)
    edit = Edit(target["spec"])
    _add_volumes(edit, case)
    _add_containers(edit, case)
    _add_to_main(edit, case)
    grace = _raise_grace(edit, case)
    mark(target["metadata"], edit, case)
    status = Status(
        __version__,
        _summary_hash(case.annotations),
        grace_raised=grace is not None,
        grace_seconds=grace[0] if grace else None,
        was=edit.was,
        own=tuple(edit.own),
        annotations=tuple(defaults),
    )
    target["metadata"]["annotations"][contract.STATUS] = status.to_text()
    report = report.replace(outcome=Outcome.INJECTED, added=tuple(edit.added), grace_seconds=grace)
    if report.previous is None:
        return target, report
    if same_but_for_defaults(target, given):
        return given, report.replace(outcome=Outcome.UNCHANGED)
    return target, report.replace(outcome=Outcome.UPDATED)


def _copied(pod: Mapping[str, Json]) -> Pod:
    """A pod whose metadata, spec and containers can be changed; everything below is the original's."""
    metadata, spec = pod["metadata"], pod["spec"]
    return {
        **pod,
        "metadata": {**metadata, "annotations": dict(metadata["annotations"])},
        "spec": {**spec, "containers": [dict(each) for each in spec["containers"]]},
    }


def _add_volumes(edit: Edit, case: Case) -> None:
    for volume in containers.volumes(case):
        edit.add("volumes", volume)


def _add_containers(edit: Edit, case: Case) -> None:
    """on-start last of the init containers, on-exit right in front of it unless its position is another.

    They are made of main's image, environment, mounts and directory, so they can't start before what makes those
    (kubelet facts 25 and 29). See docs/order-in-the-pod.md.
    """
    around = containers.around_main(case)
    copies = case.settings.delivery is Delivery.COPY
    if copies:
        edit.add("initContainers", containers.runtime_container(case), at=0)
    if case.plan.exits_in_pod:
        on_exit = containers.hook_container(case, contract.ON_EXIT_CONTAINER, around)
        if case.plan.mode is Mode.NATIVE:
            edit.add("initContainers", on_exit, at=case.on_exit_index + copies)
        else:
            edit.add("containers", on_exit)
    edit.add("initContainers", containers.hook_container(case, contract.ON_START_CONTAINER, around))


def _add_to_main(edit: Edit, case: Case) -> None:
    """What is there already, in any container, is its author's: noted, because ours is taken out by its looks."""
    names = frozenset(_main_names(case))
    for container in edit.spec["containers"]:
        if container["name"] in contract.OUR_CONTAINERS:
            continue
        for field, entry in (("volumeMounts", containers.SHARED_MOUNT), ("env", SHARED_ENV)):
            if not edit.is_own(container, field, entry) and container["name"] in names:
                edit.add_to_container(container, field, entry)


def _raise_grace(edit: Edit, case: Case) -> tuple[int | None, int] | None:
    """The grace period before and after; None where it holds the reserve as it is."""
    field = "terminationGracePeriodSeconds"
    if case.raised_grace_seconds == case.grace_seconds:
        return None
    before = edit.spec.get(field)
    if field in edit.spec and before is None:
        edit.was[field] = None
    edit.spec[field] = case.raised_grace_seconds
    edit.added.append(f"spec.{field}")
    return before, case.raised_grace_seconds
