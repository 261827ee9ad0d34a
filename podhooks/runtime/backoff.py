"""How long to wait before the next try: one rule for callbacks, the Kubernetes API and other services."""

from __future__ import annotations

FIRST_SECONDS = 0.5
MOST_SECONDS = 15.0


def backoff_seconds(
    tries: int, asked_seconds: float | None = None, *, first: float | None = None, most: float = MOST_SECONDS
) -> float:
    """After `tries` tries: what the server asked for (Retry-After), and a random wait whose range doubles each time.

    The whole range is used ("full jitter"), so that pods that failed together don't come back together.
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    import random  # costs 2 ms, and only a failure needs it

    longest = min(most, (FIRST_SECONDS if first is None else first) * 2 ** min(tries - 1, 20))
    return (asked_seconds or 0.0) + random.uniform(0, longest)  # noqa: S311
