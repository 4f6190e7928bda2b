"""Open days of a clinic: weekends, public holidays, its own closed days. A refill only ever moves earlier."""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

import holidays

SATURDAY_AND_SUNDAY: Final = frozenset({5, 6})
LONGEST_CLOSURE_DAYS: Final = 60
_COUNTRY_CODE: Final = re.compile("[A-Z]{2}")


class UnknownRegion(ValueError):
    """The country or subdivision has no holiday calendar."""


@dataclass(frozen=True, slots=True)
class ClinicCalendar:
    """`country` is ISO 3166-1 ("DE") or with its subdivision ISO 3166-2 ("DE-BE"); None knows no public
    holidays.
    """

    country: str | None = None
    closed_days: frozenset[date] = frozenset()


def check_country(country: str) -> None:
    """Raise UnknownRegion unless public holidays are known for this country or subdivision."""
    _region(country, 2026)


def is_open(day: date, calendar: ClinicCalendar) -> bool:
    """Whether the clinic works on this day."""
    if day in calendar.closed_days:
        return False
    if calendar.country is None:
        return day.weekday() not in SATURDAY_AND_SUNDAY
    weekend, public_holidays = _region(calendar.country, day.year)
    return day.weekday() not in weekend and day not in public_holidays


def holiday_name(day: date, country: str | None) -> str | None:
    """What public holiday this day is, in English where the calendar has it; None when it is none."""
    return None if country is None else _region(country, day.year)[1].get(day)


def move_earlier(day: date, calendar: ClinicCalendar) -> date | None:
    """The last open day on or before `day`; None when the clinic was closed for LONGEST_CLOSURE_DAYS before
    it.
    """
    for days_back in range(LONGEST_CLOSURE_DAYS + 1):
        candidate = day - timedelta(days=days_back)
        if is_open(candidate, calendar):
            return candidate
    return None


@lru_cache(maxsize=1024)
def _region(country: str, year: int) -> tuple[frozenset[int], dict[date, str]]:
    """Weekend weekdays (Monday is 0) and public holidays, with their names, of one year."""
    code, _, subdivision = country.partition("-")
    refusal = f"country {country!r} has no holiday calendar: write ISO 3166, as 'DE' or 'DE-BE'"
    if not _COUNTRY_CODE.fullmatch(code):
        raise UnknownRegion(refusal)
    try:
        known = holidays.country_holidays(code, subdiv=subdivision or None, years=year, language="en_US")
    except NotImplementedError as unknown:
        raise UnknownRegion(refusal) from unknown
    return frozenset(known.weekend), dict(known)
