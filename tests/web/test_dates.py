import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from sc_stim.web import dates

MONDAY = dt.date(2026, 11, 23)
BERLIN = ZoneInfo("Europe/Berlin")
AT = dt.datetime(2026, 11, 23, 8, 0, tzinfo=dt.UTC)


def test_a_date_is_written_in_the_order_of_the_country_with_its_weekday():
    assert dates.day(MONDAY, "DE") == "Mon 23 Nov 2026"
    assert dates.day(MONDAY, "US") == "Mon, Nov 23, 2026"
    assert dates.short_day(MONDAY, "GB") == "23 Nov"
    assert dates.short_day(MONDAY, "US") == "Nov 23"


def test_a_moment_stands_on_the_clock_of_the_zone_in_summer_and_winter():
    assert dates.moment(AT, BERLIN, "DE") == "Mon 23 Nov 2026 09:00"
    assert dates.moment(AT.replace(month=7), BERLIN, "DE") == "Thu 23 Jul 2026 10:00"


def test_a_moment_late_in_the_evening_of_utc_is_the_next_day_in_berlin():
    assert dates.moment(AT.replace(hour=23, minute=30), BERLIN, "DE") == "Tue 24 Nov 2026 00:30"


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (0, "today"),
        (1, "tomorrow"),
        (2, "in 2 days"),
        (-1, "1 day overdue"),
        (-9, "9 days overdue"),
    ],
)
def test_how_far_away_a_day_is(days, words):
    assert dates.days_away(MONDAY + dt.timedelta(days=days), MONDAY) == words


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        (dt.timedelta(seconds=59), "just now"),
        (dt.timedelta(minutes=1), "1 min ago"),
        (dt.timedelta(minutes=99), "99 min ago"),
        (dt.timedelta(minutes=100), "1 h ago"),
        (dt.timedelta(hours=47), "47 h ago"),
        (dt.timedelta(hours=48), "2 days ago"),
        (dt.timedelta(seconds=-1), "in the future"),
    ],
)
def test_how_long_ago_a_moment_was(gone, words):
    assert dates.ago(AT - gone, AT) == words


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (AT, "today 09:00"),
        (AT - dt.timedelta(hours=10), "yesterday 23:00"),
        (AT - dt.timedelta(days=2), "Sat 21 Nov 2026 09:00"),
        (AT + dt.timedelta(days=1), "Tue 24 Nov 2026 09:00"),
    ],
)
def test_today_and_yesterday_are_called_so(at, words):
    assert dates.recent(at, BERLIN, "DE", MONDAY) == words


def test_a_year_of_life_is_over_on_the_birthday():
    assert dates.age(dt.date(1961, 11, 23), MONDAY) == 65
    assert dates.age(dt.date(1961, 11, 24), MONDAY) == 64
    assert dates.age(dt.date(2024, 2, 29), dt.date(2026, 2, 28)) == 1
