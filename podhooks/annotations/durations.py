"""Durations as users write them, `1h30m`, to seconds and back. Their resolution is the millisecond.

Without `re`: this runs at the start of every pod.
"""

from __future__ import annotations

from podhooks import contract
from podhooks.errors import PlanError

UNITS = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}  # in milliseconds, the largest first
DIGITS = frozenset("0123456789")
MAX_MS = int(contract.MAX_TIMEOUT_SECONDS * 1000)
MAX_DIGITS = 12  # of one number: more is too long anyway, and int() has its limits
SPELLED_OUT = {"sec": "s", "secs": "s", "second": "s", "seconds": "s", "min": "m", "mins": "m", "minute": "m"}
SPELLED_OUT |= {"minutes": "m", "hr": "h", "hrs": "h", "hour": "h", "hours": "h", "msec": "ms", "millis": "ms"}


def parse_duration(text: str) -> float:
    """Seconds of `30s`, `5m`, `1h30m`, `1.5s` or `500ms`: above zero, at most `contract.MAX_TIMEOUT_SECONDS`.

    Raises PlanError, which says what to write.
    """
    text = text.strip()
    if text.startswith("-"):
        raise PlanError(f"{text[:30]!r} is below zero: write a duration above zero, like 30s")
    milliseconds = _sum(text)
    if milliseconds <= 0:
        raise PlanError(f"{text[:30]!r} leaves no time at all: write a duration above zero, like 30s")
    if milliseconds > MAX_MS:
        raise PlanError(f"{text[:30]!r} is too long: write at most {format_duration(MAX_MS / 1000)}")
    return milliseconds / 1000


def format_duration(seconds: float) -> str:
    """The shortest text that `parse_duration` reads as `seconds`, to the millisecond: `1h30m`, `1.5s`, `0s`."""
    milliseconds = round(abs(seconds) * 1000)
    sign = "-" if seconds < 0 and milliseconds else ""
    if 0 < milliseconds < 1000:
        return f"{sign}{milliseconds}ms"
    hours, rest = divmod(milliseconds, UNITS["h"])
    minutes, rest = divmod(rest, UNITS["m"])
    text = (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes else "")
    if rest or not text:
        text += f"{rest // 1000}.{rest % 1000:03d}".rstrip("0").rstrip(".") + "s"
    return sign + text


def _sum(text: str) -> int:
    total, rest, units = 0, text, list(UNITS)
    while rest or not text:
        number, unit, rest = _split(rest)
        if unit not in units or not number:
            raise PlanError(_advice(text))
        units = units[units.index(unit) + 1 :]
        total += _milliseconds(number, unit, text)
    return total


def _split(text: str) -> tuple[str, str, str]:
    """The number at the beginning, the unit behind it, and what is left."""
    end = 0
    while end < len(text) and (text[end] in DIGITS or text[end] == "."):
        end += 1
    stop = end
    while stop < len(text) and text[stop] not in DIGITS and text[stop] != ".":
        stop += 1
    return text[:end], text[end:stop], text[stop:]


def _milliseconds(number: str, unit: str, text: str) -> int:
    whole, _, fraction = number.partition(".")
    if not _is_number(number):
        raise PlanError(_advice(text))
    if len(number) > MAX_DIGITS:
        raise PlanError(f"{text[:30]!r} isn't a time one can wait for: write a duration like 30s, 5m or 1h30m")
    parts = int(f"1{'0' * len(fraction)}")
    value, remainder = divmod(int(whole + fraction) * UNITS[unit], parts)
    if remainder:
        raise PlanError(f"{text[:30]!r} is finer than a millisecond: write a duration like 1.5s or 500ms")
    return value


def _is_number(digits: str) -> bool:
    return all(part.isdigit() for part in digits.split(".", 1))


def _advice(text: str) -> str:
    number, unit, rest = _split(text)
    right = _is_number(number)
    if right and not unit and not rest:
        return f"{text[:30]!r} is a number without a unit: write {text[:30]}s for seconds"
    short = unit.strip().lower()
    short = SPELLED_OUT.get(short, short)
    if right and not rest.strip() and short in UNITS:
        return f"{text[:30]!r} isn't a duration: write {number}{short}"
    if number in list("1234567") and short in ("d", "day", "days"):
        return f"{text[:30]!r} is in days, which aren't a unit here: write {int(number) * 24}h"
    return f"{text[:30]!r} isn't a duration: write one like 30s, 5m, 1h30m or 500ms"
