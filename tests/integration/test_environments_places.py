"""Where environments find themselves: in a pod, in an injected pod, in a process that dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from podhooks import ExitInfo, KubernetesJobEnvironment, LocalEnvironment, RemoteEnvironment, Result
from podhooks.cluster import stand_in
from podhooks.cluster.backend import Selection
from podhooks.environments import clusters
from podhooks.environments.job_handle import JobHandle
from podhooks.environments.kubernetes_job import KubernetesJobEnvironment as InACluster
from podhooks.errors import ApiError, InputError
from podhooks.inject import Delivery, InjectSettings
from podhooks.local import Cluster
from tests.integration import environment_callbacks as callbacks
from tests.integration.environment_callbacks import WORD_DIR
from tests.integration.test_environments_contract import words_in, write_job_file

SECONDS = 50.0


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "words"
    directory.mkdir()
    write_job_file(tmp_path / "job.yaml", directory)
    monkeypatch.setenv(WORD_DIR, str(directory))
    return directory


def names(words: Path) -> list[str]:
    return [name for name, _ in words_in(words)]


def on_stand_in(words: Path, **arguments: Any) -> KubernetesJobEnvironment:
    return KubernetesJobEnvironment(words.parent / "job.yaml", unique_job_name=True, cluster="local", **arguments)


# -- in a pod -------------------------------------------------------------------------------------------------------


def starts_another_job(job_file: str) -> None:
    """What Prefect's initial job did: make the custom Job, and follow it."""
    os.environ |= {"HOME": "/nowhere", "KUBECONFIG": ""}
    settings = InjectSettings(delivery=Delivery.INSTALLED)
    environment = InACluster(
        job_file,
        unique_job_name=True,
        labels=["inner"],
        on_start=callbacks.takes_nothing,
        on_exit=lambda context: callbacks.leave("inner", result=context.exit.result.value),
        settings=settings,
    )
    with environment.execute(callbacks.failing_flow) as handle:
        end = handle.wait(SECONDS)
        callbacks.leave("outer", end=end.to_json(), log=list(handle.logs())[-1:])


def test_a_job_that_starts_another_job(words: Path) -> None:
    """From inside the cluster, with the pod's own service account."""
    with on_stand_in(words).execute(starts_another_job, {"job_file": str(words.parent / "job.yaml")}) as handle:
        handle.wait(SECONDS)
        assert names(words) == ["nothing", "main", "inner", "outer"], list(handle.logs())
    said = dict(words_in(words))
    assert said["inner"] == {"result": "Failed"}
    assert said["outer"]["end"]["message"] == "ValueError: no rows"
    assert said["outer"]["log"] == ["ValueError: no rows"]


def runs_remotely() -> None:
    environment = RemoteEnvironment(
        on_start=callbacks.takes_nothing, on_exit=[callbacks.is_async, callbacks.takes_context]
    )
    handle = environment.execute(callbacks.flow)
    callbacks.leave("handle", callbacks=[each.name for each in handle.callbacks])


def test_remote_in_an_injected_pod_leaves_to_it_what_its_annotations_name(words: Path) -> None:
    outer = on_stand_in(words, on_start=[callbacks.takes_nothing, callbacks.prepares], on_exit=callbacks.takes_context)
    with outer.execute(runs_remotely) as handle:
        assert handle.wait(SECONDS).succeeded
        log = list(handle.logs())
    assert names(words) == ["nothing", "main", "async", "handle", "context"]
    said = dict(words_in(words))
    assert said["main"]["prepared"] == "by on_start"
    assert said["handle"]["callbacks"] == [f"{callbacks.__name__}:is_async"]
    assert said["context"]["shared"] == ["prepared"]
    assert any("callbacks run beside main" in line and "is_async" in line for line in log)


def test_remote_in_a_pod_that_was_not_injected_runs_all_beside_main(words: Path) -> None:
    with on_stand_in(words).execute(runs_remotely) as handle:
        assert handle.wait(SECONDS).succeeded
    assert names(words) == ["nothing", "main", "async", "context", "handle"]


# -- this process ---------------------------------------------------------------------------------------------------


def run_script(script: str, *arguments: str, words: Path) -> subprocess.Popen[str]:
    environ = {**os.environ, WORD_DIR: str(words), "PYTHONPATH": os.pathsep.join(sys.path)}
    imports = (
        "import os, sys, time\nfrom podhooks import LocalEnvironment\n"
        "from tests.integration import environment_callbacks as callbacks\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", imports + script, *arguments],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def eventually(words: Path, name: str) -> dict[str, Any]:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if name in names(words):
            return dict(words_in(words))[name]
        time.sleep(0.05)
    raise AssertionError(f"{name} never left word: {names(words)}")


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "os._exit(3)"])
def test_on_exit_runs_although_its_own_process_is_gone(words: Path, end: str) -> None:
    script = f"LocalEnvironment(on_exit=callbacks.takes_context).execute(lambda: {end})"
    process = run_script(script, words=words)
    process.wait(SECONDS)
    said = eventually(words, "context")["exit"]
    assert said["result"] == "Unknown"
    assert "without a word" in said["message"]
    process.communicate()


def test_ctrl_c_in_main_runs_on_exit_and_is_raised_again(words: Path) -> None:
    script = (
        "def flow():\n"
        "    callbacks.leave('main')\n"
        "    time.sleep(60)\n"
        "try:\n"
        "    LocalEnvironment(on_exit=callbacks.takes_context).execute(flow)\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(7)\n"
    )
    process = run_script(script, words=words)
    eventually(words, "main")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 7, output
    said = dict(words_in(words))["context"]["exit"]
    assert (said["result"], said["exit_code"], said["signal"]) == ("Failed", 130, 2)


def test_ctrl_c_ends_an_isolated_main(words: Path) -> None:
    script = (
        "LocalEnvironment(on_exit=callbacks.takes_context, isolated=True)"
        ".execute(lambda: (callbacks.leave('main'), time.sleep(60)))"
    )
    process = run_script(script, words=words)
    eventually(words, "main")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=SECONDS)
    assert "KeyboardInterrupt" in output
    assert dict(words_in(words))["context"]["exit"]["signal"] == signal.SIGTERM


@pytest.mark.parametrize("isolated", [True, False])
def test_ctrl_c_before_main_runs_on_exit_and_never_main(words: Path, isolated: bool) -> None:
    script = (
        "def start():\n"
        "    callbacks.leave('start')\n"
        "    time.sleep(1)\n"
        f"environment = LocalEnvironment(on_start=start, on_exit=callbacks.takes_context, isolated={isolated})\n"
        "environment.execute(lambda: (time.sleep(1), callbacks.leave('main')))\n"
    )
    process = run_script(script, words=words)
    eventually(words, "start")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=SECONDS)
    assert "KeyboardInterrupt" in output
    assert names(words) == ["start", "context"]
    assert dict(words_in(words))["context"]["exit"]["result"] == "NeverStarted"


def test_a_run_that_nobody_deletes_ends_with_this_process(words: Path) -> None:
    script = (
        "from podhooks import KubernetesJobEnvironment\n"
        "environment = KubernetesJobEnvironment(sys.argv[1], cluster='local')\n"
        "handle = environment.execute(lambda: (print(os.getpid(), flush=True), time.sleep(60)))\n"
        "next(handle.logs())\n"
        "print(handle._backend.state_dir)\n"
    )
    process = run_script(script, str(words.parent / "job.yaml"), words=words)
    output, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, output
    assert not Path(output.splitlines()[-1]).exists()


def fails_with_a_key() -> None:
    raise KeyError("row")


def test_what_main_returned_and_raised() -> None:
    assert LocalEnvironment().execute(lambda x: x * 2, {"x": 21}).value == 42
    handle = LocalEnvironment().execute(fails_with_a_key)
    assert isinstance(handle.error, KeyError)
    with pytest.raises(Exception, match="main failed: KeyError") as caught:
        handle.check()
    assert caught.value.__cause__ is handle.error


def test_an_isolated_mains_log_is_kept(capfd: pytest.CaptureFixture[str]) -> None:
    def tells(context: Any) -> None:
        print("tail:", context.exit.log_tail(1).strip())

    handle = LocalEnvironment(on_exit=tells, isolated=True).execute(lambda: print("one\ntwo"))
    assert list(handle.logs()) == ["one", "two"]
    assert "tail: two" in capfd.readouterr().out


def test_a_flow_in_a_running_event_loop() -> None:
    import asyncio

    async def outer() -> ExitInfo:
        return LocalEnvironment(on_exit=callbacks_is_async).execute(awaits).exit_info

    assert asyncio.run(outer()).succeeded


async def awaits() -> None:
    import asyncio

    await asyncio.sleep(0)


async def callbacks_is_async() -> None:
    await awaits()


def test_the_variables_of_this_process_are_as_they_were() -> None:
    before = dict(os.environ)
    LocalEnvironment(on_start=callbacks_is_async).execute(lambda: None)
    assert dict(os.environ) == before


AT_ITS_END = """
import atexit, multiprocessing, tempfile
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

def uses_everything():
    pool = ThreadPoolExecutor(1)  # never shut down: the interpreter's end does it
    pool.submit(time.sleep, 0.2).add_done_callback(lambda _: callbacks.leave("thread"))
    multiprocessing.get_context("fork").Process(target=callbacks.leave, args=("process",)).start()
    tempfile.TemporaryDirectory(dir=os.environ["TEST_WORD_DIR"], prefix=".of-callback")
    atexit.register(callbacks.leave, "callback-is-over")

def report(context):
    callbacks.leave("directory", there=os.path.isdir(directory.name), result=context.exit.result.value)
    uses_everything()

if __name__ == "__main__":
    directory = tempfile.TemporaryDirectory(dir=os.environ["TEST_WORD_DIR"], prefix=".of-parent")
    atexit.register(callbacks.leave, "parent-is-over")
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,), daemon=True)
    child.start()
    pool, processes = ThreadPoolExecutor(1), ProcessPoolExecutor(1, multiprocessing.get_context("fork"))
    pool.submit(time.sleep, 0).result()
    processes.submit(abs, 1).result()
    environment = LocalEnvironment(on_start=uses_everything, on_exit=report, isolated=ISOLATED)
    handle = environment.execute(uses_everything)
    assert all(each.outcome.status.value == "succeeded" for each in handle.callbacks), handle.callbacks
    callbacks.leave("alive", child=child.is_alive(), directory=os.path.isdir(directory.name))
"""


@pytest.mark.parametrize("isolated", [True, False])
def test_what_this_process_has_to_do_at_its_end_is_left_to_it(words: Path, isolated: bool) -> None:
    process = run_script(AT_ITS_END.replace("ISOLATED", str(isolated)), words=words)
    output, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, output
    said = words_in(words)
    found = [name for name, _ in said]
    assert dict(said)["directory"] == {"there": True, "result": "Succeeded"}
    assert dict(said)["alive"] == {"child": True, "directory": True}
    assert found.count("parent") == 1, "once, by the parent itself"
    assert found.count("thread") == found.count("process") == found.count("callback") == 3
    assert not list(words.glob(".of-*"))


# -- no place -------------------------------------------------------------------------------------------------------


def test_no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nothing"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(InputError) as caught:
        KubernetesJobEnvironment(image="x").execute(callbacks.flow)
    assert "no cluster: there is no kubeconfig at" in str(caught.value)
    assert "cluster='local'" in str(caught.value)


def test_without_the_kubernetes_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    with pytest.raises(InputError, match=r"needs the kubernetes package: pip install"):
        KubernetesJobEnvironment(image="x").execute(callbacks.flow)


def test_a_cluster_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    user = {"name": "u", "user": {"token": "t"}}
    cluster = {"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}
    context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
    config = {"clusters": [cluster], "users": [user], "contexts": [context], "current-context": "x"}
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))
    environment = KubernetesJobEnvironment(image="x", kubeconfig=str(path))
    with pytest.raises(InputError, match=r"the pods of namespace default: can't reach .*set KUBECONFIG"):
        environment.execute(callbacks.flow)


def test_a_wait_that_takes_too_long(words: Path) -> None:
    with on_stand_in(words).execute(callbacks.wait_to_be_ended) as handle:
        with pytest.raises(TimeoutError, match=r"isn't over after 0.2 s; it goes on"):
            handle.wait(0.2)
        assert handle.exit_info is None
        eventually(words, "main")


def test_where_volumes_are_not_at_their_paths_pickles_are_found_all_the_same(
    words: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As on a machine that gives no namespaces to its users."""

    class WithPaths(Cluster):
        def __init__(self, **arguments: Any) -> None:
            super().__init__(sandbox="paths", **arguments)

    monkeypatch.setattr(stand_in, "Cluster", WithPaths)
    hooks = {"on_start": lambda: callbacks.leave("start"), "on_exit": lambda: callbacks.leave("exit")}
    with on_stand_in(words, **hooks).execute(lambda: callbacks.leave("lambda")) as handle:
        assert handle.wait(SECONDS).succeeded
    assert names(words) == ["start", "lambda", "exit"]
    assert "volumes aren't at their paths" not in capfd.readouterr().err


def test_a_name_that_is_taken_leaves_what_has_it(words: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = on_stand_in(words)
    environment.unique_job_name = False
    with environment.execute(callbacks.wait_to_be_ended) as handle:
        monkeypatch.setattr(clusters, "connect", lambda *_: Borrowed(handle))
        with pytest.raises(InputError, match=r"Job/flow in namespace default: .*unique_job_name=True"):
            environment.execute(callbacks.flow)
        assert handle.exit_info is None
        eventually(words, "main")


class Borrowed:
    """The backend of another run, which ends with that run."""

    def __init__(self, handle: JobHandle) -> None:
        self._backend = handle._backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def close(self) -> None: ...


class RefusesSecrets(Borrowed):
    """A dry run passes, the real one doesn't: a quota that was used up meanwhile."""

    def create(self, obj: dict[str, Any], *, dry_run: bool = False) -> Any:
        if obj["kind"] == "Secret" and not dry_run:
            raise ApiError("exceeded quota: secrets", status=403)
        return self._backend.create(obj, dry_run=dry_run)


def test_a_secret_that_is_refused_takes_its_job_away_again(words: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with on_stand_in(words).execute(callbacks.flow) as handle:
        handle.wait(SECONDS)
        backend = RefusesSecrets(handle)
        monkeypatch.setattr(clusters, "connect", lambda *_: backend)
        with pytest.raises(InputError, match=r"Secret/flow-\w+ in namespace default: exceeded quota"):
            on_stand_in(words).execute(lambda: None)
        jobs = backend.list(Selection("Job", "default"))[0]
        assert [each["metadata"]["name"] for each in jobs] == [handle.name]


def test_a_deleted_run(words: Path) -> None:
    def waits() -> None:
        print("main runs", flush=True)
        time.sleep(60)

    with on_stand_in(words, on_exit=callbacks.takes_context).execute(waits) as handle:
        assert next(handle.logs()) == "main runs"
        assert handle.exit_info is None
    assert handle.wait(0).result is Result.DELETED
    assert [each.outcome and each.outcome.status.value for each in handle.callbacks] == ["succeeded"]
    handle.delete()
