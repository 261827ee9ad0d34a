"""What a cluster must be able to do for a run, and how a watch goes on whatever happens to its connection."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from podhooks.cluster.request import Object, Request
from podhooks.errors import ApiError, Gone
from podhooks.pod.object import mapping, text
from podhooks.runtime.backoff import backoff_seconds

LONGEST_PAUSE_SECONDS = 10.0


class Event(NamedTuple):
    """`type` is ADDED, MODIFIED, DELETED or BOOKMARK; or TROUBLE, with a sentence in `object["message"]`."""

    type: str
    object: Object


class Selection(NamedTuple):
    """Objects to watch. `namespace` empty: those of all namespaces."""

    kind: str
    namespace: str
    labels: str = ""
    fields: str = ""


class Backend(Protocol):
    """`kind` is always one of podhooks.cluster.request's kinds, or Event.

    Methods may be called from several threads. They raise podhooks.errors.ApiError and its kinds only.
    """

    where: str
    """For the first line: on what, and how."""

    namespace: str
    """For objects that name none."""

    def notices(self, written: Request, injected: Request) -> list[str]:
        """What of it doesn't work here, or not as well as it could; one line each."""
        ...

    def create(self, obj: Object, *, dry_run: bool = False) -> Object:
        """The object as the server made it. ApiError with status 409: the name is taken."""
        ...

    def read(self, obj: Object) -> Object | None:
        """The same object as it is now; None if there is none."""
        ...

    def delete(self, obj: Object, *, grace_seconds: int | None = None) -> None:
        """With everything that it owns. An object that is gone already is no error."""
        ...

    def list(self, what: Selection) -> tuple[list[Object], str]:
        """What is there, and the resource version to watch from."""
        ...

    def watch(self, what: Selection, version: str) -> Iterator[Event]:
        """Changes after `version`, until the connection ends. Gone: list again."""
        ...

    def logs(
        self, namespace: str, pod: str, container: str, *, previous: bool, has_ended: Callable[[], bool]
    ) -> Iterator[str]:
        """The lines of a container's present run until `has_ended` says so, or of the one before."""
        ...

    def kept(self, run: Object) -> str:
        """Where to look at what was kept."""
        ...

    def close(self) -> None:
        """End every watch and log, and whatever else was started."""
        ...


def follow(backend: Backend, what: Selection, closed: threading.Event) -> Iterator[Event]:
    """Everything that is there, then every change, until `closed` is set.

    An object that went away while nobody looked comes as DELETED in its last known state. What fails is tried again
    with growing pauses, and told once if it fails again.
    """
    known: dict[str, Object] = {}
    pauses = _Pauses(closed)
    while not closed.is_set():
        try:
            items, version = backend.list(what)
            pauses.reset()
            yield from _differences(known, items)
            while not closed.is_set():
                for event in backend.watch(what, version):
                    pauses.reset()
                    version = text(mapping(event.object.get("metadata")).get("resourceVersion")) or version
                    if event.type in ("ADDED", "MODIFIED", "DELETED"):
                        _remember(known, event)
                        yield event
                pauses.pause()
        except Gone:  # noqa: PERF203  trying again is what this loop is for
            continue
        except ApiError as error:
            if pauses.is_news(error):
                yield Event("TROUBLE", {"message": str(error)})
            pauses.pause()


class _Pauses:
    """None after the first failure, then longer and longer ones."""

    def __init__(self, closed: threading.Event) -> None:
        self._closed = closed
        self._failures = 0
        self._told = ""

    def reset(self) -> None:
        self._failures, self._told = 0, ""

    def is_news(self, error: ApiError) -> bool:
        """Not the first time, when it may well be a connection that was cut; nor the same again."""
        kind = f"{type(error).__name__} {error.status}"
        if not self._failures or kind == self._told:
            return False
        self._told = kind
        return True

    def pause(self) -> None:
        self._closed.wait(backoff_seconds(self._failures, most=LONGEST_PAUSE_SECONDS) if self._failures else 0.0)
        self._failures += 1


def _differences(known: dict[str, Object], items: list[Object]) -> Iterator[Event]:
    present = {_uid(each) for each in items}
    for uid in [each for each in known if each not in present]:
        yield Event("DELETED", known.pop(uid))
    for each in items:
        event = Event("MODIFIED" if _uid(each) in known else "ADDED", each)
        _remember(known, event)
        yield event


def _remember(known: dict[str, Object], event: Event) -> None:
    if event.type == "DELETED":
        known.pop(_uid(event.object), None)
    else:
        known[_uid(event.object)] = event.object


def _uid(obj: Object) -> str:
    return text(mapping(obj.get("metadata")).get("uid"))
