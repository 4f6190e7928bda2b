"""Who is on call through a span of time, without holes."""

import datetime as dt
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from sc_stim.clinical.escalation import Shift, WeeklyShift, on_call
from sc_stim.clinical.rota import stretches

BERLIN = ZoneInfo("Europe/Berlin")


def local(day: int, hour: int = 0, month: int = 11) -> dt.datetime:
    return dt.datetime(2026, month, day, hour, tzinfo=BERLIN).astimezone(dt.UTC)


def test_a_day_has_its_gaps_between_shifts():
    day = WeeklyShift("ann", 0, dt.time(8), dt.time(16))
    once = Shift("bob", local(23, 18), local(24, 2))

    found = stretches([day, once], BERLIN, local(23), local(24))

    assert [(one.starts_at, one.ends_at, one.people) for one in found] == [
        (local(23), local(23, 8), ()),
        (local(23, 8), local(23, 16), ("ann",)),
        (local(23, 16), local(23, 18), ()),
        (local(23, 18), local(24), ("bob",)),
    ]


def test_shifts_that_meet_over_midnight_leave_no_gap():
    week = [WeeklyShift("ann", weekday, dt.time(20), dt.time(20)) for weekday in range(7)]

    assert [one.people for one in stretches(week, BERLIN, local(23), local(30))] == [("ann",)]


def test_the_hour_that_comes_twice_is_covered_on_the_clock_on_the_wall():
    night = WeeklyShift("ann", 6, dt.time(2), dt.time(3))  # 25 October: 2:00 to 3:00 comes twice

    (before, on, after) = stretches([night], BERLIN, local(25, month=10), local(26, month=10))

    assert (before.people, on.people, after.people) == ((), ("ann",), ())
    assert on.ends_at - on.starts_at == dt.timedelta(hours=2)


SHIFTS = st.builds(
    WeeklyShift,
    st.sampled_from(["ann", "bob"]),
    st.integers(0, 6),
    st.times().map(lambda time: time.replace(second=0, microsecond=0)),
    st.times().map(lambda time: time.replace(second=0, microsecond=0)),
)


@given(st.lists(SHIFTS, max_size=4), st.integers(0, 7 * 24 * 60 - 1))
def test_every_minute_has_the_people_that_are_on_call_then(rota, minute):
    since = local(19, month=10)  # the week in which the clocks go back
    until = since + dt.timedelta(days=7)
    moment = since + dt.timedelta(minutes=minute)

    found = stretches(rota, BERLIN, since, until)

    assert (found[0].starts_at, found[-1].ends_at) == (since, until)
    assert all(
        one.ends_at == after.starts_at and one.people != after.people for one, after in pairwise(found)
    )
    (then,) = [one for one in found if one.starts_at <= moment < one.ends_at]
    assert list(then.people) == on_call(rota, BERLIN, moment)
