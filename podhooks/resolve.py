"""From a callback's name to a function, or to one line that says why not."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from podhooks.plan import Callback

CHECK_TIMEOUT_SECONDS = 60.0


def check(callbacks: Sequence[Callback], timeout_seconds: float = CHECK_TIMEOUT_SECONDS) -> list[str]:
    """One line for each callback that doesn't resolve here; they are imported in a child process."""
    raise NotImplementedError
