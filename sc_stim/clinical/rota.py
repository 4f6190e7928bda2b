"""Who is on call through a span of time, and when nobody is."""

import datetime as dt
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from zoneinfo import ZoneInfo

from sc_stim.clinical.escalation import Shift, WeeklyShift, on_call


@dataclass(frozen=True, slots=True)
class Stretch:
    """From `starts_at` until `ends_at` these people are on call; nobody is where `people` is empty."""

    starts_at: dt.datetime
    ends_at: dt.datetime
    people: tuple[str, ...]


def stretches(
    rota: Collection[Shift | WeeklyShift], zone: ZoneInfo, since: dt.datetime, until: dt.datetime
) -> list[Stretch]:
    """The span from `since` until `until` in the fewest stretches of the same people, without holes between them."""
    moments = sorted({since, until, *_turns(rota, zone, since, until)})
    parts = [(start, end, tuple(on_call(rota, zone, start))) for start, end in pairwise(moments)]
    merged = []
    for people, group in groupby(parts, key=lambda part: part[2]):
        same = list(group)
        merged.append(Stretch(same[0][0], same[-1][1], people))
    return merged


def _turns(
    rota: Collection[Shift | WeeklyShift], zone: ZoneInfo, since: dt.datetime, until: dt.datetime
) -> Iterator[dt.datetime]:
    """Every instant within the span at which somebody may begin or end. One too many does no harm."""
    for shift in rota:
        if isinstance(shift, Shift):
            found: Iterator[dt.datetime] = iter((shift.starts_at, shift.ends_at))
        else:
            found = _weekly_turns(shift, zone, since, until)
        yield from (moment for moment in found if since < moment < until)


def _weekly_turns(
    shift: WeeklyShift, zone: ZoneInfo, since: dt.datetime, until: dt.datetime
) -> Iterator[dt.datetime]:
    """A time that comes twice or is skipped when the clocks change has two instants; both may be a turn."""
    first = since.astimezone(zone).date() - dt.timedelta(days=1)
    last = until.astimezone(zone).date()
    for number in range((last - first).days + 1):
        day = first + dt.timedelta(days=number)
        for time in (shift.start, shift.end):
            for fold in (0, 1):
                yield dt.datetime.combine(day, time, zone).replace(fold=fold).astimezone(dt.UTC)
