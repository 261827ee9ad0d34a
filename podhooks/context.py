"""What a callback gets: values only, no I/O of their own.

Anything that has to be fetched (the pod object at on_start, the log of main) comes through a function that the
program hands in, so that these values can be made by hand in a user's test.
"""

from __future__ import annotations

from datetime import datetime, timezone
from enum import Enum
from types import MappingProxyType

from podhooks.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Any, TypeAlias

    Json: TypeAlias = Any  # what json.loads returns; a recursive type would cost every reader more than it gives

EMPTY: Mapping[str, Any] = MappingProxyType({})


class Hook(str, Enum):
    """One of the two points."""

    ON_START = "on-start"
    ON_EXIT = "on-exit"


class Result(str, Enum):
    """How main ended."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    OOM_KILLED = "OOMKilled"
    EVICTED = "Evicted"
    DELETED = "Deleted"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    NODE_LOST = "NodeLost"
    START_FAILED = "StartFailed"
    NEVER_STARTED = "NeverStarted"
    UNKNOWN = "Unknown"


class ExitInfo(Value):
    """How main ended, as far as it is known.

    `exit_code` and `signal` are None when nobody will ever know them. `reason` and `message` are Kubernetes' words.
    `started_at` and `finished_at` are in UTC with whole seconds, as the kubelet gives them. `restarts` counts main's
    earlier runs in this pod.
    """

    result: Result
    exit_code: int | None = None
    signal: int | None = None
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    restarts: int = 0
    container: str = ""
    _log_tail: Callable[[int], str] | None = None

    @property
    def succeeded(self) -> bool:
        return self.result is Result.SUCCEEDED

    def log_tail(self, lines: int = 50) -> str:
        """The last lines of main's log, or a line in brackets that says why they can't be had."""
        if self._log_tail is None:
            return "[podhooks: no access to the log here]"
        return self._log_tail(lines)

    def with_log(self, log_tail: Callable[[int], str]) -> ExitInfo:
        return self.replace(_log_tail=log_tail)

    def to_json(self) -> dict[str, Json]:
        return {
            "result": self.result.value,
            "exit_code": self.exit_code,
            "signal": self.signal,
            "reason": self.reason,
            "message": self.message,
            "started_at": format_time(self.started_at),
            "finished_at": format_time(self.finished_at),
            "restarts": self.restarts,
            "container": self.container,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> ExitInfo:
        return cls(
            result=Result(data["result"]),
            exit_code=data.get("exit_code"),
            signal=data.get("signal"),
            reason=data.get("reason") or "",
            message=data.get("message") or "",
            started_at=parse_time(data.get("started_at")),
            finished_at=parse_time(data.get("finished_at")),
            restarts=data.get("restarts") or 0,
            container=data.get("container") or "",
        )


class PodInfo(Value):
    """The pod that the hooks belong to. `node` may be empty where nobody told."""

    name: str
    namespace: str
    uid: str
    node: str = ""
    labels: Mapping[str, str] = EMPTY
    annotations: Mapping[str, str] = EMPTY


class Owner(Value):
    """What made the pod: a Job mostly. `index` is the completion index of an Indexed Job."""

    kind: str
    name: str
    index: int | None = None


class Status(str, Enum):
    """What became of one callback."""

    RUNNING = "running"  # in a record: it was started and nothing more is known
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed-out"
    SKIPPED = "skipped"  # its `when` didn't match, an earlier one's policy ended the list, or no time was left
    INTERRUPTED = "interrupted"  # our own process was killed while it ran

    @property
    def final(self) -> bool:
        return self not in (Status.RUNNING, Status.INTERRUPTED)


class CallbackOutcome(Value):
    """What became of one callback: `name` is its key in the plan, `message` one line for a person.

    `cut`: it wasn't its own time that ran out but the pod's, so whoever has more time may go on from here.
    """

    name: str
    status: Status
    attempts: int = 0
    seconds: float = 0.0
    message: str = ""
    cut: bool = False

    def to_json(self) -> dict[str, Json]:
        return {
            "name": self.name,
            "status": self.status.value,
            "attempts": self.attempts,
            "seconds": round(self.seconds, 3),
            "message": self.message,
            **({"cut": True} if self.cut else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> CallbackOutcome:
        return cls(
            name=str(data["name"]),
            status=Status(data["status"]),
            attempts=int(data.get("attempts") or 0),
            seconds=float(data.get("seconds") or 0.0),
            message=str(data.get("message") or ""),
            cut=data.get("cut") is True,
        )


class RunContext(Value):
    """Everything a callback may want to know.

    `attempt` counts from 1 and is this callback's own (a retry is 2); `deadline` is when it is ended by force.
    `idempotency_key` is the same for every attempt at the same callback of the same pod, also when another process
    makes the attempt: hand it to whatever must not happen twice. `earlier` are the outcomes of the callbacks before
    this one at the same hook. `exit` is None at on_start. `rescued`: on_exit runs outside its pod, because the pod
    couldn't; `emptied` are then the directories of main whose contents went with the pod: they are there, and empty.
    """

    hook: Hook
    callback: str
    pod: PodInfo
    main_container: str
    idempotency_key: str
    shared: str
    owner: Owner | None = None
    flow_run_id: str | None = None
    attempt: int = 1
    deadline: datetime | None = None
    earlier: tuple[CallbackOutcome, ...] = ()
    exit: ExitInfo | None = None
    rescued: bool = False
    emptied: tuple[str, ...] = ()
    _pod_object: Callable[[], Mapping[str, Json]] | None = None

    @property
    def shared_dir(self) -> Path:
        """The directory that on_start, main and on_exit share."""
        from pathlib import Path

        return Path(self.shared)

    @property
    def pod_object(self) -> Mapping[str, Json]:
        """The pod as the API shows it (at on_exit: as it was when main's end was decided); empty if it can't be had."""
        return self._pod_object() if self._pod_object is not None else {}

    def to_json(self) -> dict[str, Json]:
        """The same as JSON, for `exec` callbacks (stdin). The pod object is included only where it is at hand."""
        return {
            "hook": self.hook.value,
            "callback": self.callback,
            "pod": {
                "name": self.pod.name,
                "namespace": self.pod.namespace,
                "uid": self.pod.uid,
                "node": self.pod.node,
                "labels": dict(self.pod.labels),
                "annotations": dict(self.pod.annotations),
            },
            "main_container": self.main_container,
            "owner": None
            if self.owner is None
            else {"kind": self.owner.kind, "name": self.owner.name, "index": self.owner.index},
            "flow_run_id": self.flow_run_id,
            "attempt": self.attempt,
            "deadline": format_time(self.deadline),
            "idempotency_key": self.idempotency_key,
            "shared_dir": self.shared,
            "earlier": [outcome.to_json() for outcome in self.earlier],
            "exit": None if self.exit is None else self.exit.to_json(),
            "rescued": self.rescued,
            "emptied": list(self.emptied),
        }


def parse_time(text: Json) -> datetime | None:
    """An RFC 3339 time as Kubernetes writes it, in UTC; None for anything else (a pod may hold anything)."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return moment.astimezone(timezone.utc) if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    except (ValueError, OverflowError):
        return None


def format_time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
