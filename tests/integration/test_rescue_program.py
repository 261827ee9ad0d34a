"""The on-exit program in a rescue Job: the real process, told by a file how the pod ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from podhooks import contract
from podhooks.context import ExitInfo, PodInfo, Result, Status
from podhooks.runtime.record import RecordData, parse_message
from podhooks.runtime.rescue_task import RescueTask
from tests.integration.sidecar_harness import CALLBACKS, PATIENCE_SECONDS, ROOT, until
from tests.rescue_pods import UID, outcome, record

MORE = """
def context_of(context):
    note(f"{context.rescued} {','.join(context.emptied)} {context.pod.uid} {context.pod_object.get('kind')}")
"""


class Rescued:
    def __init__(self, directory: Path) -> None:
        self.shared, self.notes, self.log = (directory / name for name in ("shared", "notes", "log"))
        self.message, self.file = directory / "termination", directory / "rescue"
        self.shared.mkdir()
        (directory / "calls.py").write_text(CALLBACKS + MORE)
        self.environ = {
            **{key: value for key, value in os.environ.items() if not key.startswith("PODHOOKS_")},
            "PYTHONPATH": str(directory),
            "NOTES": str(self.notes),
            contract.ENV_RESCUE: str(self.file),
            contract.ENV_SHARED_DIR: str(self.shared),
            contract.ENV_TERMINATION_LOG: str(self.message),
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, on_exit: str, left: RecordData | None = None, **annotations: str) -> None:
        given = {contract.ON_EXIT: on_exit, **{f"{contract.PREFIX}{k}": v for k, v in annotations.items()}}
        pod = PodInfo("etl", "default", UID, "node-1", {"job-name": "etl"}, given)
        end = ExitInfo(Result.DELETED, exit_code=7, container="main")
        task = RescueTask(pod, "main", end, left, ("/scratch",), {"kind": "Pod"})
        self.file.write_text(json.dumps(task.to_json()))
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "podhooks_sidecar"]
            self.process = subprocess.Popen(
                command, env=self.environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT
            )

    def ended(self) -> int:
        assert self.process is not None
        return self.process.wait(PATIENCE_SECONDS)

    def run(self, on_exit: str, left: RecordData | None = None, **annotations: str) -> int:
        self.start(on_exit, left, **annotations)
        return self.ended()

    @property
    def told(self) -> list[str]:
        return self.notes.read_text().splitlines() if self.notes.exists() else []

    @property
    def record(self) -> RecordData:
        data = parse_message(self.message.read_bytes())
        assert data is not None, self.log.read_text()
        return data


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Rescued]:
    made = Rescued(tmp_path)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()


def test_it_runs_at_once_with_the_truth_and_says_that_it_is_a_rescue(job: Rescued) -> None:
    assert job.run("calls:tell, calls:context_of, calls:tail") == 0
    assert job.told[0] == "tell Deleted 7"
    assert job.told[1] == f"True /scratch {UID} Pod"
    assert job.told[2].startswith("tail [podhooks: ")
    assert (job.record.complete, job.record.pod_uid) == (True, UID)
    assert job.record.exit_info is not None
    assert job.record.exit_info.exit_code == 7


def test_what_the_pod_had_done_is_not_run_again_and_keys_and_attempts_go_on(job: Rescued) -> None:
    left = record(outcome("calls:tell"), outcome("calls:key", Status.RUNNING, 1))
    assert job.run("calls:tell, calls:key, calls:second", left) == 0
    assert job.told == [f"key {UID}/on-exit/calls:key attempt 2", "second"]
    assert [each.status for each in job.record.outcomes] == [Status.SUCCEEDED] * 3


def test_retries_that_the_pod_used_up_stay_used_up(job: Rescued) -> None:
    left = record(outcome("calls:key", Status.RUNNING, 1))
    assert job.run("calls:key, calls:second", left, **{"on-exit-retries": "0"}) == 1
    assert job.told == ["second"]


def test_what_had_no_time_in_the_pod_runs(job: Rescued) -> None:
    left = record(
        outcome("calls:key", Status.TIMED_OUT, 1, cut=True),
        outcome("calls:second", Status.SKIPPED, 0, cut=True),
        complete=True,
    )
    assert job.run("calls:key, calls:second", left) == 0
    assert job.told == [f"key {UID}/on-exit/calls:key attempt 2", "second"]


def test_when_is_asked_about_the_truth(job: Rescued) -> None:
    assert job.run("calls:tell", None, **{"on-exit-when": "Failed"}) == 0
    assert job.told == []


def test_a_failed_callback_is_recorded_and_fails_the_job(job: Rescued) -> None:
    assert job.run("calls:missing, calls:second", None, **{"on-exit-retries": "0"}) == 1
    assert (job.told, job.record.complete) == (["second"], True)


def test_a_life_of_its_own_that_was_killed_goes_on_from_its_own_record(job: Rescued) -> None:
    left = record(outcome("calls:tell"))
    job.start("calls:tell, calls:second, calls:slow", left)
    until(lambda: "slow begins" in job.told, "the callback runs")
    assert job.process is not None
    job.process.kill()
    job.ended()
    job.environ["SLOW"] = "0"
    assert job.run("calls:tell, calls:second, calls:slow", left) == 0
    assert job.told == ["second", "slow begins", "slow begins", "slow ends"]


def test_sigterm_leaves_the_rest_of_the_grace_period(job: Rescued) -> None:
    job.environ["SLOW"] = "1"
    job.start("calls:slow, calls:left", None, **{"on-exit-timeout": "10m"})
    until(lambda: job.told == ["slow begins"], "the callback runs")
    assert job.process is not None
    job.process.send_signal(signal.SIGTERM)
    assert job.ended() == 0
    assert job.told[:2] == ["slow begins", "slow ends"]
    assert 0 < int(job.told[2].split()[1]) <= contract.DEFAULT_GRACE_SECONDS


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"podhooks": 2}', '{"podhooks": 1, "pod": {}}', None])
def test_a_task_that_is_none_is_one_line_and_2(job: Rescued, content: Any) -> None:
    job.environ[contract.ENV_RESCUE] = str(job.file)
    if content is not None:
        job.file.write_text(content)
    ran = subprocess.run(
        [sys.executable, "-m", "podhooks_sidecar"],
        env=job.environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1), ran.stderr
    assert "Traceback" not in ran.stderr
