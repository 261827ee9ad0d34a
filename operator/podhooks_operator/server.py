"""The operator's life: health port, certificate, webhook port, and an end in good order."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
from collections.abc import Generator
from pathlib import Path
from time import monotonic
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from podhooks import log
from podhooks.errors import InputError
from podhooks.runtime.access import Access
from podhooks_operator.certificates.files import Files
from podhooks_operator.certificates.refresher import Refresher
from podhooks_operator.certificates.selfmade import SelfMade
from podhooks_operator.certificates.source import Source
from podhooks_operator.certificates.tls import LiveContext
from podhooks_operator.cluster import Cluster
from podhooks_operator.metrics import Metrics
from podhooks_operator.settings import CertificateSource, Settings
from podhooks_operator.webhook.app import HealthApp, WebhookApp
from podhooks_operator.webhook.events import Recorder

HEADERS_SECONDS = 10.0  # for a request line and its headers, from the connection's or the first byte on
KEEP_ALIVE_SECONDS = 120  # longer than the API server keeps an idle connection (90 s), so that we never close it on it
MAX_CONNECTIONS = 1000
CROWDED_SECONDS = 60.0  # between two lines that tell of more
EVENTS_SECONDS = 5.0  # at the end, for Events that are still to be written


class State(ServerState):
    """What the connections of one server share."""

    crowded_at = -CROWDED_SECONDS


class LimitedProtocol(HttpToolsProtocol):
    """Closes connections above the limit, and those that don't finish sending headers in time.

    uvicorn's own limit answers 503 to every client while it lasts, also to API servers that were connected before. For
    headers uvicorn waits without end. Both kinds end by abort(): close() waits up to 30 s for the TLS farewell of a
    client that doesn't listen, and the connection counts meanwhile.
    """

    server_state: State
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        if len(self.connections) > MAX_CONNECTIONS:
            self._tell_of_the_crowd()
            return self.transport.abort()
        self._expect_headers()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._expect_headers()

    def on_headers_complete(self) -> None:
        self._headers_are_here()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._headers_are_here()
        super().connection_lost(exc)

    def _tell_of_the_crowd(self) -> None:
        now = self.loop.time()
        if now - self.server_state.crowded_at >= CROWDED_SECONDS:
            self.server_state.crowded_at = now
            limit, (client, _) = MAX_CONNECTIONS, self.client or ("", 0)
            log.warning("new connections are closed: too many at once", limit=limit, latest=client)

    def _expect_headers(self) -> None:
        self._headers_are_here()
        self._late = self.loop.call_later(HEADERS_SECONDS, self.transport.abort)

    def _headers_are_here(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


class Server(uvicorn.Server):
    """Signals are the operator's, not each server's."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.server_state = State()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def listener(host: str, port: int) -> socket.socket:
    """InputError for an address that can't be had."""
    both = not host and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both or ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048, dualstack_ipv6=both)
    except OSError as error:
        raise InputError(f"can't listen on {host or '*'}:{port}: {error.strerror or error}") from error


def web_server(app: Any, settings: Settings, context: ssl.SSLContext | None = None) -> Server:
    config = uvicorn.Config(
        app,
        http=LimitedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(settings.shutdown_timeout)),
        ssl_context_factory=None if context is None else lambda _config, _default: context,
    )
    return Server(config)


def certificate_source(cluster: Cluster, settings: Settings, namespace: str) -> Source:
    if settings.certificates is CertificateSource.FILES:
        return Files(Path(settings.certificate_directory))
    return SelfMade(
        cluster,
        namespace=namespace,
        secret=settings.secret,
        configuration=settings.webhook_configuration,
        names=settings.names(namespace),
        rhythm=settings.rhythm,
    )


class Operator:
    """Made inside the event loop. `stop()` may be called at any time, twice to hurry."""

    def __init__(self, settings: Settings, access: Access) -> None:
        self._settings = settings
        namespace = settings.namespace or access.namespace
        cluster, self._metrics, self._live = Cluster(access), Metrics(), LiveContext()
        source = certificate_source(cluster, settings, namespace)
        self._refresher = Refresher(
            cluster, source, self._live, self._metrics, settings.webhook_configuration, settings.check_interval
        )
        self._recorder = Recorder(Cluster(access), lambda result: self._metrics.events.labels(result).inc(), monotonic)
        app = WebhookApp(settings.review, self._metrics, self._recorder.record, lambda: self._refresher.draining)
        self._webhook = web_server(app, settings, self._live.context)
        self._health = web_server(HealthApp(self._refresher.problems, self._metrics), settings)
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()

    def stop(self) -> None:
        (self._hurry if self._stop.is_set() else self._stop).set()

    async def run(self) -> None:
        """Until stop(). Raises InputError for ports that can't be had."""
        sockets = [listener(self._settings.host, port) for port in (self._settings.port, self._settings.health_port)]
        names = [each.getsockname()[1] for each in sockets]
        log.info("podhooks-operator", webhook=names[0], health=names[1])
        background = [asyncio.create_task(each) for each in (self._refresher.run(), self._recorder.run())]
        health = asyncio.create_task(self._health.serve([sockets[1]]))
        await _first(self._stop, self._refresher.certified)
        webhook = asyncio.create_task(self._webhook.serve([sockets[0]]))
        await self._stop.wait()
        await self._end(webhook)
        for each in background:
            each.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await self._refresher.close()
        self._health.should_exit = True
        await health

    async def _end(self, webhook: asyncio.Task[None]) -> None:
        """Readiness first, so that no new requests are sent; then what is under way is answered."""
        self._refresher.draining = True
        log.info("shutting down", drain_seconds=self._settings.drain)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), self._settings.drain)
        self._webhook.should_exit = True
        await webhook
        await self._recorder.drain(EVENTS_SECONDS)
        log.info("ended")


async def serve(settings: Settings, access: Access) -> None:
    operator = Operator(settings, access)
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, operator.stop)
    await operator.run()


async def _first(*events: asyncio.Event) -> None:
    """Waits for one of them."""
    waiting = [asyncio.create_task(each.wait()) for each in events]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for each in waiting:
        each.cancel()
