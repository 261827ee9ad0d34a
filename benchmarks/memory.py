"""Memory of the waiting sidecar, and what it has imported."""

from __future__ import annotations

from statistics import median

from benchmarks import stage as stages
from benchmarks.floor import idle_interpreter
from benchmarks.pod import DeliveredPod, tls_pod
from benchmarks.result import Row
from benchmarks.stage import Stage

FLOOR = "idle interpreter with TLS"
KINDS = {"resident": ("Rss",), "proportional": ("Pss",), "private": ("Private_Clean", "Private_Dirty")}
MOST = 1.3


def measure(stage: Stage) -> list[Row]:
    with tls_pod(stage) as pod:
        floors, ours, compiled_here = [], [], []
        for _ in range(1 if stage.quick else min(stage.repetitions, 5)):
            with idle_interpreter(pod) as pid:
                floors.append(stages.memory(pid))
            ours.append(stages.memory(pod.wait()))
            pod.stop()
            compiled_here.append(stages.memory(pod.wait(byte_code=False)))
            pod.stop()
        rows = [
            Row(
                f"waiting sidecar: {name} memory",
                "KiB",
                FLOOR,
                median(sum(each[key] for key in keys) for each in floors),
                median(sum(each[key] for key in keys) for each in ours),
                at_most=MOST if name == "resident" else None,
            )
            for name, keys in KINDS.items()
        ]
        rows.append(
            Row(
                "waiting sidecar without byte code: resident memory",
                "KiB",
                FLOOR,
                rows[0].floor,
                median(each["Rss"] for each in compiled_here),
            )
        )
        names = modules(pod)
        return [*rows, Row("waiting sidecar: modules", "", FLOOR, len(names[0]), len(names[1]))]


def modules(pod: DeliveredPod) -> tuple[set[str], set[str]]:
    """The names of what the floor and the waiting sidecar import after the interpreter's own start."""
    errors = pod.log.with_name("floor-errors")
    with errors.open("wb") as file, idle_interpreter(pod, "-X", "importtime", errors=file):
        pass
    pod.wait(importtime=True)
    pod.stop()
    return imported(errors.read_text()), imported(pod.output)


def imported(log: str) -> set[str]:
    return {line.split("|")[2].strip() for line in log.splitlines() if line.startswith("import time:")} - {
        "imported package"
    }
