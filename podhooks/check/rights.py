"""What pods' service accounts may do, and before an installation, what the one who installs may."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from podhooks.check.finding import Category, Check
from podhooks.check.reader import Reader, Unreadable

RIGHTS = Category("pod-rights")
INSTALL = Category("pre-install")
NEEDED = (("get", "pods"), ("watch", "pods"))
INSTALLED = (
    ("namespaces", ""),
    ("serviceaccounts", ""),
    ("services", ""),
    ("secrets", ""),
    ("deployments", "apps"),
    ("poddisruptionbudgets", "policy"),
    ("clusterroles", "rbac.authorization.k8s.io"),
    ("clusterrolebindings", "rbac.authorization.k8s.io"),
    ("roles", "rbac.authorization.k8s.io"),
    ("rolebindings", "rbac.authorization.k8s.io"),
    ("mutatingwebhookconfigurations", "admissionregistration.k8s.io"),
    ("customresourcedefinitions", "apiextensions.k8s.io"),
    ("validatingadmissionpolicies", "admissionregistration.k8s.io"),
    ("validatingadmissionpolicybindings", "admissionregistration.k8s.io"),
)


def check_rights(reader: Reader, accounts: Iterable[tuple[str, str]]) -> Iterator[Check]:
    """`accounts` are the (namespace, service account) pairs of pods that Podhooks is in."""
    count = 0
    for namespace, account in sorted(accounts):
        count += 1
        try:
            missing = [
                f"{verb} {what}" for verb, what in NEEDED if not reader.account_may(account, namespace, verb, what)
            ]
        except Unreadable as error:
            fix = "ask for the right to create subjectaccessreviews"
            yield RIGHTS.skipped("pods-may-look", f"can't ask what service accounts may do: {error}", fix)
            return
        if missing:
            said = f"{namespace}: service account {account} may not {' and '.join(missing)}: on_exit hears Unknown"
            fix = f"podhooks render pod-rbac -n {namespace} --service-account {account} | kubectl apply -f -"
            yield RIGHTS.error("pods-may-look", said, fix)
    if count:
        yield RIGHTS.ok(
            "pods-may-look", f"asked for {count} service account{'s' if count > 1 else ''} of injected pods"
        )


def check_installer(reader: Reader, namespace: str) -> Iterator[Check]:
    """Whether the one who asks may create what an installation consists of."""
    missing = [name for name, group in INSTALLED if not reader.may("create", name, group, _where(name, namespace))]
    if missing:
        said = f"you may not create {', '.join(missing)}"
        yield INSTALL.error("may-install", said, "ask an administrator of the cluster to install, or for these rights")
    else:
        yield INSTALL.ok("may-install", "you may create all that an installation consists of")
    if reader.get(f"/api/v1/namespaces/{namespace}/services/podhooks") is not None:
        said = f"namespace {namespace} has a service podhooks already"
        yield INSTALL.warning(
            "not-installed", said, "upgrade it instead: helm upgrade, or podhooks check without --pre"
        )
    else:
        yield INSTALL.ok("not-installed", f"nothing of Podhooks is in namespace {namespace}")


def _where(resource: str, namespace: str) -> str:
    return (
        namespace
        if resource in ("serviceaccounts", "services", "secrets", "deployments", "roles", "rolebindings")
        else ""
    )
