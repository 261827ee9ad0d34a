"""Counts what callbacks tell: an HTTP server on this machine, which pods post to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Arrival:
    """One word of a pod. `what` is `main-ends`, `on-start` or `on-exit`; `at` is time.monotonic()."""

    run: str
    what: str
    uid: str
    at: float
    key: str = ""
    attempt: int = 0
    result: str = ""
    exit_code: int | None = None
    rescued: bool = False


class Collector:
    """Started when made. `address` is where pods find this machine."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self._lock = threading.Lock()
        self._arrivals: dict[str, list[Arrival]] = {}
        self._server = ThreadingHTTPServer(("0.0.0.0" if address != "127.0.0.1" else address, 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://{address}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="collector", daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, word: Mapping[str, Any]) -> None:
        arrival = Arrival(**{**word, "at": time.monotonic()})
        with self._lock:
            self._arrivals.setdefault(arrival.run, []).append(arrival)

    def arrivals(self, run: str, what: str) -> list[Arrival]:
        """In the order of their coming."""
        with self._lock:
            return [each for each in self._arrivals.get(run, ()) if each.what == what]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take = self.take

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                take(json.loads(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
                pass

        return Handler
