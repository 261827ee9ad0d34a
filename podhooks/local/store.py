"""The objects of the embedded API server: thread-safe, in memory, with the rules that controllers rely on.

Resource versions, optimistic concurrency, generations, graceful deletion, finalizers, owner references and watches
behave as the real API server's do (measured: `tests` compare with recorded streams). It knows nothing of HTTP, nor of
what runs a pod: those are its clients.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Container, Mapping
from datetime import datetime, timezone
from threading import Condition, RLock
from typing import Any

from podhooks.kinds.resources import RESOURCES, Json, ResourceType, by_kind, clone, resource
from podhooks.local import deletion
from podhooks.local.deletion import rfc3339
from podhooks.local.namespaces import conditions
from podhooks.local.objects import (
    FOREGROUND,
    JOB_TRACKING,
    Key,
    add_finalizer,
    check_finalizers,
    check_metadata,
    check_unchanged,
    copy,
    drop_finalizer,
    fold_string_data,
    key_of,
    merged,
    owners,
    settle_name,
    stamp,
    type_of,
)
from podhooks.local.problems import ApiError, already_exists, bad_request, conflict, expired, forbidden, not_found
from podhooks.local.selectors import Predicate, matcher
from podhooks.local.watching import History, Watch, WatchEvent

__all__ = [
    "RESOURCES",
    "ApiError",
    "Json",
    "ResourceType",
    "Store",
    "Watch",
    "WatchEvent",
    "by_kind",
    "clone",
    "type_of",
]

HISTORY_SIZE = 1000

Objects = list[Json]
Owned = list[tuple[str, Json]]


class Store:
    """Every object handed in or out is a copy; nobody can change what is stored but through these methods."""

    def __init__(
        self,
        *,
        namespaces: tuple[str, ...] = ("default", "kube-system"),
        history: int = HISTORY_SIZE,
        clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        self._lock = RLock()
        self._objects: dict[Key, Json] = {}
        self._history = History(Condition(self._lock), history)
        self._clock = clock
        self._emptying: set[str] = set()
        self.defaulters: dict[str, Callable[[Json], None]] = {"secrets": fold_string_data}
        for name in namespaces:
            self.create("namespaces", {"metadata": {"name": name}})

    # -- reading ----------------------------------------------------------------------------------------------------

    def get(self, plural: str, namespace: str | None, name: str) -> Json:
        """One object. ApiError 404 if there is none."""
        with self._lock:
            return copy(self._stored(plural, namespace, name))

    def list(
        self, plural: str, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> tuple[Objects, str]:
        """The matching objects in the order of their names, and the resource version of this reading."""
        matches = matcher(plural, labels, fields)
        with self._lock:
            return self._select(plural, namespace, matches), str(self._history.version)

    def watch(
        self, plural: str, namespace: str | None = None, *, since: str | None = None, labels: str = "", fields: str = ""
    ) -> Watch:
        """Events after version `since`; without it (or "0") all objects first, as ADDED. ApiError 410 if too old."""
        watch = Watch(self._history, plural, namespace, matches := matcher(plural, labels, fields))
        with self._lock:
            if since in (None, "", "0"):
                watch.start(self._history.version, self._select(plural, namespace, matches))
            else:
                watch.start(self._check_version(since or ""), [])
        return watch

    @property
    def resource_version(self) -> str:
        return str(self._history.version)

    # -- writing ----------------------------------------------------------------------------------------------------

    def create(self, plural: str, obj: Mapping[str, Any], *, dry_run: bool = False) -> Json:
        """A new object from a manifest. ApiError 409: the name is taken, 404: no such namespace, 422: invalid."""
        kind, new = resource(plural), clone(dict(obj))
        with self._lock:
            key = settle_name(kind, new)
            self._check_namespace(kind, key)
            if key in self._objects:
                raise already_exists(plural, key[2], deleting="deletionTimestamp" in self._objects[key]["metadata"])
            stamp(kind, new, str(uuid.uuid4()), rfc3339(self._clock()))
            if default := self.defaulters.get(plural):
                default(new)
            if plural == "pods":
                new.setdefault("status", {}).setdefault("phase", "Pending")
            return copy(new) if dry_run else self._write(key, None, new)

    def update(self, plural: str, obj: Mapping[str, Any], *, subresource: str = "", dry_run: bool = False) -> Json:
        """Replace an object, or with subresource "status" its status alone. ApiError 409 if it has changed since."""
        given = clone(dict(obj))
        meta = given.get("metadata") or {}
        with self._lock:
            old = self._stored(plural, meta.get("namespace"), meta.get("name", ""))
            check_unchanged(plural, old, meta)
            new = merged(resource(plural), old, given, subresource)
            check_metadata(plural, new["metadata"])
            check_finalizers(plural, old, new)
            if plural == "secrets":
                fold_string_data(new)
            return copy(new) if dry_run else self._replace(resource(plural), old, new)

    def mutate(
        self,
        plural: str,
        namespace: str | None,
        name: str,
        change: Callable[[Json], None],
        *,
        subresource: str = "status",
    ) -> Json:
        """Read, let `change` edit a copy, write, all in one step. Only the part named by `subresource` is written.

        "status": the status. "": all but the status. "*": everything, in one event and without counting a generation,
        as the scheduler's binding does.
        """
        with self._lock:
            old = self._stored(plural, namespace, name)
            given = clone(old)
            change(given)
            return self._replace(
                resource(plural), old, merged(resource(plural), old, given, subresource), count=subresource != "*"
            )

    def delete(
        self,
        plural: str,
        namespace: str | None,
        name: str,
        *,
        grace_seconds: int | None = None,
        uid: str | None = None,
        propagation: str = "Background",
    ) -> Json:
        """Ask for an object's end; returns its last state. A pod with a kubelet stays until grace 0 is asked for.

        What the object owns follows it (Background), goes first (Foreground) or stays (Orphan).
        """
        with self._lock:
            old = self._stored(plural, namespace, name)
            if uid and uid != old["metadata"]["uid"]:
                why = f"the UID in the precondition ({uid}) does not match the UID in record ({old['metadata']['uid']})"
                raise conflict(plural, name, f"Precondition failed: UID in precondition: {why}")
            if propagation == "Orphan":
                self._disown(old["metadata"]["uid"])
            new = clone(old)
            if propagation == "Foreground" and self._owned(old["metadata"]["uid"]):
                add_finalizer(new, FOREGROUND)
            return self._end(resource(plural), old, new, grace_seconds, propagation)

    def evict(self, namespace: str, name: str, *, grace_seconds: int | None = None, uid: str | None = None) -> None:
        """The eviction API: the condition `DisruptionTarget` in one event, the deletion in the next (fact 8)."""
        with self._lock:
            pod = self._stored("pods", namespace, name)
            if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
                self.mutate("pods", namespace, name, self._disrupt)
            self.delete("pods", namespace, name, grace_seconds=grace_seconds, uid=uid)

    def compact(self) -> None:
        """Forget the history, as etcd does every few minutes: a watch that has not read it all gets 410."""
        with self._lock:
            self._history.version += 1
            self._history.changes.clear()
            self._history.condition.notify_all()

    def close(self) -> None:
        """End every watch, now and later. Objects stay readable."""
        with self._lock:
            self._history.closed = True
            self._history.condition.notify_all()

    # -- inside, under the lock -------------------------------------------------------------------------------------

    def _stored(self, plural: str, namespace: str | None, name: str) -> Json:
        key = (plural, (namespace or "default") if resource(plural).namespaced else "", name)
        if key not in self._objects:
            raise not_found(plural, name)
        return self._objects[key]

    def _select(self, plural: str, namespace: str | None, matches: Predicate) -> Objects:
        found = sorted((k, o) for k, o in self._objects.items() if k[0] == plural and namespace in (None, k[1]))
        return [copy(obj) for _, obj in found if matches(obj)]

    def _check_version(self, text: str) -> int:
        if not text.isdecimal():
            raise bad_request(f'Invalid value: "{text}": the resource version is not a number')
        version, history = int(text), self._history
        if version < history.oldest:
            raise expired(version, history.oldest)
        if version > history.version:
            message = f"Too large resource version: {version}, current: {history.version}"
            raise ApiError(504, "Timeout", message, retry_after_seconds=1)
        return version

    def _check_namespace(self, kind: ResourceType, key: Key) -> None:
        if kind.namespaced and "deletionTimestamp" in self._stored("namespaces", None, key[1])["metadata"]:
            why = f"unable to create new content in namespace {key[1]} because it is being terminated"
            raise forbidden(kind.plural, key[2], why)

    def _write(self, key: Key, old: Json | None, new: Json) -> Json:
        self._history.version += 1
        new["metadata"]["resourceVersion"] = str(self._history.version)
        self._objects[key] = new
        self._history.record(key[0], key[1], old, new)
        return copy(new)

    def _replace(self, kind: ResourceType, old: Json, new: Json, *, count: bool = True) -> Json:
        """Write a changed object. Nothing changed: no event. Nothing holds it any more: it goes instead."""
        if new == old:
            return copy(old)
        if kind.plural != "namespaces" and deletion.is_due(new):
            return self._remove(kind, old)
        if count and kind.generation and new.get("spec") != old.get("spec"):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        return self._write(key_of(kind, old), old, new)

    def _end(self, kind: ResourceType, old: Json, new: Json, grace_seconds: int | None, propagation: str) -> Json:
        """`new` is `old` as the deletion leaves it; write what a watcher may see of it, remove it if it may go."""
        now = self._clock()
        changed = deletion.mark_pod(new, grace_seconds, now) if kind.plural == "pods" else deletion.mark(new, now)
        if kind.plural == "namespaces":
            new["status"] = {**new.get("status", {}), "phase": "Terminating"}
        visible = kind.plural in ("pods", "namespaces") or bool(new["metadata"].get("finalizers"))
        if changed and visible:
            self._write(key_of(kind, old), old, new)
        if kind.plural == "namespaces":
            return self._empty(new)
        if propagation == "Foreground":
            self._delete_owned(new)
        if deletion.is_due(new):
            return self._remove(kind, self._objects.get(key_of(kind, old), new))
        return copy(new)

    def _remove(self, kind: ResourceType, old: Json) -> Json:
        if self._objects.pop(key_of(kind, old), None) is None:
            return copy(old)
        self._history.version += 1
        self._history.record(kind.plural, old["metadata"].get("namespace", ""), old, None)
        self._delete_owned(old)
        self._release_owners(old)
        self._release_namespace(old["metadata"].get("namespace", ""))
        return copy(old)

    # -- what belongs together --------------------------------------------------------------------------------------

    def _owned(self, uid: str) -> Owned:
        return [(k[0], o) for k, o in list(self._objects.items()) if any(r.get("uid") == uid for r in owners(o))]

    def _delete_owned(self, owner: Json) -> None:
        """Delete what has no other owner left. Pods of a job first lose the job controller's finalizer."""
        uid = owner["metadata"]["uid"]
        live = {o["metadata"]["uid"] for o in self._objects.values()} - {uid}
        for plural, obj in self._owned(uid):
            meta = obj["metadata"]
            if any(reference.get("uid") in live for reference in owners(obj)):
                continue
            if owner.get("kind") == "Job" and JOB_TRACKING in meta.get("finalizers", ()):
                self.mutate(
                    plural,
                    meta.get("namespace"),
                    meta["name"],
                    lambda pod: drop_finalizer(pod, JOB_TRACKING),
                    subresource="",
                )
            if (plural, meta.get("namespace", ""), meta["name"]) in self._objects:
                self.delete(plural, meta.get("namespace"), meta["name"])

    def _disown(self, uid: str) -> None:
        def orphan(obj: Json) -> None:
            kept = [reference for reference in owners(obj) if reference.get("uid") != uid]
            obj["metadata"]["ownerReferences"] = kept
            if not kept:
                del obj["metadata"]["ownerReferences"]

        for plural, obj in self._owned(uid):
            self.mutate(plural, obj["metadata"].get("namespace"), obj["metadata"]["name"], orphan, subresource="")

    def _release_owners(self, gone: Json) -> None:
        """Let an owner go that waited, in foreground deletion, for the last of what it owns."""
        wanted = {reference.get("uid") for reference in owners(gone)}
        for key, owner in list(self._objects.items()):
            meta = owner["metadata"]
            if meta["uid"] not in wanted or FOREGROUND not in meta.get("finalizers", ()) or self._owned(meta["uid"]):
                continue
            self.mutate(key[0], key[1], key[2], lambda obj: drop_finalizer(obj, FOREGROUND), subresource="")

    def _empty(self, namespace: Json) -> Json:
        """Delete a namespace's content, pods first: while one is left the rest stays. The last takes the namespace."""
        name = namespace["metadata"]["name"]
        if name in self._emptying:  # what goes here looks after its namespace, too
            return copy(namespace)
        self._emptying.add(name)
        try:
            self._delete_content(name, {"pods"})
            if not self._left_in(name).get("pods"):
                self._delete_content(name, RESOURCES)
        finally:
            self._emptying.discard(name)
        self._tell_what_is_left(name)
        return copy(namespace)

    def _delete_content(self, namespace: str, plurals: Container[str]) -> None:
        for plural, _, content in [key for key in self._objects if key[1] == namespace and key[0] in plurals]:
            if (plural, namespace, content) in self._objects:
                self.delete(plural, namespace, content)

    def _left_in(self, namespace: str) -> dict[str, Objects]:
        left: dict[str, Objects] = {}
        for (plural, home, _), obj in self._objects.items():
            if home == namespace:
                left.setdefault(plural, []).append(obj)
        return left

    def _tell_what_is_left(self, name: str) -> None:
        """In the namespace's conditions; nothing left: it goes."""
        home, left = self._objects.get(("namespaces", "", name)), self._left_in(name)
        if home is None:
            return
        if not left:
            self._remove(resource("namespaces"), home)
            return
        status = home.get("status", {})
        new = clone(home)
        new["status"] = {
            **status,
            "conditions": conditions(status.get("conditions", ()), left, rfc3339(self._clock())),
        }
        if new != home:
            self._write(("namespaces", "", name), home, new)

    def _release_namespace(self, name: str) -> None:
        home = self._objects.get(("namespaces", "", name))
        if home and "deletionTimestamp" in home["metadata"]:
            self._empty(home)

    def _disrupt(self, pod: Json) -> None:
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": rfc3339(self._clock()),
            "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting",
        }
        others = [c for c in pod.setdefault("status", {}).get("conditions", []) if c.get("type") != "DisruptionTarget"]
        pod["status"]["conditions"] = [*others, condition]
