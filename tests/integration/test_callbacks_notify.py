"""notify:webhook, notify:slack and notify:apprise against real servers, also such as misbehave."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

import pytest

from podhooks.callbacks import notify
from podhooks.context import CallbackOutcome, Result, RunContext, Status
from podhooks.errors import CallbackError, InputError, PodhooksError
from tests.callback_contexts import ended, on_exit, on_start
from tests.integration.receivers import SLACK_SECONDS, Order, Receiver, answer, drip, receiving, reset, silence

SECRETS = ("T0KEN-IN-THE-PATH", "S3CRET-IN-THE-QUERY")
KEY = "uid-of-the-pod/on-exit/podhooks.callbacks.notify:webhook"


def refused(context: RunContext, url: str, **arguments: object) -> str:
    """What the callback says when it fails: one line that gives nothing away."""
    with pytest.raises(PodhooksError) as caught:
        notify.webhook(context, url, **arguments)  # type: ignore[arg-type]
    line = str(caught.value)
    assert "\n" not in line
    assert not any(secret in line for secret in SECRETS), line
    return line


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podhooks.runtime.backoff.FIRST_SECONDS", 0.01)


# -- webhook


def test_the_document_tells_all_about_the_end_and_nothing_of_the_annotations(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = CallbackOutcome("a:b", Status.SUCCEEDED, 1, 0.5)
    with receiving() as server:
        notify.webhook(on_exit(earlier=(before,), flow_run_id="run-1"), server.url, log_lines=1)
    [got] = server.received
    assert (got.method, got.path) == ("POST", "/hooks/T0KEN-IN-THE-PATH?key=S3CRET-IN-THE-QUERY")
    assert got.headers["content-type"] == "application/json"
    assert got.headers["idempotency-key"] == KEY
    assert got.json == {
        "schema": "podhooks.io/notification/v1",
        "hook": "on-exit",
        "callback": "podhooks.callbacks.notify:webhook",
        "attempt": 1,
        "idempotency_key": KEY,
        "main_container": "main",
        "owner": {"kind": "Job", "name": "etl", "index": None},
        "flow_run_id": "run-1",
        "earlier": [before.to_json()],
        "exit": ended().to_json(),
        "pod": {
            "name": "etl-x7z",
            "namespace": "team",
            "uid": "uid-of-the-pod",
            "node": "node-1",
            "labels": {"app": "etl"},
        },
        "log_tail": "no such table: rows\n",
    }
    said = capsys.readouterr().out
    assert said == f"told the webhook (http://127.0.0.1:{server.server_port}/***): 200\n"


def test_at_on_start_there_is_no_end_and_no_log() -> None:
    with receiving() as server:
        notify.webhook(on_start(), server.url, log_lines=5)
    assert (server.received[0].json["exit"], server.received[0].json["log_tail"]) == (None, "")


def test_address_and_headers_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as server:
        monkeypatch.setenv("HOOK_URL", server.url + "\n")  # as secrets made from files have it
        monkeypatch.setenv("TOKEN", "s3cr3t-token\n")
        notify.webhook(on_exit(), url_env="HOOK_URL", headers={"Authorization": "Bearer $TOKEN", "X-Price": "5$$"})
        notify.webhook(on_exit(), "${HOOK_URL}")
    assert server.received[0].headers["authorization"] == "Bearer s3cr3t-token"
    assert server.received[0].headers["x-price"] == "5$"
    assert len(server.received) == 2


def test_user_and_password_of_a_url_go_as_basic_authorization() -> None:
    with receiving() as server:
        notify.webhook(on_exit(), f"http://ann:p%40ss@127.0.0.1:{server.server_port}/")
    assert server.received[0].headers["authorization"] == "Basic YW5uOnBAc3M="


def test_a_body_of_ones_own_is_filled_in() -> None:
    body = {"text": "{pod} ended {result} ({exit_code}), {{braces}}", "nested": [1, {"job": "{job}", "s": "{signal}"}]}
    with receiving() as server:
        notify.webhook(on_exit(), server.url, body=body)
        notify.webhook(on_exit(), server.url, body='say "{result}"', headers={"Content-Type": "text/plain"})
    assert server.received[0].json == {
        "text": "etl-x7z ended Failed (3), {braces}",
        "nested": [1, {"job": "etl", "s": ""}],
    }
    assert server.received[1].body == b'say "Failed"'
    assert server.received[1].headers["content-type"] == "text/plain"


@pytest.mark.parametrize("order", [answer(500, "oh"), answer(429), answer(503), answer(502), reset])
@pytest.mark.usefixtures("quick")
def test_what_may_pass_is_tried_again_under_the_same_key(order: Order) -> None:
    with receiving(order, order) as server:
        notify.webhook(on_exit(), server.url)
    assert [each.headers["idempotency-key"] for each in server.received] == [KEY] * 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 501])
def test_a_refusal_is_final(status: int) -> None:
    with receiving(answer(status, "channel S3CRET-IN-THE-QUERY\nis archived")) as server:
        line = refused(on_exit(), server.url)
    assert len(server.received) == 1
    assert f"answered {status}" in line
    assert "channel *** is archived" in line


@pytest.mark.usefixtures("quick")
def test_retry_after_is_kept_in_seconds_and_as_a_date() -> None:
    date = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=2.5), usegmt=True)
    with receiving(answer(429, Retry_After="1"), answer(503, Retry_After=date)) as server:
        notify.webhook(on_exit(), server.url)
    first, second, third = (each.at for each in server.received)
    assert second - first >= 1
    assert third - first >= 1.4  # a date has whole seconds


def test_a_retry_after_beyond_the_deadline_is_not_waited_for() -> None:
    began = time.monotonic()
    with receiving(answer(429, "slow down", Retry_After="3600")) as server:
        line = refused(on_exit(seconds=10), server.url)
    assert time.monotonic() - began < 9
    assert "answered 429 Too Many Requests: slow down; given up after 1 try" in line
    assert "it asks to wait 3600 s" in line


@pytest.mark.usefixtures("quick")
def test_it_gives_up_after_its_tries() -> None:
    with receiving(*[answer(500)] * 9) as server:
        line = refused(on_exit(), server.url, tries=3)
    assert len(server.received) == 3
    assert "given up after 3 tries" in line


@pytest.mark.parametrize("order", [silence, drip])
def test_who_never_answers_is_given_up_before_the_deadline(order: Order) -> None:
    began = time.monotonic()
    with receiving(*[order] * 9) as server:
        line = refused(on_exit(seconds=3), server.url, timeout="1s")
        assert time.monotonic() - began < 3 + SLACK_SECONDS  # and not the 9 of nine tries
    assert server.received
    assert "gave no answer within" in line


def test_a_black_hole_is_given_up_before_the_deadline() -> None:
    """A listener that never accepts and whose queue is full: not even connecting ends."""
    with socket.socket() as hole, socket.socket() as first, socket.socket() as second:
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        first.connect(hole.getsockname())
        second.setblocking(False)
        second.connect_ex(hole.getsockname())
        began = time.monotonic()
        line = refused(on_exit(seconds=2), f"http://127.0.0.1:{hole.getsockname()[1]}/")
    assert time.monotonic() - began < 2 + SLACK_SECONDS
    assert "gave no answer within" in line


def test_a_slow_server_is_waited_for() -> None:
    def slow(handler: object) -> None:
        time.sleep(1)
        answer(200)(handler)  # type: ignore[arg-type]

    with receiving(slow) as server:
        notify.webhook(on_exit(), server.url)
    assert len(server.received) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    with receiving() as other, receiving(answer(status, Location=other.url)) as server:
        line = refused(on_exit(), server.url)
    assert other.received == []
    assert f"it has moved to http://127.0.0.1:{other.server_port}/***" in line


@pytest.mark.usefixtures("quick")
def test_nobody_there_is_told_with_the_place_but_without_the_token() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    line = refused(on_exit(), f"http://127.0.0.1:{port}/T0KEN-IN-THE-PATH", tries=2)
    assert f"the webhook (http://127.0.0.1:{port}/***) can't be reached: Connection refused" in line


BAD = {
    "neither": ({"url": ""}, "`url` or in `url_env`"),
    "both": ({"url": "http://x", "url_env": "X"}, "one of them"),
    "not set": ({"url_env": "NOT_SET"}, "url_env: the environment variable NOT_SET is not set here"),
    "not set inside": ({"url": "http://x/$NOT_SET"}, "url: the environment variable NOT_SET"),
    "no scheme": ({"url": "hooks.example.com/T0KEN-IN-THE-PATH"}, "must begin with http:// or https://"),
    "a file": ({"url": "file:///etc/passwd"}, "must begin with http"),
    "no port": ({"url": "http://x:port/"}, "must begin with http"),
    "a blank": ({"url": "http://x/a b"}, "percent-encode"),
    "a host without a name": ({"url": "http://a..b/T0KEN-IN-THE-PATH"}, "(http://a..b/***) can't be asked: "),
    "a header with a line": ({"url": "http://x", "headers": {"X": "a\nb"}}, "the header 'X'"),
    "no such field": ({"url": "http://x", "body": {"a": "{exit}"}}, "body: there is no {exit}: write one of attempt"),
    "no time": ({"url": "http://x", "timeout": "soon"}, "timeout: 'soon' is no duration"),
    "no tries": ({"url": "http://x", "tries": 0}, "tries must be 1 or more"),
}


@pytest.mark.parametrize("name", BAD)
def test_arguments_that_cannot_be_meant_are_one_line(name: str) -> None:
    arguments, said = BAD[name]
    with pytest.raises(PodhooksError) as caught:
        notify.webhook(on_exit(), **arguments)  # type: ignore[arg-type]
    assert said in str(caught.value)
    assert "T0KEN" not in str(caught.value)


def test_a_token_in_a_header_is_hidden_in_what_a_server_echoes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "s3cr3t-token")
    with receiving(answer(401, "bad token s3cr3t-token")) as server:
        line = refused(on_exit(), server.url, headers={"Authorization": "Bearer $TOKEN"})
    assert "bad token ***" in line


# -- Slack


def test_slack_gets_blocks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with receiving(answer(200, "ok")) as server:
        monkeypatch.setenv("SLACK_WEBHOOK_URL", server.url)
        notify.slack(on_exit(), channel="#jobs", link="https://logs.example.com/?pod={pod}&q={callback}")
    message = server.received[0].json
    assert message["channel"] == "#jobs"
    assert message["text"] == "etl-x7z: Failed (exit code 3)"
    header, facts, log, link = message["blocks"]
    assert header == {"type": "header", "text": {"type": "plain_text", "text": "etl-x7z: Failed (exit code 3)"}}
    assert [each["text"] for each in facts["fields"]][:3] == ["*Result*\nFailed", "*Exit code*\n3", "*Job*\netl"]
    assert log["text"]["text"] == "```\nreading\nno such table: rows\n```"
    assert link["text"]["text"] == (
        "<https://logs.example.com/?pod=etl-x7z&amp;q=podhooks.callbacks.notify%3Awebhook|Details>"
    )
    assert not any(secret in capsys.readouterr().out for secret in SECRETS)


@pytest.mark.usefixtures("quick")
def test_slack_that_is_busy_is_asked_again_and_one_that_refuses_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving(answer(429, Retry_After="0"), answer(404, "no_service")) as server:
        monkeypatch.setenv("TEAM_HOOK", server.url)
        with pytest.raises(CallbackError, match=r"Slack \(.*/\*\*\*\) answered 404 Not Found: no_service"):
            notify.slack(on_exit(), "TEAM_HOOK")
    assert len(server.received) == 2


def test_slack_without_its_variable_says_where_it_belongs() -> None:
    with pytest.raises(InputError, match="SLACK_WEBHOOK_URL is not set here: give it to the main container"):
        notify.slack(on_exit())


# -- apprise: the real one, with its json:// service


OWN_WARNINGS = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")  # of what apprise imports


def as_apprise(server: Receiver) -> str:
    return f"json://ann:s3cr3t-pass@127.0.0.1:{server.server_port}/T0KEN-IN-THE-PATH"


@OWN_WARNINGS
def test_apprise_tells_every_service(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with receiving() as one, receiving() as two:
        monkeypatch.setenv("NOTIFY_URLS", as_apprise(two))
        notify.apprise(on_exit(), [as_apprise(one)], urls_env="NOTIFY_URLS")
    for server in (one, two):
        [got] = server.received
        assert (got.json["title"], got.json["type"]) == ("etl-x7z: Failed (exit code 3)", "failure")
        assert "Exit code: 3" in got.json["message"]
        assert "no such table: rows" in got.json["message"]
    said = capsys.readouterr()
    assert said.out == "told 2 of 2: json://, json://\n"
    assert said.err == ""


@OWN_WARNINGS
@pytest.mark.usefixtures("quick")
def test_one_service_that_fails_keeps_no_other_from_it_and_only_it_is_tried_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with receiving() as well, receiving(*[answer(500)] * 9) as ill, pytest.raises(CallbackError) as caught:
        notify.apprise(on_exit(ended(Result.SUCCEEDED, 0)), [as_apprise(ill), as_apprise(well)], tries=2)
    assert (len(well.received), len(ill.received)) == (1, 2)
    assert well.received[0].json["type"] == "success"
    said = str(caught.value) + capsys.readouterr().err
    assert said.startswith("apprise couldn't tell 1 of 2: number 1 (json://): ")
    assert not any(secret in said for secret in ("s3cr3t-pass", "T0KEN-IN-THE-PATH"))


@OWN_WARNINGS
def test_a_service_that_logs_its_token_does_not_give_it_away() -> None:
    library = notify.import_apprise()

    def refuse(*_: object, **__: object) -> bool:
        logging.getLogger("apprise").warning("no channel for T0KEN-IN-THE-PATH")
        return False

    library.decorators.notify(on="leaky")(refuse)
    with pytest.raises(CallbackError) as caught:
        notify.apprise(on_exit(), "leaky://host/T0KEN-IN-THE-PATH", tries=1)
    assert "no channel for ***" in str(caught.value)


@OWN_WARNINGS
def test_a_title_and_a_body_of_ones_own() -> None:
    with receiving() as server:
        notify.apprise(on_start(), as_apprise(server), title="{pod}", body="starting {container}")
    got = server.received[0].json
    assert (got["title"], got["message"], got["type"]) == ("etl-x7z", "starting main", "info")


@OWN_WARNINGS
def test_a_service_that_never_answers_is_given_up_before_the_deadline() -> None:
    began = time.monotonic()
    with receiving(silence) as server, pytest.raises(CallbackError, match=r"number 1 \(json://\): no answer in time"):
        notify.apprise(on_exit(seconds=2), as_apprise(server))
    assert time.monotonic() - began < 2 + SLACK_SECONDS


@OWN_WARNINGS
def test_an_apprise_url_that_leads_nowhere_is_named_by_its_number_only() -> None:
    with pytest.raises(CallbackError) as caught:
        notify.apprise(on_exit(), "nosuchservice://T0KEN-IN-THE-PATH", tries=1)
    assert "number 1 (nosuchservice://): apprise doesn't know that service" in str(caught.value)
    assert "T0KEN" not in str(caught.value)
    with pytest.raises(InputError, match="give apprise's URLs"):
        notify.apprise(on_exit())


def test_a_missing_apprise_is_one_line_with_the_command(tmp_path: Path) -> None:
    """In an interpreter that has podhooks and nothing else."""
    script = (
        "import sys\n"
        f"sys.path.insert(0, {str(Path(notify.__file__).parents[2])!r})\n"
        "from podhooks.callbacks import notify, logs, resources, metrics, events\n"
        "from podhooks.errors import InputError\n"
        "try:\n notify.import_apprise()\nexcept InputError as error:\n print(error)\n"
        "try:\n logs.Filesystem('s3://bucket', {})\nexcept InputError as error:\n print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-S", "-I", "-c", script], capture_output=True, text=True, check=True)
    apprise, fsspec = ran.stdout.splitlines()
    assert "pip install 'podhooks[apprise]'" in apprise
    assert "pip install 'podhooks[fsspec]'" in fsspec
