"""What checks read of a cluster. A right that is missing is an answer, not an error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any, TypeAlias

from podhooks.errors import ApiError, Forbidden, NotFound
from podhooks.pod.object import mapping, mappings, text
from podhooks.runtime.client import Client

Json: TypeAlias = Any
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
REVIEWS = "/apis/authorization.k8s.io/v1"
PAGE_SIZE = "500"


class Unreadable(Exception):
    """The one who asks may not read that."""


class Reader:
    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def server(self) -> str:
        return self._client.server

    def now(self) -> datetime:
        """By the API server's clock, as all times in objects are."""
        return self._client.server_now() or datetime.now(timezone.utc)

    def version(self) -> Mapping[str, Json]:
        """ApiError where nobody answers."""
        return self._client.get("/version")

    def get(self, path: str) -> Mapping[str, Json] | None:
        """None for what isn't there, nor its kind. Unreadable without the right."""
        try:
            return self._client.get(path)
        except NotFound:
            return None
        except Forbidden as error:
            raise Unreadable(str(error)) from error

    def items(self, path: str, labels: str = "") -> Iterator[Mapping[str, Json]]:
        """All of a collection, page by page, because there may be thousands. Empty for a kind that isn't there."""
        query = {"limit": PAGE_SIZE, **({"labelSelector": labels} if labels else {})}
        more = ""
        while True:
            try:
                answer = self._client.get(path, {**query, **({"continue": more} if more else {})})
            except NotFound:
                return
            except Forbidden as error:
                raise Unreadable(str(error)) from error
            yield from mappings(answer.get("items"))
            more = text(mapping(answer.get("metadata")).get("continue"))
            if not more:
                return

    def may(self, verb: str, resource: str, group: str = "", namespace: str = "") -> bool:
        """Whether the one who asks may do that. True where nobody says."""
        return self._allowed("selfsubjectaccessreviews", _attributes(verb, resource, group, namespace), {})

    def account_may(self, account: str, namespace: str, verb: str, resource: str) -> bool:
        """The same for a service account of that namespace. Unreadable without the right to ask."""
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
        whose = {"user": f"system:serviceaccount:{namespace}:{account}", "groups": groups}
        return self._allowed("subjectaccessreviews", _attributes(verb, resource, "", namespace), whose)

    def _allowed(self, kind: str, attributes: Mapping[str, str], whose: Mapping[str, Json]) -> bool:
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": _KINDS[kind]}
        spec = {"resourceAttributes": attributes, **whose}
        try:
            answer = self._client.create(f"{REVIEWS}/{kind}", {**review, "spec": spec})
        except Forbidden as error:
            raise Unreadable(str(error)) from error
        except ApiError:
            return True
        return bool(mapping(answer.get("status")).get("allowed"))


_KINDS = {"selfsubjectaccessreviews": "SelfSubjectAccessReview", "subjectaccessreviews": "SubjectAccessReview"}


def _attributes(verb: str, resource: str, group: str, namespace: str) -> dict[str, str]:
    plural, _, subresource = resource.partition("/")
    known = {"verb": verb, "resource": plural, "subresource": subresource, "group": group, "namespace": namespace}
    return {key: value for key, value in known.items() if value}
