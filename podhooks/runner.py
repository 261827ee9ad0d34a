"""Runs the callbacks of one hook, one after the other, each in a child process of its own."""

from __future__ import annotations

from podhooks.context import CallbackOutcome
from podhooks.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from podhooks.context import RunContext
    from podhooks.plan import Callback
    from podhooks.record import Record

STDOUT = 1
CGROUP_DIR = "/sys/fs/cgroup"


class HookOutcome(Value):
    """What became of the whole list. `failed`: a callback with policy `fail` did not succeed."""

    outcomes: tuple[CallbackOutcome, ...]
    failed: bool = False


def never() -> bool:
    return False


def run_hook(  # noqa: PLR0913  the two that tests set are keywords with defaults
    callbacks: Sequence[Callback],
    context: RunContext,
    record: Record,
    *,
    hook_deadline: Callable[[], float | None],
    stop_requested: Callable[[], bool] = never,
    wake_fd: int = -1,
    out: int = STDOUT,
    cgroup_dir: str = CGROUP_DIR,
) -> HookOutcome:
    """Run what the record doesn't show as finished; every outcome is in the record when this returns.

    `hook_deadline()` is a time.monotonic() value or None; `wake_fd` a non-blocking descriptor (the read end that
    signal.set_wakeup_fd's pipe has) that ends a wait early: both functions are asked again on every wake-up, and at
    least once a second. `out` is the descriptor for the callbacks' marked output. The caller calls
    `record.complete()`.
    """
    raise NotImplementedError
