"""The runner against callbacks that misbehave: real processes, real signals, functions in a real file.

Each test runs run_list.py, which runs the list in a process of its own, as our programs do.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from podhooks import contract
from podhooks.annotations.plan import Callback
from podhooks.context import Hook, PodInfo, RunContext
from podhooks.runtime import child, children
from podhooks.runtime.forked import data_limit, import_path
from podhooks.runtime.record import parse_message
from podhooks.runtime.runner import leaves_time

RUN_LIST = Path(__file__).with_name("run_list.py")
PATIENCE_SECONDS = 40.0


class Answer:
    """What came of one run of a list."""

    def __init__(self, folder: Path, process: subprocess.CompletedProcess[bytes]) -> None:
        assert process.returncode == 0, process.stderr.decode()
        data = json.loads((folder / "answer").read_text())
        self.outcomes: list[dict[str, Any]] = data["outcomes"]
        self.failed: bool = data["failed"]
        self.children: str = data["children"]
        self.out = process.stdout
        self.err = process.stderr.decode()
        self.statuses = [outcome["status"] for outcome in self.outcomes]
        self.messages = [outcome["message"] for outcome in self.outcomes]


class Lists:
    """Runs lists of callbacks whose functions are in hooks.py of `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, source: str, name: str = "hooks.py") -> None:
        (self.folder / name).write_text(f"import os, signal, subprocess, sys, time\n{source}")

    def start(self, *callbacks: dict[str, Any] | str, **options: Any) -> subprocess.Popen[bytes]:
        given = [{"call": one} if isinstance(one, str) else one for one in callbacks]
        places = {"shared": str(self.folder), "log": str(self.folder / "log"), "answer": str(self.folder / "answer")}
        environ = {**os.environ, **options.pop("environ", {})}
        stdout = options.pop("stdout", subprocess.PIPE)
        before = options.pop("before", [])
        return subprocess.Popen(
            [*before, sys.executable, "-S", str(RUN_LIST), json.dumps({"callbacks": given, **places, **options})],
            cwd=self.folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def finish(self, process: subprocess.Popen[bytes]) -> Answer:
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
        return Answer(self.folder, subprocess.CompletedProcess(process.args, process.returncode, out, err))

    def run(self, *callbacks: dict[str, Any] | str, **options: Any) -> Answer:
        return self.finish(self.start(*callbacks, **options))

    def pid_in(self, name: str) -> int:
        wait_until(lambda: (self.folder / name).exists() and (self.folder / name).read_text().strip() != "")
        return int((self.folder / name).read_text())


@pytest.fixture
def lists(tmp_path: Path) -> Lists:
    return Lists(tmp_path)


def wait_until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def make_context(shared: Path) -> RunContext:
    return RunContext(Hook.ON_START, "f", PodInfo("p", "default", "uid"), "main", "key", str(shared))


# A callback that ends badly costs only its own result.

CRASHES = [
    ("raise ValueError('no\\nway')", "ValueError: no way"),
    ("raise SystemExit(3)", "exited with code 3"),
    ("sys.exit('not today')", "not today"),
    ("sys.exit(256 + 2)", "exited with code 2"),
    ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    ("raise BaseException('base')", "BaseException: base"),
    ("os._exit(9)", "exited with code 9"),
    ("import ctypes; ctypes.string_at(0)", "killed by SIGSEGV"),
    ("os.abort()", "killed by SIGABRT"),
    ("os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL (out of memory?)"),
    ("os.kill(0, signal.SIGKILL)", "killed by SIGKILL (out of memory?)"),
    ("os.killpg(os.getpgrp(), signal.SIGTERM)", "killed by SIGTERM"),
    ("f()", "RecursionError: maximum recursion depth exceeded"),
    ("os.closerange(0, 4096); os._exit(4)", "exited with code 4"),
    ("os.closerange(0, 4096); raise ValueError('x')", "exited with code 1"),
    ("class E(Exception):\n  def __str__(self): raise self\n raise E", "E"),
    ("sys.stderr.close(); raise ValueError('with no stream')", "ValueError: with no stream"),
    ("sys.stderr = None; sys.exit('with no stream')", "with no stream"),
]


@pytest.mark.parametrize(("body", "message"), CRASHES)
def test_a_callback_that_crashes_costs_only_its_own_result(body: str, message: str, lists: Lists) -> None:
    lists.write(f"def f():\n {body}\ndef g(): print('still here')\n")
    answer = lists.run("hooks:f", "hooks:g")
    assert answer.statuses == ["failed", "succeeded"]
    assert answer.messages[0].startswith(message)
    assert b"[on-start hooks:g] still here\n" in answer.out
    assert answer.children == ""


@pytest.mark.parametrize(
    "body",
    [
        "pass",
        "return {'any': 'thing'}",
        "sys.exit()",
        "sys.exit(0)",
        "os._exit(0)",
        "os.closerange(0, 4096)",
        "sys.stdout.close(); sys.stderr.close()",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    ],
)
def test_a_callback_may_end_well_in_many_ways(body: str, lists: Lists) -> None:
    lists.write(f"def f():\n {body}\n")
    assert lists.run("hooks:f").statuses == ["succeeded"]


def test_a_message_does_not_go_into_a_file_that_took_the_pipes_number(lists: Lists) -> None:
    lists.write(
        "def f():\n os.closerange(0, 4096)\n for n in range(50): os.open('mine', os.O_RDWR | os.O_CREAT)\n"
        " raise ValueError('secret')\n"
    )
    answer = lists.run("hooks:f")
    assert answer.messages == ["exited with code 1"]
    assert (lists.folder / "mine").read_text().startswith("Traceback")  # from its own stderr, and not written over


def test_the_traceback_is_in_the_log_without_our_frames(lists: Lists) -> None:
    lists.write("def f(): g()\ndef g(): 1 / 0\n")
    out = lists.run("hooks:f").out.decode()
    assert "Traceback (most recent call last):" in out
    assert "hooks.py" in out
    assert "ZeroDivisionError" in out
    assert "podhooks/" not in out.replace("[on-start", "")


def test_a_name_that_leads_nowhere_is_one_line(lists: Lists) -> None:
    lists.write("def notify(): pass\n")
    answer = lists.run("hooks:notfy", "/nowhere/x.py:f", {"call": "hooks:notify", "arguments": {"x": 1}})
    assert answer.messages[0] == "hooks has no 'notfy'; did you mean 'notify'?"
    assert answer.messages[1].startswith("/nowhere/x.py: no such file")
    assert answer.messages[2].startswith("it takes no argument 'x'")
    assert b"Traceback" not in answer.out


def test_an_import_that_fails_has_its_traceback_in_the_log(lists: Lists) -> None:
    lists.write("raise RuntimeError('at import')\n")
    answer = lists.run("hooks:f")
    assert "RuntimeError: at import" in answer.messages[0]
    assert b"Traceback" in answer.out


# Time.


def test_a_timeout_is_term_first(lists: Lists) -> None:
    lists.write(
        "def bye(*_):\n print('tidied up', flush=True)\n sys.exit(0)\n"
        "def f():\n signal.signal(signal.SIGTERM, bye)\n time.sleep(60)\n"
    )
    answer = lists.run({"call": "hooks:f", "timeout_seconds": 3.0})
    assert answer.statuses == ["timed-out"]
    assert "its timeout is 3 s" in answer.messages[0]
    assert b"tidied up" in answer.out


def test_a_stopped_callback_is_woken_up_to_tidy_up(lists: Lists) -> None:
    lists.write(
        "def bye(*_):\n print('tidied up', flush=True)\n sys.exit(0)\n"
        "def f():\n signal.signal(signal.SIGTERM, bye)\n os.kill(os.getpid(), signal.SIGSTOP)\n time.sleep(60)\n"
    )
    answer = lists.run({"call": "hooks:f", "timeout_seconds": 3.0})
    assert answer.statuses == ["timed-out"]
    assert b"tidied up" in answer.out


@pytest.mark.parametrize(
    "body",
    [
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n while True: time.sleep(1)",
        "os.kill(os.getpid(), signal.SIGSTOP)",
        "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n while True: time.sleep(1)",
        "while True: pass",
        "os.closerange(0, 4096)\n time.sleep(60)",
    ],
)
def test_whatever_a_callback_does_its_time_is_limited(body: str, lists: Lists) -> None:
    lists.write(f"def f():\n {body}\ndef g(): pass\n")
    answer = lists.run({"call": "hooks:f", "timeout_seconds": 1.0}, "hooks:g")
    assert answer.statuses == ["timed-out", "succeeded"]
    assert 0.9 <= answer.outcomes[0]["seconds"] < 15
    assert "cut" not in answer.outcomes[0]  # it had all of its own time
    assert answer.children == ""


def test_the_hooks_deadline_ends_a_callback_before_its_timeout(lists: Lists) -> None:
    lists.write("def f(): time.sleep(60)\ndef g(): pass\n")
    answer = lists.run({"call": "hooks:f", "timeout_seconds": 30.0}, "hooks:g", deadline=1.5)
    assert answer.statuses[0] == "timed-out"
    assert "no time left" in answer.messages[0]
    assert answer.outcomes[0]["seconds"] < 10
    assert answer.outcomes[0]["cut"] is True


def test_a_deadline_that_comes_nearer_while_a_callback_runs_counts(lists: Lists) -> None:
    lists.write("def f(): time.sleep(60)\n")
    answer = lists.run({"call": "hooks:f", "timeout_seconds": 50.0}, deadline=100.0, shorten=[1.0, 2.0])
    assert answer.statuses == ["timed-out"]
    assert answer.outcomes[0]["seconds"] < 20


def test_with_no_time_left_callbacks_are_skipped(lists: Lists) -> None:
    lists.write("def f(): print('ran')\n")
    answer = lists.run("hooks:f", deadline=-1.0)
    assert (answer.statuses, answer.messages) == (["skipped"], ["no time left"])
    assert answer.outcomes[0]["cut"] is True
    assert b"ran" not in answer.out
    assert not answer.failed


@pytest.mark.parametrize(
    ("timeout", "deadline", "term_at", "kill_at"),
    [
        (30.0, None, 130.0, 133.0),
        (300.0, None, 400.0, 405.0),
        (30.0, 131.0, 130.0, 131.0),
        (30.0, 500.0, 130.0, 133.0),
        (30.0, 110.0, 109.0, 110.0),
        (300.0, 200.0, 195.0, 200.0),
        (30.0, 90.0, 90.0, 90.0),
    ],
)
def test_limits_keep_the_grace_inside_the_deadline(
    timeout: float, deadline: float | None, term_at: float, kill_at: float
) -> None:
    assert children.limits(100.0, timeout, deadline) == children.Limits(term_at, kill_at)


# Retries.


def test_a_retry_may_succeed_and_is_counted(lists: Lists) -> None:
    lists.write(
        "def f(context):\n print('attempt', context.attempt)\n if context.attempt < 3: raise ValueError('not yet')\n"
    )
    answer = lists.run({"call": "hooks:f", "retries": 2})
    assert (answer.statuses, answer.outcomes[0]["attempts"]) == (["succeeded"], 3)
    assert answer.out.count(b"] attempt") == 3


def test_retries_end(lists: Lists) -> None:
    lists.write("def f(): raise ValueError('never')\n")
    answer = lists.run({"call": "hooks:f", "retries": 1})
    assert (answer.statuses, answer.outcomes[0]["attempts"], answer.messages) == (["failed"], 2, ["ValueError: never"])


def test_a_retry_does_not_take_the_time_of_later_callbacks(lists: Lists) -> None:
    lists.write("def f(): raise ValueError('x')\ndef g(): pass\n")
    later = {"call": "hooks:g", "timeout_seconds": 20.0}
    answer = lists.run({"call": "hooks:f", "retries": 5}, later, deadline=20.0)
    assert answer.statuses == ["failed", "succeeded"]
    assert answer.outcomes[0]["attempts"] == 1
    assert answer.messages[0] == "ValueError: x (no time is left for a retry)"
    assert (answer.outcomes[0].get("cut"), answer.outcomes[1].get("cut")) == (True, None)


def test_a_retry_may_take_the_time_of_a_later_callback_that_is_not_wanted(lists: Lists) -> None:
    lists.write("def f(): raise ValueError('x')\ndef g(): pass\n")
    unwanted = {"call": "hooks:g", "timeout_seconds": 1000.0, "when": ["Succeeded"]}
    answer = lists.run({"call": "hooks:f", "retries": 1}, unwanted, deadline=100.0, result="Failed")
    assert answer.statuses == ["failed", "skipped"]
    assert answer.outcomes[0]["attempts"] == 2


@pytest.mark.parametrize(
    ("left", "timeout", "least", "worth_it"),
    [(100.0, 1000.0, 50.0, True), (100.0, 1000.0, 150.0, False), (100.0, 50.0, 150.0, True), (5.0, 50.0, 10.0, False)],
)
def test_a_retry_needs_its_timeout_or_the_least_time(
    left: float, timeout: float, least: float, worth_it: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podhooks.runtime.runner.LEAST_RETRY_SECONDS", least)
    delay = 7.0
    assert leaves_time(time.monotonic() + delay + left, delay, timeout) is worth_it


HELD = """
import os, time
from podhooks.runtime import children, processes
children.UNKILLABLE_SECONDS = 0.2
processes.signal_group = processes.end_leftovers = lambda *_: None  # as if the kernel held the process
runner = os.getpid()
def work(report):
    while os.getppid() == runner:
        time.sleep(0.02)
    return 0
ended = children.run(children.Work("held", work), children.Watch(0.1), mark=b"")
print(ended.cut_off.name, ended.message)
"""


def test_a_process_that_cannot_be_killed_is_not_waited_for() -> None:
    """Such a process sleeps in the kernel, as on a hung network file system, which can't be made here."""
    ran = subprocess.run([sys.executable, "-c", HELD], capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert (ran.stdout, ran.stderr) == ("TIMED_OUT could not even be killed: the kernel holds it\n", "")


def test_the_idempotency_key_is_the_same_for_all_attempts(lists: Lists) -> None:
    lists.write("def f(c):\n print('key', c.idempotency_key)\n raise ValueError\n")
    answer = lists.run({"call": "hooks:f", "retries": 1, "key": "k"})
    assert answer.out.count(b"key u1/on-start/k\n") == 2


# Policies, order, conditions.


def test_policy_fail_ends_the_list(lists: Lists) -> None:
    lists.write("def f(): raise ValueError('x')\ndef g(): print('ran')\n")
    answer = lists.run({"call": "hooks:f", "policy": "fail"}, "hooks:g")
    assert (answer.statuses, answer.failed) == (["failed", "skipped"], True)
    assert answer.messages[1] == "hooks:f failed, and its policy is fail"


def test_policy_ignore_goes_on(lists: Lists) -> None:
    lists.write("def f(): raise ValueError('x')\ndef g(): pass\n")
    answer = lists.run({"call": "hooks:f", "policy": "ignore"}, {"call": "hooks:g", "policy": "fail"})
    assert (answer.statuses, answer.failed) == (["failed", "succeeded"], False)


def test_a_callback_that_is_not_wanted_for_this_result_is_skipped(lists: Lists) -> None:
    lists.write("def f(): pass\n")
    answer = lists.run(
        {"call": "hooks:f", "when": ["Failed"], "policy": "fail", "key": "a"},
        {"call": "hooks:f", "when": ["Succeeded"], "key": "b"},
        hook="on-exit",
        result="Succeeded",
    )
    assert (answer.statuses, answer.failed) == (["skipped", "succeeded"], False)
    assert answer.messages[0] == "not wanted when main ended as Succeeded"


def test_a_callback_sees_what_became_of_the_earlier_ones(lists: Lists) -> None:
    lists.write("def f(): raise ValueError('x')\ndef g(c): print([(e.name, e.status.value) for e in c.earlier])\n")
    assert b"[('hooks:f', 'failed')]" in lists.run("hooks:f", "hooks:g").out


# What a restarted container does.


@pytest.mark.parametrize("body", ["pass", "raise ValueError", "time.sleep(60)"])
def test_a_finished_callback_is_never_run_again(body: str, lists: Lists) -> None:
    lists.write(f"def f():\n open('runs', 'a').write('x')\n {body}\n")
    callback = {"call": "hooks:f", "timeout_seconds": 1.0 if "sleep" in body else 20.0, "policy": "fail"}
    first = lists.run(callback)
    (lists.folder / "answer").unlink()
    second = lists.run(callback)
    assert (lists.folder / "runs").read_text() == "x"
    assert (second.outcomes, second.failed) == (first.outcomes, first.failed)


@pytest.mark.parametrize(("retries", "expected"), [(0, "interrupted"), (1, "succeeded")])
def test_an_attempt_that_a_killed_runner_began_counts(retries: int, expected: str, lists: Lists) -> None:
    lists.write("def f(c):\n if c.attempt == 1:\n  open('began', 'w').write(str(os.getpid()))\n  time.sleep(60)\n")
    process = lists.start({"call": "hooks:f", "retries": retries, "policy": "fail"})
    pid = lists.pid_in("began")
    process.kill()
    process.communicate()
    os.kill(pid, signal.SIGKILL)
    answer = lists.run({"call": "hooks:f", "retries": retries, "policy": "fail"})
    assert (answer.statuses, answer.failed) == ([expected], expected != "succeeded")
    assert answer.outcomes[0]["attempts"] == retries + 1


def test_the_record_is_written_before_a_callback_begins_and_when_it_ends(lists: Lists) -> None:
    lists.write("def f(): print(open('log').read())\n")
    answer = lists.run("hooks:f")
    during = parse_message(answer.out.partition(b"] ")[2])
    after = parse_message((lists.folder / "log").read_bytes())
    assert during is not None
    assert after is not None
    assert (during.outcomes[0].status.value, after.outcomes[0].status.value) == ("running", "succeeded")


@pytest.mark.parametrize(
    "body",
    [
        "os.chmod('.podhooks/on-start.json', 0); os.chmod('.podhooks', 0); os.chmod('log', 0)",
        "os.unlink('.podhooks/on-start.json'); os.rmdir('.podhooks'); os.unlink('log')",
        "open('.podhooks/on-start.json', 'w').write('x'); open('log', 'w').write('x')",
        "os.unlink('log'); os.mkfifo('log')",
    ],
)
def test_a_callback_that_tampers_with_the_record_changes_nothing(body: str, lists: Lists) -> None:
    lists.write(f"def f(): {body}\n")
    assert lists.run("hooks:f").statuses == ["succeeded"]
    record = parse_message((lists.folder / ".podhooks" / "on-start.json").read_bytes())
    assert record is not None
    assert (record.hook, record.outcomes[0].status.value) == (Hook.ON_START, "succeeded")


def test_a_callback_that_fills_the_shared_directory_costs_one_line(lists: Lists) -> None:
    small = lists.folder / "small"
    small.mkdir()
    inside = f'mount -t tmpfs -o size=128k tmpfs {small} && exec "$@"'
    before = ["unshare", *(() if os.getuid() == 0 else ("-Ur",)), "-m", "sh", "-c", inside, "sh"]
    if shutil.which("unshare") is None or subprocess.run([*before, "true"], capture_output=True).returncode:
        pytest.skip("this machine allows no mounts")
    lists.write(
        "def f():\n try:\n  with open('small/fill', 'wb', buffering=0) as file:\n"
        "   while True: file.write(b'x' * 4096)\n except OSError: pass\n"
        "def g(): print(sorted(os.listdir('small/.podhooks')))\n"
    )
    answer = lists.run("hooks:f", "hooks:g", before=before, shared=str(small))
    assert answer.statuses == ["succeeded", "succeeded"]
    assert answer.err.count("No space left on device") == 1
    assert b"['on-start.json']" in answer.out, "no draft is left behind"
    record = parse_message((lists.folder / "log").read_bytes())
    assert record is not None
    assert [each.status.value for each in record.outcomes] == ["succeeded", "succeeded"]


# SIGTERM at on_start.


def test_a_stop_interrupts_the_running_callback_and_skips_the_rest(lists: Lists) -> None:
    lists.write(
        "def bye(*_):\n print('told', flush=True)\n sys.exit(0)\n"
        "def f():\n signal.signal(signal.SIGTERM, bye)\n open('began', 'w').write('1')\n time.sleep(60)\n"
        "def g(): pass\n"
    )
    process = lists.start({"call": "hooks:f", "retries": 3, "policy": "fail"}, "hooks:g")
    lists.pid_in("began")
    process.terminate()
    began = time.monotonic()
    answer = lists.finish(process)
    assert answer.statuses == ["interrupted", "skipped"]
    assert answer.messages[1] == "the pod was told to end"
    assert b"told" in answer.out
    assert time.monotonic() - began < 30  # and not its 60


def test_a_stop_is_carried_through_against_a_stubborn_callback(lists: Lists) -> None:
    lists.write(
        "def f():\n signal.signal(signal.SIGTERM, signal.SIG_IGN)\n open('began', 'w').write('1')\n time.sleep(600)\n"
    )
    process = lists.start({"call": "hooks:f", "timeout_seconds": 10.0})
    lists.pid_in("began")
    process.terminate()
    assert lists.finish(process).statuses == ["interrupted"]


def test_a_callback_that_has_ended_when_the_signal_comes_has_succeeded(tmp_path: Path) -> None:
    """Between the function's return and the process's end: it must not be recorded as interrupted, and run again."""
    context = make_context(tmp_path)

    def run_and_be_told_to_end(report: int) -> int:
        code = child.run_function(Callback("f", call="time:time_ns"), context, report)
        os.kill(os.getppid(), signal.SIGUSR1)  # the runner is told to stop, and tells us
        signal.sigtimedwait([signal.SIGUSR2], 0.3)
        return code

    told: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: told.append(number))
    try:
        work = children.Work("f", run_and_be_told_to_end)
        ended = children.run(work, children.Watch(20.0, stop_requested=lambda: bool(told)), mark=b"")
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert told
    assert (ended.succeeded, ended.report) == (True, b"")


def test_no_signal_takes_back_that_the_work_was_done() -> None:
    def report_and_die(report: int) -> int:
        os.write(report, children.FINISHED)
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    assert children.run(children.Work("f", report_and_die), children.Watch(20.0), mark=b"").succeeded


def test_a_text_of_the_callbacks_is_no_proof_of_its_end(lists: Lists) -> None:
    lists.write("def f(): sys.exit('bad\\0')\n")
    answer = lists.run("hooks:f")
    assert (answer.statuses, answer.messages) == (["failed"], ["bad"])


# What a callback leaves behind.

DAEMON = """
def daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for fd in range(3): os.dup2(os.open('/dev/null', os.O_RDWR), fd)
            open('daemon.new', 'w').write(str(os.getpid())); os.rename('daemon.new', 'daemon')
            time.sleep(60)
        os._exit(0)
    while not os.path.exists('daemon'): time.sleep(0.01)
def background():
    child = subprocess.Popen(['sleep', '60'])
    open('daemon', 'w').write(str(child.pid))
def detached():
    child = subprocess.Popen(['sleep', '60'], start_new_session=True, stdout=subprocess.DEVNULL)
    open('daemon', 'w').write(str(child.pid))
def own_group():
    child = subprocess.Popen(['sleep', '60'], preexec_fn=os.setpgrp, env={'PATH': os.environ['PATH']})
    open('daemon', 'w').write(str(child.pid))
def holds_output():
    if os.fork() == 0:
        os.setsid()
        open('daemon.new', 'w').write(str(os.getpid())); os.rename('daemon.new', 'daemon')
        while True:
            print('and on', flush=True)
            time.sleep(0.01)
    while not os.path.exists('daemon'): time.sleep(0.01)
def stubborn():
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        open('daemon.new', 'w').write(str(os.getpid())); os.rename('daemon.new', 'daemon')
        time.sleep(60)
    time.sleep(60)
"""


@pytest.mark.parametrize("name", ["daemon", "background", "detached", "own_group", "holds_output"])
def test_what_a_callback_leaves_running_is_ended_with_it(name: str, lists: Lists) -> None:
    lists.write(DAEMON)
    began = time.monotonic()
    answer = lists.run(f"hooks:{name}")
    assert answer.statuses == ["succeeded"]
    assert answer.children == ""
    assert time.monotonic() - began < 20
    wait_until(lambda: is_gone(lists.pid_in("daemon")))


def test_a_child_that_ignores_sigterm_is_ended_with_the_group_at_a_timeout(lists: Lists) -> None:
    lists.write(DAEMON)
    answer = lists.run({"call": "hooks:stubborn", "timeout_seconds": 2.0})
    assert answer.statuses == ["timed-out"]
    wait_until(lambda: is_gone(lists.pid_in("daemon")))


def test_a_command_leaves_nothing_behind_either(lists: Lists) -> None:
    answer = lists.run({"exec": ["sh", "-c", "setsid sleep 60 >/dev/null 2>&1 & echo $! > daemon; sleep 0.3"]})
    assert answer.statuses == ["succeeded"]
    wait_until(lambda: is_gone(lists.pid_in("daemon")))


def test_the_environment_is_the_containers_and_the_mark(lists: Lists) -> None:
    lists.write("def f(): print(*sorted(os.environ))\n")
    answer = lists.run({"call": "hooks:f", "key": "k"}, environ={"MY_VARIABLE": "1"})
    added = {"MY_VARIABLE", contract.ENV_MARK}
    assert set(answer.out.decode().split("] ")[1].split()) - set(os.environ) - {"LC_CTYPE"} == added - set(os.environ)


def test_nobody_elses_process_is_ended(lists: Lists) -> None:
    """A younger one with a variable much like the callback's mark, as where a pod's containers share processes."""
    lists.write("def f():\n open('began', 'w').write('1')\n while not os.path.exists('go'): time.sleep(0.01)\n")
    process = lists.start("hooks:f")
    lists.pid_in("began")
    like = {contract.ENV_MARK: "1-1"}
    younger = subprocess.Popen(["sleep", "300"], env={**os.environ, **like}, start_new_session=True)
    try:
        (lists.folder / "go").write_text("")
        assert lists.finish(process).statuses == ["succeeded"]
        assert younger.poll() is None
    finally:
        younger.kill()
        younger.wait()


# Output.


def test_each_line_is_marked_and_the_last_needs_no_end(lists: Lists) -> None:
    lists.write("def f():\n print('one')\n print('two', file=sys.stderr)\n os.write(1, b'\\xff\\n\\nlast')\n")
    assert lists.run({"call": "hooks:f", "key": "k"}).out == (
        b"[on-start k] one\n[on-start k] two\n[on-start k] \xff\n[on-start k] \n[on-start k] last\n"
    )


def test_a_huge_line_is_cut(lists: Lists) -> None:
    lists.write("def f():\n for n in range(100): os.write(1, b'x' * 100_000)\n print('\\nend')\n")
    out = lists.run({"call": "hooks:f", "key": "k"}).out
    first, second, rest = out.split(b"\n")
    assert len(first) < 20_000
    assert first.endswith(b"x [podhooks: line cut]")
    assert (second, rest) == (b"[on-start k] end", b"")


def test_a_hundred_megabytes_cost_neither_memory_nor_a_deadlock(lists: Lists) -> None:
    lists.write(
        "def f():\n block = (b'x' * 79 + b'\\n') * 12500\n for n in range(100): os.write(1, block)\n print('end')\n"
    )
    process = lists.start("hooks:f")
    watched = psutil.Process(process.pid)
    assert process.stdout is not None
    size, peak, tail = 0, 0, b""
    while chunk := process.stdout.read1(1 << 20):  # type: ignore[attr-defined]
        size += len(chunk)
        tail = (tail + chunk)[-200:]
        if process.poll() is None:
            peak = max(peak, watched.memory_info().rss)
    answer = lists.finish(process)
    assert answer.statuses == ["succeeded"]
    assert size > 100_000_000
    assert tail.endswith(b"end\n")
    assert peak < 60 << 20


def test_a_hundred_megabytes_in_one_line_cost_no_more_than_their_cut(lists: Lists) -> None:
    lists.write("def f():\n block = b'x' * 1_000_000\n for n in range(100): os.write(1, block)\n")
    process = lists.start({"call": "hooks:f", "timeout_seconds": 30.0})
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        with contextlib.suppress(psutil.Error):
            assert watched.memory_info().rss < 60 << 20
        time.sleep(0.02)
    answer = lists.finish(process)
    assert answer.statuses == ["succeeded"]
    assert len(answer.out) < 20_000


def test_a_stdout_that_nobody_reads_does_not_stop_the_clock(lists: Lists) -> None:
    lists.write("def f():\n block = b'x' * 999 + b'\\n'\n while True: os.write(1, block * 60)\ndef g(): pass\n")
    process = lists.start({"call": "hooks:f", "timeout_seconds": 2.0}, "hooks:g")
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        with contextlib.suppress(psutil.Error):
            assert watched.memory_info().rss < 60 << 20
        time.sleep(0.05)
    assert lists.finish(process).statuses == ["timed-out", "succeeded"]


@pytest.mark.parametrize("where", ["/dev/full", "closed", "gone", "nonblocking"])
def test_a_stdout_that_takes_nothing_does_not_stop_the_run(where: str, lists: Lists) -> None:
    lists.write("def f():\n for n in range(200): print('x' * 1000)\ndef g(): pass\n")
    reader, writer = os.pipe()
    if where == "gone":
        os.close(reader)
    if where == "nonblocking":
        os.set_blocking(writer, False)
    target = open("/dev/full", "wb") if where == "/dev/full" else writer  # noqa: SIM115
    if where == "closed":
        script = 'exec "$0" "$@" >&-'
        options = {"callbacks": [{"call": "hooks:f"}, {"call": "hooks:g"}], "shared": str(lists.folder), "log": ""}
        argument = json.dumps({**options, "answer": str(lists.folder / "answer")})
        process = subprocess.run(
            ["sh", "-c", script, sys.executable, "-S", str(RUN_LIST), argument],
            cwd=lists.folder,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
        )
        answer = Answer(lists.folder, process)
    else:
        answer = lists.run("hooks:f", "hooks:g", stdout=target)
    assert answer.statuses == ["succeeded", "succeeded"]
    os.close(writer)
    if where != "gone":
        os.close(reader)
    if not isinstance(target, int):
        target.close()


def test_an_ignored_sigchld_loses_no_exit_code(lists: Lists) -> None:
    lists.write("def f(): os._exit(7)\n")
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        process = lists.start("hooks:f")
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert lists.finish(process).messages == ["exited with code 7"]


# A process like a freshly started one.


def test_a_callback_sees_a_fresh_process(lists: Lists) -> None:
    lists.write(
        "import json, __main__\n"
        "def f():\n"
        "  blocked = list(signal.pthread_sigmask(signal.SIG_BLOCK, ()))\n"
        "  handlers = [str(signal.getsignal(n)) for n in (signal.SIGTERM, signal.SIGCHLD, signal.SIGALRM)]\n"
        "  fds = [n for n in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + n)]\n"
        "  print(json.dumps({'argv': sys.argv, 'stdin': sys.stdin.read(), 'main': sorted(vars(__main__)),\n"
        "    'handlers': handlers, 'blocked': blocked, 'fds': len(fds), 'umask': os.umask(0),\n"
        "    'site': any('site-packages' in p for p in sys.path), 'first': sys.path[0], 'last': sys.path[-1],\n"
        "    'extra': '/extra/path' in sys.path, 'wakeup': signal.set_wakeup_fd(-1),\n"
        "    'int': signal.getsignal(signal.SIGINT) is signal.default_int_handler}))\n"
    )
    umask = os.umask(0)
    os.umask(umask)
    answer = lists.run("hooks:f", environ={"PYTHONPATH": "/extra/path"})
    seen = json.loads(answer.out.partition(b"] ")[2])
    assert seen["argv"] == ["hooks:f"]
    assert seen["stdin"] == ""
    assert "run_hook" not in seen["main"]
    assert seen["handlers"] == [str(signal.SIG_DFL)] * 3
    assert (seen["blocked"], seen["wakeup"], seen["int"]) == ([], -1, True)
    assert seen["fds"] <= 4  # 0, 1, 2 and the report
    assert seen["umask"] == umask
    assert (seen["site"], seen["extra"]) == (True, True)
    assert (seen["first"], seen["last"]) == (str(lists.folder), str(RUN_LIST.parents[2]))


def test_the_import_path_puts_the_users_first_and_ours_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podhooks.runtime.forked.RUNTIME_DIR", "/r")
    assert import_path(["/r", "/lib", "/app"], "/app") == ["/app", "/lib", "/r"]
    monkeypatch.setattr("podhooks.runtime.forked.RUNTIME_DIR", "/v/site-packages")
    assert import_path(["/v/site-packages", "/lib"], "/app") == ["/app", "/v/site-packages", "/lib"]


def test_a_file_finds_what_lies_beside_it(lists: Lists) -> None:
    folder = lists.folder / "elsewhere"
    folder.mkdir()
    (folder / "beside.py").write_text("x = 'found'\n")
    (folder / "script.py").write_text("import beside\ndef f(): print(beside.x, __name__)\n")
    assert b"found script\n" in lists.run(f"{folder}/script.py:f").out


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_works_in_a_callback(method: str, lists: Lists) -> None:
    lists.write(
        "import multiprocessing\n"
        "def square(n): return n * n\n"
        f"def f():\n with multiprocessing.get_context({method!r}).Pool(2) as pool: print(pool.map(square, [1, 2, 3]))\n"
    )
    answer = lists.run("hooks:f")
    assert b"[1, 4, 9]" in answer.out, answer.out
    assert answer.statuses == ["succeeded"]


def test_async_functions_threads_and_atexit_work(lists: Lists) -> None:
    lists.write(
        "import asyncio, atexit, threading\n"
        "async def f(c, *, x):\n"
        "  process = await asyncio.create_subprocess_exec('echo', 'sub', stdout=-1)\n"
        "  print('async', x, (await process.communicate())[0])\n"
        "def g():\n"
        "  atexit.register(print, 'at exit')\n"
        "  threading.Thread(target=lambda: (time.sleep(0.2), print('thread done'))).start()\n"
    )
    answer = lists.run({"call": "hooks:f", "arguments": {"x": 1}}, "hooks:g")
    assert answer.statuses == ["succeeded", "succeeded"], answer.out
    out = answer.out.decode()
    assert "async 1 b'sub\\n'" in out
    assert out.index("thread done") < out.index("at exit")


# Commands.


def test_a_command_gets_the_context(lists: Lists) -> None:
    script = "import json, os, sys; c = json.load(sys.stdin); print(c['exit']['result'], os.environ['PODHOOKS_RESULT'])"
    command = {"exec": [sys.executable, "-c", script], "key": "k"}
    answer = lists.run(command, hook="on-exit", result="OOMKilled")
    assert answer.out == b"[on-exit k] OOMKilled OOMKilled\n"


def test_a_commands_exit_code_is_its_result(lists: Lists) -> None:
    answer = lists.run({"exec": ["sh", "-c", "exit 3"]})
    assert (answer.statuses, answer.messages) == (["failed"], ["exited with code 3"])


def test_a_command_that_cannot_run_is_one_line(lists: Lists) -> None:
    bad = lists.folder / "no-interpreter"
    bad.write_text("#!/nowhere/python\n")
    bad.chmod(0o755)
    plain = lists.folder / "plain"
    plain.write_text("")
    commands = ["no-such-command", "/nowhere/x", str(bad), str(plain)]
    answer = lists.run(*({"exec": [one], "key": f"k{n}"} for n, one in enumerate(commands)))
    assert answer.statuses == ["failed"] * 4
    assert answer.messages[0].startswith("command 'no-such-command' not found in PATH (")
    assert answer.messages[1] == "command '/nowhere/x': no such file in this container"
    assert "interpreter in its first line doesn't exist" in answer.messages[2]
    assert "is not executable" in answer.messages[3]


def test_a_command_ends_on_a_closed_pipe_as_usual(lists: Lists) -> None:
    answer = lists.run({"exec": ["sh", "-c", "yes | head -1; echo end"], "key": "k"})
    assert answer.out == b"[on-start k] y\n[on-start k] end\n"


# Memory.


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_callback_that_eats_its_memory_gets_memory_error(version: str, lists: Lists) -> None:
    cgroup = lists.folder / "cgroup"
    file = cgroup / ("memory.max" if version == "v2" else "memory/memory.limit_in_bytes")
    file.parent.mkdir(parents=True)
    file.write_text(f"{200 << 20}\n")
    lists.write("def f():\n data = []\n while True: data.append(bytearray(1 << 20))\ndef g(): bytearray(50 << 20)\n")
    answer = lists.run("hooks:f", "hooks:g", cgroup_dir=str(cgroup))
    assert answer.statuses == ["failed", "succeeded"]
    assert answer.messages[0].startswith("MemoryError")


def test_a_callback_is_what_the_kernel_kills_first(lists: Lists) -> None:
    lists.write("def f(): print(open('/proc/self/oom_score_adj').read().strip())\n")
    assert lists.run({"call": "hooks:f", "key": "k"}).out == b"[on-start k] 1000\n"


@pytest.mark.parametrize(
    ("limit", "own", "expected"),
    [
        (None, 10 << 20, None),
        (200 << 20, 12 << 20, 180 << 20),
        (64 << 20, 12 << 20, 44 << 20),
        (32 << 20, 12 << 20, None),
        (0, 12 << 20, None),
    ],
)
def test_the_memory_limit_leaves_room_for_us(limit: int | None, own: int, expected: int | None) -> None:
    assert data_limit(limit, own) == expected
