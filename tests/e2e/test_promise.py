"""The promise on a real cluster: on_exit runs, once, with the truth about how main ended, in both modes.

The scenarios are those of tests/traces. Where nothing inside a pod can promise that on_exit runs (a forced deletion, an
eviction by the kubelet), what it was told, at most once, has to be true.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest

from podhooks import contract, exit_info
from podhooks.context import Result
from podhooks.runtime.record import parse_message
from tests.e2e.cluster import RealCluster

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
MODES = ["native", "classic"]
STUBBORN = "trap '' TERM; while true; do sleep 0.2; done"
OBEDIENT = "trap 'sleep 1; exit 0' TERM; while true; do sleep 0.2; done"


def job(
    cluster: RealCluster,
    scenario: str,
    script: str,
    *,
    annotations: Mapping[str, str] | None = None,
    pod: Mapping[str, Any] | None = None,
    main: Mapping[str, Any] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """A Job as a user writes it. `annotations` without our prefix; the mode comes from the scenario's name."""
    mode = scenario.split("-", maxsplit=1)[0]
    ours = {"on-start": "calls:announce", "on-exit": "calls:done", "on-exit-timeout": "8s", "mode": mode}
    container = {
        "name": "main",
        "image": cluster.image,
        "imagePullPolicy": cluster.pull_policy,
        "command": ["sh", "-c", script],
        "env": [{"name": "PYTHONPATH", "value": "/app"}],
        "volumeMounts": [{"name": "app", "mountPath": "/app"}],
        **(main or {}),
    }
    template = {
        "metadata": {
            "labels": {"scenario": scenario},
            "annotations": {contract.PREFIX + key: value for key, value in {**ours, **(annotations or {})}.items()},
        },
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 5,
            "containers": [container],
            "volumes": [{"name": "app", "configMap": {"name": "calls"}}],
            **(pod or {}),
        },
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": scenario},
        "spec": {"backoffLimit": 0, "template": template, **spec},
    }


def told(cluster: RealCluster, scenario: str, count: int = 1) -> list[tuple[str, int | None]]:
    """What on_exit callbacks were told, once `count` of them have left word and no more come."""
    cluster.until(lambda: len(cluster.words(scenario)) >= count, f"on_exit of {scenario} leaves word")
    return [(word["exit"]["result"], word["exit"]["exit_code"]) for word in cluster.words(scenario)]


def told_at_most_once(cluster: RealCluster, scenario: str) -> list[tuple[str, int | None]]:
    """What an on_exit was told whose pod is over; nothing more can come after a few seconds."""
    time.sleep(6)
    return [(word["exit"]["result"], word["exit"]["exit_code"]) for word in cluster.words(scenario)]


def finished(cluster: RealCluster, scenario: str) -> dict[str, Any]:
    """The pod when nothing runs in it any more."""

    def over() -> dict[str, Any] | None:
        pods = [pod for pod in cluster.pods(scenario) if pod["status"].get("phase") in ("Succeeded", "Failed")]
        return pods[0] if pods else None

    pod: dict[str, Any] = cluster.until(over, f"the pod of {scenario} is over")
    return pod


def gone(cluster: RealCluster, scenario: str) -> None:
    cluster.until(lambda: not cluster.pods(scenario), f"the pod of {scenario} is gone")


def record_of(pod: Mapping[str, Any], container: str = contract.ON_EXIT_CONTAINER) -> dict[str, Any]:
    status = pod["status"]
    everyone = status.get("initContainerStatuses", []) + status.get("containerStatuses", [])
    ours = next(each for each in everyone if each["name"] == container)
    data = parse_message(ours["state"]["terminated"]["message"])
    assert data is not None
    return data.to_json()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("name", "script", "expected"),
    [
        ("succeeded", "test -f /podhooks/shared/hello; sleep 1", ("Succeeded", 0)),
        ("failed", "sleep 1; exit 3", ("Failed", 3)),
        ("killed", "sleep 1; kill -9 $$; sh -c 'kill -9 $PPID'; exit 137", ("Failed", 137)),
    ],
)
def test_an_end_of_its_own(cluster: RealCluster, mode: str, name: str, script: str, expected: tuple[str, int]) -> None:
    scenario = f"{mode}-{name}"
    cluster.apply(job(cluster, scenario, script))
    pod = finished(cluster, scenario)
    assert told(cluster, scenario) == [expected]
    assert len(cluster.words(scenario, "on-start")) == 1
    assert cluster.words(scenario)[0]["shared"] is True
    record = record_of(pod)
    assert record["complete"] is True
    assert record["exit"]["result"] == expected[0]
    assert pod["status"]["phase"] == ("Succeeded" if expected[1] == 0 else "Failed")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("name", "script", "code"),
    [
        ("oom", "exec python3 -c 'x = bytearray(300 << 20)'", 137),
        ("child-oom", "python3 -c 'x = bytearray(300 << 20)'; exit 5", 5),
    ],
)
def test_memory_runs_out(cluster: RealCluster, mode: str, name: str, script: str, code: int) -> None:
    scenario = f"{mode}-{name}"
    limits = {"resources": {"limits": {"memory": "64Mi"}, "requests": {"memory": "64Mi"}}}
    cluster.apply(job(cluster, scenario, script, main=limits))
    assert told(cluster, scenario) == [("OOMKilled", code)]
    finished(cluster, scenario)
    assert len(cluster.words(scenario)) == 1


@pytest.mark.parametrize("mode", MODES)
def test_the_start_fails(cluster: RealCluster, mode: str) -> None:
    scenario = f"{mode}-start-failed"
    cluster.apply(job(cluster, scenario, "echo never", annotations={"on-start": "calls:fail"}))
    pod = finished(cluster, scenario)
    assert told(cluster, scenario) == [("StartFailed", None)]
    assert "running" not in str(pod["status"]["containerStatuses"][0]["state"])


@pytest.mark.parametrize("mode", MODES)
def test_an_on_exit_that_does_not_resolve_stops_main_before_it_begins(cluster: RealCluster, mode: str) -> None:
    scenario = f"{mode}-broken"
    cluster.apply(job(cluster, scenario, "echo never", annotations={"on-exit": "calls:dnoe"}))
    pod = finished(cluster, scenario)
    start = next(each for each in pod["status"]["initContainerStatuses"] if each["name"] == "on-start")
    assert start["state"]["terminated"]["exitCode"] == 2
    log = cluster.kubectl("logs", pod["metadata"]["name"], "-c", "on-start")
    assert "done" in log  # did you mean


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("deleted", ["job", "pod"])
@pytest.mark.parametrize("script", [OBEDIENT, STUBBORN], ids=["obedient", "stubborn"])
def test_deleted(cluster: RealCluster, mode: str, script: str, deleted: str) -> None:
    """Its Job, or the pod itself, in whose place no other comes here: backoffLimit is 0."""
    scenario = f"{mode}-{deleted}-deleted-{'stubborn' if script == STUBBORN else 'obedient'}"
    cluster.apply(job(cluster, scenario, script))
    pod = cluster.until_main_runs(scenario)
    cluster.kubectl("delete", deleted, scenario if deleted == "job" else pod["metadata"]["name"], "--wait=false")
    assert told(cluster, scenario) == [("Deleted", None)]
    gone(cluster, scenario)
    words = cluster.words(scenario)
    assert [word["uid"] for word in words] == [pod["metadata"]["uid"]]


@pytest.mark.parametrize("mode", MODES)
def test_slow_callbacks_have_their_reserve_even_when_main_is_stubborn(cluster: RealCluster, mode: str) -> None:
    scenario = f"{mode}-reserve"
    hooks = {"on-exit": "calls:slow,calls:done", "on-exit-timeout": "6s"}
    cluster.apply(job(cluster, scenario, STUBBORN, annotations=hooks))
    cluster.until_main_runs(scenario)
    cluster.kubectl("delete", "job", scenario, "--wait=false")
    assert told(cluster, scenario, 2) == [("Deleted", None)] * 2
    gone(cluster, scenario)
    assert [word["callback"] for word in cluster.words(scenario)] == ["calls:slow", "calls:done"]


def test_callbacks_are_over_and_recorded_before_the_kubelet_kills(cluster: RealCluster) -> None:
    """After main's own end the budget is the grace period, whatever the callbacks' own timeouts are."""
    hooks = {"on-exit": "calls:endless", "on-exit-timeout": "100s", "on-exit-retries": "0", "reserve": "4s"}
    cluster.apply(job(cluster, "native-endless", "sleep 1", annotations=hooks))
    pod = finished(cluster, "native-endless")
    record = record_of(pod)
    assert record["complete"] is True
    assert record["callbacks"][0]["status"] == "timed-out"
    ours = next(each for each in pod["status"]["initContainerStatuses"] if each["name"] == "on-exit")
    assert ours["state"]["terminated"]["exitCode"] == 0


@pytest.mark.parametrize("mode", MODES)
def test_a_job_that_gives_up_on_restarts_deletes_its_pod(cluster: RealCluster, mode: str) -> None:
    """The Job's backoffLimit under restartPolicy OnFailure: a deletion, between or during two runs of main."""
    scenario = f"{mode}-exhausted"
    cluster.apply(job(cluster, scenario, "sleep 1; exit 4", pod={"restartPolicy": "OnFailure"}, backoffLimit=1))
    assert [result for result, _ in told(cluster, scenario)] == ["Deleted"]
    gone(cluster, scenario)
    assert len(cluster.words(scenario)) == 1


@pytest.mark.parametrize("mode", MODES)
def test_evicted_by_the_api(cluster: RealCluster, mode: str) -> None:
    scenario = f"{mode}-evicted"
    cluster.apply(job(cluster, scenario, OBEDIENT))
    pod = cluster.until_main_runs(scenario)["metadata"]["name"]
    eviction = f'{{"apiVersion":"policy/v1","kind":"Eviction","metadata":{{"name":"{pod}"}}}}'
    path = f"/api/v1/namespaces/{cluster.namespace}/pods/{pod}/eviction"
    cluster.kubectl("create", "--raw", path, "-f", "-", stdin=eviction)
    assert told(cluster, scenario) == [("Evicted", None)]
    cluster.until(lambda: pod not in [each["metadata"]["name"] for each in cluster.pods(scenario)], "it is gone")
    assert len(cluster.words(scenario)) == 1


@pytest.mark.parametrize("mode", MODES)
def test_deleted_by_force(cluster: RealCluster, mode: str) -> None:
    """Kubelet fact 7: the pod object is gone within a second, and the containers soon after."""
    scenario = f"{mode}-forced"
    cluster.apply(job(cluster, scenario, OBEDIENT))
    pod = cluster.until_main_runs(scenario)["metadata"]["name"]
    cluster.kubectl("delete", "job", scenario, "--cascade=orphan")
    cluster.kubectl("delete", "pod", pod, "--grace-period=0", "--force")
    gone(cluster, scenario)
    assert told_at_most_once(cluster, scenario) in ([], [("Deleted", None)])


@pytest.mark.parametrize("mode", MODES)
def test_evicted_by_the_kubelet(cluster: RealCluster, mode: str) -> None:
    """Kubelet fact 9: all containers are killed at once, and the final pod tells why."""
    scenario = f"{mode}-evicted-disk"
    small = {"name": "small", "emptyDir": {"sizeLimit": "1Mi"}}
    manifest = job(cluster, scenario, "head -c 8000000 /dev/zero > /small/big; sleep 600")
    template = manifest["spec"]["template"]["spec"]
    template["volumes"].append(small)
    template["containers"][0]["volumeMounts"].append({"name": "small", "mountPath": "/small"})
    cluster.apply(manifest)
    ended = exit_info(finished(cluster, scenario))
    assert ended is not None
    assert ended.result is Result.EVICTED
    assert told_at_most_once(cluster, scenario) in ([], [("Evicted", None)])


@pytest.mark.parametrize("mode", MODES)
def test_the_jobs_deadline(cluster: RealCluster, mode: str) -> None:
    scenario = f"{mode}-deadline"
    cluster.apply(job(cluster, scenario, OBEDIENT, activeDeadlineSeconds=12))
    assert told(cluster, scenario) == [("Deleted", None)]
    gone(cluster, scenario)
    assert len(cluster.words(scenario)) == 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("script", [OBEDIENT, STUBBORN], ids=["obedient", "stubborn"])
def test_the_pods_own_deadline(cluster: RealCluster, mode: str, script: str) -> None:
    scenario = f"{mode}-pod-deadline-{'stubborn' if script == STUBBORN else 'obedient'}"
    cluster.apply(job(cluster, scenario, script, pod={"activeDeadlineSeconds": 12}))
    assert told(cluster, scenario) == [("DeadlineExceeded", None)]
    pod = finished(cluster, scenario)
    assert pod["status"]["reason"] == "DeadlineExceeded"
    assert len(cluster.words(scenario)) == 1


COUNTING = "n=$(cat /podhooks/shared/n 2>/dev/null || echo 0); echo $((n+1)) > /podhooks/shared/n; sleep 1; "


@pytest.mark.parametrize("mode", MODES)
def test_restarts_are_not_the_end(cluster: RealCluster, mode: str) -> None:
    scenario = f"{mode}-onfailure"
    script = COUNTING + "[ $n -ge 2 ] || exit 4"
    cluster.apply(job(cluster, scenario, script, pod={"restartPolicy": "OnFailure"}, backoffLimit=6))
    assert told(cluster, scenario) == [("Succeeded", 0)]
    finished(cluster, scenario)
    [word] = cluster.words(scenario)
    assert word["exit"]["restarts"] == 2


@pytest.mark.parametrize("mode", MODES)
def test_a_start_that_is_tried_again_is_not_the_end(cluster: RealCluster, mode: str) -> None:
    scenario = f"{mode}-flaky-start"
    hooks = {"on-start": "calls:announce,calls:flaky"}
    pod = {"restartPolicy": "OnFailure"}
    cluster.apply(job(cluster, scenario, "sleep 1", annotations=hooks, pod=pod, backoffLimit=6))
    assert told(cluster, scenario) == [("Succeeded", 0)]
    finished(cluster, scenario)
    assert len(cluster.words(scenario)) == 1
    started = [word["callback"] for word in cluster.words(scenario, "on-start")]
    assert started == ["calls:announce", "calls:flaky", "calls:flaky"]


@pytest.mark.parametrize("mode", MODES)
def test_a_container_restart_rule_is_not_the_end(cluster: RealCluster, mode: str) -> None:
    scenario = f"{mode}-rule"
    rules = [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]
    main = {"restartPolicy": "Never", "restartPolicyRules": rules}
    cluster.apply(job(cluster, scenario, COUNTING + "[ $n -ge 1 ] || exit 42", main=main))
    assert told(cluster, scenario) == [("Succeeded", 0)]
    finished(cluster, scenario)
    assert len(cluster.words(scenario)) == 1


@pytest.mark.parametrize("mode", MODES)
def test_every_pod_of_a_retried_job_has_its_own(cluster: RealCluster, mode: str) -> None:
    scenario = f"{mode}-retries"
    cluster.apply(job(cluster, scenario, "sleep 1; exit 4", backoffLimit=1))
    assert told(cluster, scenario, 2) == [("Failed", 4)] * 2
    words = cluster.words(scenario)
    assert len({word["uid"] for word in words}) == 2
    assert len({word["key"] for word in words}) == 2


@pytest.mark.parametrize("mode", MODES)
def test_main_that_never_starts(cluster: RealCluster, mode: str) -> None:
    """Main's image is missing; ours has to be another one, or nothing of ours could start either."""
    scenario = f"{mode}-no-image"
    main = {"image": "docker.io/local/nowhere:1", "imagePullPolicy": "Never"}
    manifest = job(cluster, scenario, "true", annotations={"image": cluster.image}, main=main)
    cluster.apply(manifest)

    def stuck() -> bool:
        statuses = [each for pod in cluster.pods(scenario) for each in pod["status"].get("containerStatuses", [])]
        return any("ErrImage" in str(each["state"]) for each in statuses)

    cluster.until(stuck, "main's image can't be had")
    time.sleep(1)
    cluster.kubectl("delete", "job", scenario, "--wait=false")
    assert told(cluster, scenario) == [("NeverStarted", None)]
    gone(cluster, scenario)
    assert len(cluster.words(scenario)) == 1


@pytest.mark.parametrize("mode", MODES)
def test_all_containers_together(cluster: RealCluster, mode: str) -> None:
    scenario = f"{mode}-two-mains"
    second = {
        "name": "main-b",
        "image": cluster.image,
        "imagePullPolicy": cluster.pull_policy,
        "command": ["sh", "-c", "sleep 3; exit 2"],
    }
    manifest = job(cluster, scenario, "sleep 1", annotations={"main-container": "*"})
    manifest["spec"]["template"]["spec"]["containers"].append(second)
    cluster.apply(manifest)
    assert told(cluster, scenario) == [("Failed", 2)]
    finished(cluster, scenario)
    assert len(cluster.words(scenario)) == 1


@pytest.mark.parametrize("mode", MODES)
def test_one_of_two_containers_ends_and_its_callbacks_run_once_while_the_other_goes_on(
    cluster: RealCluster, mode: str
) -> None:
    scenario = f"{mode}-first-of-two"
    second = {
        "name": "main-b",
        "image": cluster.image,
        "imagePullPolicy": cluster.pull_policy,
        "command": ["sh", "-c", "sleep 20"],
    }
    manifest = job(cluster, scenario, "sleep 1")
    manifest["spec"]["template"]["spec"]["containers"].append(second)
    cluster.apply(manifest)
    assert told(cluster, scenario) == [("Succeeded", 0)]
    pod = finished(cluster, scenario)
    everyone = [*pod["status"]["initContainerStatuses"], *pod["status"]["containerStatuses"]]
    ours = next(each for each in everyone if each["name"] == "on-exit")
    assert ours["restartCount"] == 0
    assert len(cluster.words(scenario)) == 1


def kill_the_sidecar(cluster: RealCluster, pod: str) -> None:
    """From main, which shares its processes' namespace."""
    kill = (
        "import os, signal\n"
        "for pid in map(int, filter(str.isdigit, os.listdir('/proc'))):\n"
        "    command = open(f'/proc/{pid}/cmdline').read() if pid != os.getpid() else ''\n"
        "    if 'on_exit.py' in command: os.kill(pid, signal.SIGKILL)\n"
    )
    cluster.kubectl("exec", pod, "-c", "main", "--", "python3", "-c", kill)


def test_a_sidecar_that_is_killed_goes_on(cluster: RealCluster) -> None:
    """Kubelet fact 21: it is started again, with the shared directory as it was."""
    scenario = "native-killed-sidecar"
    cluster.apply(job(cluster, scenario, "sleep 12; exit 3", pod={"shareProcessNamespace": True}))
    kill_the_sidecar(cluster, cluster.until_main_runs(scenario)["metadata"]["name"])
    assert told(cluster, scenario) == [("Failed", 3)]
    ended = finished(cluster, scenario)
    ours = next(each for each in ended["status"]["initContainerStatuses"] if each["name"] == "on-exit")
    assert ours["restartCount"] == 1
    assert len(cluster.words(scenario)) == 1


def test_a_classic_sidecar_that_is_killed_fails_the_pod(cluster: RealCluster) -> None:
    """Kubelet fact 22: it isn't started again, and nobody says anything. What classic mode can't keep."""
    scenario = "classic-killed-sidecar"
    cluster.apply(job(cluster, scenario, "sleep 6", pod={"shareProcessNamespace": True}))
    kill_the_sidecar(cluster, cluster.until_main_runs(scenario)["metadata"]["name"])
    ended = finished(cluster, scenario)
    assert ended["status"]["phase"] == "Failed"
    info = exit_info(ended)
    assert info is not None
    assert info.result is Result.SUCCEEDED
    assert cluster.words(scenario) == []


@pytest.mark.parametrize("mode", MODES)
def test_the_tail_of_mains_log_is_there(cluster: RealCluster, mode: str) -> None:
    scenario = f"{mode}-tail"
    cluster.apply(job(cluster, scenario, "echo last words; exit 1", annotations={"on-exit": "calls:tail"}))
    told(cluster, scenario)
    assert cluster.words(scenario)[0]["tail"] == "last words\n"


@pytest.mark.parametrize("mode", MODES)
def test_without_the_right_to_watch_the_log_says_what_to_grant(cluster: RealCluster, mode: str) -> None:
    scenario = f"{mode}-forbidden"
    if not cluster.kubectl("get", "serviceaccount", "poor", check=False):
        cluster.kubectl("create", "serviceaccount", "poor", check=False)
        binding = ["create", "rolebinding", "poor-words", "--role=words"]
        cluster.kubectl(*binding, f"--serviceaccount={cluster.namespace}:poor", check=False)
    script = "sleep 2; exit 3" if mode == "native" else "sleep 600"
    cluster.apply(job(cluster, scenario, script, pod={"serviceAccountName": "poor"}))
    pod = cluster.until_main_runs(scenario)["metadata"]["name"]

    def said() -> bool:
        return "create role podhooks --verb=get,watch" in cluster.kubectl("logs", pod, "-c", "on-exit", check=False)

    cluster.until(said, "the missing rule is named")
    if mode == "classic":
        cluster.kubectl("delete", "job", scenario, "--wait=false")
    assert told(cluster, scenario) == [("Unknown", None)]
    cluster.until(lambda: len(cluster.words(scenario)) == 1, "once")
