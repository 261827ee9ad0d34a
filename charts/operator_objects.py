"""What the operator's chart has from Python: roles, the webhook's configuration, the admission policy.

Names are placeholders (`@NAME@`), which the templates replace. A chart renders without Python, so every variant that
its values can ask for is in the file.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from podhooks.admission_policy import PolicySettings, binding, policy
from podhooks.inject import Delivery, InjectSettings
from podhooks.render.pod_rbac import pod_rules
from podhooks.render.rbac import OperatorNames, cluster_rules, namespace_rules
from podhooks.render.rescue_definition import rescue_definition
from podhooks.render.rescuer import confinement, home_rules, node_rules, workload_rules
from podhooks.render.webhook import WebhookOptions, webhook_configuration

NAME, NAMESPACE, IMAGE, PULL_POLICY = "@NAME@", "@NAMESPACE@", "@IMAGE@", "@PULL_POLICY@"
ACCOUNT = "@ACCOUNT@"
NAMES = OperatorNames(
    namespace=NAMESPACE,
    service_account=NAME,
    role=NAME,
    configuration=NAME,
    secret=f"{NAME}-webhook-certificates",
    lease=f"{NAME}-rescuer",
)
SOURCES = {"self-made": True, "cert-manager": False}
SCOPES = {"all": False, "optIn": True}


def operator_objects() -> dict[str, Any]:
    return {
        "clusterRules": {source: cluster_rules(NAMES, self_made=own) for source, own in SOURCES.items()},
        "namespaceRules": {source: namespace_rules(NAMES, self_made=own) for source, own in SOURCES.items()},
        "podRules": pod_rules(),
        "webhook": {
            source: {scope: _webhook(own, opt_in) for scope, opt_in in SCOPES.items()}
            for source, own in SOURCES.items()
        },
        "rescuer": {
            "workloadRules": workload_rules(),
            "nodeRules": node_rules(),
            "homeRules": home_rules(NAMES),
            "definition": rescue_definition(),
            "confinement": confinement(replace(NAMES, service_account=ACCOUNT)),
        },
        "policy": {
            "image": _policy(Delivery.IMAGE, None),
            "image-pull": _policy(Delivery.IMAGE, PULL_POLICY),
            "copy": _policy(Delivery.COPY, None),
            "copy-pull": _policy(Delivery.COPY, PULL_POLICY),
            "installed": _policy(Delivery.INSTALLED, None),
        },
        "binding": {
            scope: binding(PolicySettings(name=NAME, namespace=NAMESPACE, opt_in=opt_in))
            for scope, opt_in in SCOPES.items()
        },
    }


def _webhook(self_made: bool, opt_in: bool) -> dict[str, Any]:
    certificate = "" if self_made else f"{NAMESPACE}/{NAME}-webhook"
    options = WebhookOptions(name=NAME, namespace=NAMESPACE, service=NAME, certificate=certificate, opt_in=opt_in)
    return webhook_configuration(options)


def _policy(delivery: Delivery, pull_policy: str | None) -> dict[str, Any]:
    inject = InjectSettings(image=IMAGE, delivery=delivery, pull_policy=pull_policy)
    return policy(PolicySettings(inject, name=NAME, namespace=NAMESPACE))
