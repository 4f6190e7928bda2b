"""The calendar: week and month, due pumps without a visit, closures, capacity, feeds."""

import csv
import datetime as dt
import io

import pytest
from icalendar import Calendar
from sqlalchemy import select

from sc_stim.extensions import db
from sc_stim.models import Absence, Appointment, AuditEntry, CalendarFeed, ClinicClosure
from sc_stim.workflows import visits
from tests import builders
from tests.web.pages import text
from tests.web.scene import create_forecast
from tests.web.test_booking_page import ready_pump, slot

WEEK = "/calendar?on=2026-12-03"


@pytest.fixture
def nurse(app):
    return builders.create_user(role="nurse", name="Nadia Berger")


@pytest.fixture
def room(nurse):
    return builders.create_resource(clinic=nurse.clinic, name="Room 1")


@pytest.fixture
def pump(nurse):
    """To be refilled by 4 December."""
    return ready_pump(nurse, "Okafor")


def day_of(page, day):
    """The section of one day."""
    return next(one for one in page.all("section") if one.get("data-day") == day)


def said(page, day):
    return text(day_of(page, day))


def seen():
    """Patients that the newest entry of the audit trail names."""
    return db.session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first().detail["patients"]


def test_the_week_shows_visits_capacity_and_what_is_free(nurse, room, pump, visit):
    builders.create_appointment(pump=pump, resource=room)

    page = visit(nurse).page(WEEK)

    assert page.texts("h1") == ["Calendar: 30 Nov to 6 Dec 2026"]
    thursday = said(page, "2026-12-03")
    assert "1 of 16 booked" in thursday
    assert "10:00 Okafor" in thursday
    assert "10:30 free" in thursday
    assert "10:00 free" not in thursday
    assert "closed: weekend" in said(page, "2026-12-05")
    assert seen() == [str(pump.patient.public_id)]


def test_closures_holidays_and_absences_are_named(nurse, room, visit):
    db.session.add(
        ClinicClosure(clinic_id=nurse.clinic_id, day=dt.date(2026, 12, 23), reason="staff training")
    )
    room.absences.append(
        Absence(first_day=dt.date(2026, 12, 22), last_day=dt.date(2026, 12, 22), reason="painters")
    )
    db.session.commit()

    page = visit(nurse).page("/calendar?on=2026-12-23")

    assert "closed: staff training" in said(page, "2026-12-23")
    assert "Room 1 not there: painters" in said(page, "2026-12-22")
    assert "Christmas Day" in said(page, "2026-12-25")
    assert "free" not in said(page, "2026-12-22")


def test_a_pump_that_is_due_without_a_visit_is_a_chip_on_its_last_day_and_overdue_ones_stand_today(
    nurse, room, pump, visit
):
    create_forecast(pump=pump, days=11)
    overdue = ready_pump(nurse, "Lindqvist")
    create_forecast(pump=overdue, days=-2)
    visitor = visit(nurse)

    page = visitor.page(WEEK)
    assert "due: Okafor" in said(page, "2026-12-04")
    assert "Lindqvist" not in page.text
    page = visitor.page("/calendar")
    assert "overdue: Lindqvist" in said(page, "2026-11-23")
    assert "since 21 Nov, no visit" in said(page, "2026-11-23")

    builders.create_appointment(pump=pump, resource=room)
    assert "due: Okafor" not in visitor.page(WEEK).text


def test_a_visit_that_is_too_late_is_marked_in_words(nurse, room, pump, visit):
    create_forecast(pump=pump, days=8)  # Tuesday 1 December
    booked = builders.create_appointment(pump=pump, resource=room)

    page = visit(nurse).page(WEEK)

    assert "too late" in said(page, "2026-12-03")
    assert "visit is too late" in said(page, "2026-12-01")
    assert f"/appointments/{booked.public_id}" in [
        link.get("href") for link in day_of(page, "2026-12-01").iter("a")
    ]


def test_a_missed_visit_is_work_until_it_is_made_up_for(nurse, room, pump, visit):
    missed = builders.create_appointment(
        pump=pump, resource=room, day=dt.date(2026, 11, 16), state="missed",
        starts_at=builders.AT - dt.timedelta(days=7), ends_at=builders.AT - dt.timedelta(days=6, hours=23),
    )  # fmt: skip
    builders.create_alert(patient=pump.patient, device=pump, condition=visits.NOT_SEEN, since=missed.ends_at)

    page = visit(nurse).page("/calendar")

    assert "Missed, not made up for" in page.texts("h2")
    assert f"/pumps/{pump.public_id}/book" in [link.get("href") for link in page.all("a")]
    assert "missed" in said(visit(nurse).page("/calendar?on=2026-11-16"), "2026-11-16")


def test_the_month_counts_what_each_day_holds_and_leads_to_its_week(nurse, room, pump, visit):
    builders.create_appointment(pump=pump, resource=room)

    page = visit(nurse).page("/calendar?view=month&on=2026-12-03")

    assert page.texts("h1") == ["Calendar: Dec 2026"]
    assert "10:00 Okafor" in said(page, "2026-12-03")
    assert "1 of 16 booked" in said(page, "2026-12-03")
    assert "15 free" in said(page, "2026-12-03")
    assert len([one for one in page.all("section") if one.get("data-day")]) == 35
    ways = {text(link): link.get("href") for link in page.all("a")}
    assert "on=2026-11-01" in ways["Previous month"]
    assert "on=2027-01-01" in ways["Next month"]


def test_one_nurse_or_room_can_be_looked_at_alone(nurse, room, pump, visit):
    other = builders.create_resource(clinic=nurse.clinic, name="Nurse Berger", kind="nurse")
    builders.create_appointment(pump=pump, resource=room)
    visitor = visit(nurse)

    page = visitor.page(WEEK)
    assert "1 of 32 booked" in said(page, "2026-12-03")
    assert "Room 1" in said(page, "2026-12-03")
    page = visitor.page(f"{WEEK}&resource={other.public_id}")
    assert "0 of 16 booked" in said(page, "2026-12-03")
    assert "Okafor" not in page.text


def test_an_empty_time_leads_to_the_pumps_that_are_due_and_from_there_to_this_time(nurse, room, pump, visit):
    create_forecast(pump=pump, days=11)
    visitor = visit(nurse)
    links = [link.get("href") for link in day_of(visitor.page(WEEK), "2026-12-03").iter("a")]
    (empty,) = [link for link in links if "10:00" in link or "10%3A00" in link]

    page = visitor.page(empty)
    assert page.texts("h1") == ["Book Thu 3 Dec 2026 10:00: for which pump?"]
    book = next(link.get("href") for link in page.all("a") if "Book for" in text(link))
    page = visitor.page(book)

    assert [one.get("value") for one in page.all("input") if one.get("checked") is not None] == ["2026-12-03"]
    assert slot(room) in [one.get("value") for one in page.all("option") if one.get("selected") is not None]
    late = visitor.page("/calendar-book?day=2026-12-10")
    assert "after its refill-by date" in late.text
    builders.create_appointment(pump=pump, resource=room)
    assert "has its visit" in visitor.page(empty).text


def test_a_drop_moves_the_visit_and_comes_back_to_the_calendar_with_an_undo(nurse, room, pump, visit):
    booked = builders.create_appointment(pump=pump, resource=room)
    visitor = visit(nurse)
    visitor.page(WEEK)
    here = f"/appointments/{booked.public_id}/change"

    page = visitor.done(
        here, version="1", day="2026-12-02", slot=slot(room, "11:00"), view="week", resource=""
    )

    assert "Moved to Wed 2 Dec 2026 11:00, Room 1." in page.text
    assert "11:00 Okafor" in said(page, "2026-12-02")
    undo = next(form for form in page.all("form") if form.get("class") == "undo")
    fields = {one.get("name"): one.get("value") for one in undo.iter("input")}
    visitor.done(undo.get("action"), **fields)
    found = db.session.scalars(select(Appointment)).one()
    assert (found.day, found.time, found.sequence) == (dt.date(2026, 12, 3), dt.time(10), 2)


def test_a_drop_that_is_refused_says_why_and_the_visit_stays(nurse, room, pump, visit):
    booked = builders.create_appointment(pump=pump, resource=room)
    visitor = visit(nurse)
    visitor.page(WEEK)

    page = visitor.done(
        f"/appointments/{booked.public_id}/change", version="1", day="2026-12-10", slot=slot(room), view="week",
        resource=str(room.public_id),
    )  # fmt: skip

    assert "Not moved: A reason is needed" in page.text
    assert "10:00 Okafor" in said(page, "2026-12-03")
    assert db.session.scalars(select(Appointment)).one().sequence == 0


def test_the_csv_holds_the_visits_that_are_shown_and_is_on_record(nurse, room, pump, visit):
    create_forecast(pump=pump, days=11)
    builders.create_appointment(pump=pump, resource=room, note="=1+1")

    answer = visit(nurse).file("/calendar.csv?on=2026-12-03")

    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert (row["day"], row["time"], row["starts_at"]) == ("2026-12-03", "10:00", "2026-12-03T10:00:00+01:00")
    assert (row["patient"].split(",")[0], row["too_late"], row["refill_by"]) == ("Okafor", "no", "2026-12-04")
    assert row["note"] == "'=1+1"
    assert seen() == [str(pump.patient.public_id)]


@pytest.mark.parametrize(
    "query", ["view=year", "on=soon", "on=0001-01-01", "resource=x", "view=month&on=9999-12-31"]
)
def test_a_calendar_that_is_not_there_answers_404(nurse, visit, query):
    assert visit(nurse).get(f"/calendar?{query}").status_code == 404


def test_an_empty_calendar_says_what_to_do(nurse, visit):
    assert "Ask your administrator" in visit(nurse).page("/calendar").text


def test_nothing_of_another_clinic_is_in_the_calendar(nurse, room, pump, visit):
    create_forecast(pump=pump, days=11)
    builders.create_appointment(pump=ready_pump(nurse, "Novák"), resource=room)
    stranger = visit(builders.create_user(role="nurse"))

    for path in (
        WEEK,
        "/calendar?view=month&on=2026-12-03",
        "/calendar-book?day=2026-12-03",
        "/calendar.csv?on=2026-12-03",
    ):
        answer = stranger.file(path)
        assert answer.status_code == 200
        assert "Okafor" not in answer.text
        assert "Novák" not in answer.text
    assert stranger.get(f"{WEEK}&resource={room.public_id}").status_code == 404


def test_a_feed_shows_its_address_once_and_answers_until_it_is_revoked(nurse, room, pump, visit):
    builders.create_appointment(pump=pump, resource=room)
    visitor = visit(nurse)
    assert "No feed has been made yet." in visitor.page("/calendar-feeds").text

    page = visitor.submitted("/calendar-feeds", resource="all")
    address = page.within("feed-address")
    assert address.startswith("http://localhost/calendar/")
    assert address not in visitor.page("/calendar-feeds").html
    path = address.removeprefix("http://localhost")
    (event,) = Calendar.from_ical(visit(None).get(path).text).walk("VEVENT")
    assert event["SUMMARY"] == "Refill visit"

    feed = db.session.scalars(select(CalendarFeed)).one()
    page = visitor.done(f"/calendar-feeds/{feed.public_id}/revoke")
    assert "The feed is revoked" in page.text
    assert "revoked Mon 23 Nov 2026" in page.text
    assert visit(None).get(path).status_code == 404
    assert "revoked before" in visitor.done(f"/calendar-feeds/{feed.public_id}/revoke").text


def test_a_feed_with_names_says_that_it_has_them(nurse, room, pump, visit):
    builders.create_appointment(pump=pump, resource=room)
    visitor = visit(nurse)
    visitor.page("/calendar-feeds")

    page = visitor.submitted("/calendar-feeds", resource=str(room.public_id), shows_names="1")

    assert "with patients' names" in page.text
    assert text(page.all("tbody")[0]).startswith("Room 1 shown")
    path = page.within("feed-address").removeprefix("http://localhost")
    assert "Okafor" in visit(None).get(path).text


def test_a_feed_of_a_room_of_another_clinic_is_refused(nurse, visit):
    theirs = builders.create_resource(clinic=builders.create_clinic())
    visitor = visit(nurse)
    visitor.page("/calendar-feeds")

    page = visitor.submitted("/calendar-feeds", 422, resource=str(theirs.public_id))

    assert "Choose whose visits from the list." in page.text
    assert db.session.scalars(select(CalendarFeed)).all() == []
