"""API requests of one whole run: on_start, waiting over some server timeouts, main's end, on_exit, SIGTERM."""

from __future__ import annotations

import signal

from benchmarks.pod import tls_pod
from benchmarks.result import Row
from benchmarks.stage import Stage
from benchmarks.start import on_start
from benchmarks.waiting import QUICK_SECONDS, REWATCHES, wait_shortened


def measure(stage: Stage) -> list[Row]:
    with tls_pod(stage) as pod:
        on_start(pod)
        wait_shortened(pod, pod.wait(), QUICK_SECONDS)
        pod.main_ends(0)
        pod.stamped()
        pod.signal(signal.SIGTERM)  # as the kubelet does in native mode, shortly after the API shows main's end
        pod.ended()
        watches, requests = len(pod.watches), len(pod.requests)
    name = f"API requests of a run with {REWATCHES} server timeouts"
    return [Row(name, "", "one per watch, plus one", watches + 1, requests, at_most=1.0)]
