"""What bounds the rescuer's work. Times in seconds; docs/rescuer.md has this table, a test compares them."""

from __future__ import annotations

from podhooks.value import Value


class RescueSettings(Value):
    """
    `hold`: how long an end that no kubelet confirms is waited for: after a forced deletion, or when the node is lost.
    It bounds every hold, because a confirmed end is recorded at once.
    `deadline`: from the Rescue's creation to its end, whatever happens.
    `attempts`: Jobs for one Rescue, when its pod is lost as well.
    `at_once`: Jobs that run at the same time; the others wait in the order in which they came.
    `keep` and `keep_most`: how long ended Rescues are kept, and how many of them.
    """

    hold: float = 120.0
    deadline: float = 3600.0
    attempts: int = 3
    at_once: int = 20
    keep: float = 86400.0
    keep_most: int = 5000
