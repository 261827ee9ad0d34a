"""Where the Kubernetes API is, and what opens it: a pod's service account."""

from __future__ import annotations

import http.client
import os
from urllib.parse import urlsplit

from podhooks import contract
from podhooks.errors import InputError, Unauthorized
from podhooks.value import Value

try:
    import ssl

    HAS_TLS = True
except ImportError:  # an interpreter that was built without it
    HAS_TLS = False

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    class Login(Protocol):
        """What a client needs of it. Asked for every connection and every request: tokens and CAs are rotated."""

        @property
        def base_url(self) -> str: ...

        @property
        def namespace(self) -> str: ...

        def connection(self, timeout_seconds: float) -> http.client.HTTPConnection:
            """One that isn't connected yet. OSError, ssl.SSLError or ValueError where its files can't be used."""

        def headers(self) -> dict[str, str]:
            """Raises Unauthorized."""

        def advice(self, status: int, said: str) -> str:
            """The next step after a 401 or 403; "" for none."""


class Access(Value):
    """A service account's. Files are read anew: tokens and CAs are rotated."""

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

    def connection(self, timeout_seconds: float) -> http.client.HTTPConnection:
        url = urlsplit(self.base_url)
        if url.scheme == "http":
            return http.client.HTTPConnection(url.hostname or "", url.port, timeout=timeout_seconds)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.ca_file and os.path.exists(self.ca_file):
            context.load_verify_locations(self.ca_file)
        else:
            context.load_default_certs()
        return http.client.HTTPSConnection(url.hostname or "", url.port, timeout=timeout_seconds, context=context)

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {_read_token(self.token_file)}"} if self.token_file else {}

    def advice(self, status: int, said: str) -> str:
        from podhooks.runtime.apierrors import grant

        if status == http.client.UNAUTHORIZED:
            return f"The token in {self.token_file or 'use'} is not accepted"
        return grant(said, self.namespace)


def _namespace(environ: Mapping[str, str], directory: str) -> str:
    given = environ.get(contract.ENV_POD_NAMESPACE)
    if given:
        return given
    try:
        with open(os.path.join(directory, "namespace"), encoding="utf-8") as file:
            return file.read().strip() or "default"
    except OSError:
        return "default"


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
