"""The MutatingWebhookConfiguration: which pods reach the webhook, and what happens when it doesn't answer."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from podhooks import contract
from podhooks.context import EMPTY
from podhooks.errors import InputError
from podhooks.inject.shapes import Json

WEBHOOK = "inject.podhooks.io"  # the one webhook in the configuration
PATH = "/mutate"
NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name"  # the API server puts it on every namespace
SYSTEM_NAMESPACES = ("kube-system", "kube-node-lease")
INJECTION_LABEL = contract.PREFIX + "injection"  # on namespaces: enabled or disabled
ENABLED, DISABLED = "enabled", "disabled"
INJECT_CA_FROM = "cert-manager.io/inject-ca-from"

ANNOTATED = (
    "has(object.metadata.annotations) && "
    f"object.metadata.annotations.exists(name, name.startsWith('{contract.PREFIX}'))"
)
"""Pods that are injected already reach the webhook too: only it can tell whether their status is up to date (after a
change of annotations, settings or version), it answers them without a patch, and another webhook may have changed them
since (reinvocationPolicy)."""


@dataclass(frozen=True)
class WebhookOptions:
    """`namespace` is the operator's own. `url` replaces the service, for an operator that runs outside the cluster.

    `ca_bundle` is PEM; without it the field isn't there, and whoever makes the certificates fills it in.
    `certificate` is a cert-manager Certificate (`namespace/name`) whose authority its CA injector writes there.
    With `opt_in` only namespaces labelled `podhooks.io/injection: enabled` are served, else all but those labelled
    `disabled`.
    """

    name: str = "podhooks"
    namespace: str = "podhooks"
    service: str = "podhooks"
    port: int = 443
    url: str = ""
    ca_bundle: bytes = b""
    certificate: str = ""
    failure_policy: str = "Ignore"
    timeout_seconds: int = 5
    opt_in: bool = False
    labels: Mapping[str, str] = field(default_factory=lambda: EMPTY)


def webhook_configuration(options: WebhookOptions = WebhookOptions()) -> dict[str, Json]:
    """InputError for a value that the API server would refuse."""
    _check(options)
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {
            "name": options.name,
            **({"labels": dict(options.labels)} if options.labels else {}),
            **({"annotations": {INJECT_CA_FROM: options.certificate}} if options.certificate else {}),
        },
        "webhooks": [
            {
                "name": WEBHOOK,
                "clientConfig": _client(options),
                "rules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "resources": ["pods"],
                        "operations": ["CREATE"],
                        "scope": "Namespaced",
                    }
                ],
                "matchPolicy": "Equivalent",
                "matchConditions": [{"name": "annotated", "expression": ANNOTATED}],
                "namespaceSelector": {"matchExpressions": _namespaces(options)},
                "failurePolicy": options.failure_policy,
                "timeoutSeconds": options.timeout_seconds,
                "sideEffects": "NoneOnDryRun",
                "reinvocationPolicy": "IfNeeded",
                "admissionReviewVersions": ["v1"],
            }
        ],
    }


def _client(options: WebhookOptions) -> dict[str, Json]:
    service = {"name": options.service, "namespace": options.namespace, "path": PATH, "port": options.port}
    bundle = {"caBundle": base64.b64encode(options.ca_bundle).decode()} if options.ca_bundle else {}
    return {**({"url": options.url} if options.url else {"service": service}), **bundle}


def _namespaces(options: WebhookOptions) -> list[dict[str, Json]]:
    """Never its own: while it is down its pods must come up. Never what the cluster itself lives on."""
    never = dict.fromkeys((options.namespace, *SYSTEM_NAMESPACES))
    wanted = {"key": INJECTION_LABEL, "operator": "In", "values": [ENABLED]}
    return [_not_in(NAMESPACE_NAME_LABEL, *never), wanted if options.opt_in else _not_in(INJECTION_LABEL, DISABLED)]


def _not_in(key: str, *values: str) -> dict[str, Json]:
    return {"key": key, "operator": "NotIn", "values": list(values)}


def _check(options: WebhookOptions) -> None:
    if options.failure_policy not in ("Ignore", "Fail"):
        raise InputError(f"failure policy {options.failure_policy!r} is neither Ignore nor Fail")
    if not 1 <= options.timeout_seconds <= 30:
        raise InputError(f"a webhook's timeout is 1 to 30 seconds, not {options.timeout_seconds}")
    if options.url and not options.url.startswith("https://"):
        raise InputError(f"the webhook's URL must begin with https://, {options.url[:60]!r} doesn't")
    if options.certificate and options.certificate.count("/") != 1:
        raise InputError(f"{options.certificate!r} isn't a Certificate: write NAMESPACE/NAME")
