"""What alerts ask of a clinic: the page says what the rule counts."""

import csv
import datetime as dt
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from sc_stim.extensions import db
from sc_stim.models import AlertEntry, AuditEntry
from sc_stim.web.bars import Amount, bars
from tests import builders
from tests.builders import AT
from tests.web.pages import Page

DAY = dt.timedelta(days=1)
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def nurse(app):
    return builders.create_user(role="nurse")


@pytest.fixture
def year(nurse):
    """A patient watched for a year, with two high alerts (one taken after 12 min) and one low one."""
    patient = builders.create_patient(clinic=nurse.clinic)
    builders.create_pump(patient=patient, created_at=AT - 400 * DAY, implanted_on=(AT - 400 * DAY).date())
    first = builders.create_alert(
        patient=patient, condition="motor_stall", severity="high", opened_at=AT - 40 * DAY, action_taken=True
    )
    builders.create_alert(patient=patient, condition="motor_stall", severity="high", opened_at=AT - 20 * DAY)
    builders.create_alert(
        patient=patient,
        condition="charge_missed",
        severity="low",
        opened_at=AT - 10 * DAY,
        action_taken=False,
    )
    builders.create_alert(patient=patient, condition="reset", opened_at=AT - 2 * DAY, historical=True)
    taken_at = first.opened_at + dt.timedelta(minutes=12)
    states = {"from_state": "unacknowledged", "to_state": "acknowledged"}
    db.session.add(AlertEntry(alert_id=first.id, at=taken_at, event="acknowledge", **states))
    db.session.commit()
    return patient


def rows(page: Page) -> dict[str, list[str]]:
    """The cells of the tables by the row's heading."""
    found = {}
    for row in page.all("tr"):
        heading, *cells = (" ".join("".join(cell.itertext()).split()) for cell in row)
        found.setdefault(heading, cells)
    return found


def test_alerts_are_counted_by_patient_and_year_beside_the_aims(nurse, year, visit):
    page = visit(nurse).page("/alerts/burden")
    table = rows(page)

    assert "3 alerts in 0.998 patient-years of watching" in page.text
    assert table["Alerts per patient and year"][0::2] == ["3", "Yes"]
    assert table["High alerts per patient and year"][0::2] == ["2", "No"]
    assert table["Share that needed something to be done"][0::2] == ["50 %", "Yes"]
    assert table["Minutes until a high alert is taken (median)"][0::2] == ["12 min", "Yes"]
    assert "unverified" in table["Minutes until a high alert is taken (median)"][1]
    assert table["Motor stall"] == [
        "High", "2", "2", "100 % 1 of 1 of which it was said", "12 min 1 of 2 were taken"
    ]  # fmt: skip
    assert table["Charging was missed"][3:] == ["0 % 0 of 1 of which it was said", "none was taken"]
    assert "Reset" not in table


def test_the_chart_says_the_same_in_words(nurse, year, visit):
    page = visit(nurse).page("/alerts/burden")

    words = [text for text in page.texts(f"{SVG}text") if ":" in text]
    assert page.texts("figcaption") == ["Alerts per patient and year"]
    assert words == ["All alerts: 3", "Motor stall, high: 2", "Charging was missed, low: 1"]


def test_a_shorter_time_counts_what_was_raised_in_it(nurse, year, visit):
    page = visit(nurse).page("/alerts/burden?first=2026-11-10&last=2026-11-23")

    assert "1 alert in" in page.text
    assert set(rows(page)) >= {"All", "Charging was missed"}
    assert "Motor stall" not in rows(page)


def test_without_a_patient_there_is_no_rate(nurse, visit):
    patient = builders.create_patient(clinic=nurse.clinic)
    builders.create_alert(patient=patient, condition="pain_rise", opened_at=AT - DAY)

    page = visit(nurse).page("/alerts/burden")

    assert "No implant was watched in this time" in page.text
    assert rows(page)["Alerts per patient and year"][0::2] == ["nothing to count", "cannot say"]
    assert rows(page)["Pain has risen"][1:3] == ["1", "nobody was watched"]


def test_a_time_without_alerts_says_so(nurse, visit):
    assert "No alert was raised in this time." in visit(nurse).page("/alerts/burden").text


@pytest.mark.parametrize(
    ("query", "field", "why"),
    [
        ("first=soon", "first", "The first day must be a date, as 2026-11-22."),
        ("first=2026-11-20&last=2026-11-19", "first", "The first day must not lie behind the last."),
        ("first=2026-12-01&last=2026-12-02", "first", "Choose a day from 2000 until today."),
        ("first=1926-01-01", "first", "Choose a day from 2000 until today."),
        ("last=9999-12-31", "last", "Choose a day from 2000 until today."),
        ("last=0", "last", "The last day must be a date, as 2026-11-22."),
        ("last=0001-01-01", "last", "Choose a day from 2000 until today."),
    ],
)
def test_days_that_cannot_be_used_are_refused_beside_their_field(nurse, visit, query, field, why):
    page = visit(nurse).page(f"/alerts/burden?{query}", 422)

    assert page.within(f"{field}-error") == why


def test_the_file_holds_the_figures_of_the_page_and_both_are_on_record(nurse, year, visit):
    visitor = visit(nurse)
    visitor.page("/alerts/burden")

    answer = visitor.file("/alerts/burden.csv?first=2025-11-24&last=2026-11-23")

    found = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["condition"], row["severity"], row["alerts"]) for row in found] == [
        ("all", "all", "3"), ("motor_stall", "high", "2"), ("charge_missed", "low", "1"),
    ]  # fmt: skip
    assert found[1]["minutes to take, median"] == "12.0"
    assert found[1]["from"] == "2025-11-24"
    records = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "alert.burden")).all()
    assert len(records) == 2


def test_another_clinics_alerts_ask_nothing_of_this_one(year, visit):
    page = visit(builders.create_user(role="nurse")).page("/alerts/burden")

    assert "0 alerts in 0 patient-years" in page.text


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1e6))
def test_every_bar_stays_within_its_plot_and_keeps_its_proportion(values, aim):
    drawn = bars([Amount("x", value, "", aim=aim) for value in values])

    widths = [bar.width_pct for bar in drawn.bars]
    assert all(0 <= width <= 100 for width in widths)
    assert 0 <= drawn.bars[0].aim_pct <= 100
    assert sorted(widths) == [bar.width_pct for bar in sorted(drawn.bars, key=lambda bar: bar.amount.value)]
