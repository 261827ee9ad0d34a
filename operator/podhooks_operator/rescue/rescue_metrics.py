"""What Prometheus reads of the rescuer. docs/rescuer.md has this list."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

PREFIX = "podhooks_rescuer_"
HELD_BUCKETS = (0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600)


class RescueMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(PREFIX + name, text, labels, registry=registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(PREFIX + name, text, registry=registry)

        self.leads = gauge("leads", "Whether this replica holds the Lease, and works.")
        self.held = gauge("held_pods", "Pods with the finalizer that are watched now.")
        self.open = gauge("open_rescues", "Rescues that haven't ended.")
        self.running = gauge("running_rescues", "Places for rescue Jobs that are taken.")
        self.holds = counter("holds", "Finalizers added to pods that came without.")
        self.releases = counter("releases", "Finalizers dropped, by why.", "why")
        self.recorded = counter("recorded", "Rescues written, by how main ended.", "verdict")
        self.attempts = counter("attempts", "Rescue Jobs created.")
        self.ended = counter("ended", "Rescues that ended.", "state", "reason")
        self.twice = counter("twice", "Callbacks that may have run twice.")
        self.failed = counter("failed_requests", "Requests to the API that failed and are made again.", "status")
        self.watches = counter("watches", "Watches begun, by whether from the start.", "kind")
        self.held_seconds = Histogram(
            PREFIX + "held_seconds", "From a pod's end to its release.", buckets=HELD_BUCKETS, registry=registry
        )
