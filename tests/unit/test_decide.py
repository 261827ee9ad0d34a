"""When on_exit begins, and with what: the pure decision, on recorded pods and on the facts they don't hold."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podhooks_sidecar.decide import FAREWELL_SECONDS, SETTLE_SECONDS, Act, Known, Wait, decide

from podhooks.annotations.plan import Mode
from podhooks.context import Result

TRACES = Path(__file__).parent.parent / "traces"
EXPECTED: dict[str, Any] = json.loads((TRACES / "expected.json").read_text())
START = datetime(2026, 11, 23, tzinfo=timezone.utc)
Pod = dict[str, Any]


def running_pod(**metadata: Any) -> Pod:
    return {
        "metadata": metadata,
        "spec": {"containers": [{"name": "main"}], "restartPolicy": "Never"},
        "status": {
            "phase": "Running",
            "startTime": "2026-11-23T00:00:00Z",
            "containerStatuses": [{"name": "main", "state": {"running": {"startedAt": "2026-11-23T00:00:01Z"}}}],
        },
    }


def deleted_pod(*, after: float, grace: int) -> Pod:
    """Deleted `after` seconds from the start of the clock that all tests here share."""
    due = START + timedelta(seconds=after + grace)
    return running_pod(deletionTimestamp=due.isoformat(), deletionGracePeriodSeconds=grace)


def at(now: float, **known: Any) -> Known:
    """What is known `now` seconds after the start: the server's clock and ours agree."""
    return Known(now=now, server_now=START + timedelta(seconds=now), **{"reserve_seconds": 10.0, **known})


def act(known: Known) -> Act:
    decision = decide(known)
    assert isinstance(decision, Act)
    return decision


def wait(known: Known) -> Wait:
    decision = decide(known)
    assert isinstance(decision, Wait)
    return decision


@pytest.mark.parametrize("mode", Mode)
def test_nothing_happens_while_main_runs(mode: Mode) -> None:
    assert wait(at(5.0, mode=mode, pod=running_pod())).until is None


def test_nothing_is_known_before_the_pod_was_seen() -> None:
    assert wait(Known(now=0.0)).until is None


class TestDeletion:
    """Facts 3 to 6: main's end can't be seen, so on_exit begins at the latest `reserve` before the deadline."""

    @pytest.mark.parametrize("mode", Mode)
    def test_waits_until_the_reserve_begins(self, mode: Mode) -> None:
        pod = deleted_pod(after=4, grace=30)
        assert wait(at(5.0, mode=mode, pod=pod)).until == pytest.approx(24.0 - FAREWELL_SECONDS)
        started = act(at(24.0, mode=mode, pod=pod))
        assert (started.exit_info.result, started.exit_info.exit_code) == (Result.DELETED, None)
        assert started.deadline == pytest.approx(34.0 - FAREWELL_SECONDS)

    def test_in_native_mode_sigterm_means_that_main_is_dead(self) -> None:
        pod = deleted_pod(after=4, grace=30)
        assert act(at(6.0, pod=pod, term_at=6.0)).exit_info.result is Result.DELETED

    def test_in_classic_mode_sigterm_says_nothing_about_main(self) -> None:
        pod = deleted_pod(after=4, grace=30)
        assert wait(at(6.0, mode=Mode.CLASSIC, pod=pod, term_at=4.1, grace_seconds=30.0)).until == pytest.approx(
            24.0 - FAREWELL_SECONDS
        )

    def test_sigterm_while_on_start_still_runs_is_not_the_end_of_main(self) -> None:
        pod = deleted_pod(after=4, grace=30)
        assert wait(at(6.0, pod=pod, term_at=4.1, starting=True)).until == pytest.approx(24.0 - FAREWELL_SECONDS)
        assert isinstance(decide(at(7.0, pod=pod, term_at=4.1)), Act)

    def test_with_less_grace_than_reserve_it_begins_at_once(self) -> None:
        pod = deleted_pod(after=4, grace=5)
        assert act(at(4.5, mode=Mode.CLASSIC, pod=pod)).deadline == pytest.approx(9.0 - FAREWELL_SECONDS)

    def test_a_forced_deletion_leaves_two_seconds(self) -> None:
        pod = running_pod(deletionTimestamp=START.isoformat(), deletionGracePeriodSeconds=0)
        assert act(at(4.0, pod=pod)).deadline == pytest.approx(6.0 - FAREWELL_SECONDS)

    @pytest.mark.parametrize("term_at", [3.8, 4.1])
    def test_a_longer_grace_period_than_the_pods_is_main_s_too(self, term_at: float) -> None:
        """`kubectl delete --grace-period=60`: the kubelet gives all of it, so on_exit mustn't begin within 30."""
        pod = deleted_pod(after=4, grace=60)
        known = at(25.0, mode=Mode.CLASSIC, pod=pod, term_at=term_at, deleting_since=4.0, grace_seconds=30.0)
        assert wait(known).until == pytest.approx(min(term_at, 4.0) + 60.0 - 10.0 - FAREWELL_SECONDS)

    def test_a_sigterm_of_before_the_deletion_keeps_the_pods_grace_period(self) -> None:
        pod = deleted_pod(after=24, grace=60)
        known = at(25.0, mode=Mode.CLASSIC, pod=pod, term_at=4.0, deleting_since=24.0, grace_seconds=30.0)
        assert act(known).deadline == pytest.approx(34.0 - FAREWELL_SECONDS)

    def test_a_deletion_now_leaves_two_seconds_as_well(self) -> None:
        """`kubectl delete --now` says 1; the kubelet gives no container less than 2."""
        pod = deleted_pod(after=4, grace=1)
        assert act(at(4.2, pod=pod, term_at=4.1)).deadline == pytest.approx(6.0 - FAREWELL_SECONDS)
        assert act(at(5.5, pod=pod, term_at=4.1)).deadline == pytest.approx(6.0 - FAREWELL_SECONDS)
        known = Known(now=105.5, deleting_since=104.0, term_at=104.1, pod=pod)
        assert act(known).deadline == pytest.approx(106.0 - FAREWELL_SECONDS)

    def test_our_own_clock_may_be_wrong(self) -> None:
        """Only the server's clock is compared with the object's times; the rest are differences of a monotonic one."""
        pod = deleted_pod(after=4, grace=30)
        known = Known(now=86400.0, server_now=START + timedelta(seconds=5), pod=pod, reserve_seconds=10.0)
        assert wait(known).until == pytest.approx(86400.0 + 19.0 - FAREWELL_SECONDS)

    def test_without_the_servers_clock_the_grace_counts_from_when_it_was_seen(self) -> None:
        pod = deleted_pod(after=4, grace=30)
        known = Known(now=106.0, deleting_since=100.0, pod=pod, reserve_seconds=10.0)
        assert wait(known).until == pytest.approx(120.0 - FAREWELL_SECONDS)

    def test_a_clock_by_which_we_are_long_dead_is_not_believed(self) -> None:
        """It jumped, or the API server that answers and the one that wrote the deletion disagree."""
        tomorrow = START + timedelta(days=1)
        known = Known(now=6.0, deleting_since=4.0, server_now=tomorrow, reserve_seconds=10.0)
        assert wait(known.replace(pod=deleted_pod(after=4, grace=30))).until == pytest.approx(24.0 - FAREWELL_SECONDS)
        pod = running_pod()
        pod["spec"]["activeDeadlineSeconds"] = 60
        assert wait(known.replace(pod=pod)).until is None
        passed = known.replace(pod=pod, server_now=START + timedelta(seconds=61))
        assert wait(passed).until == pytest.approx(5.0 + 30.0 - 10.0 - FAREWELL_SECONDS)

    def test_an_eviction_by_the_api_is_said_to_be_one(self) -> None:
        pod = deleted_pod(after=4, grace=30)
        reason = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
        pod["status"]["conditions"] = [reason]
        assert act(at(6.0, pod=pod, term_at=6.0)).exit_info.result is Result.EVICTED

    def test_the_pods_disappearance_is_the_last_that_will_be_known(self) -> None:
        assert act(at(6.0, pod=running_pod(), gone=True)).exit_info.result is Result.DELETED
        assert act(at(6.0, gone=True)).exit_info.result is Result.DELETED


@given(
    mode=st.sampled_from(Mode),
    grace=st.integers(1, 900),
    own_grace=st.integers(1, 900),
    reserve=st.integers(0, 900),
    obeys_after=st.integers(0, 900),
)
def test_a_deleted_pod_gets_its_on_exit_in_time_and_not_sooner_than_it_must(
    mode: Mode, grace: int, own_grace: int, reserve: int, obeys_after: int
) -> None:
    """However long the grace period of the pod, of the deletion, the reserve, and main's obedience are."""
    pod, dead = deleted_pod(after=4, grace=grace), 4.0 + min(obeys_after, grace)
    term_at = dead if mode is Mode.NATIVE else 4.0
    now, begun = 4.0, None
    while begun is None:
        term = term_at if now >= term_at else None
        fixed = {"mode": mode, "pod": pod, "deleting_since": 4.0, "grace_seconds": float(own_grace)}
        step = decide(at(now, term_at=term, reserve_seconds=float(reserve), **fixed))
        if isinstance(step, Act):
            begun = now
        else:
            assert step.until is not None
            assert step.until > now
            now = min(step.until, term_at) if term_at > now else step.until
    must = max(4.0 + max(grace, 2) - reserve - FAREWELL_SECONDS, 4.0)
    assert begun == pytest.approx(min(must, max(dead, 4.0)) if mode is Mode.NATIVE else must)


class TestNormalEnd:
    def ended(self) -> Pod:
        pod = running_pod()
        pod["status"]["containerStatuses"][0]["state"] = {"terminated": {"exitCode": 3, "reason": "Error"}}
        return pod

    @pytest.mark.parametrize("mode", Mode)
    def test_begins_at_once_and_with_no_deadline_yet(self, mode: Mode) -> None:
        begun = act(at(5.0, mode=mode, pod=self.ended()))
        assert (begun.exit_info.result, begun.exit_info.exit_code, begun.deadline) == (Result.FAILED, 3, None)

    def test_after_sigterm_the_grace_period_is_the_budget(self) -> None:
        assert act(at(5.0, pod=self.ended(), term_at=4.0, grace_seconds=40.0)).deadline == pytest.approx(
            44.0 - FAREWELL_SECONDS
        )

    def test_a_sigterm_before_the_event_waits_for_the_event(self) -> None:
        known = at(5.0, pod=running_pod(), term_at=5.0, grace_seconds=40.0)
        assert wait(known).until == pytest.approx(5.0 + SETTLE_SECONDS)
        later = 5.0 + SETTLE_SECONDS
        assert act(at(later, pod=running_pod(), term_at=5.0, grace_seconds=40.0)).exit_info.result is Result.UNKNOWN

    def test_after_the_api_was_away_the_wait_goes_on_until_the_reserve_begins(self) -> None:
        known = at(5.0, pod=running_pod(), term_at=5.0, grace_seconds=40.0, troubled=True)
        assert wait(known).until == pytest.approx(5.0 + 40.0 - 10.0 - FAREWELL_SECONDS)

    def test_waiting_for_the_event_ends_where_the_reserve_begins(self) -> None:
        assert wait(at(5.0, pod=running_pod(), term_at=5.0, grace_seconds=12.0)).until == pytest.approx(
            7.0 - FAREWELL_SECONDS
        )

    def test_but_a_tenth_of_the_grace_period_is_well_spent_on_the_truth(self) -> None:
        assert wait(at(5.0, pod=running_pod(), term_at=5.0, grace_seconds=10.0)).until == pytest.approx(6.0)


class TestNoAccess:
    def test_native_runs_at_sigterm_with_an_unknown_result(self) -> None:
        begun = act(Known(now=5.0, hopeless=True, term_at=5.0))
        assert (begun.exit_info.result, begun.deadline) == (Result.UNKNOWN, 35.0 - FAREWELL_SECONDS)

    def test_classic_waits_for_sigterm_and_then_for_the_reserve(self) -> None:
        known = Known(now=5.0, mode=Mode.CLASSIC, hopeless=True, reserve_seconds=10.0)
        assert wait(known).until is None
        assert wait(known.replace(term_at=5.0)).until == pytest.approx(25.0 - FAREWELL_SECONDS)
        assert act(known.replace(now=25.0, term_at=5.0)).exit_info.result is Result.UNKNOWN

    def test_an_api_that_may_come_back_gets_a_moment(self) -> None:
        assert wait(Known(now=5.0, term_at=5.0)).until == pytest.approx(5.0 + SETTLE_SECONDS)


class TestTheDeadlineOfThePod:
    """Fact 10: activeDeadlineSeconds of the pod show in the API only when all is over."""

    def pod(self) -> Pod:
        pod = running_pod()
        pod["spec"]["activeDeadlineSeconds"] = 100
        return pod

    def test_is_looked_forward_to(self) -> None:
        assert wait(at(5.0, pod=self.pod())).until == pytest.approx(100.0)

    def test_then_the_grace_period_begins(self) -> None:
        known = {"pod": self.pod(), "grace_seconds": 30.0}
        assert wait(at(101.0, **known)).until == pytest.approx(120.0 - FAREWELL_SECONDS)
        begun = act(at(120.0, **known))
        assert begun.exit_info.result is Result.DEADLINE_EXCEEDED
        assert begun.deadline == pytest.approx(130.0 - FAREWELL_SECONDS)

    def test_a_sigterm_after_it_ends_the_wait_once_the_api_had_its_chance(self) -> None:
        known = {"pod": self.pod(), "grace_seconds": 30.0, "term_at": 102.0}
        assert act(at(102.0 + SETTLE_SECONDS, **known)).exit_info.result is Result.DEADLINE_EXCEEDED


def replay(scenario: str, mode: Mode) -> tuple[Act | None, Pod]:
    """Feed a recorded stream to the decision as the loop would, with SIGTERM where the facts say it comes."""
    decision: Act | None = None
    pod: Pod = {}
    for line in (TRACES / f"{scenario}.jsonl").read_text().splitlines():
        recorded = json.loads(line)
        pod = recorded["event"]["object"]
        deleting = "deletionTimestamp" in pod["metadata"]
        known = Known(
            now=recorded["t"],
            mode=mode,
            grace_seconds=float(pod["spec"]["terminationGracePeriodSeconds"]),
            pod=pod,
            gone=recorded["event"]["type"] == "DELETED",
            term_at=recorded["t"] if deleting else None,
        )
        step = decide(known)
        if isinstance(step, Act) and decision is None:
            decision = step
    return decision, pod


@pytest.mark.parametrize("scenario", [name for name in EXPECTED if not name.endswith(("retry-pods", "pod-deadline"))])
def test_every_recorded_pod_gets_its_on_exit_with_the_right_result(scenario: str) -> None:
    mode = Mode.CLASSIC if scenario.startswith("classic") else Mode.NATIVE
    begun, _ = replay(scenario, mode)
    assert begun is not None
    assert begun.exit_info.result.value == EXPECTED[scenario]["final"]["result"]
