"""The doors that inject pods when they are created: the webhook and its certificate, and the admission policy."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias

from podhooks.check.finding import Category, Check
from podhooks.check.reader import ADMISSION, Reader, Unreadable
from podhooks.pod.object import mapping, mappings, sequence, text, whole
from podhooks.render.webhook import INJECT_CA_FROM, WEBHOOK
from podhooks.version import __version__

Json: TypeAlias = Any
DOORS = Category("podhooks-doors")
SOON = timedelta(days=3)
POLICY_VARIABLE = "podhooks.io"  # in the match conditions of our policies


def check_doors(reader: Reader, now: datetime) -> Iterator[Check]:
    try:
        webhooks = [each for each in reader.items(f"{ADMISSION}/mutatingwebhookconfigurations") if ours(each)]
        policies = [
            each for each in reader.items(f"{ADMISSION}/mutatingadmissionpolicies") if POLICY_VARIABLE in str(each)
        ]
    except Unreadable as error:
        fix = "ask for the right to list mutatingwebhookconfigurations and mutatingadmissionpolicies"
        yield DOORS.skipped("door-exists", f"can't see which doors there are: {error}", fix)
        return
    if not webhooks and not policies:
        fix = "install the chart podhooks, or apply podhooks render admission-policy; podhooks inject needs neither"
        yield DOORS.warning(
            "door-exists", "no webhook and no admission policy: only pods from podhooks inject are injected", fix
        )
    if webhooks and policies:
        fix = "keep one of them: whichever comes second has nothing to do"
        yield DOORS.warning("one-door", "a webhook and an admission policy are both there", fix)
    for each in policies:
        yield DOORS.ok("door-exists", f"admission policy {name_of(each)}")
    for each in webhooks:
        yield from check_webhook(reader, each, now)


def ours(configuration: Mapping[str, Json]) -> bool:
    return any(each.get("name") == WEBHOOK for each in mappings(configuration.get("webhooks")))


def name_of(obj: Mapping[str, Json]) -> str:
    return text(mapping(obj.get("metadata")).get("name"))


def check_webhook(reader: Reader, configuration: Mapping[str, Json], now: datetime) -> Iterator[Check]:
    name = name_of(configuration)
    webhook = next(each for each in mappings(configuration.get("webhooks")) if each.get("name") == WEBHOOK)
    client = mapping(webhook.get("clientConfig"))
    yield DOORS.ok("door-exists", f"webhook {name}, failure policy {webhook.get('failurePolicy')}")
    annotations = mapping(mapping(configuration.get("metadata")).get("annotations"))
    yield check_bundle(text(client.get("caBundle")), now, managed=INJECT_CA_FROM in annotations)
    service = mapping(client.get("service"))
    if service:
        yield from check_replicas(reader, text(service.get("namespace")), text(service.get("name")))


def check_bundle(bundle: str, now: datetime, *, managed: bool = False) -> Check:
    """The authority that the API server believes the webhook by."""
    who = "cert-manager" if managed else "the operator"
    logs = "see the operator's log: kubectl -n podhooks logs deployment/podhooks"
    fix = "see kubectl describe certificate in the operator's namespace" if managed else logs
    if not bundle:
        return DOORS.error("certificate", f"the webhook's configuration has no caBundle yet: {who} writes it", fix)
    ends = end_of(bundle)
    if ends is None:
        return DOORS.error("certificate", "the webhook's caBundle isn't a certificate in PEM", fix)
    if ends <= now:
        return DOORS.error("certificate", f"the webhook's authority ended at {ends:%Y-%m-%d %H:%M} UTC", fix)
    if ends - now < SOON:
        return DOORS.warning("certificate", f"the webhook's authority ends at {ends:%Y-%m-%d %H:%M} UTC", fix)
    return DOORS.ok("certificate", f"the webhook's authority is good until {ends:%Y-%m-%d}")


def end_of(bundle: str) -> datetime | None:
    """When the last of a bundle's authorities ends; None for what is no bundle of authorities."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=base64.b64decode(bundle, validate=True).decode("ascii"))
    except (ValueError, ssl.SSLError):
        return None
    ends = [parsedate_to_datetime(text(each.get("notAfter"))) for each in context.get_ca_certs()]
    return max((each.replace(tzinfo=timezone.utc) for each in ends), default=None)


def check_replicas(reader: Reader, namespace: str, service: str) -> Iterator[Check]:
    try:
        deployment = reader.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/{service}")
    except Unreadable as error:
        fix = f"ask for the right to get deployments in namespace {namespace}"
        yield DOORS.skipped("operator-ready", f"can't see whether the operator is ready: {error}", fix)
        return
    if deployment is None:
        fix = "install the operator, or delete the webhook's configuration: pods wait for it in vain"
        yield DOORS.error("operator-ready", f"there is no deployment {service} in namespace {namespace}", fix)
        return
    wanted = whole(mapping(deployment.get("spec")).get("replicas")) or 0
    ready = whole(mapping(deployment.get("status")).get("readyReplicas")) or 0
    said = f"operator {namespace}/{service}: {ready} of {wanted} replicas ready"
    logs = f"kubectl -n {namespace} get pods; kubectl -n {namespace} logs deployment/{service}"
    yield DOORS.ok("operator-ready", said) if ready else DOORS.error("operator-ready", said, logs)
    yield check_image(deployment)


def check_image(deployment: Mapping[str, Json]) -> Check:
    pod = mapping(mapping(mapping(deployment.get("spec")).get("template")).get("spec"))
    image = next((text(each.get("image")) for each in mappings(sequence(pod.get("containers")))), "")
    tag = image.rpartition(":")[2] if ":" in image.rpartition("/")[2] else ""
    if tag and tag[0].isdigit() and tag != __version__:
        fix = f"install podhooks=={tag} here, or upgrade the operator to {__version__}"
        return DOORS.warning("same-version", f"the operator is {tag}, this command line {__version__}", fix)
    return DOORS.ok("same-version", f"the operator's image is {image}")
