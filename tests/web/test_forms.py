"""What people type into forms becomes values, or a sentence that names the field and the fix."""

import datetime as dt
import math
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sc_stim.web.forms import Form

BERLIN = ZoneInfo("Europe/Berlin")


def filled(typed, **options):
    form = Form({"ml": typed})
    return form.number("ml", "Filled", **{"least": 0, "most": 40, "unit": "mL"} | options), form.errors


@pytest.mark.parametrize(("typed", "value"), [("3.5", 3.5), ("3,5", 3.5), (" 20 ", 20.0), ("", None)])
def test_a_number_has_a_point_or_a_comma(typed, value):
    assert filled(typed) == (value, {})


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ("three", "Filled must be a number of mL, as 3.5."),
        ("1e3", "Filled must be a number of mL, as 3.5."),
        ("nan", "Filled must be a number of mL, as 3.5."),
        ("1.000,5", "Filled must be a number of mL, as 3.5."),
        ("40.1", "Filled must lie between 0 and 40 mL."),
        ("-1", "Filled must lie between 0 and 40 mL."),
    ],
)
def test_what_is_no_such_number_is_refused_with_the_fix(typed, error):
    assert filled(typed) == (None, {"ml": error})


def test_what_is_needed_is_asked_for():
    assert filled("", needed=True) == (None, {"ml": "Filled is needed."})


@given(st.text())
def test_whatever_is_typed_the_value_is_in_range_or_the_field_is_named(typed):
    value, errors = filled(typed)
    if value is not None:
        assert math.isfinite(value) and 0 <= value <= 40 and not errors
    elif typed.replace("\0", "").strip():
        assert list(errors) == ["ml"]


def test_a_time_is_on_the_clinics_clock():
    form = Form({"at": "2026-07-01T09:30"})
    assert form.moment("at", "Time", BERLIN) == dt.datetime(2026, 7, 1, 7, 30, tzinfo=dt.UTC)


def test_an_hour_that_the_clocks_skip_is_refused():
    form = Form({"at": "2027-03-28T02:30"})
    assert form.moment("at", "Time", BERLIN) is None
    assert form.errors == {"at": "Time: the clocks skip this hour on that day."}


@pytest.mark.parametrize("typed", ["yesterday", "2026-02-30", "22.11.2026"])
def test_a_date_that_is_none_is_refused(typed):
    form = Form({"on": typed})
    assert form.day("on", "Expiry date") is None
    assert form.errors == {"on": "Expiry date must be a date, as 2026-11-22."}


def test_choices_are_those_of_the_list_only():
    form = Form({"role": "king", "kind": ""})
    assert form.choice("role", "The role", ["nurse"]) is None
    assert form.choice("kind", "The kind", ["pump"], needed=False) is None
    assert form.errors == {"role": "Choose the role from the list."}


def test_text_is_free_of_what_no_database_stores_and_not_endless():
    form = Form({"note": "\0 seen ", "long": "x" * 11})
    assert form.text("note", "Note") == "seen"
    assert form.text("long", "Note", most=10) == "x" * 11
    assert form.errors == {"long": "Note has 11 characters; 10 fit."}


def test_a_whole_number_is_whole():
    form = Form({"days": "2.5"})
    assert form.whole("days", "Days", least=0, most=9) is None
    assert form.errors == {"days": "Days must be a whole number."}
