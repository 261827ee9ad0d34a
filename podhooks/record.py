"""What became of the callbacks of one hook: kept in the shared directory and in the termination message."""

from __future__ import annotations

from podhooks.context import CallbackOutcome, ExitInfo, Hook
from podhooks.value import Value


class RecordData(Value):
    """A record as it was read. `left_out` counts outcomes that a bounded message had no room for."""

    hook: Hook
    pod_uid: str
    outcomes: tuple[CallbackOutcome, ...] = ()
    exit_info: ExitInfo | None = None
    complete: bool = False
    left_out: tuple[str, ...] = ()


def parse_message(text: str | bytes) -> RecordData | None:
    """The record in a termination message; None when it holds none of ours."""
    raise NotImplementedError


class Record:
    """The record of one hook of this pod. Writing never raises: a place that can't be written costs one log line."""

    @classmethod
    def open(cls, hook: Hook, shared_dir: str, termination_log: str, *, pod_uid: str) -> Record:
        """The record of an earlier life of this container, or an empty one. An empty path means: not there."""
        raise NotImplementedError

    @property
    def data(self) -> RecordData:
        raise NotImplementedError

    @property
    def exit_info(self) -> ExitInfo | None:
        raise NotImplementedError

    @property
    def is_complete(self) -> bool:
        raise NotImplementedError

    def outcome(self, key: str) -> CallbackOutcome | None:
        raise NotImplementedError

    def decide(self, exit_info: ExitInfo) -> None:
        raise NotImplementedError

    def begin(self, key: str, attempt: int) -> None:
        raise NotImplementedError

    def finish(self, outcome: CallbackOutcome) -> None:
        raise NotImplementedError

    def complete(self) -> None:
        raise NotImplementedError

    def merge(self, message: str) -> None:
        """Take in the termination message of an earlier life (the pod's `lastState`), where the file was lost."""
        raise NotImplementedError

    def to_message(self) -> bytes:
        """The record as JSON of at most contract.TERMINATION_MESSAGE_BYTES."""
        raise NotImplementedError
