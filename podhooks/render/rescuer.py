"""What the rescuer is allowed to do, and the policy that confines it further than roles can.

Dropping a finalizer needs `patch` on pods: there is no subresource for it. Whoever may create Jobs in a namespace may
run there as any of its service accounts. So a ValidatingAdmissionPolicy holds the rescuer to its own finalizer and
annotation, to Jobs with its label, and to dry runs of pods.
https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
"""

from __future__ import annotations

from collections.abc import Sequence

from podhooks import contract
from podhooks.inject.shapes import Json
from podhooks.render.rbac import RBAC, OperatorNames, Rule, binding, rule
from podhooks.render.rescue_definition import PLURAL, rescue_definition

ADMISSION = "admissionregistration.k8s.io/v1"


def workload_rules() -> list[Rule]:
    """In each namespace that it looks after. Pods are created by dry run only."""
    return [
        rule("", "pods", ["get", "list", "watch", "patch", "create"]),
        rule("batch", "jobs", ["get", "create", "delete"]),
        rule("", "events", ["create"]),
    ]


def node_rules() -> list[Rule]:
    """To notice that a lost node is back. Without it only that isn't noticed."""
    return [rule("", "nodes", ["get"])]


def home_rules(names: OperatorNames) -> list[Rule]:
    """In its own namespace."""
    return [
        rule(contract.RESCUE_GROUP, PLURAL, ["get", "list", "create", "update", "delete"]),
        rule("", "events", ["create"]),
        rule("coordination.k8s.io", "leases", ["create"]),
        rule("coordination.k8s.io", "leases", ["get", "update"], names.lease),
    ]


def rescuer_objects(names: OperatorNames, namespaces: Sequence[str] = ()) -> list[dict[str, Json]]:
    """All that the rescuer needs beside the operator's own: its kind, rights and confinement.

    With `namespaces` it may do nothing with pods and Jobs elsewhere.
    """
    return [rescue_definition(), *rescuer_rbac(names, namespaces), *confinement(names)]


def rescuer_rbac(names: OperatorNames, namespaces: Sequence[str] = ()) -> list[dict[str, Json]]:
    role, nodes = f"{names.role}-rescuer", f"{names.role}-rescuer-nodes"
    account = {"kind": "ServiceAccount", "name": names.service_account, "namespace": names.namespace}
    home = {"name": role, "namespace": names.namespace}
    made: list[dict[str, Json]] = [
        _role("ClusterRole", {"name": role}, workload_rules()),
        _role("ClusterRole", {"name": nodes}, node_rules()),
        binding("ClusterRole", {"name": nodes}, nodes, account),
        _role("Role", home, home_rules(names)),
        binding("Role", home, role, account),
    ]
    if not namespaces:
        return [*made, binding("ClusterRole", {"name": role}, role, account)]
    return [*made, *(binding("ClusterRole", {"name": role, "namespace": each}, role, account) for each in namespaces)]


def _role(kind: str, metadata: dict[str, Json], rules: list[Rule]) -> dict[str, Json]:
    return {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": metadata, "rules": rules}


def confinement(names: OperatorNames) -> list[dict[str, Json]]:
    """Policy and binding."""
    name = f"{names.role}-rescuer"
    user = f"system:serviceaccount:{names.namespace}:{names.service_account}"
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "resourceRules": [
                _resource("", "pods", ["CREATE", "UPDATE"]),
                _resource("batch", "jobs", ["CREATE", "UPDATE", "DELETE"]),
            ]
        },
        "matchConditions": [{"name": "the-rescuer", "expression": f"request.userInfo.username == '{user}'"}],
        "validations": _validations(),
    }
    return [
        {"apiVersion": ADMISSION, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name}, "spec": spec},
        {
            "apiVersion": ADMISSION,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {"policyName": name, "validationActions": ["Deny"]},
        },
    ]


def _resource(group: str, resource: str, operations: list[str]) -> dict[str, Json]:
    return {"apiGroups": [group], "apiVersions": ["v1"], "resources": [resource], "operations": operations}


def _validations() -> list[dict[str, Json]]:
    pods, jobs = "request.resource.resource == 'pods'", "request.resource.resource == 'jobs'"
    update = f"!({pods} && request.operation == 'UPDATE')"
    annotations = "{0}.metadata.?annotations.orValue({{}})"
    new, old = annotations.format("object"), annotations.format("oldObject")
    ours = f"k == '{contract.RELEASED}'"
    same = f"k in {old} && {new}[k] == {old}[k]"
    finalizers = "{0}.metadata.?finalizers.orValue([]).filter(f, f != '" + contract.FINALIZER + "')"
    labelled = "{0}.metadata.?labels[?'" + contract.RESCUE_LABEL + "'].hasValue()"
    return [
        _says(f"{update} || object.spec == oldObject.spec", "the rescuer may not change a pod's spec"),
        _says(
            f"{update} || object.metadata.?labels == oldObject.metadata.?labels "
            "&& object.metadata.?ownerReferences == oldObject.metadata.?ownerReferences",
            "the rescuer may not change a pod's labels or owners",
        ),
        _says(
            f"{update} || {new}.all(k, {ours} || {same}) && {old}.all(k, {ours} || k in {new})",
            f"of a pod's annotations the rescuer may change {contract.RELEASED} only",
        ),
        _says(
            f"{update} || {finalizers.format('object')} == {finalizers.format('oldObject')}",
            f"of a pod's finalizers the rescuer may change {contract.FINALIZER} only",
        ),
        _says(
            f"!({pods} && request.operation == 'CREATE') || request.?dryRun.orValue(false)",
            "the rescuer may create pods by dry run only",
        ),
        _says(
            f"!({jobs} && request.operation == 'CREATE') || {labelled.format('object')}",
            f"the rescuer may create Jobs with the label {contract.RESCUE_LABEL} only",
        ),
        _says(
            f"!({jobs} && request.operation == 'DELETE') || {labelled.format('oldObject')}",
            f"the rescuer may delete Jobs with the label {contract.RESCUE_LABEL} only",
        ),
    ]


def _says(expression: str, message: str) -> dict[str, Json]:
    return {"expression": expression, "message": message}
