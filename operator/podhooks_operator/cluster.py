"""The Kubernetes API as far as the operator needs it: single objects, read and written. Nothing else talks to it.

The standard library's client of the runtime reads pods only and keeps one connection; this one writes and is used by
several threads. Objects are plain dicts: models of client libraries drop the fields that they don't know.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeAlias

import httpx

from podhooks.errors import ApiError, Forbidden, NotFound, Unauthorized, Unreachable
from podhooks.runtime.client import Access
from podhooks.version import __version__

Json: TypeAlias = Any
TIMEOUT_SECONDS = 10.0
SECRETS, LEASES = "/api/v1/namespaces/{}/secrets", "/apis/coordination.k8s.io/v1/namespaces/{}/leases"
EVENTS = "/api/v1/namespaces/{}/events"
CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


class Conflict(ApiError):
    """409: somebody else was faster; read again."""


class Cluster:
    """Raises ApiError and its kinds only. Token and CA are read from their files again and again: they are rotated."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._client: httpx.Client | None = None
        self._server_time: tuple[float, float] | None = None  # seconds since the epoch, and time.monotonic() then

    def now(self) -> float:
        """The API server's clock, for it is who judges certificates; our own until it has answered once."""
        if self._server_time is None:
            return time.time()
        moment, read_at = self._server_time
        return moment + time.monotonic() - read_at

    def get(self, path: str) -> dict[str, Json]:
        return self._send("GET", path)

    def create(self, path: str, obj: Mapping[str, Json]) -> dict[str, Json]:
        return self._send("POST", path, obj)

    def update(self, path: str, obj: Mapping[str, Json]) -> dict[str, Json]:
        """Only over the version that was read, if `obj` has its resourceVersion; else Conflict."""
        return self._send("PUT", path, obj)

    def patch(self, path: str, operations: Sequence[Mapping[str, Json]]) -> dict[str, Json]:
        """A JSON patch."""
        return self._send("PATCH", path, operations, "application/json-patch+json")

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _send(
        self, method: str, path: str, body: Json = None, content_type: str = "application/json"
    ) -> dict[str, Json]:
        headers = {"Content-Type": content_type, **self._authorization()}
        content = None if body is None else json.dumps(body).encode()
        try:
            response = self._connected().request(method, path, content=content, headers=headers)
            self._read_clock(response)
            answer = response.json()
        except (httpx.HTTPError, OSError) as error:
            self.close()  # the next one loads the CA anew
            raise Unreachable(f"can't reach the API server at {self.access.base_url}: {error}") from error
        except ValueError as error:
            raise Unreachable(f"{self.access.base_url} does not answer as a Kubernetes API server") from error
        if not isinstance(answer, dict) or response.status_code >= 300:
            raise _api_error(response.status_code, answer, f"{method} {path}")
        return answer

    def _connected(self) -> httpx.Client:
        if self._client is None:
            self._client = httpx.Client(
                base_url=self.access.base_url,
                verify=_context(self.access.ca_file),
                timeout=TIMEOUT_SECONDS,
                headers={"Accept": "application/json", "User-Agent": f"podhooks-operator/{__version__}"},
                trust_env=False,
            )
        return self._client

    def _authorization(self) -> dict[str, str]:
        if not self.access.token_file:
            return {}
        try:
            token = Path(self.access.token_file).read_text("ascii").strip()
        except (OSError, ValueError) as error:
            raise Unauthorized(f"the token at {self.access.token_file} can't be read: {error}", status=401) from error
        return {"Authorization": f"Bearer {token}"}

    def _read_clock(self, response: httpx.Response) -> None:
        try:
            moment = parsedate_to_datetime(response.headers.get("Date", ""))
        except (TypeError, ValueError, IndexError):
            return
        if moment.tzinfo is not None:
            self._server_time = (moment.timestamp(), time.monotonic())


def _context(ca_file: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file if ca_file and Path(ca_file).exists() else None)


def _api_error(status: int, answer: Json, what: str) -> ApiError:
    said = answer.get("message") if isinstance(answer, dict) else None
    message = f"{what}: {said or f'status {status}'}"
    if status == 403:
        message += ". All that the operator has to be allowed: podhooks render operator-rbac"
    kinds: dict[int, type[ApiError]] = {401: Unauthorized, 403: Forbidden, 404: NotFound, 409: Conflict}
    return kinds.get(status, ApiError)(message, status=status)
