"""One turn at a pod or at a Rescue: look, decide, and make the request that was decided. What follows is another turn.

A turn raises ApiError when a request failed; whoever calls it comes back later and looks anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, TypeAlias

from podhooks import log
from podhooks.context import parse_time
from podhooks.errors import ApiError, NotFound
from podhooks.inject import InjectSettings
from podhooks.pod.object import containers, mapping, text
from podhooks.runtime.apierrors import is_passing
from podhooks_operator.rescue import decide
from podhooks_operator.rescue.decide import SeenJob, Tried, decide_pod, decide_rescue
from podhooks_operator.rescue.job import job_name, rescue_job, trial_pod
from podhooks_operator.rescue.objects import (
    PodRef,
    Rescue,
    State,
    cut,
    new_rescue,
    read_rescue,
    rescue_name,
)
from podhooks_operator.rescue.places import Places
from podhooks_operator.rescue.requests import Requests
from podhooks_operator.rescue.rescue_metrics import RescueMetrics
from podhooks_operator.rescue.rescue_settings import RescueSettings
from podhooks_operator.rescue.seen_job import is_finished, seen_job
from podhooks_operator.rescue.tell import at_home, end_event, twice_event

Json: TypeAlias = Any
FIRST_ASKED_AGAIN_SECONDS, MOST_ASKED_AGAIN_SECONDS = 15.0, 300.0
FIRST_LOOK_SECONDS, MOST_LOOK_SECONDS = 1.0, 5.0  # at a running Job


@dataclass(frozen=True)
class Done:
    """Nothing is left to do about it."""


@dataclass(frozen=True)
class Again:
    """After so many seconds, or at any news."""

    seconds: float = 0.0


@dataclass(frozen=True)
class Recorded(Again):
    """A Rescue of this name is there, and open."""

    name: str = ""


@dataclass(frozen=True)
class Parked(Again):
    """Until a place is free."""


class Turns:
    """`places` bounds how many Jobs run at once."""

    def __init__(
        self,
        requests: Requests,
        settings: RescueSettings,
        inject: InjectSettings,
        metrics: RescueMetrics,
        places: Places,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self.requests = requests
        self.settings = settings
        self._inject = inject
        self._metrics = metrics
        self._places = places
        self._now = now or (lambda: datetime.fromtimestamp(requests.cluster.now(), timezone.utc))
        self._tried: dict[str, Tried] = {}
        self._refusals: dict[str, int] = {}
        self._looks: dict[str, int] = {}

    # Pods.

    def hold(self, pod: Mapping[str, Json]) -> Done | Again:
        """`pod` is one that isn't deleted, or only its metadata: enough to see that it is to be held."""
        if not isinstance(decide_pod(pod, self._now(), self.settings), decide.Hold):
            return Done()
        metadata = mapping(pod.get("metadata"))
        ref = PodRef(*(text(metadata.get(key)) for key in ("name", "namespace", "uid")))
        self.requests.hold(ref, text(metadata.get("resourceVersion")))
        self._metrics.holds.inc()
        return Done()  # what came in between comes as news

    def pod(self, ref: PodRef) -> Done | Again:
        """A pod that is over, or may be."""
        pod = self.requests.pod(ref)
        if pod is None:
            return Done()
        now = self._now()
        step = decide_pod(pod, now, self.settings)
        if isinstance(step, decide.Wait):
            return Done() if step.until is None else Again(_seconds(step.until - now))
        if isinstance(step, decide.Hold):
            return self.hold(pod)
        recorded = isinstance(step, decide.Record)
        if isinstance(step, decide.Record):
            self._record(pod, step)
            step = decide_pod(pod, now, self.settings, recorded=True)
        if isinstance(step, decide.Release):
            self._release(pod, ref, step.why, now)
        return Recorded(name=rescue_name(ref.name, ref.uid)) if recorded else Done()

    def _record(self, pod: Mapping[str, Json], step: decide.Record) -> None:
        raw = new_rescue(pod, self.requests.namespace, step.verdict, step.debt, step.standing)
        self.requests.record(raw)
        self._metrics.recorded.labels(step.verdict.result.value).inc()
        of = raw["spec"]["pod"]
        verdict = step.verdict.result.value
        log.info("recorded", pod=of["name"], namespace=of["namespace"], verdict=verdict, owed=", ".join(step.debt.owed))

    def _release(self, pod: Mapping[str, Json], ref: PodRef, why: str, now: datetime) -> None:
        if not self.requests.release(ref, why):
            return
        self._metrics.releases.labels(why).inc()
        if (over_at := _over_at(pod)) is not None:
            self._metrics.held_seconds.observe(max((now - over_at).total_seconds(), 0.0))

    # Rescues.

    def rescue(self, name: str) -> Done | Again:
        raw = self.requests.rescue(name)
        rescue = None if raw is None else _readable(raw)
        if rescue is None or rescue.state.ended:
            return self._forget(name)
        now = self._now()
        job = self._job(rescue) if rescue.state is State.RUNNING else None
        room = rescue.state is State.RUNNING or self._places.take(name)
        step = decide_rescue(rescue, now, self.settings, job=job, tried=self._tried.get(name), room=room)
        if rescue.state is State.RUNNING:
            self._places.keep(name)
        return self._carry_out(rescue, step, now)

    def _carry_out(self, rescue: Rescue, step: decide.RescueStep, now: datetime) -> Done | Again:
        if isinstance(step, decide.Wait):
            return self._wait(rescue, step, now)
        if isinstance(step, decide.Try):
            self._tried[rescue.name] = self._try(rescue, now)
        elif isinstance(step, decide.Run):
            self.requests.run(self._made(rescue, step.attempt, now))
            self._metrics.attempts.inc()
            running = decide_rescue(rescue, now, self.settings, job=SeenJob(step.attempt))
            return self._carry_out(rescue, running, now)
        elif isinstance(step, decide.Note):
            self._note(rescue, step)
        elif isinstance(step, decide.Cancel):
            self.requests.cancel(rescue.pod.namespace, rescue.job)
        elif isinstance(step, decide.Finish) and self._finish(rescue, step, now):
            return self._forget(rescue.name)
        return Again()

    def _wait(self, rescue: Rescue, step: decide.Wait, now: datetime) -> Again:
        if rescue.state is not State.RUNNING:
            if step.until is None:
                return Parked(self.settings.deadline)
            self._places.leave(rescue.name)  # while it is refused, others may be let in
            return Again(_seconds(step.until - now))
        looks = self._looks[rescue.name] = self._looks.get(rescue.name, 0) + 1
        return Again(min(FIRST_LOOK_SECONDS * looks, MOST_LOOK_SECONDS))

    def _try(self, rescue: Rescue, now: datetime) -> Tried:
        try:
            self.requests.try_pod(trial_pod(self._made(rescue, rescue.attempts + 1, now)))
        except ApiError as error:
            if is_passing(error):
                raise
            count = self._refusals[rescue.name] = self._refusals.get(rescue.name, 0) + 1
            pause = min(FIRST_ASKED_AGAIN_SECONDS * 2 ** (count - 1), MOST_ASKED_AGAIN_SECONDS)
            final = isinstance(error, NotFound)  # the namespace is gone
            return Tried(cut(str(error)), final=final, again_at=now + timedelta(seconds=pause))
        return Tried()

    def _made(self, rescue: Rescue, attempt: int, now: datetime) -> dict[str, Json]:
        ends_at = (rescue.created_at or now) + timedelta(seconds=self.settings.deadline)
        return rescue_job(rescue, attempt, self._inject, now, ends_at)

    def _job(self, rescue: Rescue) -> SeenJob | None:
        job = self.requests.job(rescue.pod.namespace, rescue.job)
        if job is None:
            return None
        pods = self.requests.pods_of(rescue.pod.namespace, rescue.job) if is_finished(job) else []
        return seen_job(rescue.attempts, job, pods, rescue.pod.uid)

    def _note(self, rescue: Rescue, step: decide.Note) -> None:
        record = None if step.record is None else step.record.to_json()
        attempt = rescue.attempts if step.attempts is None else step.attempts
        running = step.state is State.RUNNING
        written = rescue.with_status(
            state=step.state.value,
            attempts=attempt,
            reason=step.reason,
            message=cut(step.message),
            record=record,
            job=job_name(rescue, attempt) if running else None,
            twice=list(step.twice) or None,
        )
        self.requests.write(written)
        if step.reason != "Refused":
            self._tried.pop(rescue.name, None)
        if step.reason == "Again":
            self._places.leave(rescue.name)

    def _finish(self, rescue: Rescue, step: decide.Finish, now: datetime) -> bool:
        """The Event comes first: it is told once by its name, and a Rescue that has ended isn't looked at again."""
        self._tell(rescue, end_event(rescue, step.state, step.message, now))
        if step.twice:
            self._tell(rescue, twice_event(rescue, step.twice, now))
        written = rescue.with_status(
            state=step.state.value,
            reason=step.reason,
            message=cut(step.message),
            record=None if step.record is None else step.record.to_json(),
            twice=list(step.twice) or None,
            finishedAt=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        if not self.requests.write(written):
            return False
        self._metrics.ended.labels(step.state.value, step.reason).inc()
        self._metrics.twice.inc(len(step.twice))
        of = rescue.pod
        log.info("rescue ended", pod=of.name, namespace=of.namespace, state=step.state.value, message=step.message)
        return True

    def _tell(self, rescue: Rescue, event: dict[str, Json]) -> None:
        try:
            self.requests.tell(event)
        except ApiError as error:
            if is_passing(error):
                raise
            self.requests.tell(at_home(event, rescue))

    def _forget(self, name: str) -> Done:
        self._places.leave(name)
        self._tried.pop(name, None)
        self._refusals.pop(name, None)
        self._looks.pop(name, None)
        return Done()


def _readable(raw: Mapping[str, Json]) -> Rescue | None:
    try:
        return read_rescue(raw)
    except ValueError as error:
        log.warning("a Rescue can't be read, and is left alone", why=error)
        return None


def _seconds(span: timedelta) -> float:
    return max(span.total_seconds(), 0.0) + 0.05


def _over_at(pod: Mapping[str, Json]) -> datetime | None:
    """When its last container ended."""
    ends = [parse_time((each.end or {}).get("finishedAt")) for each in (*containers(pod, init=True), *containers(pod))]
    return max((each for each in ends if each is not None), default=None)
