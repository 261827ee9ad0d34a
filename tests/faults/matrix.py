"""Runs a matrix: makes each pod, strikes it, waits for what arrives."""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from podhooks import contract
from podhooks.inject import InjectSettings, inject_object
from tests.faults.collector import Arrival, Collector
from tests.faults.counting import Case, Run
from tests.faults.faults import TELL, Fault, Target
from tests.faults.field import POLL_SECONDS, Field, Json, Trouble, state_of

GRACE_SECONDS = 20
LAST_WORDS_SECONDS = 4.0  # a callback that ran when its pod was over has told of it by then


@dataclass(frozen=True)
class Plan:
    """What to run. `patience_seconds`: how long a guarantee may take after the pod's end; `settle_seconds`: the
    wait at the very end, because what comes twice comes late."""

    faults: Sequence[Fault]
    modes: Sequence[str]
    guarantees: Sequence[str]
    runs: int
    parallel: int
    image: str
    pull_policy: str
    settings: InjectSettings
    patience_seconds: float = 240.0
    settle_seconds: float = 10.0


Say = Callable[[str], None]


class Matrix:
    def __init__(self, plan: Plan, field: Field, collector: Collector, say: Say) -> None:
        self._plan = plan
        self._field = field
        self._collector = collector
        self._say = say
        self._serial = itertools.count(1)
        self._shared = ""

    def run(self) -> list[Run]:
        """Every run of every cell. Faults of the whole cluster come last, one cell after the other."""
        self._shared = self._field.namespace("all")
        singles: list[tuple[Fault, Case]] = []
        together: list[tuple[Fault, Case]] = []
        for fault, case in self.cells():
            (together if fault.together else singles).append((fault, case))
        found: list[Run] = []
        with ThreadPoolExecutor(self._plan.parallel) as pool:
            wanted = [(fault, case) for _ in range(self._plan.runs) for fault, case in singles]
            for done in pool.map(lambda each: self._one(*each), wanted):
                found.append(done)
                self._tell(done, len(found), len(wanted))
        for fault, case in together:
            found += self._together(fault, case)
        time.sleep(self._plan.settle_seconds)
        twice = self._field.twice()
        return [self._late(run, twice) for run in found]

    def cells(self) -> Iterator[tuple[Fault, Case]]:
        for fault, mode, guarantee in itertools.product(self._plan.faults, self._plan.modes, self._plan.guarantees):
            if mode in fault.modes and all(each in self._field.commands for each in fault.needs):
                yield fault, Case(fault.name, mode, guarantee)

    # -- one pod

    def _one(self, fault: Fault, case: Case) -> Run:
        target, run = self._begin(fault, case)
        if run.problem:
            return run
        try:
            self._field.until(target.pod, f"{target.job} has a pod")
            if fault.blow:
                fault.blow(target)
                run = replace(run, ended_at=time.monotonic())
            return self._end(target, run)
        except Trouble as trouble:
            return replace(run, problem=str(trouble), arrivals=self._arrivals(run))

    def _begin(self, fault: Fault, case: Case) -> tuple[Target, Run]:
        name = f"run-{next(self._serial)}"
        run = Run(case, name, fault.results, None, ())
        try:
            namespace = self._field.namespace(name) if fault.own_namespace else self._shared
            self._field.create_job(namespace, self._job(fault, case, name))
        except Trouble as trouble:
            return Target(self._field, "", name), replace(run, problem=str(trouble))
        return Target(self._field, namespace, name), run

    def _end(self, target: Target, run: Run) -> Run:
        """Wait until the pod is over and a callback has told, or nothing more can come."""
        seen: list[float] = []

        def over() -> bool:
            pod = target.pod()
            if "terminated" in state_of(pod) and not seen:
                seen.append(time.monotonic())
            return is_over(pod)

        self._field.until(over, f"the pod of {target.job} is over", 180)
        patience = self._plan.patience_seconds if run.case.guarantee == "cluster" else LAST_WORDS_SECONDS
        deadline = time.monotonic() + patience
        while not self._arrivals(run) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        words = self._collector.arrivals(run.name, "main-ends")
        moments = [each.at for each in words] or ([run.ended_at] if run.ended_at else seen)
        if target.namespace == self._shared:
            self._field.delete_job(target.namespace, target.job)
        return replace(run, ended_at=moments[0] if moments else None, arrivals=self._arrivals(run))

    def _arrivals(self, run: Run) -> tuple[Arrival, ...]:
        return tuple(self._collector.arrivals(run.name, "on-exit"))

    # -- the whole cluster

    def _together(self, fault: Fault, case: Case) -> list[Run]:
        begun = [self._begin(fault, case) for _ in range(self._plan.runs)]
        targets = [target for target, run in begun if not run.problem]
        try:
            for target in targets:
                target.until_running()
            for blow in fault.together:
                blow(targets)
        except Trouble as trouble:
            self._say(f"{case.fault}: {trouble}")
            return [replace(run, problem=run.problem or str(trouble)) for _, run in begun]
        with ThreadPoolExecutor(len(begun)) as pool:
            done = list(pool.map(lambda each: each[1] if each[1].problem else self._end(*each), begun))
        for index, run in enumerate(done):
            self._tell(run, index + 1, len(done))
        return done

    # -- words

    def _late(self, run: Run, twice: set[str]) -> Run:
        arrivals = self._arrivals(run)
        return replace(run, arrivals=arrivals, counted_twice=any(each.uid in twice for each in arrivals))

    def _tell(self, run: Run, number: int, of: int) -> None:
        case, told = run.case, ", ".join(each.result for each in run.arrivals) or "nothing"
        note = run.problem or f"told {told}"
        self._say(f"{number}/{of} {case.fault} ({case.mode}, {case.guarantee}): {note}")

    # -- manifests

    def _job(self, fault: Fault, case: Case, name: str) -> Json:
        job = job_of(fault, case, name, self._collector.url, self._plan)
        injected, reports = inject_object(job, self._plan.settings)
        if reports[0].report.errors:
            raise Trouble("; ".join(str(each) for each in reports[0].report.findings))
        return dict(injected)


def is_over(pod: Json) -> bool:
    """Gone, or in its final phase with the end of every container known (a held pod of a lost node has none)."""
    return not pod or pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def job_of(fault: Fault, case: Case, name: str, url: str, plan: Plan) -> Json:
    """The Job as its author would write it."""
    ours = {
        "on-exit": TELL,
        "on-exit-timeout": "10s",
        "mode": case.mode,
        "guarantee": case.guarantee,
        **fault.annotations,
    }
    image = {"image": plan.image, "imagePullPolicy": plan.pull_policy}
    pod = copy.deepcopy(dict(fault.pod))
    main = copy.deepcopy(dict(fault.main))
    for each in pod.get("initContainers", ()):
        each.update(image)
    container = {
        "name": "main",
        **image,
        "command": ["sh", "-c", fault.script],
        "env": [{"name": "FAULTS_URL", "value": url}, {"name": "FAULTS_RUN", "value": name}],
        **main,
        "volumeMounts": [{"name": "faults", "mountPath": "/faults"}, *main.get("volumeMounts", ())],
    }
    spec = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        **pod,
        "containers": [container],
        "volumes": [{"name": "faults", "configMap": {"name": "faults"}}, *pod.get("volumes", ())],
    }
    annotations = {contract.PREFIX + key: value for key, value in ours.items()}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {
            "backoffLimit": 0,
            **fault.job,
            "template": {"metadata": {"annotations": annotations}, "spec": spec},
        },
    }
