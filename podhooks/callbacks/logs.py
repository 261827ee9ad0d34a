"""Saves logs before they go with their pods: of this pod's containers, and of others found by labels."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

from podhooks import log
from podhooks.callbacks.api import Api, Grant
from podhooks.callbacks.budget import Budget
from podhooks.callbacks.secrecy import SHORTEST_SECRET, expand, hide, secrets_of, shown_url
from podhooks.callbacks.templates import fields, fill
from podhooks.context import RunContext
from podhooks.errors import ApiError, CallbackError, InputError, NotFound, Unreachable
from podhooks.runtime.backoff import backoff_seconds

if TYPE_CHECKING:
    from podhooks.context import Json

GRANT = Grant("podhooks-save-logs", "get,list", "pods,pods/log")
BAD_REQUEST = 400  # what the API says of a container that has no log (yet, or any more)
UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
FSSPEC_MISSING = (
    "logs:save needs the package fsspec in main's image to write to a URL: "
    "pip install 'podhooks[fsspec]', and what it needs for this scheme, like s3fs"
)


@dataclass(frozen=True)
class Source:
    """One log: of a container's run, or of the run before it."""

    pod: str
    container: str
    previous: bool = False

    @property
    def path(self) -> str:
        """Relative; nothing in it leads out of its directory, whoever chose the names."""
        run = ".previous.log" if self.previous else ".log"
        return f"{safe_name(self.pod)}/{safe_name(self.container)}{run}"


def save(  # noqa: PLR0913  settings, by name
    context: RunContext,
    to: str,
    containers: Sequence[str] | None = None,
    *,
    selector: str = "",
    previous: bool = False,
    limit_bytes: int | None = None,
    tail_lines: int | None = None,
    timestamps: bool = False,
    storage_options: Mapping[str, Json] | None = None,
) -> None:
    """Write `POD/CONTAINER.log` below `to`, for every container that has run. Later attempts write it anew."""
    query = options(limit_bytes, tail_lines, timestamps)
    target = open_target(context, to, storage_options or {})
    with Api.in_cluster(GRANT, Budget.of(context)) as api:
        found = list(sources(api, context, containers, selector, previous))
        saved = [each for each in found if save_one(api, each, query, target)]
    print(f"saved {len(saved)} of {len(found)} logs to {target.shown}")


def options(limit_bytes: int | None, tail_lines: int | None, timestamps: bool) -> dict[str, str]:
    """Raises InputError for numbers that the API would refuse."""
    numbers = {"limitBytes": limit_bytes, "tailLines": tail_lines}
    for name, value in (("limit_bytes", limit_bytes), ("tail_lines", tail_lines)):
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise InputError(f"{name}: {value!r} is no whole number above zero")
    query = {name: str(value) for name, value in numbers.items() if value is not None}
    return query | ({"timestamps": "true"} if timestamps else {})


def safe_name(name: str) -> str:
    cleaned = UNSAFE.sub("_", name)
    return cleaned if cleaned.strip(".") else "_"


# -- which logs


def sources(
    api: Api, context: RunContext, containers: Sequence[str] | None, selector: str, previous: bool
) -> Iterator[Source]:
    own = context.pod_object or api.pod(context.pod.name)
    missing = sorted(set(containers or ()) - set(names(own)))
    if missing and not selector:
        raise InputError(f"containers: no {', '.join(missing)} in this pod; it has {', '.join(names(own))}")
    yield from of_pod(own, containers, previous)
    if selector:
        path = f"/api/v1/namespaces/{quote(api.login.namespace)}/pods"
        for pod in api.items(path, labelSelector=fill(selector, fields(context), "selector")):
            if pod["metadata"]["uid"] != context.pod.uid:
                yield from of_pod(pod, containers, previous)


def names(pod: Mapping[str, Json]) -> list[str]:
    spec = pod.get("spec") or {}
    return [each["name"] for kind in ("initContainers", "containers") for each in spec.get(kind) or ()]


def of_pod(pod: Mapping[str, Json], containers: Sequence[str] | None, previous: bool) -> Iterator[Source]:
    status, name = pod.get("status") or {}, pod["metadata"]["name"]
    kinds = ("initContainerStatuses", "containerStatuses")
    restarts = {each["name"]: each.get("restartCount") or 0 for kind in kinds for each in status.get(kind) or ()}
    for container in names(pod):
        if containers is not None and container not in containers:
            continue
        yield Source(name, container)
        if previous and restarts.get(container):
            yield Source(name, container, previous=True)


# -- one log


def save_one(api: Api, source: Source, query: Mapping[str, str], target: Target) -> bool:
    """False when there is no such log: its container never ran, or its pod is gone. That's no failure."""
    asked = {**query, "container": source.container, **({"previous": "true"} if source.previous else {})}
    tries = 0
    while True:
        tries += 1
        try:
            size = copy(api.log(source.pod, asked), target, source.path)
        except Unreachable as error:
            if not api.budget.pause(backoff_seconds(tries)):
                raise
            log.info("log broke off, reading it again", log=source.path, cause=error)
        except ApiError as error:
            if not isinstance(error, NotFound) and error.status != BAD_REQUEST:
                raise
            print(f"no log {source.path}: {error}")
            return False
        else:
            print(f"{source.path}: {size} bytes")
            return True


def copy(chunks: Iterator[bytes], target: Target, path: str) -> int:
    """Nothing is opened before the first chunk is there: a log that doesn't exist leaves no file."""
    first, size = next(chunks, b""), 0
    with target.writer(path) as file:
        for chunk in _after(first, chunks):
            with target.guarded():
                file.write(chunk)
            size += len(chunk)
    return size


def _after(first: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from chunks


# -- where to


class Target:
    """A directory, here or wherever fsspec leads. `guarded` turns what its writing may raise into one line."""

    shown: str

    @contextlib.contextmanager
    def guarded(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CallbackError(f"can't write to {self.shown}: {error.strerror or error}") from error

    def writer(self, path: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        raise NotImplementedError


class Directory(Target):
    """A file appears under its name when it is complete; until then, and after a failure, it ends in .part."""

    def __init__(self, path: str) -> None:
        self.path = self.shown = path

    @contextlib.contextmanager
    def writer(self, path: str) -> Iterator[IO[bytes]]:
        whole = os.path.join(self.path, path)
        with self.guarded():
            os.makedirs(os.path.dirname(whole), exist_ok=True)
            file = open(whole + ".part", "wb")  # noqa: SIM115
        try:
            yield file
        finally:
            with self.guarded():
                file.close()
        with self.guarded():
            os.replace(whole + ".part", whole)


class Filesystem(Target):
    """Wherever fsspec leads. What its backends raise is their own: everything is one line without secrets."""

    def __init__(self, url: str, storage_options: Mapping[str, Json]) -> None:
        self.shown = shown_url(url) if is_secret(url) else url
        values = {str(value) for value in _leaves(storage_options)} | (secrets_of(url) if is_secret(url) else set())
        self._secrets = {each for each in values if len(each) >= SHORTEST_SECRET}
        try:
            import fsspec
        except ImportError as error:
            raise InputError(FSSPEC_MISSING) from error
        with self.guarded():
            self.filesystem, self.root = fsspec.core.url_to_fs(url, **storage_options)

    @contextlib.contextmanager
    def guarded(self) -> Iterator[None]:
        try:
            yield
        except ImportError as error:  # the backend of this scheme
            raise InputError(f"can't write to {self.shown}: {hide(str(error), self._secrets)}") from error
        except Exception as error:
            why = hide(f"{type(error).__name__}: {error}", self._secrets)
            raise CallbackError(f"can't write to {self.shown}: {why}") from error

    @contextlib.contextmanager
    def writer(self, path: str) -> Iterator[IO[bytes]]:
        whole = f"{self.root.rstrip('/')}/{path}"
        with self.guarded():
            self.filesystem.makedirs(whole.rpartition("/")[0], exist_ok=True)
            file: Any = self.filesystem.open(whole, "wb")
        try:
            yield file
        finally:
            with self.guarded():  # what there is of a log that broke off is better than nothing
                file.close()


def open_target(context: RunContext, to: str, storage_options: Mapping[str, Json]) -> Target:
    """`to` with its variables and fields filled in: a URL for fsspec, else a directory (relative: a shared one)."""
    if not to:
        raise InputError("to: give a directory, or a URL like s3://bucket/logs/{job}")
    where = fill(expand(to, "to"), fields(context), "to")
    if "://" in where or "::" in where:
        return Filesystem(where, expand_all(storage_options))
    if storage_options:
        raise InputError("storage_options: they are for URLs, and `to` is a directory")
    return Directory(os.path.join(context.shared, where))


def expand_all(value: Json) -> Json:
    if isinstance(value, str):
        return expand(value, "storage_options")
    if isinstance(value, Mapping):
        return {name: expand_all(each) for name, each in value.items()}
    return value


def is_secret(url: str) -> bool:
    """`s3://bucket/path` may be shown, `ftp://user:password@host/path?token=x` may not."""
    return "@" in url or "?" in url


def _leaves(value: Json) -> Iterator[Json]:
    if isinstance(value, Mapping):
        for each in value.values():
            yield from _leaves(each)
    else:
        yield value
