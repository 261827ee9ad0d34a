"""The API's verbs on the store: a request in, a reply out, no sockets.

What is not supported is refused in words, never ignored: server-side apply, exec, attach, port-forward, protobuf.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any, Protocol

from podhooks.local import discovery, openapi
from podhooks.local.admission import check_fields, check_update, without_unknown
from podhooks.local.deletion import parse_rfc3339
from podhooks.local.messages import Reply, Request, Target, dump, locate, reply_json
from podhooks.local.patches import apply_patch, check_patch_type
from podhooks.local.problems import ApiError, bad_request, not_found
from podhooks.local.resources import Json, ResourceType
from podhooks.local.store import Store, Watch, WatchEvent
from podhooks.local.tables import partial, table

BOOKMARK_SECONDS = 60.0
DEFAULT_WATCH_SECONDS = 1800
_POLL_SECONDS = 1.0  # how soon a watch notices that its client has left
_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_INTERACTIVE = ("exec", "attach", "portforward", "proxy", "ephemeralcontainers", "resize", "scale", "token")


class Logs(Protocol):
    """What the kubelet offers for `pods/log`. ApiError is raised by the call itself, not by the iteration."""

    def __call__(  # noqa: PLR0913 (the parameters of the API)
        self,
        namespace: str,
        pod: str,
        container: str,
        *,
        follow: bool,
        previous: bool,
        tail_lines: int | None,
        since_seconds: int | None,
        timestamps: bool,
        limit_bytes: int | None,
    ) -> Iterator[bytes]: ...


Verbs = Mapping[str, Callable[[Request, Target], Reply]]


class Api:
    """Answers requests from a store; `logs` is set by whoever runs the pods."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.logs: Logs | None = None
        self._watches: set[Watch] = set()

    def answer(self, request: Request) -> Reply:
        """The reply to an authenticated request. ApiError for everything that isn't a success."""
        if target := locate(request.path):
            return self._resource(request, target)
        if request.method != "GET":
            raise _nothing_here(request) if _information(request) is None else _not_allowed(request)
        reply = _information(request)
        if reply is None:
            raise _nothing_here(request)
        return reply

    def _resource(self, request: Request, target: Target) -> Reply:
        verbs: Verbs
        if target.subresource:
            verbs = self._subresource_verbs(target)
        elif target.name:
            verbs = {"GET": self._get, "PUT": self._put, "PATCH": self._patch, "DELETE": self._delete}
        else:
            verbs = {"GET": self._list, "POST": self._create, "DELETE": self._delete_collection}
        if request.method not in verbs:
            raise _not_allowed(request)
        return verbs[request.method](request, target)

    def _subresource_verbs(self, target: Target) -> Verbs:
        if target.subresource not in target.kind.subresources:
            raise _no_subresource(target)
        verbs: dict[str, Verbs] = {
            "status": {"GET": self._get, "PUT": self._put, "PATCH": self._patch},
            "log": {"GET": self._log},
            "eviction": {"POST": self._evict},
            "binding": {"POST": self._bind},
        }
        return verbs[target.subresource]

    # -- reading

    def _get(self, request: Request, target: Target) -> Reply:
        if request.flag("watch"):
            return self._watch(request, target)
        obj = self.store.get(target.kind.plural, target.namespace, target.name)
        return reply_json(_shown(request, target, [obj], obj["metadata"]["resourceVersion"], obj))

    def _list(self, request: Request, target: Target) -> Reply:
        if request.flag("watch"):
            return self._watch(request, target)
        kind, (labels, fields) = target.kind, _selectors(request)
        items, version = self.store.list(kind.plural, target.namespace, labels=labels, fields=fields)
        meta = {"resourceVersion": version}
        whole = {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": meta, "items": items}
        return reply_json(_shown(request, target, items, version, whole))

    def _watch(self, request: Request, target: Target) -> Reply:
        labels, fields = _selectors(request)
        if target.name:
            fields = ",".join(part for part in (fields, f"metadata.name={target.name}") if part)
        initial = request.flag("sendInitialEvents")
        since = None if initial else request.query.get("resourceVersion")
        seconds = request.number("timeoutSeconds") or DEFAULT_WATCH_SECONDS
        try:
            watch = self.store.watch(target.kind.plural, target.namespace, since=since, labels=labels, fields=fields)
        except ApiError as error:
            if error.status != 410:
                raise
            return Reply(stream=iter([_line("ERROR", error.to_status())]))
        return Reply(stream=self._follow(_Lines(request, target, watch, seconds, initial)))

    def _follow(self, lines: _Lines) -> Iterator[bytes]:
        self._watches.add(lines.watch)
        try:
            yield from lines.events()
        finally:
            lines.watch.close()
            self._watches.discard(lines.watch)

    def end_watches(self) -> None:
        """End all running watches properly, as a server does whose timeout is over."""
        for watch in list(self._watches):
            watch.close()

    def _log(self, request: Request, target: Target) -> Reply:
        namespace = target.namespace or "default"
        pod = self.store.get("pods", namespace, target.name)
        container = _choose_container(pod, request.query.get("container", ""))
        if self.logs is None:
            raise ApiError(503, "ServiceUnavailable", "no kubelet is running, so there are no logs")
        stream = self.logs(
            namespace,
            target.name,
            container,
            follow=request.flag("follow"),
            previous=request.flag("previous"),
            tail_lines=request.number("tailLines"),
            since_seconds=_since_seconds(request),
            timestamps=request.flag("timestamps"),
            limit_bytes=request.number("limitBytes"),
        )
        return Reply(stream=stream, content_type="text/plain")

    # -- writing

    def _create(self, request: Request, target: Target) -> Reply:
        kind = target.kind
        if kind.namespaced and target.namespace is None:
            raise _not_allowed(request)
        obj = request.json()
        _check_addressed(obj, target)
        obj, warnings = _checked(request, kind, obj)
        if target.namespace:
            obj.setdefault("metadata", {})["namespace"] = target.namespace
        made = self.store.create(kind.plural, obj, dry_run=request.dry_run)
        return reply_json(
            _shown(request, target, [made], made["metadata"].get("resourceVersion", ""), made), 201, warnings
        )

    def _put(self, request: Request, target: Target) -> Reply:
        obj, plural = request.json(), target.kind.plural
        _check_addressed(obj, target)
        obj.setdefault("metadata", {}).update({"namespace": target.namespace} if target.namespace else {})
        warnings: list[str] = []
        if not target.subresource:
            obj, warnings = _checked(request, target.kind, obj)
            check_update(target.kind, self.store.get(plural, target.namespace, target.name), obj)
        written = self.store.update(plural, obj, subresource=target.subresource, dry_run=request.dry_run)
        return reply_json(written, warnings=warnings)

    def _patch(self, request: Request, target: Target) -> Reply:
        """Read, patch, write; again when somebody else was faster, unless the patch itself names a version."""
        check_patch_type(request.content_type)
        for attempts_left in reversed(range(5)):
            old = self.store.get(target.kind.plural, target.namespace, target.name)
            new = apply_patch(request.content_type, old, request.body)
            _check_addressed(new, target)
            warnings: list[str] = []
            if not target.subresource:
                new, warnings = _checked(request, target.kind, new)
                check_update(target.kind, old, new)
            try:
                written = self.store.update(
                    target.kind.plural, new, subresource=target.subresource, dry_run=request.dry_run
                )
            except ApiError as error:
                named = new["metadata"].get("resourceVersion") != old["metadata"]["resourceVersion"]
                if error.reason != "Conflict" or named or not attempts_left:
                    raise
                continue
            return reply_json(
                _shown(request, target, [written], written["metadata"]["resourceVersion"], written), 200, warnings
            )
        raise AssertionError("unreachable")

    def _delete(self, request: Request, target: Target) -> Reply:
        kind, options = target.kind, _delete_options(request)
        last = self._remove(target, target.name, options)
        held = kind.plural == "pods" or last["metadata"].get("finalizers") or kind.plural == "namespaces"
        return reply_json(last if held else _success(target, last))

    def _delete_collection(self, request: Request, target: Target) -> Reply:
        kind, options, (labels, fields) = target.kind, _delete_options(request), _selectors(request)
        if kind.namespaced and target.namespace is None:
            raise _not_allowed(request)
        items, version = self.store.list(kind.plural, target.namespace, labels=labels, fields=fields)
        for item in items:
            self._remove(target, item["metadata"]["name"], {**options, "preconditions": {}})
        meta = {"resourceVersion": version}
        return reply_json(
            {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": meta, "items": items}
        )

    def _remove(self, target: Target, name: str, options: Mapping[str, Any]) -> Json:
        plural, preconditions = target.kind.plural, options.get("preconditions") or {}
        if options.get("dryRun"):
            return self.store.get(plural, target.namespace, name)
        return self.store.delete(
            plural,
            target.namespace,
            name,
            grace_seconds=options.get("gracePeriodSeconds"),
            uid=preconditions.get("uid"),
            propagation=options.get("propagationPolicy") or "Background",
        )

    def _evict(self, request: Request, target: Target) -> Reply:
        body = request.json() if request.body else {}
        options = body.get("deleteOptions") or {}
        uid = (options.get("preconditions") or {}).get("uid")
        if not request.dry_run:
            grace = options.get("gracePeriodSeconds")
            self.store.evict(target.namespace or "default", target.name, grace_seconds=grace, uid=uid)
        return reply_json({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}, 201)

    def _bind(self, request: Request, target: Target) -> Reply:
        node = (request.json().get("target") or {}).get("name")
        if not node:
            raise bad_request("a Binding needs target.name, the node")

        def bind(pod: Json) -> None:
            pod["spec"]["nodeName"] = node

        self.store.mutate("pods", target.namespace, target.name, bind, subresource="*")
        return reply_json({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}, 201)


class _Lines:
    """The lines of one watch, until its time is over or its client has left."""

    def __init__(self, request: Request, target: Target, watch: Watch, seconds: int, initial: bool) -> None:
        self.request, self.target, self.watch = request, target, watch
        self.ends = time.monotonic() + seconds
        self.bookmarks = request.flag("allowWatchBookmarks")
        self.announce = initial and self.bookmarks
        self.headers = True

    def events(self) -> Iterator[bytes]:
        next_bookmark = time.monotonic() + BOOKMARK_SECONDS
        while not self.watch.closed and not self.request.gone():
            if self.announce and not self.watch.has_initial:
                self.announce = False
                yield self._bookmark({"k8s.io/initial-events-end": "true"})
            now = time.monotonic()
            if now >= self.ends:
                break
            if event := self.watch.next(min(_POLL_SECONDS, self.ends - now)):
                yield self._event(event)
            if self.bookmarks and now >= next_bookmark:
                next_bookmark = now + BOOKMARK_SECONDS
                yield self._bookmark({})
        if self.bookmarks and not self.watch.closed:
            yield self._bookmark({})

    def _event(self, event: WatchEvent) -> bytes:
        obj = event.object
        if event.type != "ERROR":
            version = obj["metadata"]["resourceVersion"]
            obj = _shown(self.request, self.target, [obj], version, obj, headers=self.headers)
            self.headers = False
        return _line(event.type, obj)

    def _bookmark(self, annotations: Mapping[str, str]) -> bytes:
        meta: Json = {"resourceVersion": self.watch.resource_version, "creationTimestamp": None}
        if annotations:
            meta["annotations"] = dict(annotations)
        obj: Json = {"kind": self.target.kind.kind, "apiVersion": self.target.kind.api_version, "metadata": meta}
        if self.request.accepts("Table"):
            obj = table(self.target.kind.plural, [], self.watch.resource_version, include="None", headers=False)
            obj["rows"] = [{"cells": [], "object": {"metadata": meta}}] if annotations else []
        return _line("BOOKMARK", obj)


def _line(kind: str, obj: Json) -> bytes:
    return dump({"type": kind, "object": obj}) + b"\n"


def _shown(
    request: Request, target: Target, items: list[Json], version: str, whole: Json, *, headers: bool = True
) -> Json:
    """An object or a list in the form that the client asks for: itself, a table, or its metadata."""
    if request.accepts("Table"):
        include = request.query.get("includeObject", "Metadata")
        return table(target.kind.plural, items, version, include=include, headers=headers)
    if request.accepts("PartialObjectMetadataList") or request.accepts("PartialObjectMetadata"):
        if "items" not in whole:
            return partial(whole)
        kind = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1"}
        return {**kind, "metadata": whole["metadata"], "items": [partial(item) for item in items]}
    return whole


def _selectors(request: Request) -> tuple[str, str]:
    return request.query.get("labelSelector", ""), request.query.get("fieldSelector", "")


def _delete_options(request: Request) -> Json:
    """DeleteOptions from the body and the query; the query wins, as on a real server."""
    options = request.json() if request.body.strip() else {}
    if (grace := request.number("gracePeriodSeconds")) is not None:
        options["gracePeriodSeconds"] = grace
    if policy := request.query.get("propagationPolicy"):
        options["propagationPolicy"] = policy
    if request.dry_run:
        options["dryRun"] = ["All"]
    if options.get("propagationPolicy") not in (None, "Background", "Foreground", "Orphan"):
        raise bad_request(f'invalid propagationPolicy "{options["propagationPolicy"]}"')
    grace = options.get("gracePeriodSeconds")
    if grace is not None and (not isinstance(grace, int) or grace < 0):
        raise bad_request("gracePeriodSeconds must be a whole number of seconds, 0 or more")
    return options


def _checked(request: Request, kind: ResourceType, obj: Json) -> tuple[Json, list[str]]:
    """What is left of an object after the check of its fields, and the warnings about it."""
    warnings = check_fields(kind, obj, request.query.get("fieldValidation", ""))
    return without_unknown(kind, obj), warnings


def _success(target: Target, last: Json) -> Json:
    details = {"name": target.name, "kind": target.kind.plural, "uid": last["metadata"]["uid"]}
    if target.kind.group:
        details["group"] = target.kind.group
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def _check_addressed(obj: Json, target: Target) -> None:
    """The body must be what the path says. ApiError 400 otherwise."""
    kind, meta = target.kind, obj.get("metadata")
    if not isinstance(meta, dict):
        raise bad_request(f"{kind.kind} without metadata: an object with a name or generateName is expected")
    if obj.get("kind", kind.kind) != kind.kind or obj.get("apiVersion", kind.api_version) != kind.api_version:
        given = f"{obj.get('apiVersion')}, Kind={obj.get('kind')}"
        expected = f"{kind.api_version}, Kind={kind.kind}"
        raise bad_request(f"the object provided ({given}) does not match the endpoint ({expected})")
    if target.name and meta.get("name") != target.name:
        raise bad_request(
            f"the name of the object ({meta.get('name')}) does not match the name on the URL ({target.name})"
        )
    if target.namespace and meta.get("namespace", target.namespace) != target.namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")


def _choose_container(pod: Json, asked: str) -> str:
    spec, name = pod.get("spec") or {}, pod["metadata"]["name"]
    mains = [container["name"] for container in spec.get("containers") or []]
    inits = [container["name"] for container in spec.get("initContainers") or []]
    if asked and asked not in mains + inits:
        raise bad_request(f"container {asked} is not valid for pod {name}")
    if asked:
        return asked
    if len(mains) == 1 and not inits:
        return str(mains[0])
    choice = f"choose one of: [{' '.join(mains)}]"
    if inits:
        choice += f" or one of the init containers: [{' '.join(inits)}]"
    raise bad_request(f"a container name must be specified for pod {name}, {choice}")


def _since_seconds(request: Request) -> int | None:
    """`sinceSeconds`, or `sinceTime` as seconds before now, at least one."""
    if not (text := request.query.get("sinceTime")):
        return request.number("sinceSeconds")
    try:
        moment = parse_rfc3339(text)
    except ValueError as error:
        raise bad_request(f'invalid sinceTime "{text}": a time such as 2026-11-23T00:00:00Z is expected') from error
    return max(1, int((datetime.now(timezone.utc) - moment).total_seconds()))


def _information(request: Request) -> Reply | None:
    """Everything under a fixed path: versions, health, discovery, schemas."""
    if request.path in ("/healthz", "/readyz", "/livez"):
        return Reply(body=b"ok", content_type="text/plain")
    if request.path == "/version":
        return reply_json(discovery.version())
    if request.path.startswith("/openapi/"):
        found = openapi.document(request.path, request.prefix)
        return None if found is None else reply_json(found)
    aggregated = request.accepts("APIGroupDiscoveryList") and request.path in ("/api", "/apis")
    document = discovery.document(request.path, aggregated=aggregated)
    if document is None:
        return None
    return reply_json(document, content_type=_AGGREGATED if aggregated else "application/json")


def _nothing_here(request: Request) -> ApiError:
    return ApiError(404, "NotFound", f"the server could not find the requested resource: {request.path}")


def _not_allowed(request: Request) -> ApiError:
    message = f"the server does not allow this method on the requested resource: {request.method} {request.path}"
    return ApiError(405, "MethodNotAllowed", message)


def _no_subresource(target: Target) -> ApiError:
    what = f"{target.kind.plural}/{target.subresource}"
    if target.subresource in _INTERACTIVE:
        return ApiError(501, "NotImplemented", f"{what} is not supported by the embedded API server")
    return not_found(target.kind.plural, f"{target.name}/{target.subresource}")
