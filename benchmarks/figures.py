"""A figure: the runs it was measured in, what it must reach, and how it is shown."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median
from typing import Any, Self


@dataclass(frozen=True)
class Target:
    """What the median must reach."""

    value: float
    at_least: bool = True

    def met(self, reached: float) -> bool:
        return reached >= self.value if self.at_least else reached <= self.value

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {shown(self.value)}"


@dataclass(frozen=True)
class Figure:
    """`key` names it in the results, `reads` to a reader; `runs`: the value in each repeat, in their order.

    `interval`: where the true value lies with 95 %, for what a random cohort showed.
    """

    key: str
    reads: str
    unit: str
    runs: tuple[float, ...]
    target: Target | None = None
    interval: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not self.runs:
            raise ValueError(f"figure {self.key}: no run")

    @property
    def median(self) -> float:
        return median(self.runs)

    @property
    def verdict(self) -> str:
        """Empty without a target."""
        if self.target is None:
            return ""
        return "reached" if self.target.met(self.median) else "not reached"

    @property
    def middle(self) -> str:
        """The median as shown: with all its digits where rounding would hide that it misses its target."""
        rounded = shown(self.median)
        hidden = (
            self.verdict == "not reached" and self.target is not None and rounded == shown(self.target.value)
        )
        return f"{self.median:.7g}" if hidden else rounded

    def to_json(self) -> dict[str, Any]:
        """Values as measured; the rounding is the table's."""
        target = self.target and {"value": self.target.value, "at_least": self.target.at_least}
        return {
            "key": self.key, "reads": self.reads, "unit": self.unit, "median": self.median, "min": min(self.runs),
            "max": max(self.runs), "runs": list(self.runs), "target": target, "verdict": self.verdict,
            "interval": self.interval,
        }  # fmt: skip

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        target = Target(**values["target"]) if values["target"] else None
        interval = tuple(values["interval"]) if values.get("interval") else None
        return cls(values["key"], values["reads"], values["unit"], tuple(values["runs"]), target, interval)


@dataclass(frozen=True)
class Table:
    """What does not fit into figures: comparisons, and where it breaks. The first column is the row's name."""

    key: str
    reads: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "reads": self.reads,
            "heads": list(self.heads),
            "rows": [list(row) for row in self.rows],
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        return cls(values["key"], values["reads"], tuple(values["heads"]), tuple(map(tuple, values["rows"])))

    @property
    def words(self) -> set[int]:
        """The columns that are not numbers: a cell without a digit."""
        return {0} | {
            at for row in self.rows for at, cell in enumerate(row) if cell and not any(map(str.isdigit, cell))
        }

    def as_text(self) -> str:
        return f"\n{self.reads}\n{columns([self.heads, *self.rows], left=self.words)}"


def ratios(above: Iterable[float], below: Iterable[float]) -> tuple[float, ...]:
    """Round by round, so that a busy moment of the machine falls on both."""
    return tuple(a / b for a, b in zip(above, below, strict=True))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of the values that at least this share (0-1) of them does not exceed."""
    return sorted(values)[max(ceil(round(share * len(values), 6)) - 1, 0)]


def shown(value: float) -> str:
    """About three digits that mean something, thousands apart."""
    size = abs(value)
    if 0 < size < 0.1:
        return f"{value:.2g}"
    digits = 0 if size >= 100 or float(value).is_integer() else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{digits}f}"


HEADS = ("", "median", "min", "max", "runs", "unit", "target", "")


def table(figures: Iterable[Figure]) -> list[tuple[str, ...]]:
    """The cells of one line per figure, under HEADS."""
    return [
        (
            figure.reads, figure.middle, shown(min(figure.runs)), shown(max(figure.runs)), str(len(figure.runs)),
            figure.unit, str(figure.target or ""), figure.verdict,
        )
        for figure in figures
    ]  # fmt: skip


def bars(figures: Iterable[Figure]) -> Table:
    """What was reached of what must be, with intervals."""
    rows = tuple(
        (
            figure.reads, figure.middle,
            f"{shown(figure.interval[0])} - {shown(figure.interval[1])}" if figure.interval else "",
            str(figure.target), figure.verdict,
        )
        for figure in figures
        if figure.target
    )  # fmt: skip
    return Table("bars", "", ("measure", "figure", "95 %", "must reach", "verdict"), rows)


def as_text(rows: Sequence[tuple[str, ...]]) -> str:
    """Columns side by side; numbers to the right."""
    return columns([HEADS, *rows], left=(0, 5, 6, 7))


def columns(rows: Sequence[tuple[str, ...]], left: Collection[int]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(
            cell.ljust(width) if at in left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)
