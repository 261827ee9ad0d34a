"""What befalls a pod: each fault with what main does, the blow, and the results that are true after it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.faults.field import Field, Json, state_of

OBEDIENT = "trap 'python3 /faults/callbacks.py ends; exit 7' TERM; while true; do sleep 0.2; done"
STUBBORN = "trap '' TERM; while true; do sleep 0.2; done"
TELL = "/faults/callbacks.py:tell"


@dataclass
class Target:
    """One pod that is to be struck: where, and its Job's name."""

    field: Field
    namespace: str
    job: str

    def pod(self) -> Json:
        return self.field.pod(self.namespace, self.job)

    @property
    def pod_name(self) -> str:
        return str(self.pod()["metadata"]["name"])

    def until_running(self, container: str = "main") -> None:
        self.field.until(lambda: "running" in state_of(self.pod(), container), f"{container} of {self.job} runs")


Blow = Callable[[Target], None]


@dataclass(frozen=True)
class Fault:
    """`script` is main's. `blow` strikes from outside, once the pod is far enough; without one, main is the fault.

    `results`: what on_exit may truly be told. `needs`: commands of the field without which the fault can't be made, and
    `real` where only a real node can. `together`: blows to the cluster itself, each struck once when all pods run.
    """

    name: str
    results: frozenset[str]
    script: str = OBEDIENT
    blow: Blow | None = None
    pod: Mapping[str, Any] = field(default_factory=dict)
    main: Mapping[str, Any] = field(default_factory=dict)
    job: Mapping[str, Any] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    real: bool = False
    together: tuple[Callable[[Sequence[Target]], None], ...] = ()
    own_namespace: bool = False
    modes: tuple[str, ...] = ("native", "classic")
    outside_only: bool = False
    """Nothing in the pod can keep the promise here: with `guarantee: pod` a loss is expected."""


def _of(*results: str) -> frozenset[str]:
    return frozenset(results)


def running(blow: Blow, container: str = "main") -> Blow:
    """The blow once the container runs."""

    def strike(target: Target) -> None:
        target.until_running(container)
        blow(target)

    return strike


def deleted(grace_seconds: int | None = None) -> Blow:
    return running(lambda target: target.field.delete_pod(target.namespace, target.pod_name, grace_seconds))


def _lose_node(targets: Sequence[Target]) -> None:
    """The kubelet is gone, then its node; the pods' objects follow after PodGC's quarantine."""
    node = str(targets[0].pod()["spec"]["nodeName"])
    targets[0].field.commands["stop-kubelet"]()
    targets[0].field.delete_node(node)
    targets[0].field.until(lambda: all(_is_given_up(each.pod()) for each in targets), "PodGC gives up the pods", 180)


def _is_given_up(pod: Json) -> bool:
    return not pod or "deletionTimestamp" in pod["metadata"]


def _stay_away(targets: Sequence[Target]) -> None:
    """Longer than anybody outside waits for a node before it believes that the node is lost."""
    time.sleep(float(targets[0].field.away_seconds))


def _start_kubelet(targets: Sequence[Target]) -> None:
    field = targets[0].field
    field.commands["start-kubelet"]()
    field.until(lambda: any(_is_ready(each) for each in field.nodes()), "a node is ready", 180)


def _is_ready(node: Json) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in node["status"].get("conditions", ()))


def _restart_api_server(targets: Sequence[Target]) -> None:
    targets[0].field.commands["restart-api-server"]()


def _kill_operator(targets: Sequence[Target]) -> None:
    targets[0].field.commands["kill-operator"]()
    for each in targets:
        each.field.delete_pod(each.namespace, each.pod_name)


SHARED_PIDS = {"shareProcessNamespace": True}
INIT = {"image": "main", "name": "prepare"}

FAULTS: Sequence[Fault] = (
    Fault("succeeded", _of("Succeeded"), "sleep 1; python3 /faults/callbacks.py ends"),
    Fault("failed", _of("Failed"), "sleep 1; python3 /faults/callbacks.py ends; exit 3"),
    Fault(
        "out of memory",
        _of("OOMKilled"),
        "exec python3 -c 'x = bytearray(300 << 20)'",
        main={"resources": {"limits": {"memory": "64Mi"}, "requests": {"memory": "64Mi"}}},
        real=True,
    ),
    Fault("segmentation fault", _of("Failed"), "sleep 1; python3 -c 'import os; os.kill(os.getpid(), 11)'; exit $?"),
    Fault("start failed", _of("StartFailed"), "true", annotations={"on-start": "/faults/callbacks.py:fail"}),
    Fault(
        "init failed",
        _of("NeverStarted", "StartFailed"),
        "true",
        pod={"initContainers": [{**INIT, "command": ["sh", "-c", "exit 4"]}]},
        outside_only=True,
    ),
    Fault("deleted", _of("Deleted"), blow=deleted()),
    Fault("deleted, stubborn", _of("Deleted"), STUBBORN, blow=deleted()),
    Fault("deleted --now", _of("Deleted"), blow=deleted(1), outside_only=True),
    Fault("deleted by force", _of("Deleted"), blow=deleted(0), outside_only=True),
    Fault(
        "evicted by the API",
        _of("Evicted"),
        blow=running(lambda target: target.field.evict(target.namespace, target.pod_name)),
    ),
    Fault(
        "evicted for its disk",
        _of("Evicted"),
        "sleep 1; head -c 40000000 /dev/zero > /scratch/big; while true; do sleep 0.2; done",
        pod={"volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": "8Mi"}}]},
        main={"volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}]},
        real=True,
        outside_only=True,
    ),
    Fault("deadline of the Job", _of("Deleted", "DeadlineExceeded", "NeverStarted"), job={"activeDeadlineSeconds": 8}),
    Fault("deadline of the pod", _of("DeadlineExceeded", "Deleted", "NeverStarted"), pod={"activeDeadlineSeconds": 8}),
    Fault(
        "deadline before the start",
        _of("DeadlineExceeded", "Deleted", "NeverStarted"),
        "true",
        pod={
            "activeDeadlineSeconds": 3,
            "initContainers": [{**INIT, "command": ["sh", "-c", "trap 'exit 1' TERM; sleep 60 & wait"]}],
        },
        outside_only=True,
    ),
    Fault(
        "suspended",
        _of("Deleted"),
        blow=running(lambda target: target.field.patch_job(target.namespace, target.job, {"suspend": True})),
    ),
    Fault(
        "Job deleted",
        _of("Deleted"),
        blow=running(lambda target: target.field.delete_job(target.namespace, target.job)),
    ),
    Fault(
        "namespace deleted",
        _of("Deleted"),
        blow=running(lambda target: target.field.delete_namespace(target.namespace)),
        own_namespace=True,
    ),
    Fault(
        "sidecar killed waiting",
        _of("Succeeded"),
        "sleep 1; python3 /faults/callbacks.py kill-on-exit; sleep 3; python3 /faults/callbacks.py ends",
        pod=SHARED_PIDS,
        modes=("native",),  # in classic mode nobody starts it again: the next row's case
    ),
    Fault(
        "sidecar killed running",
        _of("Succeeded"),
        "sleep 1; python3 /faults/callbacks.py ends",
        pod=SHARED_PIDS,
        annotations={"on-exit": "/faults/callbacks.py:die_running"},
        outside_only=True,
    ),
    Fault(
        "sidecar killed recording",
        _of("Succeeded"),
        "sleep 1; python3 /faults/callbacks.py ends",
        pod=SHARED_PIDS,
        annotations={"on-exit": "/faults/callbacks.py:die_recording"},
    ),
    Fault("operator killed", _of("Deleted"), together=(_kill_operator,), needs=("kill-operator",)),
    Fault(
        "API server restarted",
        _of("Failed"),
        "sleep 20; python3 /faults/callbacks.py ends; exit 3",
        together=(_restart_api_server,),
        needs=("restart-api-server",),
    ),
    Fault(
        "node lost",
        _of("NodeLost", "Deleted"),
        together=(_lose_node, _stay_away, _start_kubelet),
        needs=("stop-kubelet", "start-kubelet"),
        outside_only=True,
    ),
    Fault(
        "node lost and back",
        _of("NodeLost", "Deleted"),
        together=(_lose_node, _start_kubelet),
        needs=("stop-kubelet", "start-kubelet"),
        outside_only=True,
    ),
)
