"""Which days and times are offered for a refill visit, and in what words the others are not."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sc_stim.clinical.slots import (
    Absence,
    ClinicDiary,
    Diary,
    Due,
    Hours,
    Why,
    best_slot,
    every_slot,
    instant,
    offers,
    soonest_slot,
    why_not,
)

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
DAY = dt.timedelta(days=1)
NOW = dt.datetime(2026, 11, 23, 8, tzinfo=dt.UTC)  # Monday, 9:00 in Berlin
TODAY = NOW.date()
DUE = Due(dt.date(2026, 12, 4), "low_reservoir")
WEEK = tuple(Hours(weekday, dt.time(8), dt.time(16), 30) for weekday in range(5))


def clinic(*diaries: Diary, **values: object) -> ClinicDiary:
    return ClinicDiary(zone=BERLIN, country="DE", diaries=diaries or (Diary(1, WEEK),), **values)


def in_words(clinic: ClinicDiary, day: dt.date, due: Due = DUE) -> str:
    (offer,) = offers(day, day, NOW, clinic, due)
    return offer.not_offered.words if offer.not_offered else f"{len(offer.slots)} free"


@pytest.mark.parametrize(
    ("day", "words"),
    [
        ("2026-11-22", "in the past"),
        ("2026-11-23", "the pharmacy needs 3 days"),
        ("2026-11-25", "the pharmacy needs 3 days"),
        ("2026-11-26", "16 free"),
        ("2026-11-28", "closed: weekend"),
        ("2026-12-03", "closed: staff outing"),
        ("2026-12-04", "16 free"),
        ("2026-12-07", "after the refill-by date 4 December 2026: low reservoir"),
        ("2026-12-25", "closed: public holiday Christmas Day"),
    ],
)
def test_a_day_is_offered_or_says_why_not(day: str, words: str) -> None:
    closures = {dt.date(2026, 12, 3): "staff outing"}
    assert in_words(clinic(closures=closures, pharmacy_lead_days=3), dt.date.fromisoformat(day)) == words


def test_a_full_day_an_absent_nurse_and_a_day_without_hours_are_told_apart() -> None:
    day = dt.date(2026, 11, 26)
    whole_day = ((NOW + 2 * DAY, NOW + 4 * DAY),)
    away = (Absence(day, day + DAY, "training"),)
    thursdays = tuple(hours for hours in WEEK if hours.weekday == 3)
    assert in_words(clinic(Diary(1, WEEK, busy=whole_day)), day) == "fully booked"
    assert in_words(clinic(Diary(1, WEEK, away)), day) == "nobody is there: training"
    assert in_words(clinic(Diary(1, WEEK, away), Diary(2, WEEK)), day) == "16 free"
    assert in_words(clinic(Diary(1, thursdays)), day + DAY) == "no opening hours on Fridays"
    assert in_words(clinic(Diary(1, thursdays)), day) == "16 free"


def test_what_a_day_could_hold_counts_taken_slots_but_nobody_who_is_away_and_no_closed_day() -> None:
    busy = ((dt.datetime(2026, 11, 26, 9, tzinfo=dt.UTC), dt.datetime(2026, 11, 26, 10, tzinfo=dt.UTC)),)
    away = (Absence(dt.date(2026, 11, 27), dt.date(2026, 11, 27), "leave"),)
    team = clinic(Diary(1, WEEK, busy=busy), Diary(2, WEEK, absences=away))

    slots = {day: every_slot(dt.date(2026, 11, day), team) for day in (20, 26, 27, 28)}

    assert {day: len(found) for day, found in slots.items()} == {20: 32, 26: 32, 27: 16, 28: 0}
    assert {slot.key for slot in slots[27]} == {1}


def test_today_offers_what_is_still_to_come() -> None:
    (offer,) = offers(TODAY, TODAY, NOW, clinic(), DUE)
    assert offer.slots[0].time == dt.time(9, 30)
    (offer,) = offers(TODAY, TODAY, NOW + dt.timedelta(hours=8), clinic(), DUE)
    assert offer.not_offered is not None
    assert offer.not_offered.words == "the opening hours are over"


def test_a_pump_without_a_forecast_is_offered_no_day_but_the_soonest_time_is_known() -> None:
    unknown = Due(None, refused="record the last fill of this pump")
    found = offers(TODAY, TODAY + 30 * DAY, NOW, clinic(), unknown)
    assert not any(offer.slots for offer in found)
    assert in_words(clinic(), TODAY, unknown) == (
        "no refill date can be computed: record the last fill of this pump"
    )
    assert best_slot(found, unknown) is None
    soonest = soonest_slot(TODAY, TODAY + 30 * DAY, NOW, clinic())
    assert soonest is not None
    assert (soonest.day, soonest.time) == (TODAY, dt.time(9, 30))


def test_the_best_time_leaves_three_days_to_make_up_for_a_missed_visit() -> None:
    best = best_slot(offers(TODAY, TODAY + 30 * DAY, NOW, clinic(), DUE), DUE)
    assert best is not None
    assert (best.day, best.time) == (dt.date(2026, 12, 1), dt.time(8))
    tomorrow = Due(TODAY + DAY, "low_reservoir")
    best = best_slot(offers(TODAY, TODAY + 30 * DAY, NOW, clinic(), tomorrow), tomorrow)
    assert best is not None
    assert (best.day, best.time) == (TODAY, dt.time(9, 30))  # no such day is left: the earliest


def test_a_local_time_that_the_clocks_leave_out_is_no_instant() -> None:
    gap = dt.date(2027, 3, 14)
    assert instant(gap, dt.time(2, 30), NEW_YORK) is None
    assert instant(gap, dt.time(3, 30), NEW_YORK) == dt.datetime(2027, 3, 14, 7, 30, tzinfo=dt.UTC)
    twice = dt.date(2026, 11, 1)
    first, second = (instant(twice, dt.time(1, 30), NEW_YORK, fold) for fold in (0, 1))
    assert (first, second) == (
        dt.datetime(2026, 11, 1, 5, 30, tzinfo=dt.UTC),
        dt.datetime(2026, 11, 1, 6, 30, tzinfo=dt.UTC),
    )


@pytest.mark.parametrize(
    ("day", "times"),
    [
        ("2028-03-12", ["01:00 0", "03:00 0"]),
        ("2026-11-01", ["01:00 0", "01:00 1", "02:00 0", "03:00 0"]),
    ],
)
def test_slots_of_the_night_of_a_clock_change_are_the_hours_there_are(day: str, times: list[str]) -> None:
    sunday = dt.date.fromisoformat(day)
    open_at_night = Diary(1, (Hours(6, dt.time(1), dt.time(4), 60),))
    at = dt.datetime.combine(sunday - DAY, dt.time(12), dt.UTC)
    clinic_at_work = ClinicDiary(NEW_YORK, "SA", (open_at_night,))  # where people work on Sundays
    soonest = offers(sunday, sunday, at, clinic_at_work, Due(dt.date.max))[0].slots
    assert [f"{slot.time:%H:%M} {slot.fold}" for slot in soonest] == times


@pytest.mark.parametrize(
    ("start", "minutes", "why"),
    [
        ("2026-11-26T08:00", 30, None),
        ("2026-11-26T15:30", 30, None),
        ("2026-11-26T15:45", 30, Why.OUTSIDE_HOURS),
        ("2026-11-26T07:59", 30, Why.OUTSIDE_HOURS),
        ("2026-11-26T10:15", 30, Why.FULLY_BOOKED),
        ("2026-11-26T09:30", 30, None),
        ("2026-11-26T09:30", 31, Why.FULLY_BOOKED),
        ("2026-11-26T10:30", 30, None),
        ("2026-11-28T10:00", 30, Why.WEEKEND),
        ("2026-12-25T10:00", 30, Why.PUBLIC_HOLIDAY),
        ("2026-11-27T10:00", 30, Why.ABSENT),
    ],
)
def test_a_time_is_free_within_hours_and_beside_other_visits(
    start: str, minutes: int, why: Why | None
) -> None:
    ten = dt.datetime(2026, 11, 26, 10, tzinfo=BERLIN).astimezone(dt.UTC)
    away = (Absence(dt.date(2026, 11, 27), dt.date(2026, 11, 27), "training"),)
    diary = Diary(1, WEEK, away, busy=((ten, ten + dt.timedelta(minutes=30)),))
    starts_at = dt.datetime.fromisoformat(start).replace(tzinfo=BERLIN)
    refused = why_not(starts_at, starts_at + dt.timedelta(minutes=minutes), starts_at.date(), diary, clinic())
    assert (refused.why if refused else None) == why


days_around = st.dates(dt.date(2026, 11, 1), dt.date(2027, 4, 30))
spans = st.tuples(st.integers(0, 200 * 24 * 4), st.integers(1, 400)).map(
    lambda drawn: (
        NOW + dt.timedelta(minutes=15 * drawn[0]),
        NOW + dt.timedelta(minutes=15 * (drawn[0] + drawn[1])),
    )
)


@given(
    at=st.integers(-30 * 24, 150 * 24).map(lambda hours: NOW + dt.timedelta(hours=hours)),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Dubai"]),
    refill_by=days_around,
    first=days_around,
    length=st.integers(0, 30),
    closed=st.sets(days_around, max_size=5),
    lead=st.integers(0, 5),
    busy=st.lists(spans, max_size=5),
    opens=st.times(dt.time(0), dt.time(11)),
    slot_min=st.sampled_from([15, 30, 50]),
)
def test_what_is_offered_is_safe_open_free_and_to_come(
    at: dt.datetime, zone: str, refill_by: dt.date, first: dt.date, length: int, closed: set[dt.date], lead: int,
    busy: list[tuple[dt.datetime, dt.datetime]], opens: dt.time, slot_min: int,
) -> None:  # fmt: skip
    hours = tuple(Hours(weekday, opens, dt.time(12), slot_min) for weekday in range(7))
    diary = Diary(1, hours, busy=tuple(busy))
    here = ClinicDiary(ZoneInfo(zone), "US", (diary,), dict.fromkeys(closed, "closed"), lead)
    due = Due(refill_by, "low_reservoir")
    found = offers(first, first + length * DAY, at, here, due)
    today = at.astimezone(here.zone).date()
    for offer in found:
        assert bool(offer.slots) != (offer.not_offered is not None)
        for slot in offer.slots:
            assert slot.day == offer.day <= refill_by
            assert slot.day not in closed
            assert slot.day.weekday() < 5
            assert slot.starts_at > at
            assert slot.day >= today + lead * DAY
            assert instant(slot.day, slot.time, here.zone, slot.fold) == slot.starts_at
            assert why_not(slot.starts_at, slot.ends_at, slot.day, diary, here) is None
        for one, after in zip(offer.slots, offer.slots[1:], strict=False):
            assert one.ends_at <= after.starts_at
    best = best_slot(found, due)
    assert (best is None) == (not any(offer.slots for offer in found))
    assert best is None or best.day <= refill_by
