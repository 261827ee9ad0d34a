"""How news, summaries and verdicts look, and that no line of a container can spoil the terminal."""

from __future__ import annotations

import io
import json
import time
from dataclasses import replace
from typing import Any

import pytest

from podhooks.context import CallbackOutcome, ExitInfo, Hook, Result, Status
from podhooks.report.news import Entry, Role
from podhooks.report.summary import PodSummary, summarize
from podhooks.run.display import PlainDisplay, RichDisplay, harmless, make, styled
from podhooks.run.layout import Line, Prefix, entry_line, status_line, summary_lines
from podhooks.runtime.record import RecordData


def plain(line: Line) -> str:
    return "".join(text for text, _ in line).rstrip()


def lines(summary: PodSummary) -> list[str]:
    return [plain(line) for line in summary_lines(summary)]


def pod(on_start: RecordData | None = None, on_exit: RecordData | None = None, **changes: Any) -> dict[str, Any]:
    """A finished pod with two callbacks at each end, and their records as termination messages."""

    def status(name: str, record: RecordData | None, code: int = 0) -> dict[str, Any]:
        message = json.dumps(record.to_json()) if record else ""
        end = {"exitCode": code, "startedAt": "2026-11-23T00:00:01Z", "finishedAt": "2026-11-23T00:00:09Z"}
        return {"name": name, "state": {"terminated": {**end, "message": message}}}

    return {
        "metadata": {
            "name": "etl-x7k2p",
            "uid": "u",
            "annotations": {"podhooks.io/on-start": "a:prepare", "podhooks.io/on-exit": "a:notify, a:clean"},
        },
        "spec": {
            "nodeName": "node1",
            "restartPolicy": "Never",
            "initContainers": [{"name": "on-exit", "restartPolicy": "Always"}, {"name": "on-start"}],
            "containers": [{"name": "work"}],
        },
        "status": {
            "phase": "Failed",
            "initContainerStatuses": [status("on-exit", on_exit), status("on-start", on_start)],
            "containerStatuses": [status("work", None, 3)],
        },
        **changes,
    }


STARTED = RecordData(Hook.ON_START, "u", (CallbackOutcome("a:prepare", Status.SUCCEEDED, 1, 0.214),), complete=True)
ENDED = RecordData(
    Hook.ON_EXIT,
    "u",
    (
        CallbackOutcome("a:notify", Status.FAILED, 3, 61.0, "ValueError: no such channel"),
        CallbackOutcome("a:clean", Status.RUNNING, 1),
    ),
    ExitInfo(Result.FAILED, exit_code=3),
)


def test_a_pod_is_summed_up_in_the_order_of_time() -> None:
    assert lines(summarize(pod(STARTED, ENDED))) == [
        "pod etl-x7k2p on node1",
        "  on_start  ok       a:prepare            0.21s",
        "  main      Failed   exit code 3, ran 8s",
        "  on_exit   failed   a:notify             1m1s, 3 attempts: ValueError: no such channel",
        "            cut off  a:clean              0.00s: its container was ended while it ran",
    ]


def test_a_callback_that_left_no_record_is_named_with_the_reason() -> None:
    found = lines(summarize(pod(STARTED, None)))
    assert "not run  a:notify" in found[3]
    assert "on-exit ended with exit code 0 and left no record" in found[3]


def test_another_pods_record_is_not_believed() -> None:
    assert "not run" in lines(summarize(pod(STARTED.replace(pod_uid="other"), ENDED)))[1]


def test_a_pod_that_was_gone_before_its_record_says_so() -> None:
    running = pod(STARTED)
    running["status"] = {
        "phase": "Running",
        "initContainerStatuses": [{"name": "on-exit", "state": {"running": {}}}],
        "containerStatuses": [{"name": "work", "state": {"running": {}}}],
    }
    summary = summarize(running, gone=True)
    assert {each.why for each in summary.of(Hook.ON_EXIT)} == {"the pod was gone before this was known"}
    assert {each.why for each in summarize(running).of(Hook.ON_EXIT)} == {"not yet"}


def test_a_start_that_failed_is_told_in_words_and_not_as_a_record() -> None:
    bad = STARTED.replace(outcomes=(CallbackOutcome("a:prepare", Status.FAILED, 1, 0.1, "OSError: no route"),))
    failed = pod(bad)
    failed["status"]["initContainerStatuses"][1]["state"]["terminated"]["exitCode"] = 1
    failed["status"]["containerStatuses"] = [{"name": "work", "state": {"waiting": {"reason": "PodInitializing"}}}]
    main = next(line for line in lines(summarize(failed)) if line.startswith("  main"))
    assert "StartFailed" in main
    assert main.endswith("ended with exit code 1: a:prepare failed: OSError: no route")


def test_what_on_exit_was_told_is_said_where_it_differs_from_what_is_known_now() -> None:
    unknown = ENDED.replace(exit_info=ExitInfo(Result.UNKNOWN))
    assert lines(summarize(pod(STARTED, unknown)))[-1].startswith("  on_exit was told Unknown")


def test_news_and_log_lines_have_their_columns() -> None:
    news = Entry("running", "etl-x7k2p", "work", Role.MAIN)
    assert plain(entry_line(1.25, news, Prefix())) == "   1.2s  work       running"
    assert plain(entry_line(61, replace(news, log=True), Prefix())) == "  61.0s  work     │ running"
    assert plain(entry_line(0, news, Prefix(14, with_pod=True))) == "   0.0s  x7k2p work       running"


def test_the_line_at_the_bottom_says_what_every_container_does() -> None:
    assert plain(status_line([pod()])) == "on-exit done   on-start done   work exit 3"


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("plain", "plain"),
        ("10%\r50%\r100%\r\n", "100%"),
        ("\x1b[2J\x1b[1;1Hboo", "boo"),
        ("\x1b]0;title\x07text", "text"),
        ("a\x07b\x00c\x9bd", "abcd"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("tab\tstays", "tab\tstays"),
    ],
)
def test_a_container_can_not_move_the_cursor(raw: str, kept: str) -> None:
    assert harmless(raw, keep_colours=False) == kept
    assert styled([(raw, "")]).plain == kept


def test_a_terminal_sees_a_containers_own_colours() -> None:
    assert harmless("\x1b[31mred\x1b[2Jx", keep_colours=True) == "\x1b[31mredx\x1b[0m"
    assert [str(span.style) for span in styled([("\x1b[31mred\x1b[0m", "")]).spans] == ["color(1)"]


class Stream(io.StringIO):
    def __init__(self, encoding: str, *, terminal: bool = False) -> None:
        super().__init__()
        self._encoding = encoding
        self._terminal = terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return self._terminal


def test_plain_lines_are_ascii_where_the_stream_knows_no_more() -> None:
    stream = Stream("ascii")
    PlainDisplay(stream).line([("work     ", "bold"), ("│ ", ""), ("grün", "red")])
    assert stream.getvalue() == "work     | gr\\xfcn\n"


def test_colours_are_for_terminals_and_for_those_who_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)

    def shown(*, colours: bool = True, as_plain: bool = False, terminal: bool = True) -> str:
        stream = Stream("utf-8", terminal=terminal)
        display = make(plain=as_plain, colours=colours, elapsed=lambda: 0.0, stream=stream)
        display.line([("work", "red")])
        display.close()
        return stream.getvalue()

    assert "\x1b[31mwork" in shown()
    assert "\x1b[31m" not in shown(colours=False)
    assert shown(as_plain=True) == shown(terminal=False) == "work\n"
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[31m" not in shown()


def test_the_bottom_line_goes_when_the_display_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Stream("utf-8", terminal=True)
    display = make(plain=False, colours=True, elapsed=lambda: 1.0, stream=stream)
    assert isinstance(display, RichDisplay)
    display.status([("work running", "green")])
    deadline = time.monotonic() + 20
    while "work running" not in stream.getvalue() and time.monotonic() < deadline:
        time.sleep(0.02)
    display.line([("hello", "")])
    display.close()
    assert "work running" in stream.getvalue()
    assert stream.getvalue().rstrip().endswith(("\x1b[2K", "\x1b[?25h"))
