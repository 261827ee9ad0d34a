"""Kubernetes' quantities, read exactly: no float touches them."""

from __future__ import annotations

from podhooks.annotations.finding import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fractions import Fraction

    from podhooks.context import Json

PATTERN = r"([+-]?)(\d+\.?\d*|\.\d+)(?:[eE]([+-]?\d{1,3})|([numkMGTPE]|[KMGTPE]i)?)"
POWERS = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
BINARY = {f"{letter}i": 1024**power for power, letter in enumerate("KMGTPE", 1)}


def quantity(amount: Json) -> Fraction:
    """The number that a quantity (`100m`, `1.5Gi`, `12e3`) stands for, exactly. ValueError for what is none."""
    import re  # not at every pod's start: only those with resources in their annotations need this
    from fractions import Fraction

    found = None if isinstance(amount, bool) else re.fullmatch(PATTERN, str(amount), re.ASCII)
    if found is None:
        raise ValueError(f"{amount!r} is no quantity: write one like 500m, 2 or 4Gi")
    sign, number, exponent, suffix = found.groups()
    value = Fraction(number) * (-1 if sign == "-" else 1)
    if exponent:
        return value * Fraction(10) ** int(exponent)
    return value * (BINARY.get(suffix) or Fraction(10) ** POWERS.get(suffix or "", 0))


def quantity_problem(resource: str, amount: Json) -> str | None:
    """Why that much of `resource` can't be asked for, and what to write; None if it can."""
    value: Fraction | None
    try:
        value = quantity(amount)
    except ValueError:
        value = None
    if value is None or value < 0:
        return f"{shown(amount)} of {resource} isn't a quantity: {_advice(resource, amount)}"
    if resource == "memory" and 0 < value < 1024**2:
        number = str(amount).rstrip("numkKi")
        return f"{shown(amount)} of memory is less than any program needs: write {number}Mi if you meant megabytes"
    return None


def _advice(resource: str, amount: Json) -> str:
    if isinstance(amount, str) and amount[-1:] in ("B", "b"):
        number = amount.rstrip("bBiIkKmMgG ")
        unit = amount[len(number) :].strip()[:1].upper()
        if number.isdigit() and unit in ("K", "M", "G"):
            return f"write {number}{unit}i"
    return "write a number of cores like 100m or 1" if resource == "cpu" else "write a number like 64Mi or 1Gi"
