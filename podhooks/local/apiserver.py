"""The embedded API server: HTTP/1.1 on 127.0.0.1 in front of a `Store`, for kubectl and for the programs in the pods.

It is open to whoever has the token, and creating a pod runs commands as the user who started it. Hence the loopback
address, a random token on every request, and a kubeconfig that only its owner can read.
"""

from __future__ import annotations

import base64
import hmac
import os
import secrets
import socket
import ssl
import threading
from collections import deque
from contextlib import suppress
from http.server import ThreadingHTTPServer
from pathlib import Path

from podhooks.local.api import Api, Logs
from podhooks.local.connection import SECRET_PATH, Connection
from podhooks.local.faults import Action, Fault, Faults
from podhooks.local.messages import Recorded
from podhooks.local.store import Store

__all__ = ["Action", "ApiServer", "Fault", "Recorded"]

_REMEMBERED_REQUESTS = 10_000


class ApiServer:
    """Start and stop, or use as a context manager. Everything else is over HTTP, but for what tests need.

    `faults` takes orders to misbehave, `requests` is what was asked so far (the latest 10 000), `token` may be changed
    while running, as a real cluster's tokens do.
    """

    def __init__(
        self,
        store: Store,
        *,
        token: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        ssl_context: ssl.SSLContext | None = None,
        ca_pem: bytes | None = None,
    ) -> None:
        self.store = store
        self.api = Api(store)
        self.token = token or secrets.token_urlsafe(32)
        self.faults = Faults()
        self._requests: deque[Recorded] = deque(maxlen=_REMEMBERED_REQUESTS)
        self._host = host
        self._ca_pem = ca_pem
        self._tls = ssl_context is not None
        self._listener = _Listener((host, port), self, ssl_context)
        self._thread = threading.Thread(
            target=self._listener.serve_forever, args=(0.05,), name="apiserver", daemon=True
        )
        self._started = False

    @property
    def requests(self) -> tuple[Recorded, ...]:
        """The latest requests so far, oldest first: a copy, which requests that are served meanwhile don't change."""
        return tuple(self._requests)

    def record(self, request: Recorded) -> None:
        """Remember a request that came."""
        self._requests.append(request)

    @property
    def port(self) -> int:
        return int(self._listener.server_address[1])

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self._host}:{self.port}"

    @property
    def logs(self) -> Logs | None:
        """What answers `pods/log`; the kubelet sets it."""
        return self.api.logs

    @logs.setter
    def logs(self, logs: Logs | None) -> None:
        self.api.logs = logs

    def is_token(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self.token.encode())

    def start(self) -> None:
        self._started = True
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and cut every open connection. The store stays as it is."""
        if self._started:
            self._listener.shutdown()
            self._thread.join()
            self._started = False
        self._listener.server_close()
        self.faults.clear()
        self.end_watches()
        self.drop_connections()
        self._listener.join_connections()

    def __enter__(self) -> ApiServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def end_watches(self) -> None:
        """End all running watches properly, before their time."""
        self.api.end_watches()

    def drop_connections(self) -> None:
        """Cut all open connections at once, as a dying load balancer does. New ones are welcome."""
        self._listener.drop_connections()

    def kubeconfig(self, path: Path | str, *, namespace: str = "default") -> Path:
        """Write a kubeconfig for this server, readable by its owner only."""
        path = Path(path)
        path.unlink(missing_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "w", encoding="utf-8") as file:
            file.write(self._kubeconfig_text(namespace))
        return path

    def _kubeconfig_text(self, namespace: str) -> str:
        server, authority = self.url if self._tls else f"{self.url}{SECRET_PATH}{self.token}", ""
        if self._ca_pem:
            authority = f"\n    certificate-authority-data: {base64.b64encode(self._ca_pem).decode()}"
        return f"""\
apiVersion: v1
kind: Config
current-context: podhooks-local
clusters:
- name: podhooks-local
  cluster:
    server: {server}{authority}
users:
- name: podhooks-local
  user:
    token: {self.token}
contexts:
- name: podhooks-local
  context:
    cluster: podhooks-local
    user: podhooks-local
    namespace: {namespace}
"""


class _Listener(ThreadingHTTPServer):
    """The accepting socket, and the open connections, so that they can be cut."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], server: ApiServer, ssl_context: ssl.SSLContext | None) -> None:
        self.api_server = server
        self._ssl_context = ssl_context
        self._open: dict[socket.socket, threading.Thread | None] = {}
        self._open_lock = threading.Lock()
        super().__init__(address, Connection)

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        """Accept. The TLS handshake is left to the connection's own thread, where it can hang without harm."""
        connection, address = self.socket.accept()
        if self._ssl_context is not None:
            connection = self._ssl_context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with self._open_lock:
            self._open[connection] = None
        return connection, address

    def process_request_thread(self, request: socket.socket, client_address: tuple[str, int]) -> None:  # type: ignore[override]
        with self._open_lock:
            self._open[request] = threading.current_thread()
        super().process_request_thread(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        with self._open_lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def drop_connections(self) -> None:
        with self._open_lock:
            for connection in self._open:
                _cut(connection)

    def join_connections(self) -> None:
        """Wait for the threads of connections that were cut; they end as soon as they touch their socket."""
        with self._open_lock:
            threads = [thread for thread in self._open.values() if thread is not None]
        for thread in threads:
            thread.join(5)

    def handle_error(self, request: object, client_address: object) -> None:
        """Connections end in many ways; a client that left is no error of ours. Everything else is printed."""
        super().handle_error(request, client_address)  # type: ignore[arg-type]


def _cut(connection: socket.socket) -> None:
    """Shut the connection under its user. An SSLSocket's own shutdown would wait for its lock."""
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
