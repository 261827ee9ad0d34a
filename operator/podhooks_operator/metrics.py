"""What Prometheus reads. docs/webhook.md has this list."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from podhooks_operator.review import Review

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """A registry of its own: several operators in one process (tests) don't share their numbers."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        kept = {"registry": self.registry}
        self.reviews = Counter("podhooks_webhook_reviews", "Reviews by what was done.", ["outcome"], **kept)
        self.injections = Counter("podhooks_webhook_injections", "Pods that got our containers.", **kept)
        self.refusals = Counter(
            "podhooks_webhook_refusals", "Reasons why pods were not injected, or denied.", ["code", "denied"], **kept
        )
        self.latency = Histogram(
            "podhooks_webhook_latency_seconds", "From the request's body to the answer.", buckets=BUCKETS, **kept
        )
        self.expiry = Gauge(
            "podhooks_webhook_certificate_expiry_timestamp_seconds", "When the served certificate ends.", **kept
        )
        self.ready = Gauge("podhooks_webhook_ready", "Whether /readyz says yes.", **kept)
        self.rejected = Counter(
            "podhooks_webhook_rejected_requests", "Requests that were no review, by HTTP status.", ["status"], **kept
        )
        self.events = Counter(
            "podhooks_webhook_events", "Events about pods not injected, by result.", ["result"], **kept
        )
        self.refresh_failures = Counter(
            "podhooks_webhook_certificate_refresh_failures", "Times that certificates couldn't be looked after.", **kept
        )

    def observe(self, review: Review, seconds: float) -> None:
        self.reviews.labels(review.outcome).inc()
        self.latency.observe(seconds)
        if review.outcome in ("injected", "updated"):
            self.injections.inc()
        if review.outcome == "refused":
            for code in review.reasons:
                self.refusals.labels(code, str(review.denied).lower()).inc()

    def text(self) -> bytes:
        return generate_latest(self.registry)
