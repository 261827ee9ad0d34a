"""Every measurement runs, and what doesn't depend on the machine's speed is as promised."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import __main__ as benchmarks
from benchmarks import apirequests, latency, manifests, memory, output, overhead, start, waiting
from benchmarks.pod import recorded_pod, tls_pod
from benchmarks.result import Row, interleaved, table
from benchmarks.stage import Stage, prepared

ROOT = Path(__file__).parents[2]
# What waiting must not pay for: each costs more than all of our own modules together, or is for running callbacks.
NOT_FOR_WAITING = {"asyncio", "concurrent", "dataclasses", "importlib.util", "inspect", "logging", "pathlib"} | {
    *(
        "podhooks.runtime.child",
        "podhooks.runtime.children",
        "podhooks.runtime.resolve",
        "podhooks.runtime.runner",
        "shutil",
        "site",
        "subprocess",
    ),
    *("tempfile", "threading", "typing", "urllib.request"),
}
FLOORS_LIMIT = 1.3


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with prepared(quick=True) as made:
        yield made


def test_the_waiting_sidecar_is_little_more_than_an_idle_interpreter(stage: Stage) -> None:
    rows = {row.name: row for row in memory.measure(stage)}
    resident = rows["waiting sidecar: resident memory"]
    assert resident.at_most == FLOORS_LIMIT
    assert resident.kept, resident
    private = rows["waiting sidecar: private memory"].ratio
    assert private is not None
    assert private <= 1.7


def test_waiting_imports_nothing_that_only_callbacks_need(stage: Stage) -> None:
    with tls_pod(stage) as pod:
        floor, ours = memory.modules(pod)
    assert "podhooks_sidecar.waiting" in ours
    assert "ssl" in floor & ours
    assert not {name for name in ours if {name, name.partition(".")[0]} & NOT_FOR_WAITING}


def test_ten_minutes_of_waiting_cost_next_to_nothing(stage: Stage) -> None:
    """CPU, not time: what else the machine does changes it little, and the promise is several times what is used."""
    used = waiting.measure(stage)[0]
    assert (used.at_most, used.unit) == (50.0, "ms")
    assert used.kept, used


def test_injecting_manifests_is_measured_and_its_memory_judged(stage: Stage) -> None:
    cpu, peak = manifests.measure(stage)
    assert cpu.ours > 0
    assert cpu.floor > 0
    assert (peak.at_most, peak.unit, peak.kept) == (150.0, "MB", True)


def test_a_run_asks_the_api_once_and_then_once_per_server_timeout(stage: Stage) -> None:
    (asked,) = apirequests.measure(stage)
    assert asked.ours == asked.floor == waiting.REWATCHES + 2
    assert asked.kept


@pytest.mark.parametrize("module", [start, latency, overhead, output])
def test_what_depends_on_the_machine_is_measured_and_not_judged(stage: Stage, module: object) -> None:
    rows = module.measure(stage)  # type: ignore[attr-defined]
    assert all(row.ours > 0 and row.floor > 0 for row in rows)


def test_the_table_is_markdown_and_says_what_is_kept() -> None:
    rows = [Row("a", "ms", "bare", 10.0, 25.0, at_most=3.0), Row("b", "ms", "bare", 10.0, 31.0, at_most=3.0)]
    header, line, kept, missed = table(rows).splitlines()
    assert header.split() == ["|", "what", "|", "ours", "|", "floor", "|", "ratio", "|", "promise", "|", "kept", "|"]
    assert set(line) == {"|", "-"}
    assert kept.endswith("| 2.50x | <= 3x   | yes  |")
    assert missed.endswith("| 3.10x | <= 3x   | NO   |")


def test_an_absolute_promise_needs_no_floor() -> None:
    row = Row("CPU", "ms", "idle", 0.0, 5.0, at_most=50.0, absolute=True)
    assert (row.ratio, row.kept) == (None, True)
    assert Row("no promise", "ms", "idle", 1.0, 5.0).kept is None


def test_repetitions_take_turns() -> None:
    turns: list[float] = []

    def number(value: float) -> float:
        turns.append(value)
        return value

    assert interleaved(3, lambda: number(1.0), lambda: number(2.0)) == [1.0, 2.0]
    assert turns == [1.0, 2.0] * 3


def test_the_pod_is_a_recorded_one_in_which_main_runs() -> None:
    assert "running" in next(each for each in recorded_pod()["status"]["containerStatuses"])["state"]


def test_the_command_line_gives_json_and_fails_when_a_promise_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-m", "benchmarks", "--quick", "--json", "--only", "requests"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=55)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    assert row["kept"] is True
    broken = Row("broken", "ms", "bare", 1.0, 4.0, at_most=3.0)
    monkeypatch.setitem(benchmarks.MEASUREMENTS, "start", lambda _: [broken])
    assert benchmarks.main(["--only", "start", "--quick"]) == 1


def test_a_wrong_flag_gets_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        benchmarks.main(["--only", "nonsense"])
    assert ended.value.code == 2
    assert "nonsense" in capsys.readouterr().err


def test_the_readme_shows_every_measurement() -> None:
    text = (ROOT / "benchmarks" / "README.md").read_text()
    shown = re.findall(r"^\| ([a-zA-Z0-9].*?) +\|", text, re.MULTILINE)
    for beginning in ("waiting sidecar: resident memory", "CPU of ten minutes' waiting", "on_start with one no-op"):
        assert any(name.startswith(beginning) for name in shown)
    for beginning in (
        "watch event to the callback",
        "API requests of a run",
        "runner, per callback",
        "100 MB of",
        "podhooks inject, 1000 Jobs",
    ):
        assert any(name.startswith(beginning) for name in shown)
