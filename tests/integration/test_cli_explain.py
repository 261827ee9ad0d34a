"""`podhooks explain` as a real process."""

import os
import subprocess
import sys

import pytest

from tests.integration.cli import ANNOTATED, BROKEN, PODHOOKS, SERVICE, podhooks

FULL = ANNOTATED.replace(
    "notify:slack, cleanup:scratch",
    """|
          - {call: notify:slack, when: failure, timeout: 10s, retries: 0}
          - {call: cleanup:scratch, retries: 1}
        podhooks.io/on-start-policy: ignore""",
)


def test_the_whole_timeline() -> None:
    done = podhooks("explain", stdin=SERVICE + "---\n" + FULL)
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        done.stdout
        == """\
Job/etl  (spec.template, native mode, main: main)

  prepare  sidecar on-exit starts and waits for main's end
  on_start init container on-start, in etl:1
           run, like on_exit, by python3 of etl:1, which must be Python 3.10 or newer
           first checks that every on_exit callback can be found: if not, main never starts
           1. prepare:database
              at most 5m, no retry
              if it fails: recorded in the log and the pod's status
  main     main runs; /podhooks/shared is one directory for on_start, main and on_exit
  on_exit  sidecar on-exit, in etl:1
           1. notify:slack
              at most 10s, no retry, only when Failed, OOMKilled, Evicted, Deleted, DeadlineExceeded, NodeLost, \
StartFailed, NeverStarted, Unknown
              if it fails: recorded in the log and the pod's status, the next one runs
           2. cleanup:scratch
              at most 30s each time, 1 retry
              if it fails: recorded in the log and the pod's status
  time     grace period 1m10s = 30s (default) for main + 40s reserve for on_exit
           on_exit takes at most 40s without retries; retries use what is left

What on_exit sees, and when it runs
  main succeeds    Succeeded         right after main's end; exit code 0; runs cleanup:scratch
  main fails       Failed            right after main's end; exit code or signal, reason and message
  out of memory    OOMKilled         right after main's end; the exit code may be main's own
  pod is deleted   Deleted           right after main is dead; exit code unknown
  evicted by API   Evicted           right after main is dead; exit code unknown
  evicted by node  Evicted           the kubelet leaves no time: may not run at all
  deadline         DeadlineExceeded  right after main is dead; a Job's own deadline looks like a deletion
  node is lost     NodeLost          nothing in the pod can run: may not run at all
  start fails      StartFailed       runs in the sidecar; main has never run

The modes
            on_exit runs                           it knows                                       it costs
* native    right after main's end, in the pod     main's own end; after a deletion no exit code  20 MiB a pod
  classic   the same                               the same, but in a deletion it acts first      20 MiB, in its verdict
  outside   seconds after the pod's end, in a Job  the final truth, no shared directory           the operator

"""
    )


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("podhooks.io/on-exit:", "podhooks.io/mode: classic\n        podhooks.io/on-exit:", "runs in on-start itself"),
        ("podhooks.io/on-exit:", "podhooks.io/mode: classic\n        podhooks.io/on-exit:", "at the latest 1m before"),
        ("restartPolicy: Never", "restartPolicy: OnFailure", "on_exit runs after the last"),
        (
            "restartPolicy: Never",
            "terminationGracePeriodSeconds: 600\n      restartPolicy: Never",
            "11m = 10m of yours",
        ),
        ("restartPolicy: Never", "restartPolicy: Never\n      initContainers: [{name: get}]", "init containers: get"),
        (
            "restartPolicy: Never",
            "restartPolicy: Never\n      initContainers: [{name: mesh, restartPolicy: Always}]",
            "init containers: mesh\n  prepare  sidecar on-exit starts and waits",
        ),
        (
            "restartPolicy: Never",
            "restartPolicy: Never\n      initContainers: [{name: mesh, restartPolicy: Always}, {name: a}, {name: b}]",
            "mesh, a, b\n              if a or b fails: no on_exit runs: its container isn't there yet\n  prepare",
        ),
        (
            "    spec:\n      restartPolicy: Never",
            "        podhooks.io/on-exit-position: first\n    spec:\n"
            "      initContainers: [{name: get}]\n      restartPolicy: Never",
            "waits for main's end\n  prepare  your init containers: get\n              if get fails: on_exit runs\n",
        ),
        ("        podhooks.io/on-exit: notify:slack, cleanup:scratch\n", "", "nothing: no callback is named"),
        ("        podhooks.io/on-start: prepare:database\n", "", "no callback of yours"),
        (
            "podhooks.io/on-exit:",
            "podhooks.io/python: bundled\n        podhooks.io/on-exit:",
            "by the Python that comes along with Podhooks: etl:1 needs none",
        ),
    ],
)
def test_what_the_annotations_change(old: str, new: str, expected: str) -> None:
    assert old in ANNOTATED
    done = podhooks("explain", stdin=ANNOTATED.replace(old, new))
    assert done.returncode == 0
    assert expected in done.stdout


def test_a_main_that_is_restarted_for_ever_has_no_end_of_its_own() -> None:
    done = podhooks("explain", stdin=ANNOTATED.replace("Never", "Always"))
    assert "its end is the pod's deletion or eviction" in done.stdout
    assert "main succeeds" not in done.stdout
    assert "[main-restarts]" in done.stderr


def test_the_copying_container_is_shown() -> None:
    done = podhooks("explain", "--delivery", "copy", stdin=ANNOTATED)
    assert "init container podhooks-runtime copies the runtime into the pod" in done.stdout


def test_an_error_is_told_instead_of_a_timeline() -> None:
    done = podhooks("explain", stdin=BROKEN)
    assert (done.returncode, done.stdout) == (2, "")
    assert "[unknown-annotation]" in done.stderr


def test_nothing_to_explain() -> None:
    done = podhooks("explain", stdin=SERVICE)
    assert (done.returncode, done.stdout) == (0, "nothing here has podhooks.io annotations that name a callback\n")


def test_explaining_what_was_injected_already() -> None:
    injected = podhooks("inject", stdin=ANNOTATED).stdout
    assert podhooks("explain", stdin=injected).stdout == podhooks("explain", stdin=ANNOTATED).stdout


@pytest.mark.skipif(sys.platform != "linux", reason="needs a pseudo-terminal")
def test_colours_on_a_terminal_only() -> None:
    import pty

    controller, terminal = pty.openpty()
    environ = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"}
    environ.pop("NO_COLOR", None)
    done = subprocess.run(
        [PODHOOKS, "explain"],
        input=ANNOTATED.encode(),
        stdout=terminal,
        stderr=subprocess.PIPE,
        timeout=50,
        env=environ,
    )
    os.close(terminal)
    shown = os.read(controller, 100).decode()
    os.close(controller)
    assert done.returncode == 0
    assert shown.startswith("\x1b[1mJob/etl")


def test_outside_the_pod_on_exit_runs_later_and_knows_everything() -> None:
    """With the three modes side by side."""
    ran = podhooks(
        "explain", stdin=ANNOTATED.replace("annotations:", "annotations:\n        podhooks.io/mode: outside", 1)
    )
    assert ran.returncode == 0
    assert "on_exit  outside the pod, in a Job of the operator's" in ran.stdout
    assert (
        "pod is deleted   Deleted           some seconds after the pod's end; with main's real exit code" in ran.stdout
    )
    assert "* outside   seconds after the pod's end, in a Job" in ran.stdout
    assert "[outside-needs-rescuer]" in ran.stderr
