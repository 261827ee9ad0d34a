"""One AdmissionReview in, one out: pure, so that the webhook is this plus HTTP.

Whatever comes in, a valid AdmissionReview goes out, and only invalid annotations together with `fail_on_invalid` keep a
pod from being admitted: a broken injector must not be able to stop a cluster.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import orjson

from podhooks import contract
from podhooks.annotations.finding import Finding
from podhooks.inject import InjectSettings, Outcome, Report
from podhooks.inject.core import injected
from podhooks.pod.object import mapping, mappings, text
from podhooks.version import __version__
from podhooks_operator.webhook.admissionwarnings import limited, sentence, warnings_of
from podhooks_operator.webhook.jsondiff import diff

Json: TypeAlias = Any
API_VERSION = "admission.k8s.io/v1"
KIND = "AdmissionReview"

NOT_A_REVIEW = "not-a-review"
NOT_A_POD = "not-a-pod"
TOO_LONG = "annotations-too-long"
INTERNAL_ERROR = "internal-error"
OWN_REASONS: Mapping[str, str] = {
    NOT_A_REVIEW: "the request isn't an admission.k8s.io/v1 AdmissionReview",
    NOT_A_POD: "the request isn't the creation of a v1 Pod",
    TOO_LONG: "the API server takes 256 KiB of annotations, and will refuse this pod",
    INTERNAL_ERROR: "the injector failed: this is a bug, and the log has its traceback",
}
"""Reasons of the webhook itself; all others are the injector's."""

MAX_ANNOTATIONS = 256 << 10
"""Kubernetes' limit on all of a pod's annotations, which the API server checks after the webhooks. Reading megabytes of
them would keep all other pods waiting."""

IGNORED = "ignored"  # nothing was asked of the injector


USUAL = InjectSettings()


@dataclass(frozen=True)
class ReviewSettings:
    inject: InjectSettings = USUAL
    fail_on_invalid: bool = False


@dataclass(frozen=True)
class Refusal:
    """A pod that was admitted without what its annotations ask for: what an Event tells. `owner` is an ownerReference,
    empty where nothing owns the pod. `has_containers`: another door has put ours in before."""

    namespace: str
    name: str
    owner: Mapping[str, Json]
    findings: tuple[Finding, ...]
    has_containers: bool = False


@dataclass(frozen=True)
class Review:
    """The answer, and what logs, metrics and Events need of it. `outcome` is the injector's, or `ignored`."""

    answer: dict[str, Json]
    outcome: str
    reasons: tuple[str, ...] = ()
    denied: bool = False
    namespace: str = ""
    name: str = ""
    dry_run: bool = False
    refusal: Refusal | None = None
    failure: Exception | None = None


def review(request: Json, settings: ReviewSettings) -> Review:
    """The whole decision. Never raises. `request` is made of dicts and lists, as JSON is read."""
    body = mapping(mapping(request).get("request"))
    uid = text(body.get("uid"))
    if mapping(request).get("apiVersion") != API_VERSION or mapping(request).get("kind") != KIND or not uid:
        return not_a_review(uid)
    pod = body.get("object")
    if not _creates_pod(body) or not isinstance(pod, dict):
        return Review(admitted(uid), IGNORED, (NOT_A_POD,))
    if _annotations_too_long(pod):
        return Review(admitted(uid), IGNORED, (TOO_LONG,))
    try:
        found = _answered(body, pod, settings)
    except Exception as failure:  # noqa: BLE001 (the edge: no bug of ours may stop a pod)
        warning = f"podhooks: not injected: {OWN_REASONS[INTERNAL_ERROR]}"
        found = Review(admitted(uid, [warning]), Outcome.REFUSED.value, (INTERNAL_ERROR,), failure=failure)
    namespace, name = text(body.get("namespace")), _name(body, pod)
    return replace(found, namespace=namespace, name=name, dry_run=body.get("dryRun") is True)


def not_a_review(uid: str = "") -> Review:
    """Also the answer to what isn't even JSON. The API server can't do anything with it; a person who tries can."""
    warning = f"podhooks: {OWN_REASONS[NOT_A_REVIEW]}"
    return Review(admitted(uid, [warning]), IGNORED, (NOT_A_REVIEW,))


def admitted(uid: str, warnings: Sequence[str] = (), **more: Json) -> dict[str, Json]:
    return _review(uid, {"allowed": True, **({"warnings": list(warnings)} if warnings else {}), **more})


def _review(uid: str, response: Mapping[str, Json]) -> dict[str, Json]:
    return {"apiVersion": API_VERSION, "kind": KIND, "response": {"uid": uid, **response}}


def _creates_pod(body: Mapping[str, Json]) -> bool:
    kind = mapping(body.get("kind"))
    return (
        (kind.get("group"), kind.get("version"), kind.get("kind")) == ("", "v1", "Pod")
        and body.get("operation") == "CREATE"
        and not body.get("subResource")
    )


def _annotations_too_long(pod: Mapping[str, Json]) -> bool:
    annotations = mapping(mapping(pod.get("metadata")).get("annotations"))
    return sum(len(key) + len(text(value)) for key, value in annotations.items()) > MAX_ANNOTATIONS


def _name(body: Mapping[str, Json], pod: Mapping[str, Json]) -> str:
    """Pods of controllers have no name yet, only what it will begin with."""
    metadata = mapping(pod.get("metadata"))
    return text(body.get("name")) or text(metadata.get("name")) or text(metadata.get("generateName")) + "*"


def _answered(body: Mapping[str, Json], pod: dict[str, Json], settings: ReviewSettings) -> Review:
    result, report = injected(pod, settings.inject)
    uid, outcome = text(body.get("uid")), report.outcome.value
    if report.errors and settings.fail_on_invalid:
        return Review(_denied(uid, report), outcome, report.reasons, denied=True)
    if report.errors:
        refusal = _refusal(body, pod, report)
        lead = "left as it was injected before" if refusal.has_containers else "not injected"
        answer = admitted(uid, warnings_of(report, lead), auditAnnotations=_audit(report))
        return Review(answer, outcome, report.reasons, refusal=refusal)
    answer = admitted(uid, warnings_of(report, "not injected"), **_patch(pod, result), auditAnnotations=_audit(report))
    return Review(answer, outcome, report.reasons)


def _patch(pod: dict[str, Json], result: dict[str, Json]) -> dict[str, Json]:
    operations = diff(pod, result)
    if not operations:
        return {}
    return {"patchType": "JSONPatch", "patch": base64.b64encode(orjson.dumps(operations)).decode()}


def _denied(uid: str, report: Report) -> dict[str, Json]:
    message = "; ".join(limited(sentence(each, "podhooks") for each in report.errors))
    status = {"code": 422, "reason": "Invalid", "status": "Failure", "message": message}
    warnings = limited(sentence(each, "podhooks") for each in report.warnings)
    more = {"warnings": warnings} if warnings else {}
    return _review(uid, {"allowed": False, "status": status, **more, "auditAnnotations": _audit(report)})


def _audit(report: Report) -> dict[str, str]:
    """For the API server's audit log, which puts the webhook's name before each key."""
    reasons = {"reasons": ",".join(report.reasons)} if report.reasons else {}
    return {"outcome": report.outcome.value, **reasons, "version": __version__}


def _refusal(body: Mapping[str, Json], pod: Mapping[str, Json], report: Report) -> Refusal:
    metadata = mapping(pod.get("metadata"))
    owners = list(mappings(metadata.get("ownerReferences")))
    owner = next((each for each in owners if each.get("controller") is True), owners[0] if owners else {})
    before = contract.STATUS in mapping(metadata.get("annotations"))  # by the policy, a chart or `podhooks inject`
    return Refusal(text(body.get("namespace")), _name(body, pod), owner, report.errors, before)
