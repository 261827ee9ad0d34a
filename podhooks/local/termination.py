"""The order in which a pod's containers are told to end, as the kubelet does it. Pure: time is handed in.

Main containers and running init containers get SIGTERM at once and SIGKILL after the grace period. A sidecar gets
SIGTERM when the last main container and every sidecar listed after it are dead, at the latest when the grace period is
over; then it has what is left of the grace period, but no less than two seconds (kubelet facts 4, 5 and 23).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

MINIMUM_GRACE_SECONDS = 2.0


@dataclass(frozen=True)
class Step:
    """What to do now, and when to look again (seconds of the caller's clock; None: when a container ends)."""

    terminate: tuple[str, ...]
    kill: tuple[str, ...]
    again_at: float | None


@dataclass
class Termination:
    """One ending of a pod. `together` are names that end first, `sidecars` those that end after `mains`, as listed."""

    started_at: float
    grace_seconds: float
    mains: Sequence[str]
    together: Sequence[str]
    sidecars: Sequence[str]
    _kill_at: dict[str, float] = field(default_factory=dict)
    _killed: set[str] = field(default_factory=set)

    def shorten(self, grace_seconds: float, now: float) -> None:
        """A second, more impatient request; grace never grows."""
        end = min(self.started_at + self.grace_seconds, now + grace_seconds)
        self.grace_seconds = max(end - self.started_at, 0.0)
        latest = max(end, now + MINIMUM_GRACE_SECONDS)
        self._kill_at = {name: min(at, latest) for name, at in self._kill_at.items()}

    def step(self, now: float, alive: Collection[str]) -> Step:
        """What the containers still `alive` must be told now."""
        terminate = tuple(name for name in self._due(now, alive) if name not in self._kill_at)
        for name in terminate:
            self._kill_at[name] = now + max(self.started_at + self.grace_seconds - now, MINIMUM_GRACE_SECONDS)
        kill = tuple(n for n, at in self._kill_at.items() if at <= now and n in alive and n not in self._killed)
        self._killed.update(kill)
        return Step(terminate, kill, self._next(now, alive))

    def _due(self, now: float, alive: Collection[str]) -> list[str]:
        due = [name for name in (*self.mains, *self.together) if name in alive]
        expired = now >= self.started_at + self.grace_seconds
        waiting_for = [name for name in self.mains if name in alive]
        for name in reversed(self.sidecars):
            if name in alive:
                if not waiting_for or expired:
                    due.append(name)
                waiting_for.append(name)
        return due

    def _next(self, now: float, alive: Collection[str]) -> float | None:
        times = [at for name, at in self._kill_at.items() if name in alive and name not in self._killed]
        if any(name in alive and name not in self._kill_at for name in self.sidecars):
            times.append(self.started_at + self.grace_seconds)
        return min((at for at in times if at > now), default=None)
