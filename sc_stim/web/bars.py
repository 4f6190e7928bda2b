"""Lying bars as geometry: amounts in, widths in per cent and words out. `bars.svg.html` makes SVG of them.

Each bar stands below its own words, so that a chart stretches with the page while its text does not.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sc_stim.web.charts import Tick, scale

ROW_PX = 44
LEAST = 0.01  # that a scale reaches to, where there is nothing to draw


@dataclass(frozen=True)
class Amount:
    """`severity` gives the bar its shade; its words say it, too. `aim`: a mark to compare with, if there is one."""

    words: str
    value: float
    said: str  # the value; its unit stands in the heading
    severity: str = ""
    aim: float | None = None


@dataclass(frozen=True)
class Bar:
    amount: Amount
    y_px: int
    width_pct: float
    aim_pct: float | None


@dataclass(frozen=True)
class Bars:
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]

    @property
    def height_px(self) -> int:
        return ROW_PX * len(self.bars)


def bars(amounts: Sequence[Amount]) -> Bars:
    """One bar for each, at least one, all on a scale from 0 that holds every amount and aim."""
    across = scale(0.0, max(LEAST, *_heights(amounts)))
    return Bars(
        tuple(
            Bar(
                amount,
                ROW_PX * row,
                _pct(amount.value, across.high),
                None if amount.aim is None else _pct(amount.aim, across.high),
            )
            for row, amount in enumerate(amounts)
        ),
        tuple(Tick(_pct(value, across.high), f"{value:g}") for value in across.ticks),
    )


def _heights(amounts: Iterable[Amount]) -> Iterable[float]:
    for amount in amounts:
        yield amount.value
        yield amount.aim or 0.0


def _pct(value: float, of: float) -> float:
    return round(100 * value / of, 2)
