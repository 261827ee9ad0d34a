"""events:record, resources:collect_available and logs:save against the embedded API server and its kubelet."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import fsspec
import pytest

from podhooks import contract
from podhooks.callbacks import events, logs, resources
from podhooks.callbacks.api import Api
from podhooks.callbacks.budget import Budget
from podhooks.context import PodInfo, RunContext
from podhooks.errors import CallbackError, Forbidden, InputError, PodhooksError, Unreachable
from podhooks.local import Cluster
from podhooks.local.apiserver import Action, ApiServer, Fault
from podhooks.local.store import Store
from podhooks.runtime.access import Access
from tests.callback_contexts import on_exit
from tests.integration import local_pods
from tests.integration.receivers import SLACK_SECONDS, answer, receiving

EVENTS = "/api/v1/namespaces/default/events"
JOB = {"apiVersion": "batch/v1", "kind": "Job", "name": "etl", "uid": "uid-of-the-job", "controller": True}


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer(Store()) as running:
        yield running


def in_pod(monkeypatch: pytest.MonkeyPatch, directory: Path, url: str, token: str) -> None:
    (directory / "token").write_text(token)
    monkeypatch.setenv(contract.ENV_API_SERVER, url)
    monkeypatch.setenv(contract.ENV_SERVICE_ACCOUNT_DIR, str(directory))
    monkeypatch.setenv(contract.ENV_POD_NAMESPACE, "default")
    monkeypatch.setattr("podhooks.runtime.backoff.FIRST_SECONDS", 0.01)


@pytest.fixture
def context(server: ApiServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RunContext:
    """Of a pod of a Job, in a place where the callbacks find the API."""
    in_pod(monkeypatch, tmp_path, server.url, server.token)
    pod = PodInfo("etl-x7z", "default", "uid-of-the-pod", "node-1")
    made = on_exit(pod=pod, shared=str(tmp_path))
    return made.replace(_pod_object=lambda: {"metadata": {"name": pod.name, "ownerReferences": [JOB]}})


def forbidden(verb: str, resource: str, where: str = 'in the namespace "default"') -> str:
    return (
        f'{resource} is forbidden: User "system:serviceaccount:default:runner" cannot {verb} resource "{resource}" '
        f'in API group "" {where}'
    )


# -- events:record


def stored_events(server: ApiServer) -> list[dict[str, Any]]:
    return list(server.store.list("events", "default")[0])


def test_an_event_is_recorded_once_however_often_it_is_tried(
    server: ApiServer, context: RunContext, capsys: pytest.CaptureFixture[str]
) -> None:
    events.record(context)
    events.record(context.replace(attempt=2))
    [event] = stored_events(server)
    assert event["reason"] == "PodhooksOnExit/Failed"
    assert {name: event["involvedObject"][name] for name in ("kind", "name", "uid")} == {
        "kind": "Job",
        "name": "etl",
        "uid": "uid-of-the-job",
    }
    assert capsys.readouterr().out.splitlines() == [
        "Job/etl: PodhooksOnExit/Failed recorded",
        "Job/etl: PodhooksOnExit/Failed was recorded before",
    ]


def test_an_event_whose_answer_is_lost_is_there_once(server: ApiServer, context: RunContext) -> None:
    server.faults.add(Fault(EVENTS, Action.CUT, method="POST"))
    events.record(context)
    assert len(stored_events(server)) == 1


def test_a_busy_api_is_asked_again(server: ApiServer, context: RunContext) -> None:
    server.faults.add(
        Fault(EVENTS, status=429, retry_after_seconds=1), Fault(EVENTS, status=500), Fault(EVENTS, status=503)
    )
    began = time.monotonic()
    events.record(context)
    assert time.monotonic() - began >= 1
    assert len(stored_events(server)) == 1


def test_an_api_that_never_answers_is_given_up_before_the_deadline(server: ApiServer, context: RunContext) -> None:
    server.faults.add(Fault(EVENTS, Action.HANG, times=9))
    began = time.monotonic()
    with pytest.raises(Unreachable, match="no answer in time"):
        events.record(on_exit(pod=context.pod, seconds=3))
    assert time.monotonic() - began < 3 + SLACK_SECONDS
    server.faults.clear()


def test_a_missing_right_is_named_with_the_command(server: ApiServer, context: RunContext) -> None:
    server.faults.add(Fault(EVENTS, status=403, message=forbidden("create", "events")))
    with pytest.raises(Forbidden) as caught:
        events.record(context)
    assert str(caught.value).endswith(
        "Grant it: kubectl -n default create role podhooks-events --verb=create --resource=events && "
        "kubectl -n default create rolebinding podhooks-events --role=podhooks-events --serviceaccount=default:runner"
    )


def test_a_403_that_no_role_helps_against_says_so(server: ApiServer, context: RunContext) -> None:
    ending = "unable to create new content in namespace default because it is being terminated"
    server.faults.add(Fault(EVENTS, status=403, message=ending))
    with pytest.raises(Forbidden, match=r"being terminated\. No role helps against that"):
        events.record(context)


@pytest.mark.parametrize("arguments", [{"about": "node"}, {"event_type": "Error"}, {"message": "{nothing}"}])
def test_arguments_of_an_event_are_checked(context: RunContext, arguments: dict[str, str]) -> None:
    with pytest.raises(InputError):
        events.record(context, **arguments)


def test_outside_a_pod_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (contract.ENV_API_SERVER, "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match="this is not a pod"):
        events.record(on_exit())


# -- resources:collect_available


def create(server: ApiServer, plural: str, made: dict[str, Any]) -> None:
    """With its status, which a creation alone doesn't set."""
    server.store.create(plural, made)
    metadata = made["metadata"]

    def change(stored: dict[str, Any]) -> None:
        stored["status"] = made["status"]

    server.store.mutate(plural, metadata.get("namespace"), metadata["name"], change, subresource="status")


def pod(name: str, node: str, cpu: str, phase: str = "Running", namespace: str = "default") -> dict[str, Any]:
    container = {"name": "main", "resources": {"requests": {"cpu": cpu}}}
    spec = {"containers": [container], **({"nodeName": node} if node else {})}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec, "status": {"phase": phase}}


@pytest.fixture
def nodes(server: ApiServer) -> None:
    for name, zone, taints in (("n1", "a", []), ("n2", "b", [{"key": "gpu", "effect": "NoSchedule"}])):
        status = {
            "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "10"},
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        made = {"metadata": {"name": name, "labels": {"zone": zone}}, "spec": {"taints": taints}, "status": status}
        create(server, "nodes", made)
    server.store.create("namespaces", {"metadata": {"name": "other"}})
    for each in (
        pod("runs", "n1", "500m"),
        pod("elsewhere", "n1", "1", namespace="other"),
        pod("over", "n1", "2", phase="Succeeded"),
        pod("broken", "n1", "2", phase="Failed"),
        pod("tainted", "n2", "3"),
        pod("waits", "", "700m", phase="Pending"),
        pod("gone-node", "n3", "1"),
    ):
        create(server, "pods", each)


def collected(context: RunContext, **arguments: Any) -> dict[str, Any]:
    resources.collect_available(context, **arguments)
    found: dict[str, Any] = json.loads((context.shared_dir / arguments.get("path", "resources.json")).read_text())
    return found


@pytest.mark.usefixtures("nodes")
def test_what_is_left_is_written_for_main(context: RunContext, capsys: pytest.CaptureFixture[str]) -> None:
    found = collected(context, worker={"cpu": "1200m"})
    assert found["schema"] == "podhooks.io/resources/v1"
    assert (found["scope"], found["selector"], found["pending"]) == ("cluster", "", {"cpu": 0.7, "pods": 1})
    one, two = found["nodes"]
    assert (one["name"], one["usable"], one["requested"]["cpu"], one["available"]["cpu"]) == ("n1", True, 1.5, 2.5)
    assert (two["usable"], two["why_not"], two["available"]["cpu"]) == (False, ["taint gpu:NoSchedule"], 1)
    assert (found["total"]["nodes"], found["total"]["workers"], found["total"]["available"]["pods"]) == (1, 2, 8)
    assert capsys.readouterr().out.startswith("available: cpu 2.5, memory 8589934592, pods 8; written to ")


@pytest.mark.usefixtures("nodes")
def test_nodes_can_be_selected_and_taints_tolerated(context: RunContext) -> None:
    found = collected(context, selector="zone=b", path="sub/b.json", tolerate=["gpu"])
    assert [each["name"] for each in found["nodes"]] == ["n2"]
    assert found["total"]["available"]["cpu"] == 1


@pytest.mark.usefixtures("nodes")
def test_a_list_comes_page_by_page(server: ApiServer, context: RunContext) -> None:
    collected(context)
    asked = [each.query for each in server.requests if each.path.endswith("/pods")]
    assert asked == ["fieldSelector=status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed&limit=250"]


def test_pages_are_put_together(context: RunContext, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = ({"items": [{"n": n}], "metadata": {"continue": each}} for n, each in ((1, "token of page 2"), (2, "")))
    with receiving(answer(200, json.dumps(one)), answer(503), answer(200, json.dumps(two))) as server:
        access = Access(f"http://127.0.0.1:{server.server_port}")
        with Api(access, resources.CLUSTER_GRANT, Budget(20)) as api:
            assert [each["n"] for each in api.items("/api/v1/pods", labelSelector="")] == [1, 2]
    again = "/api/v1/pods?limit=250&continue=token+of+page+2"
    assert [each.path for each in server.received] == ["/api/v1/pods?limit=250", again, again]


def test_without_the_cluster_role_the_line_has_the_commands_and_the_other_way(
    server: ApiServer, context: RunContext
) -> None:
    server.faults.add(Fault("/api/v1/nodes", status=403, message=forbidden("list", "nodes", "at the cluster scope")))
    with pytest.raises(Forbidden) as caught:
        collected(context)
    assert (
        "Grant it: kubectl create clusterrole podhooks-resources --verb=list --resource=nodes,pods && "
        "kubectl create clusterrolebinding podhooks-resources --clusterrole=podhooks-resources "
        "--serviceaccount=default:runner. Where nobody may give you that, `scope: namespace`"
    ) in str(caught.value)
    assert not (context.shared_dir / "resources.json").exists()


def test_the_namespaces_quota_needs_no_cluster_role(server: ApiServer, context: RunContext) -> None:
    with pytest.raises(CallbackError, match="namespace default has no ResourceQuota of requests"):
        collected(context, scope="namespace")
    status = {"hard": {"requests.cpu": "10", "requests.memory": "4Gi"}, "used": {"requests.cpu": "2500m"}}
    create(server, "resourcequotas", {"metadata": {"name": "q", "namespace": "default"}, "status": status})
    scoped = {"metadata": {"name": "s", "namespace": "default"}, "spec": {"scopes": ["BestEffort"]}}
    create(server, "resourcequotas", scoped | {"status": {"hard": {"requests.cpu": "1"}}})
    found = collected(context, scope="namespace", worker={"cpu": "2", "memory": "1Gi"})
    assert found["total"]["available"] == {"cpu": 7.5, "memory": 4 << 30}
    assert found["total"]["workers"] == 3
    assert {each.path for each in server.requests} == {"/api/v1/namespaces/default/resourcequotas"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"scope": "galaxy"}, "write cluster or namespace"),
        ({"scope": "namespace", "selector": "a=b"}, "knows nothing of nodes"),
        ({"worker": {"memory": "4GB"}}, "worker: '4GB' is no quantity"),
    ],
)
def test_arguments_of_the_collection_are_checked(context: RunContext, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        resources.collect_available(context, **arguments)


@pytest.mark.usefixtures("nodes")
def test_a_place_that_cannot_be_written_is_named(context: RunContext) -> None:
    with pytest.raises(CallbackError, match="can't write /proc/nothing"):
        resources.collect_available(context, path="/proc/nothing/resources.json")


# -- logs:save

CHATTER = "echo starting; seq -f %0100g 1 15000; echo the end"  # 1.5 MB


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as running:
        labelled = local_pods.pod(local_pods.container("echo from a worker"))
        labelled["metadata"]["labels"] = {"role": "worker", "job": "etl"}
        own = local_pods.pod(
            local_pods.container(CHATTER),
            local_pods.container("echo beside", name="beside"),
            init=(local_pods.container("echo before", name="setup"),),
        )
        own["metadata"]["name"] = "own"
        labelled["metadata"]["name"] = "worker"
        waiting = local_pods.pod(local_pods.container("true"), init=(local_pods.container("exit 1", name="setup"),))
        waiting["metadata"] |= {"name": "stuck", "labels": {"role": "worker"}}
        for each in (labelled, waiting, own):
            local_pods.run(running, each)
        yield running


@pytest.fixture
def mine(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RunContext:
    account = tmp_path / "account"
    account.mkdir()
    in_pod(monkeypatch, account, cluster.url, cluster.token)
    own = cluster.store.get("pods", "default", "own")
    info = PodInfo("own", "default", own["metadata"]["uid"])
    return on_exit(pod=info, shared=str(tmp_path / "shared")).replace(_pod_object=lambda: own)


def files(directory: Path) -> dict[str, bytes]:
    return {str(each.relative_to(directory)): each.read_bytes() for each in directory.rglob("*") if each.is_file()}


def test_every_container_of_the_pod_is_saved(mine: RunContext, capsys: pytest.CaptureFixture[str]) -> None:
    logs.save(mine, "logs/{job}")
    found = files(mine.shared_dir / "logs" / "etl")
    assert set(found) == {"own/setup.log", "own/main.log", "own/beside.log"}
    assert found["own/setup.log"] == b"before\n"
    lines = found["own/main.log"].splitlines()
    assert (lines[0], lines[-1], len(lines)) == (b"starting", b"the end", 15002)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "own/setup.log: 7 bytes"
    assert said[-1] == f"saved 3 of 3 logs to {mine.shared}/logs/etl"


def test_other_pods_are_found_by_labels_and_what_never_ran_is_no_failure(
    mine: RunContext, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.save(mine, str(tmp_path / "out"), ["main"], selector="role=worker")
    assert set(files(tmp_path / "out")) == {"own/main.log", "worker/main.log"}
    said = capsys.readouterr().out
    assert "no log stuck/main.log: " in said
    assert "saved 2 of 3 logs" in said


def test_bytes_and_lines_are_bounded(mine: RunContext, tmp_path: Path) -> None:
    logs.save(mine, str(tmp_path / "bytes"), ["main"], limit_bytes=12)
    logs.save(mine, str(tmp_path / "lines"), ["main"], tail_lines=2)
    assert files(tmp_path / "bytes")["own/main.log"] == b"starting\n000"
    assert files(tmp_path / "lines")["own/main.log"] == b"%0100d\nthe end\n" % 15000


def test_a_log_is_not_read_into_memory(mine: RunContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    copy = logs.copy

    def measured(chunks: Iterator[bytes], *arguments: Any) -> int:
        def each() -> Iterator[bytes]:
            for chunk in chunks:
                sizes.append(len(chunk))
                yield chunk

        return copy(each(), *arguments)

    monkeypatch.setattr(logs, "copy", measured)
    logs.save(mine, str(tmp_path / "out"), ["main"])
    assert max(sizes) <= 1 << 16
    assert sum(sizes) > 1 << 20


def test_the_run_before_is_saved_too(cluster: Cluster, mine: RunContext, tmp_path: Path) -> None:
    script = "if [ -e /data/x ]; then echo second; exit 0; fi; touch /data/x; echo first; exit 1"
    again = local_pods.pod(
        local_pods.container(script, volumeMounts=[{"name": "d", "mountPath": "/data"}]),
        restartPolicy="OnFailure",
        volumes=[{"name": "d", "emptyDir": {}}],
    )
    again["metadata"] |= {"name": "again", "labels": {"again": "yes"}}
    cluster_pod = local_pods.run(cluster, again)
    assert cluster_pod["status"]["containerStatuses"][0]["restartCount"] == 1
    logs.save(mine, str(tmp_path / "out"), ["main"], selector="again=yes", previous=True, tail_lines=1)
    found = files(tmp_path / "out")
    assert (found["again/main.log"], found["again/main.previous.log"]) == (b"second\n", b"first\n")


def test_a_log_that_breaks_off_is_read_again(cluster: Cluster, mine: RunContext, tmp_path: Path) -> None:
    cluster.apiserver.faults.add(Fault("/api/v1/namespaces/default/pods/own/log", Action.CUT))
    logs.save(mine, str(tmp_path / "out"), ["main"])
    assert files(tmp_path / "out")["own/main.log"].endswith(b"the end\n")


def test_a_log_that_never_comes_whole_has_not_its_name(cluster: Cluster, mine: RunContext, tmp_path: Path) -> None:
    cluster.apiserver.faults.add(Fault("/api/v1/namespaces/default/pods/own/log", Action.CUT, times=1000))
    soon = datetime.now(timezone.utc) + timedelta(seconds=1.5)
    with pytest.raises(Unreachable):
        logs.save(mine.replace(deadline=soon), str(tmp_path / "out"), ["main"])
    cluster.apiserver.faults.clear()
    assert "own/main.log" not in files(tmp_path / "out")


def test_a_pod_that_is_gone_is_no_failure(cluster: Cluster, mine: RunContext, tmp_path: Path) -> None:
    cluster.apiserver.faults.add(Fault("/api/v1/namespaces/default/pods/own/log", status=404, message="not found"))
    logs.save(mine, str(tmp_path / "out"), ["main"])
    assert files(tmp_path / "out") == {}


@pytest.mark.parametrize("part", ["pods/own/log", "pods"])
def test_a_missing_right_to_logs_is_named(cluster: Cluster, mine: RunContext, tmp_path: Path, part: str) -> None:
    path = f"/api/v1/namespaces/default/{part}"
    cluster.apiserver.faults.add(Fault(path, status=403, message=forbidden("get", "pods/log")))
    with pytest.raises(Forbidden) as caught:
        logs.save(mine, str(tmp_path / "out"), selector="role=worker")
    cluster.apiserver.faults.clear()
    assert "create role podhooks-save-logs --verb=get,list --resource=pods,pods/log" in str(caught.value)


def test_fsspec_writes_to_a_url(mine: RunContext, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs.save(mine, "memory://bucket/{pod}", ["main", "beside"])
    logs.save(mine, f"file://{tmp_path}/out", ["beside"])
    memory = fsspec.filesystem("memory")
    assert memory.cat("/bucket/own/own/beside.log") == b"beside\n"
    assert memory.cat("/bucket/own/own/main.log").endswith(b"15000\nthe end\n")
    assert files(tmp_path / "out") == {"own/beside.log": b"beside\n"}
    assert "saved 2 of 2 logs to memory://bucket/own" in capsys.readouterr().out
    memory.rm("/bucket", recursive=True)


BAD_TARGETS = {
    "none": ({"to": ""}, "to: give a directory"),
    "unknown scheme": ({"to": "nosuch://bucket"}, "can't write to nosuch://bucket: ValueError"),
    "backend missing": ({"to": "s3://bucket"}, "can't write to s3://bucket: "),
    "not a directory": ({"to": "/proc/self/status/x"}, "can't write to /proc/self/status/x: Not a directory"),
    "options without URL": ({"to": "/tmp/x", "storage_options": {"key": "k"}}, "storage_options: they are for URLs"),
    "no such container": ({"to": "/tmp/x", "containers": ["mian"]}, "no mian in this pod; it has setup, main, beside"),
    "bytes": ({"to": "/tmp/x", "limit_bytes": 0}, "limit_bytes: 0 is no whole number above zero"),
    "a variable": ({"to": "$NOT_SET/x"}, "to: the environment variable NOT_SET"),
}


@pytest.mark.parametrize("name", BAD_TARGETS)
def test_a_target_that_cannot_be_used_is_one_line(mine: RunContext, name: str) -> None:
    arguments, said = BAD_TARGETS[name]
    with pytest.raises(PodhooksError) as caught:
        logs.save(mine, **arguments)  # type: ignore[arg-type]
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


class Leaky(fsspec.AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A backend whose errors quote what it was given."""

    protocol = "leaky"
    cachable = False

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        raise RuntimeError(f"403 for {self.storage_options['key']}")


def test_a_backend_that_quotes_its_credentials_does_not_give_them_away(mine: RunContext) -> None:
    fsspec.register_implementation("leaky", Leaky, clobber=True)
    with pytest.raises(CallbackError, match=r"^can't write to leaky://bucket: RuntimeError: 403 for \*\*\*$"):
        logs.save(mine, "leaky://bucket", ["main"], storage_options={"key": "s3cr3t-key"})


def test_credentials_of_a_target_are_not_shown(mine: RunContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "s3cr3t-pass")
    with pytest.raises(CallbackError) as caught:
        logs.save(mine, "ftp://ann:$PASSWORD@127.0.0.1:1/logs", ["main"], storage_options={"acct": "$PASSWORD"})
    assert str(caught.value).startswith("can't write to ftp://127.0.0.1:1/***: ")
    assert "s3cr3t-pass" not in str(caught.value)
