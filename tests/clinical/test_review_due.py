"""When a device has to be reviewed again."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sc_stim.clinical import reference
from sc_stim.clinical.review_due import KINDS, LONGEST_DAYS, interval_days, review_due, usual_interval

days = st.dates(date(2000, 1, 1), date(2100, 1, 1))
TODAY = date(2026, 11, 23)


def test_a_device_is_due_an_interval_after_its_last_review() -> None:
    due = review_due(date(2026, 1, 1), date(2026, 10, 1), 30, TODAY)
    assert (due.due_on, due.days_left, due.never) == (date(2026, 10, 31), -23, False)


def test_a_device_nobody_reviewed_counts_from_the_day_it_was_put_in_place() -> None:
    due = review_due(date(2026, 11, 1), None, 30, TODAY)
    assert (due.due_on, due.days_left, due.never) == (date(2026, 12, 1), 8, True)


@given(days, st.none() | days, st.integers(1, LONGEST_DAYS), days)
def test_a_day_passing_brings_every_review_a_day_nearer(
    since: date, last: date | None, interval: int, today: date
) -> None:
    now, then = (review_due(since, last, interval, day) for day in (today, today + timedelta(days=1)))
    assert then.due_on == now.due_on
    assert then.days_left == now.days_left - 1
    assert now.due_on == today + timedelta(days=now.days_left)


@pytest.mark.parametrize("kind", KINDS)
def test_the_patients_interval_goes_before_the_clinics_and_that_before_the_usual_one(kind: str) -> None:
    assert interval_days(kind, of_patient=7, of_clinic=30) == 7
    assert interval_days(kind, of_patient=None, of_clinic=30) == 30
    assert interval_days(kind, of_patient=None, of_clinic=None) == usual_interval(kind).value


def test_every_usual_interval_has_a_source_or_says_that_it_is_unverified() -> None:
    figures = list(reference.figures_in(reference.load("review.json")))
    assert len(figures) == len(KINDS)
    assert all(figure.unit == "d" and (figure.source or figure.note) for figure in figures)
