"""What `execute` gives back: the same for a flow that has run here and for one that runs in a Job."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from podhooks.context import ExitInfo
from podhooks.errors import PodhooksError
from podhooks.report.summary import CallbackLine
from podhooks.report.verdict import sentence

if TYPE_CHECKING:
    from typing_extensions import Self


class RunFailed(PodhooksError):
    """Main did not succeed; `exit_info` says how it ended."""

    def __init__(self, exit_info: ExitInfo) -> None:
        said = exit_info.message or exit_info.reason
        super().__init__(f"{sentence(exit_info)}{f': {said}' if said else ''}")
        self.exit_info = exit_info


class Handle(ABC):
    """One run of a flow. As a context manager it deletes the run at the end of the block."""

    @property
    @abstractmethod
    def exit_info(self) -> ExitInfo | None:
        """How main ended; None as long as the run, with its callbacks, isn't over."""

    @property
    @abstractmethod
    def callbacks(self) -> tuple[CallbackLine, ...]:
        """Every callback that was asked for, on_start's first. `outcome` is None for one that nothing is known of."""

    @abstractmethod
    def wait(self, timeout_seconds: float | None = None) -> ExitInfo:
        """Until main and all callbacks are over.

        Raises:
            TimeoutError: they aren't, after that time; they go on.
        """

    @abstractmethod
    def logs(self) -> Iterator[str]:
        """Main's log, line by line as it is written, until main ends."""

    @abstractmethod
    def delete(self) -> None:
        """End the run if it isn't over (on_exit runs), and remove all that was made for it. Idempotent."""

    def check(self) -> Self:
        """Wait; raises RunFailed unless main succeeded."""
        end = self.wait()
        if not end.succeeded:
            raise RunFailed(end)
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.delete()


class Finished(Handle):
    """A run in this process or in one below it: over when `execute` returns.

    `value` is what the flow returned, `error` what it raised; None where main was another process.
    """

    def __init__(
        self,
        end: ExitInfo,
        callbacks: tuple[CallbackLine, ...],
        *,
        value: Any = None,
        error: BaseException | None = None,
        log: tuple[str, ...] = (),
    ) -> None:
        self._end = end
        self._callbacks = callbacks
        self._log = log
        self.value = value
        self.error = error

    @property
    def exit_info(self) -> ExitInfo:
        return self._end

    @property
    def callbacks(self) -> tuple[CallbackLine, ...]:
        return self._callbacks

    def wait(self, timeout_seconds: float | None = None) -> ExitInfo:  # noqa: ARG002  it is over
        return self._end

    def logs(self) -> Iterator[str]:
        """What main wrote, where it was a process of its own; in this process it went where all output goes."""
        return iter(self._log)

    def delete(self) -> None:
        """There is nothing left of it."""

    def check(self) -> Self:
        if not self._end.succeeded:
            raise RunFailed(self._end) from self.error
        return self
