"""The Lease: who may take it, and that two never hold it at once, whatever happens to requests, replicas and clocks."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podhooks_operator.cluster import Cluster
from podhooks_operator.lease import Claim, Lease, Seen, claim

from podhooks.errors import Conflict, NotFound, Unreachable
from podhooks.runtime.access import Access

DURATION = 9.0


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (None, Claim.CREATE),
        (Seen("me", "1", 0.0, 9), Claim.HOLD),
        (Seen("me", "1", 3.0, 9), Claim.RENEW),
        (Seen("other", "1", 9.0, 9), Claim.WAIT),
        (Seen("other", "1", 9.1, 9), Claim.TAKE),
        (Seen("other", "1", 9.1, 15), Claim.WAIT),
        (Seen("other", "1", 15.1, 15), Claim.TAKE),
        (Seen("other", "1", 9.0, 1), Claim.WAIT),
        (Seen("", "1", 0.0, 9), Claim.TAKE),
    ],
)
def test_who_gets_it(seen: Seen | None, expected: Claim) -> None:
    assert claim(seen, "me", DURATION) is expected


class FakeCluster(Cluster):
    """One object with a resourceVersion. `lost` says what happens to the next requests: "before" or "after" effect."""

    def __init__(self) -> None:
        super().__init__(Access("http://nowhere"))
        self.object: dict[str, Any] | None = None
        self.version = 0
        self.lost: list[str] = []

    def _loses(self, when: str) -> None:
        if self.lost and self.lost[0] == when:
            self.lost.pop(0)
            raise Unreachable("lost")

    def get(self, path: str, *_: object, **__: object) -> dict[str, Any]:
        self._loses("before")
        if self.object is None:
            raise NotFound(path, status=404)
        return copy.deepcopy(self.object)

    def create(self, path: str, obj: Mapping[str, Any], *_: object) -> dict[str, Any]:
        self._loses("before")
        if self.object is not None:
            raise Conflict(path, status=409)
        return self._stored(obj)

    def update(self, path: str, obj: Mapping[str, Any]) -> dict[str, Any]:
        self._loses("before")
        if self.object is None:
            raise NotFound(path, status=404)
        if obj["metadata"]["resourceVersion"] != self.object["metadata"]["resourceVersion"]:
            raise Conflict(path, status=409)
        return self._stored(obj)

    def _stored(self, obj: Mapping[str, Any]) -> dict[str, Any]:
        self.version += 1
        self.object = copy.deepcopy({**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}})
        self._loses("after")
        return copy.deepcopy(self.object)


class Replicas:
    def __init__(self, count: int = 2) -> None:
        self.now = 100.0
        self.cluster = FakeCluster()
        self.all = [
            Lease(self.cluster, "ns", "rescuer", f"replica-{number}", DURATION, lambda: self.now)
            for number in range(count)
        ]


def test_one_gets_it_and_keeps_it() -> None:
    replicas = Replicas()
    first, second = replicas.all
    for _ in range(30):
        assert (first.tend(), second.tend()) == (True, False)
        replicas.now += 1.5
    assert replicas.cluster.object is not None
    assert replicas.cluster.object["spec"]["leaseTransitions"] == 0
    assert replicas.cluster.version < 15, "renewed every third of the duration, not at every look"


def test_another_takes_it_when_the_holder_is_silent_and_not_before_it_has_stopped() -> None:
    replicas = Replicas()
    first, second = replicas.all
    assert first.tend()
    taken_after = None
    while taken_after is None:
        assert not (first.is_held() and second.is_held())
        taken_after = replicas.now - 100 if second.tend() else None
        replicas.now += 0.5
    assert DURATION < taken_after <= DURATION + 1
    assert first.tend() is False
    assert replicas.cluster.object is not None
    assert replicas.cluster.object["spec"]["leaseTransitions"] == 1


def test_a_holder_that_cant_reach_the_api_stops_by_itself() -> None:
    replicas = Replicas(1)
    lease = replicas.all[0]
    assert lease.tend()
    replicas.cluster.lost = ["before"] * 100
    replicas.now += DURATION / 2
    with pytest.raises(Unreachable):
        lease.tend()
    assert lease.is_held()
    replicas.now += DURATION / 4
    assert not lease.is_held()


def test_released_it_is_anothers_at_once_and_a_release_of_anothers_changes_nothing() -> None:
    replicas = Replicas()
    first, second = replicas.all
    assert first.tend()
    first.release()
    assert not first.is_held()
    assert second.tend()
    first.release()
    assert second.tend()
    replicas.cluster.object = None
    second.release()
    assert first.tend()


def test_a_release_that_is_lost_is_not_used_any_more() -> None:
    replicas = Replicas(1)
    lease = replicas.all[0]
    assert lease.tend()
    replicas.cluster.lost = ["before"]
    with pytest.raises(Unreachable):
        lease.release()
    assert not lease.is_held()


def test_one_that_was_deleted_and_one_without_a_spec_are_taken() -> None:
    replicas = Replicas()
    first, second = replicas.all
    assert first.tend()
    replicas.cluster.object = {"metadata": {"name": "rescuer", "resourceVersion": "9"}}
    assert second.tend()
    assert not first.tend()


STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),  # which replica
        st.sampled_from(["tend", "tend", "tend", "release"]),
        st.sampled_from([[], [], ["before"], ["after"]]),  # what is lost
        st.sampled_from([0.0, 0.1, 1.5, 3.0, 6.0, 9.5]),  # seconds that pass afterwards
    ),
    max_size=60,
)


@given(steps=STEPS)
def test_two_never_hold_it_at_once(steps: list[tuple[int, str, list[str], float]]) -> None:
    replicas = Replicas(3)
    for number, what, lost, seconds in steps:
        replicas.cluster.lost = list(lost)
        lease = replicas.all[number]
        try:
            if what == "tend":
                lease.tend()
            elif what == "release":
                lease.release()
        except Unreachable:
            pass
        assert sum(each.is_held() for each in replicas.all) <= 1
        replicas.now += seconds
        assert sum(each.is_held() for each in replicas.all) <= 1
