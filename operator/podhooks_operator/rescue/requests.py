"""The rescuer's requests, one function each. Nothing here decides anything.

Every one of them may be sent twice, by a process that was interrupted or by two that both believe to lead: a creation
is refused by its name, a change of a Rescue by its resourceVersion, and a pod's changes nothing the second time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote

from podhooks import contract
from podhooks.errors import ApiError, Conflict, NotFound
from podhooks.pod.object import mapping, mappings, text
from podhooks.runtime.client import STRATEGIC_PATCH
from podhooks_operator.cluster import EVENTS, Cluster
from podhooks_operator.rescue.objects import PodRef

if TYPE_CHECKING:
    from podhooks.runtime.access import Login

Json: TypeAlias = Any
PODS, JOBS = "/api/v1/namespaces/{}/pods", "/apis/batch/v1/namespaces/{}/jobs"
RESCUES = f"/apis/{contract.RESCUE_GROUP}/{contract.RESCUE_VERSION}/namespaces/{{}}/rescues"
NODES = "/api/v1/nodes"
PAGE = "500"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
UNPROCESSABLE = 422


class RescueCluster(Cluster):
    """Its errors are the server's words alone: users read them in a Rescue and in Events."""

    def __init__(self, login: Login) -> None:
        super().__init__(login, names_requests=False)

    def advice(self, status: int, said: str) -> str:  # noqa: ARG002
        return ""


class Requests:
    """`namespace` is the operator's own, where Rescues are. Raises ApiError and its kinds only."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self._rescues = RESCUES.format(quote(namespace))

    # Pods.

    def pod(self, ref: PodRef) -> dict[str, Json] | None:
        """None if it is gone, or another has its name."""
        try:
            found = self.cluster.get(_path(PODS, ref.namespace, ref.name))
        except NotFound:
            return None
        return found if mapping(found.get("metadata")).get("uid") == ref.uid else None

    def hold(self, ref: PodRef, version: str) -> bool:
        """False if the pod has changed meanwhile, is ending or gone: look at it again."""
        metadata = {"uid": ref.uid, "resourceVersion": version, "finalizers": [contract.FINALIZER]}
        return self._patch_pod(ref, metadata)

    def release(self, ref: PodRef, why: str) -> bool:
        """False if the pod is gone, or another has its name."""
        metadata = {
            "uid": ref.uid,
            "$deleteFromPrimitiveList/finalizers": [contract.FINALIZER],
            "annotations": {contract.RELEASED: why},
        }
        return self._patch_pod(ref, metadata)

    def _patch_pod(self, ref: PodRef, metadata: Mapping[str, Json]) -> bool:
        path = _path(PODS, ref.namespace, ref.name)
        try:
            self.cluster.patch(path, {"metadata": metadata}, content_type=STRATEGIC_PATCH)
        except (NotFound, Conflict):
            return False
        except ApiError as error:
            if error.status == UNPROCESSABLE:  # it is being deleted, or has another UID
                return False
            raise
        return True

    # Rescues.

    def rescue(self, name: str) -> dict[str, Json] | None:
        try:
            return self.cluster.get(f"{self._rescues}/{quote(name)}")
        except NotFound:
            return None

    def record(self, rescue: Mapping[str, Json]) -> None:
        """It is there afterwards, whoever wrote it: its name holds the pod's UID."""
        try:
            self.cluster.create(self._rescues, rescue)
        except Conflict:
            return

    def write(self, rescue: Mapping[str, Json]) -> bool:
        """False if it has changed meanwhile, or is gone: look at it again."""
        try:
            self.cluster.update(f"{self._rescues}/{quote(rescue['metadata']['name'])}", rescue)
        except (Conflict, NotFound):
            return False
        return True

    def forget(self, name: str) -> None:
        try:
            self.cluster.delete(f"{self._rescues}/{quote(name)}")
        except NotFound:
            return

    def rescues(self, selector: str) -> Iterator[Mapping[str, Json]]:
        """Their metadata only."""
        return self.items(self._rescues, {"labelSelector": selector})

    # Jobs.

    def try_pod(self, pod: Mapping[str, Json]) -> None:
        """A dry run. ApiError: the namespace wouldn't let it in, or nobody could be asked."""
        self.cluster.create(PODS.format(quote(pod["metadata"]["namespace"])), pod, {"dryRun": "All"})

    def run(self, job: Mapping[str, Json]) -> None:
        """It is there afterwards: its name is this attempt's of this pod."""
        try:
            self.cluster.create(JOBS.format(quote(job["metadata"]["namespace"])), job)
        except Conflict:
            return

    def job(self, namespace: str, name: str) -> dict[str, Json] | None:
        try:
            return self.cluster.get(_path(JOBS, namespace, name))
        except NotFound:
            return None

    def cancel(self, namespace: str, name: str) -> None:
        try:
            self.cluster.delete(_path(JOBS, namespace, name), {"propagationPolicy": "Background"})
        except NotFound:
            return

    def pods_of(self, namespace: str, job: str) -> list[Mapping[str, Json]]:
        query = {"labelSelector": f"batch.kubernetes.io/job-name={job}"}
        return list(mappings(self.cluster.get(PODS.format(quote(namespace)), query).get("items")))

    # All else.

    def node(self, name: str) -> dict[str, Json] | None:
        try:
            return self.cluster.get(f"{NODES}/{quote(name)}")
        except NotFound:
            return None

    def tell(self, event: Mapping[str, Json]) -> None:
        """Once: its name is this news'."""
        try:
            self.cluster.create(EVENTS.format(quote(event["metadata"]["namespace"])), event)
        except Conflict:
            return

    def items(self, path: str, query: Mapping[str, str], accept: str = METADATA_LIST) -> Iterator[Mapping[str, Json]]:
        """Of a list, page by page."""
        for page in self.pages(path, query, accept):
            yield from mappings(page.get("items"))

    def pages(self, path: str, query: Mapping[str, str], accept: str = METADATA_LIST) -> Iterator[Mapping[str, Json]]:
        asked = {**query, "limit": PAGE}
        while True:
            page = self.cluster.get(path, asked, accept=accept)
            yield page
            more = text(mapping(page.get("metadata")).get("continue"))
            if not more:
                return
            asked["continue"] = more


def _path(collection: str, namespace: str, name: str) -> str:
    return f"{collection.format(quote(namespace))}/{quote(name)}"
