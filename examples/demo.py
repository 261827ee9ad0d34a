"""`make demo`: one Job manifest, four ends. Each is a real `podhooks run` on the embedded stand-in, without a cluster.

In the first run main succeeds, in the second it fails, in the third it is killed from outside as a node's memory killer
would do it, in the fourth the Job is deleted half-way. on_start runs before main each time, and on_exit after it.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MANIFEST = Path(__file__).resolve().parent / "demo" / "job.yaml"
HALF_WAY = "main: half of the rows done"
BEFORE, AFTER = "before main: ", "after main: "
LIMIT_SECONDS = 60


@dataclass(frozen=True)
class Scenario:
    """`act` is done to the running `podhooks run` when main is half-way. `told` is what on_exit is to hear."""

    title: str
    end: str
    told: str
    exit_code: int
    act: Callable[[subprocess.Popen[str], str], None] | None = None


@dataclass(frozen=True)
class Outcome:
    exit_code: int
    output: str

    @property
    def told(self) -> str:
        """What on_exit said it was told: `result Failed, exit code 3`."""
        found = re.search(re.escape(AFTER) + r"(result \w+, exit code \w+)", self.output)
        return found[1] if found else "nothing"

    @property
    def in_order(self) -> bool:
        """on_start, then main, then on_exit, once each."""
        words = [BEFORE, "main: 40 rows found", AFTER]
        places = [self.output.find(each) for each in words]
        return -1 not in places and places == sorted(places) and self.output.count(AFTER) == 1


def kill_main(_: subprocess.Popen[str], mark: str) -> None:
    """SIGKILL to main's process, found by the variable that this run has set."""
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            command, environment = (directory / "cmdline").read_bytes(), (directory / "environ").read_bytes()
        except OSError:
            continue  # it has just ended, or is another user's
        if b"/work.py" in command and f"DEMO_RUN={mark}".encode() in environment.split(b"\0"):
            os.kill(int(directory.name), signal.SIGKILL)


def delete_job(run: subprocess.Popen[str], _: str) -> None:
    """What Ctrl-C does: the Job is deleted, and the run followed to its end."""
    run.send_signal(signal.SIGINT)


SCENARIOS = (
    Scenario("main succeeds", "succeed", "result Succeeded, exit code 0", 0),
    Scenario("main fails", "fail", "result Failed, exit code 3", 3),
    Scenario("main is killed", "wait", "result Failed, exit code 137", 137, kill_main),
    Scenario("the Job is deleted", "wait", "result Deleted, exit code None", 130, delete_job),
)


def play(scenario: Scenario) -> Outcome:
    """One run, shown line by line as it happens."""
    mark = f"{os.getpid()}-{time.monotonic_ns()}"
    command = [sys.executable, "-m", "podhooks.cli", "run", str(MANIFEST), "--timeout", f"{LIMIT_SECONDS}s"]
    command += ["--env", f"END={scenario.end}", "--env", f"DEMO_RUN={mark}"]
    lines: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        assert run.stdout is not None
        for line in run.stdout:
            print(painted(line), end="", flush=True)
            lines.append(line)
            if HALF_WAY in line and scenario.act:
                scenario.act(run, mark)
    return Outcome(run.returncode, "".join(lines))


def painted(line: str) -> str:
    """The lines that this is about stand out, on a terminal."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return line
    colour = "36" if BEFORE in line else "35" if AFTER in line else ""
    return f"\033[1;{colour}m{line.rstrip()}\033[0m\n" if colour else line


def main() -> int:
    outcomes = []
    for number, scenario in enumerate(SCENARIOS, 1):
        print(f"\n=== {number} of {len(SCENARIOS)}: {scenario.title} ===\n", flush=True)
        outcomes.append(play(scenario))
    print("\n=== what on_exit was told ===\n")
    failures = 0
    for scenario, outcome in zip(SCENARIOS, outcomes, strict=True):
        right = (outcome.told, outcome.exit_code, outcome.in_order) == (scenario.told, scenario.exit_code, True)
        failures += not right
        verdict = "as it should be" if right else f"WRONG: expected {scenario.told}; exit code {scenario.exit_code}"
        print(f"  {scenario.title:<20} {outcome.told:<32} podhooks run: {outcome.exit_code:<4} {verdict}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
