"""The API's verbs on the store: a request in, a reply out, no sockets.

What is not supported is refused in words, never ignored: server-side apply, exec, attach, port-forward, protobuf.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

from podhooks.kinds.resources import Json, ResourceType
from podhooks.local import discovery, openapi
from podhooks.local.admission import check_fields, check_update, without_unknown
from podhooks.local.arguments import check_addressed, choose_container, delete_options, selectors, since_seconds
from podhooks.local.messages import Reply, Request, Target, dump, locate, reply_json
from podhooks.local.patches import apply_patch, check_patch_type
from podhooks.local.problems import ApiError, bad_request, not_found
from podhooks.local.store import Store, Watch
from podhooks.local.watchlines import WatchLines, shown, watch_line

DEFAULT_WATCH_SECONDS = 1800
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
        return reply_json(shown(request, target, [obj], obj["metadata"]["resourceVersion"], obj))

    def _list(self, request: Request, target: Target) -> Reply:
        if request.flag("watch"):
            return self._watch(request, target)
        kind, (labels, fields) = target.kind, selectors(request)
        items, version = self.store.list(kind.plural, target.namespace, labels=labels, fields=fields)
        meta = {"resourceVersion": version}
        whole = {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": meta, "items": items}
        return reply_json(shown(request, target, items, version, whole))

    def _watch(self, request: Request, target: Target) -> Reply:
        labels, fields = selectors(request)
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
            return Reply(stream=iter([watch_line("ERROR", error.to_status())]))
        return Reply(stream=self._follow(WatchLines(request, target, watch, seconds, initial)))

    def _follow(self, lines: WatchLines) -> Iterator[bytes]:
        self._watches.add(lines.watch)
        try:
            yield from lines.events()
        finally:
            self._watches.discard(lines.watch)

    def end_watches(self) -> None:
        """End all running watches properly, as a server does whose timeout is over."""
        for watch in list(self._watches):
            watch.close()

    def _log(self, request: Request, target: Target) -> Reply:
        namespace = target.namespace or "default"
        pod = self.store.get("pods", namespace, target.name)
        container = choose_container(pod, request.query.get("container", ""))
        if self.logs is None:
            raise ApiError(503, "ServiceUnavailable", "no kubelet is running, so there are no logs")
        stream = self.logs(
            namespace,
            target.name,
            container,
            follow=request.flag("follow"),
            previous=request.flag("previous"),
            tail_lines=request.number("tailLines"),
            since_seconds=since_seconds(request),
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
        check_addressed(obj, target)
        if "status" in kind.subresources:
            obj.pop("status", None)
        obj, warnings = _checked(request, kind, obj)
        if target.namespace:
            obj.setdefault("metadata", {})["namespace"] = target.namespace
        made = self.store.create(kind.plural, obj, dry_run=request.dry_run)
        return reply_json(
            shown(request, target, [made], made["metadata"].get("resourceVersion", ""), made), 201, warnings
        )

    def _put(self, request: Request, target: Target) -> Reply:
        obj, plural = request.json(), target.kind.plural
        check_addressed(obj, target)
        obj["metadata"].update({"namespace": target.namespace} if target.namespace else {})
        old = self.store.get(plural, target.namespace, target.name)
        obj, warnings = _admitted(request, target, old, obj)
        written = self.store.update(plural, obj, subresource=target.subresource, dry_run=request.dry_run)
        return reply_json(written, warnings=warnings)

    def _patch(self, request: Request, target: Target) -> Reply:
        """Read, patch, write; again when somebody else was faster, unless the patch itself names a version."""
        check_patch_type(request.content_type)
        for attempts_left in reversed(range(5)):
            old = self.store.get(target.kind.plural, target.namespace, target.name)
            new = apply_patch(request.content_type, old, request.body)
            check_addressed(new, target)
            new, warnings = _admitted(request, target, old, new)
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
                shown(request, target, [written], written["metadata"]["resourceVersion"], written), 200, warnings
            )
        raise AssertionError("unreachable")

    def _delete(self, request: Request, target: Target) -> Reply:
        kind, options = target.kind, delete_options(request)
        last = self._remove(target, target.name, options)
        held = kind.plural == "pods" or last["metadata"].get("finalizers") or kind.plural == "namespaces"
        return reply_json(last if held else _success(target, last))

    def _delete_collection(self, request: Request, target: Target) -> Reply:
        kind, options, (labels, fields) = target.kind, delete_options(request), selectors(request)
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
        options = delete_options(replace(request, body=dump(body.get("deleteOptions") or {})))
        uid = (options.get("preconditions") or {}).get("uid")
        if not options.get("dryRun"):
            grace = options.get("gracePeriodSeconds")
            self.store.evict(target.namespace or "default", target.name, grace_seconds=grace, uid=uid)
        return reply_json({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}, 201)

    def _bind(self, request: Request, target: Target) -> Reply:
        bound = request.json().get("target")
        node = bound.get("name") if isinstance(bound, dict) else None
        if not node or not isinstance(node, str):
            raise bad_request("a Binding needs target.name, the node")

        def bind(pod: Json) -> None:
            pod["spec"]["nodeName"] = node

        self.store.mutate("pods", target.namespace, target.name, bind, subresource="*")
        return reply_json({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}, 201)


def _admitted(request: Request, target: Target, old: Json, new: Json) -> tuple[Json, list[str]]:
    """What an update may write of an object, and the warnings about it."""
    kind = target.kind
    if not target.subresource and "status" in kind.subresources:
        new = {key: value for key, value in new.items() if key != "status"}
    new, warnings = _checked(request, kind, new)
    if not target.subresource:
        check_update(kind, without_unknown(kind, old), new)
    return new, warnings


def _checked(request: Request, kind: ResourceType, obj: Json) -> tuple[Json, list[str]]:
    """What is left of an object after the check of its fields, and the warnings about it."""
    warnings = check_fields(kind, obj, request.query.get("fieldValidation", ""))
    return without_unknown(kind, obj), warnings


def _success(target: Target, last: Json) -> Json:
    details = {"name": target.name, "kind": target.kind.plural, "uid": last["metadata"]["uid"]}
    if target.kind.group:
        details["group"] = target.kind.group
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


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
