"""SIGTERM and the alarm clock end any wait; in a process of its own, because both belong to the process."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]
START = """
import os, signal, socket, time
from podhooks_sidecar.wakeup import Interrupted, Wakeup
wakeup = Wakeup()
wakeup.install()
begun = time.monotonic()
def term(): os.kill(os.getpid(), signal.SIGTERM)
def took(): return time.monotonic() - begun
"""


def run(script: str) -> str:
    code = START + textwrap.dedent(script)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, cwd=ROOT)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def test_a_sigterm_between_two_waits_ends_the_next_one_at_once() -> None:
    script = """
        term()
        wakeup.sleep(30)
        print(took() < 10, wakeup.term_at is not None)
    """
    assert run(script) == "True True"


def test_a_sigterm_that_is_acknowledged_ends_no_later_wait() -> None:
    script = """
        term()
        wakeup.acknowledge()
        wakeup.sleep(0.5)
        print(took() >= 0.5)
    """
    assert run(script) == "True"


def test_a_sigterm_ends_a_read_that_has_no_end() -> None:
    script = """
        reader, writer = socket.socketpair()
        if os.fork() == 0:
            time.sleep(0.5)
            os.kill(os.getppid(), signal.SIGTERM)
            os._exit(0)
        try:
            with wakeup.interruptible():
                reader.recv(1)
        except Interrupted:
            print("interrupted", took() < 10)
    """
    assert run(script) == "interrupted True"


def test_the_alarm_ends_a_wait_at_its_time_and_no_other_one() -> None:
    script = """
        try:
            with wakeup.interruptible(time.monotonic() + 0.3):
                time.sleep(30)
        except Interrupted:
            print("interrupted", took() < 10)
        time.sleep(0.5)
        print("quiet")
    """
    assert run(script).split("\n") == ["interrupted True", "quiet"]


def test_an_interruption_that_a_destructor_swallowed_comes_again() -> None:
    """The interpreter prints and forgets what is raised while it destroys an object."""
    script = """
        class Slow:
            def __del__(self):
                term()
        try:
            with wakeup.interruptible():
                Slow()
                time.sleep(30)
        except Interrupted:
            print("interrupted", took() < 10)
    """
    assert run(script) == "interrupted True"


def test_after_retiring_a_sigterm_is_nothing() -> None:
    assert run("wakeup.retire(); term(); print('alive')") == "alive"
