"""What Prefect's callbacks decide and say, without Prefect."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from podhooks import contract
from podhooks.callbacks.prefect import when_state
from podhooks.callbacks.prefect_api import PrefectSettings
from podhooks.callbacks.prefect_report import MAX_LOG_CHARACTERS, markdown
from podhooks.callbacks.prefect_state import Action, cause, decide
from podhooks.context import CallbackOutcome, ExitInfo, Hook, Owner, PodInfo, Result, RunContext, Status
from podhooks.errors import InputError
from podhooks.pod.environment import hidden_source, inherit, literal_environment

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
END = ExitInfo(Result.FAILED, exit_code=1, reason="Error", started_at=NOW, container="prefect-job")
POD = PodInfo("etl-x7", "flows", "u")


def context(**changes: Any) -> RunContext:
    known: dict[str, Any] = {
        "hook": Hook.ON_EXIT,
        "callback": "c",
        "pod": POD,
        "main_container": "prefect-job",
        "idempotency_key": "k",
        "shared": "/s",
        "owner": Owner("Job", "etl"),
        "exit": END,
    }
    return RunContext(**{**known, **changes})


def run(kind: str, *, seconds: float = -60.0, **fields: Any) -> dict[str, Any]:
    """A run in this state since some seconds after main's start."""
    stamp = (NOW + timedelta(seconds=seconds)).isoformat()
    return {"state": {"type": kind, "name": kind.title(), "timestamp": stamp}, "run_count": 0, **fields}


@pytest.mark.parametrize(
    ("found", "action"),
    [
        (run("RUNNING"), Action.CRASH),
        (run("PENDING"), Action.CRASH),
        (run("PENDING", run_count=1), Action.CRASH),  # a rerun whose pod died before it began
        (run("PENDING", seconds=5, run_count=1), Action.LEAVE),  # rescheduled, and picked up already
        (run("PENDING", seconds=5), Action.CRASH),  # set by Prefect in this pod, before the flow began
        (run("CANCELLING"), Action.CANCEL),
        (run("SCHEDULED"), Action.LEAVE),
        (run("PAUSED"), Action.LEAVE),
        (run("COMPLETED"), Action.LEAVE),
        (run("FAILED"), Action.LEAVE),
        (run("CRASHED"), Action.LEAVE),
        (run("CANCELLED"), Action.LEAVE),
        (run("A_STATE_OF_TOMORROW"), Action.LEAVE),
        ({}, Action.LEAVE),
        (run("RUNNING", infrastructure_pid="flows:etl"), Action.CRASH),
        (run("RUNNING", infrastructure_pid="cluster:flows:etl"), Action.CRASH),
        (run("RUNNING", infrastructure_pid="flows:other"), Action.LEAVE),
        (run("RUNNING", infrastructure_pid="others:etl"), Action.LEAVE),
        (run("CANCELLING", infrastructure_pid="flows:other"), Action.LEAVE),
    ],
)
def test_the_decision(found: dict[str, Any], action: Action) -> None:
    assert decide(found, context()).action is action


def test_a_job_that_kubernetes_retries_is_not_crashed() -> None:
    assert decide(run("RUNNING"), context(), retried=True).action is Action.LEAVE
    assert decide(run("RUNNING"), context(), retried=False).action is Action.CRASH
    assert decide(run("CANCELLING"), context(), retried=True).action is Action.CANCEL


def test_a_job_that_is_complete_is_not_retried_and_nobody_else_ends_its_run() -> None:
    done = context(exit=ExitInfo(Result.SUCCEEDED, exit_code=0, started_at=NOW, container="prefect-job"))
    assert decide(run("RUNNING"), done, retried=True).action is Action.CRASH


def test_without_a_job_of_its_own_a_pod_does_not_know_of_others() -> None:
    assert decide(run("RUNNING", infrastructure_pid="flows:x"), context(owner=None)).action is Action.CRASH


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (
            END,
            "The flow's process ended: Failed (exit code 1, reason Error); container prefect-job of pod flows/etl-x7",
        ),
        (ExitInfo(Result.UNKNOWN), "The flow's process ended: Unknown; container"),
        (ExitInfo(Result.FAILED, exit_code=139, signal=11), "(exit code 139, SIGSEGV)"),
        (ExitInfo(Result.FAILED, exit_code=200, signal=72), "(exit code 200, signal 72)"),
        (ExitInfo(Result.EVICTED, message="low on\nmemory"), "Evicted: low on memory; container"),
        (ExitInfo(Result.START_FAILED), "was never started: StartFailed"),
        (ExitInfo(Result.SUCCEEDED, exit_code=0), "left its run unfinished: Succeeded (exit code 0)"),
    ],
)
def test_the_cause_in_one_line(end: ExitInfo, said: str) -> None:
    text = cause(end, POD, "prefect-job")
    assert said in text
    assert "\n" not in text


def test_the_artifact_has_what_is_known_and_no_more() -> None:
    earlier = (CallbackOutcome("a:b", Status.FAILED, message="no | pipe"),)
    text = markdown(context(earlier=earlier), "```\nlog", {"name": "Failed", "message": "no | table"})
    assert "| Exit code | 1 |" in text
    assert "| Flow run | **Failed**: no \\| table |" in text
    assert "Signal" not in text
    assert "| `a:b` | failed | no \\| pipe |" in text
    assert "````\n```\nlog\n````" in text
    assert len(markdown(context(), "x" * 10**6, {})) < MAX_LOG_CHARACTERS + 2000
    assert "## Log" not in markdown(context(), "", {})


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "PREFECT_API_URL isn't set"),
        ({"PREFECT_API_URL": "prefect:4200"}, "isn't a URL"),
        ({"PREFECT_API_URL": "http://p/api", "PREFECT_CLIENT_CUSTOM_HEADERS": "X: y"}, "isn't a JSON object"),
        ({"PREFECT_API_URL": "http://p/api", "PREFECT_CLIENT_CUSTOM_HEADERS": "[]"}, "isn't a JSON object"),
    ],
)
def test_wrong_settings_are_told(environ: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        PrefectSettings.from_environ(environ)


def test_the_settings_are_prefects_own_variables() -> None:
    def headers(**more: str) -> dict[str, str]:
        return dict(PrefectSettings.from_environ({"PREFECT_API_URL": "http://p/api/", **more}).headers)

    assert "Authorization" not in headers()
    assert headers(PREFECT_API_KEY="k")["Authorization"] == "Bearer k"
    assert headers(PREFECT_API_AUTH_STRING="admin:pass")["Authorization"] == "Basic YWRtaW46cGFzcw=="
    assert headers(PREFECT_CLIENT_CUSTOM_HEADERS=json.dumps({"X-Team": "data"}))["X-Team"] == "data"
    assert PrefectSettings.from_environ({"PREFECT_API_URL": "http://p/api/"}).api_url == "http://p/api"


def test_mains_environment_is_what_is_written_into_the_pod() -> None:
    env = [
        {"name": "A", "value": "1"},
        {"name": "EMPTY"},
        {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "REFERENCE", "value": "$(A)"},
        {"name": "", "value": "x"},
        {"value": "x"},
        {"name": "NUL", "value": "\0"},
    ]
    pod = {"spec": {"containers": [{"name": "sidecar", "env": [{"name": "B"}]}, {"name": "main", "env": env}]}}
    assert literal_environment(pod, "main") == {"A": "1", "EMPTY": ""}
    assert literal_environment(pod, "*") == {"B": ""}
    assert literal_environment({}, "main") == {}
    assert literal_environment({"spec": {"containers": [{"name": "main", "env": "{{ env }}"}]}}, "main") == {}


def pod_whose_main_has(**fields: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "prefect-job", **fields}]}}


KEY = {"name": "PREFECT_API_KEY", "valueFrom": {"secretKeyRef": {"name": "prefect-api-key", "key": "key"}}}


@pytest.mark.parametrize(
    ("pod", "found"),
    [
        (pod_whose_main_has(env=[KEY]), "Secret prefect-api-key, key key"),
        (pod_whose_main_has(envFrom=[{"secretRef": {"name": "fox-env-1f"}}]), "Secret fox-env-1f"),
        (
            pod_whose_main_has(envFrom=[{"secretRef": {"name": "a"}}, {"configMapRef": {"name": "b"}}]),
            "Secret a or ConfigMap b",
        ),
        (
            pod_whose_main_has(env=[{"name": "PREFECT_API_KEY", "value": "k"}], envFrom=[{"secretRef": {"name": "a"}}]),
            "",
        ),
        (pod_whose_main_has(env=[{"name": "OTHER", "value": "k"}]), ""),
        (pod_whose_main_has(env="{{ env }}", envFrom="{{ env_from }}"), ""),
        ({}, ""),
    ],
)
def test_a_value_that_the_pod_does_not_show_has_a_source(pod: dict[str, Any], found: str) -> None:
    assert hidden_source(pod, "prefect-job", "PREFECT_API_KEY") == found


@pytest.mark.parametrize(
    ("own", "mains", "otherwise", "expected"),
    [
        ("", "", "chart", "chart"),
        ("", "main", "chart", "main"),
        ("own", "main", "chart", "own"),
        ("own", "", "chart", "own"),
        ("", "", "", None),
        ("", "main", "", "main"),
    ],
)
def test_what_the_template_names_is_used_where_nobody_else_says(
    monkeypatch: pytest.MonkeyPatch, own: str, mains: str, otherwise: str, expected: str | None
) -> None:
    environ = {contract.ENV_OTHERWISE + "PREFECT_API_KEY": otherwise, **({"PREFECT_API_KEY": own} if own else {})}
    monkeypatch.setattr("os.environ", environ)
    env = [{"name": "PREFECT_API_KEY", "value": mains}] if mains else []
    inherit(context(_pod_object=lambda: pod_whose_main_has(env=env)))
    assert environ == ({} if expected is None else {"PREFECT_API_KEY": expected})


def test_a_missing_url_names_the_secret_that_has_it() -> None:
    with pytest.raises(InputError, match=r"main has it from Secret fox-env-1f.*callback_api_url"):
        PrefectSettings.from_environ({}, lambda _name: "Secret fox-env-1f")


def test_the_auth_string_goes_before_the_key_as_in_prefects_client() -> None:
    both = {"PREFECT_API_URL": "http://p/api", "PREFECT_API_KEY": "k", "PREFECT_API_AUTH_STRING": "admin:pass"}
    assert PrefectSettings.from_environ(both).headers["Authorization"].startswith("Basic ")


@pytest.mark.parametrize("states", ["FAILED", [], [1]])
def test_states_that_are_no_list_of_names_are_refused(states: Any) -> None:
    with pytest.raises(InputError, match="needs a list of Prefect's states"):
        when_state(context(), states=states, call="a:b")
