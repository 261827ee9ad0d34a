"""The errors that Podhooks raises on purpose.

PodhooksError
├── InputError              what the user wrote can't be used: one line, exit code 2
│   ├── PlanError           the annotations
│   ├── CallbackNotFound    a callback's name leads nowhere
│   └── ManifestError       a file or an object in it
├── CallbackError           one of our own callbacks couldn't do its work; never with a secret in it
└── ApiError                the Kubernetes API said no, or said nothing
    ├── Unauthorized        401
    ├── Forbidden           403: a missing RBAC rule, named
    ├── NotFound            404
    ├── Conflict            409: the name is taken, or somebody else was faster
    ├── Gone                410: the resourceVersion is too old, get the object afresh
    └── Unreachable         refused, reset, timed out, no such host, bad certificate, not an API server

Libraries raise; only a program's main() turns an error into a line and an exit code.
"""

from __future__ import annotations


class PodhooksError(Exception):
    """Base of all of them. `str()` is one line for a person: what, where, and what to do."""


class InputError(PodhooksError):
    """What the user wrote can't be used."""


class PlanError(InputError):
    """Annotations that make no plan."""


class CallbackNotFound(InputError):
    """A callback's name can't be resolved in this image."""


class ManifestError(InputError):
    """A manifest that can't be read, or an object in it that can't be injected."""


class CallbackError(PodhooksError):
    """A callback of ours couldn't do what it is for. In a callback's process this line is all that is logged."""


class ApiError(PodhooksError):
    """The Kubernetes API answered with an error, or not at all.

    `status` is the HTTP status (0: no answer), `retry_after_seconds` what the server asked for (None: nothing).
    """

    def __init__(self, message: str, *, status: int = 0, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_seconds = retry_after_seconds


class Unauthorized(ApiError):
    """401: the token is missing, expired, or not this cluster's."""


class Forbidden(ApiError):
    """403: the service account lacks a rule; the message names it."""


class NotFound(ApiError):
    """404."""


class Conflict(ApiError):
    """409: the name is taken, or somebody else changed the object first; read it again."""


class Gone(ApiError):
    """410: the watch can't go on from that resourceVersion."""


class Unreachable(ApiError):
    """No answer: refused, reset, timed out, no such host, a bad certificate, or not an API server."""
