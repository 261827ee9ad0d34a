"""The Kubernetes API for callbacks: lists, creations and whole logs, and a 403 that names the rule that is missing."""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from podhooks import log
from podhooks.callbacks.budget import Budget, backoff_seconds
from podhooks.errors import ApiError, Unreachable
from podhooks.runtime import client as kube
from podhooks.runtime.client import Access

if TYPE_CHECKING:
    from podhooks.context import Json

T = TypeVar("T")
PAGE = 250  # objects of a list at once: a pod is about 10 kB, and a callback's memory is small
CHUNK_BYTES = 1 << 16
LEAST_SECONDS = 1.0  # for an answer, however little time is left
NOT_PERMISSIONS = ("is being terminated", "exceeded quota")


@dataclass(frozen=True)
class Grant:
    """The rights of one callback, as kubectl gives them. `otherwise` is another way out."""

    role: str
    verbs: str
    resources: str
    cluster_wide: bool = False
    otherwise: str = ""

    def commands(self, namespace: str, account: str) -> str:
        """`account` is NAMESPACE:NAME."""
        kind = "clusterrole" if self.cluster_wide else "role"
        kubectl = "kubectl" if self.cluster_wide else f"kubectl -n {namespace}"
        return (
            f"{kubectl} create {kind} {self.role} --verb={self.verbs} --resource={self.resources} && "
            f"{kubectl} create {kind}binding {self.role} --{kind}={self.role} --serviceaccount={account}"
        )


class Api(kube.Client):
    """Requests as the pod's service account, repeated as long as the API is busy and the budget lasts."""

    def __init__(self, access: Access, grant: Grant, budget: Budget) -> None:
        super().__init__(access)
        self.grant = grant
        self.budget = budget

    @classmethod
    def in_cluster(cls, grant: Grant, budget: Budget) -> Api:
        """Raises InputError: this is no pod, or it has no token."""
        return cls(Access.in_cluster(os.environ), grant, budget)

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def advice(self, said: str) -> str:
        if any(each in said for each in NOT_PERMISSIONS):
            return "No role helps against that"
        namespace = self.access.namespace
        commands = self.grant.commands(namespace, kube.service_account(said, namespace))
        return f"Grant it: {commands}{self.grant.otherwise}"

    def items(self, path: str, **query: str) -> Iterator[Json]:
        """The objects of a list, page by page: nobody needs all of them at once."""
        query = {name: value for name, value in query.items() if value} | {"limit": str(PAGE)}
        while True:
            page = self.persist(lambda: self._json(self._send("GET", path, query)))
            yield from page.get("items") or ()
            going_on = (page.get("metadata") or {}).get("continue")
            if not going_on:
                return
            query["continue"] = going_on

    def create(self, path: str, obj: Json) -> bool:
        """False when an object of that name is there already."""
        body = json.dumps(obj).encode()
        try:
            self.persist(lambda: self._read(self._send("POST", path, body=body)))
        except ApiError as error:
            if error.status == http.client.CONFLICT:
                return False
            raise
        return True

    def pod(self, name: str) -> dict[str, Json]:
        return self.persist(lambda: self.get_pod(name))

    def log(self, pod: str, query: Mapping[str, str]) -> Iterator[bytes]:
        """A log in pieces. Unreachable when it breaks off or the time is over: what came before may be incomplete."""
        path = f"/api/v1/namespaces/{quote(self.access.namespace)}/pods/{quote(pod)}/log"
        try:
            response = self.persist(lambda: self._send("GET", path, query))
            while chunk := self._piece(response):
                yield chunk
        finally:
            self.close()  # half-read, a connection serves nobody

    def _piece(self, response: http.client.HTTPResponse) -> bytes:
        if self.budget.left() <= 0:
            raise Unreachable("no time left for the rest of the log")
        with self._guarded():
            return response.read1(CHUNK_BYTES)

    def persist(self, request: Callable[[], T]) -> T:
        """The request, again and again while the API is busy or out of reach, until the budget is over."""
        tries = 0
        while True:
            tries += 1
            self._answer_timeout_seconds = max(LEAST_SECONDS, min(kube.ANSWER_TIMEOUT_SECONDS, self.budget.left()))
            try:
                return request()
            except ApiError as error:
                wait = backoff_seconds(tries, error.retry_after_seconds)
                if not passes(error) or not self.budget.pause(wait):
                    raise
                log.info("trying again", after=f"{wait:.1f}s", cause=error)


def passes(error: ApiError) -> bool:
    """Whether the same request may succeed later."""
    return isinstance(error, Unreachable) or error.status == http.client.TOO_MANY_REQUESTS or error.status >= 500
