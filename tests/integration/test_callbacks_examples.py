"""The examples of callbacks that come with Podhooks, run on the embedded stand-in by `podhooks run`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.receivers import answer, receiving
from tests.integration.runs import Run

EXAMPLES = Path(__file__).parents[2] / "examples" / "callbacks"


def run(name: str, code: int = 3, **environment: str) -> Run:
    """Runs to its end, which is main's, whatever became of the callback."""
    given = {"CODE": str(code), **environment}
    ran = Run(str(EXAMPLES / f"{name}.yaml"), *(f"--env={key}={value}" for key, value in given.items()))
    assert ran.end() == code, ran.output
    return ran


def said(ran: Run, text: str) -> str:
    """The first line with `text` in it."""
    found = next((line for line in ran.lines if text in line), None)
    assert found is not None, ran.output
    return found


def test_the_webhook_is_told_after_it_was_busy() -> None:
    with receiving(answer(503)) as server:
        ran = run("webhook", WEBHOOK_URL=server.url)
    assert "T0KEN" not in ran.output.replace(server.url, "")
    _, got = server.received
    assert (got.json["exit"]["result"], got.json["exit"]["exit_code"]) == ("Failed", 3)
    assert got.json["log_tail"] == "working\nending with 3\n"
    assert got.headers["idempotency-key"].endswith("/on-exit/podhooks.callbacks.notify:webhook")
    assert got.headers["x-team"] == "data"
    said(ran, f"told the webhook (http://127.0.0.1:{server.server_port}/***): 200")


def test_a_webhook_without_its_address_is_one_line_and_no_traceback() -> None:
    ran = run("webhook")
    said(ran, "url_env: the environment variable WEBHOOK_URL is not set here: give it to the main container")
    assert "Traceback" not in ran.output


def test_slack_is_told_of_failures_only() -> None:
    with receiving() as server:
        run("slack", code=0, SLACK_WEBHOOK_URL=server.url)
        assert server.received == []
        run("slack", SLACK_WEBHOOK_URL=server.url)
    [got] = server.received
    assert got.json["channel"] == "#etl"
    assert got.json["text"].endswith(": Failed (exit code 3)")


def test_apprise_tells_its_services() -> None:
    with receiving() as server:
        run("apprise", APPRISE_URLS=f"json://127.0.0.1:{server.server_port}/T0KEN")
    [got] = server.received
    assert got.json["title"] == "apprise in default: Failed"


def test_metrics_are_pushed() -> None:
    with receiving() as server:
        run("metrics", PUSHGATEWAY=f"http://127.0.0.1:{server.server_port}")
    [got] = server.received
    assert (got.method, got.path) == ("PUT", "/metrics/job/nightly-metrics/namespace/default")
    assert 'container="main"} 3\n' in got.body.decode()


def test_an_event_is_recorded_on_the_job() -> None:
    said(run("events"), "Job/events: PodhooksOnExit/Failed recorded")
    said(run("events", code=0), "Job/events: PodhooksOnExit/Succeeded recorded")


def test_logs_are_saved(tmp_path: Path) -> None:
    ran = run("logs", LOGS=str(tmp_path))
    [main] = tmp_path.glob("logs/*/main.log")
    assert main.read_text() == "working\nending with 3\n"
    said(ran, f"to {tmp_path}/logs")


def test_main_finds_the_clusters_resources() -> None:
    ran = run("resources")
    said(ran, "available: cpu ")
    assert int(said(ran, "workers: ").rpartition(" ")[2]) >= 1


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_an_example_names_a_callback_of_ours(path: Path) -> None:
    assert json.dumps(path.read_text()).count("call: podhooks.callbacks.") == 1
