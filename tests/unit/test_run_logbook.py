"""The order of a pod's news and its containers' lines, which come through different connections."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest

from podhooks.cluster.backend import Backend
from podhooks.report.news import Entry
from podhooks.run.logbook import LogBook, LogKey, LogLine

UID = "1-2"


class Logs:
    """Of a cluster only this is asked: logs that are open until the test is over."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def logs(self, *_: object, **__: object) -> Iterator[str]:
        self.over.wait(30)
        return iter(())


@pytest.fixture
def logs() -> Iterator[Logs]:
    found = Logs()
    yield found
    found.over.set()


def pod(**states: str) -> dict[str, Any]:
    statuses = [{"name": name, "state": {state: {}}, "restartCount": 0} for name, state in states.items()]
    containers = [{"name": name} for name in states]
    metadata = {"name": "etl", "namespace": "default", "uid": UID}
    return {"metadata": metadata, "spec": {"containers": containers}, "status": {"containerStatuses": statuses}}


def test_a_line_that_comes_early_stands_behind_the_news_of_its_containers_start(logs: Logs) -> None:
    said: list[str] = []
    pods: dict[str, Any] = {}
    book = LogBook(cast("Backend", logs), lambda _line: None, lambda entry: said.append(entry.text), pods)

    def see(states: dict[str, str], *news: tuple[str, str]) -> None:
        pods[UID] = pod(**states)
        for container, text in news:
            book.news(UID, Entry(text, "etl", container))
        book.read(pods[UID])

    def hear(container: str, text: str | None) -> None:
        book.hear(LogLine(LogKey(UID, container, 0), text))

    see({"first": "running", "work": "waiting"}, ("first", "first runs"))
    see({"first": "terminated", "work": "running"}, ("first", "first ended"), ("work", "work runs"))
    hear("work", "working")
    see({"first": "terminated", "work": "terminated"}, ("work", "work ended"))
    hear("work", "still working")
    hear("first", "last words")
    assert said == ["first runs", "last words"]
    hear("first", None)
    book.release()
    assert said == ["first runs", "last words", "first ended", "work runs", "working", "still working"]
    hear("work", "and more")
    hear("work", None)
    book.release()
    assert said[-2:] == ["and more", "work ended"]


def test_news_wait_as_long_as_the_log_flows_and_then_a_moment(logs: Logs) -> None:
    said: list[str] = []
    now = 0.0
    pods = {UID: pod(work="running")}
    book = LogBook(
        cast("Backend", logs), lambda _line: None, lambda entry: said.append(entry.text), pods, clock=lambda: now
    )
    book.read(pods[UID])
    book.news(UID, Entry("work ended", "etl", "work"))
    lines = [f"line {number}" for number in range(10)]
    for line in lines:
        now += 2.0
        book.hear(LogLine(LogKey(UID, "work", 0), line))
        book.release()
    assert said == lines
    now += 2.9
    book.release()
    assert said == lines
    now += 0.2
    book.release()
    assert said == [*lines, "work ended"]
