"""What the kubelet knows of one container, and whether it is run again. No I/O."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from podhooks.kinds.resources import Json
from podhooks.local.logs import LogFile
from podhooks.local.sandbox import Process

EPOCH = "1970-01-01T00:00:00Z"  # what containerd reports as start of a container that could not be started
START_ERROR_CODE = 128
MAX_BACKOFF_SECONDS = 300.0
NEVER_FOUND = "The container could not be located when the pod was terminated"


class Role(Enum):
    INIT = "init"
    SIDECAR = "sidecar"  # an init container with restartPolicy Always
    MAIN = "main"


@dataclass(frozen=True)
class Ended:
    """`state.terminated`. `started_at` None: it never ran, or nobody knows."""

    exit_code: int
    reason: str
    message: str = ""
    signal: int = 0
    started_at: str | None = None
    finished_at: str | None = None
    container_id: str = ""
    ended: float = 0.0
    """Monotonic seconds, for the restart backoff."""

    def as_json(self) -> Json:
        found: Json = {"exitCode": self.exit_code, "reason": self.reason}
        if self.message:
            found["message"] = self.message
        found |= {"startedAt": self.started_at, "finishedAt": self.finished_at}
        if self.container_id:
            found["containerID"] = self.container_id
        return found


UNKNOWN = Ended(137, "ContainerStatusUnknown", NEVER_FOUND)


@dataclass
class Container:
    """One container of a pod through all its runs. Exactly one of: running, ended, neither (waiting)."""

    spec: Json
    role: Role
    process: Process | None = None
    running_since: str | None = None
    ended: Ended | None = None
    last: Ended | None = None
    waiting: tuple[str, str] | None = None
    """Reason and message while it waits; None: the default reason."""
    container_id: str = ""
    restarts: int = 0
    backoff_seconds: float = 0.0
    backoff_since: float = 0.0
    next_try: float | None = None
    """When to try again to create it, after a CreateContainerConfigError or the like."""
    failed_tries: int = 0
    log: LogFile | None = None
    previous_log: LogFile | None = None
    message_file: Path | None = None

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def is_running(self) -> bool:
        return self.running_since is not None

    @property
    def is_waiting(self) -> bool:
        return not self.is_running and self.ended is None

    @property
    def has_run(self) -> bool:
        return self.is_running or self.ended is not None or self.last is not None

    @property
    def exit_code(self) -> int | None:
        """Of the run that ended last; None while it runs or when it never ran."""
        if self.is_running:
            return None
        ended = self.ended or self.last
        return ended.exit_code if ended else None


def containers_of(pod: Json) -> list[Container]:
    """Init containers and sidecars in their order, then the main containers."""
    found = [
        Container(spec, Role.SIDECAR if spec.get("restartPolicy") == "Always" else Role.INIT)
        for spec in pod["spec"].get("initContainers") or ()
    ]
    return found + [Container(spec, Role.MAIN) for spec in pod["spec"]["containers"]]


def is_restarted(container: Container, pod_policy: str) -> bool:
    """Whether a container whose last run ended is run again, were the pod to go on."""
    code = container.exit_code
    if code is None:
        return False
    for rule in container.spec.get("restartPolicyRules") or ():
        if _matches(rule, code):
            return bool(rule.get("action") == "Restart")
    policy = container.spec.get("restartPolicy") or pod_policy
    if container.role is Role.SIDECAR:
        return True
    if policy == "Never":
        return False
    # an init container that succeeded is done, whatever the policy
    return code != 0 or (policy == "Always" and container.role is Role.MAIN)


def _matches(rule: Json, code: int) -> bool:
    wanted = rule.get("exitCodes") or {}
    inside = code in (wanted.get("values") or ())
    return inside if wanted.get("operator") == "In" else not inside


@dataclass(frozen=True)
class Backoff:
    """CrashLoopBackOff: the first restart is immediate, then `base_seconds` doubling, counted from the last end."""

    base_seconds: float = 10.0

    def restart_at(self, container: Container) -> float:
        """Monotonic time from which the container may run again."""
        ended = container.ended or container.last
        return (ended.ended if ended else 0.0) + self._current(container)

    def shown_at(self, container: Container) -> float:
        """When the wait becomes visible as `waiting: CrashLoopBackOff`: at the kubelet's next look (`*-then-ok`)."""
        ended = container.ended or container.last
        return (ended.ended if ended else 0.0) + min(self._current(container), self.base_seconds)

    def _current(self, container: Container) -> float:
        quiet = time.monotonic() - container.backoff_since
        if quiet > 2 * MAX_BACKOFF_SECONDS:
            return 0.0
        return container.backoff_seconds

    def advance(self, container: Container) -> None:
        """Count one restart."""
        known = self._current(container)
        longest = max(MAX_BACKOFF_SECONDS, self.base_seconds)
        container.backoff_seconds = min(known * 2, longest) if known else self.base_seconds
        container.backoff_since = time.monotonic()

    def message(self, container: Container, pod: Json) -> str:
        meta = pod["metadata"]
        whole = f"{meta['name']}_{meta['namespace']}({meta['uid']})"
        wait = go_duration(container.backoff_seconds)
        return f"back-off {wait} restarting failed container={container.name} pod={whole}"


def go_duration(seconds: float) -> str:
    """10s, 1m20s, 5m0s: as Go prints a duration."""
    if seconds < 60:
        return f"{seconds:g}s"
    return f"{int(seconds // 60)}m{seconds % 60:g}s"
