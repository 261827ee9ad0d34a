"""Looks after certificate and caBundle every few seconds, and knows whether we are ready."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Mapping
from time import monotonic

from cryptography.x509 import Certificate

from podhooks import log
from podhooks.errors import PodhooksError
from podhooks_operator.certificates import published as configurations
from podhooks_operator.certificates import readiness, x509
from podhooks_operator.certificates.published import Published
from podhooks_operator.certificates.source import Source
from podhooks_operator.certificates.tls import LiveContext
from podhooks_operator.certificates.x509 import Pair
from podhooks_operator.cluster import Cluster
from podhooks_operator.metrics import Metrics

REMINDER_SECONDS = 60.0
UNREADY_INTERVAL_SECONDS = 1.0  # at most, between two looks while we are not ready


class Refresher:
    """The network is asked in a thread; everything that requests see changes in the event loop."""

    def __init__(
        self, cluster: Cluster, source: Source, live: LiveContext, metrics: Metrics, configuration: str, interval: float
    ) -> None:
        self._cluster = cluster
        self._source = source
        self._live = live
        self._metrics = metrics
        self._configuration = configuration
        self._interval = interval
        self._published: Published | None = None
        self._since: dict[str, float] = {}
        self._chain: list[Certificate] = []
        self._last_failure = ("", 0.0)
        self._last_problems: list[str] | None = None
        self._refreshing: asyncio.Task[Pair | None] | None = None
        self.draining = False
        self.certified = asyncio.Event()

    def problems(self) -> list[str]:
        if self.draining:
            return ["shutting down"]
        return readiness.problems(self._chain, self._published, self._cluster.now())

    async def run(self) -> None:
        """Until it is cancelled. Nothing ends it: a replica that stops looking would serve an expired certificate."""
        while True:
            await self.step()
            problems = self.problems()
            if problems != self._last_problems:
                log.info("not ready", why="; ".join(problems)) if problems else log.info("ready")
                self._last_problems = problems
            await asyncio.sleep(min(self._interval, UNREADY_INTERVAL_SECONDS) if problems else self._interval)

    async def step(self) -> None:
        try:
            self._refreshing = asyncio.create_task(asyncio.to_thread(self._refresh))
            pair = await asyncio.shield(self._refreshing)
            if pair is not None and pair is not self._live.pair:
                self._serve(pair)
        except PodhooksError as error:
            self._failed(str(error), why=error)
        except Exception as error:  # noqa: BLE001 (the edge)
            self._failed(repr(error), traceback=" | ".join(traceback.format_exception(error)))
        else:
            self._last_failure = ("", 0.0)

    def _failed(self, what: str, **fields: object) -> None:
        """Says so when it is new, and then once a minute: while we are not ready this comes every second."""
        self._metrics.refresh_failures.inc()
        last, said = self._last_failure
        if what != last or monotonic() - said > REMINDER_SECONDS:
            log.warning("can't look after the certificate", **fields)
            self._last_failure = (what, monotonic())

    async def close(self) -> None:
        """After run() was cancelled. A thread can't be: what it is at is waited for, however that ends."""
        if self._refreshing is not None:
            await asyncio.gather(self._refreshing, return_exceptions=True)
        self._cluster.close()

    def _refresh(self) -> Pair | None:
        published = self._published = configurations.read(self._cluster, self._configuration)
        return self._source.refresh(published, self._ages(published))

    def _ages(self, published: Published) -> Mapping[str, float]:
        now = monotonic()
        self._since = {each: self._since.get(each, now) for each in published.authorities}
        return {each: now - since for each, since in self._since.items()}

    def _serve(self, pair: Pair) -> None:
        chain = x509.certificates(pair.certificate)
        if chain != self._chain:
            self._live.use(pair)
            self._chain = chain
            self._metrics.expiry.set(x509.not_after(chain[0]))
            log.info(
                "serving a new certificate", fingerprint=x509.fingerprint(chain[0]), until=chain[0].not_valid_after_utc
            )
            self.certified.set()
