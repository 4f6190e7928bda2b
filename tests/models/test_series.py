"""Hours and local days: the axis that telemetry and pain are summed up on."""

import datetime as dt
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import given
from hypothesis import strategies as st

from sc_stim.models.series import HOUR, buckets

BERLIN = ZoneInfo("Europe/Berlin")
FIRST = dt.datetime(1980, 1, 2, tzinfo=dt.UTC)
TIMES = st.integers(0, 80_000).flatmap(  # days up to 2199
    lambda days: st.integers(0, 86_399).map(lambda seconds: FIRST + dt.timedelta(days, seconds))
)
ZONES = st.sampled_from(sorted(available_timezones())).map(ZoneInfo)


def test_a_day_has_23_or_25_hours_when_the_clocks_change() -> None:
    for day, hours in (("2026-03-29", 23), ("2026-10-25", 25), ("2026-11-22", 24)):
        noon = dt.datetime.fromisoformat(f"{day}T12:00+00:00")
        ((start, end),) = buckets(noon, noon + HOUR, "day", BERLIN)
        assert (end - start) / HOUR == hours
        assert start.astimezone(BERLIN).isoformat()[:16] == f"{day}T00:00"


def test_hours_are_whole_hours_of_utc() -> None:
    at = dt.datetime(2026, 11, 22, 8, 59, tzinfo=dt.UTC)
    found = list(buckets(at, at + dt.timedelta(minutes=2), "hour", ZoneInfo("Asia/Kathmandu")))
    assert [start.hour for start, _ in found] == [8, 9]


@given(since=TIMES, length=st.timedeltas(dt.timedelta(seconds=1), dt.timedelta(days=40)), zone=ZONES)
def test_days_follow_each_other_without_gap_and_cover_the_time(
    since: dt.datetime, length: dt.timedelta, zone: ZoneInfo
) -> None:
    until = since + length
    found = list(buckets(since, until, "day", zone))
    assert found[0][0] <= since < found[0][1]
    assert found[-1][0] < until <= found[-1][1]
    assert all(end == start for (_, end), (start, _) in pairwise(found))
    assert all(start < end for start, end in found)
