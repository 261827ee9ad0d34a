"""The rescuer as a state machine: two leaders over a real HTTP API, while pods end in every way and requests get lost.

The test is the kubelet, the Job controller and the network. Turns come in any order and any number of times: lost,
repeated and reordered events come to that. Each request may fail before or after it was carried out, each read may be
an old one, and each leader may lose its memory.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from tempfile import NamedTemporaryFile
from typing import Any

from hypothesis import settings as profile
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from podhooks_operator.rescue.debt import debt_left, plan_of
from podhooks_operator.rescue.objects import PodRef, read_rescue
from podhooks_operator.rescue.places import Places
from podhooks_operator.rescue.requests import Requests, RescueCluster
from podhooks_operator.rescue.rescue_metrics import RescueMetrics
from podhooks_operator.rescue.rescue_settings import RescueSettings
from podhooks_operator.rescue.standing import Stage, standing
from podhooks_operator.rescue.sweep import Sweep
from podhooks_operator.rescue.turns import Turns
from prometheus_client import CollectorRegistry

from podhooks import contract
from podhooks.context import CallbackOutcome, ExitInfo, Hook, Result, Status
from podhooks.errors import ApiError, Unreachable
from podhooks.inject import InjectSettings
from podhooks.local.apiserver import ApiServer
from podhooks.local.store import ApiError as StoreError
from podhooks.local.store import Store
from podhooks.runtime.access import Access
from podhooks.runtime.record import RecordData
from podhooks.runtime.rescue_task import RescueTask, reopened

Json = dict[str, Any]
CALLBACKS = ("a:b", "c:d")
NODE = "node-1"
SETTINGS = RescueSettings(hold=100.0, deadline=1e6, attempts=3, at_once=2, keep=1e7)
OPERATORS = st.integers(0, 1)
PODS = st.integers(0, 2)
FAULTS = st.sampled_from(["before", "after", "stale"])


class Network(RescueCluster):
    """Does the next fault to the next request that it fits."""

    def __init__(self, access: Access) -> None:
        super().__init__(access)
        self.faults: list[str] = []
        self._seen: dict[str, Json] = {}

    def send(self, method: str, path: str, query: Any = None, body: Any = None, **more: Any) -> Any:
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "before":
            raise Unreachable("the request was lost")
        answer = super().send(method, path, query, body, **more)
        if fault == "after":
            answer.read()
            raise Unreachable("the answer was lost")
        return answer

    def get(self, path: str, query: Mapping[str, str] | None = None, **more: Any) -> Json:
        if self.faults and self.faults[0] == "stale" and path in self._seen:
            self.faults.pop(0)
            return self._seen[path]
        found = super().get(path, query, **more)
        self._seen.setdefault(path, found)
        return found


class Pod:
    """What really happens in a pod, whoever gets to know of it."""

    def __init__(self, name: str, uid: str) -> None:
        self.name, self.uid = name, uid
        self.outcomes: dict[str, CallbackOutcome] = {}
        self.complete = False
        self.dead = False  # all its containers

    def record(self) -> RecordData:
        end = ExitInfo(Result.SUCCEEDED)
        return RecordData(Hook.ON_EXIT, self.uid, tuple(self.outcomes.values()), end, self.complete)


class Rescuers(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.server = ApiServer(Store(namespaces=("default", "etl", "podhooks")))
        self.server.__enter__()
        self.store = self.server.store
        self.token = NamedTemporaryFile("w", suffix=".token")  # noqa: SIM115 (as long as the machine)
        self.token.write(self.server.token)
        self.token.flush()
        self.offset = timedelta()
        self.pods: list[Pod] = []
        self.effects: Counter[tuple[str, str]] = Counter()
        self.node_is_lost = False
        self.networks: list[Network] = []
        self.leaders = [self.leader() for _ in range(2)]

    def leader(self) -> tuple[Network, Turns, Sweep]:
        network = Network(Access(self.server.url, token_file=self.token.name))
        self.networks.append(network)
        requests, metrics = Requests(network, "podhooks"), RescueMetrics(CollectorRegistry())
        places = Places(SETTINGS.at_once)
        turns = Turns(requests, SETTINGS, InjectSettings(), metrics, places, now=self.now)
        return network, turns, Sweep(requests, SETTINGS, metrics, now=self.now)

    def now(self) -> datetime:
        return datetime.now(timezone.utc) + self.offset

    def stored(self, pod: Pod) -> Json | None:
        try:
            return self.store.get("pods", "etl", pod.name)
        except StoreError:
            return None

    def pick(self, index: int) -> Pod | None:
        return self.pods[index] if index < len(self.pods) else None

    # The kubelet.

    @initialize(held=st.lists(st.booleans(), min_size=1, max_size=3))
    def create(self, held: list[bool]) -> None:
        ready = [{"type": "Ready", "status": "True"}]
        self.store.create("nodes", {"metadata": {"name": NODE}, "status": {"conditions": ready}})
        for number, by_webhook in enumerate(held):
            name = f"pod-{number}"
            annotations = {contract.ON_EXIT: ",".join(CALLBACKS), contract.GUARANTEE: "cluster"}
            metadata: Json = {"name": name, "namespace": "etl", "annotations": annotations}
            metadata["labels"] = {contract.GUARANTEE_LABEL: "cluster"}
            if by_webhook:
                metadata["finalizers"] = [contract.FINALIZER]
            containers = [{"name": "main", "image": "app:1"}]
            sidecar = {"name": "on-exit", "image": "app:1", "restartPolicy": "Always"}
            spec = {"restartPolicy": "Never", "nodeName": NODE, "containers": containers, "initContainers": [sidecar]}
            made = self.store.create("pods", {"metadata": metadata, "spec": spec})
            self.pods.append(Pod(name, made["metadata"]["uid"]))
            self.publish(self.pods[-1], "Running", {"running": {}}, {"running": {}})
            if not by_webhook:  # the rescuer sees it while it lives
                self.leaders[0][1].hold(self.stored(self.pods[-1]) or {})

    def publish(self, pod: Pod, phase: str, main: Json, on_exit: Json) -> None:
        def write(obj: Json) -> None:
            obj["status"]["phase"] = phase
            obj["status"]["containerStatuses"] = [{"name": "main", "state": main, "restartCount": 0}]
            obj["status"]["initContainerStatuses"] = [{"name": "on-exit", "state": on_exit, "restartCount": 0}]

        if self.stored(pod) is not None:
            self.store.mutate("pods", "etl", pod.name, write)

    @rule(index=PODS, recorded=st.booleans())
    def a_callback_runs_in_the_pod(self, index: int, recorded: bool) -> None:
        """Also on a node that nobody reaches. `recorded` False: it dies between effect and record."""
        pod = self.pick(index)
        left = [each for each in CALLBACKS if pod and each not in pod.outcomes]
        if pod is None or pod.dead or not left:
            return
        self.effects[pod.uid, left[0]] += 1
        pod.outcomes[left[0]] = CallbackOutcome(left[0], Status.SUCCEEDED if recorded else Status.RUNNING, 1)
        if not recorded:
            self.dies(pod)

    @rule(index=PODS)
    def its_containers_die(self, index: int) -> None:
        if (pod := self.pick(index)) is not None and not pod.dead:
            self.dies(pod)

    def dies(self, pod: Pod) -> None:
        pod.dead = True
        pod.complete = all(key in pod.outcomes and pod.outcomes[key].status is Status.SUCCEEDED for key in CALLBACKS)
        if not self.node_is_lost:
            self.tells(pod)

    def tells(self, pod: Pod) -> None:
        message = json.dumps(pod.record().to_json())
        end = {"exitCode": 0, "startedAt": "2026-11-28T00:00:00Z", "finishedAt": "2026-11-28T00:00:01Z"}
        self.publish(pod, "Succeeded", {"terminated": end}, {"terminated": {**end, "message": message}})
        self.confirm_deletion(pod)

    def confirm_deletion(self, pod: Pod) -> None:
        found = self.stored(pod)
        if found is not None and "deletionTimestamp" in found["metadata"]:
            self.store.delete("pods", "etl", pod.name, grace_seconds=0)

    @rule(index=PODS, force=st.booleans())
    def somebody_deletes_it(self, index: int, force: bool) -> None:
        pod = self.pick(index)
        if pod is not None and self.stored(pod) is not None:
            self.store.delete("pods", "etl", pod.name, grace_seconds=0 if force else 30)

    @rule()
    def the_node_is_lost(self) -> None:
        """Its pods are failed and deleted, and still shown as running: facts R4 and R5."""
        if self.node_is_lost:
            return
        self.node_is_lost = True
        self.store.delete("nodes", None, NODE)
        stamp = self.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        lost = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC", "lastTransitionTime": stamp}
        for pod in self.pods:
            found = self.stored(pod)
            if found is None or pod.dead:
                continue

            def write(obj: Json) -> None:
                obj["status"]["phase"] = "Failed"
                obj["status"]["conditions"] = [lost]

            self.store.mutate("pods", "etl", pod.name, write)
            self.store.delete("pods", "etl", pod.name, grace_seconds=0)

    @rule()
    def the_node_is_back(self) -> None:
        """It tells of its pods what is still there to be told of, and ends those that are gone."""
        if not self.node_is_lost:
            return
        self.node_is_lost = False
        ready = [{"type": "Ready", "status": "True"}]
        self.store.create("nodes", {"metadata": {"name": NODE}, "status": {"conditions": ready}})
        for pod in self.pods:
            found = self.stored(pod)
            if found is None or "deletionTimestamp" in found["metadata"]:
                if not pod.dead:
                    self.dies(pod)
                elif found is not None:
                    self.tells(pod)
            elif pod.dead:
                self.tells(pod)

    @rule(seconds=st.sampled_from([1, 60, 150]))
    def time_passes(self, seconds: int) -> None:
        self.offset += timedelta(seconds=seconds)

    # The Job controller, and the rescue program.

    @rule(dies=st.sampled_from(["", "before", "running", "unseen"]))
    def a_rescue_job_runs(self, dies: str) -> None:
        for job in self.store.list("jobs", "etl")[0]:
            if not (job.get("status") or {}).get("conditions"):
                self.run_job(job, dies)
                return

    def run_job(self, job: Json, dies: str) -> None:
        """`dies`: before its first callback, in the first one, or with a pod that nobody sees again."""
        task = RescueTask.from_json(
            json.loads(job["spec"]["template"]["metadata"]["annotations"]["podhooks.io/rescue"])
        )
        record = reopened(task.record) if task.record else RecordData(Hook.ON_EXIT, task.pod.uid)
        plan = plan_of({"metadata": {"annotations": dict(task.pod.annotations)}})
        outcomes = {each.name: each for each in record.outcomes}
        for key in debt_left(plan, record, task.exit_info).owed if dies != "before" else ():
            attempt = outcomes[key].attempts + 1 if key in outcomes else 1
            self.effects[task.pod.uid, key] += 1
            outcomes[key] = CallbackOutcome(key, Status.RUNNING if dies == "running" else Status.SUCCEEDED, attempt)
            if dies == "running":
                break
        left = record.replace(outcomes=tuple(outcomes.values()), exit_info=task.exit_info, complete=not dies)
        labels = {"batch.kubernetes.io/job-name": job["metadata"]["name"]}
        end = {"exitCode": 1 if dies else 0, "message": json.dumps(left.to_json())}
        if dies != "unseen":
            metadata = {"generateName": "run-", "namespace": "etl", "labels": labels}
            spec = {"restartPolicy": "Never", "containers": [{"name": "on-exit", "image": "app:1"}]}
            made = self.store.create("pods", {"metadata": metadata, "spec": spec})

            def write(obj: Json) -> None:
                obj["status"]["phase"] = "Failed" if dies else "Succeeded"
                obj["status"]["containerStatuses"] = [{"name": "on-exit", "state": {"terminated": end}}]

            self.store.mutate("pods", "etl", made["metadata"]["name"], write)
        kind = "Failed" if dies else "Complete"
        conditions = [{"type": kind, "status": "True"}]
        self.store.mutate(
            "jobs", "etl", job["metadata"]["name"], lambda obj: obj.update(status={"conditions": conditions})
        )

    # The leaders, and what befalls them.

    @rule(operator=OPERATORS, faults=st.lists(FAULTS, max_size=3))
    def requests_fail(self, operator: int, faults: list[str]) -> None:
        self.leaders[operator][0].faults = list(faults)

    @rule(operator=OPERATORS)
    def it_loses_its_memory(self, operator: int) -> None:
        self.leaders[operator] = self.leader()

    @rule(operator=OPERATORS, index=PODS)
    def a_turn_at_a_pod(self, operator: int, index: int) -> None:
        pod = self.pick(index)
        if pod is not None:
            self.turn(operator, PodRef(pod.name, "etl", pod.uid))

    @rule(operator=OPERATORS)
    def a_turn_at_every_rescue(self, operator: int) -> None:
        for each in self.store.list("rescues", "podhooks")[0]:
            self.turn(operator, each["metadata"]["name"])

    @rule(operator=OPERATORS)
    def it_counts_returns(self, operator: int) -> None:
        with suppress(ApiError):
            self.leaders[operator][2].count_returns()

    def turn(self, operator: int, key: PodRef | str) -> None:
        turns = self.leaders[operator][1]
        with suppress(ApiError):  # whoever calls it comes back later
            turns.pod(key) if isinstance(key, PodRef) else turns.rescue(key)

    # What must hold.

    @invariant()
    def nobody_is_let_go_before_the_truth_is_recorded(self) -> None:
        recorded = {each["spec"]["pod"]["uid"] for each in self.store.list("rescues", "podhooks")[0]}
        for pod in self.pods:
            found = self.stored(pod)
            released = found is None or contract.FINALIZER not in found["metadata"].get("finalizers", ())
            assert not released or pod.complete or pod.uid in recorded or self.is_alive(found)

    def is_alive(self, found: Json | None) -> bool:
        return found is not None and standing(found, self.now(), SETTINGS.hold).stage is Stage.ALIVE

    @invariant()
    def nothing_runs_twice_in_a_rescue_that_has_ended_well_but_the_counted(self) -> None:
        """Of pods whose end was confirmed. What a lost node does is counted when it is back."""
        for each in map(read_rescue, self.store.list("rescues", "podhooks")[0]):
            if each.state.ended and each.confirmed:
                self.count(each.pod.uid, each.twice)

    def count(self, uid: str, counted: tuple[str, ...]) -> None:
        for key in CALLBACKS:
            assert self.effects[uid, key] <= 1 or key in counted, (key, self.effects[uid, key], counted)

    def teardown(self) -> None:
        try:
            self.settle()
        finally:
            for each in self.networks:
                each.close()
            self.token.close()
            self.server.__exit__(None, None, None)

    def is_settled(self) -> bool:
        """Nobody is held, each pod that owed something has its Rescue, and none of those is open."""
        rescues = self.store.list("rescues", "podhooks")[0]
        found = [self.stored(pod) for pod in self.pods]
        waiting = [each for each in found if each and contract.RELEASED not in each["metadata"]["annotations"]]
        return not waiting and all(each["status"]["state"] not in ("Recorded", "Running") for each in rescues)

    def settle(self) -> None:
        """The network is whole again, every pod ends, and a leader does what there is to do."""
        self.the_node_is_back()
        for pod in self.pods:
            if not pod.dead:
                self.dies(pod)
        self.leaders = [self.leader() for _ in range(2)]
        for _ in range(40):
            if self.is_settled():
                break
            self.offset += timedelta(seconds=SETTINGS.hold / 2)
            for index in range(len(self.pods)):
                self.a_turn_at_a_pod(0, index)
            self.a_turn_at_every_rescue(0)
            self.a_rescue_job_runs("")
        self.it_counts_returns(0)
        rescues = {each.pod.uid: each for each in map(read_rescue, self.store.list("rescues", "podhooks")[0])}
        for pod in self.pods:
            found = self.stored(pod)
            assert found is None or contract.FINALIZER not in found["metadata"].get("finalizers", ()), "held for ever"
            rescue = rescues.get(pod.uid)
            assert rescue is None or rescue.state.ended, "an open Rescue for ever"
            for key in CALLBACKS:
                told = rescue is not None and rescue.state.value != "Done"
                assert self.effects[pod.uid, key] or told, f"{key} of {pod.name} is lost"
            self.count(pod.uid, rescue.twice if rescue else ())


Rescuers.TestCase.settings = profile(max_examples=40, stateful_step_count=30, deadline=None)
TestRescuers = Rescuers.TestCase
