"""What the operator is allowed to do: no more than its code asks for."""

from __future__ import annotations

from dataclasses import dataclass

from podhooks.inject.shapes import Json

RBAC = "rbac.authorization.k8s.io"
Rule = dict[str, Json]


@dataclass(frozen=True)
class OperatorNames:
    """Names of the objects that the operator works with; the same as its flags."""

    namespace: str = "podhooks"
    service_account: str = "podhooks-operator"
    role: str = "podhooks-operator"
    configuration: str = "podhooks"
    secret: str = "podhooks-webhook-certificates"  # noqa: S105 (a name)
    lease: str = "podhooks-rescuer"


def cluster_rules(names: OperatorNames = OperatorNames(), *, self_made: bool = True) -> list[Rule]:
    """In all namespaces: Events beside the pods that it refused; and the one configuration with its caBundle."""
    verbs = ["get", "patch"] if self_made else ["get"]
    return [
        rule("admissionregistration.k8s.io", "mutatingwebhookconfigurations", verbs, names.configuration),
        rule("", "events", ["create", "get", "update"]),
    ]


def namespace_rules(names: OperatorNames = OperatorNames(), *, self_made: bool = True) -> list[Rule]:
    """In its own namespace. Nothing where the certificates come from cert-manager.

    `create` can't be bound to a name: at that time the object has none yet as far as the API server's rules go.
    """
    if not self_made:
        return []
    return [
        rule("", "secrets", ["create"]),
        rule("", "secrets", ["get", "update"], names.secret),
    ]


def operator_rbac(names: OperatorNames = OperatorNames(), *, self_made: bool = True) -> list[dict[str, Json]]:
    """ServiceAccount, ClusterRole and Role with their bindings."""
    namespaced = namespace_rules(names, self_made=self_made)
    account = {"kind": "ServiceAccount", "name": names.service_account, "namespace": names.namespace}
    objects: list[dict[str, Json]] = [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": names.service_account, "namespace": names.namespace},
        },
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": names.role},
            "rules": cluster_rules(names, self_made=self_made),
        },
        binding("ClusterRole", {"name": names.role}, names.role, account),
    ]
    if namespaced:
        metadata = {"name": names.role, "namespace": names.namespace}
        role = {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": namespaced}
        objects += [role, binding("Role", metadata, names.role, account)]
    return objects


def rule(group: str, resource: str, verbs: list[str], name: str = "") -> Rule:
    rule: Rule = {"apiGroups": [group], "resources": [resource], "verbs": verbs}
    return {**rule, "resourceNames": [name]} if name else rule


def binding(kind: str, metadata: dict[str, Json], role: str, account: dict[str, Json]) -> dict[str, Json]:
    """Of a Role or ClusterRole; where `metadata` has a namespace, for that alone."""
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding" if "namespace" in metadata else "ClusterRoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": role},
        "subjects": [account],
    }
