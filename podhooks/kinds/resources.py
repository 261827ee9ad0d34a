"""The table of kinds: their names, groups and HTTP paths.

A real cluster is asked by these paths. The stand-in knows these kinds and no others: every kind that a manifest with a
hooked pod tends to carry, so that `kubectl apply` of a whole file works.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from podhooks import contract

Json = dict[str, Any]
"""An object as the API speaks it. Kinds are open-ended and unknown fields must survive, hence no models."""


@dataclass(frozen=True)
class ResourceType:
    """One row of the API's table of kinds. `group` is empty for the core group."""

    plural: str
    kind: str
    group: str = ""
    version: str = "v1"
    namespaced: bool = True
    subresources: tuple[str, ...] = ()
    short_names: tuple[str, ...] = ()
    generation: bool = True
    """Whether the API counts changes of the spec in metadata.generation."""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """`jobs.batch`, the name that messages use."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def singular(self) -> str:
        return self.kind.lower()

    @property
    def root(self) -> str:
        """Path of the kind's API group, without a trailing slash."""
        return f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"


_STATUS = ("status",)
_POD_SUBRESOURCES = ("status", "log", "eviction", "binding")
_ADMISSION = "admissionregistration.k8s.io"
_RBAC = "rbac.authorization.k8s.io"
_DASK = "kubernetes.dask.org"  # custom resources: kept, and nothing is made of them

RESOURCES: dict[str, ResourceType] = {
    row.plural: row
    for row in (
        ResourceType("namespaces", "Namespace", "", "v1", False, _STATUS, ("ns",), generation=False),
        ResourceType("pods", "Pod", "", "v1", True, _POD_SUBRESOURCES, ("po",)),
        ResourceType("configmaps", "ConfigMap", "", "v1", True, (), ("cm",), generation=False),
        ResourceType("secrets", "Secret", generation=False),
        ResourceType("serviceaccounts", "ServiceAccount", "", "v1", True, (), ("sa",), generation=False),
        ResourceType("services", "Service", "", "v1", True, _STATUS, ("svc",), generation=False),
        ResourceType("events", "Event", "", "v1", True, (), ("ev",), generation=False),
        ResourceType("nodes", "Node", "", "v1", False, _STATUS, ("no",), generation=False),
        ResourceType("persistentvolumeclaims", "PersistentVolumeClaim", "", "v1", True, _STATUS, ("pvc",)),
        ResourceType("resourcequotas", "ResourceQuota", "", "v1", True, _STATUS, ("quota",)),
        ResourceType("limitranges", "LimitRange", "", "v1", True, (), ("limits",)),
        ResourceType("jobs", "Job", "batch", "v1", True, _STATUS),
        ResourceType("cronjobs", "CronJob", "batch", "v1", True, _STATUS, ("cj",)),
        ResourceType("deployments", "Deployment", "apps", "v1", True, _STATUS, ("deploy",)),
        ResourceType("statefulsets", "StatefulSet", "apps", "v1", True, _STATUS, ("sts",)),
        ResourceType("replicasets", "ReplicaSet", "apps", "v1", True, _STATUS, ("rs",)),
        ResourceType("daemonsets", "DaemonSet", "apps", "v1", True, _STATUS, ("ds",)),
        ResourceType("leases", "Lease", "coordination.k8s.io", generation=False),
        ResourceType("roles", "Role", _RBAC, generation=False),
        ResourceType("rolebindings", "RoleBinding", _RBAC, generation=False),
        ResourceType("clusterroles", "ClusterRole", _RBAC, "v1", False, generation=False),
        ResourceType("clusterrolebindings", "ClusterRoleBinding", _RBAC, "v1", False, generation=False),
        ResourceType("networkpolicies", "NetworkPolicy", "networking.k8s.io", "v1", True, (), ("netpol",)),
        ResourceType("poddisruptionbudgets", "PodDisruptionBudget", "policy", "v1", True, _STATUS, ("pdb",)),
        ResourceType("priorityclasses", "PriorityClass", "scheduling.k8s.io", "v1", False, (), ("pc",)),
        ResourceType("mutatingwebhookconfigurations", "MutatingWebhookConfiguration", _ADMISSION, "v1", False),
        ResourceType("rescues", "Rescue", contract.RESCUE_GROUP, contract.RESCUE_VERSION, True, (), ()),
        ResourceType("daskclusters", "DaskCluster", _DASK, "v1", True, _STATUS, ("daskcluster",)),
        ResourceType("daskworkergroups", "DaskWorkerGroup", _DASK, "v1", True, _STATUS, ("daskworkers",)),
        ResourceType("daskjobs", "DaskJob", _DASK, "v1", True, _STATUS, ("djb",)),
        ResourceType("daskautoscalers", "DaskAutoscaler", _DASK, "v1", True, _STATUS, ("das",)),
    )
}


def resource(plural: str) -> ResourceType:
    """The row of a plural name. KeyError for an unknown one: only our own code passes plurals."""
    return RESOURCES[plural]


def by_kind(kind: str, api_version: str) -> ResourceType | None:
    """The row of a manifest's `kind` and `apiVersion`, or None if this server doesn't know it."""
    return next((r for r in RESOURCES.values() if r.kind == kind and r.api_version == api_version), None)


def clone(value: Any) -> Any:
    """Deep copy of JSON data; several times faster than `copy.deepcopy`, which must expect cycles and classes."""
    if isinstance(value, dict):
        return {key: clone(item) for key, item in value.items()}
    if isinstance(value, list):
        return [clone(item) for item in value]
    return value
