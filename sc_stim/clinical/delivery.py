"""Programmed delivery: how much the pump was told to give between two moments.

Instants are day numbers, days since 1970 in UTC with fraction: the forecast does nothing but day arithmetic.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final

from msgspec import Struct

from sc_stim.clinical.pattern import Piece, pieces
from sc_stim.clinical.pump_record import BolusCount, PumpSetting

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = timedelta(days=1)
_DAY_S: Final = 86_400
_NEVER: Final = float("inf")


def day_number(at: datetime) -> float:
    """Days since 1970 of an aware datetime."""
    return (at - _EPOCH) / _DAY


def instant(day: float) -> datetime:
    """The aware UTC datetime of a day number."""
    return _EPOCH + day * _DAY


def local_date(day: float, zone: tzinfo) -> date:
    return datetime.fromtimestamp(day * _DAY_S, zone).date()


class Stretch(Struct, frozen=True):
    """A time of constant programming. `counted_per_day`: boluses known to have been delivered; None: unknown."""

    days: float
    flow_ml_per_day: float
    bolus_ml: float
    max_boluses_per_day: float
    counted_per_day: float | None = None

    @property
    def allows_boluses(self) -> bool:
        return self.bolus_ml > 0 and self.max_boluses_per_day > 0

    def split(self, boluses_per_day: float) -> tuple[float, float]:
        """mL per day that are certain, and mL per day for each bolus per day, when the patient asks for so
        many.

        Counted boluses are certain, and so is a patient who asks for all that the lockout gives.
        """
        if self.counted_per_day is not None:
            return self.flow_ml_per_day + self.bolus_ml * self.counted_per_day, 0.0
        if boluses_per_day >= self.max_boluses_per_day:
            return self.flow_ml_per_day + self.bolus_ml * self.max_boluses_per_day, 0.0
        return self.flow_ml_per_day, self.bolus_ml


class Exposure(Struct, frozen=True):
    """What was programmed in a time: `known_ml` for certain, and the volume `ml_per_rate` that one more bolus
    per day adds up to.
    """

    known_ml: float
    ml_per_rate: float = 0.0


def exposure(programme: Iterable[Stretch], boluses_per_day: float, days: float = _NEVER) -> Exposure:
    """The exposure of the first `days` of a programme when the patient asks for so many boluses per day."""
    known_ml = ml_per_rate = 0.0
    for stretch in programme:
        part = min(stretch.days, days)
        certain, per_rate = stretch.split(boluses_per_day)
        known_ml += part * certain
        ml_per_rate += part * per_rate
        days -= part
        if days <= 0:
            break
    return Exposure(known_ml, ml_per_rate)


def day_programmed(programme: Iterable[Stretch], boluses_per_day: float, volume_ml: float) -> float:
    """The day by which that volume is programmed to be delivered; infinite when it never is."""
    day = 0.0
    if volume_ml <= 0:
        return day
    for stretch in programme:
        certain, per_rate = stretch.split(boluses_per_day)
        ml_per_day = certain + boluses_per_day * per_rate
        if ml_per_day > 0 and volume_ml <= stretch.days * ml_per_day:
            return day + volume_ml / ml_per_day
        day += stretch.days
        volume_ml -= stretch.days * ml_per_day
    return _NEVER


class CountedBoluses(Struct, frozen=True):
    """Boluses known for so many days of an interval."""

    count: float = 0.0
    days: float = 0.0

    @property
    def per_day(self) -> float:
        return self.count / self.days if self.days > 0 else 0.0

    def covering(self, days: float) -> "CountedBoluses":
        """The same rate for so many days."""
        return CountedBoluses(self.per_day * days, days)


NOTHING_COUNTED: Final = CountedBoluses()


def counted_boluses(counts: Iterable[BolusCount], begin: float, end: float, zone: tzinfo) -> CountedBoluses:
    """What the counts say about an interval; a count that overlaps it in part counts in part."""
    boluses = days = 0.0
    for row in counts:
        row_begin, row_end = _local_midnight(row.first_day, zone), _local_midnight(row.until, zone)
        overlap = min(end, row_end) - max(begin, row_begin)
        if overlap > 0:
            boluses += row.count * overlap / (row_end - row_begin)
            days += overlap
    return CountedBoluses(boluses, min(days, end - begin))


def stretches(
    settings: Sequence[PumpSetting],
    starts: Sequence[float],
    begin: float,
    end: float,
    counted: CountedBoluses,
    zone: tzinfo = UTC,
) -> list[Stretch]:
    """The programming from `begin` to `end` (which may be infinite), the counted part taken as coming first.

    `settings` in order of `starts`, their day numbers. The first one also holds before its start. `zone`: of the
    clinic, by which the clock of a pump with a pattern was set.
    """
    counted_until = begin + counted.days
    found: list[Stretch] = []
    for index, setting in enumerate(settings):
        left = max(begin, starts[index]) if index else begin
        right = min(end, starts[index + 1]) if index + 1 < len(settings) else end
        if right <= left:
            continue
        known_until = min(right, counted_until)
        if known_until > left:
            found += _of_setting(setting, left, known_until, counted.per_day, zone)
            left = known_until
        if right > left:
            found += _of_setting(setting, left, right, None, zone)
    return found


def _of_setting(
    setting: PumpSetting, begin: float, end: float, counted_per_day: float | None, zone: tzinfo
) -> list[Stretch]:
    parts: Iterable[Piece] = ((end - begin, setting.flow_ml_per_day),)
    if setting.pattern:
        offset = setting.since.astimezone(zone).utcoffset() or timedelta()
        parts = pieces(setting.pattern, begin, end, offset / _DAY)
    return [
        Stretch(days, flow, setting.bolus_ml, setting.max_boluses_per_day, counted_per_day)
        for days, flow in parts
    ]


def _local_midnight(day: date, zone: tzinfo) -> float:
    return day_number(datetime(day.year, day.month, day.day, tzinfo=zone))
