"""The Kubernetes API as far as the runtime needs it: one's own pod, its watch, a log's tail. Standard library only.

One connection at a time, kept between requests. Every wait has an end: connecting and answers have a timeout, a watch
has the server's and a longer one of ours, and TCP keepalive finds a peer that is gone. A reset looks like the end of
the stream here, so any end of a watch means: ask again.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import time
from contextlib import contextmanager
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import quote, urlencode, urlsplit

from podhooks import contract
from podhooks.errors import ApiError, Forbidden, Gone, InputError, NotFound, Unauthorized, Unreachable
from podhooks.value import Value

try:
    import ssl

    HAS_TLS = True
except ImportError:  # an interpreter that was built without it
    HAS_TLS = False

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from podhooks.context import Json

ANSWER_TIMEOUT_SECONDS = 10.0  # to connect, and for an answer to begin
WATCH_SECONDS = 240  # asked of the server; below the idle timeouts of usual load balancers
WATCH_MARGIN_SECONDS = 15.0  # what we wait longer than that before we call the connection dead
MAX_LINE_BYTES = 16 << 20  # an object in etcd has 1.5 MiB at most
SUCCESS = (200, 201, 202)
KEEPALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))  # seconds, seconds, tries


class Access(Value):
    """Where the API is and what opens it. Files are read anew for every request: tokens are rotated."""

    base_url: str
    namespace: str = "default"
    token_file: str = ""
    ca_file: str = ""

    @classmethod
    def in_cluster(cls, environ: Mapping[str, str]) -> Access:
        """What a container finds in its pod.

        Raises:
            InputError: this is no pod, its service account's token isn't mounted, or this Python can't speak TLS.
        """
        directory = environ.get(contract.ENV_SERVICE_ACCOUNT_DIR) or contract.SERVICE_ACCOUNT_DIR
        host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
        base_url = environ.get(contract.ENV_API_SERVER) or (
            f"https://{f'[{host}]' if ':' in host else host}:{port}" if host and port else ""
        )
        if not base_url:
            raise InputError("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: this is not a pod")
        token_file = os.path.join(directory, "token")
        if not os.path.exists(token_file):
            raise InputError(
                f"no service account token at {token_file}: "
                "the pod or its service account sets automountServiceAccountToken: false; set it to true"
            )
        if not HAS_TLS and base_url.startswith("https:"):
            raise InputError(
                "this image's Python has no module ssl: install it, or choose another with podhooks.io/python"
            )
        return cls(base_url, _namespace(environ, directory), token_file, os.path.join(directory, "ca.crt"))


def _namespace(environ: Mapping[str, str], directory: str) -> str:
    given = environ.get(contract.ENV_POD_NAMESPACE)
    if given:
        return given
    try:
        with open(os.path.join(directory, "namespace"), encoding="utf-8") as file:
            return file.read().strip() or "default"
    except OSError:
        return "default"


class Client:
    """Requests to one API server. Not for use by several threads. Raises ApiError and its kinds only."""

    def __init__(self, access: Access, *, answer_timeout_seconds: float = ANSWER_TIMEOUT_SECONDS) -> None:
        self.access = access
        self.requests = 0
        self._answer_timeout_seconds = answer_timeout_seconds
        self._connection: http.client.HTTPConnection | None = None
        self._clock: tuple[datetime, float] | None = None  # the server's time, and time.monotonic() then

    def now(self) -> datetime | None:
        """The API server's time, to compare with times in objects: our own clock may be wrong or jump."""
        if self._clock is None:
            return None
        moment, read_at = self._clock
        return moment + timedelta(seconds=time.monotonic() - read_at)

    def get_pod(self, name: str) -> dict[str, Json]:
        pod = self._json(self._get(self._pods(name)))
        if pod.get("kind") != "Pod":
            raise self._stranger()
        return pod

    def log_tail(self, pod: str, container: str, lines: int) -> str:
        """The last lines of a container's log, at most 1 MiB."""
        query = {"container": container, "tailLines": str(max(lines, 0)), "limitBytes": str(1 << 20)}
        try:
            return self._read(self._get(f"{self._pods(pod)}/log", query)).decode("utf-8", "replace")
        finally:
            self.close()

    def delete(self, path: str) -> dict[str, Json]:
        """Delete what is at an API path; what the server says about it. NotFound where it's gone already."""
        return self._json(self._send("DELETE", path))

    def watch_pod(self, name: str, resource_version: str, *, seconds: int = WATCH_SECONDS) -> Iterator[Json]:
        """Events of one pod after `resource_version`, until the server's timeout or any other end of the stream.

        Raises:
            Gone: start anew with get_pod().
        """
        query = {
            "watch": "true",
            "fieldSelector": f"metadata.name={name}",
            "resourceVersion": resource_version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
        }
        response = self._get(self._pods(), query)
        self._set_timeout(seconds + WATCH_MARGIN_SECONDS)
        while line := self._line(response):
            event = self._parse(line)
            if event.get("type") == "ERROR":
                self.close()
                raise self._error(event.get("object") or {}, "watch pods")
            yield event
        response.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _pods(self, name: str = "") -> str:
        path = f"/api/v1/namespaces/{quote(self.access.namespace)}/pods"
        return f"{path}/{quote(name)}" if name else path

    def advice(self, said: str) -> str:
        """The next step for whoever reads a 403; `said` is the server's message."""
        return grant(said, self.access.namespace)

    def _get(self, path: str, query: Mapping[str, str] | None = None) -> http.client.HTTPResponse:
        return self._send("GET", path, query)

    def _send(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> http.client.HTTPResponse:
        """An answer that means success and whose body is still to be read. `body` is JSON."""
        target = f"{path}?{urlencode(query)}" if query else path
        response = self._answer(method, target, body)
        self._read_clock(response)
        if response.status in SUCCESS:
            return response
        said = self._read(response)
        try:
            status = json.loads(said)
        except ValueError:
            status = {}
        if not isinstance(status, dict) or "code" not in status:
            status = {"code": response.status, "message": said[:200].decode("utf-8", "replace").strip()}
        wait = response.headers.get("Retry-After", "")
        raise self._error(status, f"{method} {path}", float(wait) if wait.isdigit() else None)

    def _answer(self, method: str, target: str, body: bytes | None) -> http.client.HTTPResponse:
        kept = self._connection is not None
        try:
            return self._request(method, target, body)
        except Unreachable:
            if not kept:
                raise
            return self._request(method, target, body)  # the server closed what we had kept: that says nothing yet

    def _request(self, method: str, target: str, body: bytes | None) -> http.client.HTTPResponse:
        self.requests += 1
        with self._guarded():
            connection = self._connect()
            self._set_timeout(self._answer_timeout_seconds)
            headers = {"Accept": "application/json", "User-Agent": "podhooks"}
            if self.access.token_file:
                headers["Authorization"] = f"Bearer {_read_token(self.access.token_file)}"
            if body is not None:
                headers["Content-Type"] = "application/json"
            connection.request(method, target, body, headers)
            return connection.getresponse()

    def _connect(self) -> http.client.HTTPConnection:
        if self._connection is None:
            self._connection = _open(self.access, self._answer_timeout_seconds)
            self._connection.connect()
            for option, value in KEEPALIVE:
                if hasattr(socket, option):
                    self._connection.sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
            self._connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return self._connection

    def _set_timeout(self, seconds: float) -> None:
        if self._connection is not None and self._connection.sock is not None:
            self._connection.sock.settimeout(seconds)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """What goes wrong, or interrupts us, leaves the connection in the middle of something: it is not used again."""
        try:
            yield
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise _unreachable(error, self.access.base_url) from error
        except BaseException:
            self.close()
            raise

    def _line(self, response: http.client.HTTPResponse) -> bytes:
        with self._guarded():
            line = response.readline(MAX_LINE_BYTES)
        if line and not line.endswith(b"\n"):
            self.close()
            return b""  # cut off in mid-line: the connection is dead, the stream is over
        return line

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        with self._guarded():
            return response.read()

    def _json(self, response: http.client.HTTPResponse) -> dict[str, Json]:
        return self._parse(self._read(response))

    def _parse(self, body: bytes) -> dict[str, Json]:
        try:
            value = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise self._stranger() from error
        if not isinstance(value, dict):
            raise self._stranger()
        return value

    def _stranger(self) -> Unreachable:
        self.close()
        return Unreachable(f"{self.access.base_url} does not answer as a Kubernetes API server")

    def _error(self, status: Mapping[str, Json], what: str, retry_after_seconds: float | None = None) -> ApiError:
        code = status.get("code")
        code = code if isinstance(code, int) else 0
        said = str(status.get("message") or f"status {code}")
        kinds = {401: Unauthorized, 403: Forbidden, 404: NotFound, 410: Gone}
        message = f"{what}: {said}"
        if code == 403:
            message += f". {self.advice(said)}"
        if code == 401:
            message += f". The token in {self.access.token_file or 'use'} is not accepted"
        return kinds.get(code, ApiError)(message, status=code, retry_after_seconds=retry_after_seconds)

    def _read_clock(self, response: http.client.HTTPResponse) -> None:
        try:
            moment = parsedate_to_datetime(response.headers.get("Date", ""))
        except (TypeError, ValueError, IndexError):
            return
        if moment.tzinfo is not None:
            self._clock = (moment, time.monotonic())


def _open(access: Access, timeout_seconds: float) -> http.client.HTTPConnection:
    """A connection that is not connected yet."""
    url = urlsplit(access.base_url)
    if url.scheme == "http":
        return http.client.HTTPConnection(url.hostname or "", url.port, timeout=timeout_seconds)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if access.ca_file and os.path.exists(access.ca_file):
        context.load_verify_locations(access.ca_file)
    else:
        context.load_default_certs()
    return http.client.HTTPSConnection(url.hostname or "", url.port, timeout=timeout_seconds, context=context)


def _read_token(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            token = file.read().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it holds no token"
        raise Unauthorized(f"the service account's token at {path} can't be read: {why}", status=401) from error
    if not token or not token.isprintable() or " " in token:
        raise Unauthorized(f"the file {path} holds no token", status=401)
    return token


def _unreachable(error: Exception, base_url: str) -> Unreachable:
    if HAS_TLS and isinstance(error, ssl.SSLCertVerificationError):
        why = f"its certificate is not accepted: {error.verify_message}"
    elif isinstance(error, TimeoutError):
        why = "no answer in time"
    elif isinstance(error, OSError) and error.strerror:
        why = error.strerror
    else:
        why = str(error) or type(error).__name__
    return Unreachable(f"can't reach the API server at {base_url}: {why}")


def grant(said: str, namespace: str) -> str:
    """The next step for whoever reads a 403: the commands that give the missing rule."""
    account = service_account(said, namespace)
    role, rule = _missing_rule(said)
    return (
        f"Grant it: kubectl -n {namespace} create role {role} {rule} && "
        f"kubectl -n {namespace} create rolebinding {role} --role={role} --serviceaccount={account}"
    )


def service_account(said: str, namespace: str) -> str:
    """Whom a 403 speaks of, as kubectl's --serviceaccount takes it."""
    user = said.partition("system:serviceaccount:")[2].partition('"')[0]
    return user if ":" in user else f"{namespace}:default"


def _missing_rule(said: str) -> tuple[str, str]:
    """A name for the role, and the options that make its rule."""
    if "pods/log" in said:
        return "podhooks-logs", "--verb=get --resource=pods/log"
    verb, _, rest = said.partition(" cannot ")[2].partition(' resource "')
    resource, _, rest = rest.partition('"')
    if resource in ("", "pods"):
        return "podhooks", "--verb=get,watch --resource=pods"
    group = rest.partition('in API group "')[2].partition('"')[0]
    return f"podhooks-{resource.replace('/', '-')}", f"--verb={verb} --resource={f'{resource}.{group}'.rstrip('.')}"
