"""The on-exit program in a bad world: a network that misbehaves while it waits, clocks that jump, and its own death."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path

import pytest

from podhooks import contract
from podhooks.context import Status
from podhooks.local.apiserver import Action, ApiServer, Fault
from podhooks.local.connection import Connection
from podhooks.local.store import Store
from tests.integration.network import Network, Weather
from tests.integration.sidecar_harness import Harness, until

POD = "/api/v1/namespaces/default/pods"
Make = Callable[..., Harness]


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer(Store()) as running:
        yield running
        running.faults.clear()


@pytest.fixture
def network(server: ApiServer) -> Iterator[Network]:
    with Network(server.port) as running:
        yield running


@pytest.fixture
def make(server: ApiServer, network: Network, tmp_path: Path) -> Iterator[Make]:
    """A pod whose on-exit reaches the API server over `network`."""
    made: list[Harness] = []

    def build(**environ: str) -> Harness:
        made.append(Harness(server, tmp_path, **{contract.ENV_API_SERVER: network.url, **environ}))
        made[-1].main_runs()
        return made[-1]

    yield build
    for each in made:
        each.stop()


BAD = [each for each in Weather if each is not Weather.FAIR]
LOUD = [Weather.RESET, Weather.GARBAGE, Weather.TRUNCATED]  # the client notices them by itself, at once
bad_weather = pytest.mark.parametrize("weather", BAD, ids=[each.value for each in BAD])


class TestNetwork:
    @bad_weather
    def test_an_end_in_bad_weather_is_told_once_and_right_when_the_kubelet_says_goodbye(
        self, make: Make, network: Network, weather: Weather
    ) -> None:
        """The weather clears up after the SIGTERM: on_exit asks again, and gets the truth."""
        pod = make().start().watching()
        network.weather = weather
        pod.main_ends(3)
        pod.signal()
        asked = network.connections
        until(lambda: network.connections > asked, "a new connection after SIGTERM")
        network.weather = Weather.FAIR
        pod.expect("tell Failed 3")
        assert pod.ended() == 0

    @bad_weather
    def test_bad_weather_to_the_end_holds_nothing_up(self, make: Make, network: Network, weather: Weather) -> None:
        """What was seen last is a running main: how it ended is not known, and not invented."""
        pod = make(**{contract.ENV_GRACE_SECONDS: "8"})
        pod.annotate(**{"on-exit": "calls:tell", "reserve": "5s"})
        pod.start().watching()
        network.weather = weather
        pod.main_ends(3)
        pod.signal()
        pod.expect("tell Unknown None")
        assert pod.ended() == 0
        assert pod.record.complete

    @pytest.mark.parametrize("weather", LOUD, ids=[each.value for each in LOUD])
    def test_bad_weather_while_main_runs_is_said_once_and_survived(
        self, make: Make, server: ApiServer, network: Network, weather: Weather
    ) -> None:
        pod = make().start().watching()
        network.weather = weather
        server.drop_connections()
        until(lambda: "trying again" in pod.output)
        tried = network.connections
        until(lambda: network.connections >= tried + 2, "further tries")
        network.weather = Weather.FAIR
        until(lambda: "answers again" in pod.output)
        pod.main_ends(3)
        pod.expect("tell Failed 3")
        assert pod.output.count("trying again") <= 2  # a stream that ends at once, and a server that can't be reached

    @bad_weather
    def test_bad_weather_from_the_beginning_is_survived(self, make: Make, network: Network, weather: Weather) -> None:
        network.weather = weather
        pod = make().start()
        until(lambda: network.connections >= 1)
        network.weather = Weather.FAIR
        pod.main_ends(3)
        pod.expect("tell Failed 3")
        assert pod.ended() == 0

    def test_a_name_that_no_server_knows_any_more_is_said_and_sigterm_works(self, make: Make) -> None:
        pod = make(**{contract.ENV_API_SERVER: "http://kubernetes.default.invalid:80"}).start()
        until(lambda: "trying again" in pod.output)
        pod.signal()
        pod.expect("tell Unknown None")
        assert "can't reach the API server at http://kubernetes.default.invalid:80" in pod.output


class TestAnswers:
    def test_a_429_is_waited_out_as_long_as_the_server_asks(self, make: Make, server: ApiServer) -> None:
        server.faults.add(Fault(POD, Action.ANSWER, status=429, times=2, retry_after_seconds=1))
        begun = time.monotonic()
        pod = make().start().watching()
        assert time.monotonic() - begun >= 2.0
        pod.main_ends(3)
        pod.expect("tell Failed 3")

    def test_a_token_that_expires_while_we_watch_is_read_anew(self, make: Make, server: ApiServer) -> None:
        pod = make().start().watching()
        server.token = "rotated-" + "x" * 20
        server.drop_connections()
        until(lambda: "not accepted" in pod.output)
        (pod.account / "token").write_text(server.token)
        pod.main_ends(3)
        pod.expect("tell Failed 3")

    @pytest.mark.parametrize("status", [401, 403])
    def test_a_refusal_after_a_first_success_may_pass(self, make: Make, server: ApiServer, status: int) -> None:
        """An API server that is only just back refuses for moments: SIGTERM must not make it the last word."""
        pod = make().start().watching()
        server.faults.add(Fault(POD, Action.ANSWER, status=status, times=2))
        asked = len(pod.requests)
        pod.main_ends(3)
        pod.signal()
        until(lambda: len(pod.requests) >= asked + 2)
        pod.expect("tell Failed 3")

    def test_a_410_in_the_stream_starts_anew_and_repeats_nothing(self, make: Make, server: ApiServer) -> None:
        pod = make().start().watching()
        server.store.compact()
        until(lambda: len(pod.watches) >= 2, "a second watch")
        pod.main_ends(3)
        pod.expect("tell Failed 3")
        assert pod.ended() == 0
        assert "warning" not in pod.output

    @pytest.mark.parametrize("days", [-1, 1])
    def test_a_jump_of_the_servers_clock_costs_no_callback(
        self, make: Make, server: ApiServer, monkeypatch: pytest.MonkeyPatch, days: int
    ) -> None:
        """What is left of a deletion's grace period goes by that clock."""
        pod = make()
        pod.annotate(**{"on-exit": "calls:tell", "reserve": "5s", "on-exit-timeout": "5s"})
        pod.start().watching()
        jumped = time.time() + days * 86400
        monkeypatch.setattr(Connection, "date_time_string", lambda _self: formatdate(jumped, usegmt=True))

        def watches_anew() -> bool:
            server.end_watches()  # again and again: the first watch may not have begun when its request is seen
            return len(pod.watches) >= 2

        until(watches_anew, "a watch whose answer has the new time")
        pod.deleted(60)
        pod.signal()
        pod.expect("tell Deleted None")
        assert pod.ended() == 0
        assert [each.status for each in pod.record.outcomes] == [Status.SUCCEEDED]


KILLS_ITS_SIDECAR = """
import os, signal

def effect(context):
    with open(os.environ["NOTES"], "a") as file:
        file.write(f"effect {context.idempotency_key} attempt {context.attempt}\\n")
    if context.attempt == 1:
        os.kill(os.getppid(), signal.SIGKILL)  # as the kernel does it when memory is short
"""


class TestOurOwnDeath:
    """A SIGKILL comes from the kubelet, or from the kernel when the container's memory is used up."""

    def test_while_waiting_loses_nothing(self, make: Make) -> None:
        pod = make().start().watching()
        pod.signal(signal.SIGKILL)
        pod.ended()
        pod.main_ends(3)
        pod.start().expect("tell Failed 3")
        assert pod.ended() == 0

    def test_while_waiting_and_deleted_meanwhile_loses_nothing(self, make: Make) -> None:
        pod = make().start().watching()
        pod.signal(signal.SIGKILL)
        pod.ended()
        pod.deleted(60)
        watched = len(pod.watches)
        pod.start()
        until(lambda: len(pod.watches) > watched, "the second life's watch")
        pod.signal()
        pod.expect("tell Deleted None")
        assert pod.ended() == 0

    @pytest.mark.parametrize(("retries", "runs"), [("0", 1), ("1", 2)])
    def test_between_effect_and_record_leaves_the_key_to_tell_them_apart(
        self, make: Make, tmp_path: Path, retries: str, runs: int
    ) -> None:
        """The one moment in which a callback may run twice: with retries it does, under the same key."""
        (tmp_path / "deadly.py").write_text(KILLS_ITS_SIDECAR)
        pod = make()
        pod.annotate(**{"on-exit": "deadly:effect", "on-exit-retries": retries})
        pod.start().watching().main_ends(3)
        assert pod.ended() == -signal.SIGKILL
        assert [each.status for each in pod.record.outcomes] == [Status.RUNNING]
        assert pod.start().ended() == 0
        key = f"{pod.pod['metadata']['uid']}/on-exit/deadly:effect"
        assert pod.told == [f"effect {key} attempt {number}" for number in range(1, runs + 1)]
        status = Status.SUCCEEDED if runs == 2 else Status.INTERRUPTED
        assert [each.status for each in pod.record.outcomes] == [status]

    def test_with_a_full_shared_directory_runs_no_finished_callback_again(self, make: Make) -> None:
        """The file in the shared directory is older than the termination message, which the pod's status has."""
        pod = make()
        pod.annotate(**{"on-exit": "calls:tell,calls:slow,calls:second", "on-exit-retries": "0"})
        spec = {"initContainers": [{"name": "on-exit", "restartPolicy": "Always"}]}
        pod.server.store.mutate("pods", "default", "p", lambda each: each["spec"].update(spec), subresource="")
        pod.start().watching().main_ends(3)
        file = pod.shared / contract.RECORD_DIR / "on-exit.json"
        until(lambda: len(pod.told) == 2)
        stale = json.loads(file.read_text())
        stale["callbacks"] = []
        file.write_text(json.dumps(stale))
        message = pod.termination_log.read_text()
        pod.signal(signal.SIGKILL)
        pod.ended()
        ended = {"terminated": {"exitCode": 137, "reason": "Error", "message": message}}
        pod.status(initContainerStatuses=[{"name": "on-exit", "restartCount": 1, "state": {}, "lastState": ended}])
        pod.start().expect("tell Failed 3", "slow begins", "second")
        assert pod.ended() == 0
