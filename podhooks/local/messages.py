"""One HTTP request and one answer, free of sockets, and where in the API a request points."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from podhooks.kinds.resources import RESOURCES, Json, ResourceType
from podhooks.local.problems import ApiError, bad_request

JSON = "application/json"


_JSON_ONLY = (
    "the embedded API server reads JSON only, not {kind}; with kubectl, make a manifest of it first: "
    "kubectl create ... --dry-run=client -o yaml | kubectl apply -f -"
)


class Recorded(NamedTuple):
    """One request that arrived, whatever became of it."""

    method: str
    path: str
    query: str


@dataclass(frozen=True)
class Request:
    """`gone` tells, for answers that never end by themselves, whether the client has left.

    `prefix` is what precedes `path` in the client's URLs, for the answers that name paths.
    """

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    accept: str = ""
    content_type: str = ""
    body: bytes = b""
    gone: Callable[[], bool] = lambda: False
    prefix: str = ""

    @staticmethod
    def split(target: str) -> tuple[str, dict[str, str]]:
        """Path (still quoted) and query of a request line's target."""
        parts = urlsplit(target)
        return parts.path.rstrip("/") or "/", dict(parse_qsl(parts.query, keep_blank_values=True))

    def flag(self, name: str) -> bool:
        return self.query.get(name, "").lower() in ("1", "true")

    def number(self, name: str) -> int | None:
        """A whole number from the query. ApiError 400 for anything else."""
        text = self.query.get(name)
        if not text:
            return None
        try:
            return int(text)
        except ValueError as error:
            raise bad_request(f'invalid value "{text}" for {name}: a whole number is expected') from error

    @property
    def dry_run(self) -> bool:
        """Whether the write shall only be tried. ApiError 400 for any other value than All."""
        asked = self.query.get("dryRun", "")
        if asked not in ("", "All"):
            raise bad_request(f'Unsupported value: "{asked}": dryRun supports only "All"')
        return asked == "All"

    def json(self) -> Json:
        """The body as an object. ApiError 400 if it is not JSON, 415 if it says that it is something else."""
        kind = self.content_type.partition(";")[0].strip()
        if kind not in ("", JSON, "application/x-www-form-urlencoded"):  # curl -d says form and means JSON
            raise ApiError(415, "UnsupportedMediaType", _JSON_ONLY.format(kind=kind))
        try:
            value = json.loads(self.body)
        except ValueError as error:
            raise bad_request(f"couldn't decode the body as JSON: {error}") from error
        if not isinstance(value, dict):
            raise bad_request("the body is not a JSON object")
        return value

    def accepts(self, what: str) -> bool:
        """Whether the client would rather have `as=WHAT` than plain JSON: it is named first."""
        for offer in self.accept.split(","):
            words = [word.strip() for word in offer.split(";")]
            if f"as={what}" in words:
                return words[0] == JSON
            if words[0] in (JSON, "*/*") and not any(word.startswith("as=") for word in words):
                return False
        return False


@dataclass(frozen=True)
class Reply:
    """Either a whole `body` or a `stream` that is sent chunk by chunk as it comes."""

    status: int = 200
    body: bytes = b""
    stream: Iterator[bytes] | None = None
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)


def reply_json(value: Any, status: int = 200, warnings: Sequence[str] = (), *, content_type: str = JSON) -> Reply:
    """A whole answer. kubectl prints each of the warnings."""
    quoted = [text.replace("\\", "\\\\").replace('"', '\\"') for text in warnings]
    headers = {"Warning": ", ".join(f'299 - "{text}"' for text in quoted)} if quoted else {}
    return Reply(status, dump(value), content_type=content_type, headers=headers)


def reply_problem(problem: ApiError) -> Reply:
    """The Status of an error, with the header that clients wait by."""
    wait = problem.retry_after_seconds
    headers = {} if wait is None else {"Retry-After": str(wait)}
    return Reply(problem.status, dump(problem.to_status()), headers=headers)


def dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True)
class Target:
    """A collection (no name), an object, or a subresource of one. `namespace` None means all of them."""

    kind: ResourceType
    namespace: str | None = None
    name: str = ""
    subresource: str = ""


def locate(path: str) -> Target | None:
    """Where a path points, or None if there is nothing."""
    parts = [unquote(part) for part in path.split("/")[1:]]
    if parts[0] == "api" and parts[1:2] == ["v1"]:
        group, version, rest = "", "v1", parts[2:]
    elif parts[0] == "apis" and len(parts) > 2:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = None
    if len(rest) >= 3 and rest[0] == "namespaces" and (rest[2] not in ("status", "finalize") or group):
        namespace, rest = rest[1], rest[2:]
    kind = RESOURCES.get(rest[0]) if rest else None
    if kind is None or (kind.group, kind.version) != (group, version) or len(rest) > 3 or not all(rest):
        return None
    if kind.namespaced is (namespace is None) and (namespace is not None or len(rest) > 1):
        return None  # an object of a namespaced kind has a namespace in its path, of another kind has none
    return Target(kind, namespace, *rest[1:])
