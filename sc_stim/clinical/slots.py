"""When a pump's refill visit can be booked: the free times of a clinic's nurses and rooms that keep the pump safe.

A day is offered only if it is open, not after the refill-by date, and not before the pharmacy can have the drug
ready. Every other day says why it is not. All times are walked as instants, so an hour that a clock change leaves out
is never offered, and one that it repeats is offered twice, told apart by `fold`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from sc_stim.clinical import reference
from sc_stim.clinical.refill import (
    DRUG_STABILITY,
    EMPTY_PROBABILITY,
    END_OF_SERVICE,
    LOW_RESERVOIR,
    MAX_INTERVAL,
)
from sc_stim.clinical.workdays import ClinicCalendar, holiday_name, is_open

CLOCK_IN_WORDS: Mapping[str, str] = {
    EMPTY_PROBABILITY: "risk of running empty",
    LOW_RESERVOIR: "low reservoir",
    DRUG_STABILITY: "the drug keeps no longer",
    MAX_INTERVAL: "longest interval between fills",
    END_OF_SERVICE: "the pump's end of service",
}


class Why(StrEnum):
    """Why a day or time is not offered."""

    PAST = "past"
    NO_FORECAST = "no_forecast"
    AFTER_REFILL_BY = "after_refill_by"
    PHARMACY = "pharmacy"
    CLOSED = "closed"
    PUBLIC_HOLIDAY = "public_holiday"
    WEEKEND = "weekend"
    OUTSIDE_HOURS = "outside_hours"
    ABSENT = "absent"
    FULLY_BOOKED = "fully_booked"


# These two say that the pump is not safe; a nurse may book past them with a reason. Nothing else can be booked past.
UNSAFE = frozenset({Why.AFTER_REFILL_BY, Why.NO_FORECAST})


@dataclass(frozen=True, slots=True)
class NotOffered:
    why: Why
    words: str


@dataclass(frozen=True, slots=True)
class Hours:
    """Open on this weekday (Monday is 0), local times of the clinic, in slots of `slot_min` minutes."""

    weekday: int
    opens: time
    closes: time
    slot_min: int


@dataclass(frozen=True, slots=True)
class Absence:
    """Both days inclusive."""

    first_day: date
    last_day: date
    reason: str


@dataclass(frozen=True, slots=True)
class Diary:
    """Of one nurse or room. `busy` are [start, end) instants of other visits."""

    key: int
    hours: tuple[Hours, ...]
    absences: tuple[Absence, ...] = ()
    busy: tuple[tuple[datetime, datetime], ...] = ()

    def absence(self, day: date) -> Absence | None:
        return next((one for one in self.absences if one.first_day <= day <= one.last_day), None)


@dataclass(frozen=True, slots=True)
class ClinicDiary:
    """`closures` gives the reason of each closed day."""

    zone: ZoneInfo
    country: str | None
    diaries: tuple[Diary, ...]
    closures: Mapping[date, str] = field(default_factory=dict)
    pharmacy_lead_days: int = 0


@dataclass(frozen=True, slots=True)
class Due:
    """The refill-by date and the clock that binds it, or in `refused` why there is none."""

    refill_by: date | None
    binding_clock: str | None = None
    refused: str | None = None


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """[starts_at, ends_at) in UTC in the diary `key`; `day`, `time` and `fold` are the clinic's local time."""

    starts_at: datetime
    ends_at: datetime
    key: int
    day: date
    time: time
    fold: int


@dataclass(frozen=True, slots=True)
class Offer:
    """One day: its free slots in order, or why it has none to offer."""

    day: date
    slots: tuple[Slot, ...] = ()
    not_offered: NotOffered | None = None


@dataclass(frozen=True, slots=True)
class BookingRules:
    """Field names are the names of the figures in data/booking.json, with their units."""

    days_before_refill_by: float
    reminder_before_d: float
    first_call_after_missed_d: float
    second_call_after_missed_d: float
    cancelled_shown_d: float


def rules_from(document: dict[str, Any]) -> BookingRules:
    """Rules from their JSON form. Raises ReferenceDataError or TypeError on a bad one."""
    return BookingRules(
        **{name: reference.figure(entry).value for name, entry in document["figures"].items()}
    )


@cache
def shipped_rules() -> BookingRules:
    return rules_from(reference.load("booking.json"))


def instant(day: date, at: time, zone: ZoneInfo, fold: int = 0) -> datetime | None:
    """The instant of a local time in UTC; None where a clock change leaves that time out."""
    local = datetime.combine(day, at.replace(fold=fold), zone)
    utc = local.astimezone(UTC)
    return utc if utc.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None) else None


def offers(first: date, last: date, at: datetime, clinic: ClinicDiary, due: Due) -> tuple[Offer, ...]:
    """Every day from `first` to `last`, with its free slots or the reason why it is not offered."""
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return tuple(_offer(day, at, clinic, due) for day in days)


def best_slot(offered: Iterable[Offer], due: Due, rules: BookingRules | None = None) -> Slot | None:
    """The last day that leaves some days before the refill-by date, at its first free time; else the earliest slot."""
    firsts = [offer.slots[0] for offer in offered if offer.slots]
    if due.refill_by is None or not firsts:
        return None
    leaving = due.refill_by - timedelta(days=(rules or shipped_rules()).days_before_refill_by)
    return next((slot for slot in reversed(firsts) if slot.day <= leaving), firsts[0])


def soonest_slot(first: date, last: date, at: datetime, clinic: ClinicDiary) -> Slot | None:
    """The first free slot on an open day, however late for the pump: what is left when no day is safe any more."""
    for offer in offers(first, last, at, clinic, Due(refill_by=date.max)):
        if offer.slots:
            return offer.slots[0]
    return None


def every_slot(day: date, clinic: ClinicDiary) -> tuple[Slot, ...]:
    """What the day could hold: every slot, free or not, of all who are there; none when the clinic is closed."""
    if why_closed(day, clinic) is not None:
        return ()
    return tuple(sorted(slot for diary in clinic.diaries for slot in _slots(day, diary, clinic)))


def why_closed(day: date, clinic: ClinicDiary) -> NotOffered | None:
    """Why the whole clinic is closed on this day; None when it is open."""
    if day in clinic.closures:
        return NotOffered(Why.CLOSED, f"closed: {clinic.closures[day]}")
    if is_open(day, ClinicCalendar(clinic.country)):
        return None
    holiday = holiday_name(day, clinic.country)
    if holiday is not None:
        return NotOffered(Why.PUBLIC_HOLIDAY, f"closed: public holiday {holiday}")
    return NotOffered(Why.WEEKEND, "closed: weekend")


def why_unsafe(day: date, due: Due) -> NotOffered | None:
    """Why a visit on this day would leave the pump unsafe; None when it is in time."""
    if due.refill_by is None:
        return NotOffered(Why.NO_FORECAST, f"no refill date can be computed: {due.refused}")
    if day <= due.refill_by:
        return None
    clock = CLOCK_IN_WORDS.get(due.binding_clock or "", due.binding_clock or "")
    return NotOffered(
        Why.AFTER_REFILL_BY,
        f"after the refill-by date {_words(due.refill_by)}" + (f": {clock}" if clock else ""),
    )


def why_not(
    starts_at: datetime, ends_at: datetime, day: date, diary: Diary, clinic: ClinicDiary
) -> NotOffered | None:
    """Why this time cannot be booked in this diary; None when it is free and within its hours."""
    closed = why_closed(day, clinic)
    if closed is not None:
        return closed
    absence = diary.absence(day)
    if absence is not None:
        return NotOffered(Why.ABSENT, f"not there: {absence.reason}")
    spans = [_span(day, hours, clinic.zone) for hours in diary.hours if hours.weekday == day.weekday()]
    if not any(opens <= starts_at and ends_at <= closes for opens, closes in spans):
        return NotOffered(Why.OUTSIDE_HOURS, _hours_in_words(day, diary))
    if any(_overlap(starts_at, ends_at, *busy) for busy in diary.busy):
        return NotOffered(Why.FULLY_BOOKED, "another visit is booked at this time")
    return None


def _offer(day: date, at: datetime, clinic: ClinicDiary, due: Due) -> Offer:
    not_offered = _why_not_this_day(day, at, clinic, due)
    if not_offered is not None:
        return Offer(day, not_offered=not_offered)
    slots = tuple(sorted(slot for diary in clinic.diaries for slot in _free(day, at, diary, clinic)))
    return Offer(day, slots) if slots else Offer(day, not_offered=_why_nothing_free(day, at, clinic))


def _why_not_this_day(day: date, at: datetime, clinic: ClinicDiary, due: Due) -> NotOffered | None:
    today = at.astimezone(clinic.zone).date()
    if day < today:
        return NotOffered(Why.PAST, "in the past")
    closed = why_closed(day, clinic) or why_unsafe(day, due)
    if closed is not None:
        return closed
    lead = clinic.pharmacy_lead_days
    if day < today + timedelta(days=lead):
        return NotOffered(Why.PHARMACY, f"the pharmacy needs {lead} day{'s' if lead > 1 else ''}")
    return None


def _free(day: date, at: datetime, diary: Diary, clinic: ClinicDiary) -> Iterator[Slot]:
    for slot in _slots(day, diary, clinic):
        taken = any(_overlap(slot.starts_at, slot.ends_at, *busy) for busy in diary.busy)
        if slot.starts_at > at and not taken:
            yield slot


def _slots(day: date, diary: Diary, clinic: ClinicDiary) -> Iterator[Slot]:
    if diary.absence(day) is not None:
        return
    for starts_at, ends_at in _grid(day, diary, clinic.zone):
        local = starts_at.astimezone(clinic.zone)
        yield Slot(starts_at, ends_at, diary.key, local.date(), local.time().replace(fold=0), local.fold)


def _grid(day: date, diary: Diary, zone: ZoneInfo) -> Iterator[tuple[datetime, datetime]]:
    """The slots of a diary's hours on this day, free or not."""
    for hours in diary.hours:
        if hours.weekday != day.weekday():
            continue
        start, closes = _span(day, hours, zone)
        step = timedelta(minutes=hours.slot_min)
        while start + step <= closes:
            yield start, start + step
            start += step


def _span(day: date, hours: Hours, zone: ZoneInfo) -> tuple[datetime, datetime]:
    opens, closes = (
        datetime.combine(day, moment, zone).astimezone(UTC) for moment in (hours.opens, hours.closes)
    )
    return opens, closes


def _overlap(start: datetime, end: datetime, other_start: datetime, other_end: datetime) -> bool:
    return start < other_end and other_start < end


def _why_nothing_free(day: date, at: datetime, clinic: ClinicDiary) -> NotOffered:
    at_work = [diary for diary in clinic.diaries if any(_grid(day, diary, clinic.zone))]
    if not at_work:
        return NotOffered(Why.OUTSIDE_HOURS, f"no opening hours on {day:%A}s")
    there = [diary for diary in at_work if diary.absence(day) is None]
    if not there:
        reasons = sorted({absence.reason for diary in at_work if (absence := diary.absence(day))})
        return NotOffered(Why.ABSENT, f"nobody is there: {', '.join(reasons)}")
    if all(start <= at for diary in there for start, _ in _grid(day, diary, clinic.zone)):
        return NotOffered(Why.PAST, "the opening hours are over")
    return NotOffered(Why.FULLY_BOOKED, "fully booked")


def _hours_in_words(day: date, diary: Diary) -> str:
    spans: Sequence[str] = [
        f"{hours.opens:%H:%M} to {hours.closes:%H:%M}"
        for hours in diary.hours
        if hours.weekday == day.weekday()
    ]
    return (
        f"outside the hours on {day:%A}s, {' and '.join(spans)}"
        if spans
        else f"no opening hours on {day:%A}s"
    )


def _words(day: date) -> str:
    return f"{day.day} {day:%B %Y}"
