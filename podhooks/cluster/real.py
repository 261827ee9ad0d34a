"""A run on a real cluster, through the library's own client."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from urllib.parse import quote

from podhooks import contract, errors
from podhooks.cluster.backend import Event, Selection
from podhooks.cluster.login import connect
from podhooks.cluster.request import Object, Request
from podhooks.inject.shapes import Json
from podhooks.kinds.resources import RESOURCES, ResourceType
from podhooks.pod.object import mapping, mappings, text
from podhooks.runtime.apierrors import is_passing
from podhooks.runtime.client import Client

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
WATCH_SECONDS = 120  # asked of the server; a connection that is silent for a little longer is dead
LOG_PAUSE_SECONDS = 1.0
LOG_ATTEMPTS = 5  # to get the rest of an ended container's log
LOG_LAG_SECONDS = 5.0
LOG_TICK_SECONDS = 0.05
WHOLE_SECONDS = len("2026-11-23T00:00:00")
ROWS = {row.kind: row for row in RESOURCES.values()}
RESCUES = f"/apis/{contract.RESCUE_GROUP}/{contract.RESCUE_VERSION}/rescues"


class RealCluster:
    """`kubeconfig` and `context` are connect()'s, and so are its errors."""

    def __init__(self, kubeconfig: str | None, context: str | None) -> None:
        login, named = connect(kubeconfig, context)
        self._client = Client(
            login, answer_timeout_seconds=ANSWER_SECONDS, connect_timeout_seconds=CONNECT_SECONDS, names_requests=False
        )
        self._closed = threading.Event()
        self.namespace = login.namespace
        self.where = f"on {named} ({self._client.server})"

    def notices(self, written: Request, injected: Request) -> list[str]:  # noqa: ARG002
        """Whether on-exit may ask how main ended: without that right, its callbacks hear Unknown."""
        spec, namespace = mapping(injected.pod.get("spec")), injected.namespace
        names = {each.get("name") for field in ("initContainers", "containers") for each in mappings(spec.get(field))}
        account = text(spec.get("serviceAccountName")) or "default"
        brings_rights = any(each["kind"] == "RoleBinding" for each in injected.companions)
        if contract.ON_EXIT_CONTAINER not in names or brings_rights or self._may(account, namespace):
            return []
        return [
            f"service account {account} may not get and watch pods, so on_exit won't know how main ended. "
            f"For this run: --grant; for good: podhooks render pod-rbac --namespace {namespace} "
            f"--service-account {account} | kubectl apply -f -"
        ]

    def _may(self, account: str, namespace: str) -> bool:
        """True also where nobody says."""
        user = f"system:serviceaccount:{namespace}:{account}"
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
        path = f"/apis/authorization.k8s.io/v1/namespaces/{quote(namespace)}/localsubjectaccessreviews"
        for verb in ("get", "watch"):
            attributes = {"namespace": namespace, "verb": verb, "resource": "pods"}
            review = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "LocalSubjectAccessReview",
                "metadata": {"namespace": namespace},
                "spec": {"user": user, "groups": groups, "resourceAttributes": attributes},
            }
            try:
                answer = self._client.create(path, review)
            except errors.ApiError:
                return True
            if not mapping(answer.get("status")).get("allowed"):
                return False
        return True

    def create(self, obj: Object, *, dry_run: bool = False) -> Object:
        query = {"fieldManager": "podhooks", "fieldValidation": "Strict", **({"dryRun": "All"} if dry_run else {})}
        return self._client.create(self._path(obj["kind"], obj["metadata"]["namespace"]), obj, query)

    def read(self, obj: Object) -> Object | None:
        try:
            return self._client.get(self._path_of(obj))
        except errors.NotFound:
            return None

    def delete(self, obj: Object, *, grace_seconds: int | None = None) -> None:
        options: dict[str, Json] = {"propagationPolicy": "Background"}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        if uid := obj["metadata"].get("uid"):
            options["preconditions"] = {"uid": uid}
        try:
            self._client.delete(self._path_of(obj), options)
        except (errors.NotFound, errors.Conflict):  # Conflict: another object has the name, so ours is gone
            return

    def list(self, what: Selection) -> tuple[list[Object], str]:
        answer = self._client.get(self._path(what.kind, what.namespace), _selectors(what))
        kind = {"kind": what.kind, "apiVersion": ROWS[what.kind].api_version}  # items of a list don't say
        items = [{**kind, **each} for each in mappings(answer.get("items"))]
        return items, text(mapping(answer.get("metadata")).get("resourceVersion"))

    def rescues(self) -> Sequence[Object]:
        """What the rescuer keeps, of all namespaces; empty where there is none, or its Rescues may not be read."""
        try:
            return [dict(each) for each in mappings(self._client.get(RESCUES).get("items"))]
        except (errors.NotFound, errors.Forbidden):
            return []

    def watch(self, what: Selection, version: str) -> Iterator[Event]:
        query = {**_selectors(what), "resourceVersion": version}
        for event in self._client.watch(self._path(what.kind, what.namespace), query, seconds=WATCH_SECONDS):
            yield Event(text(event.get("type")), dict(mapping(event.get("object"))))

    def logs(
        self, namespace: str, pod: str, container: str, *, previous: bool, has_ended: Callable[[], bool]
    ) -> Iterator[str]:
        """Goes on where it was when the connection ends before the container does."""
        path = f"{self._path('Pod', namespace)}/{quote(pod)}/log"
        query = {"container": container, "timestamps": "true", "previous" if previous else "follow": "true"}
        last, failures = "", 0
        while not self._closed.is_set() and failures < LOG_ATTEMPTS:
            known = last
            try:
                for line in self._lines(path, {**query, **since(known)}):
                    last, _, words = line.partition(" ")
                    if last > known:
                        failures = 0
                        yield words
                if self._waited_for(has_ended):
                    return
            except errors.ApiError as error:
                if not is_passing(error):
                    raise
                failures += 1 if has_ended() else 0
                self._closed.wait(LOG_PAUSE_SECONDS)

    def _waited_for(self, has_ended: Callable[[], bool]) -> bool:
        """A log ends a little before the container's state is told; False if it doesn't end at all."""
        until = time.monotonic() + LOG_LAG_SECONDS
        while not has_ended() and time.monotonic() < until:
            self._closed.wait(LOG_TICK_SECONDS)
        return has_ended()

    def kept(self, run: Object) -> str:
        return f"kubectl -n {run['metadata']['namespace']} get {run['kind'].lower()} {run['metadata']['name']}"

    def close(self) -> None:
        self._closed.set()
        self._client.close()

    def _path(self, kind: str, namespace: str) -> str:
        row: ResourceType = ROWS[kind]
        return f"{row.root}/namespaces/{quote(namespace)}/{row.plural}" if namespace else f"{row.root}/{row.plural}"

    def _path_of(self, obj: Object) -> str:
        metadata = obj["metadata"]
        return f"{self._path(obj['kind'], metadata['namespace'])}/{quote(metadata['name'])}"

    def _lines(self, path: str, query: Mapping[str, str]) -> Iterator[str]:
        answer = self._client.send("GET", path, query)
        answer.set_timeout(None)  # a container may be silent for as long as it likes; keepalive finds a dead peer
        try:
            for line in answer.lines():
                yield line.decode("utf-8", "replace")
        finally:
            answer.close()


def since(stamp: str) -> dict[str, str]:
    """For a log from `stamp` on. In whole seconds, so what is known already comes again."""
    return {"sinceTime": f"{stamp[:WHOLE_SECONDS]}Z"} if stamp else {}


def _selectors(what: Selection) -> dict[str, str]:
    both = {"labelSelector": what.labels, "fieldSelector": what.fields}
    return {name: value for name, value in both.items() if value}
