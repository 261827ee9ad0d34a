"""The on-exit program keeps its promise: once, with the truth, whatever the API and the kubelet do to it."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from podhooks_sidecar.decide import FAREWELL_SECONDS, SETTLE_SECONDS

from podhooks import contract
from podhooks.local.apiserver import Action, ApiServer, Fault
from podhooks.local.store import Store
from tests.integration.sidecar_harness import Harness, until

POD = "/api/v1/namespaces/default/pods"
Make = Callable[..., Harness]


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer(Store()) as running:
        yield running
        running.faults.clear()


@pytest.fixture
def make(server: ApiServer, tmp_path: Path) -> Iterator[Make]:
    made: list[Harness] = []

    def build(**environ: str) -> Harness:
        made.append(Harness(server, tmp_path, **environ))
        made[-1].main_runs()
        return made[-1]

    yield build
    for each in made:
        each.stop()


CLASSIC = {contract.ENV_MODE: "classic"}


class TestNormalEnd:
    @pytest.mark.parametrize(("code", "reason", "told"), [(0, "", "Succeeded 0"), (3, "Error", "Failed 3")])
    @pytest.mark.parametrize("mode", [{}, CLASSIC], ids=["native", "classic"])
    def test_is_told_as_it_was(self, make: Make, mode: dict[str, str], code: int, reason: str, told: str) -> None:
        pod = make(**mode).start().watching()
        pod.main_ends(code, reason)
        pod.expect(f"tell {told}")
        assert pod.ended() == 0
        assert pod.record.complete

    def test_an_out_of_memory_kill_is_told_as_one(self, make: Make) -> None:
        pod = make().start().watching()
        pod.main_ends(137, "OOMKilled")
        pod.expect("tell OOMKilled 137")

    def test_costs_one_get_and_one_watch(self, make: Make) -> None:
        pod = make().start().watching()
        pod.main_ends(0)
        assert pod.ended() == 0
        assert [method for method, _ in pod.requests] == ["GET", "GET"]
        assert len(pod.watches) == 1

    def test_an_end_before_we_began_is_seen_at_once(self, make: Make) -> None:
        pod = make()
        pod.main_ends(3)
        pod.start().expect("tell Failed 3")
        assert pod.ended() == 0

    def test_sigterm_before_the_event_waits_for_the_event(self, make: Make) -> None:
        pod = make().start().watching().told_to_end()
        assert pod.told == []
        pod.main_ends(3)
        pod.expect("tell Failed 3")
        assert pod.ended() == 0

    def test_sigterm_during_the_callbacks_does_not_end_them(self, make: Make) -> None:
        pod = make(SLOW="1")
        pod.annotate(**{"on-exit": "calls:slow, calls:second"})
        pod.start().watching().main_ends(0)
        until(lambda: pod.told == ["slow begins"])
        for _ in range(5):
            pod.signal()
            time.sleep(0.05)
        pod.expect("slow begins", "slow ends", "second")
        assert pod.ended() == 0

    def test_a_restarting_main_is_not_the_end(self, make: Make) -> None:
        pod = make()

        def on_failure(manifest: dict[str, Any]) -> None:
            manifest["spec"]["restartPolicy"] = "OnFailure"

        pod.server.store.mutate("pods", "default", "p", on_failure, subresource="")
        pod.start().watching()
        pod.main_ends(4)
        pod.main_state({"waiting": {"reason": "CrashLoopBackOff"}}, restarts=1)
        pod.main_runs(restarts=1)
        pod.main_ends(0, restarts=1)
        pod.expect("tell Succeeded 0")
        assert pod.ended() == 0

    def test_main_of_several_containers_ends_alone_and_we_stay_until_sigterm(self, make: Make) -> None:
        pod = make()

        def second(manifest: dict[str, Any]) -> None:
            manifest["spec"]["containers"].append({"name": "b"})

        pod.server.store.mutate("pods", "default", "p", second, subresource="")
        pod.start().watching()
        pod.main_ends(0)
        pod.expect("tell Succeeded 0")
        with pytest.raises(subprocess.TimeoutExpired):
            pod.ended(1.0)
        pod.signal()
        assert pod.ended() == 0
        pod.expect("tell Succeeded 0")

    def test_after_a_failed_start_nothing_is_left_to_stay_for(self, make: Make) -> None:
        """The kubelet's SIGTERM may come before our handlers are there; as a container's first process we'd lose it."""
        pod = make()
        spec = {"initContainers": [{"name": "on-start"}]}
        pod.server.store.mutate("pods", "default", "p", lambda each: each["spec"].update(spec), subresource="")
        ended = {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": "2026-11-23T00:00:05Z"}}
        pod.start().watching()
        pod.status(initContainerStatuses=[{"name": "on-start", "state": ended}])
        pod.main_state({"waiting": {"reason": "PodInitializing"}}, phase="Pending")
        assert pod.ended(15.0) == 0
        pod.expect("tell StartFailed None")

    def test_we_stay_for_a_container_that_will_run_again(self, make: Make) -> None:
        pod = make()
        ever = {"containers": [{"name": "main"}, {"name": "poll", "restartPolicy": "Always"}]}
        pod.server.store.mutate("pods", "default", "p", lambda each: each["spec"].update(ever), subresource="")
        ended = {"terminated": {"exitCode": 3, "reason": "Error", "finishedAt": "2026-11-23T00:00:05Z"}}
        pod.start().watching()
        pod.status(phase="Running", containerStatuses=[{"name": name, "state": ended} for name in ("main", "poll")])
        pod.expect("tell Failed 3")
        with pytest.raises(subprocess.TimeoutExpired):
            pod.ended(1.0)
        pod.signal()
        assert pod.ended() == 0


class TestTheKubeletsWords:
    def test_a_rejection_after_hours_is_no_never_started(self, make: Make) -> None:
        """A kubelet that was restarted may forget that main ran: the pod's last state has no container statuses."""
        pod = make().start().watching()

        def reject(manifest: dict[str, Any]) -> None:
            manifest["status"] = {"phase": "Failed", "reason": "NodeAffinity", "message": "Pod was rejected: no"}

        pod.server.store.mutate("pods", "default", "p", reject)
        pod.expect("tell Evicted None")
        end = pod.record.exit_info
        assert end is not None
        assert (end.reason, end.message) == ("NodeAffinity", "Pod was rejected: no")

    def test_an_end_that_nobody_saw_does_not_hold_a_classic_pod(self, make: Make) -> None:
        """containerd was restarted: it invents 255, and on_exit must not wait for a better answer."""
        pod = make(**CLASSIC).start().watching()
        pod.main_ends(255, "Unknown")
        pod.expect("tell Unknown None")
        assert pod.ended() == 0

    def test_a_pod_that_vanished_before_its_main_was_seen_is_not_called_never_started(self, make: Make) -> None:
        """The watch was away, the pod is not there any more: main may have run for hours in between."""
        pod = make()
        pod.main_state({"waiting": {"reason": "PodInitializing"}}, phase="Pending")
        pod.start().watching()
        pod.server.faults.add(Fault(POD, Action.ANSWER, status=503, times=1000))
        pod.server.drop_connections()
        until(lambda: "trying again" in pod.output)
        pod.server.store.delete("pods", "default", "p", grace_seconds=0)
        pod.server.faults.clear()
        pod.expect("tell Deleted None")


class TestASidecarThatBlocksThePod:
    """`restartPolicy: Always` was dropped on the way: an ordinary init container, which main waits for."""

    def block(self, pod: Harness, policy: dict[str, str]) -> Harness:
        spec = {"initContainers": [{"name": "on-exit", **policy}]}
        pod.server.store.mutate("pods", "default", "p", lambda each: each["spec"].update(spec), subresource="")
        pod.main_state({"waiting": {"reason": "PodInitializing"}}, phase="Pending")
        return pod

    def test_ends_with_one_line_that_says_so(self, make: Make) -> None:
        pod = self.block(make(), {}).start()
        assert pod.ended() == 2
        said = [line for line in pod.output.splitlines() if "error" in line]
        assert len(said) == 1
        assert "'on-exit' has lost its restartPolicy: Always" in said[0]
        assert "podhooks.io/mode: classic" in said[0]
        assert pod.told == []

    def test_says_it_where_kubectl_describe_shows_it(self, make: Make) -> None:
        pod = self.block(make(), {}).start()
        assert pod.ended() == 2
        assert "has lost its restartPolicy" in pod.termination_log.read_text()

    def test_a_sidecar_with_its_policy_stays(self, make: Make) -> None:
        pod = self.block(make(), {"restartPolicy": "Always"}).start().watching()
        pod.main_ends(3)
        pod.expect("tell Failed 3")
        assert pod.ended() == 0


class TestRestartAllContainers:
    """A restart rule ends every container of the pod, ours with two seconds of grace, and starts all of them afresh."""

    def rule(self, pod: Harness) -> Harness:
        rules = [{"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [9]}}]
        main = {"name": "main", "restartPolicy": "Never", "restartPolicyRules": rules}
        pod.server.store.mutate(
            "pods", "default", "p", lambda each: each["spec"].update(containers=[main]), subresource=""
        )
        return pod

    def test_on_exit_runs_once_after_the_last_life(self, make: Make) -> None:
        pod = self.rule(make(**{contract.ENV_GRACE_SECONDS: "10"}))
        pod.annotate(**{"on-exit": "calls:tell", "reserve": "10s"})
        pod.start().watching()
        pod.main_ends(9)
        pod.signal()
        with pytest.raises(subprocess.TimeoutExpired):
            pod.ended(2.0)  # what the kubelet gives
        assert pod.told == []
        pod.signal(signal.SIGKILL)
        pod.ended()
        pod.main_runs(restarts=1)
        watched = len(pod.watches)
        pod.start()
        until(lambda: len(pod.watches) > watched)
        pod.main_ends(3, restarts=1)
        pod.expect("tell Failed 3")
        assert pod.ended() == 0

    def test_a_life_after_the_last_callback_says_why_nothing_runs(self, make: Make) -> None:
        pod = make().start().watching()
        pod.main_ends(3)
        assert pod.ended() == 0
        assert pod.start().ended() == 0
        pod.expect("tell Failed 3")
        assert pod.output.count("on_exit ran already") == 1


class TestDeletion:
    def test_native_runs_when_sigterm_says_that_main_is_dead(self, make: Make) -> None:
        pod = make().start().watching()
        pod.deleted(60)
        pod.took_in()
        assert pod.told == []
        pod.signal()
        pod.expect("tell Deleted None", seconds=20)  # and not when the reserve begins
        assert pod.ended() == 0

    def test_native_with_a_stubborn_main_keeps_the_reserve(self, make: Make) -> None:
        pod = make()
        pod.annotate(**{"on-exit": "calls:tell,calls:at", "reserve": "5s", "on-exit-timeout": "2s"})
        pod.start().watching()
        deleted_at = time.time()
        pod.deleted(8)
        until(lambda: len(pod.told) == 2)
        assert pod.told[0] == "tell Deleted None"
        assert moment(pod.told[1]) - deleted_at >= 8 - 5 - FAREWELL_SECONDS - 1  # the API's times have whole seconds
        pod.signal()
        assert pod.ended() == 0

    def test_classic_uses_the_grace_period_but_for_the_reserve(self, make: Make) -> None:
        pod = make(**CLASSIC)
        pod.annotate(**{"on-exit": "calls:tell,calls:at", "reserve": "3s"})
        pod.start().watching()
        deleted_at = time.time()
        pod.deleted(6)
        pod.signal()
        assert pod.ended() == 0
        assert pod.told[0] == "tell Deleted None"
        assert moment(pod.told[1]) - deleted_at >= 6 - 3 - FAREWELL_SECONDS - 1

    def test_an_eviction_by_the_api_is_told_as_one(self, make: Make) -> None:
        pod = make().start().watching()
        pod.server.store.evict("default", "p", grace_seconds=60)
        pod.signal()
        pod.expect("tell Evicted None")

    def test_a_forced_deletion_is_acted_on_at_once(self, make: Make) -> None:
        pod = make().start().watching()
        pod.server.store.delete("pods", "default", "p", grace_seconds=0)
        pod.expect("tell Deleted None", seconds=20)

    def test_a_pod_of_our_name_but_another_uid_means_that_ours_is_gone(self, make: Make) -> None:
        pod = make(**{contract.ENV_POD_UID: "other"}).start()
        pod.expect("tell Deleted None")

    def test_a_pod_that_is_not_there_at_all_is_deleted(self, make: Make) -> None:
        pod = make(**{contract.ENV_POD_NAME: "elsewhere"}).start()
        pod.expect("tell Deleted None")

    def test_in_classic_mode_a_deletion_cuts_callbacks_to_its_own_grace_period(self, make: Make) -> None:
        pod = make(**CLASSIC)
        pod.annotate(**{"on-exit": "calls:slow", "on-exit-timeout": "50s", "on-exit-retries": "0"})
        pod.start().watching().main_ends(0)
        until(lambda: pod.told == ["slow begins"])
        pod.deleted(4)
        pod.signal()
        assert pod.ended() == 0
        assert pod.record.outcomes[0].status.value == "timed-out"

    def test_sigterm_while_on_start_runs_waits_for_its_end(self, make: Make) -> None:
        pod = make()
        pod.main_state({"waiting": {"reason": "PodInitializing"}})
        directory = pod.shared / contract.RECORD_DIR
        directory.mkdir()
        uid = pod.pod["metadata"]["uid"]
        record = {"podhooks": 1, "hook": "on-start", "pod": uid, "complete": False}
        running = {"name": "x", "status": "running", "attempts": 1}
        (directory / "on-start.json").write_text(json.dumps({**record, "callbacks": [running]}))
        pod.start().watching()
        pod.deleted(60)
        pod.signal()
        pod.quiet()
        done = {"name": "x", "status": "failed", "attempts": 1}
        (directory / "on-start.json").write_text(json.dumps({**record, "callbacks": [done]}))
        pod.expect("tell NeverStarted None", seconds=20)


class TestTroubleWithTheApi:
    @pytest.mark.parametrize("status", [429, 500, 503])
    def test_passing_errors_are_waited_out(self, make: Make, server: ApiServer, status: int) -> None:
        server.faults.add(Fault(POD, Action.ANSWER, status=status, times=3, retry_after_seconds=0))
        pod = make().start()
        pod.main_ends(3)
        pod.expect("tell Failed 3")
        assert pod.output.count("trying again") == 1
        assert "answers again" in pod.output

    def test_a_410_is_no_matter_and_repeats_nothing(self, make: Make, server: ApiServer) -> None:
        server.faults.add(Fault(POD, Action.ANSWER, status=410, times=2, watch=True))
        pod = make().start()
        until(lambda: len(pod.watches) >= 3, "a watch after two 410")
        pod.main_ends(3)
        pod.expect("tell Failed 3")
        assert pod.ended() == 0
        assert "warning" not in pod.output

    def test_a_rotated_token_is_read_anew(self, make: Make, server: ApiServer) -> None:
        pod = make()
        (pod.account / "token").write_text("expired")
        pod.start()
        until(lambda: "not accepted" in pod.output)
        (pod.account / "token").write_text(server.token)
        pod.main_ends(3)
        pod.expect("tell Failed 3")

    def test_a_403_is_said_once_with_the_remedy_and_sigterm_still_works(self, make: Make, server: ApiServer) -> None:
        server.faults.add(Fault(POD, Action.ANSWER, status=403, times=1000))
        pod = make().start()
        until(lambda: len(pod.requests) >= 3)
        pod.signal()
        pod.expect("tell Unknown None", seconds=20)
        assert pod.ended() == 0
        assert pod.output.count("create role podhooks --verb=get,watch --resource=pods") == 1

    def test_a_403_that_is_mended_is_enough(self, make: Make, server: ApiServer) -> None:
        server.faults.add(Fault(POD, Action.ANSWER, status=403, times=2))
        pod = make().start().watching()
        pod.main_ends(3)
        pod.expect("tell Failed 3")

    def test_a_watch_in_a_black_hole_does_not_hide_the_truth_from_sigterm(self, make: Make, server: ApiServer) -> None:
        server.faults.add(Fault(POD, Action.SILENT, watch=True, times=1))
        pod = make().start().watching()
        pod.main_ends(3)
        assert pod.told == []
        pod.signal()
        pod.expect("tell Failed 3")
        assert pod.ended() == 0

    def test_a_server_that_never_answers_does_not_hold_us_when_sigterm_comes(
        self, make: Make, server: ApiServer
    ) -> None:
        server.faults.add(Fault(POD, Action.HANG, times=1000))
        pod = make().start()
        until(lambda: pod.requests)
        pod.signal()
        pod.expect("tell Unknown None", seconds=25)  # of the 60 that it has
        assert pod.ended() == 0

    def test_an_address_that_swallows_connections_does_not_either(self, make: Make) -> None:
        with socket.socket() as hole:
            hole.bind(("127.0.0.1", 0))
            hole.listen(0)
            fillers = []
            for _ in range(4):  # a full backlog: further connects get no answer at all
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(hole.getsockname())
                fillers.append(filler)
            pod = make(**{contract.ENV_API_SERVER: f"http://127.0.0.1:{hole.getsockname()[1]}"}).start()
            until(lambda: installed_sigterm(pod))
            pod.signal()
            pod.expect("tell Unknown None")
            for filler in fillers:
                filler.close()

    def test_an_api_server_that_restarts_is_found_again(self, make: Make, server: ApiServer) -> None:
        pod = make().start().watching()
        server.drop_connections()
        pod.main_ends(3)
        pod.expect("tell Failed 3")

    def test_an_api_server_that_was_away_is_found_again(self, make: Make, tmp_path: Path) -> None:
        store = Store()
        first = ApiServer(store, token="t" * 20)
        first.start()
        pod = Harness(first, tmp_path)
        pod.main_runs()
        pod.start().watching()
        port = first.port
        first.stop()
        until(lambda: "Connection refused" in pod.output)
        with ApiServer(store, token="t" * 20, port=port) as second:
            pod.server = second
            pod.main_ends(3)
            pod.expect("tell Failed 3")
            assert pod.ended() == 0
        pod.stop()

    def test_after_the_server_was_away_a_late_event_is_still_waited_for(self, make: Make, server: ApiServer) -> None:
        """A kubelet publishes late when the API server is only just back."""
        server.faults.add(Fault(POD, Action.ANSWER, status=503, times=2))
        pod = make().start().watching()
        pod.signal()
        pod.quiet(SETTLE_SECONDS + 0.5)
        pod.main_ends(3)
        pod.expect("tell Failed 3")

    def test_a_server_that_comes_back_after_sigterm_is_found_in_seconds(self, make: Make, server: ApiServer) -> None:
        server.faults.add(Fault(POD, Action.ANSWER, status=503, times=2, retry_after_seconds=30))
        pod = make().start()
        until(lambda: pod.requests)
        pod.main_ends(3)
        pod.signal()
        pod.expect("tell Failed 3", seconds=25)  # and not after the 30 s that the server asked for

    def test_watches_that_end_at_once_are_no_busy_loop(self, make: Make, server: ApiServer) -> None:
        server.faults.add(Fault(POD, Action.END, watch=True, times=1000))
        pod = make().start().watching()
        deadline = time.monotonic() + 1.5
        while time.monotonic() < deadline:
            assert len(pod.requests) < 40
            time.sleep(0.02)
        pod.main_ends(3)
        pod.signal()
        pod.expect("tell Failed 3")

    @pytest.mark.parametrize(
        ("mode", "number"),
        [
            ({}, signal.SIGTERM),
            (CLASSIC, signal.SIGTERM),
            ({}, signal.SIGINT),  # the STOPSIGNAL of some images
            (CLASSIC, signal.SIGQUIT),
            ({}, signal.SIGWINCH),
            (CLASSIC, signal.SIGUSR1),
            ({}, signal.SIGRTMIN + 3),
        ],
    )
    def test_without_any_access_sigterm_is_the_signal(self, make: Make, mode: dict[str, str], number: int) -> None:
        pod = make(**mode, **{contract.ENV_GRACE_SECONDS: "3"})
        pod.annotate(**{"on-exit": "calls:tell", "reserve": "2s", "on-exit-timeout": "2s"})
        (pod.account / "token").unlink()
        pod.start()
        until(lambda: "automountServiceAccountToken" in pod.output)
        pod.signal(number)
        pod.expect("tell Unknown None")
        assert pod.ended() == 0


class TestOurOwnDeath:
    def test_a_killed_sidecar_goes_on_where_it_was_with_the_same_verdict(self, make: Make) -> None:
        pod = make()
        pod.annotate(**{"on-exit": "calls:tell,calls:slow,calls:second", "on-exit-retries": "1"})
        pod.start().watching().main_ends(3)
        until(lambda: len(pod.told) == 2)
        pod.signal(signal.SIGKILL)
        pod.ended()
        pod.deleted(60)  # what is seen now differs from what was decided
        pod.start(SLOW="0").expect("tell Failed 3", "slow begins", "slow begins", "slow ends", "second")
        assert pod.ended() == 0
        assert [(each.status.value, each.attempts) for each in pod.record.outcomes] == [
            ("succeeded", 1),
            ("succeeded", 2),
            ("succeeded", 1),
        ]

    def test_a_second_life_needs_no_api_to_go_on(self, make: Make, server: ApiServer) -> None:
        pod = make()
        pod.annotate(**{"on-exit": "calls:slow,calls:tell", "on-exit-retries": "0"})
        pod.start().watching().main_ends(3)
        until(lambda: pod.told)
        pod.signal(signal.SIGKILL)
        pod.ended()
        server.faults.add(Fault(POD, Action.HANG, times=1000))
        pod.start().expect("slow begins", "tell Failed 3")

    def test_an_interrupted_callback_without_retries_is_not_run_again(self, make: Make) -> None:
        pod = make()
        pod.annotate(**{"on-exit": "calls:slow,calls:second", "on-exit-retries": "0"})
        pod.start().watching().main_ends(3)
        until(lambda: pod.told)
        pod.signal(signal.SIGKILL)
        pod.ended()
        pod.start().expect("slow begins", "second")
        assert pod.ended() == 0

    def test_a_restart_after_the_work_is_done_does_nothing(self, make: Make) -> None:
        pod = make()
        pod.start().watching().main_ends(3)
        assert pod.ended() == 0
        assert pod.start().ended() == 0
        pod.expect("tell Failed 3")

    def test_a_restart_after_the_work_is_done_stays_while_another_container_runs(self, make: Make) -> None:
        pod = make()
        pod.start().watching().main_ends(3)
        assert pod.ended() == 0
        pod.main_runs()
        pod.start()
        with pytest.raises(subprocess.TimeoutExpired):
            pod.ended(1.0)  # it stays: the kubelet would start it once more
        pod.signal()
        assert pod.ended() == 0
        pod.expect("tell Failed 3")

    def test_a_sigterm_during_its_look_at_the_others_ends_it(self, make: Make, server: ApiServer) -> None:
        pod = make()
        pod.start().watching().main_ends(3)
        assert pod.ended() == 0
        asked = len(pod.requests)
        server.faults.add(Fault(POD, Action.HANG, times=1))
        pod.start()
        until(lambda: len(pod.requests) > asked)
        pod.signal()
        assert pod.ended(15.0) == 0

    def test_a_lost_record_is_read_from_the_termination_message(self, make: Make) -> None:
        pod = make()
        pod.start().watching().main_ends(3)
        assert pod.ended() == 0
        (pod.shared / contract.RECORD_DIR / "on-exit.json").unlink()
        ours = {
            "name": "on-exit",
            "restartCount": 1,
            "state": {"running": {}},
            "lastState": {"terminated": {"exitCode": 137, "message": pod.termination_log.read_text()}},
        }

        def spec(manifest: dict[str, Any]) -> None:
            manifest["spec"]["initContainers"] = [{"name": "on-exit", "restartPolicy": "Always"}]

        pod.server.store.mutate("pods", "default", "p", spec, subresource="")
        pod.status(initContainerStatuses=[ours])
        pod.start()
        assert pod.ended() == 0
        pod.expect("tell Failed 3")

    def test_the_idempotency_key_is_the_same_for_every_attempt(self, make: Make) -> None:
        pod = make()
        pod.annotate(**{"on-exit": "calls:key"})
        pod.start().watching().main_ends(0)
        uid = pod.pod["metadata"]["uid"]
        pod.expect(f"key {uid}/on-exit/calls:key attempt 1")


def test_a_sigterm_in_the_last_moment_does_not_kill(make: Make) -> None:
    """In classic mode our exit code is part of the pod's verdict: the kubelet's farewell must not spoil it."""
    for _ in range(12):
        pod = make(**CLASSIC)
        pod.annotate(**{"on-start": "calls:tell"})  # nothing to do at exit: the program ends at once
        pod.start()
        while not installed_sigterm(pod):
            time.sleep(0.001)
        while pod.process is not None and pod.process.poll() is None:
            pod.signal()
        assert pod.ended() == 0
        pod.server.store.delete("pods", "default", "p", grace_seconds=0)


def moment(note: str) -> float:
    """What `calls:at` wrote."""
    return float(note.removeprefix("at "))


def installed_sigterm(pod: Harness) -> bool:
    """Whether the program has its handler for SIGTERM in place (or has ended already)."""
    assert pod.process is not None
    if pod.process.poll() is not None:
        return True
    try:
        status = Path(f"/proc/{pod.process.pid}/status").read_text()
    except OSError:
        return True
    caught = next((line for line in status.splitlines() if line.startswith("SigCgt:")), "SigCgt: 0")
    return bool(int(caught.split()[1], 16) & (1 << (signal.SIGTERM - 1)))


class TestInput:
    def test_annotations_that_make_no_plan_are_one_line_and_exit_code_2(self, make: Make) -> None:
        pod = make()
        pod.annotate(**{"on-exti": "calls:tell"})
        assert pod.start().ended() == 2
        assert pod.output.startswith("podhooks: error: podhooks.io/on-exti: ")
        assert "on-exit" in pod.output
        assert len(pod.output.splitlines()) == 1

    @pytest.mark.parametrize(
        "environ",
        [{contract.ENV_MODE: "modern"}, {contract.ENV_GRACE_SECONDS: "soon"}, {contract.ENV_GRACE_SECONDS: "-1"}],
    )
    def test_a_spoilt_environment_is_one_line_and_exit_code_2(self, make: Make, environ: dict[str, str]) -> None:
        pod = make(**environ).start()
        assert pod.ended() == 2
        assert len(pod.output.splitlines()) == 1
        assert next(iter(environ)) in pod.output

    @pytest.mark.parametrize(
        ("argument", "code", "says"), [("--help", 0, "usage"), ("--version", 0, "0."), ("x", 2, "x")]
    )
    def test_it_takes_no_arguments(self, argument: str, code: int, says: str) -> None:
        ran = subprocess.run([sys.executable, "-m", "podhooks_sidecar", argument], capture_output=True, text=True)
        assert ran.returncode == code
        assert says in ran.stdout + ran.stderr

    def test_with_nothing_to_run_it_does_not_hold_the_pod(self, make: Make) -> None:
        pod = make(**CLASSIC)
        pod.annotate(**{"on-start": "calls:tell"})
        assert pod.start().ended() == 0


def test_a_log_tail_is_there_for_the_callback(make: Make, server: ApiServer) -> None:
    server.logs = lambda namespace, pod, container, **options: iter([b"a\nb\n"])
    pod = make()
    pod.annotate(**{"on-exit": "calls:tail"})
    pod.start().watching().main_ends(3)
    pod.expect("tail a|b|")


def test_everything_works_over_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with ApiServer(Store(), ssl_context=context) as server:
        pod = Harness(server, tmp_path)
        authority.cert_pem.write_to_path(str(pod.account / "ca.crt"))
        pod.main_runs()
        pod.start().watching()
        pod.main_ends(3)
        pod.expect("tell Failed 3")
        assert pod.ended() == 0
        pod.stop()
