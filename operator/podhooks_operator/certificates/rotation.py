"""When which certificate is made, published, served and dropped: pure, no keys, no clock, no network.

The one promise: whoever trusts the published caBundle accepts every ready replica. Three rules keep it, each on its own
against all that may happen to the others (crashes, two leaders, a deleted Secret):

1. An authority leaves the bundle only when every certificate that it has signed has run out.
2. A certificate of a new authority is signed only after that authority has been in the bundle for `publish_delay`.
3. A replica changes to a certificate of another authority only after it has seen that one in the bundle for as long.

API servers learn of a new bundle by a watch, so `publish_delay` is what they may lag behind, with a large margin.
`decide` gives one step at a time, from what is there now. A crash between two steps is therefore no case of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

Ages: TypeAlias = Mapping[str, float]
"""How long a process has seen each authority in the bundle without a gap, in seconds by its monotonic clock."""


@dataclass(frozen=True)
class Rhythm:
    """Seconds. `skew` is by how much certificates are dated back, for clocks that are behind."""

    authority_lifetime: float = 365 * 86400.0
    serving_lifetime: float = 30 * 86400.0
    publish_delay: float = 600.0
    skew: float = 300.0

    @property
    def prepare_before(self) -> float:
        """A new authority is made when the current one has less than this left."""
        return self.authority_lifetime / 4

    @property
    def renew_before(self) -> float:
        return self.serving_lifetime / 3


@dataclass(frozen=True)
class Authority:
    """A CA's public half. `id` is its fingerprint, times are seconds since the epoch."""

    id: str
    not_before: float
    not_after: float


@dataclass(frozen=True)
class Serving:
    """`issuer` is the authority's id. `fits` is false where it lacks a name that the server has now."""

    id: str
    issuer: str
    not_before: float
    not_after: float
    fits: bool = True


@dataclass(frozen=True)
class Retired:
    authority: Authority
    drop_after: float


@dataclass(frozen=True)
class Stock:
    """What the shared Secret holds."""

    current: Authority
    serving: Serving
    next: Authority | None = None
    retired: tuple[Retired, ...] = ()

    @property
    def authorities(self) -> dict[str, Authority]:
        those = (self.current, *((self.next,) if self.next else ()), *(each.authority for each in self.retired))
        return {each.id: each for each in those}


@dataclass(frozen=True)
class Begin:
    """A new authority and a certificate of it, at once: there is nothing left that could be kept valid."""

    retired: tuple[Retired, ...] = ()


@dataclass(frozen=True)
class Adopt:
    """The bundle has authorities that the Secret doesn't know, since it was deleted or restored: they retire."""

    retired: tuple[Retired, ...]


@dataclass(frozen=True)
class Prepare:
    """Make the next authority."""


@dataclass(frozen=True)
class Promote:
    """The next authority becomes the current one and signs the serving certificate; the current one is retired."""

    retired: tuple[Retired, ...]


@dataclass(frozen=True)
class Sign:
    """A new serving certificate by the current authority, valid until `not_after`."""

    not_after: float


@dataclass(frozen=True)
class Publish:
    """The caBundle is to be these authorities, by id, the current one first."""

    authorities: tuple[str, ...]


@dataclass(frozen=True)
class Forget:
    """Retired authorities that are no longer in the bundle leave the Secret too."""

    authorities: tuple[str, ...]


Action: TypeAlias = Begin | Adopt | Prepare | Promote | Sign | Publish | Forget


def decide(
    stock: Stock | None, bundle: Mapping[str, Authority], ages: Ages, now: float, rhythm: Rhythm
) -> Action | None:
    """The leader's next step, None if there is nothing to do. `bundle` is what is published, by id.

    Whoever carries it out must have read the bundle before the Secret, and write only over the versions it has read:
    then a leader that was deposed without noticing can't undo what its successor did.
    """
    strangers = _strangers(stock, bundle, now, rhythm)
    if stock is None or _beyond_repair(stock, now, rhythm):
        known = _still_trusted(stock, now) if stock else ()
        return Begin((*known, *strangers))
    if strangers:
        return Adopt((*stock.retired, *strangers))
    if (wanted := trusted(stock, now)) != tuple(bundle):
        return Publish(wanted)
    return _forgotten(stock, bundle, now) or _renewed(stock, ages, now, rhythm)


def trusted(stock: Stock, now: float) -> tuple[str, ...]:
    """What belongs into the bundle, by id: the current authority, the next, and the retired until they may go."""
    following = (stock.next,) if stock.next and stock.next.not_after > now else ()
    retired = (each.authority for each in stock.retired if min(each.drop_after, each.authority.not_after) > now)
    return tuple(dict.fromkeys(each.id for each in (stock.current, *following, *retired)))


def choose(held: Serving | None, offered: Serving | None, ages: Ages, now: float, rhythm: Rhythm) -> Serving | None:
    """Which certificate a replica serves: the one it has, or the one in the Secret."""
    if held is None or offered is None or held.id == offered.id:
        return offered or held
    if held.not_after <= now or held.issuer not in ages:
        return offered
    if offered.not_after - now < rhythm.renew_before and offered.not_after < held.not_after:
        return held  # the Secret is an old one from a backup: the leader will sign anew
    if held.issuer == offered.issuer:
        return offered
    return offered if ages.get(offered.issuer, -1.0) >= rhythm.publish_delay else held


def aged(since: Mapping[str, float], bundle: Mapping[str, Authority], moment: float) -> dict[str, float]:
    """Since when each authority of the bundle has been seen in it; those that left lose their time."""
    return {each: since.get(each, moment) for each in bundle}


def _strangers(stock: Stock | None, bundle: Mapping[str, Authority], now: float, rhythm: Rhythm) -> tuple[Retired, ...]:
    known = stock.authorities if stock else {}
    unknown = [each for each in bundle.values() if each.id not in known and each.not_after > now]
    drop_after = now + rhythm.serving_lifetime + 2 * rhythm.skew
    return tuple(Retired(each, min(each.not_after, drop_after)) for each in unknown)


def _beyond_repair(stock: Stock, now: float, rhythm: Rhythm) -> bool:
    """The serving certificate has run out, and neither authority can sign one that lasts."""
    if stock.serving.not_after > now:
        return False
    remaining = max(each.not_after - now for each in (stock.current, stock.next) if each)
    return remaining < rhythm.renew_before


def _still_trusted(stock: Stock, now: float) -> tuple[Retired, ...]:
    return tuple(each for each in stock.retired if min(each.drop_after, each.authority.not_after) > now)


def _forgotten(stock: Stock, bundle: Mapping[str, Authority], now: float) -> Forget | None:
    kept = trusted(stock, now)
    gone = tuple(each.authority.id for each in stock.retired if each.authority.id not in (*kept, *bundle))
    return Forget(gone) if gone else None


def _renewed(stock: Stock, ages: Ages, now: float, rhythm: Rhythm) -> Action | None:
    """Everything in the Secret is published. What is next?"""
    following = stock.next if stock.next and stock.next.not_after > now else None
    if following and (ages.get(following.id, -1.0) >= rhythm.publish_delay or stock.serving.not_after <= now):
        drop_after = max(stock.serving.not_after, now) + 2 * rhythm.skew
        return Promote((*stock.retired, Retired(stock.current, drop_after)))
    not_after = min(now + rhythm.serving_lifetime, stock.current.not_after)
    if _must_sign(stock, not_after, now, rhythm):
        return Sign(not_after)
    if following is None and stock.current.not_after - now < rhythm.prepare_before:
        return Prepare()
    return None


def _must_sign(stock: Stock, not_after: float, now: float, rhythm: Rhythm) -> bool:
    """Near its end an authority gives no time to gain: then its certificate waits for the next authority."""
    serving = stock.serving
    if serving.issuer != stock.current.id or not serving.fits:
        return not_after > now
    worth_it = not_after - serving.not_after >= rhythm.renew_before
    return serving.not_after - now < rhythm.renew_before and worth_it
