"""The Kubernetes API for callbacks: lists, creations and whole logs, and a 403 that names the rule that is missing."""

from __future__ import annotations

import http.client
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from podhooks import log
from podhooks.callbacks.budget import Budget
from podhooks.errors import ApiError, Conflict, Unreachable
from podhooks.runtime import apierrors
from podhooks.runtime.access import Access
from podhooks.runtime.backoff import backoff_seconds
from podhooks.runtime.client import ANSWER_TIMEOUT_SECONDS, CHUNK_BYTES, Answer, Client

if TYPE_CHECKING:
    from podhooks.context import Json
    from podhooks.runtime.access import Login

T = TypeVar("T")
PAGE = 250  # objects of a list at once: a pod is about 10 kB, and a callback's memory is small
LEAST_SECONDS = 1.0  # for an answer, however little time is left


@dataclass(frozen=True)
class Grant:
    """The rights of one callback, as kubectl gives them. `otherwise` is another way out."""

    role: str
    verbs: str
    resources: str
    cluster_wide: bool = False
    otherwise: str = ""

    def advice(self, said: str, namespace: str) -> str:
        """The next step after a 403 with the message `said`."""
        if any(each in said for each in apierrors.NOT_PERMISSIONS):
            return apierrors.NO_ROLE_HELPS
        return f"Grant it: {self.commands(namespace, apierrors.service_account(said, namespace))}{self.otherwise}"

    def commands(self, namespace: str, account: str) -> str:
        """`account` is NAMESPACE:NAME."""
        rule = f"--verb={self.verbs} --resource={self.resources}"
        return apierrors.commands(namespace, self.role, rule, account, cluster_wide=self.cluster_wide)


class Api(Client):
    """Requests as the pod's service account, repeated as long as the API is busy and the budget lasts."""

    def __init__(self, login: Login, grant: Grant, budget: Budget) -> None:
        super().__init__(login)
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

    def advice(self, status: int, said: str) -> str:
        if status == http.client.FORBIDDEN:
            return self.grant.advice(said, self.login.namespace)
        return super().advice(status, said)

    def items(self, path: str, **query: str) -> Iterator[Json]:
        """The objects of a list, page by page: nobody needs all of them at once."""
        query = {name: value for name, value in query.items() if value} | {"limit": str(PAGE)}
        while True:
            page = self.persist(lambda: self.get(path, query))
            yield from page.get("items") or ()
            going_on = (page.get("metadata") or {}).get("continue")
            if not going_on:
                return
            query["continue"] = going_on

    def create_once(self, path: str, obj: Json) -> bool:
        """False when an object of that name is there already."""
        try:
            self.persist(lambda: self.create(path, obj))
        except Conflict:
            return False
        return True

    def pod(self, name: str) -> dict[str, Json]:
        return self.persist(lambda: self.get_pod(name))

    def log(self, pod: str, query: Mapping[str, str]) -> Iterator[bytes]:
        """A log in pieces. Unreachable when it breaks off or the time is over: what came before may be incomplete."""
        path = f"/api/v1/namespaces/{quote(self.login.namespace)}/pods/{quote(pod)}/log"
        answer = self.persist(lambda: self.send("GET", path, query))
        try:
            while chunk := self._piece(answer):
                yield chunk
        finally:
            answer.close()

    def _piece(self, answer: Answer) -> bytes:
        if self.budget.left() <= 0:
            raise Unreachable("no time left for the rest of the log")
        return answer.piece(CHUNK_BYTES)

    def persist(self, request: Callable[[], T]) -> T:
        """The request, again and again while the API is busy or out of reach, until the budget is over."""
        tries = 0
        while True:
            tries += 1
            self.answer_timeout_seconds = max(LEAST_SECONDS, min(ANSWER_TIMEOUT_SECONDS, self.budget.left()))
            try:
                return request()
            except ApiError as error:
                wait = backoff_seconds(tries, error.retry_after_seconds)
                if not apierrors.is_passing(error) or not self.budget.pause(wait):
                    raise
                log.info("trying again", after=f"{wait:.1f}s", cause=error)
