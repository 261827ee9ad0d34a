"""HTTP servers that do what they are told, one order for each request: answer, delay, hang up, say nothing."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest

SLACK_SECONDS = 5.0  # what a busy machine may add to a time that is measured
Order = Callable[["Handler"], None]


class Received(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Receiver(ThreadingHTTPServer):
    """`orders` are for the first requests, everything after them is answered with 200. `received` is what came."""

    daemon_threads = True

    def __init__(self, *orders: Order) -> None:
        self.orders = list(orders)
        self.received: list[Received] = []
        self.ending = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hooks/T0KEN-IN-THE-PATH?key=S3CRET-IN-THE-QUERY"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.received.append(Received(self.command, self.path, headers, body, time.monotonic()))
        order = self.server.orders.pop(0) if self.server.orders else answer(200)
        order(self)

    do_POST = do_PUT = do_GET = _any  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


def answer(status: int, body: str = "", **headers: str) -> Order:
    def order(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body.encode())

    return order


def reset(handler: Handler) -> None:
    """Close the connection with an RST, as a crashed peer's kernel does."""
    handler.close_connection = True
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    handler.connection.close()


def silence(handler: Handler) -> None:
    """Never answer."""
    handler.server.ending.wait(30)
    handler.close_connection = True


def drip(handler: Handler) -> None:
    """Answer one byte at a time: every single read is quick, the whole never comes."""
    handler.close_connection = True
    for byte in b"HTTP/1.1 200 OK\r\n" + b"X-Filler: " + b"x" * 600:
        if handler.server.ending.wait(0.1):
            return
        try:
            handler.wfile.write(bytes([byte]))
        except OSError:
            return


@contextmanager
def receiving(*orders: Order) -> Iterator[Receiver]:
    with Receiver(*orders) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.ending.set()
            server.shutdown()
            thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server
