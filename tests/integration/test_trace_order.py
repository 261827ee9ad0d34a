"""The local kubelet publishes pod states in the order in which a real one did (tests/traces).

Every scenario that can be made locally runs at once, as a Job with the recorded pod's own spec and scripts. Changed are
only: the URL of the API (plain HTTP here), the waits, which are shortened alike, and what `_Scenario` names.

What is compared. Of every watch event: the event's type if it is DELETED, phase, reason, deletion (none, grace, now),
every condition's status and reason (but PodScheduled's), and of every container its state's kind, reason and exit code,
lastState's, restartCount, ready, started. Consecutive duplicates are dropped.

How strictly. Every state that the real kubelet published must be published here, in that order, and nothing else, with
one exception: a real kubelet looks at its containers about once a second, so a container that starts and ends between
two looks is never seen running. Hence a state may be missing in the recording if it differs from both neighbours in
just one container, which is waiting before it, running in it and terminated after it. Everything else that is
only batching turned out not to differ.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from podhooks.local import Cluster

TRACES = Path(__file__).parent.parent / "traces"
NOT_LOCALLY = {
    "classic-oom": "memory limits are not enforced",
    "classic-child-oom": "memory limits are not enforced",
    "native-oom": "memory limits are not enforced",
    "classic-evicted-disk": "no disk limits",
    "native-evicted-disk": "no disk limits",
    "native-node-lost": "the one node can't be lost",
    "native-restart-all": "only the action Restart exists locally",
    **{path.stem: "recorded from the middle, released by hand" for path in TRACES.glob("held-*.jsonl")},
}
NEEDS_PID_1 = (
    "classic-deadline",
    "native-deadline",
    "classic-evicted-api",
    "classic-job-deleted",
    "native-onfailure-exhausted",
)
"""Main doesn't handle SIGTERM: only as PID 1 of a PID namespace it ignores that, as in a container."""
SECONDS = 45.0
Json = dict[str, Any]


class State(NamedTuple):
    """What is compared of one event."""

    kind: str
    phase: str
    deletion: str
    conditions: tuple[str, ...]
    containers: tuple[tuple[str, ...], ...]


def state_of(kind: str, pod: Json) -> State:
    meta, status = pod["metadata"], pod["status"]
    deletion = "" if "deletionTimestamp" not in meta else "grace" if meta["deletionGracePeriodSeconds"] else "now"
    conditions = sorted(
        f"{c['type']} {c['status']} {c.get('reason', '')}"
        for c in status.get("conditions", [])
        if c["type"] != "PodScheduled"
    )
    containers = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    return State(
        "DELETED" if kind == "DELETED" else "",
        f"{status['phase']} {status.get('reason', '')}",
        deletion,
        tuple(conditions),
        tuple(map(container_of, containers)),
    )


def container_of(status: Json) -> tuple[str, ...]:
    flags = f"{'ready' if status['ready'] else ''} {'started' if status['started'] else ''}"
    return (status["name"], kind_of(status["state"]), kind_of(status["lastState"]), str(status["restartCount"]), flags)


def kind_of(state: Json) -> str:
    return " ".join(f"{kind} {v.get('reason', '')} {v.get('exitCode', '')}" for kind, v in state.items())


def without_repetition(states: list[State]) -> list[State]:
    return [state for i, state in enumerate(states) if i == 0 or state != states[i - 1]]


def differences(recorded: list[State], local: list[State]) -> list[str]:
    """Why the two are not the same by the rule above; empty if they are."""
    i = 0
    for j, state in enumerate(local):
        if i < len(recorded) and state == recorded[i]:
            i += 1
        elif not (0 < j < len(local) - 1 and was_too_short_to_see(local[j - 1], state, local[j + 1])):
            return [f"after {i} recorded states", f"local:    {state}", f"recorded: {recorded[i : i + 1]}"]
    return [f"not published: {state}" for state in recorded[i:]]


def was_too_short_to_see(before: State, state: State, after: State) -> bool:
    if not len(before.containers) == len(state.containers) == len(after.containers):
        return False
    ways = [way for way in zip(before.containers, state.containers, after.containers, strict=True) if len(set(way)) > 1]
    if len(ways) != 1 or before._replace(conditions=(), containers=()) != state._replace(conditions=(), containers=()):
        return False
    (was, runs, ended) = ways[0]
    return was[1].startswith("waiting") and runs[1].startswith("running") and ended[1].startswith("terminated")


# -- scenarios ---------------------------------------------------------------------------------------------------------


def main_runs(pod: Json) -> bool:
    return any("running" in c["state"] for c in pod["status"].get("containerStatuses", []) if c["name"] == "main")


def on_start_runs(pod: Json) -> bool:
    return any(
        "running" in c["state"] for c in pod["status"].get("initContainerStatuses", []) if c["name"] == "on-start"
    )


def image_is_missed(pod: Json) -> bool:
    return any("ErrImage" in json.dumps(c["state"]) for c in pod["status"].get("containerStatuses", []))


@dataclass(frozen=True)
class Scenario:
    """What happens to a job besides being created: an action when a pod gets into a state, and changes of the specs."""

    when: Callable[[Json], bool] = main_runs
    action: Callable[[Cluster, str, str], object] | None = None
    job: Json = field(default_factory=dict)
    slow_kubelet: bool = False
    is_race: bool = False
    main: str | None = None


def delete_pod(cluster: Cluster, pod: str, job: str) -> None:
    cluster.store.delete("pods", "default", pod)


def force_delete_pod(cluster: Cluster, pod: str, job: str) -> None:
    cluster.store.delete("pods", "default", pod, grace_seconds=0)


def evict_pod(cluster: Cluster, pod: str, job: str) -> None:
    cluster.store.evict("default", pod)


def delete_job(cluster: Cluster, pod: str, job: str) -> None:
    cluster.store.delete("jobs", "default", job)


def set_deadline(cluster: Cluster, pod: str, job: str) -> None:
    """A second after the job's start, which has passed: so the deadline comes when the containers are ready for it."""
    cluster.store.mutate("jobs", "default", job, lambda j: j["spec"].update(activeDeadlineSeconds=1), subresource="")


def set_pod_deadline(cluster: Cluster, pod: str, job: str) -> None:
    """The smallest deadline there is, once it has passed: any change makes the kubelet look at the containers."""
    time.sleep(3.0)
    cluster.store.mutate("pods", "default", pod, lambda p: p["spec"].update(activeDeadlineSeconds=1), subresource="")


SCENARIOS = {
    "deadline": Scenario(action=set_deadline),
    # The recorded deadline came between the end of on-start and the kubelet's sight of it.
    "pod-deadline": Scenario(when=on_start_runs, action=set_pod_deadline, slow_kubelet=True),
    "deleted": Scenario(action=delete_pod),
    "deleted-stubborn": Scenario(action=delete_pod),
    # The job controller lets the pod go before the containers, which get 2 s, are dead.
    "force-deleted": Scenario(action=force_delete_pod, is_race=True),
    "evicted-api": Scenario(action=evict_pod),
    "image-missing": Scenario(when=image_is_missed, action=delete_pod),
    "job-deleted": Scenario(action=delete_job),
    # The recorded second run of main takes 1 s; the Job has to see it, however busy the machine is.
    "onfailure-exhausted": Scenario(job={"backoffLimit": 1}, main="sleep 4; exit 4"),
    "onfailure-then-ok": Scenario(job={"backoffLimit": 6}),
    "retry-pods": Scenario(job={"backoffLimit": 1}),
}
SHORTER = (
    ("'https://%s/api/", "'%s/api/"),
    ("os.environ['KUBERNETES_SERVICE_HOST']", "os.environ['PODHOOKS_API_SERVER']"),
    ("ctx=ssl.create_default_context(cafile=d+'ca.crt')", "ctx=None"),
    ("time.time()-term[0]>8", "time.time()-term[0]>2.5"),
    ("time.sleep(1.5)", "time.sleep(.4)"),
)
GRACE = {30: 30, 20: 10, 15: 8, 12: 8, 10: 8}  # what takes 3 s has to be over by then on a busy machine, too


def recording(name: str) -> dict[str, list[State]]:
    """States of each recorded pod."""
    pods: dict[str, list[State]] = {}
    for line in (TRACES / f"{name}.jsonl").read_text().splitlines():
        event = json.loads(line)["event"]
        pods.setdefault(event["object"]["metadata"]["uid"], []).append(state_of(event["type"], event["object"]))
    return {uid: without_repetition(states) for uid, states in pods.items()}


def job_of(name: str, scenario: Scenario) -> Json:
    """A Job that makes the recorded pod."""
    with (TRACES / f"{name}.jsonl").open() as file:
        pod = json.loads(file.readline())["event"]["object"]
    replaced = ("nodeName", "serviceAccount", "serviceAccountName", "activeDeadlineSeconds")
    spec = {k: v for k, v in pod["spec"].items() if k not in replaced}
    spec["volumes"] = [v for v in spec["volumes"] if not v["name"].startswith("kube-api-access")]
    spec["terminationGracePeriodSeconds"] = GRACE[spec["terminationGracePeriodSeconds"]]
    for container in [*spec["initContainers"], *spec["containers"]]:
        mounts = [m for m in container["volumeMounts"] if not m["name"].startswith("kube-api-access")]
        container["volumeMounts"] = mounts
        if container["name"] == "on-exit":
            container["command"][-1] = shortened(container["command"][-1])
        elif container["name"] == "on-start" and scenario.slow_kubelet:
            container["command"][-1] = "sleep 1"  # it has to end when nothing else makes the kubelet look
        elif container["name"] == "main" and scenario.main:
            container["command"][-1] = scenario.main
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"backoffLimit": 0, **scenario.job, "template": {"spec": spec}},
    }


def shortened(script: str) -> str:
    for old, new in SHORTER:
        assert old in script
        script = script.replace(old, new)
    return script


class Recorder:
    """Runs jobs on a cluster and collects what a watch of their pods delivers."""

    def __init__(self, cluster: Cluster, names: list[str]) -> None:
        self.pods: dict[str, dict[str, list[State]]] = {name: {} for name in names}
        self._cluster = cluster
        self._acted: set[str] = set()
        self._due: dict[str, str] = {}
        self._watch = cluster.store.watch("pods", "default")
        for name in names:
            cluster.store.create("jobs", job_of(name, scenario_of(name)))

    def run(self) -> None:
        deadline = time.monotonic() + SECONDS
        while not self._is_done() and time.monotonic() < deadline:
            if event := self._watch.next(0.1):
                meta = event.object["metadata"]
                name = meta["ownerReferences"][0]["name"]
                self.pods[name].setdefault(meta["uid"], []).append(state_of(event.type, event.object))
                scenario = scenario_of(name)
                if scenario.action and scenario.when(event.object):
                    self._due.setdefault(name, meta["name"])
            self._act()

    def _act(self) -> None:
        """Do what is due, once the pod's on-exit container listens to SIGTERM, which its first request shows."""
        asked = {request.path.rpartition("/")[2] for request in self._cluster.apiserver.requests}
        for name, pod in self._due.items():
            action = scenario_of(name).action
            if action and pod in asked and name not in self._acted:
                self._acted.add(name)
                action(self._cluster, pod, name)

    def _is_done(self) -> bool:
        return all(self._is_over(name, list(pods.values())) for name, pods in self.pods.items())

    def _is_over(self, name: str, pods: list[list[State]]) -> bool:
        wanted = list(recording(name).values())
        ended = [states[-1] == last[-1] for states, last in zip(pods, wanted, strict=False)]
        return len(pods) >= len(wanted) and all(ended)


def scenario_of(name: str) -> Scenario:
    return SCENARIOS.get(name.partition("-")[2], Scenario())


def names() -> list[str]:
    return [name for path in sorted(TRACES.glob("*.jsonl")) if (name := path.stem) not in NOT_LOCALLY]


@pytest.fixture(scope="module")
def local() -> dict[str, dict[str, list[State]]]:
    """States of all pods of all scenarios: first those that are a race, then the rest at once.

    Of those some run in a cluster whose kubelet looks rarely.
    """
    found: dict[str, dict[str, list[State]]] = {}

    def run(chosen: list[str], relist: float = 0.0) -> None:
        settings: Json = {"backoff_seconds": 1.5, "job_backoff_seconds": 1.0, "missing_images": ["local/none:9"]}
        with Cluster(relist_seconds=relist, **settings) as cluster:
            has_pid_1 = cluster.sandbox_mode == "namespaces"
            recorder = Recorder(cluster, [name for name in chosen if has_pid_1 or name not in NEEDS_PID_1])
            recorder.run()
            found.update(recorder.pods)

    slow = [name for name in names() if scenario_of(name).slow_kubelet]
    races = [name for name in names() if scenario_of(name).is_race]
    run(races)
    with ThreadPoolExecutor() as pool:
        list(pool.map(run, (sorted({*names()} - {*slow, *races}), slow), (0.0, 60.0)))
    return found


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", names())
def test_states_come_in_the_recorded_order(local: dict[str, dict[str, list[State]]], name: str) -> None:
    if name not in local:
        pytest.skip("this machine forbids PID namespaces")
    for recorded, pod in zip(recording(name).values(), local[name].values(), strict=False):
        assert not (found := differences(recorded, without_repetition(pod))), "\n".join(found)
    assert len(local[name]) >= len(recording(name))
