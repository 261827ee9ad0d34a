"""Held pods let go by hand: their finalizer is dropped, and the rescuer doesn't hold them again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import quote

from podhooks import contract
from podhooks.errors import ApiError, Conflict, NotFound
from podhooks.inject.shapes import Json
from podhooks.pod.object import mapping, mappings, sequence, text
from podhooks.runtime.client import STRATEGIC_PATCH, Client

PAGE = "500"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
GUARANTEED = f"{contract.GUARANTEE_LABEL}={contract.GUARANTEE_CLUSTER}"
UNPROCESSABLE = 422


def guaranteed_pods(client: Client, namespace: str, selector: str = "") -> Iterator[Mapping[str, Json]]:
    """The metadata of pods with that guarantee, page by page. No namespace means all of them."""
    path = f"/api/v1/namespaces/{quote(namespace)}/pods" if namespace else "/api/v1/pods"
    query = {"labelSelector": ",".join(filter(None, (GUARANTEED, selector))), "limit": PAGE}
    while True:
        page = client.get(path, query, accept=METADATA_LIST)
        yield from (mapping(each.get("metadata")) for each in mappings(page.get("items")))
        more = text(mapping(page.get("metadata")).get("continue"))
        if not more:
            return
        query["continue"] = more


def is_held(metadata: Mapping[str, Json]) -> bool:
    return contract.FINALIZER in sequence(metadata.get("finalizers"))


def is_open(metadata: Mapping[str, Json]) -> bool:
    """Whether the rescuer may still hold it: it isn't held yet, and nobody has let go of it."""
    released = contract.RELEASED in mapping(metadata.get("annotations"))
    return not is_held(metadata) and not released and not metadata.get("deletionTimestamp")


def release(client: Client, metadata: Mapping[str, Json]) -> bool:
    """False if the pod is gone. Raises ApiError."""
    namespace, name = (text(metadata.get(key)) for key in ("namespace", "name"))
    patch = {
        "uid": metadata.get("uid"),
        "$deleteFromPrimitiveList/finalizers": [contract.FINALIZER],
        "annotations": {contract.RELEASED: contract.RELEASED_BY_HAND},
    }
    path = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(name)}"
    try:
        client.patch(path, {"metadata": patch}, content_type=STRATEGIC_PATCH)
    except (NotFound, Conflict):  # Conflict: another pod has its name
        return False
    except ApiError as error:
        if error.status == UNPROCESSABLE:
            return False
        raise
    return True
