"""What callbacks make of everything that Prefect, or what stands in front of it, may answer. A real HTTP server."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from podhooks.callbacks import prefect as callbacks
from podhooks.context import ExitInfo, Hook, Owner, PodInfo, Result, RunContext
from podhooks.errors import PodhooksError

RUN = "5f0d0a40-6a4c-4a2b-9a37-0d5a0c7a2b11"
RUNNING = (200, {"state": {"type": "RUNNING", "name": "Running"}})
CRASHED = (200, {"state": {"type": "CRASHED", "name": "Crashed"}})
Answer = tuple[int, Any]


class Prefect(ThreadingHTTPServer):
    """Answers one after the other; the last one again and again. An answer of status 0 doesn't come for a while."""

    daemon_threads = True

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.headers: dict[str, str] = {}
        self.released = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/api"


class Handler(BaseHTTPRequestHandler):
    server: Prefect

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        self.server.requests.append((f"{self.command} {self.path}", dict(self.headers), body))
        status, said = self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0]
        if not status:
            self.server.released.wait(30)
            return
        text = said.encode() if isinstance(said, str) else json.dumps(said).encode()
        self.send_response(status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def prefect(monkeypatch: pytest.MonkeyPatch) -> Iterator[Prefect]:
    for name in [each for each in os.environ if each.startswith("PREFECT")]:
        monkeypatch.delenv(name)
    with Prefect() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        monkeypatch.setenv("PREFECT_API_URL", server.url)
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


def context(*, seconds: float = 20.0, **changes: Any) -> RunContext:
    known: dict[str, Any] = {
        "hook": Hook.ON_EXIT,
        "callback": "c",
        "pod": PodInfo("etl-x7", "flows", "u"),
        "main_container": "prefect-job",
        "idempotency_key": "k",
        "shared": "/s",
        "owner": Owner("Job", "etl"),
        "flow_run_id": RUN,
        "deadline": datetime.now(timezone.utc) + timedelta(seconds=seconds),
        "exit": ExitInfo(Result.FAILED, exit_code=1),
    }
    return RunContext(**{**known, **changes})


def refusal(**changes: Any) -> str:
    """The one line that a callback ends with."""
    with pytest.raises(PodhooksError) as caught:
        callbacks.mark_crashed(context(**changes))
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((401, {}), "(401): neither PREFECT_API_KEY nor PREFECT_API_AUTH_STRING is set"),
        ((403, {}), "forbids it (403)"),
        ((404, {"detail": "Flow run not found"}), f"doesn't know flow run {RUN} (404)"),
        ((409, {"detail": "conflict"}), "(409): conflict"),
        ((422, {"detail": [{"msg": "x"}]}), '(422): [{"msg": "x"}]'),
        ((418, "teapot"), "answered with status 418"),
        ((200, "<html>login</html>"), "doesn't answer as Prefect's API"),
        ((200, []), "doesn't answer as Prefect's API"),
    ],
)
def test_an_answer_that_will_not_change_is_one_line_at_once(prefect: Prefect, answer: Answer, said: str) -> None:
    prefect.answers = [answer]
    assert said in refusal()
    assert len(prefect.requests) == 1


@pytest.mark.parametrize(("status", "said"), [(429, "too often (429)"), (503, "answered with status 503")])
def test_a_busy_server_is_asked_again_until_the_time_is_over(prefect: Prefect, status: int, said: str) -> None:
    prefect.answers = [(status, {"detail": "busy"})]
    began = time.monotonic()
    assert said in refusal(seconds=3.0)
    assert time.monotonic() - began < 10
    assert len(prefect.requests) > 1


def test_a_server_that_recovers_gets_the_state(prefect: Prefect) -> None:
    prefect.answers = [(503, {}), (429, {}), RUNNING, (500, {}), (200, {"status": "ACCEPT"})]
    callbacks.mark_crashed(context())
    first, second = [body for path, _, body in prefect.requests if path.endswith("/set_state")]
    assert first == second, "the same transition, by its id, so that the server takes it once"
    assert first["state"]["type"] == "CRASHED"
    assert first["force"] is False


def test_what_the_server_asks_to_wait_is_waited_if_there_is_time(prefect: Prefect) -> None:
    prefect.answers, prefect.headers = [(429, {})], {"Retry-After": "3600"}
    refusal()
    assert len(prefect.requests) == 1


def test_a_server_that_does_not_answer_costs_no_more_than_the_time_there_is(prefect: Prefect) -> None:
    prefect.answers = [(0, None)]
    began = time.monotonic()
    assert "no answer in time" in refusal(seconds=2.0)
    assert time.monotonic() - began < 15  # and not until the server lets go


def test_nobody_listening_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://user:secret@127.0.0.1:{unused.getsockname()[1]}/api"
        monkeypatch.setenv("PREFECT_API_URL", url)
        text = refusal(seconds=1.0)
    assert "can't reach Prefect at http://127.0.0.1:" in text
    assert "secret" not in text


def test_credentials_are_sent_and_never_shown(prefect: Prefect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_KEY", "pnu_secret")
    prefect.answers = [(401, {})]
    assert "check PREFECT_API_KEY" in (text := refusal())
    assert "pnu_secret" not in text
    assert prefect.requests[0][1]["Authorization"] == "Bearer pnu_secret"


def test_a_redirect_takes_no_credentials_anywhere(prefect: Prefect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_KEY", "pnu_secret")
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        there = f"http://127.0.0.1:{elsewhere.getsockname()[1]}"
        prefect.headers["Location"] = f"{there}/api/flow_runs/{RUN}"
        prefect.answers = [(302, "")]
        assert f"has moved to {there}/*** (302): set PREFECT_API_URL" in refusal()
        elsewhere.setblocking(False)
        with pytest.raises(BlockingIOError):
            elsewhere.accept()
    assert len(prefect.requests) == 1


def test_a_refused_transition_is_looked_at_again(prefect: Prefect, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody was faster: that is no failure. Otherwise it is, with Prefect's reason."""
    refused = (200, {"status": "ABORT", "details": {"reason": "the rules"}})
    prefect.answers = [RUNNING, refused, CRASHED]
    callbacks.mark_crashed(context())
    assert "it is Crashed already" in capsys.readouterr().out
    prefect.answers = [RUNNING, refused, RUNNING]
    assert refusal().endswith("Crashed: the rules")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"flow_run_id": None}, "this pod runs no Prefect flow run"),
        ({"flow_run_id": "../admin"}, "isn't a UUID"),
        ({"exit": None}, "move it to on_exit"),
    ],
)
def test_a_context_that_can_not_do_is_told_before_anything_is_asked(
    prefect: Prefect, changes: dict[str, Any], said: str
) -> None:
    assert said in refusal(**changes)
    assert prefect.requests == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "one of url, url_env and call"),
        ({"url": "http://x/", "call": "a:b"}, "one of url, url_env and call"),
        ({"url_env": "NOT_SET_ANYWHERE"}, "NOT_SET_ANYWHERE"),
        ({"url": "ftp://x/"}, "http"),
    ],
)
def test_a_zombies_wrong_address_is_told_before_anything_is_asked(
    prefect: Prefect, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(PodhooksError, match=said):
        callbacks.notify_zombie(context(), **arguments)
    assert prefect.requests == []


def test_a_wrong_artifact_key_is_told(prefect: Prefect) -> None:
    with pytest.raises(PodhooksError, match="small letters, digits and dashes"):
        callbacks.report_exit(context(), key="My Key")
    assert prefect.requests == []


def test_reports_can_do_without_log_artifact_or_event(prefect: Prefect) -> None:
    def tail(lines: int) -> str:
        raise AssertionError("not to be read")

    prefect.answers = [(200, [])]  # which is no flow run: the report goes without its state
    silent = context(exit=ExitInfo(Result.FAILED, _log_tail=tail))
    callbacks.report_exit(silent, log_lines=0, artifact=False)
    callbacks.report_exit(silent, log_lines=0, event=False)
    assert [path for path, _, _ in prefect.requests if not path.startswith("GET /api/flow_runs/")] == [
        "POST /api/events",
        "POST /api/artifacts/filter",
        "POST /api/artifacts/",
    ]
