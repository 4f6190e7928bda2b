"""A programme that repeats every day: steps of flow by the pump's own clock.

That clock is set when the pump is programmed and knows no summer time. So the steps stand at the offset from UTC
that the clinic had when the setting began, until the next setting, and every day of a pump has 24 hours.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from math import floor, inf, isclose
from typing import Final

from sc_stim.clinical.pump_record import PatternStep

_MINUTES: Final = 1440

Piece = tuple[float, float]  # days, mL per day


def mean_ml_per_day(pattern: Sequence[PatternStep]) -> float:
    """The volume of one day."""
    return sum(days * flow for days, flow in _pieces_of_day(pattern, 0.0, 1.0))


def slip(pattern: Sequence[PatternStep], flow_ml_per_day: float, alike: float) -> str | None:
    """What is wrong with a pattern beside its volume per day, in words. alike: share by which they may differ."""
    starts = [_minute(step.since) for step in pattern]
    if starts[0] != 0:
        return "must begin with a step from 00:00"
    if any(later <= earlier for earlier, later in pairwise(starts)):
        return "must name its steps in order, each start once"
    mean = mean_ml_per_day(pattern)
    if not isclose(mean, flow_ml_per_day, rel_tol=alike):
        return f"adds up to {mean:g} mL/day, but flow_ml_per_day is {flow_ml_per_day:g}"
    return None


def pieces(pattern: Sequence[PatternStep], begin: float, end: float, offset: float) -> Iterator[Piece]:
    """What flows from `begin` to `end` (day numbers, `end` may be infinite), step by step on the days at the ends.

    Of whole days between only the mean counts. offset: of the pump's clock from UTC, in days
    """
    begin, end = begin + offset, end + offset
    first_midnight = float(floor(begin) + 1)
    if end <= first_midnight:
        yield from _pieces_of_day(pattern, begin - floor(begin), end - floor(begin))
        return
    yield from _pieces_of_day(pattern, begin - floor(begin), 1.0)
    last_midnight = inf if end == inf else float(floor(end))
    if last_midnight > first_midnight:
        yield last_midnight - first_midnight, mean_ml_per_day(pattern)
    if end > last_midnight:
        yield from _pieces_of_day(pattern, 0.0, end - last_midnight)


def flows(pattern: Iterable[PatternStep]) -> set[float]:
    """Every flow that a pump with this pattern may report."""
    return {step.flow_ml_per_day for step in pattern}


def _pieces_of_day(pattern: Sequence[PatternStep], begin: float, end: float) -> Iterator[Piece]:
    """The pieces of one day between these shares of it."""
    starts = [_minute(step.since) / _MINUTES for step in pattern]
    for step, start, stop in zip(pattern, starts, [*starts[1:], 1.0], strict=True):
        days = min(end, stop) - max(begin, start)
        if days > 0:
            yield days, step.flow_ml_per_day


def _minute(text: str) -> int:
    return 60 * int(text[:2]) + int(text[3:])
