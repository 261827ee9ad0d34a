"""What Prometheus reads. docs/webhook.md has this list."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "podhooks_webhook_"
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """A registry of its own: several operators in one process (tests) don't share their numbers."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.reviews = self._counter("reviews", "Reviews by what was done.", "outcome")
        self.injections = self._counter("injections", "Pods that got our containers.")
        self.refusals = self._counter("refusals", "Reasons why pods were not injected, or denied.", "code", "denied")
        self.rejected = self._counter("rejected_requests", "Requests that were no review, by HTTP status.", "status")
        self.events = self._counter("events", "Events about pods not injected, by what became of them.", "result")
        self.refresh_failures = self._counter(
            "certificate_refresh_failures", "Times that certificate and caBundle couldn't be looked after."
        )
        self.ready = self._gauge("ready", "Whether /readyz says yes.")
        self.expiry = self._gauge("certificate_expiry_timestamp_seconds", "When the served certificate ends.")
        self.latency = Histogram(
            f"{PREFIX}latency_seconds", "From body to answer, in seconds.", buckets=BUCKETS, registry=self.registry
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(PREFIX + name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(PREFIX + name, text, registry=self.registry)

    def observe(self, outcome: str, seconds: float, reasons: Iterable[str] = (), *, denied: bool = False) -> None:
        """One review. `reasons` are the codes of a refusal."""
        self.reviews.labels(outcome).inc()
        self.latency.observe(seconds)
        if outcome in ("injected", "updated"):
            self.injections.inc()
        if outcome == "refused":
            for code in reasons:
                self.refusals.labels(code, str(denied).lower()).inc()

    def text(self) -> bytes:
        return generate_latest(self.registry)
