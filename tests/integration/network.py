"""A network between a client and an API server: a TCP proxy that misbehaves on order, with real sockets."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from enum import Enum

POLL_SECONDS = 0.02
CHUNK_BYTES = 65536


class Weather(Enum):
    FAIR = "fair"
    """Everything passes."""
    BLACK_HOLE = "black hole"
    """Connections are taken, nothing ever comes back, and no connection ends: also those that are open."""
    HALF_OPEN = "half open"
    """Requests arrive, answers don't."""
    RESET = "reset"
    """Every connection is reset."""
    GARBAGE = "garbage"
    """Whatever is asked, the answer is no HTTP."""
    TRUNCATED = "truncated"
    """The answer is an HTTP head, then the connection is closed."""


ANSWERS = {
    Weather.GARBAGE: b"\x16\x03\x01\x02\x00\xff\x00 {]}\r\n\x80\x81\r\n\r\n" * 3,
    Weather.TRUNCATED: b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n{",
}


class Network:
    """`port` leads to the server. `weather` may change at any time and then holds for open connections, too."""

    def __init__(self, server_port: int) -> None:
        self.weather = Weather.FAIR
        self.connections = 0
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Network:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            if select.select([self._listener], [], [], POLL_SECONDS)[0]:
                client, _ = self._listener.accept()
                self.connections += 1
                thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._server_port)) as server, contextlib.suppress(OSError):
            while not self._over.is_set() and self._step(client, server):
                pass

    def _step(self, client: socket.socket, server: socket.socket) -> bool:
        """Whether the connection goes on."""
        weather = self.weather
        if weather is Weather.RESET:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close() sends RST
            return False
        if weather is Weather.BLACK_HOLE:
            return not self._over.wait(POLL_SECONDS)
        for each in select.select([client, server], [], [], POLL_SECONDS)[0]:
            content = each.recv(CHUNK_BYTES)
            if not content:
                return False
            if weather in ANSWERS:
                client.sendall(ANSWERS[weather])
                return False
            if each is client:
                server.sendall(content)
            elif weather is Weather.FAIR:
                client.sendall(content)
        return True
