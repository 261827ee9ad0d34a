"""The operator's Deployment and what stands around it, without Helm. The chart's defaults make the same."""

from __future__ import annotations

import re
from dataclasses import dataclass

from podhooks.errors import InputError
from podhooks.inject.shapes import Json
from podhooks.render.rbac import OperatorNames, operator_rbac
from podhooks.render.rescuer import rescuer_objects
from podhooks.render.webhook import WebhookOptions, webhook_configuration

WEBHOOK_PORT, HEALTH_PORT = 8443, 8080
USER = 65532  # the image's
SPREAD_OVER = ("kubernetes.io/hostname", "topology.kubernetes.io/zone")


@dataclass(frozen=True)
class OperatorOptions:
    """`image` is the operator's and, with delivery `image` and `copy`, the runtime's. `rescuer`: it keeps
    `guarantee: cluster`, too, in all namespaces or in the given ones."""

    image: str
    name: str = "podhooks"
    namespace: str = "podhooks"
    replicas: int = 2
    delivery: str = "image"
    rescuer: bool = False
    rescue_namespaces: tuple[str, ...] = ()

    @property
    def names(self) -> OperatorNames:
        return OperatorNames(
            namespace=self.namespace,
            service_account=self.name,
            role=self.name,
            configuration=self.name,
            secret=f"{self.name}-webhook-certificates",
            lease=f"{self.name}-rescuer",
        )

    @property
    def selector(self) -> dict[str, str]:
        return {"app.kubernetes.io/name": "podhooks", "app.kubernetes.io/instance": self.name}

    @property
    def metadata(self) -> dict[str, Json]:
        return {"name": self.name, "namespace": self.namespace, "labels": self.selector}


def operator_objects(options: OperatorOptions) -> list[dict[str, Json]]:
    """In the order in which they are to be applied. Certificates aren't among them: the replicas make their own.

    A single replica has no PodDisruptionBudget: its node could never be drained. InputError for what the API server
    would refuse halfway.
    """
    _check(options)
    webhook = WebhookOptions(name=options.name, namespace=options.namespace, service=options.name)
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": options.namespace}},
        *operator_rbac(options.names),
        *(rescuer_objects(options.names, options.rescue_namespaces) if options.rescuer else []),
        service(options),
        deployment(options),
        *([disruption_budget(options)] if options.replicas > 1 else []),
        webhook_configuration(webhook),
    ]


def _check(options: OperatorOptions) -> None:
    for what, text in (
        ("name", options.name),
        *(("namespace", each) for each in (options.namespace, *options.rescue_namespaces)),
    ):
        if not re.fullmatch("[a-z]([-a-z0-9]{0,61}[a-z0-9])?", text):
            raise InputError(f"{what} {text[:70]!r} can't be a Kubernetes name: write small letters, digits and dashes")
    if options.replicas < 1:
        raise InputError(f"the operator needs at least one replica, not {options.replicas}")


def service(options: OperatorOptions) -> dict[str, Json]:
    ports = [
        {"name": "webhook", "port": 443, "targetPort": "webhook"},
        {"name": "health", "port": HEALTH_PORT, "targetPort": "health"},
    ]
    spec = {"selector": options.selector, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": options.metadata, "spec": spec}


def disruption_budget(options: OperatorOptions) -> dict[str, Json]:
    spec = {"selector": {"matchLabels": options.selector}, "minAvailable": 1}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": options.metadata, "spec": spec}


def deployment(options: OperatorOptions) -> dict[str, Json]:
    template = {"metadata": {"labels": options.selector}, "spec": _pod(options)}
    spec = {
        "replicas": options.replicas,
        "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "selector": {"matchLabels": options.selector},
        "template": template,
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": options.metadata, "spec": spec}


def _pod(options: OperatorOptions) -> dict[str, Json]:
    return {
        "serviceAccountName": options.name,
        "terminationGracePeriodSeconds": 40,  # more than the operator's --drain and --shutdown-timeout together
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": options.selector},
            }
            for key in SPREAD_OVER
        ],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(options)],
    }


def _container(options: OperatorOptions) -> dict[str, Json]:
    names = options.names
    return {
        "name": "operator",
        "image": options.image,
        "command": ["python3", "-m", "podhooks_operator"],
        "args": [
            *("--service", options.name, "--webhook-configuration", names.configuration),
            *("--image", options.image, "--delivery", options.delivery),
            *("--secret", names.secret),
            *(("--rescuer", "--lease", names.lease) if options.rescuer else ()),
            *(part for each in options.rescue_namespaces for part in ("--rescue-namespace", each)),
        ],
        "env": [
            {"name": "PODHOOKS_POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "PODHOOKS_POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        ],
        "ports": [
            {"name": "webhook", "containerPort": WEBHOOK_PORT},
            {"name": "health", "containerPort": HEALTH_PORT},
        ],
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": "health"}, "timeoutSeconds": 5},
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "health"}, "periodSeconds": 3, "timeoutSeconds": 3},
        "resources": {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
