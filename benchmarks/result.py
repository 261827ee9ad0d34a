"""What a measurement gives, and how it is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median

Number = Callable[[], float]


@dataclass(frozen=True)
class Row:
    """One line of the table. `at_most` is a promise: a multiple of the floor, or a value where `absolute` is set."""

    name: str
    unit: str
    floor_name: str
    floor: float
    ours: float
    at_most: float | None = None
    absolute: bool = False
    more_is_better: bool = False

    @property
    def ratio(self) -> float | None:
        """Ours in floors; None where the floor is nothing."""
        return self.ours / self.floor if self.floor else None

    @property
    def kept(self) -> bool | None:
        """Whether the promise is kept; None where there is none."""
        value = self.ours if self.absolute else self.ratio
        if self.at_most is None or value is None:
            return None
        return value >= self.at_most if self.more_is_better else value <= self.at_most

    def to_json(self) -> dict[str, object]:
        return {**asdict(self), "ratio": self.ratio, "kept": self.kept}

    def cells(self) -> tuple[str, ...]:
        return (
            self.name,
            self._shown(self.ours),
            f"{self._shown(self.floor)} ({self.floor_name})",
            "" if self.ratio is None else f"{self.ratio:.2f}x",
            self._promise(),
            {True: "yes", False: "NO", None: ""}[self.kept],
        )

    def _shown(self, value: float) -> str:
        digits = 0 if value >= 100 or value == int(value) else 1
        return f"{value:.{digits}f} {self.unit}".strip()

    def _promise(self) -> str:
        if self.at_most is None:
            return ""
        sign = ">=" if self.more_is_better else "<="
        return f"{sign} {self.at_most:g} {self.unit}" if self.absolute else f"{sign} {self.at_most:g}x"


HEADER = ("what", "ours", "floor", "ratio", "promise", "kept")


def table(rows: Sequence[Row]) -> str:
    """As Markdown, so that it can be pasted into README.md as it is."""
    lines = [HEADER, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    shown = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    return "\n".join([shown[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *shown[1:]])


def interleaved(repetitions: int, *numbers: Number) -> list[float]:
    """The median of each: floor, ours, floor, ours, ..., so that what else the machine does hits all of them alike."""
    found: list[list[float]] = [[] for _ in numbers]
    for _ in range(repetitions):
        for values, number in zip(found, numbers, strict=True):
            values.append(number())
    return [median(values) for values in found]
