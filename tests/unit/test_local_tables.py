"""What `kubectl get` shows: READY, STATUS, RESTARTS and ages, against the rules of the API server's printer."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

import pytest

from podhooks.kinds.resources import Json
from podhooks.local.tables import PRINTERS, human_duration, pod_ready, pod_restarts, pod_status, table

TRACES = Path(__file__).parent.parent / "traces"
NOW = datetime(2026, 11, 23, 1, 0, 0, tzinfo=timezone.utc)


def pod(phase: str, *, init: list[Json] | None = None, main: list[Json] | None = None, **extra: object) -> Json:
    spec = {"initContainers": [{"name": "sidecar", "restartPolicy": "Always"}, {"name": "setup"}]}
    containers = [{"name": status["name"]} for status in main or [{"name": "main"}]]
    return {
        "metadata": {"name": "p", "creationTimestamp": "2026-11-23T00:59:00Z"},
        "spec": {**(spec if init is not None else {}), "containers": containers},
        "status": {"phase": phase, "initContainerStatuses": init or [], "containerStatuses": main or [], **extra},
    }


def status(name: str, kind: str, *, ready: bool = False, started: bool = False, **state: object) -> Json:
    return {"name": name, "state": {kind: state}, "ready": ready, "started": started, "restartCount": 0}


UP = status("sidecar", "running", ready=True, started=True)
DONE = status("setup", "terminated", exitCode=0, reason="Completed")
RUNNING = status("main", "running", ready=True, started=True)
COMPLETED = status("main", "terminated", exitCode=0, reason="Completed")
INITIALIZED = [{"type": "Initialized", "status": "True"}]
READY = [*INITIALIZED, {"type": "Ready", "status": "True"}]


@pytest.mark.parametrize(
    ("obj", "ready", "shown"),
    [
        (pod("Pending"), "0/1", "Pending"),
        (pod("Pending", init=[]), "0/2", "Pending"),
        (pod("Pending", conditions=[{"type": "PodScheduled", "reason": "SchedulingGated"}]), "0/1", "SchedulingGated"),
        (pod("Pending", init=[status("sidecar", "waiting", reason="PodInitializing")]), "0/2", "Init:0/2"),
        (pod("Pending", init=[UP, status("setup", "running")]), "1/2", "Init:1/2"),
        (pod("Pending", init=[UP, status("setup", "waiting", reason="ErrImagePull")]), "1/2", "Init:ErrImagePull"),
        (pod("Pending", init=[UP, status("setup", "terminated", exitCode=3, reason="Error")]), "1/2", "Init:Error"),
        (pod("Pending", init=[UP, status("setup", "terminated", exitCode=3)]), "1/2", "Init:ExitCode:3"),
        (pod("Pending", init=[UP, status("setup", "terminated", exitCode=137, signal=9)]), "1/2", "Init:Signal:9"),
        (pod("Pending", init=[UP, DONE], main=[status("main", "waiting", reason="X")]), "1/2", "X"),
        (pod("Running", init=[UP, DONE], main=[RUNNING], conditions=READY), "2/2", "Running"),
        (pod("Running", init=[UP, DONE], main=[COMPLETED], conditions=INITIALIZED), "1/2", "Completed"),
        (pod("Running", main=[COMPLETED, {**RUNNING, "name": "on-exit"}], conditions=INITIALIZED), "1/2", "NotReady"),
        (pod("Running", main=[COMPLETED, {**RUNNING, "name": "on-exit"}], conditions=READY), "1/2", "Running"),
        (pod("Succeeded", main=[COMPLETED]), "0/1", "Completed"),
        (pod("Failed", main=[status("main", "terminated", exitCode=137, reason="OOMKilled")]), "0/1", "OOMKilled"),
        (pod("Failed", main=[status("main", "terminated", exitCode=3)]), "0/1", "ExitCode:3"),
        (pod("Failed", reason="Evicted"), "0/1", "Evicted"),
        (pod("Running", main=[status("main", "waiting", reason="CrashLoopBackOff")]), "0/1", "CrashLoopBackOff"),
    ],
)
def test_ready_and_status(obj: Json, ready: str, shown: str) -> None:
    assert (pod_ready(obj), pod_status(obj)) == (ready, shown)


@pytest.mark.parametrize(
    ("phase", "reason", "shown"),
    [("Running", "", "Terminating"), ("Failed", "", "Failed"), ("Running", "NodeLost", "Unknown")],
)
def test_a_deleted_pod(phase: str, reason: str, shown: str) -> None:
    deleted = pod(phase, reason=reason)
    deleted["metadata"]["deletionTimestamp"] = "2026-11-23T01:00:00Z"
    assert pod_status(deleted) == shown


def test_restarts_say_when() -> None:
    again = {**RUNNING, "restartCount": 2, "lastState": {"terminated": {"finishedAt": "2026-11-23T00:59:46Z"}}}
    assert pod_restarts(pod("Running", main=[again]), NOW) == "2 (14s ago)"
    sidecar = {**UP, "restartCount": 1}
    setup = {**DONE, "restartCount": 5}
    assert pod_restarts(pod("Running", init=[sidecar, setup], main=[again]), NOW) == "3 (14s ago)"
    assert pod_restarts(pod("Pending", init=[sidecar, {**status("setup", "running"), "restartCount": 5}]), NOW) == "6"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119.9, "119s"),
        (120, "2m"),
        (150, "2m30s"),
        (660, "11m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 900, "3h15m"),
        (9 * 3600 + 900, "9h"),
        (50 * 3600, "2d2h"),
        (48 * 3600, "2d"),
        (10 * 86400, "10d"),
        (800 * 86400, "2y70d"),
        (3000 * 86400, "8y"),
    ],
)
def test_durations_are_those_of_kubectl(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


@pytest.mark.parametrize(
    ("spec", "state", "cells"),
    [
        ({"completions": 3}, {"succeeded": 1}, ["Running", "1/3"]),
        ({"parallelism": 2}, {}, ["Running", "0/1 of 2"]),
        (
            {"parallelism": 1},
            {"conditions": [{"type": "Complete", "status": "True"}], "succeeded": 1},
            ["Complete", "1/1"],
        ),
        ({}, {"conditions": [{"type": "Failed", "status": "True"}]}, ["Failed", "0/1"]),
        ({}, {"conditions": [{"type": "Suspended", "status": "True"}]}, ["Suspended", "0/1"]),
        ({}, {"conditions": [{"type": "FailureTarget", "status": "True"}]}, ["FailureTarget", "0/1"]),
    ],
)
def test_jobs(spec: Json, state: Json, cells: list[str]) -> None:
    job = {"metadata": {"name": "j", "creationTimestamp": "2026-11-23T00:00:00Z"}, "spec": spec, "status": state}
    assert PRINTERS["jobs"].cells(job, NOW)[1:3] == cells


def test_the_duration_of_a_job_ends_with_it() -> None:
    times = {"startTime": "2026-11-23T00:00:00Z", "completionTime": "2026-11-23T00:00:42Z"}
    job = {"metadata": {"name": "j", "creationTimestamp": "2026-11-23T00:00:00Z"}, "spec": {}, "status": times}
    assert PRINTERS["jobs"].cells(job, NOW)[3] == "42s"


@pytest.mark.parametrize("plural", [*PRINTERS, "leases"])
def test_rows_have_a_cell_for_each_column_whatever_is_missing(plural: str) -> None:
    bare = {"metadata": {"name": "x"}}
    shown = table(plural, [bare], "1", include="None")
    assert len(shown["rows"][0]["cells"]) == len(shown["columnDefinitions"])


def recorded(name: str) -> list[Json]:
    lines = (TRACES / f"{name}.jsonl").read_text().splitlines()
    return [json.loads(line)["event"]["object"] for line in lines]


@pytest.mark.parametrize(
    ("trace", "order"),
    [
        (
            "native-succeeded",
            ["Pending", "Init:0/2", "Init:1/2", "PodInitializing", "Running", "Completed"],
        ),
        (
            "native-deleted",
            ["Pending", "Init:0/2", "Init:1/2", "PodInitializing", "Running", "Terminating", "Completed"],
        ),
    ],
)
def test_recorded_pods_show_a_sensible_story(trace: str, order: list[str]) -> None:
    """Nothing but the states that `kubectl get -w` would have shown, each once."""
    story: list[str] = []
    for obj in recorded(trace):
        if pod_status(obj) not in story:
            story.append(pod_status(obj))
    assert story == order


def test_every_recorded_pod_can_be_shown() -> None:
    for path in sorted(TRACES.glob("*.jsonl")):
        for obj in recorded(path.stem):
            assert len(table("pods", [obj], "1", include="Metadata")["rows"][0]["cells"]) == 9
