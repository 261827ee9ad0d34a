"""Throughput of a callback's output, from the callback through the marking of lines to the container's log."""

from __future__ import annotations

import os
import shlex
import subprocess
import time

from benchmarks.pod import DeliveredPod, tls_pod
from benchmarks.result import Row, interleaved
from benchmarks.stage import Stage

MEGABYTES = 100
QUICK_MEGABYTES = 5


def measure(stage: Stage) -> list[Row]:
    megabytes = QUICK_MEGABYTES if stage.quick else MEGABYTES
    with tls_pod(stage, SHOUT_BYTES=str(megabytes * 10**6)) as pod:
        pod.annotate(**{"on-exit": "calls:shout"})
        cat, ours = interleaved(1 if stage.quick else 3, lambda: through_cat(pod), lambda: through_runner(pod))
    return [Row(f"{megabytes} MB of a callback's output", "MB/s", "through `cat`", cat, ours, more_is_better=True)]


def through_cat(pod: DeliveredPod) -> float:
    command = f"{shlex.quote(pod.stage.python)} -S calls.py | cat"
    with subprocess.Popen(
        command, shell=True, env=pod.environ, cwd=pod.stage.callbacks, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        return speed(process.stdout.fileno())


def through_runner(pod: DeliveredPod) -> float:
    """The on-exit program's stdout is what the container runtime reads."""
    pod.reset()
    pod.main_ends(0)
    with subprocess.Popen(
        pod.stage.command("on_exit.py"),
        env=pod.environ,
        cwd=pod.stage.callbacks,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        return speed(process.stdout.fileno())


def speed(descriptor: int) -> float:
    """MB/s from the first byte to the last."""
    size, first, last = 0, 0.0, 0.0
    while data := os.read(descriptor, 1 << 20):
        last = time.perf_counter()
        first = first or last
        size += len(data)
    return size / 1e6 / max(last - first, 1e-9)
