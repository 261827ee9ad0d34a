"""The lines of a watch, and the forms in which an object is shown: itself, a row of a table, or its metadata."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from podhooks.kinds.resources import Json
from podhooks.local.messages import Request, Target, dump
from podhooks.local.store import Watch, WatchEvent
from podhooks.local.tables import partial, table

BOOKMARK_SECONDS = 60.0
_POLL_SECONDS = 1.0  # how soon a watch notices that its client has left


class WatchLines:
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
            obj = shown(self.request, self.target, [obj], version, obj, headers=self.headers)
            self.headers = False
        return watch_line(event.type, obj)

    def _bookmark(self, annotations: Mapping[str, str]) -> bytes:
        meta: Json = {"resourceVersion": self.watch.resource_version, "creationTimestamp": None}
        if annotations:
            meta["annotations"] = dict(annotations)
        obj: Json = {"kind": self.target.kind.kind, "apiVersion": self.target.kind.api_version, "metadata": meta}
        if self.request.accepts("PartialObjectMetadata"):
            del meta["creationTimestamp"]
            obj = partial(obj)
        if self.request.accepts("Table"):
            obj = table(self.target.kind.plural, [], self.watch.resource_version, include="None", headers=False)
            obj["rows"] = [{"cells": [], "object": {"metadata": meta}}] if annotations else []
        return watch_line("BOOKMARK", obj)


def watch_line(kind: str, obj: Json) -> bytes:
    return dump({"type": kind, "object": obj}) + b"\n"


def shown(
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
