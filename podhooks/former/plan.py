"""`podhooks.plan`: now modules of `podhooks.annotations`."""

from podhooks.annotations.finding import Finding, Severity
from podhooks.annotations.parser import parse
from podhooks.annotations.plan import Callback, Mode, Plan, Policy
from podhooks.annotations.writer import to_annotations

__all__ = ["Callback", "Finding", "Mode", "Plan", "Policy", "Severity", "parse", "to_annotations"]
