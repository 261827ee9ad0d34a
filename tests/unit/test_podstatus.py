"""How main ended, proven on recorded watch streams of a real kubelet, and on what they don't hold."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podhooks.context import ExitInfo, Result
from podhooks.pod.object import main_container, main_containers
from podhooks.pod.status import exit_info, presumed

TRACES = Path(__file__).parent.parent / "traces"
MORE_TRACES = os.environ.get("PODHOOKS_TRACES")  # a directory with further recordings of the same form
DIRECTORIES = [TRACES, *([Path(MORE_TRACES)] if MORE_TRACES else [])]
Pod = dict[str, Any]


def events(directory: Path, scenario: str) -> Iterator[tuple[str, Pod]]:
    for line in (directory / f"{scenario}.jsonl").read_text().splitlines():
        event = json.loads(line)["event"]
        yield event["type"], event["object"]


def scenarios() -> list[Any]:
    return [
        pytest.param(directory, name, expected, id=name)
        for directory in DIRECTORIES
        for name, expected in json.loads((directory / "expected.json").read_text()).items()
    ]


def by_pod(directory: Path, name: str) -> dict[str, list[tuple[str, Pod]]]:
    pods: dict[str, list[tuple[str, Pod]]] = defaultdict(list)
    for kind, pod in events(directory, name):
        pods[pod["metadata"]["uid"]].append((kind, pod))
    return pods


@pytest.mark.parametrize(("directory", "name", "expected"), scenarios())
def test_the_last_event_of_every_trace_is_judged_right(directory: Path, name: str, expected: dict[str, Any]) -> None:
    pods = by_pod(directory, name)
    assert len(pods) == expected.get("pods", 1)
    for stream in pods.values():
        kind, pod = stream[-1]
        end = exit_info(pod, gone=kind == "DELETED")
        assert end is not None
        assert {"result": end.result.value, "exit_code": end.exit_code, "restarts": end.restarts} == expected["final"]
        if "all_mains" in expected:
            together = exit_info(pod, "*", gone=kind == "DELETED")
            assert together is not None
            assert {"result": together.result.value, "exit_code": together.exit_code} == expected["all_mains"]


@pytest.mark.parametrize(("directory", "name", "expected"), scenarios())
def test_no_earlier_event_contradicts_the_end(directory: Path, name: str, expected: dict[str, Any]) -> None:
    for stream in by_pod(directory, name).values():
        for kind, pod in stream:
            end = exit_info(pod, gone=kind == "DELETED")
            assert end is None or end.result.value == expected["final"]["result"]


@pytest.mark.parametrize(("directory", "name", "expected"), scenarios())
def test_what_can_be_seen_in_the_pod_is_seen_while_on_exit_still_runs(
    directory: Path, name: str, expected: dict[str, Any]
) -> None:
    for stream in by_pod(directory, name).values():
        alive = [pod for kind, pod in stream if kind != "DELETED" and on_exit_alive(pod)]
        decided = any(exit_info(pod) is not None for pod in alive)
        on_exit_never_runs = name == "classic-start-failed"  # there the on-start container acts
        assert decided == (expected["decidable_in_pod"] and not on_exit_never_runs)


@pytest.mark.parametrize(("directory", "name", "expected"), scenarios())
def test_the_presumption_in_the_pod_is_never_a_wrong_result(
    directory: Path, name: str, expected: dict[str, Any]
) -> None:
    for stream in by_pod(directory, name).values():
        for kind, pod in stream:
            if kind != "DELETED" and on_exit_alive(pod):
                guess = presumed(pod, now=datetime(2026, 11, 22, tzinfo=timezone.utc)).result.value
                assert guess in (expected["final"]["result"], "Unknown", "NeverStarted")
                assert guess != "NeverStarted" or not main_started(pod)


def on_exit_alive(pod: Pod) -> bool:
    """Whether the pod's own on-exit can see this event. (A lost node leaves a frozen status and a dead container.)"""
    status = pod["status"]
    everyone = status.get("containerStatuses", []) + status.get("initContainerStatuses", [])
    running = any(each["name"] == "on-exit" and "running" in each["state"] for each in everyone)
    return running and status["phase"] != "Failed"


def main_started(pod: Pod) -> bool:
    return any(each["name"] == "main" and "running" in each["state"] for each in pod["status"]["containerStatuses"])


def test_an_eviction_by_the_api_is_told_from_a_deletion_inside_the_pod() -> None:
    stream = [pod for _, pod in events(TRACES, "classic-evicted-api") if pod["metadata"].get("deletionTimestamp")]
    assert presumed(stream[0]).result is Result.EVICTED
    stream = [pod for _, pod in events(TRACES, "classic-deleted") if pod["metadata"].get("deletionTimestamp")]
    assert presumed(stream[0]).result is Result.DELETED


def test_a_pods_own_deadline_is_told_from_other_terminations_by_the_clock() -> None:
    pod = [pod for _, pod in events(TRACES, "native-pod-deadline") if on_exit_alive(pod)][-1]
    begun = datetime.fromisoformat(pod["status"]["startTime"].replace("Z", "+00:00"))
    seconds = pod["spec"]["activeDeadlineSeconds"]
    assert presumed(pod, now=begun).result is Result.UNKNOWN
    late = datetime.fromtimestamp(begun.timestamp() + seconds, timezone.utc)
    assert presumed(pod, now=late).result is Result.DEADLINE_EXCEEDED


def the_last(scenario: str) -> Pod:
    return [pod for _, pod in events(TRACES, scenario)][-1]


def the_last_alive(scenario: str) -> Pod:
    return [pod for _, pod in events(TRACES, scenario) if on_exit_alive(pod)][-1]


def judge(pod: Pod, main: str | None = None, *, gone: bool = False) -> ExitInfo:
    end = exit_info(pod, main, gone=gone)
    assert end is not None
    return end


class TestDeletionAfterTheEnd:
    """A Job's TTL or a tidy person deletes pods that ended long ago: that must not turn success into Deleted."""

    @pytest.mark.parametrize(
        ("scenario", "result"),
        [("native-succeeded", Result.SUCCEEDED), ("classic-failed", Result.FAILED), ("native-oom", Result.OOM_KILLED)],
    )
    def test_of_a_finished_pod(self, scenario: str, result: Result) -> None:
        pod = the_last(scenario)
        pod["metadata"].update(deletionTimestamp="2026-11-23T09:00:00Z", deletionGracePeriodSeconds=0, generation=2)
        assert judge(pod, gone=True).result is result

    @pytest.mark.parametrize(
        ("due", "grace"),
        [("2026-11-23T00:16:56Z", 20), ("2026-11-23T00:16:37Z", 0)],
        ids=["while it is being deleted", "after the kubelet's last call"],
    )
    def test_of_a_pod_whose_sidecar_was_still_at_work(self, due: str, grace: int) -> None:
        pod = the_last("native-succeeded")  # main ended at 00:16:34, on-exit at 00:16:36
        pod["metadata"].update(deletionTimestamp=due, deletionGracePeriodSeconds=grace, generation=2)
        pod["status"]["observedGeneration"] = 2
        assert judge(pod, gone=True).result is Result.SUCCEEDED

    def test_in_the_very_second_of_the_end_is_told_by_what_the_kubelet_had_published(self) -> None:
        pod = the_last("native-succeeded")
        pod["metadata"].update(deletionTimestamp="2026-11-23T00:16:54Z", deletionGracePeriodSeconds=20, generation=2)
        for condition in pod["status"]["conditions"]:
            condition["lastTransitionTime"] = "2026-11-23T00:16:36Z"
        assert judge(pod).result is Result.SUCCEEDED
        pod["status"]["observedGeneration"] = 2
        assert judge(pod).result is Result.DELETED

    @pytest.mark.parametrize("grace", [0, 20], ids=["by force", "in order"])
    def test_of_a_pod_that_is_not_dead_yet_needs_no_times(self, grace: int) -> None:
        """main-b ended first, so the containers stopped being ready before main's end: that proves nothing here."""
        pod = the_last_alive("classic-two-mains")
        pod["metadata"].update(deletionTimestamp="2026-11-23T00:16:12Z", deletionGracePeriodSeconds=grace, generation=2)
        pod["status"]["observedGeneration"] = 2
        end = judge(pod, "main-b")
        assert (end.result, end.exit_code) == (Result.FAILED, 2)

    @pytest.mark.parametrize(
        ("due", "grace"),
        [("2026-11-23T00:17:12Z", 20), ("2026-11-23T00:17:05Z", 1), ("2026-11-23T00:17:13Z", 0)],
        ids=["in order", "with a second deletion that leaves one second", "after the kubelet's last call"],
    )
    def test_is_not_proven_by_a_container_that_drains(self, due: str, grace: int) -> None:
        """Seen: a readiness probe fails while another container drains, long after main ended at SIGTERM."""
        pod = the_last("classic-deleted")
        (main,) = (each for each in pod["status"]["containerStatuses"] if each["name"] == "main")
        main["state"]["terminated"].update(startedAt="2026-11-23T00:16:50Z", finishedAt="2026-11-23T00:17:02Z")
        others = [each for each in pod["status"]["containerStatuses"] if each["name"] != "main"]
        others[0]["state"]["terminated"]["finishedAt"] = "2026-11-23T00:17:12Z"
        pod["metadata"].update(deletionTimestamp=due, deletionGracePeriodSeconds=grace)
        for condition in pod["status"]["conditions"]:
            condition["lastTransitionTime"] = "2026-11-23T00:17:12Z"
        assert judge(pod, gone=True).result is Result.DELETED
        for condition in pod["status"]["conditions"]:
            condition["lastTransitionTime"] = "2026-11-23T00:17:05Z"
        pod["spec"]["containers"].append({"name": "web", "readinessProbe": {"httpGet": {"port": 80}}})
        assert judge(pod, gone=True).result is Result.DELETED

    def test_that_nobody_saw_takes_nothing_from_an_end_that_was_seen(self) -> None:
        """The watch was away, and then the pod was not there any more."""
        pod = ended_pod(3)
        pod["spec"]["restartPolicy"] = "Never"
        assert judge(pod, gone=True).result is Result.FAILED

    def test_while_main_may_have_been_started_again_is_not_the_end(self) -> None:
        """The object shows a run that ended; the next one may be under way, and the API shows it when all are dead."""
        pod = ended_pod(4)
        pod["spec"]["restartPolicy"] = "OnFailure"
        pod["metadata"].update(deletionTimestamp="2026-11-23T09:00:00Z", deletionGracePeriodSeconds=30)
        assert exit_info(pod) is None
        assert judge(pod, gone=True).result is Result.DELETED

    def test_between_two_runs_of_main_is_a_deletion(self) -> None:
        stream = [pod for _, pod in events(TRACES, "native-onfailure-then-ok")]
        pod = next(pod for pod in stream if "CrashLoopBackOff" in json.dumps(pod))
        pod["metadata"].update(deletionTimestamp="2026-11-23T09:00:00Z", deletionGracePeriodSeconds=30)
        assert exit_info(pod) is None
        end = judge(pod, gone=True)
        assert (end.result, end.exit_code) == (Result.DELETED, 4)


class TestRestarts:
    @pytest.mark.parametrize(
        ("pod_policy", "own_policy", "code", "final"),
        [
            ("Never", None, 1, True),
            ("OnFailure", None, 1, False),
            ("OnFailure", None, 0, True),
            ("Always", None, 0, False),
            (None, None, 0, False),
            ("Always", "Never", 1, True),
            ("Never", "OnFailure", 1, False),
            ("Never", "Always", 0, False),
            ("OnFailure", "Never", 1, True),
        ],
    )
    def test_terminated_is_final_only_when_no_policy_restarts(
        self, pod_policy: str | None, own_policy: str | None, code: int, final: bool
    ) -> None:
        pod = ended_pod(code)
        if pod_policy:
            pod["spec"]["restartPolicy"] = pod_policy
        if own_policy:
            pod["spec"]["containers"][0]["restartPolicy"] = own_policy
        assert (exit_info(pod) is not None) == final

    @pytest.mark.parametrize(
        ("rule", "code", "final"),
        [
            ({"operator": "In", "values": [42, 43]}, 42, False),
            ({"operator": "In", "values": [42, 43]}, 1, True),
            ({"operator": "NotIn", "values": [42]}, 1, False),
            ({"operator": "NotIn", "values": [42]}, 42, True),
        ],
    )
    def test_a_container_restart_rule_comes_before_the_policies(
        self, rule: dict[str, Any], code: int, final: bool
    ) -> None:
        pod = ended_pod(code)
        pod["spec"]["restartPolicy"] = "Never"
        pod["spec"]["containers"][0]["restartPolicyRules"] = [{"action": "Restart", "exitCodes": rule}]
        assert (exit_info(pod) is not None) == final

    def test_nothing_is_final_while_another_container_restarts_them_all(self) -> None:
        pod = ended_pod(0)
        pod["spec"]["restartPolicy"] = "Never"
        rules = [{"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [9]}}]
        pod["spec"]["containers"].append({"name": "other", "restartPolicyRules": rules})
        pod["status"]["containerStatuses"].append({"name": "other", "state": {"terminated": {"exitCode": 8}}})
        assert exit_info(pod) is not None
        pod["status"]["containerStatuses"][1]["state"]["terminated"]["exitCode"] = 9
        assert exit_info(pod) is None

    @pytest.mark.parametrize("name", ["classic-evicted-disk", "classic-evicted-api", "classic-deadline"])
    def test_a_container_that_is_left_as_running_in_a_finished_pod_proves_nothing(self, name: str) -> None:
        pod = list(events(TRACES, name))[-1][1]
        before = exit_info(pod)
        next(each for each in pod["status"]["containerStatuses"] if each["name"] == "on-exit")["state"] = {
            "running": {}
        }
        assert before is not None
        assert exit_info(pod) == before
        assert before.result is not Result.FAILED

    @pytest.mark.parametrize("state", [{"running": {}}, {"waiting": {"reason": "ContainerCreating"}}])
    def test_nothing_is_final_while_another_container_may_restart_them_all(self, state: dict[str, Any]) -> None:
        pod = ended_pod(3)
        pod["spec"]["restartPolicy"] = "Never"
        rules = [{"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [9]}}]
        pod["spec"]["containers"].append({"name": "other", "restartPolicyRules": rules})
        pod["status"]["containerStatuses"].append({"name": "other", "state": state})
        assert exit_info(pod) is None
        pod["status"]["phase"] = "Failed"
        assert judge(pod).result is Result.FAILED
        pod["status"]["phase"] = "Running"
        pod["status"]["containerStatuses"][1]["state"] = {"running": {}}
        pod["metadata"].update(deletionTimestamp="2026-11-23T00:00:40Z", deletionGracePeriodSeconds=30)
        assert judge(pod).result is Result.FAILED

    def test_the_code_of_a_container_that_was_removed_to_restart_them_all_is_nobodys(self) -> None:
        pod = ended_pod(0)
        invented = {"exitCode": 137, "reason": "RestartingAllContainers", "startedAt": None, "finishedAt": None}
        main = pod["status"]["containerStatuses"][0]
        main.update(
            restartCount=1, state={"waiting": {"reason": "PodInitializing"}}, lastState={"terminated": invented}
        )
        pod["metadata"].update(deletionTimestamp="2026-11-23T00:00:40Z", deletionGracePeriodSeconds=30)
        end = judge(pod, gone=True)
        assert (end.result, end.exit_code, end.signal, end.restarts) == (Result.DELETED, None, None, 1)

    def test_a_failed_start_is_final_only_when_it_is_not_tried_again(self) -> None:
        pod = the_last_alive("native-start-failed")
        assert judge(pod).result is Result.START_FAILED
        assert "'on-start' ended with exit code 7" in judge(pod).message
        pod["spec"]["restartPolicy"] = "OnFailure"
        assert exit_info(pod) is None


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("no disk", ": no disk"),
        ("", ""),
        ('{"podhooks": 1, "callbacks": [{"name": "a:b", "status": "failed", "message": "no"}]}', ": a:b failed: no"),
        ('{"callbacks": [{"name": "a:b", "status": "succeeded", "message": ""}]}', ""),
        ('{"mine": 1}', ': {"mine": 1}'),
        ("{broken", ": {broken"),
        ('{"callbacks": 3}', ': {"callbacks": 3}'),
    ],
)
def test_why_a_start_failed_is_said_in_words(message: str, shown: str) -> None:
    pod = the_last_alive("native-start-failed")
    pod["status"]["initContainerStatuses"][1]["state"]["terminated"]["message"] = message
    assert judge(pod).message == f"init container 'on-start' ended with exit code 7{shown}"


def ended_pod(code: int, reason: str = "Error") -> Pod:
    end = {
        "exitCode": code,
        "reason": "Completed" if code == 0 else reason,
        "startedAt": "2026-11-23T00:00:00Z",
        "finishedAt": "2026-11-23T00:00:05Z",
    }
    return {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "main"}]},
        "status": {
            "phase": "Running",
            "containerStatuses": [{"name": "main", "restartCount": 0, "state": {"terminated": end}}],
        },
    }


class TestWhatTheTracesDoNotHold:
    def never(self, code: int, reason: str = "Error") -> Pod:
        pod = ended_pod(code, reason)
        pod["spec"]["restartPolicy"] = "Never"
        return pod

    @pytest.mark.parametrize(("code", "signal"), [(0, None), (1, None), (128, None), (137, 9), (143, 15), (255, None)])
    def test_the_signal_is_read_from_the_exit_code(self, code: int, signal: int | None) -> None:
        assert judge(self.never(code)).signal == signal

    def test_times_are_utc(self) -> None:
        end = judge(self.never(0))
        assert end.finished_at == datetime(2026, 11, 23, 0, 0, 5, tzinfo=timezone.utc)
        assert end.started_at == datetime(2026, 11, 23, tzinfo=timezone.utc)

    def test_a_command_that_does_not_exist_never_started(self) -> None:
        pod = self.never(128, "StartError")
        pod["status"]["containerStatuses"][0]["state"]["terminated"]["startedAt"] = "1970-01-01T00:00:00Z"
        end = judge(pod)
        assert (end.result, end.exit_code, end.signal, end.started_at) == (Result.NEVER_STARTED, 128, None, None)

    def test_a_command_that_does_not_exist_never_started_however_often_it_was_tried(self) -> None:
        failed = {"terminated": {"exitCode": 128, "reason": "StartError", "startedAt": "1970-01-01T00:00:00Z"}}
        pod = ended_pod(0)
        pod["metadata"].update(deletionTimestamp="2026-11-23T09:00:00Z", deletionGracePeriodSeconds=30)
        main = pod["status"]["containerStatuses"][0]
        main.update(restartCount=3, state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState=failed)
        assert presumed(pod).result is Result.NEVER_STARTED
        end = judge(pod, gone=True)
        assert (end.result, end.exit_code, end.signal, end.restarts) == (Result.NEVER_STARTED, 128, None, 3)
        ran = {"terminated": {"exitCode": 1, "startedAt": "2026-11-23T00:00:00Z"}}
        main.update(state=failed, lastState=ran)
        assert judge(pod, gone=True).result is Result.DELETED

    def test_a_pod_deleted_before_it_was_scheduled_never_started(self) -> None:
        pod = {"metadata": {}, "spec": {"containers": [{"name": "main"}]}, "status": {"phase": "Pending"}}
        assert exit_info(pod) is None
        assert judge(pod, gone=True).result is Result.NEVER_STARTED

    def test_a_pod_that_the_node_refused_never_started_and_says_why(self) -> None:
        pod = {
            "metadata": {},
            "spec": {"containers": [{"name": "main"}]},
            "status": {"phase": "Failed", "reason": "OutOfcpu", "message": "not enough cpu"},
        }
        end = judge(pod)
        assert (end.result, end.reason, end.message) == (Result.NEVER_STARTED, "OutOfcpu", "not enough cpu")

    @pytest.mark.parametrize(
        ("reason", "result"),
        [
            ("PreemptionByScheduler", Result.EVICTED),
            ("TerminationByKubelet", Result.EVICTED),
            ("DeletionByTaintManager", Result.EVICTED),
            ("DeletionByPodGC", Result.NODE_LOST),
        ],
    )
    def test_a_disruption_names_its_result(self, reason: str, result: Result) -> None:
        pod = self.never(143)
        pod["status"]["conditions"] = [
            {
                "type": "DisruptionTarget",
                "status": "True",
                "reason": reason,
                "lastTransitionTime": "2026-11-23T00:00:03Z",
            }
        ]
        pod["metadata"].update(deletionTimestamp="2026-11-23T00:00:33Z", deletionGracePeriodSeconds=30)
        assert judge(pod).result is result

    def test_a_disruption_announced_after_the_end_changes_nothing(self) -> None:
        pod = self.never(0)
        pod["status"]["conditions"] = [
            {
                "type": "DisruptionTarget",
                "status": "True",
                "reason": "EvictionByEvictionAPI",
                "lastTransitionTime": "2026-11-23T00:01:00Z",
            }
        ]
        pod["metadata"].update(deletionTimestamp="2026-11-23T00:01:30Z", deletionGracePeriodSeconds=30)
        assert judge(pod).result is Result.SUCCEEDED

    def test_a_main_that_ended_before_the_pods_deadline_keeps_its_own_end(self) -> None:
        pod = self.never(0)
        pod["spec"]["activeDeadlineSeconds"] = 10
        pod["status"].update(phase="Failed", reason="DeadlineExceeded", startTime="2026-11-23T00:00:00Z")
        assert judge(pod).result is Result.SUCCEEDED
        pod["spec"]["activeDeadlineSeconds"] = 4
        assert judge(pod).result is Result.DEADLINE_EXCEEDED

    @pytest.mark.parametrize("reason", ["Terminated", "NodeShutdown", "Preempting"])
    def test_a_node_in_orderly_shutdown_evicts(self, reason: str) -> None:
        pod = self.never(143)
        pod["status"].update(phase="Failed", reason=reason)
        assert judge(pod).result is Result.EVICTED

    def test_several_mains_end_when_the_last_one_does_and_as_the_first_bad_one_did(self) -> None:
        pod = self.never(0)
        pod["spec"]["containers"] += [{"name": "b"}, {"name": "c"}]
        for name, code, second in (("b", 3, 9), ("c", 4, 7)):
            end = {"exitCode": code, "reason": "Error", "finishedAt": f"2026-11-23T00:00:0{second}Z"}
            status = {"name": name, "restartCount": 1, "state": {"terminated": end}}
            pod["status"]["containerStatuses"].append(status)
        seen = judge(pod, "*")
        assert (seen.result, seen.exit_code, seen.container, seen.restarts) == (Result.FAILED, 4, "c", 2)
        assert seen.finished_at == datetime(2026, 11, 23, 0, 0, 9, tzinfo=timezone.utc)
        pod["status"]["containerStatuses"][2]["state"] = {"running": {}}
        assert exit_info(pod, "*") is None

    def test_a_container_that_is_not_there_ends_as_unknown_and_only_with_the_pod(self) -> None:
        pod = self.never(0)
        assert exit_info(pod, "nope") is None
        assert judge(pod, "nope", gone=True).result is Result.UNKNOWN


class TestMain:
    PODHOOKS, KUBECTL = "podhooks.io/main-container", "kubectl.kubernetes.io/default-container"

    @pytest.mark.parametrize(
        ("annotations", "main"),
        [
            ({}, "a"),
            ({KUBECTL: "b"}, "b"),
            ({KUBECTL: "b", PODHOOKS: "c"}, "c"),
            ({PODHOOKS: "*"}, "*"),
            ({PODHOOKS: " c\n"}, "c"),
            ({PODHOOKS: " * "}, "*"),
            ({KUBECTL: "*"}, "a"),
            ({PODHOOKS: "nope", KUBECTL: "b"}, "b"),
            ({KUBECTL: "on-exit"}, "a"),
        ],
    )
    def test_is_chosen_as_the_annotations_say(self, annotations: dict[str, str], main: str) -> None:
        containers = [{"name": name} for name in ("on-exit", "a", "b", "c")]
        assert main_container({"metadata": {"annotations": annotations}, "spec": {"containers": containers}}) == main


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
odd = json_values | st.sampled_from(
    ["Always", "Never", "OnFailure", "Failed", "Succeeded", "Running", "Evicted", "9999-12-31T23:59:59Z", "OOMKilled"]
)


def shaped(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A mapping with these keys, any of which may be missing or hold anything."""
    return st.fixed_dictionaries({}, optional={key: value | odd for key, value in fields.items()})


times = st.sampled_from(["2026-11-23T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "soon"])
end_states = shaped(exitCode=st.integers(-1, 300), reason=odd, startedAt=times, finishedAt=times, signal=odd)
states = shaped(terminated=end_states, running=shaped(startedAt=times), waiting=shaped(reason=odd))
names = st.sampled_from(["main", "on-exit", "on-start", "b"])
rules = st.lists(
    shaped(action=odd, exitCodes=shaped(operator=st.sampled_from(["In", "NotIn"]), values=odd)), max_size=2
)
specs = st.lists(shaped(name=names, restartPolicy=odd, restartPolicyRules=rules), max_size=3)
statuses = st.lists(shaped(name=names, state=states, lastState=states, restartCount=odd), max_size=3)
conditions = st.lists(
    shaped(
        type=st.sampled_from(["DisruptionTarget", "ContainersReady"]),
        status=st.sampled_from(["True", "False"]),
        reason=odd,
        lastTransitionTime=times,
    ),
    max_size=2,
)
pods = shaped(
    metadata=shaped(
        annotations=odd, deletionTimestamp=times, deletionGracePeriodSeconds=st.integers(), generation=st.integers()
    ),
    spec=shaped(containers=specs, initContainers=specs, restartPolicy=odd, activeDeadlineSeconds=st.integers()),
    status=shaped(
        phase=odd,
        reason=odd,
        message=odd,
        startTime=times,
        conditions=conditions,
        containerStatuses=statuses,
        initContainerStatuses=statuses,
        observedGeneration=st.integers(),
    ),
)


@settings(max_examples=400)
@given(pod=pods, main=st.none() | names | st.just("*"), gone=st.booleans())
def test_any_pod_shaped_input_is_survived(pod: Pod, main: str | None, gone: bool) -> None:
    end = exit_info(pod, main, gone=gone)
    assert end is None or isinstance(end.result, Result)
    assert not gone or end is not None
    if end is not None:
        assert ExitInfo.from_json(json.loads(json.dumps(end.to_json()))) == end
    assert isinstance(presumed(pod, main, now=datetime(2026, 11, 23, tzinfo=timezone.utc)).result, Result)


def finished_pod(phase: str, *, reason: str = "", message: str = "", **status: Any) -> Pod:
    """A pod that reached a node and is over; `status` may add what is known of its containers."""
    return {
        "metadata": {"name": "p"},
        "spec": {"nodeName": "n", "restartPolicy": "Never", "containers": [{"name": "main"}]},
        "status": {
            "phase": phase,
            "startTime": "2026-11-23T00:00:00Z",
            **({"reason": reason, "message": message} if reason else {}),
            **status,
        },
    }


def of_main(**status: Any) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "main", "restartCount": 0, **status}]}


def disrupted(pod: Pod, since: str) -> Pod:
    announced = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    pod["status"].setdefault("conditions", []).append({**announced, "lastTransitionTime": since})
    return pod


def test_a_disruption_that_was_announced_and_not_carried_out_ended_nothing() -> None:
    """The eviction API sets the condition and then deletes the pod; a refused deletion leaves the condition."""
    pod = disrupted(ended_pod(3), "2026-11-23T00:00:01Z")
    pod["spec"]["restartPolicy"] = "Never"
    assert judge(pod).result is Result.FAILED


@pytest.mark.parametrize(("unready", "result"), [("00:00:05", Result.FAILED), ("00:00:09", Result.EVICTED)])
def test_of_an_end_in_the_second_of_the_eviction_readiness_tells_what_came_first(unready: str, result: Result) -> None:
    pod = disrupted(ended_pod(3), "2026-11-23T00:00:05Z")
    pod["spec"] |= {"restartPolicy": "Never", "containers": [{"name": "main"}, {"name": "on-exit"}]}
    later = {"exitCode": 0, "finishedAt": "2026-11-23T00:00:09Z"}
    pod["status"]["phase"] = "Failed"
    pod["status"]["containerStatuses"].append({"name": "on-exit", "restartCount": 0, "state": {"terminated": later}})
    at = f"2026-11-23T{unready}Z"
    pod["status"]["conditions"].append({"type": "ContainersReady", "status": "False", "lastTransitionTime": at})
    assert judge(pod, "main").result is result


def deleted(pod: Pod) -> Pod:
    pod["metadata"].update(deletionTimestamp="2026-11-23T00:00:40Z", deletionGracePeriodSeconds=30)
    return pod


RAN = {"startedAt": "2026-11-23T00:00:00Z", "finishedAt": "2026-11-23T00:00:05Z"}
INVENTED: list[dict[str, Any]] = [
    {"exitCode": 137, "reason": "ContainerStatusUnknown", "startedAt": None, "finishedAt": None},
    {"exitCode": 255, "reason": "Unknown", **RAN},
    {"exitCode": -137, "reason": "NotFound", **RAN},
    {"exitCode": 0, "reason": "Terminated", **RAN},
]
each_invention = pytest.mark.parametrize("end", INVENTED, ids=[each["reason"] for each in INVENTED])


class TestEndsThatNobodySaw:
    """https://github.com/kubernetes/kubernetes/blob/v1.36.0/pkg/kubelet/kubelet_pods.go and containerd's restart.go."""

    @each_invention
    @pytest.mark.parametrize("phase", ["Running", "Failed", "Succeeded"])
    def test_have_no_exit_code_and_keep_their_reason(self, end: dict[str, Any], phase: str) -> None:
        """Also while the pod still runs: in classic mode on_exit would wait for ever."""
        seen = judge(finished_pod(phase, **of_main(state={"terminated": end})))
        assert (seen.result, seen.exit_code, seen.signal) == (Result.UNKNOWN, None, None)
        assert (seen.reason, seen.finished_at) == (end["reason"], None)

    @each_invention
    def test_are_not_the_last_where_main_is_started_again(self, end: dict[str, Any]) -> None:
        pod = finished_pod("Running", **of_main(state={"terminated": end}))
        pod["spec"]["restartPolicy"] = "Always"
        assert exit_info(pod) is None

    @each_invention
    def test_give_nothing_to_a_deletion(self, end: dict[str, Any]) -> None:
        pod = deleted(finished_pod("Failed", **of_main(state={"terminated": end}, containerID="containerd://9209")))
        seen = judge(pod, gone=True)
        assert (seen.result, seen.exit_code) == (Result.DELETED, None)

    def test_a_real_255_is_main_s(self) -> None:
        end = {"exitCode": 255, "reason": "Error", **RAN}
        seen = judge(finished_pod("Failed", **of_main(state={"terminated": end})))
        assert (seen.result, seen.exit_code) == (Result.FAILED, 255)

    @pytest.mark.parametrize("holder", ["state", "lastState"])
    def test_used_to_be_running_proves_a_run(self, holder: str) -> None:
        said = "The container could not be located when the pod was deleted.  The container used to be Running"
        lost = {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": said}}
        pod = deleted(finished_pod("Running", **of_main(**{"state": {"waiting": {}}, holder: lost})))
        assert presumed(pod).result is Result.DELETED
        seen = judge(pod, gone=True)
        assert (seen.result, seen.exit_code, seen.reason) == (Result.DELETED, None, "Deleted")

    def test_not_located_at_the_end_proves_no_run(self) -> None:
        """TerminatePod writes it of containers that never ran, too (classic-image-missing)."""
        said = "The container could not be located when the pod was terminated"
        lost = {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": said}}
        assert judge(deleted(finished_pod("Failed", **of_main(state=lost)))).result is Result.NEVER_STARTED

    def test_of_an_init_container_are_no_exit_code_either(self) -> None:
        lost = {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": "could not be located"}
        pod = finished_pod("Running", initContainerStatuses=[{"name": "load", "state": {"terminated": lost}}])
        pod["spec"]["initContainers"] = [{"name": "load"}]
        assert exit_info(pod) is None
        pod["status"]["phase"] = "Failed"
        seen = judge(pod)
        assert (seen.result, seen.exit_code) == (Result.START_FAILED, None)
        assert seen.message == "init container 'load' was lost: could not be located"


class TestTerminalPhases:
    @pytest.mark.parametrize(
        "status",
        [
            {},
            {"containerStatuses": []},
            of_main(state={"running": {}}),
            of_main(state={"waiting": {"reason": "ContainerCreating"}}),
            of_main(state={}, lastState={"terminated": {"exitCode": 3, "reason": "Error", **RAN}}, restartCount=1),
        ],
        ids=["no statuses", "empty", "still running", "still waiting", "an earlier run"],
    )
    def test_succeeded_is_said_of_all_containers(self, status: dict[str, Any]) -> None:
        seen = judge(finished_pod("Succeeded", **status))
        assert (seen.result, seen.exit_code) == (Result.SUCCEEDED, None)

    def test_failed_proves_nothing_of_main(self) -> None:
        assert judge(finished_pod("Failed")).result is Result.UNKNOWN
        assert judge(finished_pod("Failed", **of_main(state={"running": {}}))).result is Result.UNKNOWN

    def test_failed_before_it_reached_a_node_never_started(self) -> None:
        pod = finished_pod("Failed")
        del pod["spec"]["nodeName"], pod["status"]["startTime"]
        assert judge(pod).result is Result.NEVER_STARTED

    @pytest.mark.parametrize("phase", ["Succeeded", "Failed", "Running"])
    def test_a_deletion_without_a_word_of_main_proves_no_never_started(self, phase: str) -> None:
        seen = judge(deleted(finished_pod(phase)), gone=True)
        assert (seen.result, seen.exit_code) == (Result.DELETED, None)

    def test_the_pods_reason_is_told_with_every_result(self) -> None:
        for status in ({}, of_main(state={"running": {}}), of_main(state={"waiting": {"reason": "X"}})):
            seen = judge(finished_pod("Failed", reason="ProviderFailed", message="no quota", **status))
            assert (seen.reason, seen.message) == ("ProviderFailed", "no quota")
        failed = of_main(state={"terminated": {"exitCode": 1, "reason": "Error", **RAN}})
        failed["containerStatuses"][0]["state"]["terminated"]["exitCode"] = 1
        seen = judge(finished_pod("Failed", reason="ProviderFailed", message="no quota", **failed))
        assert (seen.result, seen.exit_code, seen.reason) == (Result.FAILED, 1, "Error")
        pod = finished_pod("Running", reason="Slow", message="the disk is slow", **of_main(state={"running": {}}))
        assert (presumed(pod).result, presumed(pod).reason) == (Result.UNKNOWN, "Slow")


class TestVirtualKubelets:
    """https://github.com/virtual-kubelet/virtual-kubelet/blob/master/node/sync.go"""

    def test_a_pod_that_the_provider_lost_ran(self) -> None:
        message = "The pod status was not found and may have been deleted from the provider"
        for status in ({}, of_main(state={"waiting": {"reason": "PodInitializing"}})):
            seen = judge(finished_pod("Failed", reason="NotFound", message=message, **status))
            assert (seen.result, seen.reason, seen.message) == (Result.UNKNOWN, "NotFound", message)

    def test_a_deletion_is_no_success_and_no_node_shutdown(self) -> None:
        """The phase is Succeeded, the code 0, and `running` stays beside `terminated`."""
        state = {"running": {"startedAt": RAN["startedAt"]}, "terminated": {"exitCode": 0, "reason": "Terminated"}}
        pod = deleted(finished_pod("Succeeded", reason="Terminated", **of_main(state=state)))
        seen = judge(pod)
        assert (seen.result, seen.exit_code, seen.reason) == (Result.DELETED, None, "Terminated")


class TestNodesOutOfService:
    def pod(self, state: dict[str, Any], phase: str = "Failed") -> Pod:
        condition = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}
        return deleted(finished_pod(phase, conditions=[condition], **of_main(state=state)))

    def test_main_that_is_left_running_was_lost_with_its_node(self) -> None:
        seen = judge(self.pod({"running": {}}))
        assert (seen.result, seen.exit_code, seen.reason) == (Result.NODE_LOST, None, "DeletionByTaintManager")

    def test_main_that_a_kubelet_saw_end_was_evicted(self) -> None:
        ended = {"terminated": {"exitCode": 143, "reason": "Error", **RAN}}
        assert judge(self.pod(ended)).result is Result.EVICTED
        assert exit_info(self.pod({"running": {}}, "Running")) is None
        assert presumed(self.pod({"running": {}}, "Running")).result is Result.EVICTED


@pytest.mark.parametrize(
    "reason",
    ["UnexpectedAdmissionError", "OutOfcpu", "NodeAffinity", "VolumeAttachmentLimitExceeded", "SysctlForbidden"],
)
class TestRejectedPods:
    def pod(self, reason: str) -> Pod:
        return finished_pod("Failed", reason=reason, message="Pod was rejected: no")

    def test_never_started(self, reason: str) -> None:
        seen = judge(self.pod(reason))
        assert (seen.result, seen.reason, seen.message) == (Result.NEVER_STARTED, reason, "Pod was rejected: no")

    def test_keep_their_reason_when_they_are_deleted_later(self, reason: str) -> None:
        seen = judge(deleted(self.pod(reason)), gone=True)
        assert (seen.result, seen.reason, seen.message) == (Result.NEVER_STARTED, reason, "Pod was rejected: no")

    def test_were_evicted_if_main_was_seen_running(self, reason: str) -> None:
        seen = exit_info(self.pod(reason), ran={"main"})
        assert seen is not None
        assert (seen.result, seen.exit_code, seen.reason) == (Result.EVICTED, None, reason)


@settings(max_examples=400)
@given(pod=pods, gone=st.booleans())
def test_who_has_seen_main_run_never_says_never_started(pod: Pod, gone: bool) -> None:
    ran = {each.name for each in main_containers(pod)}
    ends = [each for each in (exit_info(pod, gone=gone, ran=ran), presumed(pod, ran=ran)) if each is not None]
    for end in ends:
        assert end.result is not Result.NEVER_STARTED or end.exit_code is not None or end.reason in NOT_STARTABLE


NOT_STARTABLE = ("StartError", "ContainerCannotRun")  # of a container's last try, after others that ran
