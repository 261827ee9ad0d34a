"""The one error of the embedded API server, in the words of a real one.

kubectl and every client library print `message` and decide by `reason` and `code`, so both are those of Kubernetes:
a message that differs here would send somebody to a search engine with a sentence that nobody else has ever seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podhooks.kinds.resources import Json, resource


class ApiError(Exception):
    """An answer other than success: HTTP status, machine-readable reason, and a sentence for people."""

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        *,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.details = dict(details or {})
        self.retry_after_seconds = retry_after_seconds

    def to_status(self) -> Json:
        """metav1.Status, the body of every failed request and the object of an ERROR watch event."""
        details = dict(self.details)
        if self.retry_after_seconds is not None:
            details["retryAfterSeconds"] = self.retry_after_seconds
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            **({"details": details} if details else {}),
            "code": self.status,
        }


def _of(plural: str, name: str) -> Json:
    group = resource(plural).group
    return {"name": name, **({"group": group} if group else {}), "kind": plural}


def not_found(plural: str, name: str) -> ApiError:
    return ApiError(404, "NotFound", f'{resource(plural).qualified} "{name}" not found', _of(plural, name))


def already_exists(plural: str, name: str, *, deleting: bool = False) -> ApiError:
    message = f'{"object is being deleted: " * deleting}{resource(plural).qualified} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, _of(plural, name))


def conflict(plural: str, name: str, why: str = "") -> ApiError:
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {resource(plural).qualified} "{name}": {why}'
    return ApiError(409, "Conflict", message, _of(plural, name))


def invalid(plural: str, name: str, field: str, why: str, reason: str = "FieldValueInvalid") -> ApiError:
    """422 for one field, for example `spec.template.spec.restartPolicy: Required value: ...`."""
    kind = resource(plural)
    title = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    cause = {"reason": reason, "message": why, "field": field}
    details = {**_of(plural, name), "kind": kind.kind, "causes": [cause]}
    return ApiError(422, "Invalid", f'{title} "{name}" is invalid: {field}: {why}', details)


def forbidden(plural: str, name: str, why: str) -> ApiError:
    return ApiError(403, "Forbidden", f'{resource(plural).qualified} "{name}" is forbidden: {why}', _of(plural, name))


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def expired(asked: int, oldest: int) -> ApiError:
    return ApiError(410, "Expired", f"too old resource version: {asked} ({oldest})")
