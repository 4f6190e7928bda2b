from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sc_stim.clinical.workdays import (
    LONGEST_CLOSURE_DAYS,
    ClinicCalendar,
    UnknownRegion,
    check_country,
    is_open,
    move_earlier,
)

days = st.dates(date(2024, 1, 1), date(2030, 12, 31))


@pytest.mark.parametrize(
    ("day", "country", "expected"),
    [
        (date(2026, 11, 20), "DE", True),
        (date(2026, 11, 21), "DE", False),  # Saturday
        (date(2026, 10, 3), "DE", False),  # German Unity, also a Saturday
        (date(2026, 5, 1), "DE", False),
        (date(2026, 5, 1), "US", True),
        (date(2027, 3, 8), "DE", True),
        (date(2027, 3, 8), "DE-BE", False),
        (date(2027, 7, 5), "US-NY", False),  # Independence Day observed
        (date(2026, 11, 20), "SA", False),  # a Friday
        (date(2026, 11, 22), "SA", True),  # a Sunday
        (date(2026, 12, 25), None, True),
        (date(2026, 12, 26), None, False),
    ],
)
def test_a_day_is_open_by_weekend_and_holiday_of_the_country(
    day: date, country: str | None, expected: bool
) -> None:
    assert is_open(day, ClinicCalendar(country)) is expected


def test_the_clinic_s_own_closed_day_is_closed() -> None:
    day = date(2026, 11, 20)
    assert not is_open(day, ClinicCalendar("DE", frozenset({day})))


@pytest.mark.parametrize("country", ["XX", "DE-XX", ""])
def test_an_unknown_country_is_refused_by_name(country: str) -> None:
    with pytest.raises(UnknownRegion, match=f"country '{country}' has no holiday calendar"):
        check_country(country)


@given(days, st.sampled_from([None, "DE", "DE-BY", "US-NY", "GB-SCT", "SA"]), st.frozensets(days, max_size=5))
def test_a_day_only_moves_earlier_and_to_an_open_day(
    day: date, country: str | None, closed: frozenset[date]
) -> None:
    calendar = ClinicCalendar(country, closed)
    moved = move_earlier(day, calendar)
    assert moved is not None
    assert moved <= day
    assert is_open(moved, calendar)


def test_there_is_no_open_day_in_a_closure_that_is_too_long() -> None:
    last = date(2026, 11, 20)
    closed = frozenset(last - timedelta(days=back) for back in range(LONGEST_CLOSURE_DAYS + 1))
    assert move_earlier(last, ClinicCalendar(None, closed)) is None
