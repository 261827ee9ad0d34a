"""Prefect for real: its server, its worker's code, and a flow's process that is killed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
import pytest

pytest.importorskip("prefect", reason="Prefect isn't installed: pip install 'podhooks[prefect]'")
pytest.importorskip("prefect_kubernetes", reason="its worker isn't installed: pip install 'podhooks[prefect]'")

from podhooks.annotations.parser import parse
from podhooks.callbacks import prefect as callbacks
from podhooks.callbacks.budget import Budget
from podhooks.callbacks.prefect_api import PrefectApi, PrefectError, PrefectSettings
from podhooks.context import ExitInfo, Hook, Owner, PodInfo, Result, RunContext
from podhooks.inject import Outcome, inject
from podhooks.local import Cluster
from podhooks.render.prefect_pool import PoolOptions, base_job_template
from tests.integration.local_pods import eventually, is_over
from tests.integration.prefect_runs import Worker, deployed_run
from tests.integration.prefect_server import Server, environment, shared_server

pytestmark = pytest.mark.timeout(300)  # starting Prefect takes half a minute on a busy machine
Json = Any
HERE = Path(__file__).parent
EXAMPLE = HERE.parents[1] / "examples" / "prefect"
POD_SECONDS = 120.0
NOW = datetime.now(timezone.utc).replace(microsecond=0)

FLOW = """
import time
from pathlib import Path
from prefect import flow

HERE = Path(__file__).parent

def crashed(flow, run, state):
    (HERE / f"{run.id}.on_crashed").touch()

def failed(flow, run, state):
    (HERE / f"{run.id}.on_failure").touch()

@flow(on_crashed=[crashed], on_failure=[failed])
def etl(how: str = "succeed"):
    from prefect.runtime import flow_run
    print("the flow says hello", flush=True)
    if how == "raise":
        raise ValueError("no such table")
    if how == "wait":
        (HERE / f"{flow_run.id}.running").touch()
        time.sleep(300)
"""
HOOKS = """
import json, os
from pathlib import Path

HERE = Path(__file__).parent

def prepare(context):
    seen = {name: os.environ.get(name) for name in ("GREETING", "PREFECT_API_URL", "PREFECT__FLOW_RUN_ID")}
    (HERE / f"{context.flow_run_id}.on_start").write_text(json.dumps(seen))

def zombie(context, channel):
    (HERE / f"{context.flow_run_id}.zombie").write_text(channel)
"""


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Server]:
    base = tmp_path_factory.getbasetemp()
    with shared_server(base if worker_id == "master" else base.parent) as running:
        yield running


@pytest.fixture(autouse=True)
def _alone(server: Server) -> Iterator[None]:
    """SQLite has one writer: whoever else is running tests here waits, and doesn't get a 503."""
    with server.turn():
        yield


@pytest.fixture(scope="session")
def worker(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    running = Worker(server, tmp_path_factory.mktemp("worker") / "log")
    yield running
    running.stop()


@pytest.fixture(scope="session")
def template(worker: Worker) -> Json:
    return base_job_template(worker.default_template, PoolOptions())


@pytest.fixture(scope="session")
def pool(server: Server, template: Json) -> str:
    return server.work_pool(template)


@pytest.fixture(scope="session")
def local_pool(server: Server, worker: Worker) -> str:
    """Of the stand-in, which runs no image's entrypoint: `env` stands for Prefect's, which runs its arguments too."""
    base = json.loads(json.dumps(worker.default_template))
    base["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]["containers"][0]["command"] = ["env"]
    return server.work_pool(base_job_template(base, PoolOptions()))


@pytest.fixture(scope="session")
def flows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("flows")
    (directory / "flow.py").write_text(FLOW)
    (directory / "hooks.py").write_text(HOOKS)
    return directory


@pytest.fixture
def cluster(server: Server, flows: Path, worker: Worker) -> Iterator[Cluster]:
    with Cluster(directory=flows, environment=environment(server.home)) as running:
        running.kubeconfig(worker.kubeconfig)
        yield running


def pod_of(job: Json) -> Json:
    return job["spec"]["template"]


def containers(job: Json) -> dict[str, Json]:
    spec = pod_of(job)["spec"]
    return {each["name"]: each for each in (*spec.get("initContainers", []), *spec["containers"])}


# -- the template ------------------------------------------------------------------------------------------------------


def test_the_command_prints_the_template_of_the_worker_installed_here(template: Json) -> None:
    command = [sys.executable, "-m", "podhooks.cli", "prefect", "base-job-template"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == template


def test_the_worker_builds_the_job_with_what_a_deployment_says(server: Server, worker: Worker, pool: str) -> None:
    on_exit = json.dumps([{"call": "a.b:c", "with": {"x": "{y}"}}, "d:e"])
    variables = {
        "on_start": "hooks:prepare, hooks:check",
        "on_exit": on_exit,
        "on_exit_timeout": "1m30s",
        "on_exit_retries": 4,
        "on_exit_reserve": "3m",
        "on_exit_guarantee": "cluster",
        "termination_grace_period_seconds": 210,
        "callback_env_from": [{"secretRef": {"name": "prefect"}}],
        "callback_api_auth_string_from": {"configMapKeyRef": {"name": "c", "key": "auth"}},
        "image": "etl:7",
        "env": {"GREETING": "hello"},
        "annotations": {"example.com/team": "data"},
    }
    job = worker.job(pool, variables)
    annotations = pod_of(job)["metadata"]["annotations"]
    assert annotations["podhooks.io/on-start"] == "hooks:prepare, hooks:check"
    assert annotations["podhooks.io/on-exit"] == on_exit
    assert annotations["podhooks.io/on-exit-timeout"] == "1m30s"
    assert annotations["podhooks.io/on-exit-retries"].strip() == "4"
    assert annotations["podhooks.io/on-start-policy"] == "fail"
    assert annotations["example.com/team"] == "data"
    assert pod_of(job)["metadata"]["labels"]["podhooks.io/guarantee"] == "cluster"
    assert all(isinstance(value, str) for value in annotations.values())
    assert pod_of(job)["spec"]["terminationGracePeriodSeconds"] == 210
    found = containers(job)
    assert list(found) == ["on-exit", "on-start", "prefect-job"]
    assert {each["image"] for each in found.values()} == {"etl:7"}
    main = {each["name"]: each["value"] for each in found["prefect-job"]["env"]}
    assert main["GREETING"] == "hello"
    assert main["PODHOOKS_SHARED_DIR"] == "/podhooks/shared"
    assert main["PREFECT_API_URL"] == server.url
    for name in ("on-start", "on-exit"):
        variables = {each["name"]: each.get("value") for each in found[name]["env"]}
        assert variables["PODHOOKS_GRACE_SECONDS"] == "210.0"
        assert variables["PODHOOKS_INHERIT_ENVIRONMENT"] == "1"
        assert found[name]["envFrom"] == [{"secretRef": {"name": "prefect"}}]
        assert variables["PODHOOKS_BACKOFF_LIMIT"] == "0.0"
        assert variables["PODHOOKS_OTHERWISE_PREFECT_API_URL"] == ""
        sources = {each["name"]: each["valueFrom"] for each in found[name]["env"] if "valueFrom" in each}
        chart = {"secretKeyRef": {"name": "prefect-api-key", "key": "key", "optional": True}}
        assert sources["PODHOOKS_OTHERWISE_PREFECT_API_KEY"] == chart
        assert sources["PODHOOKS_OTHERWISE_PREFECT_API_AUTH_STRING"] == {
            "configMapKeyRef": {"name": "c", "key": "auth"}
        }
        assert found[name]["resources"]["requests"] == {"cpu": "10m", "memory": "32Mi"}
    assert "{{" not in json.dumps(job)


def test_a_deployment_that_says_nothing_has_hooks_without_callbacks(worker: Worker, pool: str) -> None:
    job = worker.job(pool, {})
    plan, findings = parse(pod_of(job)["metadata"]["annotations"])
    assert plan.empty
    assert [each.code for each in findings] == ["no-callbacks", "no-callbacks"]
    assert {each.severity.value for each in findings} == {"warning"}


def test_annotations_only_leaves_the_containers_to_the_webhook(server: Server, worker: Worker) -> None:
    pool = server.work_pool(base_job_template(worker.default_template, PoolOptions(annotations_only=True)))
    bare = worker.job(pool, {})
    assert list(containers(bare)) == ["prefect-job"]
    assert inject(pod_of(bare))[1].outcome is Outcome.SKIPPED
    variables = {"on_exit": "a:b", "callback_mode": "classic", "on_exit_policy": "fail", "env": {"GREETING": "hello"}}
    pod, report = inject(pod_of(worker.job(pool, variables)))
    assert report.outcome is Outcome.INJECTED, report
    assert [each.code for each in report.findings] == ["no-callbacks"]  # of on_start
    on_exit = next(each for each in pod["spec"]["containers"] if each["name"] == "on-exit")
    assert {"name": "GREETING", "value": "hello"} in on_exit["env"]
    assert pod["spec"]["terminationGracePeriodSeconds"] == 60


def test_a_webhook_makes_the_containers_of_the_template_anew(worker: Worker, pool: str) -> None:
    variables = {"on_exit": "a:b, c:d, e:f", "on_exit_reserve": "90s", "env": {"GREETING": "hello"}}
    pod, report = inject(pod_of(worker.job(pool, variables)))
    assert report.outcome is Outcome.UPDATED, report
    on_exit = next(each for each in pod["spec"]["initContainers"] if each["name"] == "on-exit")
    names = [each["name"] for each in on_exit["env"]]
    assert "GREETING" in names
    assert "PODHOOKS_INHERIT_ENVIRONMENT" not in names
    assert pod["spec"]["terminationGracePeriodSeconds"] == 120


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"on_exit": ["a:b"]}, "on_exit"),
        ({"on_exit": ""}, "should be non-empty"),
        ({"on_exit_policy": "fail"}, "is not one of ['ignore']"),
        ({"on_exit_timeout": "20"}, "does not match"),
        ({"on_start_retries": 101}, "greater than the maximum of 100"),
        ({"callback_api_key_from": {"secretKeyRef": {"name": "prefect"}}}, "does not have enough properties"),
        ({"callback_api_key_from": {"secretRef": {"name": "prefect"}}}, "Additional properties are not allowed"),
    ],
)
def test_prefect_refuses_wrong_variables_when_the_deployment_is_made(
    server: Server, pool: str, variables: Json, said: str
) -> None:
    answer = server.deployment(pool, variables, expect=(422,))
    assert said in answer["detail"]


# -- pods --------------------------------------------------------------------------------------------------------------


def pods_of(cluster: Cluster, run: str) -> list[Json]:
    found: list[Json] = cluster.store.list("pods", "default", labels=f"prefect.io/flow-run-id={run}")[0]
    return found


def pod_after(cluster: Cluster, run: str) -> Json:
    """The flow run's pod when it is over."""
    eventually(lambda: any(is_over(each) for each in pods_of(cluster, run)), POD_SECONDS)
    return pods_of(cluster, run)[0]


def said_by(cluster: Cluster, pod: Json, container: str) -> str:
    return b"".join(cluster.logs("default", pod["metadata"]["name"], container)).decode()


def processes_of(run: str) -> list[psutil.Process]:
    """Main's own: our containers have no PREFECT__FLOW_RUN_ID in a pod of the template."""
    everyone = psutil.Process().children(recursive=True)
    return [each for each in everyone if environment_of(each).get("PREFECT__FLOW_RUN_ID") == run]


def environment_of(process: psutil.Process) -> dict[str, str]:
    """Empty for one that has just ended."""
    try:
        return process.environ()
    except psutil.Error:
        return {}


def test_a_killed_flow_is_crashed_within_seconds_and_its_cause_is_told(
    server: Server, worker: Worker, local_pool: str, flows: Path, cluster: Cluster
) -> None:
    ours = "podhooks.callbacks.prefect"
    on_exit = [
        {"call": f"{ours}:notify_zombie", "with": {"call": "hooks:zombie", "arguments": {"channel": "ops"}}},
        f"{ours}:mark_crashed",
        f"{ours}:report_exit",
    ]
    variables = {"on_start": "hooks:prepare", "on_exit": json.dumps(on_exit), "env": {"GREETING": "hello"}}
    run = deployed_run(server, local_pool, variables, flows, parameters={"how": "wait"})
    worker.create_job(local_pool, run)
    eventually((flows / f"{run}.running").exists, POD_SECONDS)
    assert server.state(run)["type"] == "RUNNING"
    # Prefect's own process passes on what the flow's prints: killed with it, it may not get to that
    eventually(lambda: "the flow says hello" in said_by(cluster, pods_of(cluster, run)[0], "prefect-job"), POD_SECONDS)
    for each in processes_of(run):
        with contextlib.suppress(psutil.NoSuchProcess):  # one ends when its parent does
            each.send_signal(signal.SIGKILL)
    killed_at = datetime.now(timezone.utc)
    eventually(lambda: server.state(run)["type"] == "CRASHED", POD_SECONDS)
    pod = pod_after(cluster, run)
    state = server.state(run)
    assert state["name"] == "Crashed", said_by(cluster, pod, "on-exit")
    assert "exit code 137, SIGKILL" in state["message"]
    assert f"pod default/{pod['metadata']['name']}" in state["message"]
    took = datetime.fromisoformat(state["timestamp"].replace("Z", "+00:00")) - killed_at
    assert took < timedelta(seconds=20), took  # about one second on a machine with nothing else to do
    seen = json.loads((flows / f"{run}.on_start").read_text())
    assert seen == {"GREETING": "hello", "PREFECT_API_URL": server.url, "PREFECT__FLOW_RUN_ID": run}
    assert (flows / f"{run}.zombie").read_text() == "ops"
    assert not (flows / f"{run}.on_crashed").exists(), "Prefect's own hook died with the process"
    [artifact] = server.artifacts(run)
    assert "| Exit code | 137 |" in artifact["data"]
    assert "the flow says hello" in artifact["data"]
    eventually(lambda: len(server.events("podhooks.main.ended", run)) == 1)


def test_a_flow_that_fails_by_itself_is_left_to_prefect_and_its_hooks(
    server: Server, worker: Worker, local_pool: str, flows: Path, cluster: Cluster
) -> None:
    variables = {"on_exit": "podhooks.callbacks.prefect:mark_crashed"}
    run = deployed_run(server, local_pool, variables, flows, parameters={"how": "raise"})
    worker.create_job(local_pool, run)
    pod = pod_after(cluster, run)
    assert "is left alone: it is Failed already" in said_by(cluster, pod, "on-exit")
    assert server.state(run)["type"] == "FAILED"
    assert "no such table" in server.state(run)["message"]
    assert (flows / f"{run}.on_failure").exists()


def test_hooks_without_callbacks_do_no_harm(
    server: Server, worker: Worker, local_pool: str, flows: Path, cluster: Cluster
) -> None:
    run = deployed_run(server, local_pool, {}, flows)
    worker.create_job(local_pool, run)
    pod = pod_after(cluster, run)
    assert pod["status"]["phase"] == "Succeeded"
    assert server.state(run)["type"] == "COMPLETED"


def test_the_example(server: Server, worker: Worker, local_pool: str, cluster: Cluster) -> None:
    deploy = [sys.executable, str(EXAMPLE / "deploy.py"), local_pool]
    done = subprocess.run(deploy, env=environment(server.home, server.url), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    deployment = server.ask("GET", "/deployments/name/etl/with-callbacks")
    run = str(server.ask("POST", f"/deployments/{deployment['id']}/create_flow_run", {})["id"])
    server.set_state(run, "PENDING")
    worker.create_job(local_pool, run)
    pod = pod_after(cluster, run)
    assert "working on 3 rows" in said_by(cluster, pod, "prefect-job")
    assert server.state(run)["type"] == "COMPLETED"
    [artifact] = server.artifacts(run)
    assert "| Result | **Succeeded** |" in artifact["data"]


# -- the callbacks against the server's rules --------------------------------------------------------------------------


@pytest.fixture
def api(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    for name in list(os.environ):
        if name.startswith("PREFECT"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_API_URL", server.url)
    return server


def context(run: str, **changes: Any) -> RunContext:
    end = ExitInfo(
        Result.OOM_KILLED,
        exit_code=137,
        signal=9,
        reason="OOMKilled",
        started_at=NOW - timedelta(hours=1),
        finished_at=NOW,
        container="prefect-job",
        _log_tail=lambda lines: "last | words\n"[: lines * 100],
    )
    known: dict[str, Any] = {
        "hook": Hook.ON_EXIT,
        "callback": "podhooks.callbacks.prefect:mark_crashed",
        "pod": PodInfo("etl-x7", "flows", str(uuid.uuid4()), node="node-3"),
        "main_container": "prefect-job",
        "idempotency_key": f"{uuid.uuid4()}/on-exit/1",
        "shared": "/podhooks/shared",
        "owner": Owner("Job", "etl"),
        "flow_run_id": run,
        "exit": end,
    }
    return RunContext(**{**known, **changes})


@pytest.mark.parametrize(
    ("states", "becomes", "said"),
    [
        (["RUNNING"], "CRASHED", "is Crashed now"),
        ([], "CRASHED", "is Crashed now"),  # Pending: main died before the flow began
        (["CANCELLING"], "CANCELLED", "is Cancelled now"),
        (["COMPLETED"], "COMPLETED", "it is Completed already"),
        (["FAILED"], "FAILED", "it is Failed already"),
        (["CANCELLED"], "CANCELLED", "it is Cancelled already"),
        (["CRASHED"], "CRASHED", "it is Crashed already"),
        (["RUNNING", {"type": "SCHEDULED", "name": "AwaitingRetry"}], "SCHEDULED", "it is AwaitingRetry: it will run"),
        (["SCHEDULED"], "SCHEDULED", "it is Scheduled: it will run"),
        (["RUNNING", {"type": "PAUSED", "name": "Suspended"}], "PAUSED", "it is Suspended: it may be resumed"),
        (["RUNNING", "PENDING"], "PENDING", "it is Pending again"),
    ],
)
def test_what_becomes_of_a_run_in_each_state(
    api: Server, capsys: pytest.CaptureFixture[str], states: list[Any], becomes: str, said: str
) -> None:
    run = api.flow_run(*states)
    before = api.state(run)["id"]
    callbacks.mark_crashed(context(run))
    assert said in capsys.readouterr().out
    assert api.state(run)["type"] == becomes
    assert (api.state(run)["id"] == before) == ("now" not in said)


def test_what_the_page_says_ends_a_run_by_hand_does(api: Server) -> None:
    page = (Path(__file__).parents[2] / "docs" / "prefect.md").read_text(encoding="utf-8")
    command = re.search(r"^\$ (curl .*)$", page, re.MULTILINE)
    assert command is not None
    _, _, url, _, _, _, body = shlex.split(command[1])
    run = api.flow_run("RUNNING")
    api.ask("POST", url.removeprefix("$PREFECT_API_URL").replace("ID", run), json.loads(body))
    assert api.state(run)["type"] == "CRASHED"


def test_the_message_tells_the_cause(api: Server) -> None:
    run = api.flow_run("RUNNING")
    callbacks.mark_crashed(context(run))
    assert api.state(run)["message"] == (
        "The flow's process ended: OOMKilled (exit code 137, SIGKILL); container prefect-job of pod flows/etl-x7 "
        "on node node-3"
    )


def test_marking_twice_is_marking_once(api: Server, capsys: pytest.CaptureFixture[str]) -> None:
    run, same = api.flow_run("RUNNING"), None
    same = context(run)
    callbacks.mark_crashed(same)
    first = api.state(run)
    callbacks.mark_crashed(same)
    assert api.state(run) == first
    assert "it is Crashed already" in capsys.readouterr().out


def test_the_server_takes_the_same_transition_only_once(api: Server) -> None:
    """A request whose answer was lost is sent again: Prefect knows it by the transition's id."""
    run = api.flow_run("RUNNING")
    client = PrefectApi(PrefectSettings.from_environ({"PREFECT_API_URL": api.url}), Budget(20))
    state = {"type": "CRASHED", "state_details": {"transition_id": str(uuid.uuid4())}}
    assert [client.set_state(run, state)["status"] for _ in range(2)] == ["ACCEPT", "REJECT"]


def test_a_run_that_another_job_has_taken_over_is_left_alone(api: Server, capsys: pytest.CaptureFixture[str]) -> None:
    run = api.flow_run("RUNNING")
    api.ask("PATCH", f"/flow_runs/{run}", {"infrastructure_pid": "flows:etl-second"})
    callbacks.mark_crashed(context(run))
    assert "in another place: flows:etl-second" in capsys.readouterr().out
    assert api.state(run)["type"] == "RUNNING"
    api.ask("PATCH", f"/flow_runs/{run}", {"infrastructure_pid": "flows:etl"})
    callbacks.mark_crashed(context(run))
    assert api.state(run)["type"] == "CRASHED"


def test_a_run_whose_job_kubernetes_retries_is_left_alone(api: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """backoff_limit above 0: the worker writes it into main's environment."""
    run = api.flow_run("RUNNING")
    env = [{"name": "PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR", "value": "relinquish"}]
    pod = {"spec": {"containers": [{"name": "prefect-job", "env": env}]}}
    callbacks.mark_crashed(context(run, _pod_object=lambda: pod))
    assert "Kubernetes retries its Job" in capsys.readouterr().out
    assert api.state(run)["type"] == "RUNNING"


@pytest.mark.parametrize(("limit", "state"), [("3.0", "RUNNING"), ("0.0", "CRASHED")])
def test_the_templates_backoff_limit_decides_where_main_does_not_show_it(
    api: Server, monkeypatch: pytest.MonkeyPatch, limit: str, state: str
) -> None:
    """Workers before 0.8 tell main nothing, and the environment may be in a Secret."""
    run = api.flow_run("RUNNING")
    monkeypatch.setenv("PODHOOKS_BACKOFF_LIMIT", limit)
    callbacks.mark_crashed(context(run))
    assert api.state(run)["type"] == state


def test_a_main_that_succeeded_without_finishing_its_run_is_a_crash(api: Server) -> None:
    run = api.flow_run("RUNNING")
    callbacks.mark_crashed(context(run, exit=ExitInfo(Result.SUCCEEDED, exit_code=0, container="prefect-job")))
    assert api.state(run)["type"] == "CRASHED"
    assert "ended well but left its run unfinished" in api.state(run)["message"]


def test_a_run_that_is_gone_is_one_clear_error(api: Server) -> None:
    with pytest.raises(PrefectError, match=r"doesn't know flow run .* \(404\)"):
        callbacks.mark_crashed(context(str(uuid.uuid4())))


def test_reporting_twice_makes_one_artifact_and_one_event(api: Server, capsys: pytest.CaptureFixture[str]) -> None:
    run = api.flow_run("RUNNING")
    same = context(run)
    for _ in range(2):
        callbacks.report_exit(same)
    assert "is there already" in capsys.readouterr().out
    [artifact] = api.artifacts(run)
    assert artifact["key"] == "podhooks-exit"
    assert artifact["type"] == "markdown"
    assert "| Result | **OOMKilled** |" in artifact["data"]
    assert "| Flow run | **Running** |" in artifact["data"]
    assert "```\nlast | words\n```" in artifact["data"]
    eventually(lambda: bool(api.events("podhooks.main.ended", run)))
    [event] = api.events("podhooks.main.ended", run)
    assert event["payload"]["exit"]["exit_code"] == 137
    assert event["payload"]["flow_run"] == {"id": run, "state": {"type": "RUNNING", "name": "Running"}}
    assert event["payload"]["log_tail"] == "last | words\n"


@pytest.mark.parametrize(
    ("state", "states", "called"),
    [
        ({"type": "FAILED", "name": "TimedOut"}, ["timedout"], True),
        ({"type": "FAILED", "name": "TimedOut"}, ["FAILED", "CRASHED"], True),
        ({"type": "COMPLETED", "name": "Completed"}, ["FAILED", "CRASHED"], False),
    ],
)
def test_a_callback_may_go_by_the_flows_own_end(
    api: Server, capsys: pytest.CaptureFixture[str], state: Json, states: list[str], called: bool
) -> None:
    """The process of a flow that failed ends with 0, so `when: failure` doesn't know of it."""
    run = api.flow_run(state)
    well = context(run, exit=ExitInfo(Result.SUCCEEDED, exit_code=0, container="prefect-job"))
    callbacks.when_state(well, states=states, call="podhooks.callbacks.prefect:report_exit", arguments={"event": False})
    assert (f"artifact podhooks-exit of flow run {run} created" in capsys.readouterr().out) is called
    assert len(api.artifacts(run)) == called
    if called:
        assert "| Flow run | **TimedOut** |" in api.artifacts(run)[0]["data"]


class Inbox(HTTPServer):
    """A webhook that keeps what it is told."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, Json]] = []
        super().__init__(("127.0.0.1", 0), Receiver)


class Receiver(BaseHTTPRequestHandler):
    server: Inbox

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.messages.append((self.headers["Idempotency-Key"], body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with Inbox() as running:
        thread = Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_a_zombie_is_told_about_and_a_run_that_ended_is_not(
    api: Server, inbox: Inbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ZOMBIES", f"http://127.0.0.1:{inbox.server_port}/secret-path")
    over = context(api.flow_run("COMPLETED"))
    callbacks.notify_zombie(over, url_env="ZOMBIES")
    assert inbox.messages == []
    run = api.flow_run("RUNNING")
    about = context(run)
    callbacks.notify_zombie(about, url_env="ZOMBIES")
    [(key, message)] = inbox.messages
    assert key == about.idempotency_key
    assert message["flow_run"]["id"] == run
    assert message["flow_run"]["state"] == "Running"
    assert message["exit"]["result"] == "OOMKilled"
    assert "is still Running but its process is gone" in message["text"]
    assert api.state(run)["type"] == "RUNNING"
    assert "secret-path" not in capsys.readouterr().out
