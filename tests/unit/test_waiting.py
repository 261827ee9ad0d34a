"""How long the sidecar waits between two tries, by what the API server does. No clock, no socket."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, cast

import pytest
from podhooks_sidecar import waiting
from podhooks_sidecar.decide import Known
from podhooks_sidecar.waiting import Watcher
from podhooks_sidecar.wakeup import Wakeup

from podhooks.context import PodInfo
from podhooks.errors import ApiError, Forbidden, Unreachable
from podhooks.runtime.client import Client

OVER = {
    "metadata": {"name": "p", "uid": "u", "resourceVersion": "1"},
    "spec": {"restartPolicy": "Never", "containers": [{"name": "main"}]},
    "status": {"phase": "Failed", "containerStatuses": [{"name": "main", "state": {"terminated": {"exitCode": 3}}}]},
}


class FakeWakeup:
    """Writes down every sleep."""

    term_at: float | None = None

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float | None) -> None:
        assert seconds is not None
        self.slept.append(seconds)

    @contextlib.contextmanager
    def interruptible(self, until: float | None) -> Iterator[None]:
        yield


class FakeClient:
    """Raises one error after the other, then gives the pod."""

    def __init__(self, *errors: ApiError) -> None:
        self._errors = list(errors)

    def __getattr__(self, name: str) -> Any:
        def answer(*_: object, **__: object) -> Any:
            if name.startswith("server_"):
                return None
            if self._errors:
                raise self._errors.pop(0)
            return OVER

        return answer


def waits(monkeypatch: pytest.MonkeyPatch, *errors: ApiError) -> list[float]:
    """The longest that each wait may be: chance is taken out."""
    monkeypatch.setattr(
        waiting, "backoff_seconds", lambda tries, asked=None, *, most: min(most, 0.5 * 2 ** (tries - 1))
    )
    wakeup = FakeWakeup()
    watcher = Watcher(
        Known(now=0.0, main="main"),
        cast(Client, FakeClient(*errors)),
        cast(Wakeup, wakeup),
        pod=PodInfo("p", "default", "u"),
    )
    assert watcher.wait().exit_info.exit_code == 3
    return wakeup.slept


def test_a_server_that_is_silent_is_tried_every_ten_seconds_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    assert waits(monkeypatch, *[Unreachable("refused")] * 9)[-1] == 10.0


def test_a_server_that_refuses_is_left_alone_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert waits(monkeypatch, *[ApiError("busy", status=503)] * 9)[-1] == 30.0


def test_the_first_answer_of_a_server_that_was_silent_starts_the_waits_afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """It refuses at first, because its rights aren't loaded yet: with the old wait on_exit came half a minute late."""
    slept = waits(
        monkeypatch, *[Unreachable("refused")] * 9, Forbidden("not yet", status=403), Forbidden("not yet", status=403)
    )
    assert slept[-2:] == [10.0, 1.0], "the answer costs no wait, and the next one is short"
