"""The operator's life: health port, certificate, webhook port, and an end in good order."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Generator
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
from podhooks_operator.lease import Lease, identity
from podhooks_operator.metrics import Metrics
from podhooks_operator.rescue.loop import Rescuer
from podhooks_operator.rescue.requests import Requests, RescueCluster
from podhooks_operator.rescue.rescue_metrics import RescueMetrics
from podhooks_operator.rescue.sweep import Sweep
from podhooks_operator.rescue.turns import Turns
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


def make_rescuer(settings: Settings, login: Access, namespace: str, metrics: Metrics) -> Rescuer:
    cluster, rescue, measured = RescueCluster(login), settings.rescue, RescueMetrics(metrics.registry)
    requests = Requests(cluster, namespace)
    return Rescuer(
        requests,
        Lease(cluster, namespace, settings.lease, identity(), settings.lease_duration),
        settings.lease_duration,
        lambda places: Turns(requests, rescue, settings.inject, measured, places),
        Sweep(requests, rescue, measured),
        measured,
        at_once=rescue.at_once,
        namespaces=settings.rescue_namespace,
    )


class Operator:
    """Webhook, rescuer, or both. Made inside the event loop. `stop()` may be called at any time, twice to hurry."""

    def __init__(self, settings: Settings, access: Access) -> None:
        self._settings = settings
        self._metrics = Metrics()
        self._draining = False
        self._stop, self._hurry = asyncio.Event(), asyncio.Event()
        namespace = settings.namespace or access.namespace
        self._rescuer = make_rescuer(settings, access, namespace, self._metrics) if settings.rescuer else None
        self._webhook = WebhookPart(settings, access, namespace, self._metrics) if settings.webhook else None
        self._health = web_server(HealthApp(self._problems, self._metrics), settings)

    def stop(self) -> None:
        (self._hurry if self._stop.is_set() else self._stop).set()

    def _problems(self) -> list[str]:
        if self._draining:
            return ["shutting down"]
        return self._webhook.refresher.problems() if self._webhook is not None else []

    async def run(self) -> None:
        """Until stop(). Raises InputError for ports that can't be had."""
        settings = self._settings
        health = listener(settings.host, settings.health_port)
        ports = {"health": health.getsockname()[1]}
        if self._webhook is not None:
            self._webhook.socket = listener(settings.host, settings.port)
            ports = {"webhook": self._webhook.socket.getsockname()[1], **ports}
        log.info("podhooks-operator", **ports)
        serving = asyncio.create_task(self._health.serve([health]))
        end_rescuer = threading.Event()
        parts = [asyncio.to_thread(self._rescuer.run, end_rescuer)] if self._rescuer is not None else []
        working = [asyncio.create_task(each) for each in parts]
        if self._webhook is not None:
            await self._webhook.run(self._stop, self._drain)
        else:
            await self._stop.wait()
            self._draining = True
        end_rescuer.set()
        await asyncio.gather(*working)
        self._health.should_exit = True
        await serving
        log.info("ended")

    async def _drain(self) -> None:
        """Readiness first, so that no new requests are sent; then what is under way is answered."""
        self._draining = True
        log.info("shutting down", drain_seconds=self._settings.drain)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), self._settings.drain)


class WebhookPart:
    """The webhook with its certificate and its Events."""

    def __init__(self, settings: Settings, access: Access, namespace: str, metrics: Metrics) -> None:
        cluster, live = Cluster(access), LiveContext()
        source = certificate_source(cluster, settings, namespace)
        self.socket: socket.socket | None = None
        self.refresher = Refresher(
            cluster, source, live, metrics, settings.webhook_configuration, settings.check_interval
        )
        self._recorder = Recorder(Cluster(access), lambda result: metrics.events.labels(result).inc(), monotonic)
        app = WebhookApp(settings.review, metrics, self._recorder.record, lambda: self.refresher.draining)
        self._server = web_server(app, settings, live.context)

    async def run(self, stop: asyncio.Event, drain: Callable[[], Coroutine[None, None, None]]) -> None:
        background = [asyncio.create_task(each) for each in (self.refresher.run(), self._recorder.run())]
        await _first(stop, self.refresher.certified)
        serving = asyncio.create_task(self._server.serve([self.socket] if self.socket is not None else None))
        await stop.wait()
        self.refresher.draining = True
        await drain()
        self._server.should_exit = True
        await serving
        await self._recorder.drain(EVENTS_SECONDS)
        for each in background:
            each.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await self.refresher.close()


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
