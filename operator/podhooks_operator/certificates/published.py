"""The MutatingWebhookConfiguration as the API server has it: whom it trusts, and by which name it calls us."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from cryptography.x509 import Certificate

from podhooks.errors import InputError, NotFound
from podhooks.pod.object import mapping, mappings, text
from podhooks_operator.certificates import x509
from podhooks_operator.cluster import CONFIGURATIONS, Cluster

Json: TypeAlias = Any


@dataclass(frozen=True)
class Published:
    """`bundle` are the authorities that all webhooks of the configuration have, in order. `hosts` are the names that
    the API server expects in our certificate. `webhooks` is their number; 0 where there is no configuration."""

    bundle: tuple[Certificate, ...] = ()
    hosts: tuple[str, ...] = ()
    webhooks: int = 0
    version: str = ""

    @property
    def authorities(self) -> dict[str, Certificate]:
        return {x509.fingerprint(each): each for each in self.bundle}


def read(cluster: Cluster, name: str) -> Published:
    try:
        return parse(cluster.get(f"{CONFIGURATIONS}/{name}"))
    except NotFound:
        return Published()


def parse(configuration: Mapping[str, Json]) -> Published:
    clients = [mapping(each.get("clientConfig")) for each in mappings(configuration.get("webhooks"))]
    bundles = [_bundle(text(each.get("caBundle"))) for each in clients]
    common = tuple(each for each in (bundles[0] if bundles else ()) if all(each in other for other in bundles))
    hosts = tuple(dict.fromkeys(_host(each) for each in clients))
    return Published(common, hosts, len(clients), text(mapping(configuration.get("metadata")).get("resourceVersion")))


def publish(cluster: Cluster, name: str, published: Published, bundle: Sequence[bytes]) -> None:
    """Writes the bundle (PEM) into all webhooks, only over the version that was read; else Conflict."""
    encoded = base64.b64encode(b"".join(bundle)).decode()
    version = {"op": "replace", "path": "/metadata/resourceVersion", "value": published.version}
    bundles = [
        {"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": encoded}
        for index in range(published.webhooks)
    ]
    cluster.patch(f"{CONFIGURATIONS}/{name}", [version, *bundles])


def _bundle(encoded: str) -> list[Certificate]:
    """What can't be read isn't trusted by the API server either."""
    try:
        return x509.certificates(base64.b64decode(encoded, validate=True))
    except (InputError, binascii.Error):
        return []


def _host(client: Mapping[str, Json]) -> str:
    service = mapping(client.get("service"))
    if service:
        return f"{text(service.get('name'))}.{text(service.get('namespace'))}.svc"
    return urlsplit(text(client.get("url"))).hostname or ""
