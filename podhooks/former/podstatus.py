"""`podhooks.podstatus`: now `podhooks.pod.status`."""

from podhooks.pod.status import exit_info

__all__ = ["exit_info"]
