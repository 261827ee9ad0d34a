"""The contract of callbacks, as tests. A module that runs them has a fixture `site` and a subclass of `Contract`."""

from __future__ import annotations

import functools
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import pytest

from podhooks.context import Hook, Result, Status
from podhooks.environments import Handle, RunFailed
from tests.integration import environment_callbacks as callbacks

WAIT_SECONDS = 150.0
EXIT_ONLY = {"podhooks.io/on-exit-retries": "0"}


class Site(ABC):
    """One environment, and where callbacks leave word."""

    survives_main = True
    """False where main is the process that runs the test."""
    main_can_kill_itself = True
    """False in a container: its process 1 is safe from signals of its own."""

    @abstractmethod
    def execute(self, flow: Any, parameters: Mapping[str, Any], **arguments: Any) -> Handle: ...

    @abstractmethod
    def words(self) -> list[tuple[str, dict[str, Any]]]:
        """Who left word, and what; in order."""

    def run(self, flow: Any, parameters: Mapping[str, Any] | None = None, **arguments: Any) -> Handle:
        handle = self.execute(flow, parameters or {}, **arguments)
        handle.wait(WAIT_SECONDS)
        return handle


def names(site: Site) -> list[str]:
    return [name for name, _ in site.words()]


def outcomes(handle: Handle) -> list[tuple[Hook, str | None]]:
    return [(each.hook, each.outcome.status.value if each.outcome else None) for each in handle.callbacks]


class Contract:
    def test_every_form_of_a_callback(self, site: Site) -> None:
        size = 3
        every = [
            callbacks.takes_nothing,
            callbacks.takes_context,
            functools.partial(callbacks.takes_arguments, channel="ops", size=2),
            {"call": callbacks.takes_arguments, "with": {"channel": "named"}},
            callbacks.is_async,
            callbacks.Notifier("object"),
            callbacks.Notifier("bound").__call__,
            lambda context: callbacks.leave("lambda", size=size, hook=context.hook.value),
            f"{callbacks.__name__}:takes_nothing",
        ]
        with site.run(callbacks.flow, {"value": 7}, on_start=every, on_exit=every) as handle:
            assert handle.exit_info is not None
            assert handle.exit_info.succeeded, handle.exit_info
            expected = [(hook, "succeeded") for hook in (Hook.ON_START, Hook.ON_EXIT) for _ in every]
            assert outcomes(handle) == expected, handle.callbacks
        ours = ["nothing", "context", "arguments", "arguments", "async", "notifier", "notifier", "lambda", "nothing"]
        assert names(site) == [*ours, "main", *ours]
        said = site.words()
        assert [word for name, word in said if name == "arguments"][:2] == [
            {"channel": "ops", "size": 2},
            {"channel": "named", "size": 1},
        ]
        assert [word["hook"] for name, word in said if name == "lambda"] == ["on-start", "on-exit"]

    def test_what_the_context_holds(self, site: Site) -> None:
        hooks = [callbacks.prepares, callbacks.takes_context]
        labels = ["gpu", "team=data"]
        with site.run(callbacks.flow, on_start=hooks, on_exit=callbacks.takes_context, labels=labels):
            pass
        start, main, end = (word for _, word in site.words())
        assert start["exit"] is None
        assert start["earlier"] == ["succeeded"]
        assert start["labels"] == end["labels"] == {"team": "data", "gpu": ""}
        assert main["prepared"] == "by on_start"
        assert end["shared"] == ["prepared"]
        assert end["exit"]["result"] == "Succeeded"
        assert end["exit"]["exit_code"] == 0
        assert end["exit"]["started_at"] is not None
        assert end["uid"] == start["uid"]
        assert start["key"].startswith(f"{start['uid']}/on-start/")
        assert end["key"].startswith(f"{end['uid']}/on-exit/")

    @pytest.mark.parametrize("flow", [callbacks.async_flow, lambda value: callbacks.flow(value + 0)])
    def test_other_flows(self, site: Site, flow: Any) -> None:
        with site.run(flow, {"value": 5}) as handle:
            assert handle.exit_info is not None
            assert handle.exit_info.succeeded
            assert handle.callbacks == ()
        assert [word["value"] for _, word in site.words()] == [5]

    def test_a_flow_that_fails(self, site: Site) -> None:
        with site.run(callbacks.failing_flow, on_exit=callbacks.takes_context) as handle:
            assert handle.exit_info is not None
            assert handle.exit_info.result is Result.FAILED
            assert handle.exit_info.exit_code == 1
            assert "ValueError: no rows" in handle.exit_info.message
            with pytest.raises(RunFailed, match="main failed: ValueError: no rows"):
                handle.check()
        end = dict(site.words())["context"]["exit"]
        assert (end["result"], end["exit_code"]) == ("Failed", 1)
        assert "ValueError: no rows" in end["message"]

    def test_a_flow_that_chooses_its_exit_code(self, site: Site) -> None:
        with site.run(callbacks.leaving_flow, {"code": 3}, on_exit=callbacks.takes_context) as handle:
            assert handle.exit_info is not None
            assert handle.exit_info.exit_code == 3
        assert dict(site.words())["context"]["exit"]["exit_code"] == 3

    def test_a_start_that_fails(self, site: Site) -> None:
        hooks = [callbacks.fails, callbacks.takes_nothing]
        with site.run(callbacks.flow, on_start=hooks, on_exit=callbacks.takes_context) as handle:
            assert handle.exit_info is not None
            assert handle.exit_info.result is Result.START_FAILED
            assert outcomes(handle) == [
                (Hook.ON_START, "failed"),
                (Hook.ON_START, "skipped"),
                (Hook.ON_EXIT, "succeeded"),
            ]
            assert "RuntimeError: on purpose" in str(handle.callbacks[0].outcome)
        assert names(site) == ["context"]
        assert site.words()[0][1]["exit"]["result"] == "StartFailed"

    def test_a_start_whose_failure_is_ignored(self, site: Site) -> None:
        policy = {"podhooks.io/on-start-policy": "ignore"}
        with site.run(callbacks.flow, on_start=callbacks.fails, annotations=policy) as handle:
            assert handle.exit_info is not None
            assert handle.exit_info.succeeded
        assert names(site) == ["main"]

    def test_a_failing_on_exit_changes_nothing_for_main(self, site: Site) -> None:
        hooks = [callbacks.fails, callbacks.takes_nothing]
        with site.run(callbacks.flow, on_exit=hooks, annotations=EXIT_ONLY) as handle:
            assert handle.exit_info is not None
            assert handle.exit_info.succeeded
            assert outcomes(handle) == [(Hook.ON_EXIT, "failed"), (Hook.ON_EXIT, "succeeded")]
        assert names(site) == ["main", "nothing"]

    def test_when_decides(self, site: Site) -> None:
        hooks = [
            {"call": callbacks.takes_nothing, "when": ["success"]},
            {"call": callbacks.takes_context, "when": ["failure"]},
        ]
        with site.run(callbacks.failing_flow, on_exit=hooks) as handle:
            assert outcomes(handle) == [(Hook.ON_EXIT, "skipped"), (Hook.ON_EXIT, "succeeded")]
        assert names(site) == ["main", "context"]

    def test_an_on_exit_that_is_not_there_is_known_before_main_has_run(self, site: Site) -> None:
        name = f"{callbacks.__name__}:takes_notihng"
        with site.run(callbacks.flow, on_start=callbacks.takes_nothing, on_exit=name) as handle:
            assert handle.exit_info is not None
            assert handle.exit_info.result is Result.START_FAILED
            assert "did you mean 'takes_nothing'" in handle.exit_info.message
        assert names(site) == []

    def test_a_main_that_is_gone_without_a_word(self, site: Site) -> None:
        if not site.survives_main:
            pytest.skip("main is this very process")
        with site.run(callbacks.vanishing_flow, {"code": 4}, on_exit=callbacks.takes_context) as handle:
            assert handle.exit_info is not None
            assert (handle.exit_info.result, handle.exit_info.exit_code) == (Result.FAILED, 4)
        assert dict(site.words())["context"]["exit"]["exit_code"] == 4

    def test_a_main_that_is_killed(self, site: Site) -> None:
        if not (site.survives_main and site.main_can_kill_itself):
            pytest.skip("main can't kill itself here")
        with site.run(callbacks.killed_flow, on_exit=callbacks.takes_context) as handle:
            assert handle.exit_info is not None
            assert (handle.exit_info.result, handle.exit_info.exit_code) == (Result.FAILED, 137)
        assert dict(site.words())["context"]["exit"]["exit_code"] == 137

    def test_a_timeout(self, site: Site) -> None:
        def hangs() -> None:
            import time

            time.sleep(60)

        hook = {"call": hangs, "timeout": "500ms", "retries": 0}
        with site.run(callbacks.flow, on_exit=[hook, callbacks.takes_nothing]) as handle:
            assert [each.outcome and each.outcome.status for each in handle.callbacks] == [
                Status.TIMED_OUT,
                Status.SUCCEEDED,
            ]
            assert handle.callbacks[0].name.endswith("hangs")

    def test_a_callback_that_ends_its_process(self, site: Site) -> None:
        def leaves() -> None:
            os._exit(9)

        with site.run(callbacks.flow, on_start=callbacks.prepares, on_exit=leaves, annotations=EXIT_ONLY) as handle:
            assert outcomes(handle) == [(Hook.ON_START, "succeeded"), (Hook.ON_EXIT, "failed")]
            assert handle.exit_info is not None
            assert handle.exit_info.succeeded
