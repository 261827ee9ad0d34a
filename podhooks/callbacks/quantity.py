"""Kubernetes' quantities, exactly: `100m`, `1.5Gi`, `12e3`. No float touches them."""

from __future__ import annotations

import re
from fractions import Fraction

PATTERN = re.compile(r"([+-]?)(\d+\.?\d*|\.\d+)(?:[eE]([+-]?\d{1,3})|([numkMGTPE]|[KMGTPE]i)?)")
POWERS = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
BINARY = {f"{letter}i": 1024**power for power, letter in enumerate("KMGTPE", 1)}


def exact(text: object) -> Fraction:
    """The number that a quantity stands for. ValueError for what is none."""
    found = PATTERN.fullmatch(str(text).strip())
    if found is None or isinstance(text, bool):
        raise ValueError(f"{text!r} is no quantity: write one like 500m, 2 or 4Gi")
    sign, number, exponent, suffix = found.groups()
    value = Fraction(number) * (-1 if sign == "-" else 1)
    if exponent:
        return value * Fraction(10) ** int(exponent)
    return value * (BINARY.get(suffix) or Fraction(10) ** POWERS.get(suffix or "", 0))


def as_number(value: Fraction) -> int | float:
    """For JSON: a whole number, else to the thousandth, rounded down (what is free must be there)."""
    if value.denominator == 1:
        return int(value)
    return float(Fraction(int(value * 1000 // 1), 1000))
