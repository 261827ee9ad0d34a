"""What injected pods' service accounts are to be allowed: to see how main ended, and its log."""

from __future__ import annotations

from podhooks.inject.shapes import Json
from podhooks.render.rbac import RBAC, Rule

NAME = "podhooks"


def pod_rules() -> list[Rule]:
    """on-exit gets and watches its own pod (a rule can't say "its own"); `log_tail` reads main's log."""
    return [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "watch"]},
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    ]


def pod_rbac(*, name: str = NAME, account: str = "default", namespace: str = "default") -> list[dict[str, Json]]:
    """Role and RoleBinding, both in the namespace of the pods."""
    metadata = {"name": name, "namespace": namespace}
    subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    role_ref = {"apiGroup": RBAC, "kind": "Role", "name": name}
    return [
        {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": pod_rules()},
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": dict(metadata),
            "roleRef": role_ref,
            "subjects": [subject],
        },
    ]
