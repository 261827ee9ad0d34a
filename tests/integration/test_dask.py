"""Callbacks for Dask on real Dask processes, run by the real runner in pods of the embedded stand-in."""

from __future__ import annotations

import functools
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from podhooks import contract
from podhooks.callbacks import dask
from podhooks.context import Hook, PodInfo, RunContext
from podhooks.environments.dask_cluster import ClusterSpec, cluster_objects, own_cluster
from podhooks.errors import CallbackError, InputError
from podhooks.inject import inject
from podhooks.local import Cluster
from podhooks.local.apiserver import Action, ApiServer, Fault
from podhooks.local.store import Store
from tests.integration import local_pods
from tests.integration.dask_cluster import DaskProcesses
from tests.integration.runs import Run, in_order

CLUSTERS = "/apis/kubernetes.dask.org/v1/namespaces/default/daskclusters"
HOOKS = """
from distributed import WorkerPlugin

class Mark(WorkerPlugin):
    def __init__(self, path):
        self.path = path
    def setup(self, worker):
        with open(self.path, "a") as file:
            file.write(f"plugin on {worker.name}\\n")

def broadcast(path, dask_worker):
    with open(path, "a") as file:
        file.write(f"setup on {dask_worker.name}\\n")

def fails():
    raise RuntimeError("no licence here")

class NoPlugin:
    pass
"""
MAIN = """
import os
from distributed import Client
with Client(os.environ["DASK_SCHEDULER_ADDRESS"]) as client:
    print(sum(client.gather(client.map(square := (lambda x: x * x), range(10), key="square"))))
"""


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskProcesses]:
    found = DaskProcesses(tmp_path_factory.mktemp("dask"))
    yield found
    found.stop()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(directory=tmp_path_factory.mktemp("work")) as running:
        yield running


@pytest.fixture
def hooks(tmp_path: Path) -> str:
    """The path of a file of this test's own."""
    path = tmp_path / f"hooks_{tmp_path.name}.py"
    path.write_text(HOOKS)
    return str(path)


def context(hook: Hook = Hook.ON_START, seconds: float = 20, shared: Path | str = "/none", **labels: str) -> RunContext:
    return RunContext(
        hook=hook,
        callback="c",
        pod=PodInfo("p", "default", "u", labels={key.replace("_", "-"): value for key, value in labels.items()}),
        main_container="main",
        idempotency_key="k",
        shared=str(shared),
        deadline=datetime.now(timezone.utc) + timedelta(seconds=seconds),
    )


def pod(address: str, main: str, on_start: list[Any], on_exit: list[Any], **annotations: str) -> dict[str, Any]:
    """Injected."""
    made = local_pods.pod(local_pods.python(main, env=[{"name": contract.ENV_SCHEDULER, "value": address}]))
    hooks = {contract.ON_START: on_start, contract.ON_EXIT: on_exit}
    lists = {name: json.dumps(callbacks) for name, callbacks in hooks.items() if callbacks}
    made["metadata"]["annotations"] = {**lists, **annotations}
    result, report = inject(made)
    assert report.findings == ()
    return result


def call(function: str, /, **arguments: Any) -> dict[str, Any]:
    return (
        {"call": f"podhooks.callbacks.dask:{function}", "with": arguments}
        if arguments
        else {"call": f"podhooks.callbacks.dask:{function}"}
    )


def eventually_in(path: Path, *lines: str) -> None:
    local_pods.eventually(lambda: path.exists() and set(lines) <= set(path.read_text().splitlines()))


def ended(cluster: Cluster, manifest: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The last state of a pod that was run to its end, and what all its containers said."""
    over = local_pods.run(cluster, manifest)
    name = over["metadata"]["name"]
    said = [
        local_pods.output(cluster, name, of) for of in ("on-start", "main", "on-exit") if local_pods.has_run(of)(over)
    ]
    return over, "".join(said)


class TestInAPod:
    def test_what_on_start_registers_is_on_present_and_later_workers_and_diagnostics_tell_of_the_work(
        self, cluster: Cluster, processes: DaskProcesses, hooks: str, tmp_path: Path
    ) -> None:
        present, marks, kept = processes.add_worker(), tmp_path / "marks", tmp_path / "kept"
        on_start = [
            call("wait_for_workers", count=1),
            call("register_worker_plugin", plugin=f"{hooks}:Mark", arguments={"path": str(marks)}, name="mark"),
            call("register_worker_callbacks", setup=f"{hooks}:broadcast", arguments={"path": str(marks)}),
            call("collect_diagnostics"),
        ]
        manifest = pod(processes.address, MAIN, on_start, [call("collect_diagnostics", to=str(kept))])
        over, said = ended(cluster, manifest)
        assert over["status"]["phase"] == "Succeeded", said
        assert "285" in said  # main's own work
        assert "mark is on " in said
        eventually_in(marks, f"plugin on {present}", f"setup on {present}")

        later = processes.add_worker()
        eventually_in(marks, f"plugin on {later}", f"setup on {later}")

        tasks = json.loads((kept / "task-stream.json").read_text())
        assert len([each for each in tasks if "square" in str(each["key"])]) == 10
        memories = json.loads((kept / "memory.json").read_text())["workers"].values()
        assert {each["name"] for each in memories} >= {present}
        assert all(each["memory"] > 1 << 20 for each in memories)
        report = (kept / "performance-report.html").read_text()
        assert "<html" in report
        assert "Task Stream" in report

    def test_a_scheduler_that_never_answers_costs_the_timeout_only(self, cluster: Cluster) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
            timeout = {contract.ON_START_TIMEOUT: "8s"}
            manifest = pod(address, "print('main')", [call("wait_for_workers", count=1)], [], **timeout)
            began = time.monotonic()
            over, said = ended(cluster, manifest)
        assert over["status"]["phase"] == "Failed"
        assert f"no Dask scheduler answers at {address} (from DASK_SCHEDULER_ADDRESS)" in said
        assert "Traceback" not in said
        assert time.monotonic() - began < 30

    def test_the_cluster_of_a_main_that_was_killed_is_deleted(self, cluster: Cluster) -> None:
        for name in ("mine", "other"):
            cluster.store.create("daskclusters", dask_cluster(name))
        leave_name = "open(os.environ['PODHOOKS_SHARED_DIR'] + '/cluster', 'w').write('mine')"
        main = f"import os; {leave_name}; os.kill(os.getpid(), 9)"
        manifest = pod("tcp://none:1", main, [], [call("delete_cluster", name_file="cluster")])
        _, said = ended(cluster, manifest)
        assert "DaskCluster default/mine (from cluster): deleted" in said
        assert [each["metadata"]["name"] for each in cluster.store.list("daskclusters", "default")[0]] == ["other"]


def test_the_example_runs(processes: DaskProcesses) -> None:
    present(processes, 2)
    manifest = Path(__file__).parents[2] / "examples" / "dask" / "job.yaml"
    ran = Run(str(manifest), "-e", f"{contract.ENV_SCHEDULER}={processes.address}")
    assert ran.end() == 0, ran.output
    assert in_order(
        ran.lines,
        "2 or more workers are on ",
        "workers:warm_up ran on ",
        "main: the sum is 328350",
        "/diagnostics/performance-report.html: ",
    ), ran.output


class TestPlugins:
    def test_a_module_that_workers_lack_is_named_and_later_workers_start_all_the_same(
        self, processes: DaskProcesses, hooks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.syspath_prepend(str(tmp_path))
        module = Path(hooks).stem
        present(processes, 1)
        with pytest.raises(CallbackError, match=rf"No module named .*{module}.*`travels: true`"):
            dask.register_worker_plugin(
                context(), f"{module}:Mark", arguments={"path": "/none"}, scheduler=processes.address
            )
        before = len(processes.workers)
        processes.add_worker()
        present(processes, before + 1)
        dask.register_worker_plugin(
            context(),
            f"{module}:Mark",
            arguments={"path": str(tmp_path / "marks")},
            scheduler=processes.address,
            travels=True,
        )
        assert "plugin on worker-" in (tmp_path / "marks").read_text()

    def test_a_retry_registers_nothing_twice(self, processes: DaskProcesses, hooks: str, tmp_path: Path) -> None:
        present(processes, 1)
        for _ in range(2):
            dask.register_worker_callbacks(
                context(),
                f"{hooks}:broadcast",
                arguments={"path": str(tmp_path / "marks")},
                scheduler=processes.address,
            )
        processes_before = (tmp_path / "marks").read_text().splitlines()
        later = processes.add_worker()
        eventually_in(tmp_path / "marks", f"setup on {later}")
        assert (tmp_path / "marks").read_text().splitlines()[len(processes_before) :] == [f"setup on {later}"]

    def test_what_fails_on_a_worker_is_said_in_one_line(self, processes: DaskProcesses, hooks: str) -> None:
        present(processes, 1)
        with pytest.raises(CallbackError, match=r"a worker can't use .*:fails: RuntimeError: no licence here"):
            dask.register_worker_callbacks(context(), f"{hooks}:fails", scheduler=processes.address)

    @pytest.mark.parametrize(
        ("function", "arguments", "said"),
        [
            ("register_worker_plugin", {"plugin": "HOOKS:NoPlugin"}, "is no distributed.WorkerPlugin or NannyPlugin"),
            ("register_worker_plugin", {"plugin": "HOOKS:Mrak"}, "did you mean 'Mark'"),
            ("register_worker_plugin", {"plugin": "HOOKS:Mark"}, "needs an argument 'path'; give it in `arguments`"),
            ("register_worker_plugin", {"plugin": 3}, "write package.module:name"),
            ("register_worker_callbacks", {"setup": "HOOKS:broadcast", "arguments": {"pth": 1}}, "did you mean 'path'"),
            ("register_worker_callbacks", {"setup": "HOOKS:broadcast", "arguments": [1]}, "is no mapping"),
            ("wait_for_workers", {"count": 0}, "count: 0 is no number of workers"),
            ("wait_for_workers", {"count": 1, "timeout": "soon"}, "timeout: 'soon' is no duration"),
        ],
    )
    def test_bad_input_is_named_before_anything_is_asked(
        self, hooks: str, function: str, arguments: dict[str, Any], said: str
    ) -> None:
        given = {
            key: value.replace("HOOKS", hooks) if isinstance(value, str) else value for key, value in arguments.items()
        }
        with pytest.raises(InputError) as caught:
            getattr(dask, function)(context(), scheduler="tcp://127.0.0.1:1", **given)
        assert said in str(caught.value)


def present(processes: DaskProcesses, count: int) -> None:
    """At least that many workers."""
    while len(processes.workers) < count:
        processes.add_worker()
    dask.wait_for_workers(context(seconds=45), count, scheduler=processes.address)


class TestWaiting:
    def test_fewer_workers_than_wanted_are_counted(self, processes: DaskProcesses) -> None:
        present(processes, 1)
        began = time.monotonic()
        with pytest.raises(CallbackError, match=r"[1-9] of 99 workers came to the Dask scheduler at .* wait longer"):
            dask.wait_for_workers(context(), 99, "5s", scheduler=processes.address)
        assert time.monotonic() - began < 30

    @pytest.mark.parametrize("hook", list(Hook))
    def test_a_scheduler_that_is_gone_is_said_in_one_line(self, hook: Hook, tmp_path: Path) -> None:
        call_it: Callable[[], None]
        if hook is Hook.ON_START:
            call_it = lambda: dask.wait_for_workers(context(hook, 2), 1, scheduler="127.0.0.1:1")  # noqa: E731
        else:
            call_it = lambda: dask.collect_diagnostics(context(hook, 2, tmp_path), scheduler="127.0.0.1:1")  # noqa: E731
        with pytest.raises(CallbackError, match=r"^no Dask scheduler answers at tcp://127.0.0.1:1 .*\Z"):
            call_it()


class TestDiagnostics:
    def test_workers_that_died_or_hang_cost_nothing_but_what_they_alone_know(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        own = DaskProcesses(tmp_path)
        try:
            dead, hanging = own.add_worker(), own.add_worker()
            dask.wait_for_workers(context(seconds=45), 2, scheduler=own.address)
            own.workers[dead].send_signal(signal.SIGKILL)
            own.workers[hanging].send_signal(signal.SIGSTOP)
            dask.collect_diagnostics(context(Hook.ON_EXIT, 5, tmp_path), scheduler=own.address)
            workers = json.loads((tmp_path / "dask" / "memory.json").read_text())["workers"].values()
            assert hanging in [each["name"] for each in workers]
            assert (tmp_path / "dask" / "task-stream.json").exists()
            assert (
                "performance-report.html is missing: a worker or the scheduler didn't answer" in capsys.readouterr().out
            )

            own.scheduler.send_signal(signal.SIGSTOP)
            with pytest.raises(CallbackError, match="no Dask scheduler answers"):
                dask.collect_diagnostics(context(Hook.ON_EXIT, 2, tmp_path), scheduler=own.address)
        finally:
            own.stop()

    def test_a_place_that_cannot_be_written_is_named(self, processes: DaskProcesses, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(CallbackError, match=r"to: .*file/x can't be made: Not a directory; mount a volume there"):
            dask.collect_diagnostics(
                context(Hook.ON_EXIT, 10), str(tmp_path / "file" / "x"), scheduler=processes.address
            )


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """An API server that the callbacks find as they would in a pod."""
    with ApiServer(Store()) as running:
        (tmp_path / "token").write_text(running.token)
        monkeypatch.setenv(contract.ENV_API_SERVER, running.url)
        monkeypatch.setenv(contract.ENV_SERVICE_ACCOUNT_DIR, str(tmp_path))
        monkeypatch.delenv(contract.ENV_SCHEDULER, raising=False)
        yield running
        running.faults.clear()


def dask_cluster(name: str, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kubernetes.dask.org/v1",
        "kind": "DaskCluster",
        "metadata": {"name": name, "namespace": "default", **metadata},
        "spec": {"worker": {"replicas": 1}},
    }


class TestDeletion:
    def test_what_is_gone_or_going_is_fine(self, server: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
        store: Store = server.store
        store.create("daskclusters", dask_cluster("etl", finalizers=["dask.org/hold"]))
        labels = {"dask.org/cluster-name": "etl"}
        told = context(Hook.ON_EXIT).replace(pod=PodInfo("p", "default", "u", labels=labels))
        dask.delete_cluster(told)
        dask.delete_cluster(told)
        store.mutate("daskclusters", "default", "etl", lambda each: each["metadata"].pop("finalizers"), subresource="")
        dask.delete_cluster(told)
        assert [line.rpartition(": ")[2] for line in capsys.readouterr().out.splitlines()] == [
            "being deleted",
            "being deleted",
            "gone already",
        ]

    def test_a_main_that_made_no_cluster_leaves_none(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        dask.delete_cluster(context(Hook.ON_EXIT, shared=tmp_path), name_file="cluster")
        assert "nothing to delete" in capsys.readouterr().out

    @pytest.mark.parametrize("status", [409, 429, 500, 503])
    def test_a_busy_server_is_asked_again(self, server: ApiServer, status: int) -> None:
        server.store.create("daskclusters", dask_cluster("etl"))
        server.faults.add(Fault(CLUSTERS, Action.ANSWER, status=status, times=2))
        dask.delete_cluster(context(Hook.ON_EXIT), "etl")
        assert server.store.list("daskclusters", "default")[0] == []

    @pytest.mark.parametrize("status", [409, 429])
    def test_a_server_that_stays_busy_costs_the_timeout_only(self, server: ApiServer, status: int) -> None:
        server.faults.add(Fault(CLUSTERS, Action.ANSWER, status=status, times=10_000))
        began = time.monotonic()
        with pytest.raises(
            CallbackError, match=r"DaskCluster etl isn't deleted.*kubectl -n default delete daskclusters etl"
        ):
            dask.delete_cluster(context(Hook.ON_EXIT, 3), "etl")
        assert time.monotonic() - began < 8

    def test_a_missing_right_is_named_at_once(self, server: ApiServer) -> None:
        server.faults.add(Fault(CLUSTERS, Action.ANSWER, status=403, times=10_000))
        began = time.monotonic()
        with pytest.raises(CallbackError, match=r"--verb=delete,list --resource=daskclusters\.kubernetes\.dask\.org"):
            dask.delete_cluster(context(Hook.ON_EXIT), "etl")
        assert time.monotonic() - began < 20  # and not the 30 s that it has


def test_nothing_of_dask_is_imported_until_a_callback_runs() -> None:
    code = "import sys, podhooks.callbacks.dask; print([m for m in ('distributed', 'dask') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=50)
    assert done.stdout.strip() == "[]"


def test_without_distributed_the_error_says_where_it_must_be(tmp_path: Path) -> None:
    (tmp_path / "distributed.py").write_text("raise ModuleNotFoundError(\"No module named 'distributed'\")")
    code = (
        "from podhooks.callbacks import dask; from tests.integration.test_dask import context\n"
        "try: dask.wait_for_workers(context(), 1, scheduler='x:1')\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    environ = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(__file__).parents[2]}"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, env=environ)
    assert done.stdout.startswith("CallbackError ModuleNotFoundError: No module named 'distributed': "), done.stderr
    assert "in the image that they run in, main's" in done.stdout


@pytest.mark.timeout(300)
class TestHanging:
    """Clusters of their own: a worker that hangs in a setup is of no more use."""

    def test_what_does_not_end_in_time_is_taken_back_and_later_workers_start(self, tmp_path: Path) -> None:
        code = f"import time\ndef hangs():\n    open({str(tmp_path / 'began')!r}, 'w').close()\n    time.sleep(600)\n"
        (tmp_path / "slow.py").write_text(code)
        own = DaskProcesses(tmp_path)
        try:
            present(own, 1)
            with pytest.raises(CallbackError, match=r"its setup hangs on a worker.* It is taken back"):
                dask.register_worker_callbacks(context(seconds=12), f"{tmp_path}/slow.py:hangs", scheduler=own.address)
            assert (tmp_path / "began").exists()
            own.add_worker()
            dask.wait_for_workers(context(seconds=120), 2, scheduler=own.address)
        finally:
            own.stop()

    def test_what_a_sigterm_ends_is_taken_back(self, tmp_path: Path) -> None:
        began = tmp_path / "began"
        code = f"import time\ndef hangs():\n    open({str(began)!r}, 'w').close()\n    time.sleep(600)\n"
        (tmp_path / "slow.py").write_text(code)
        call_it = (
            "from podhooks.callbacks import dask; from tests.integration.test_dask import context\n"
            f"dask.register_worker_callbacks(context(seconds=50), '{tmp_path}/slow.py:hangs', scheduler={{!r}})"
        )
        own = DaskProcesses(tmp_path)
        try:
            present(own, 1)
            command = [sys.executable, "-c", call_it.format(own.address)]
            callback = subprocess.Popen(command, cwd=Path(__file__).parents[2], stderr=subprocess.PIPE, text=True)
            local_pods.eventually(began.exists)
            callback.send_signal(signal.SIGTERM)
            _, said = callback.communicate(timeout=150)
            assert "ended by a SIGTERM, while it worked on the Dask scheduler" in said
            own.add_worker()
            dask.wait_for_workers(context(seconds=120), 2, scheduler=own.address)
        finally:
            own.stop()


@pytest.mark.timeout(300)
def test_a_plugin_of_nannies_is_on_those_that_there_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    marks = tmp_path / "marks"
    code = (
        "from distributed import NannyPlugin\n"
        "class Mark(NannyPlugin):\n"
        "    def setup(self, nanny):\n"
        f"        open({str(marks)!r}, 'a').write('nanny ')\n"
        "class Fails(NannyPlugin):\n"
        "    def setup(self, nanny):\n"
        "        raise RuntimeError('no licence here')\n"
    )
    (tmp_path / "nannies.py").write_text(code)
    own = DaskProcesses(tmp_path)
    try:
        own.add_worker()
        own.add_worker(nanny=True)
        dask.wait_for_workers(context(seconds=120), 2, scheduler=own.address)
        with pytest.raises(CallbackError, match="RuntimeError: no licence here"):
            dask.register_worker_plugin(context(), f"{tmp_path}/nannies.py:Fails", scheduler=own.address)
        dask.register_worker_plugin(context(), f"{tmp_path}/nannies.py:Mark", scheduler=own.address)
        assert "is on 1 nanny of" in capsys.readouterr().out
        own.add_worker(nanny=True)  # the one that fails would keep it from starting
        dask.wait_for_workers(context(seconds=120), 3, scheduler=own.address)
        assert marks.read_text() == "nanny nanny "
    finally:
        own.stop()


@pytest.mark.timeout(300)
def test_programs_start_as_our_cluster_and_our_example_name_them(tmp_path: Path) -> None:
    """Their very arguments, of a scheduler and a worker that meet."""
    example = list(yaml.safe_load_all((Path(__file__).parents[2] / "examples" / "dask" / "daskjob.yaml").read_text()))
    specs = [
        cluster_objects("etl", "default", ClusterSpec())[0]["spec"],
        own_cluster("etl", ClusterSpec())["spec"],
        next(each for each in example if each["kind"] == "DaskJob")["spec"]["cluster"]["spec"],
    ]
    for number, spec in enumerate(specs):
        directory = tmp_path / str(number)
        directory.mkdir()
        file = directory / "scheduler.json"
        scheduler, worker = (spec[part]["spec"]["containers"][0]["args"] for part in ("scheduler", "worker"))
        worker = [each.replace("$(DASK_WORKER_NAME)", "given") for each in worker]
        free = ["--port=0", "--dashboard-address=127.0.0.1:0", f"--scheduler-file={file}"]
        started = [run_dask([*scheduler, *free], directory)]
        try:
            local_pods.eventually(functools.partial(is_whole, file))
            address = json.loads(file.read_text())["address"]
            with_address = {**os.environ, contract.ENV_SCHEDULER: address, "DASK_SCHEDULER_ADDRESS": address}
            options = ["--dashboard-address=127.0.0.1:0", "--no-nanny"]
            started.append(run_dask([*worker, *options, address], directory, with_address))
            dask.wait_for_workers(context(seconds=120), 1, scheduler=address)
        finally:
            for each in started:
                each.kill()
                each.wait()


def is_whole(file: Path) -> bool:
    return file.exists() and file.read_text().endswith("}")


def run_dask(arguments: list[str], directory: Path, environ: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    program = Path(sys.executable).parent / arguments[0]
    log = (directory / "log").open("ab")
    with log:
        return subprocess.Popen([program, *arguments[1:]], cwd=directory, env=environ, stdout=log, stderr=log)


class TestWhatIsNotThere:
    def test_a_slip_of_the_keyboard_is_an_error(self, server: ApiServer) -> None:
        server.store.create("daskclusters", dask_cluster("etl-cluster"))
        with pytest.raises(
            CallbackError, match="there is no DaskCluster etl-clsuter in namespace default, but etl-clu"
        ):
            dask.delete_cluster(context(Hook.ON_EXIT), "etl-clsuter")
        assert len(server.store.list("daskclusters", "default")[0]) == 1

    def test_clusters_of_other_runs_are_no_slip(self, server: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
        for name in ("etl-0a1b2c3d", "nightly-2"):
            server.store.create("daskclusters", dask_cluster(name))
        for name in ("etl-99ffee11", "nightly-1"):
            dask.delete_cluster(context(Hook.ON_EXIT), name)
            assert capsys.readouterr().out.endswith("gone already\n")

    def test_a_cluster_without_the_kind_is_an_error(self, server: ApiServer) -> None:
        server.faults.add(Fault(CLUSTERS, Action.ANSWER, status=404, times=10_000))
        with pytest.raises(CallbackError, match=r"the API doesn't know DaskClusters\. Is the Dask operator installed"):
            dask.delete_cluster(context(Hook.ON_EXIT), "etl")

    def test_without_the_right_to_list_it_is_said(self, server: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
        server.faults.add(Fault(CLUSTERS, Action.ANSWER, status=403, times=10_000, method="GET"))
        dask.delete_cluster(context(Hook.ON_EXIT), "etl")
        assert "isn't there: gone already, or never there" in capsys.readouterr().out


def test_the_example_of_a_kube_cluster_has_callbacks_around_its_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dask_kubernetes")
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "examples" / "dask-kubecluster"))
    spec = importlib.import_module("kubecluster").cluster_spec("etl")["spec"]
    worker = spec["worker"]["spec"]
    assert [each["name"] for each in worker["initContainers"]] == ["podhooks-runtime", "on-start"]
    assert [each["name"] for each in worker["containers"]] == ["worker", "on-exit"]
    assert worker["containers"][0]["args"][:2] == ["dask", "worker"]
    assert spec["scheduler"]["spec"]["containers"][0]["args"][:2] == ["dask", "scheduler"]
