"""Charts as geometry: local days and numbers in, positions and words out. `chart.svg.html` turns them into SVG.

Across, positions are per cent of the plot, so that a chart stretches with the page while its text does not; down, they
are pixels from the top of the plot. All charts of a page share one `Axis`, so the same day stands at the same place.
A day without a value is drawn as missing, never as zero and never bridged by a line.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from sc_stim.web.dates import MONTHS, short_day
from sc_stim.web.words import number

PLOT_HEIGHT_PX = 130
MARK_ROW_PX = 16  # room above the plot for each row of marks
DIGITS = 3  # of a reading; means have no end of them
_ONE_DAY = dt.timedelta(days=1)

Daily = Mapping[dt.date, float]


@dataclass(frozen=True)
class Axis:
    """Local days `first` to `last`, both drawn whole. Days after `today` are the future."""

    first: dt.date
    last: dt.date
    today: dt.date

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    def start_pct(self, day: dt.date) -> float:
        """Where the day begins, within the plot."""
        return _round(100 * min(max((day - self.first).days / self.days, 0), 1))

    def middle_pct(self, day: dt.date) -> float:
        return _round(100 * min(max(((day - self.first).days + 0.5) / self.days, 0), 1))

    def __contains__(self, day: dt.date) -> bool:
        return self.first <= day <= self.last


@dataclass(frozen=True)
class Scale:
    """The vertical axis, from `low` at the bottom to `high` at the top, with a line at each of `ticks`."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def y_px(self, value: float) -> float:
        inside = min(max(value, self.low), self.high)
        return _round(PLOT_HEIGHT_PX * (self.high - inside) / (self.high - self.low))


@dataclass(frozen=True)
class Mark:
    """Something that happened, or will, on one day: an upright line with a shape on top."""

    day: dt.date
    kind: Literal["finding", "fill", "refill_by", "earliest_empty"]
    words: str

    @property
    def speaks(self) -> bool:
        """Its words are written beside it. Findings and fills may be many; theirs are shown on pointing at them."""
        return self.kind in ("refill_by", "earliest_empty")


@dataclass(frozen=True)
class Tick:
    at: float  # per cent across, or pixels down
    label: str
    minor: bool = False  # without words on narrow pages


@dataclass(frozen=True)
class Point:
    x_pct: float
    y_px: float
    width_pct: float  # of its day
    words: str


@dataclass(frozen=True)
class Span:
    x_pct: float
    width_pct: float


@dataclass(frozen=True)
class PlacedMark:
    x_pct: float
    row: int  # 0 is the nearest to the plot
    mark: Mark

    @property
    def y_px(self) -> int:
        return -6 - MARK_ROW_PX * self.row

    @property
    def leftwards(self) -> bool:
        """Its words stand to the left, as there is no room to the right."""
        return self.x_pct > 60


@dataclass(frozen=True)
class Row:
    """One line of the table beside a chart: a day with its value, or a run of days without one."""

    first: dt.date
    last: dt.date
    value: float | None


@dataclass(frozen=True)
class Subject:
    """What a chart shows. `key` is unique on the page and fit for an id."""

    key: str
    title: str
    unit: str
    caption: str


@dataclass(frozen=True)
class Chart:
    """One finished chart. `lines` are SVG point lists in a plot 100 wide and PLOT_HEIGHT_PX high."""

    subject: Subject
    style: Literal["line", "bars"]
    axis: Axis
    points: tuple[Point, ...]
    lines: tuple[str, ...]
    missing: tuple[Span, ...]
    marks: tuple[PlacedMark, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    level: Tick | None
    rows: tuple[Row, ...]
    height_px: int = PLOT_HEIGHT_PX

    @property
    def top_px(self) -> int:
        """Room above the plot."""
        return 8 + MARK_ROW_PX * (1 + max((mark.row for mark in self.marks), default=-1))

    @property
    def now_pct(self) -> float:
        return self.axis.middle_pct(self.axis.today)

    @property
    def days_with_value(self) -> int:
        return sum(row.value is not None for row in self.rows)

    @property
    def days_missing(self) -> int:
        return sum((row.last - row.first).days + 1 for row in self.rows if row.value is None)

    @property
    def lowest(self) -> float:
        return min(row.value for row in self.rows if row.value is not None)

    @property
    def highest(self) -> float:
        return max(row.value for row in self.rows if row.value is not None)

    @property
    def newest(self) -> Row:
        return next(row for row in reversed(self.rows) if row.value is not None)


def axis(
    today: dt.date, days: int, ahead: Iterable[dt.date | None] = (), until: dt.date | None = None
) -> Axis:
    """The last `days` days, and on to the latest of the dates `ahead` that lies at most half as far in the future.

    until: before today, the days up to and with this one instead.
    """
    if until is not None and until < today:
        return Axis(until - dt.timedelta(days=days - 1), until, today)
    furthest = today + dt.timedelta(days=days // 2)
    shown = [day + _ONE_DAY for day in ahead if day is not None and today < day <= furthest]
    return Axis(today - dt.timedelta(days=days - 1), max(shown, default=today), today)


def scale(low: float, high: float, steps: int = 4) -> Scale:
    """A scale of about `steps` round steps (1, 2 or 5 by powers of ten) that holds low to high.

    Raises ValueError unless low is below high.
    """
    if not low < high:
        raise ValueError(f"scale {low}-{high}: low must be below high")
    step = _round_step((high - low) / steps)
    first = int(low // step)
    last = int(-(-high // step))
    ticks = tuple(round(index * step, 6) for index in range(first, last + 1))
    return Scale(ticks[0], ticks[-1], ticks)


def chart(
    subject: Subject,
    axis: Axis,
    scale: Scale,
    values: Daily,
    *,
    country: str,
    since: dt.date,
    until: dt.date | None = None,
    style: Literal["line", "bars"] = "line",
    marks: Iterable[Mark] = (),
    level: tuple[float, str] | None = None,
) -> Chart:
    """Draw one value per local day. Days without one count as missing from `since`, or the first value if that is
    earlier, up to `until` or yesterday.

    `level` is a height worth a line of its own, with its words. Marks and values outside the axis are left out.
    """
    shown = {day: values[day] for day in sorted(values) if day in axis and day <= axis.today}
    begin = max(axis.first, min(since, next(iter(shown), since)))
    rows = tuple(_rows(shown, begin, min(axis.today, axis.last + _ONE_DAY, until or axis.today)))
    return Chart(
        subject=subject,
        style=style,
        axis=axis,
        points=tuple(_point(axis, scale, day, value, subject.unit, country) for day, value in shown.items()),
        lines=tuple(_lines(axis, scale, shown)) if style == "line" else (),
        missing=tuple(_span(axis, row) for row in rows if row.value is None),
        marks=_place([mark for mark in marks if mark.day in axis], axis),
        x_ticks=tuple(_x_ticks(axis, country)),
        y_ticks=tuple(Tick(scale.y_px(value), number(value, DIGITS)) for value in scale.ticks),
        level=Tick(scale.y_px(level[0]), level[1]) if level else None,
        rows=rows,
    )


def _round(value: float) -> float:
    return round(value, 2)


def _round_step(least: float) -> float:
    power = 1.0
    while power > least:
        power /= 10
    while power * 10 <= least:
        power *= 10
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * 0.999)


def _rows(values: Daily, since: dt.date, end: dt.date) -> Iterable[Row]:
    """Every day from `since` up to the day before `end` once, later ones if they have a value; gaps as one row each."""
    expected = since
    for day, value in values.items():
        if day > expected:
            yield Row(expected, day - _ONE_DAY, None)
        yield Row(day, day, value)
        expected = max(expected, day + _ONE_DAY)
    if expected < end:
        yield Row(expected, end - _ONE_DAY, None)


def _span(axis: Axis, row: Row) -> Span:
    start = axis.start_pct(row.first)
    return Span(start, _round(axis.start_pct(row.last + _ONE_DAY) - start))


def _point(axis: Axis, scale: Scale, day: dt.date, value: float, unit: str, country: str) -> Point:
    words = f"{short_day(day, country)}: {number(value, DIGITS)} {unit}"
    return Point(axis.middle_pct(day), scale.y_px(value), _round(100 / axis.days), words)


def _lines(axis: Axis, scale: Scale, values: Daily) -> Iterable[str]:
    """One point list per run of consecutive days; a lone day is a point only."""
    run: list[dt.date] = []
    for day, following in pairwise([*values, dt.date.max]):
        run.append(day)
        if following != day + _ONE_DAY:
            if len(run) > 1:
                yield " ".join(f"{axis.middle_pct(each)},{scale.y_px(values[each])}" for each in run)
            run = []


def _place(marks: Sequence[Mark], axis: Axis) -> tuple[PlacedMark, ...]:
    """Marks with words get a row each, so that the words do not run into each other; the others share the lowest."""
    silent = [PlacedMark(axis.middle_pct(mark.day), 0, mark) for mark in marks if not mark.speaks]
    speaking = sorted((mark for mark in marks if mark.speaks), key=lambda mark: mark.day)
    return (*silent, *(PlacedMark(axis.middle_pct(mark.day), row, mark) for row, mark in enumerate(speaking)))


def _x_ticks(axis: Axis, country: str) -> list[Tick]:
    days = (axis.first + dt.timedelta(days=index) for index in range(axis.days))
    if axis.days > 200:
        firsts = enumerate(day for day in days if day.day == 1)
        return [Tick(axis.start_pct(day), _month(day, index == 0), index % 3 > 0) for index, day in firsts]
    mondays = [day for day in days if day.weekday() == 0]
    every = 1 if axis.days <= 50 else 2
    return [
        Tick(axis.start_pct(day), short_day(day, country), index % 2 > 0)
        for index, day in enumerate(mondays[::every])
    ]


def _month(day: dt.date, with_year: bool) -> str:
    month = MONTHS[day.month - 1]
    return f"{month} {day.year}" if with_year or day.month == 1 else month
