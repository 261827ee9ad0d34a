"""Rotation of the webhook's certificates, over simulated months: two replicas, crashes, wrong clocks, lost Secrets.

The simulation knows nothing of keys. What is simulated is the worst case: no Lease, both replicas act as leaders, and
each may be interrupted between any two of its reads and writes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from podhooks_operator.certificates.rotation import (
    Action,
    Adopt,
    Authority,
    Begin,
    Forget,
    Prepare,
    Promote,
    Publish,
    Retired,
    Rhythm,
    Serving,
    Sign,
    Stock,
    choose,
    decide,
    trusted,
)

RHYTHM = Rhythm(authority_lifetime=400.0, serving_lifetime=40.0, publish_delay=4.0, skew=1.0)
LAG = 2.0  # what an API server's view of the bundle may be behind
MARGIN = 2.0  # before a certificate's end, in which a replica isn't ready (readiness.py: 5%)


class World:
    """The Secret and the configuration, each with its version, and the true time."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.made = 0
        self.secret: Stock | None = None
        self.secret_version = 0
        self.bundle: dict[str, Authority] = {}
        self.bundle_version = 0
        self.views: list[tuple[float, dict[str, Authority]]] = []

    def name(self, kind: str) -> str:
        self.made += 1
        return f"{kind}-{self.made}"

    def write_secret(self, stock: Stock | None, version: int) -> bool:
        if version != self.secret_version:
            return False
        self.secret, self.secret_version = stock, version + 1
        return True

    def publish(self, bundle: dict[str, Authority], version: int) -> bool:
        if version != self.bundle_version:
            return False
        self.views.append((self.time, self.bundle))
        self.bundle, self.bundle_version = bundle, version + 1
        return True

    def lagging(self) -> list[dict[str, Authority]]:
        """Every bundle that some API server may still go by."""
        return [self.bundle, *(view for replaced, view in self.views if replaced > self.time - LAG)]


class Replica:
    """One process. `refresh` is a generator, so that it can be stopped for ever between any two of its steps."""

    def __init__(self, world: World, clock_error: float) -> None:
        self.world = world
        self.clock_error = clock_error
        self.seen: dict[str, Authority] = {}
        self.since: dict[str, float] = {}
        self.held: Serving | None = None
        self.last_action: Action | None = None

    @property
    def now(self) -> float:
        return self.world.time + self.clock_error

    @property
    def ready(self) -> bool:
        held = self.held
        if held is None or held.issuer not in self.seen:
            return False
        return held.not_before <= self.now and held.not_after - self.now > MARGIN

    def refresh(self) -> Iterator[None]:
        world = self.world
        for _ in range(8):
            bundle, bundle_version = world.bundle, world.bundle_version
            self._look(bundle)
            yield
            stock, secret_version = world.secret, world.secret_version
            yield
            action = decide(stock, bundle, self._ages(), self.now, RHYTHM)
            if action is None:
                break
            self.last_action = action
            if isinstance(action, Publish):
                assert stock is not None
                done = world.publish({each: stock.authorities[each] for each in action.authorities}, bundle_version)
            else:
                done = world.write_secret(applied(action, stock, self), secret_version)
            yield
            if not done:
                break
        self._look(world.bundle)
        if world.secret:
            self.held = choose(self.held, world.secret.serving, self._ages(), self.now, RHYTHM)

    def _look(self, bundle: dict[str, Authority]) -> None:
        self.seen = bundle
        self.since = {each: self.since.get(each, self.world.time) for each in bundle}

    def _ages(self) -> dict[str, float]:
        return {each: self.world.time - since for each, since in self.since.items()}


def applied(action: Action, stock: Stock | None, replica: Replica) -> Stock:
    now = replica.now

    def authority() -> Authority:
        return Authority(replica.world.name("ca"), now - RHYTHM.skew, now + RHYTHM.authority_lifetime)

    def serving(by: Authority) -> Serving:
        ends = min(now + RHYTHM.serving_lifetime, by.not_after)
        return Serving(replica.world.name("cert"), by.id, now - RHYTHM.skew, ends)

    if isinstance(action, Begin):
        made = authority()
        return Stock(made, serving(made), None, action.retired)
    assert stock is not None
    if isinstance(action, Adopt):
        return replace(stock, retired=action.retired)
    if isinstance(action, Prepare):
        return replace(stock, next=authority())
    if isinstance(action, Sign):
        return replace(stock, serving=serving(stock.current))
    if isinstance(action, Forget):
        kept = tuple(each for each in stock.retired if each.authority.id not in action.authorities)
        return replace(stock, retired=kept)
    assert isinstance(action, Promote)
    assert stock.next is not None
    return Stock(stock.next, serving(stock.next), None, action.retired)


def check(world: World, replica: Replica, *, lagging: bool) -> None:
    """Whoever trusts the published bundle accepts a ready replica."""
    held = replica.held
    if not replica.ready or held is None:
        return
    views = world.lagging() if lagging else [world.bundle]
    assert all(held.issuer in view for view in views), f"{world.time}: {held} is refused by {views}"
    assert held.not_before <= world.time < held.not_after, f"{world.time}: {held} isn't valid"


def simulate(
    seed: int,
    *,
    units: int,
    crashes: bool = False,
    partitions: bool = False,
    lost_secrets: bool = False,
    skew: float = 0.0,
) -> tuple[World, list[Replica], int]:
    """The number returned is how often any replica wasn't ready, after the start."""
    chance, world, unready = random.Random(seed), World(), 0
    replicas = [Replica(world, skew), Replica(world, -skew)]
    away = [0.0, 0.0]
    backup: Stock | None = None
    for unit in range(units):
        running = [(index, each.refresh()) for index, each in enumerate(replicas) if away[index] <= world.time]
        while running:  # interleaved at random
            position = chance.randrange(len(running))
            index, steps = running[position]
            try:
                next(steps)
            except StopIteration:
                running.pop(position)
            if crashes and chance.random() < 0.01:
                running = [each for each in running if each[0] != index]
                replicas[index] = Replica(world, replicas[index].clock_error)
            for each in replicas:
                check(world, each, lagging=not (lost_secrets and crashes) and unit > 10)
        if partitions and chance.random() < 0.02:
            away[chance.randrange(2)] = world.time + chance.uniform(1, 60)
        if lost_secrets and chance.random() < 0.01:
            fate = chance.choice([None, backup])
            world.write_secret(fate, world.secret_version)
        if chance.random() < 0.01:
            backup = world.secret
        unready += sum(not each.ready for each in replicas) if unit > 3 else 0
        world.time += chance.uniform(0.7, 1.3)
    return world, replicas, unready


MANY = settings(max_examples=40)


@MANY
@given(st.integers(0, 1 << 32))
def test_undisturbed_every_replica_is_ready_at_all_times_through_all_rotations(seed: int) -> None:
    world, replicas, unready = simulate(seed, units=1000)
    assert unready == 0
    assert world.secret is not None
    assert world.secret.current.id != "ca-1"
    assert len(world.bundle) <= 3
    assert all(each.ready for each in replicas)


@MANY
@given(st.integers(0, 1 << 32), st.floats(0, 0.45))
def test_crashes_between_any_two_steps_and_wrong_clocks(seed: int, skew: float) -> None:
    _, replicas, _ = simulate(seed, units=900, crashes=True, skew=skew)
    settled(replicas)


@MANY
@given(st.integers(0, 1 << 32))
def test_replicas_that_are_cut_off_for_longer_than_their_certificate_lives(seed: int) -> None:
    _, replicas, _ = simulate(seed, units=900, partitions=True, crashes=True)
    settled(replicas)


@MANY
@given(st.integers(0, 1 << 32), st.floats(0, 0.45))
def test_a_secret_that_is_deleted_or_restored_from_a_backup_at_any_time(seed: int, skew: float) -> None:
    _, replicas, _ = simulate(seed, units=700, crashes=True, partitions=True, lost_secrets=True, skew=skew)
    settled(replicas)


@MANY
@given(st.integers(0, 1 << 32))
def test_a_lost_secret_costs_replicas_that_keep_running_nothing(seed: int) -> None:
    _, _, unready = simulate(seed, units=700, lost_secrets=True)
    assert unready == 0


def settled(replicas: list[Replica]) -> None:
    """Left in peace, everybody is ready again and nothing more is done."""
    world = replicas[0].world
    for _ in range(8):
        for each in replicas:
            list(each.refresh())
        world.time += 1
    for each in replicas:
        check(world, each, lagging=False)
    assert all(each.ready for each in replicas)


def published(stock: Stock) -> dict[str, Authority]:
    return {each: stock.authorities[each] for each in trusted(stock, 0.0)}


def authority(name: str, begins: float, lifetime: float = RHYTHM.authority_lifetime) -> Authority:
    return Authority(name, begins, begins + lifetime)


def certificate(name: str, issuer: str, begins: float, lifetime: float = RHYTHM.serving_lifetime) -> Serving:
    return Serving(name, issuer, begins, begins + lifetime)


OLD, NEW = authority("old", 0.0), authority("new", 350.0)
STOCK = Stock(OLD, certificate("one", "old", 0.0))


def test_from_nothing_it_makes_and_then_publishes() -> None:
    assert decide(None, {}, {}, 0.0, RHYTHM) == Begin()
    assert decide(STOCK, {}, {}, 0.0, RHYTHM) == Publish(("old",))
    assert decide(STOCK, {"old": OLD}, {"old": 0.0}, 1.0, RHYTHM) is None


def test_a_new_authority_signs_only_after_it_was_published_for_a_while() -> None:
    stock = Stock(OLD, certificate("one", "old", 340.0), next=NEW)
    assert decide(stock, {"old": OLD}, {"old": 99.0}, 351.0, RHYTHM) == Publish(("old", "new"))
    both = {"old": OLD, "new": NEW}
    assert decide(stock, both, {"old": 99.0, "new": RHYTHM.publish_delay - 0.1}, 355.0, RHYTHM) is None
    action = decide(stock, both, {"old": 99.0, "new": RHYTHM.publish_delay}, 355.0, RHYTHM)
    assert action == Promote((Retired(OLD, 380.0 + 2 * RHYTHM.skew),))


def test_a_retired_authority_stays_as_long_as_a_certificate_of_it_lives() -> None:
    stock = Stock(NEW, certificate("two", "new", 360.0), retired=(Retired(OLD, 380.0),))
    both = {"new": NEW, "old": OLD}
    assert decide(stock, both, {"new": 9.0, "old": 99.0}, 379.9, RHYTHM) is None
    assert decide(stock, both, {"new": 9.0, "old": 99.0}, 380.1, RHYTHM) == Publish(("new",))
    assert decide(stock, {"new": NEW}, {"new": 9.0}, 380.1, RHYTHM) == Forget(("old",))


def test_everything_expired_is_made_anew_at_once() -> None:
    assert decide(STOCK, {"old": OLD}, {"old": 1.0}, 5000.0, RHYTHM) == Begin()


def test_an_authority_that_is_published_and_nobody_knows_is_kept_for_those_who_serve_its_certificates() -> None:
    action = decide(None, {"old": OLD}, {"old": 50.0}, 100.0, RHYTHM)
    assert action == Begin((Retired(OLD, 100.0 + RHYTHM.serving_lifetime + 2 * RHYTHM.skew),))
    stranger = authority("stranger", 90.0)
    action = decide(STOCK, {"old": OLD, "stranger": stranger}, {}, 10.0, RHYTHM)
    assert isinstance(action, Adopt)
    assert [each.authority.id for each in action.retired] == ["stranger"]


def test_a_certificate_without_one_of_the_servers_names_is_signed_again() -> None:
    stock = replace(STOCK, serving=replace(STOCK.serving, fits=False))
    assert isinstance(decide(stock, {"old": OLD}, {"old": 1.0}, 1.0, RHYTHM), Sign)


def test_near_its_end_an_authority_is_not_asked_again_and_again() -> None:
    """Its successor can't be published: nobody may sign in a loop meanwhile."""
    stock = Stock(OLD, Serving("last", "old", 370.0, OLD.not_after), next=NEW)
    assert decide(stock, {"old": OLD, "new": NEW}, {"old": 99.0, "new": 0.0}, 395.0, RHYTHM) is None


@pytest.mark.parametrize(
    ("held", "offered", "ages", "now", "expected"),
    [
        (None, None, {}, 0.0, None),
        (None, "new", {}, 0.0, "new"),
        ("old", None, {"old": 9.0}, 10.0, "old"),
        ("old", "new", {"old": 9.0, "new": 3.9}, 10.0, "old"),
        ("old", "new", {"old": 9.0, "new": 4.0}, 10.0, "new"),
        ("old", "new", {"old": 9.0}, 10.0, "old"),
        ("old", "new", {"new": 0.0}, 10.0, "new"),
        ("old", "new", {"old": 9.0}, 41.0, "new"),
    ],
    ids=["nothing", "first", "secret-gone", "too-early", "published", "unpublished", "old-refused", "old-expired"],
)
def test_which_certificate_a_replica_serves(
    held: str | None, offered: str | None, ages: dict[str, float], now: float, expected: str | None
) -> None:
    known = {"old": certificate("one", "old", 0.0), "new": certificate("two", "new", 0.0)}
    found = choose(known[held] if held else None, known[offered] if offered else None, ages, now, RHYTHM)
    assert (found.issuer if found else None) == expected
