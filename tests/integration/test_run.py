"""`podhooks run` on the embedded stand-in: what is shown, what it ends with, and that it leaves nothing behind."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from tests.integration.cli import PODHOOKS, podhooks
from tests.integration.runs import WAITING, Run, directory, in_order, job, manifest


def run(path: Path, *arguments: str) -> Run:
    found = Run(str(path), *arguments)
    found.end()
    return found


# -- what is shown ----------------------------------------------------------------------------------------------------


def test_a_run_is_told_in_the_order_of_time_and_summed_up(tmp_path: Path) -> None:
    ran = run(directory(tmp_path, manifest("print('working')")))
    assert ran.process.returncode == 0, ran.output
    assert in_order(
        ran.lines,
        "Pod/etl in default, on this machine",
        "not done locally: image (python:3.12-slim)",
        "etl created",
        "on-start   running",
        "on-start │ [on-start hooks:prepare] preparing in shared",
        "on-start   ended, exit code 0",
        "work       running",
        "work     │ working",
        "work       ended, exit code 0",  # anywhere among the lines of on-exit: it waits for its log
        "on-exit    ended, exit code 0",
        "pod etl",
        "  on_start  ok         hooks:prepare",
        "  main      Succeeded  exit code 0",
        "  on_exit   ok         hooks:tell",
        "Pod/etl: main succeeded; exit code 0",
    ), ran.output
    told = "on-exit  │ [on-exit hooks:tell] told: Succeeded 0"
    assert in_order(ran.lines, "work     │ working", told, "on-exit    ended"), ran.output
    assert ran.errors == []


def test_the_exit_code_is_mains_own_also_when_on_exit_fails(tmp_path: Path) -> None:
    ran = run(directory(tmp_path, job(manifest("raise SystemExit(7)", tell="broken"))))
    assert ran.process.returncode == 7
    assert in_order(ran.lines, "work       ended, exit code 7", "job failed: BackoffLimitExceeded")
    assert in_order(ran.lines, "main      Failed  exit code 7", "failed  hooks:broken")
    assert any("failed  hooks:broken" in line and "ValueError: no such channel" in line for line in ran.lines)


def test_a_start_that_fails_keeps_main_from_starting(tmp_path: Path) -> None:
    ran = run(directory(tmp_path, manifest(prepare="broken")))
    assert ran.process.returncode == 1
    assert not any(line.startswith("work") or "│ working" in line for line in ran.lines)
    assert in_order(ran.lines, "told: StartFailed", "failed       hooks:broken", "main      StartFailed")


def test_a_broken_on_exit_callback_is_known_before_main_starts(tmp_path: Path) -> None:
    ran = run(directory(tmp_path, manifest(tell="tel")))
    assert ran.process.returncode == 1
    assert not any("│ working" in line for line in ran.lines)
    assert any("hooks:tel" in line and "did you mean" in line for line in ran.lines), ran.output


def test_retries_of_a_job_are_all_followed_and_the_job_has_the_last_word(tmp_path: Path) -> None:
    once = "import pathlib\np = pathlib.Path('once')\nif not p.exists(): p.touch(); raise SystemExit(4)"
    # the local job controller waits 10 s before a retry, as a real one does
    ran = run(directory(tmp_path, job(manifest(once), backoffLimit=1)))
    assert ran.process.returncode == 0, ran.output
    assert sum(line.startswith("pod ") for line in ran.lines) == 2
    assert in_order(ran.lines, "main      Failed  exit code 4", "main      Succeeded", "Job/etl: the job is complete")


def test_pods_that_run_side_by_side_are_told_apart(tmp_path: Path) -> None:
    ran = run(directory(tmp_path, job(manifest("print('here')"), completions=2, parallelism=2)))
    assert ran.process.returncode == 0
    prefixes = {line.split("│")[0].split("s  ")[1].split()[0] for line in ran.lines if "│ here" in line}
    assert len(prefixes) == 2


def test_a_restarted_main_is_followed_through_every_run(tmp_path: Path) -> None:
    text = manifest(
        "import pathlib\np = pathlib.Path('/podhooks/shared/n')\n"
        "print('seen', p.exists())\nif not p.exists(): p.touch(); raise SystemExit(5)"
    ).replace("restartPolicy: Never", "restartPolicy: OnFailure")
    ran = run(directory(tmp_path, text))
    assert ran.process.returncode == 0
    assert in_order(ran.lines, "│ seen False", "ended, exit code 5", "running again, restart 1", "│ seen True")
    assert any("exit code 0, ran" in line and "1 restart" in line for line in ran.lines)


def test_a_cronjob_runs_once(tmp_path: Path) -> None:
    lines = job(manifest()).replace("kind: Job", "kind: CronJob").splitlines()
    nested = [
        *lines[:5],
        '  schedule: "0 3 * * *"',
        "  jobTemplate:",
        "    spec:",
        *(f"    {each}" for each in lines[5:]),
    ]
    ran = run(directory(tmp_path, "\n".join(nested)))
    assert ran.process.returncode == 0, ran.output
    assert ran.lines[0].startswith("Job/etl-* in default")


def test_a_pod_without_annotations_runs_alone_and_says_so(tmp_path: Path) -> None:
    ran = run(directory(tmp_path, manifest().replace("podhooks.io/", "other.io/")))
    assert ran.process.returncode == 0
    assert any("main runs alone" in line for line in ran.lines)


def test_the_manifests_directory_is_where_main_works_and_imports_from(tmp_path: Path) -> None:
    path = directory(tmp_path / "there", manifest("import hooks, os; print(os.getcwd())"))
    ran = Run(os.path.relpath(path, tmp_path), cwd=tmp_path)
    assert ran.end() == 0, ran.output
    assert any(line.endswith(f"│ {tmp_path / 'there'}") for line in ran.lines)


def test_a_path_of_ones_own_comes_after_the_manifests_directory(tmp_path: Path) -> None:
    path = directory(tmp_path, manifest("import os; print(os.environ['PYTHONPATH'])"))
    ran = Run(str(path), env={"PYTHONPATH": "/own"})
    assert ran.end() == 0
    assert any(line.endswith(f"│ {tmp_path}:/own") for line in ran.lines)


def test_companions_are_created_and_variables_set(tmp_path: Path) -> None:
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {KEY: hidden}\n---\n"
    text = (
        manifest("import os; print(os.environ['KEY'], os.environ['MORE'])")
        + "      envFrom: [{secretRef: {name: s}}]\n"
    )
    ran = run(directory(tmp_path, secret + text), "-e", "MORE=a=b", "-n", "team")
    assert ran.process.returncode == 0, ran.output
    assert in_order(ran.lines, "Pod/etl in team", "with Secret/s", "│ hidden a=b")


def test_the_runtime_can_come_by_an_image_volume_here_too(tmp_path: Path) -> None:
    ran = run(directory(tmp_path, manifest()), "--delivery", "image")
    assert ran.process.returncode == 0, ran.output
    assert any("told: Succeeded 0" in line for line in ran.lines)


def test_what_a_container_prints_can_not_spoil_the_terminal(tmp_path: Path) -> None:
    ran = run(directory(tmp_path, manifest(r"print('10%\r100%'); print('\x1b[2Jclean\x07')")))
    assert in_order(ran.lines, "work     │ 100%", "work     │ clean")
    assert "\x1b" not in ran.output


def test_a_log_of_many_lines_comes_whole_and_before_its_containers_end(tmp_path: Path) -> None:
    ran = run(directory(tmp_path, manifest("for n in range(20000): print(n)")))
    logged = [line.partition("│ ")[2] for line in ran.lines if "s  work     │ " in line]
    assert logged == [str(n) for n in range(20000)]
    ended = next(index for index, line in enumerate(ran.lines) if "work       ended" in line)
    assert ended > max(index for index, line in enumerate(ran.lines) if "│ 19999" in line)


# -- the end of it ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "word", "code"),
    [(signal.SIGINT, "Ctrl-C", 130), (signal.SIGTERM, "SIGTERM", 143), (signal.SIGHUP, "SIGHUP", 129)],
)
def test_a_signal_deletes_the_run_and_on_exit_still_runs(
    tmp_path: Path, number: signal.Signals, word: str, code: int
) -> None:
    ran = Run(str(directory(tmp_path, job(manifest(WAITING))))).until("│ working").send(number)
    assert ran.end() == code, ran.output
    assert in_order(ran.lines, f"{word}: deleting Job/etl, on_exit runs", "told: Deleted", f"ended by {word}")
    assert any("main      Deleted  exit code 143" in line for line in ran.lines), ran.output


def test_a_deletion_in_the_first_moments_does_not_wait_for_the_whole_grace_period(tmp_path: Path) -> None:
    """on-exit's interpreter may be starting when its SIGTERM comes, and then never hears of it.

    The grace period is 35 s: 5 s for main, and the reserve.
    """
    ran = Run(str(directory(tmp_path, manifest(WAITING)))).until("etl created").send(signal.SIGINT)
    began = time.monotonic()
    assert ran.end() == 130, ran.output
    assert time.monotonic() - began < 25, ran.output
    assert in_order(ran.lines, "being deleted, 35s of grace", "told: ", "on-exit    ended, exit code 0"), ran.output


def test_a_second_signal_stops_at_once(tmp_path: Path) -> None:
    text = manifest(WAITING, tell="slow").replace("podhooks.io/on-exit-retries", "podhooks.io/on-exit-timeout")
    ran = Run(str(directory(tmp_path, text.replace('timeout: "0"', 'timeout: "100s"')))).until("│ working")
    ran.send(signal.SIGINT).until("main ended result=Deleted").send(signal.SIGINT)
    assert ran.end() == 130
    assert in_order(ran.lines, "press Ctrl-C again to stop at once", "Ctrl-C again: stopping at once")


def test_a_timeout_deletes_the_run_and_on_exit_still_runs(tmp_path: Path) -> None:
    ran = run(directory(tmp_path, manifest(WAITING)), "--timeout", "6s")
    assert ran.process.returncode == 124
    assert in_order(
        ran.lines, "not over after 6s: deleting Pod/etl, on_exit runs", "told: Deleted", "ended by --timeout"
    )


def test_what_keeps_main_from_starting_is_told_at_once_and_in_the_last_line(tmp_path: Path) -> None:
    text = manifest() + "      envFrom: [{configMapRef: {name: nowhere}}]\n"
    ran = Run(str(directory(tmp_path, text)), "--timeout", "4s")
    ran.until('waiting: CreateContainerConfigError: configmap "nowhere" not found')
    assert ran.end() == 124
    assert 'configmap "nowhere" not found; exit code 124' in ran.lines[-1]


def test_a_volume_that_is_missing_is_told_by_its_event(tmp_path: Path) -> None:
    text = (
        manifest()
        + "      volumeMounts: [{name: v, mountPath: /v}]\n  volumes: [{name: v, secret: {secretName: none}}]\n"
    )
    ran = Run(str(directory(tmp_path, text))).until('FailedMount: MountVolume.SetUp failed: secret "none" not found')
    assert ran.send(signal.SIGTERM).end() == 143
    assert "FailedMount" in ran.lines[-1]


def test_nothing_is_left_of_a_run(tmp_path: Path) -> None:
    place = tmp_path / "tmp"
    place.mkdir()
    path = directory(tmp_path, manifest(WAITING + f"# {tmp_path}"))
    ran = Run(str(path), env={"TMPDIR": str(place)}).until("│ working").send(signal.SIGINT)
    assert ran.end() == 130
    assert list(place.iterdir()) == []
    assert not [each for each in psutil.process_iter() if str(tmp_path) in " ".join(_command(each))]


def test_keep_leaves_logs_and_volumes_and_says_where(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        ran = Run(str(directory(tmp_path, manifest())), "--keep", env={"TMPDIR": place})
        assert ran.end() == 0
        assert any(line.startswith(f"kept: {place}") for line in ran.lines), ran.output
        assert list(Path(place).glob("podhooks-*/pods"))


def test_a_reader_that_goes_away_ends_the_run(tmp_path: Path) -> None:
    path = directory(tmp_path, manifest("import time\nwhile True: print(1, flush=True); time.sleep(.01)"))
    with subprocess.Popen([PODHOOKS, "run", str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while "│ 1" not in process.stdout.readline():
            pass
        process.stdout.close()
        assert process.wait(40) == 128 + signal.SIGPIPE


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


# -- bad input --------------------------------------------------------------------------------------------------------

TWO = manifest() + "---\n" + manifest().replace("name: etl", "name: other")
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"


@pytest.mark.parametrize(
    ("text", "arguments", "problem"),
    [
        ("", (), "there is no object in it"),
        ("a: [b\n", (), "run.yaml:2:1: not YAML"),
        (CONFIG, (), "nothing in it can be run"),
        (manifest().replace("kind: Pod", "kind: Pot"), (), "did you mean Pod?"),
        (manifest().replace("kind: Pod", "kind: Deployment").replace(": v1", ": apps/v1"), (), "nothing that ends"),
        (TWO, (), "--only Pod/etl"),
        (TWO, ("--only", "Pod/elt"), "has Pod/etl, Pod/other"),
        (manifest().replace("image:", "imagee:"), (), "imagee"),
        (manifest().replace("restartPolicy: Never", "restartPolicy: Nver"), (), '"Nver"'),
        (manifest().replace("  name: etl\n", ""), (), "a Pod has no metadata.name"),
        (manifest(), ("--nope",), "--nope"),
        (manifest(), ("--timeout", "10"), "write 10s"),
        (manifest(), ("-e", "X"), "write NAME=VALUE"),
        (manifest(), ("--delivery", "copy"), "needs a cluster"),
        (manifest(), ("--delivery", "post"), "--delivery"),
        (manifest().replace("name: etl", "name: etl\n  namespace: a"), ("-n", "b"), "-n says b"),
        (manifest(), ("--kubeconfig", "/does/not/exist"), "there is no kubeconfig at /does/not/exist"),
        (manifest(), ("more.yaml",), "more.yaml: can't be read"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path, text: str, arguments: tuple[str, ...], problem: str
) -> None:
    path = directory(tmp_path, text)
    ran = podhooks("run", str(path), *arguments)
    assert (ran.returncode, ran.stdout) == (2, ""), ran
    assert problem in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_a_wrong_annotation_is_told_with_its_line_and_nothing_is_started(tmp_path: Path) -> None:
    path = directory(tmp_path, manifest().replace("on-exit-retries", "on-exit-retrys"))
    ran = podhooks("run", str(path))
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "run.yaml:8: Pod/etl: error: podhooks.io/on-exit-retrys" in ran.stderr
    assert "did you mean podhooks.io/on-exit-retries?" in ran.stderr


def test_no_file_at_all_is_bad_input(tmp_path: Path) -> None:
    assert "nothing to run: podhooks run FILE" in podhooks("run").stderr
    assert podhooks("run", str(tmp_path)).returncode == 2


def test_a_manifest_can_come_through_a_pipe() -> None:
    text = manifest().replace('on-start: "hooks:prepare"', "").replace("hooks:tell", "[{exec: [echo, bye]}]")
    ran = podhooks("run", "-", stdin=text.replace("    podhooks.io/\n", ""))
    assert ran.returncode == 0, ran
    assert "bye" in ran.stdout


# -- on a terminal ----------------------------------------------------------------------------------------------------


def on_terminal(*arguments: str, keys: dict[str, str]) -> tuple[int, str]:
    """Exit code and all that was written. `keys`: what is typed when a text appears, once each."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(TERM="xterm-256color", COLUMNS="120", LINES="40")
        os.execv(PODHOOKS, [PODHOOKS, "run", *arguments])
    shown, waiting = "", dict(keys)
    while data := _read(terminal):
        shown += data
        for text in [each for each in waiting if each in shown]:
            os.write(terminal, waiting.pop(text).encode())
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown


def _read(terminal: int) -> str:
    try:
        return os.read(terminal, 65536).decode("utf-8", "replace")
    except OSError:  # EIO: the other end is closed
        return ""


def test_on_a_terminal_there_are_colours_and_a_line_that_says_what_runs(tmp_path: Path) -> None:
    path = directory(tmp_path, manifest(WAITING))
    code, shown = on_terminal(str(path), keys={"working\r": "\x03"})
    assert code == 130, shown
    assert "Ctrl-C deletes the run" in shown
    assert "\x1b[36m" in shown  # cyan, on-start's colour
    assert "told: Deleted" in shown
    assert shown.rstrip().endswith("exit code 130")


@pytest.mark.parametrize("python", ["bundled", "/venv/bin/python3"])
def test_an_interpreter_that_the_pod_names_gets_the_runtime_mounted(tmp_path: Path, python: str) -> None:
    """Nothing of ours is installed for that one, and on this machine no flag should be needed."""
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "own",
            "annotations": {"podhooks.io/on-exit": '[{exec: [sh, -c, "echo bye"]}]', "podhooks.io/python": python},
        },
        "spec": {
            "restartPolicy": "Never",
            "initContainers": [
                {
                    "name": "make-venv",
                    "image": "a",
                    "command": ["python3", "-m", "venv", "--without-pip", "/venv"],
                    "volumeMounts": [{"name": "venv", "mountPath": "/venv"}],
                }
            ],
            "containers": [
                {
                    "name": "main",
                    "image": "a",
                    "command": ["sh", "-c", "echo main"],
                    "volumeMounts": [{"name": "venv", "mountPath": "/venv"}],
                }
            ],
            "volumes": [{"name": "venv", "emptyDir": {}}],
        },
    }
    (tmp_path / "own.json").write_text(json.dumps(manifest))
    command = [sys.executable, "-m", "podhooks.cli", "run", "--plain", str(tmp_path / "own.json")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=55)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "bye" in ran.stdout
