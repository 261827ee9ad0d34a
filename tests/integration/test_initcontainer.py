"""The on-start program as it runs in a pod: a process, an environment, the downward API's files, exit codes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from podhooks import contract
from podhooks.context import Hook, Status
from podhooks.local.apiserver import ApiServer
from podhooks.local.store import Store
from podhooks.runtime.install import install
from podhooks.runtime.record import RecordData, parse_message, parse_messages
from podhooks.version import __version__

PATIENCE_SECONDS = 40.0

HOOKS = """
import os, signal, sys, time
def start(): print('started')
def bad(): raise ValueError('no data')
def flaky():
    assert os.path.exists('mended')
    print('flaky')
def after(): print('after')
def end(context):
    print('ended', context.exit.result.value, context.exit.message)
    open('ends', 'a').write(context.exit.result.value + '\\n')
def slow():
    open('began', 'w').write('1')
    time.sleep(60)
"""


class Pod:
    """What the on-start container of a pod has."""

    def __init__(self, folder: Path, script: Path) -> None:
        self.folder = folder
        self.command = (sys.executable, "-S", str(script))
        self.log = folder / "termination-log"
        self.environ = {
            "PATH": os.environ["PATH"],
            contract.ENV_POD_NAME: "p",
            contract.ENV_POD_NAMESPACE: "ns",
            contract.ENV_POD_UID: "u1",
            contract.ENV_MAIN_CONTAINER: "main",
            contract.ENV_GRACE_SECONDS: "30",
            contract.ENV_PODINFO_DIR: str(folder / "podinfo"),
            contract.ENV_SHARED_DIR: str(folder / "shared"),
            contract.ENV_TERMINATION_LOG: str(self.log),
            contract.ENV_SERVICE_ACCOUNT_DIR: str(folder / "nowhere"),
        }
        (folder / "podinfo").mkdir()
        (folder / "shared").mkdir()
        (folder / "hooks.py").write_text(HOOKS)

    def annotate(self, **annotations: str) -> None:
        lines = [f"{contract.PREFIX}{name.replace('_', '-')}={json.dumps(text)}" for name, text in annotations.items()]
        (self.folder / "podinfo" / "annotations").write_text("\n".join(lines) + "\n")

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command or self.command,
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *command: str) -> tuple[int, str, str]:
        return self.finish(self.start(*command))

    def finish(self, process: subprocess.Popen[str]) -> tuple[int, str, str]:
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
        return process.returncode, out, err

    def record(self, hook: Hook) -> RecordData:
        text = (self.folder / "shared" / contract.RECORD_DIR / f"{hook.value}.json").read_text()
        record = parse_message(text)
        assert record is not None
        return record


@pytest.fixture(scope="session")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program in the runtime as it is delivered to a pod."""
    target = tmp_path_factory.mktemp("delivered") / "runtime"
    install(target)
    return target / "on_start.py"


@pytest.fixture
def pod(tmp_path: Path, script: Path) -> Pod:
    return Pod(tmp_path, script)


def wait_until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.02)


def test_on_start_runs_and_leaves_its_record(pod: Pod) -> None:
    pod.annotate(on_start="hooks:start", on_exit="hooks:end")
    code, out, err = pod.run()
    assert (code, out) == (contract.EXIT_OK, "[on-start hooks:start] started\n"), err
    record = pod.record(Hook.ON_START)
    assert (record.complete, record.outcomes[0].status) == (True, Status.SUCCEEDED)
    assert parse_message(pod.log.read_bytes()) == record
    assert not (pod.folder / "ends").exists()


@pytest.mark.parametrize("variables", [{}, {"PYTHONSAFEPATH": "1"}, {"PYTHONPATH": "/extra"}, {"PYTHONOPTIMIZE": "2"}])
def test_mains_own_python_variables_do_no_harm(variables: dict[str, str], pod: Pod) -> None:
    pod.environ |= variables
    pod.annotate(on_start=f"{pod.folder}/hooks.py:start", on_exit=f"{pod.folder}/hooks.py:end")
    code, out, err = pod.run()
    assert (code, "started" in out) == (contract.EXIT_OK, True), err


def test_a_callback_finds_what_is_on_mains_python_path_first(pod: Pod) -> None:
    for name in ("first", "second"):
        (pod.folder / name).mkdir()
        (pod.folder / name / "sched.py").write_text(f"def f(): print('{name}')\n")
    pod.environ["PYTHONPATH"] = f"first{os.pathsep}{pod.folder}/second/"
    pod.annotate(on_start="sched:f", on_exit="sched:f")
    assert pod.run()[:2] == (contract.EXIT_OK, "[on-start sched:f] first\n")


def test_the_users_sitecustomize_is_for_callbacks_only(pod: Pod) -> None:
    (pod.folder / "extra").mkdir()
    (pod.folder / "extra" / "sitecustomize.py").write_text("open('customized', 'a').write('x')\n")
    pod.environ["PYTHONPATH"] = str(pod.folder / "extra")
    pod.annotate(on_start="hooks:start\nhooks:start")
    assert pod.run()[0] == contract.EXIT_OK
    assert (pod.folder / "customized").read_text() == "xx"


def test_it_runs_as_an_installed_module_too(pod: Pod) -> None:
    pod.annotate(on_start="hooks:start", on_exit="hooks:end")
    code, out, err = pod.run(sys.executable, "-m", "podhooks_initcontainer")
    assert (code, out) == (contract.EXIT_OK, "[on-start hooks:start] started\n"), err


def test_a_failed_callback_keeps_main_from_starting(pod: Pod) -> None:
    pod.annotate(on_start="hooks:bad\nhooks:start", on_exit="hooks:end")
    code, out, err = pod.run()
    assert code == contract.EXIT_CALLBACK_FAILED
    assert "] started" not in out
    assert "ValueError: no data" in err
    assert [each.status for each in pod.record(Hook.ON_START).outcomes] == [Status.FAILED, Status.SKIPPED]
    assert not (pod.folder / "ends").exists(), "native: the sidecar runs on_exit"


def test_policy_ignore_lets_main_start(pod: Pod) -> None:
    pod.annotate(on_start="hooks:bad", on_start_policy="ignore")
    assert pod.run()[0] == contract.EXIT_OK


def test_a_restarted_container_runs_what_failed_again_and_nothing_that_succeeded(pod: Pod) -> None:
    """restartPolicy OnFailure starts a failed init container again so that it may succeed."""
    pod.annotate(on_start="hooks:start\nhooks:flaky\nhooks:after")
    code, out, _ = pod.run()
    assert (code, "started" in out) == (contract.EXIT_CALLBACK_FAILED, True)
    (pod.folder / "mended").touch()
    code, out, _ = pod.run()
    assert (code, "started" in out, "flaky" in out, "after" in out) == (contract.EXIT_OK, False, True, True)
    code, out, _ = pod.run()
    assert (code, out) == (contract.EXIT_OK, "")


def test_an_on_exit_callback_that_does_not_resolve_is_an_error_before_anything_runs(pod: Pod) -> None:
    pod.annotate(on_start="hooks:start", on_exit="hooks:edn")
    code, out, err = pod.run()
    assert (code, out) == (contract.EXIT_BAD_INPUT, "")
    assert err.count("\n") == 1
    assert "hooks has no 'edn'; did you mean 'end'?" in err
    assert "hooks has no 'edn'; did you mean 'end'?" in pod.log.read_text()


def test_with_policy_ignore_a_broken_on_exit_is_a_warning(pod: Pod) -> None:
    pod.annotate(on_start="hooks:start", on_exit="hooks:edn", on_start_policy="ignore")
    code, out, err = pod.run()
    assert (code, "] started" in out) == (contract.EXIT_OK, True)
    assert "warning" in err
    assert "did you mean 'end'?" in err


@pytest.mark.parametrize("policy", ["fail", "ignore"])
def test_annotations_that_make_no_plan_are_one_line_each(policy: str, pod: Pod) -> None:
    pod.annotate(on_strat="hooks:start", on_exit_timeout="soon", on_exit="hooks:end", on_start_policy=policy)
    code, out, err = pod.run()
    assert (code, out) == (contract.EXIT_BAD_INPUT, "")
    assert "on-strat" in err
    assert "on-exit-timeout" in err
    assert err.count("error:") == 3  # two findings and the last word
    assert "Traceback" not in err
    assert "on-strat" in pod.log.read_text()


def test_a_changed_environment_is_one_line(pod: Pod) -> None:
    pod.environ[contract.ENV_MODE] = "odd"
    code, _, err = pod.run()
    assert (code, err.count("\n")) == (contract.EXIT_BAD_INPUT, 1)


def test_without_any_callback_there_is_nothing_to_do(pod: Pod) -> None:
    pod.annotate()
    assert pod.run()[:2] == (contract.EXIT_OK, "")


# Classic mode: the on-exit container starts only if this one succeeds.


def classic(pod: Pod, **annotations: str) -> None:
    pod.environ[contract.ENV_MODE] = "classic"
    pod.annotate(mode="classic", **annotations)


def ends(pod: Pod) -> str:
    return (pod.folder / "ends").read_text()


def test_classic_and_a_failed_start_runs_on_exit_here(pod: Pod) -> None:
    classic(pod, on_start="hooks:bad", on_exit="hooks:end")
    code, out, _ = pod.run()
    assert code == contract.EXIT_CALLBACK_FAILED
    assert "ended StartFailed on_start callback hooks:bad failed: ValueError: no data\n" in out
    record = pod.record(Hook.ON_EXIT)
    assert (record.complete, record.outcomes[0].status) == (True, Status.SUCCEEDED)
    assert record.exit_info is not None
    assert record.exit_info.container == "main"
    hooks = [each.hook for each in parse_messages(pod.log.read_bytes())]
    assert hooks == [Hook.ON_START, Hook.ON_EXIT], "the pod's files are gone when somebody asks what was run"


def test_classic_runs_on_exit_once_although_the_container_is_restarted(pod: Pod) -> None:
    classic(pod, on_start="hooks:bad", on_exit="hooks:end")
    pod.run()
    assert pod.run()[0] == contract.EXIT_CALLBACK_FAILED
    assert ends(pod) == "StartFailed\n"


def test_classic_leaves_on_exit_alone_while_the_start_is_tried_again(pod: Pod) -> None:
    classic(pod, on_start="hooks:bad", on_exit="hooks:end")
    store = Store(namespaces=("ns",))
    spec = {"containers": [{"name": "main"}], "restartPolicy": "OnFailure"}
    store.create("pods", {"metadata": {"name": "p", "namespace": "ns"}, "spec": spec})
    account = pod.folder / "account"
    account.mkdir()
    with ApiServer(store) as server:
        (account / "token").write_text(server.token)
        api = {contract.ENV_API_SERVER: server.url, contract.ENV_SERVICE_ACCOUNT_DIR: str(account)}
        pod.environ.update(api)
        assert pod.run()[0] == contract.EXIT_CALLBACK_FAILED
    assert not (pod.folder / "ends").exists()


def test_classic_and_a_broken_on_exit_runs_those_that_resolve(pod: Pod) -> None:
    classic(pod, on_start="hooks:start", on_exit="hooks:edn\nhooks:end")
    code, out, _ = pod.run()
    assert (code, "] started" in out) == (contract.EXIT_BAD_INPUT, False)
    assert ends(pod) == "StartFailed\n"
    record = pod.record(Hook.ON_EXIT)
    assert [each.status for each in record.outcomes] == [Status.FAILED, Status.SUCCEEDED]
    assert record.outcomes[0].attempts == 0


def test_classic_and_a_start_that_succeeds_leaves_on_exit_alone(pod: Pod) -> None:
    classic(pod, on_start="hooks:start", on_exit="hooks:end")
    assert pod.run()[0] == contract.EXIT_OK
    assert not (pod.folder / "ends").exists()


# SIGTERM: the pod is deleted while it starts.


@pytest.mark.parametrize(
    ("mode", "number"),
    [
        ("native", signal.SIGTERM),
        ("classic", signal.SIGTERM),
        ("classic", signal.SIGINT),  # the STOPSIGNAL of some images
        ("native", signal.SIGQUIT),
        ("native", signal.SIGWINCH),
        ("classic", signal.SIGUSR1),
        ("native", signal.SIGRTMIN + 3),
    ],
)
def test_a_sigterm_ends_the_start(mode: str, number: int, pod: Pod) -> None:
    pod.environ[contract.ENV_MODE] = mode
    pod.annotate(on_start="hooks:slow\nhooks:start", on_exit="hooks:end", mode=mode)
    process = pod.start()
    wait_until((pod.folder / "began").exists)
    process.send_signal(number)
    code, out, err = pod.finish(process)
    assert code == contract.EXIT_CALLBACK_FAILED, err
    assert [each.status for each in pod.record(Hook.ON_START).outcomes] == [Status.INTERRUPTED, Status.SKIPPED]
    if mode == "classic":
        assert "ended NeverStarted" in out
        assert ends(pod) == "NeverStarted\n"
    else:
        assert not (pod.folder / "ends").exists()


def test_a_sigterm_during_the_check_ends_the_start(pod: Pod) -> None:
    (pod.folder / "heavy.py").write_text("import time\nopen('began', 'w').write('1')\ntime.sleep(60)\ndef f(): pass\n")
    pod.annotate(on_start="hooks:start", on_exit="heavy:f")
    process = pod.start()
    wait_until((pod.folder / "began").exists)
    process.send_signal(signal.SIGTERM)
    code, out, _ = pod.finish(process)
    assert (code, "] started" in out) == (contract.EXIT_CALLBACK_FAILED, False)
    assert pod.record(Hook.ON_START).outcomes[0].status is Status.SKIPPED


# Flags.


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_is_printed(flag: str, pod: Pod) -> None:
    code, out, err = pod.run(sys.executable, "-m", "podhooks_initcontainer", flag)
    assert (code, err) == (contract.EXIT_OK, "")
    assert out.startswith("usage: podhooks-on-start")


def test_version_is_printed(pod: Pod) -> None:
    code, out, _ = pod.run(*pod.command, "--version")
    assert (code, out) == (contract.EXIT_OK, f"podhooks-on-start {__version__}\n")


@pytest.mark.parametrize("argument", ["--verbose", "start", ""])
def test_other_arguments_are_one_line(argument: str, pod: Pod) -> None:
    code, out, err = pod.run(sys.executable, "-m", "podhooks_initcontainer", argument)
    assert (code, out, err.count("\n")) == (contract.EXIT_BAD_INPUT, "", 1)


# As process 1 of a container, with the container's own processes only.


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare")
def test_as_process_1_it_reaps_and_ends_everything(pod: Pod) -> None:
    command = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child", *(() if os.getuid() == 0 else ("-Ur",))]
    if subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("this machine allows no process namespaces")
    (pod.folder / "daemons.py").write_text(
        "import os, time\n"
        "def leave():\n"
        "  for stay in (0, 60):\n"
        "    if os.fork() == 0:\n"
        "      os.setsid()\n"
        "      if os.fork() == 0: time.sleep(stay)\n"
        "      os._exit(0)\n"
        "  os.system('setsid sleep 60 >/dev/null 2>&1 &')\n"
        "  time.sleep(0.5)\n"
        "def look(): print('processes', sorted(int(name) for name in os.listdir('/proc') if name.isdigit()))\n"
    )
    pod.annotate(on_start="daemons:leave\ndaemons:look")
    code, out, err = pod.run(*command, *pod.command)
    assert code == contract.EXIT_OK, err
    processes = json.loads(out.partition("processes ")[2])
    assert processes[0] == 1
    assert len(processes) == 2, out  # itself and the callback that looks


# How long it takes.


def test_the_start_imports_nothing_that_is_slow(pod: Pod) -> None:
    pod.annotate(on_start="hooks:start", on_exit="hooks:end")
    _, out, err = pod.run(sys.executable, "-X", "importtime", *pod.command[1:])
    imported = {line.rpartition("|")[2].strip() for line in err.splitlines() if line.startswith("import time:")}
    assert "podhooks.runtime.runner" in imported
    slow = {"subprocess", "dataclasses", "typing", "inspect", "pathlib", "tempfile", "logging", "asyncio", "argparse"}
    assert not imported & (slow | {"json", "re", "ssl", "socket", "ctypes", "site", "traceback", "shutil", "random"})
    in_children = {line.rpartition("|")[2].strip() for line in out.splitlines() if "import time:" in line}
    assert not in_children & (slow | {"json", "traceback"})
