"""The two objects of the door, as `kubectl apply` takes them."""

from __future__ import annotations

from podhooks import contract
from podhooks.admission_policy.cel import listed, quoted
from podhooks.admission_policy.patches import patch
from podhooks.admission_policy.policy_settings import PolicySettings
from podhooks.admission_policy.variables import variables
from podhooks.inject.shapes import Json

API_VERSION = "admissionregistration.k8s.io/v1"
NAME_LABEL = "kubernetes.io/metadata.name"  # the API server's own, on every namespace
SYSTEM_NAMESPACE = "kube-system"

Object = dict[str, Json]


def policy(settings: PolicySettings) -> Object:
    """What is done to which pods. Without the binding it does nothing."""
    return {
        "apiVersion": API_VERSION,
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": settings.name},
        "spec": {
            "failurePolicy": settings.failure_policy,
            "reinvocationPolicy": "IfNeeded",
            "matchConstraints": {"namespaceSelector": _not_ours(settings), "resourceRules": [_created_pods()]},
            "matchConditions": _match_conditions(),
            "variables": [{"name": name, "expression": text} for name, text in variables(settings).items()],
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": str(patch(settings))}}],
        },
    }


def binding(settings: PolicySettings) -> Object:
    """Where it is done: by the namespaces' label."""
    return {
        "apiVersion": API_VERSION,
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": settings.name},
        "spec": {
            "policyName": settings.name,
            "matchResources": {"namespaceSelector": {"matchExpressions": [_by_label(settings)]}},
        },
    }


def _not_ours(settings: PolicySettings) -> Object:
    names = [SYSTEM_NAMESPACE, settings.namespace]
    return {"matchExpressions": [{"key": NAME_LABEL, "operator": "NotIn", "values": names}]}


def _by_label(settings: PolicySettings) -> Object:
    by_default = "NotIn", contract.INJECTION_DISABLED
    operator, value = ("In", contract.INJECTION_ENABLED) if settings.opt_in else by_default
    return {"key": contract.INJECTION_LABEL, "operator": operator, "values": [value]}


def _created_pods() -> Object:
    return {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}


def _match_conditions() -> list[Object]:
    """All must hold. The first is cheap and turns nearly every pod away."""
    annotated = " || ".join(f"{quoted(name)} in object.metadata.annotations" for name in CALLBACKS)
    named = f"c.name in {listed((contract.ON_START_CONTAINER, contract.ON_EXIT_CONTAINER))}"
    injected = f"{quoted(contract.STATUS)} in object.metadata.annotations"
    return [
        {"name": "asks-for-callbacks", "expression": f"has(object.metadata.annotations) && ({annotated})"},
        {
            "name": "not-yet-injected",
            "expression": f"!({injected}) && !object.spec.?initContainers.orValue([]).exists(c, {named})",
        },
    ]


CALLBACKS = (contract.ON_START, contract.ON_EXIT)
