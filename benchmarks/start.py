"""Time that the init container adds to a pod's start: one no-op on_start callback, without and with an on_exit one.

An on_exit callback costs one more process: it is imported, so that a typo is known before main has run for hours.
"""

from __future__ import annotations

import shutil
from statistics import median

from benchmarks.pod import DeliveredPod, tls_pod
from benchmarks.result import Row
from benchmarks.stage import Stage, Timed, timed
from podhooks import contract

FLOOR = "bare start"
MOST_STARTS = 3.0


def measure(stage: Stage) -> list[Row]:
    with tls_pod(stage) as pod:
        bare, alone, checking, compiling = (list[Timed]() for _ in range(4))
        for _ in range(2 if stage.quick else stage.repetitions):
            bare.append(timed([stage.python, "-c", "pass"], stage.environ))
            alone.append(on_start(pod, check=False))
            checking.append(on_start(pod))
            compiling.append(on_start(pod, byte_code=False))
    start, first, second, slow = [
        median(1000 * each.seconds for each in runs) for runs in (bare, alone, checking, compiling)
    ]
    cpu, all_cpu = [median(1000 * each.cpu_seconds for each in runs) for runs in (bare, checking)]
    return [
        Row("on_start with one no-op callback", "ms", FLOOR, start, first, at_most=MOST_STARTS),
        Row("the same, and an on_exit callback checked", "ms", FLOOR, start, second),
        Row("that: CPU of all its processes", "ms", FLOOR, cpu, all_cpu),
        Row("that without byte code", "ms", FLOOR, start, slow),
    ]


def on_start(pod: DeliveredPod, *, check: bool = True, byte_code: bool = True) -> Timed:
    """The whole process."""
    shutil.rmtree(pod.shared / contract.RECORD_DIR, ignore_errors=True)
    pod.annotate(**{"on-start": "calls:nothing", **({"on-exit": "calls:stamp"} if check else {})})
    environ = pod.environ if byte_code else {**pod.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = pod.stage.command("on_start.py", byte_code=byte_code)
    return timed(command, environ, cwd=pod.stage.callbacks)
