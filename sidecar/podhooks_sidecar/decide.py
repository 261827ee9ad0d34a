"""What to do next, from what is known now. Pure: no clock, no API, no signals; the waiting loop brings them.

Facts behind it (docs/how-main-ends.md has them all): in native mode SIGTERM comes after main's end and is the normal
signal; during a deletion the API shows main as running until everything is dead; in classic mode SIGTERM reaches main
and us together, and both share one grace period.
"""

from __future__ import annotations

from podhooks.annotations.plan import Mode
from podhooks.context import EMPTY, ExitInfo, Result, parse_time
from podhooks.pod.object import is_deleting, mapping, pod_deadline, whole
from podhooks.pod.status import exit_info, presumed, restarting_all
from podhooks.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from podhooks.context import Json

SETTLE_SECONDS = 15.0  # what the API may lag behind main's own end; 0.1 to 1.5 s, on a node that is overloaded over 5 s
TOGETHER_SECONDS = 5.0  # a SIGTERM seen so long before a deletion came with it
FAREWELL_SECONDS = 0.5  # before the kubelet's SIGKILL: to end a callback by force, and to record that
CLOCK_SECONDS = 10.0  # a clock by which we should be dead for longer than that is wrong: it jumped, or servers disagree
LEAST_SECONDS = 2.0  # what the kubelet gives a container even if a deletion leaves 0 (by force) or 1 (`--now`)


class Known(Value):
    """All that a decision rests on. Times are seconds of one monotonic clock."""

    now: float
    mode: Mode = Mode.NATIVE
    main: str | None = None
    grace_seconds: float = 30.0
    reserve_seconds: float = 0.0
    term_at: float | None = None  # the first SIGTERM
    pod: Mapping[str, Json] = EMPTY  # as last seen; empty if never
    gone: bool = False  # DELETED or 404: nothing more will be seen
    missed: bool = False  # it was a 404: `pod` may be far from the pod's last state
    ran: frozenset[str] = frozenset()  # the mains that any state of the pod has shown running
    server_now: datetime | None = None  # the API server's clock
    deleting_since: float | None = None  # when the deletion was first seen
    hopeless: bool = False  # there is no access to the API, and waiting won't bring it
    troubled: bool = False  # the API answered, was away just now, and what it shows may be later than SETTLE_SECONDS
    starting: bool = False  # on-start has begun a callback that hasn't ended: a SIGTERM doesn't prove anything yet


class Act(Value):
    """Run on_exit now. `deadline` is when callbacks must be over, None if nothing has begun to end the pod."""

    exit_info: ExitInfo
    deadline: float | None = None


class Wait(Value):
    """Nothing to do before `until`, a SIGTERM, or news from the API."""

    until: float | None = None


def decide(known: Known) -> Act | Wait:
    """The one place where on_exit's beginning is decided."""
    deadline = last_moment(known)
    seen = exit_info(known.pod, known.main, gone=known.gone, ran=known.ran) if known.pod else None
    if known.gone and (seen is None or (known.missed and seen.result is Result.NEVER_STARTED)):
        seen = ExitInfo(Result.DELETED, reason="Deleted", message="the pod is gone", container=known.main or "")
    if seen is not None:
        return Act(seen, deadline)
    start = latest_start(known, deadline)
    if start is not None and known.now >= start:
        return Act(guess(known), deadline)
    return Wait(start if start is not None else own_deadline(known))


def latest_start(known: Known, deadline: float | None) -> float | None:
    """When on_exit has to begin although main's end can't be seen; None while nothing ends the pod."""
    if deadline is None:
        return None
    if restarting_all(known.pod) and not is_deleting(known.pod):
        return None  # the SIGTERM is for this life of the containers only: the next one tells how main ended
    last = deadline - known.reserve_seconds
    if known.mode is Mode.NATIVE and known.term_at is not None:
        if known.starting:
            return last
        # Main is dead. During a deletion that is all there is to learn; else the API may only lag behind.
        if known.hopeless or is_deleting(known.pod):
            return known.term_at
        patience = max(last - known.term_at, known.grace_seconds / 10)
        return known.term_at + (patience if known.troubled else min(SETTLE_SECONDS, patience))
    return last


def last_moment(known: Known) -> float | None:
    """When callbacks must be over, because the kubelet kills this container; None while nothing ends the pod."""
    times = []
    if is_deleting(known.pod):
        times.append(known.now + deletion_seconds_left(known))
    if known.term_at is not None:
        times.append(known.term_at + granted_seconds(known, known.term_at))
    own = own_deadline(known)
    if own is not None and own <= known.now:
        times.append(own + known.grace_seconds)
    return min(times) - FAREWELL_SECONDS if times else None


def granted_seconds(known: Known, term_at: float) -> float:
    """What a SIGTERM leaves us: the pod's grace period, or a longer one that the deletion it came with was given."""
    own = max(known.grace_seconds, LEAST_SECONDS)
    came_with_it = known.deleting_since is not None and term_at >= known.deleting_since - TOGETHER_SECONDS
    return max(own, deletion_grace(known)) if came_with_it else own


def deletion_grace(known: Known) -> float:
    return float(max(whole(mapping(known.pod.get("metadata")).get("deletionGracePeriodSeconds")) or 0, 0))


def deletion_seconds_left(known: Known) -> float:
    """Until the grace period of a deletion is over, by the API server's clock."""
    metadata, grace = mapping(known.pod.get("metadata")), deletion_grace(known)
    if grace == 0:
        return LEAST_SECONDS
    due = parse_time(metadata.get("deletionTimestamp"))
    left = grace - (known.now - (known.now if known.deleting_since is None else known.deleting_since))
    if due is not None and known.server_now is not None:
        by_the_server = (due - known.server_now).total_seconds()
        left = by_the_server if by_the_server > -CLOCK_SECONDS else left
    given = max(grace, LEAST_SECONDS)
    return max(min(left + given - grace, given), 0.0)


def own_deadline(known: Known) -> float | None:
    """When the pod's own activeDeadlineSeconds are over: the kubelet then ends it, and the API doesn't show that."""
    deadline = pod_deadline(known.pod)
    if deadline is None or known.server_now is None:
        return None
    left = (deadline - known.server_now).total_seconds()
    return known.now + left if left > -known.grace_seconds - CLOCK_SECONDS else None


def guess(known: Known) -> ExitInfo:
    if not known.pod:
        return ExitInfo(Result.UNKNOWN, message="the Kubernetes API could not be asked how main ended")
    return presumed(known.pod, known.main, now=known.server_now, ran=known.ran)
