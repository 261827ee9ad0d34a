"""From main's end, as it is written into the API server, to the first line of the on_exit callback."""

from __future__ import annotations

import time

from benchmarks.pod import DeliveredPod, tls_pod
from benchmarks.result import Row, interleaved
from benchmarks.stage import Stage

MOST_STARTS = 2.0


def measure(stage: Stage) -> list[Row]:
    with tls_pod(stage) as pod:
        bare, ours = interleaved(2 if stage.quick else stage.repetitions, stage.bare_start, lambda: latency(pod))
    return [Row("watch event to the callback's first line", "ms", "bare start", bare, ours, at_most=MOST_STARTS)]


def latency(pod: DeliveredPod) -> float:
    """Milliseconds; what the API server itself needs to send the event is in it."""
    pod.wait()
    written = time.monotonic_ns()
    pod.main_ends(0)
    milliseconds = (pod.stamped()[0] - written) / 1e6
    pod.ended()
    return milliseconds
