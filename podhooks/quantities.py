"""Kubernetes' quantities, as far as one must know them to say that one can't be meant."""

from __future__ import annotations

from podhooks.findings import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from podhooks.context import Json

NUMBER = frozenset("0123456789.eE+-")
SUFFIXES = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0}
SUFFIXES |= {letter: 1000.0**power for power, letter in enumerate("kMGTPE", 1)}
SUFFIXES |= {f"{letter}i": 1024.0**power for power, letter in enumerate("KMGTPE", 1)}


def quantity_value(amount: Json) -> float:
    """The number that a quantity stands for. ValueError where it is none, or below zero."""
    text = "" if isinstance(amount, bool) else str(amount)
    number = text.rstrip("numkMGTPEKi")
    if not number or not set(number) <= NUMBER or text[len(number) :] not in SUFFIXES:
        raise ValueError("no quantity")
    value = float(number) * SUFFIXES[text[len(number) :]]
    if not 0 <= value < float("inf"):
        raise ValueError("out of range")
    return value


def quantity_problem(resource: str, amount: Json) -> str | None:
    """Why that much of `resource` can't be asked for, and what to write; None if it can."""
    try:
        value = quantity_value(amount)
    except ValueError:
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
