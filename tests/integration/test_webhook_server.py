"""The webhook's server and clients that are slow, deaf or too many."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trustme
from podhooks_operator import server
from podhooks_operator.server import Server
from podhooks_operator.settings import Settings

OK = b"HTTP/1.1 200 OK\r\n"


async def empty_answer(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


@contextlib.asynccontextmanager
async def serving(app: Any = empty_answer, context: ssl.SSLContext | None = None) -> AsyncIterator[tuple[int, Server]]:
    """The server's port, and the server."""
    listener = server.listener("127.0.0.1", 0)
    web = server.web_server(app, Settings(), context)
    running = asyncio.create_task(web.serve([listener]))
    yield listener.getsockname()[1], web
    web.should_exit = True
    await running


class Client:
    """One connection that is kept."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def to(cls, port: int) -> Client:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self) -> bytes:
        """The first line of the answer; empty if the connection is closed."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            self._writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 20)
            return head.splitlines(keepends=True)[0]
        return b""

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


def test_those_who_are_connected_go_on_when_too_many_come(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 2)

    async def run() -> list[bytes]:
        async with serving() as (port, web):
            clients = [await Client.to(port) for _ in range(2)]
            answers = [await each.ask() for each in clients]
            for _ in range(2):
                clients.append(await Client.to(port))
                answers.append(await clients[-1].ask())
            answers.append(await clients[0].ask())
            await clients[1].close()
            while len(web.server_state.connections) > 1:
                await asyncio.sleep(0.01)
            clients.append(await Client.to(port))
            answers.append(await clients[-1].ask())
            monkeypatch.setattr(server, "CROWDED_SECONDS", 0.0)
            clients.append(await Client.to(port))
            answers.append(await clients[-1].ask())
            for each in clients:
                await each.close()
        return answers

    assert asyncio.run(asyncio.wait_for(run(), 60)) == [OK, OK, b"", b"", OK, OK, b""]
    told = "podhooks: warning: new connections are closed: too many at once limit=2 latest=127.0.0.1\n"
    assert capfd.readouterr().err == 2 * told, "one for the first two, and again after a while"


@pytest.mark.parametrize("limit", [0, 1000])
def test_a_client_that_is_hung_up_on_and_does_not_listen_keeps_no_place(
    monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", limit)
    monkeypatch.setattr(server, "HEADERS_SECONDS", 0.5)
    authority = trustme.CA()
    theirs, ours = ssl.create_default_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.configure_trust(theirs)
    authority.issue_cert("127.0.0.1").configure_cert(ours)

    def connect(port: int) -> ssl.SSLSocket:
        """Returns when the server has hung up, which this client then doesn't answer."""
        client = theirs.wrap_socket(socket.create_connection(("127.0.0.1", port), 20), server_hostname="127.0.0.1")
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            assert client.recv(1) == b""
        return client

    async def run() -> None:
        async with serving(context=ours) as (port, web):
            client = await asyncio.to_thread(connect, port)
            deadline = time.monotonic() + 15  # asyncio waits for 30 seconds where it says goodbye
            while web.server_state.connections and time.monotonic() < deadline:
                await asyncio.sleep(0.01)
            kept = set(web.server_state.connections)
            client.close()
            assert not kept

    asyncio.run(run())


def test_clients_that_never_finish_their_headers_are_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEADERS_SECONDS", 0.5)

    async def slow_answer(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(1.0)  # an answer may take longer than headers
        await empty_answer(scope, receive, send)

    async def sent(port: int, text: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(text)
        try:
            return await asyncio.wait_for(reader.read(), 20)
        except ConnectionError:
            return b""
        finally:
            writer.close()

    async def run() -> tuple[bytes, bytes, bytes]:
        whole = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        async with serving(slow_answer) as (port, _):
            return await asyncio.gather(sent(port, b""), sent(port, b"POST /mutate HTTP/1.1\r\nHo"), sent(port, whole))

    silent, slow, quick = asyncio.run(run())
    assert (silent, slow) == (b"", b"")
    assert quick.startswith(OK)
