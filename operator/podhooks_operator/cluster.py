"""The Kubernetes API as the operator asks it: the library's client, with the operator's paths, clock and advice."""

from __future__ import annotations

import time

from podhooks.runtime.client import Client
from podhooks.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from podhooks.runtime.access import Login

TIMEOUT_SECONDS = 10.0
SECRETS, LEASES = "/api/v1/namespaces/{}/secrets", "/apis/coordination.k8s.io/v1/namespaces/{}/leases"
EVENTS = "/api/v1/namespaces/{}/events"
CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
ADVICE = "All that the operator has to be allowed: podhooks render operator-rbac"


class Cluster(Client):
    """For several threads. Raises ApiError and its kinds only. Tokens and CAs are read anew: they are rotated."""

    def __init__(self, login: Login, *, names_requests: bool = True) -> None:
        super().__init__(
            login,
            answer_timeout_seconds=TIMEOUT_SECONDS,
            user_agent=f"podhooks-operator/{__version__}",
            names_requests=names_requests,
        )

    def now(self) -> float:
        """The API server's seconds since the epoch, for it judges certificates; our own until it has answered once."""
        known = self.server_time()
        return time.time() if known is None else known

    def advice(self, status: int, said: str) -> str:
        return ADVICE if status == 403 else super().advice(status, said)
