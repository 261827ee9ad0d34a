"""A run on a real cluster. The official client reads the kubeconfig, logs in and speaks TLS; objects are plain dicts,
because its models drop fields that they don't know.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from podhooks import contract, errors
from podhooks.cluster.backend import Event, Selection
from podhooks.cluster.login import connect
from podhooks.cluster.request import Object, Request
from podhooks.inject.shapes import Json
from podhooks.local.resources import RESOURCES, ResourceType
from podhooks.pod.object import mapping, mappings, text

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
WATCH_SECONDS = 120  # asked of the server; a connection that is silent for a little longer is dead
WATCH_MARGIN_SECONDS = 15.0
LOG_PAUSE_SECONDS = 1.0
LOG_ATTEMPTS = 5  # to get the rest of an ended container's log
LOG_LAG_SECONDS = 5.0
LOG_TICK_SECONDS = 0.05
WHOLE_SECONDS = len("2026-11-23T00:00:00")
ROWS = {row.kind: row for row in RESOURCES.values()}
ADVICE = {
    401: "the cluster doesn't accept these credentials: log in again",
    403: "ask for the right, or use another --context",
}
NO_CREDENTIALS = "the kubeconfig has no credentials for it: log in, or use another --context"


class RealCluster:
    """`kubeconfig` and `context` are connect()'s, and so are its errors."""

    def __init__(self, kubeconfig: str | None, context: str | None) -> None:
        self._api, chosen = connect(kubeconfig, context)
        configuration = self._api.configuration
        self._host = configuration.host.rstrip("/")
        self._pool = self._api.rest_client.pool_manager
        self._closed = threading.Event()
        self.namespace = text(mapping(chosen.get("context")).get("namespace")) or "default"
        server = urlsplit(self._host)
        self._shown = f"{server.scheme}://{server.netloc.rpartition('@')[2]}"  # the rest may be somebody's secret
        self.where = f"on {text(chosen.get('name'))} ({self._shown})"

    def notices(self, written: Request, injected: Request) -> list[str]:  # noqa: ARG002
        """Whether on-exit may ask how main ended: without that right, its callbacks hear Unknown."""
        spec, namespace = mapping(injected.pod.get("spec")), injected.namespace
        names = {each.get("name") for field in ("initContainers", "containers") for each in mappings(spec.get(field))}
        account = text(spec.get("serviceAccountName")) or "default"
        brings_rights = any(each["kind"] == "RoleBinding" for each in injected.companions)
        if contract.ON_EXIT_CONTAINER not in names or brings_rights or self._may(account, namespace):
            return []
        return [
            f"service account {account} may not get and watch pods, so on_exit won't know how main ended. Grant it: "
            f"kubectl -n {namespace} create role podhooks --verb=get,watch --resource=pods && kubectl -n {namespace} "
            f"create rolebinding podhooks --role=podhooks --serviceaccount={namespace}:{account}"
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
                answer = self._json("POST", path, body=review)
            except errors.ApiError:
                return True
            if not mapping(answer.get("status")).get("allowed"):
                return False
        return True

    def create(self, obj: Object, *, dry_run: bool = False) -> Object:
        query = {"fieldManager": "podhooks", "fieldValidation": "Strict", **({"dryRun": "All"} if dry_run else {})}
        return self._json("POST", self._path(obj["kind"], obj["metadata"]["namespace"]), query, obj)

    def read(self, obj: Object) -> Object | None:
        try:
            return self._json("GET", self._path_of(obj))
        except errors.NotFound:
            return None

    def delete(self, obj: Object, *, grace_seconds: int | None = None) -> None:
        options: dict[str, Json] = {"propagationPolicy": "Background"}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        if uid := obj["metadata"].get("uid"):
            options["preconditions"] = {"uid": uid}
        try:
            self._json("DELETE", self._path_of(obj), body=options)
        except errors.NotFound:
            return
        except errors.ApiError as error:
            if error.status != 409:  # another object has the name: ours is gone
                raise

    def list(self, what: Selection) -> tuple[list[Object], str]:
        answer = self._json("GET", self._path(what.kind, what.namespace), _selectors(what))
        kind = {"kind": what.kind, "apiVersion": ROWS[what.kind].api_version}  # items of a list don't say
        items = [{**kind, **each} for each in mappings(answer.get("items"))]
        return items, text(mapping(answer.get("metadata")).get("resourceVersion"))

    def watch(self, what: Selection, version: str) -> Iterator[Event]:
        query = {
            **_selectors(what),
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        path = self._path(what.kind, what.namespace)
        for line in self._lines(path, query, WATCH_SECONDS + WATCH_MARGIN_SECONDS):
            data = mapping(json.loads(line))
            if data.get("type") == "ERROR":
                status = mapping(data.get("object"))
                raise _error(int(status.get("code") or 500), text(status.get("message")))
            yield Event(text(data.get("type")), dict(mapping(data.get("object"))))

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
                for line in self._lines(path, {**query, **since(known)}, None):
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

    def _path(self, kind: str, namespace: str) -> str:
        row: ResourceType = ROWS[kind]
        return f"{row.root}/namespaces/{quote(namespace)}/{row.plural}"

    def _path_of(self, obj: Object) -> str:
        metadata = obj["metadata"]
        return f"{self._path(obj['kind'], metadata['namespace'])}/{quote(metadata['name'])}"

    def _json(self, method: str, path: str, query: Mapping[str, str] | None = None, body: Json = None) -> Object:
        with _unreachable(self._shown):
            answer = self._request(method, path, query or {}, body, ANSWER_SECONDS)
            data = answer.data
        return dict(mapping(_parsed(data)))

    def _lines(self, path: str, query: Mapping[str, str], timeout_seconds: float | None) -> Iterator[str]:
        with _unreachable(self._shown):
            answer = self._request("GET", path, query, None, timeout_seconds)
            try:
                rest = b""
                for chunk in answer.stream(65536):
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        yield line.decode("utf-8", "replace")
                if rest:
                    yield rest.decode("utf-8", "replace")
            finally:
                answer.close()

    def _request(
        self, method: str, path: str, query: Mapping[str, str], body: Json, timeout_seconds: float | None
    ) -> Any:
        import urllib3

        answer = self._pool.request(
            method,
            f"{self._host}{path}" + (f"?{urlencode(query)}" if query else ""),
            body=None if body is None else json.dumps(body).encode(),
            headers=self._headers(body is not None),
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=timeout_seconds),
            retries=False,
            preload_content=False,
        )
        if answer.status >= 400:
            raise self._refusal(answer.status, answer.data)
        return answer

    def _headers(self, with_body: bool) -> dict[str, str]:
        """Asked of the client each time, so that it may renew what expires."""
        headers = {"Accept": "application/json", **self._api.default_headers}
        if with_body:
            headers["Content-Type"] = "application/json"
        for each in self._api.configuration.auth_settings().values():
            if each.get("in") == "header" and each.get("value"):
                headers[each["key"]] = each["value"].strip()  # a token's file ends in a newline
        return headers

    def _refusal(self, status: int, data: bytes) -> errors.ApiError:
        said = text(mapping(_parsed(data)).get("message")) or f"{self._shown} answered HTTP {status}{_plain(data)}"
        return _error(status, said, NO_CREDENTIALS if status in ADVICE and not self._has_credentials() else None)

    def _has_credentials(self) -> bool:
        configuration = self._api.configuration
        return bool(configuration.cert_file or configuration.auth_settings())


def is_passing(error: errors.ApiError) -> bool:
    """Whether the same request may well succeed a little later."""
    return isinstance(error, errors.Unreachable) or error.status >= 500 or error.status == 429


def since(stamp: str) -> dict[str, str]:
    """For a log from `stamp` on. In whole seconds, so what is known already comes again."""
    return {"sinceTime": f"{stamp[:WHOLE_SECONDS]}Z"} if stamp else {}


class _unreachable:  # noqa: N801  a context manager, named like what it raises
    """Turns what urllib3 and the client raise while they connect or read into our error."""

    def __init__(self, host: str) -> None:
        self._host = host

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        import urllib3.exceptions

        if isinstance(error, (urllib3.exceptions.HTTPError, OSError)):
            raise errors.Unreachable(f"{self._host} can't be reached: {_cause(error)}") from error


def _cause(error: BaseException) -> str:
    """The innermost reason, which is the one that says something."""
    import urllib3.exceptions

    if isinstance(error, urllib3.exceptions.ProtocolError):
        return "the connection broke off"
    inner: BaseException | None = error
    while inner is not None and (inner.__cause__ or inner.__context__) is not None:
        inner = inner.__cause__ or inner.__context__
    said = inner.strerror if isinstance(inner, OSError) and inner.strerror else str(inner or error)
    return " ".join(said.split())[:200]


def _parsed(data: bytes) -> Json:
    try:
        return json.loads(data)
    except ValueError:
        return None


def _plain(data: bytes) -> str:
    """What else than the API answers, like a server of HTTPS that is asked by HTTP; a proxy's page isn't for a line."""
    said = " ".join(data[:200].decode("utf-8", "replace").split())
    return f": {said}" if said and said[0] not in "<{" else ""


def _error(status: int, message: str, advice: str | None = None) -> errors.ApiError:
    kinds = {401: errors.Unauthorized, 403: errors.Forbidden, 404: errors.NotFound, 410: errors.Gone}
    advice = advice or ADVICE.get(status)
    said = " ".join(message.split())
    return kinds.get(status, errors.ApiError)(f"{said}: {advice}" if advice else said, status=status)


def _selectors(what: Selection) -> dict[str, str]:
    both = {"labelSelector": what.labels, "fieldSelector": what.fields}
    return {name: value for name, value in both.items() if value}
