"""CPU that the sidecar uses while it waits ten minutes.

The short form waits less, but lets happen all that ten minutes bring: as many ends of the watch by the server,
and as many events as a real API server sends bookmarks (each a whole pod, which is more). Between them the process is
blocked in one read, which costs nothing however long it takes. `--full` waits the ten minutes.
"""

from __future__ import annotations

import time

from benchmarks.floor import idle_interpreter
from benchmarks.pod import DeliveredPod, tls_pod
from benchmarks.result import Row
from benchmarks.stage import Stage, cpu_milliseconds, settle
from podhooks.runtime.client import WATCH_SECONDS
from tests.integration.sidecar_harness import until

TEN_MINUTES_SECONDS = 600.0
REWATCHES = int(TEN_MINUTES_SECONDS // WATCH_SECONDS)
EVENTS_PER_WATCH = WATCH_SECONDS // 60  # a real API server sends a bookmark about every minute
SHORT_SECONDS = 60.0
QUICK_SECONDS = 3.0
MOST_MILLISECONDS = 50.0


def measure(stage: Stage) -> list[Row]:
    with tls_pod(stage) as pod:
        with idle_interpreter(pod) as pid:
            before = cpu_milliseconds(pid)
            time.sleep(1.0)
            floor = cpu_milliseconds(pid) - before
        pid = pod.wait()
        start = cpu_milliseconds(pid)
        short = QUICK_SECONDS if stage.quick else SHORT_SECONDS
        seconds = wait_out(pod) if stage.full else wait_shortened(pod, pid, short)
        settle(pid)
        used = cpu_milliseconds(pid) - start
        how = "" if stage.full else f" ({seconds:.0f} s with their {REWATCHES} re-watches)"
        idle = "idle interpreter"
        return [
            Row(f"CPU of ten minutes' waiting{how}", "ms", idle, floor, used, at_most=MOST_MILLISECONDS, absolute=True),
            Row("CPU before that: start to first watch", "ms", "two bare starts", 2 * stage.bare_start(), start),
        ]


def wait_out(pod: DeliveredPod) -> float:
    """The server's timeouts end the watches."""
    before = len(pod.watches)
    time.sleep(TEN_MINUTES_SECONDS)
    if (seen := len(pod.watches) - before) != REWATCHES:
        raise RuntimeError(f"{seen} re-watches in ten minutes, not {REWATCHES}")
    return TEN_MINUTES_SECONDS


def wait_shortened(pod: DeliveredPod, pid: int, seconds: float) -> float:
    """About `seconds`, in which the server ends the watch as often as in ten minutes."""
    started = time.monotonic()
    part = seconds / (REWATCHES + 1)
    for number in range(REWATCHES + 1):
        if number:
            rewatch(pod)
        for event in range(EVENTS_PER_WATCH):
            time.sleep(part / EVENTS_PER_WATCH)
            pod.status(message=f"event {event} of watch {number}")
        settle(pid)
    return time.monotonic() - started


def rewatch(pod: DeliveredPod) -> None:
    """The server's timeout, now."""
    before = len(pod.watches)
    pod.server.end_watches()
    until(lambda: len(pod.watches) > before, "the next watch")
