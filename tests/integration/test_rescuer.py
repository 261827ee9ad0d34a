"""The rescuer as a process beside the stand-in: its API server, its kubelet and its Job controller are real ones."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from podhooks import contract
from podhooks.context import Result
from podhooks.inject import Delivery, InjectSettings, inject
from podhooks.local import Cluster
from podhooks.local.nodecontroller import NodeTimes
from podhooks.local.store import ApiError
from tests.integration.operator_process import OperatorProcess, until

Json = dict[str, Any]
ROOT = Path(__file__).parents[2]
FLAGS = ("--host", "127.0.0.1", "--health-port", "0", "--webhook", "false", "--rescuer", "--namespace", "default")
QUICK = ("--lease-duration", "3s", "--hold", "2s", "--delivery", "installed")
CALLBACKS = """
import os, time

def tell(context):
    end = context.exit
    line = f"{context.pod.name} {end.result.value} {end.exit_code} {context.rescued} {context.attempt}"
    with open(os.environ["TOLD"], "a") as file:
        file.write(line + "\\n")

def hang(context):
    tell(context)
    time.sleep(0 if context.rescued else 600)

def fail(context):
    raise ValueError("no way")
"""


class Bench:
    """A cluster, and operators beside it."""

    def __init__(self, cluster: Cluster, directory: Path) -> None:
        self.cluster = cluster
        self.directory = directory
        self.told_path = directory / "told"
        (directory / "calls.py").write_text(CALLBACKS)
        self.account = directory / "account"
        self.account.mkdir()
        (self.account / "token").write_text(cluster.token)
        self._started: list[OperatorProcess] = []

    def operator(self, *flags: str) -> OperatorProcess:
        where = self.directory / f"operator-{len(self._started)}"
        self._started.append(OperatorProcess(where, self.account, self.cluster.url, *FLAGS, *QUICK, *flags))
        return self._started[-1]

    def pod(self, name: str, script: str, on_exit: str = "calls:tell", **changes: Any) -> None:
        """Created as the webhook of an operator with a rescuer leaves it, unless `held` is False."""
        held = changes.pop("held", True)
        annotations = {contract.ON_EXIT: on_exit, contract.GUARANTEE: "cluster", **changes.pop("annotations", {})}
        env = [
            {"name": "TOLD", "value": str(self.told_path)},
            {"name": "PYTHONPATH", "value": f"{self.directory}:{ROOT}:{ROOT}/sidecar:{ROOT}/initcontainer"},
        ]
        main = {"name": "main", "image": "any", "command": ["sh", "-c", script], "env": env}
        source = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "default", "annotations": annotations},
            "spec": {"restartPolicy": "Never", "containers": [main], "terminationGracePeriodSeconds": 5, **changes},
        }
        settings = InjectSettings(delivery=Delivery.INSTALLED, rescuer=held)
        made, report = inject(source, settings)
        assert report.injectable, report.findings
        self.cluster.store.create("pods", made)

    def found(self, name: str) -> Json | None:
        try:
            return self.cluster.store.get("pods", "default", name)
        except ApiError:
            return None

    def finalizers(self, name: str) -> list[str]:
        pod = self.found(name)
        return list(pod["metadata"].get("finalizers") or ()) if pod else []

    def until_running(self, name: str) -> None:
        def runs() -> bool:
            statuses = ((self.found(name) or {}).get("status") or {}).get("containerStatuses") or []
            return any("running" in each["state"] for each in statuses)

        until(runs, f"{name} runs")

    @property
    def told(self) -> list[str]:
        return self.told_path.read_text().splitlines() if self.told_path.exists() else []

    def rescues(self) -> list[Json]:
        return self.cluster.store.list("rescues")[0]

    def rescue(self, *states: str) -> Json:
        """The only one, in one of the states."""

        def found() -> Json | None:
            made = self.rescues()
            return made[0] if len(made) == 1 and made[0]["status"]["state"] in states else None

        return until(found, f"a rescue is {states}: {self.rescues()}") or {}

    def close(self) -> None:
        for each in self._started:
            each.__exit__(None)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Cluster(node_times=NodeTimes(period=0.05, quarantine=0.2, heartbeat=0.1)) as cluster:
        made = Bench(cluster, tmp_path)
        yield made
        made.close()


def kill_on_exit(bench: Bench, name: str) -> None:
    """SIGKILL for the sidecar's process, by its environment."""
    uid = (bench.found(name) or {})["metadata"]["uid"]
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            environ, command = (entry / "environ").read_bytes(), (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if uid.encode() in environ and b"podhooks_sidecar" in command:
            os.kill(int(entry.name), signal.SIGKILL)


def test_a_healthy_pod_is_released_with_its_record(bench: Bench) -> None:
    operator = bench.operator()
    bench.pod("well", "exit 3")
    until(lambda: (bench.found("well") or {})["metadata"].get("annotations", {}).get(contract.RELEASED), "released")
    assert bench.told == ["well Failed 3 False 1"]
    assert (bench.finalizers("well"), bench.rescues()) == ([], [])
    assert operator.metric("podhooks_rescuer_releases_total") == 1
    assert operator.metric("podhooks_rescuer_leads") == 1


def test_a_pod_through_another_door_is_held_when_it_is_first_seen(bench: Bench) -> None:
    bench.pod("other", "sleep 60", held=False)
    bench.operator()
    until(lambda: bench.finalizers("other") == [contract.FINALIZER], "held")
    bench.cluster.store.delete("pods", "default", "other")
    until(lambda: bench.found("other") is None, "gone")


def test_a_sidecar_that_is_killed_in_a_callback_is_made_good_and_counted(bench: Bench) -> None:
    operator = bench.operator()
    bench.pod("killed", "exit 0", "calls:hang, calls:tell", annotations={contract.ON_EXIT_TIMEOUT: "5m"})
    until(lambda: bench.told == ["killed Succeeded 0 False 1"], "the callback runs")
    kill_on_exit(bench, "killed")
    ended = bench.rescue("Done")
    assert bench.told[1:] == ["killed Succeeded 0 True 2", "killed Succeeded 0 True 1"]
    assert (ended["spec"]["verdict"]["result"], ended["status"]["twice"]) == ("Succeeded", ["calls:hang"])
    assert operator.metric("podhooks_rescuer_twice_total") == 1
    reasons = {each["reason"] for each in bench.cluster.store.list("events")[0]}
    assert {"Rescued", "MayHaveRunTwice"} <= reasons
    assert bench.finalizers("killed") == []


def test_a_node_that_is_lost_is_waited_for_and_then_its_pods_are_made_good(bench: Bench) -> None:
    bench.operator()
    bench.pod("far", "sleep 600")
    bench.until_running("far")
    bench.cluster.disconnect_node()
    bench.cluster.store.delete("nodes", None, contract.LOCAL_NODE)
    recorded = bench.rescue("Recorded", "Running")
    assert recorded["spec"]["verdict"]["result"] == Result.NODE_LOST.value
    assert recorded["spec"]["confirmed"] is False
    until(lambda: bench.found("far") is None, "released")
    bench.cluster.reconnect_node()
    bench.rescue("Done")
    assert "far NodeLost None True 1" in bench.told


def test_a_failed_callback_and_its_words_are_in_the_rescue(bench: Bench) -> None:
    bench.operator()
    bench.pod("sad", "exit 0", "calls:hang, calls:fail", annotations={contract.ON_EXIT_RETRIES: "0"})
    until(lambda: bench.told, "the callback runs")
    kill_on_exit(bench, "sad")
    ended = bench.rescue("Failed")
    assert ended["status"]["reason"] == "CallbackFailed"
    assert "calls:fail failed: ValueError: no way" in ended["status"]["message"]
    assert bench.told == ["sad Succeeded 0 False 1"], "its retries allow no second attempt"


def test_pods_are_held_while_no_operator_is_there_and_released_when_one_is(bench: Bench) -> None:
    first = bench.operator()
    until(lambda: first.metric("podhooks_rescuer_leads") == 1, "leads")
    assert first.stop(signal.SIGKILL) != 0
    bench.pod("waits", "exit 0")
    until(lambda: bench.told, "on_exit ran")
    assert bench.finalizers("waits") == [contract.FINALIZER]
    bench.operator()
    until(lambda: bench.finalizers("waits") == [], "released")


def test_only_one_of_two_leads_and_the_other_takes_over(bench: Bench) -> None:
    both = [bench.operator(), bench.operator()]

    def leaders() -> list[OperatorProcess]:
        alive = [each for each in both if each.process.poll() is None]
        return [each for each in alive if each.metric("podhooks_rescuer_leads") == 1]

    until(lambda: len(leaders()) == 1, "one leads")
    (first,) = leaders()
    assert first.stop() == 0
    until(lambda: len(leaders()) == 1, "the other leads")
    bench.pod("late", "exit 0")
    until(lambda: bench.finalizers("late") == [] and bench.told, "released")


def test_outside_the_pod_on_exit_runs_once_with_the_real_exit_code_also_after_a_deletion(bench: Bench) -> None:
    bench.operator()
    outside = {contract.MODE: "outside"}
    bench.pod("gone", "trap 'exit 7' TERM; sleep 60 & wait", annotations=outside)
    bench.until_running("gone")
    assert [each["name"] for each in (bench.found("gone") or {})["spec"]["initContainers"]] == ["on-start"]
    bench.cluster.store.delete("pods", "default", "gone")
    bench.rescue("Done")
    assert bench.told == ["gone Deleted 7 True 1"]
    assert bench.found("gone") is None
