"""The Kubernetes API over HTTP: the client of sidecar, callbacks, operator and `podhooks run`. Standard library only.

Objects are plain dictionaries: models of client libraries drop the fields that they don't know. Every wait has an end:
connecting and answers have a timeout, a watch has the server's and a longer one of ours, and TCP keepalive finds a peer
that is gone. A reset looks like the end of the stream here, so any end of a watch means: ask again.
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from select import POLLIN, poll
from urllib.parse import quote, urlencode, urlsplit

from podhooks.errors import ApiError, Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from podhooks.context import Json
    from podhooks.runtime.access import Login

ANSWER_TIMEOUT_SECONDS = 10.0  # to connect, and for an answer to begin
WATCH_SECONDS = 240  # asked of the server; below the idle timeouts of usual load balancers
WATCH_MARGIN_SECONDS = 15.0  # what we wait longer than that before we call the connection dead
MAX_LINE_BYTES = 16 << 20  # an object in etcd has 1.5 MiB at most
CHUNK_BYTES = 1 << 16
MOST_IDLE = 4  # connections that are kept
SUCCESS = (200, 201, 202)
KEEPALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))  # seconds, seconds, tries
JSON = "application/json"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"  # as `accept`: no spec, no status


class Client:
    """Requests to one API server, also from several threads. Raises ApiError and its kinds only.

    Each request has a connection to itself. Those whose answers were read to the end are kept for later requests.
    `path` is a path of the API; `query` holds what isn't encoded yet.
    """

    def __init__(
        self,
        login: Login,
        *,
        answer_timeout_seconds: float = ANSWER_TIMEOUT_SECONDS,
        connect_timeout_seconds: float | None = None,
        user_agent: str = "podhooks",
        names_requests: bool = True,
    ) -> None:
        self.login = login
        self.requests = 0
        self.answer_timeout_seconds = answer_timeout_seconds  # may be changed between requests
        self._connect_timeout_seconds = connect_timeout_seconds
        self._user_agent = user_agent
        self._names_requests = names_requests  # in errors: a log's reader wants them, a command line's doesn't
        self._idle: list[http.client.HTTPConnection] = []
        self._clock: tuple[float, float] | None = None  # the server's seconds since the epoch; time.monotonic() then

    @property
    def server(self) -> str:
        """For messages: the rest of the address may be a secret."""
        url = urlsplit(self.login.base_url)
        return f"{url.scheme}://{url.netloc.rpartition('@')[2]}"

    def server_time(self) -> float | None:
        """The API server's clock in seconds since the epoch: our own may be wrong or jump. None: it has never said."""
        if self._clock is None:
            return None
        moment, read_at = self._clock
        return moment + time.monotonic() - read_at

    def server_now(self) -> datetime | None:
        """The same, to compare with times in objects."""
        from datetime import datetime, timezone

        seconds = self.server_time()
        return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)

    # -- objects

    def get(self, path: str, query: Mapping[str, str] | None = None, *, accept: str = JSON) -> dict[str, Json]:
        return self.send("GET", path, query, accept=accept).json()

    def create(self, path: str, obj: Mapping[str, Json], query: Mapping[str, str] | None = None) -> dict[str, Json]:
        """`path` is the collection's. Conflict: the name is taken."""
        return self.send("POST", path, query, obj).json()

    def update(self, path: str, obj: Mapping[str, Json]) -> dict[str, Json]:
        """Conflict: `obj` has a resourceVersion, and it isn't the object's any more."""
        return self.send("PUT", path, None, obj).json()

    def patch(
        self, path: str, patch: Json, query: Mapping[str, str] | None = None, *, content_type: str = JSON_PATCH
    ) -> dict[str, Json]:
        return self.send("PATCH", path, query, patch, content_type=content_type).json()

    def delete(self, path: str, options: Mapping[str, Json] | None = None) -> dict[str, Json]:
        """`options` is a DeleteOptions. NotFound: the object is gone already."""
        return self.send("DELETE", path, None, options).json()

    def watch(
        self, path: str, query: Mapping[str, str], *, seconds: int = WATCH_SECONDS, accept: str = JSON
    ) -> Iterator[Json]:
        """Events of a collection until the server's timeout or any other end of the stream; bookmarks among them.

        `query` holds selectors and the resourceVersion to begin after.

        Raises:
            Gone: that version is too old. Get the object or the list anew.
        """
        asked = {"allowWatchBookmarks": "true", **query, "watch": "true", "timeoutSeconds": str(seconds)}
        answer = self.send("GET", path, asked, accept=accept)
        answer.set_timeout(seconds + WATCH_MARGIN_SECONDS)
        try:
            while line := answer.event():
                event = self.parsed(line)
                if event.get("type") == "ERROR":
                    raise self._error_event(event.get("object") or {}, path)
                yield event
        finally:
            answer.close()

    # -- one's own pod

    def get_pod(self, name: str) -> dict[str, Json]:
        pod = self.get(self._pods(name))
        if pod.get("kind") != "Pod":
            raise self.stranger()
        return pod

    def watch_pod(self, name: str, resource_version: str, *, seconds: int = WATCH_SECONDS) -> Iterator[Json]:
        """Events of one pod after `resource_version`. Raises Gone: start anew with get_pod()."""
        query = {"fieldSelector": f"metadata.name={name}", "resourceVersion": resource_version}
        return self.watch(self._pods(), query, seconds=seconds)

    def log_tail(self, pod: str, container: str, lines: int) -> str:
        """The last lines of a container's log, at most 1 MiB."""
        query = {"container": container, "tailLines": str(max(lines, 0)), "limitBytes": str(1 << 20)}
        return self.send("GET", f"{self._pods(pod)}/log", query).read().decode("utf-8", "replace")

    def _pods(self, name: str = "") -> str:
        path = f"/api/v1/namespaces/{quote(self.login.namespace)}/pods"
        return f"{path}/{quote(name)}" if name else path

    # -- requests

    def advice(self, status: int, said: str) -> str:
        """The next step for whoever reads a 401 or a 403; `said` is the server's message."""
        return self.login.advice(status, said)

    def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Json = None,
        *,
        accept: str = JSON,
        content_type: str = JSON,
    ) -> Answer:
        """An answer that means success and whose body is still to be read."""
        target = f"{urlsplit(self.login.base_url).path.rstrip('/')}{path}{f'?{urlencode(query)}' if query else ''}"
        headers = {"Accept": accept, "User-Agent": self._user_agent}
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = content_type
        answer = self._answer(method, target, content, headers)
        self._read_clock(answer)
        if answer.status in SUCCESS:
            return answer
        raise self._refusal(answer, f"{method} {path}")

    def close(self) -> None:
        """Connections that are in use end with their answers."""
        while self._idle:
            self._idle.pop().close()

    def parsed(self, body: bytes) -> dict[str, Json]:
        try:
            value = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise self.stranger() from error
        if not isinstance(value, dict):
            raise self.stranger()
        return value

    def stranger(self) -> Unreachable:
        self.close()
        return Unreachable(f"{self.server} does not answer as a Kubernetes API server")

    def unreachable(self, error: BaseException) -> Unreachable:
        self.close()  # the next connection reads the CA anew
        return Unreachable(f"can't reach the API server at {self.server}: {_why(error)}")

    def keep(self, connection: http.client.HTTPConnection) -> None:
        """For a later request."""
        if connection.sock is not None and len(self._idle) < MOST_IDLE:
            self._idle.append(connection)
        else:
            connection.close()

    def _answer(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        kept = self._kept()
        if kept is not None:
            try:
                return self._request(kept, method, target, body, headers)
            except Unreachable:
                if method == "POST":  # it may have created something
                    raise
        return self._request(None, method, target, body, headers)  # what we had kept was closed: that says nothing yet

    def _kept(self) -> http.client.HTTPConnection | None:
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread was faster
                return None
            if connection.sock is not None and not _has_ended(connection.sock):
                return connection
            connection.close()
        return None

    def _request(
        self,
        kept: http.client.HTTPConnection | None,
        method: str,
        target: str,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> Answer:
        self.requests += 1
        connection = kept
        try:
            connection = connection or self._connected()
            sock = connection.sock
            sock.settimeout(self.answer_timeout_seconds)
            connection.request(method, target, body, {**headers, **self.login.headers()})
            return Answer(self, connection, sock, connection.getresponse())
        except BaseException as error:
            if connection is not None:
                connection.close()
            if isinstance(error, (OSError, http.client.HTTPException, ValueError)):
                raise self.unreachable(error) from error
            raise

    def _connected(self) -> http.client.HTTPConnection:
        connection = self.login.connection(self._connect_timeout_seconds or self.answer_timeout_seconds)
        try:
            connection.connect()
            for option, value in KEEPALIVE:
                if hasattr(socket, option):
                    connection.sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        except BaseException:
            connection.close()
            raise
        return connection

    def _refusal(self, answer: Answer, request: str) -> ApiError:
        from podhooks.runtime import apierrors  # what only failures need isn't part of every start

        status, said = apierrors.status_of(self.server, answer.status, answer.read())
        asked = apierrors.seconds_of(answer.header("Retry-After"))
        return self._error(status, said, request, asked)

    def _error_event(self, status: Mapping[str, Json], path: str) -> ApiError:
        from podhooks.runtime import apierrors

        code, said = apierrors.coded(status)
        return self._error(code, said, f"watch {path}")

    def _error(self, status: int, said: str, request: str, retry_after_seconds: float | None = None) -> ApiError:
        from podhooks.runtime import apierrors

        advice = self.advice(status, said) if status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN) else ""
        named = request if self._names_requests else ""
        return apierrors.api_error(status, said, named, advice, retry_after_seconds)

    def _read_clock(self, answer: Answer) -> None:
        try:
            moment = parsedate_to_datetime(answer.header("Date"))
        except (TypeError, ValueError, IndexError):
            return
        if moment.tzinfo is not None:
            self._clock = (moment.timestamp(), time.monotonic())


class Answer:
    """The body is read through this. It has a connection to itself until it is read to the end or closed."""

    def __init__(
        self,
        client: Client,
        connection: http.client.HTTPConnection,
        sock: socket.socket,
        response: http.client.HTTPResponse,
    ) -> None:
        self.status = response.status
        self._client = client
        self._connection: http.client.HTTPConnection | None = connection
        self._sock = sock
        self._response = response

    def header(self, name: str) -> str:
        return self._response.headers.get(name, "")

    def set_timeout(self, seconds: float | None) -> None:
        """For each of the next reads; None waits without end."""
        with self._reading():
            self._sock.settimeout(seconds)

    def read(self) -> bytes:
        with self._reading():
            return self._response.read()

    def json(self) -> dict[str, Json]:
        return self._client.parsed(self.read())

    def piece(self, size: int) -> bytes:
        """Some of the body, as soon as there is some; b"" at its end."""
        with self._reading():
            return self._response.read1(size)

    def lines(self) -> Iterator[bytes]:
        """All of a body that isn't JSON, without the lines' ends. Unreachable, after the last whole line, when the
        connection broke off: readline() takes that for the body's end, read1() doesn't."""
        rest = b""
        while piece := self.piece(CHUNK_BYTES):
            *lines, rest = (rest + piece).split(b"\n")
            yield from lines
        if rest:
            yield rest

    def event(self) -> bytes:
        """The next line of a watch; b"" after the last one. A line that is cut off is none: the connection is dead."""
        with self._reading():
            line = self._response.readline(MAX_LINE_BYTES)
        if line and not line.endswith(b"\n"):
            self.close()
            return b""
        return line

    def close(self) -> None:
        """Before the end of the body: the connection serves nobody else."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
            self._response.close()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """What goes wrong, or interrupts us, leaves the connection in the middle of something: it is not used again."""
        try:
            yield
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise self._client.unreachable(error) from error
        except BaseException:
            self.close()
            raise
        if self._response.isclosed() and self._connection is not None:
            connection, self._connection = self._connection, None
            self._client.keep(connection)


def _has_ended(sock: socket.socket) -> bool:
    """Whether there is something to read though nothing was asked: its end, or a server's farewell."""
    poller = poll()  # not select(), which knows no descriptor above 1023
    poller.register(sock, POLLIN)
    return bool(poller.poll(0))


def _why(error: BaseException) -> str:
    if type(error).__name__ == "SSLCertVerificationError":  # of a module that may not be there
        return f"its certificate is not accepted: {getattr(error, 'verify_message', error)}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, (http.client.IncompleteRead, http.client.RemoteDisconnected)):
        return "the connection broke off"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
