"""What the runner adds to each callback: from one no-op callback's first line to the next one's."""

from __future__ import annotations

from itertools import pairwise
from statistics import median

from benchmarks.pod import DeliveredPod, tls_pod
from benchmarks.result import Row, interleaved
from benchmarks.stage import Stage

COUNT = 20


def measure(stage: Stage) -> list[Row]:
    with tls_pod(stage) as pod:
        call = '{{"call": "calls:stamp", "with": {{"number": {}}}}}'
        pod.annotate(**{"on-exit": f"[{', '.join(call.format(number) for number in range(COUNT))}]"})
        bare, ours = interleaved(1 if stage.quick else 5, stage.bare_start, lambda: between_callbacks(pod))
    return [Row("runner, per callback", "ms", "bare start", bare, ours)]


def between_callbacks(pod: DeliveredPod) -> float:
    """Milliseconds, the median of one list."""
    pod.wait()
    pod.main_ends(0)
    stamps = pod.stamped(COUNT)
    pod.ended()
    return median(later - earlier for earlier, later in pairwise(stamps)) / 1e6
