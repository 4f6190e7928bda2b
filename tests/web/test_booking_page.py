"""Booking a refill visit, and the page of a visit: safe days, reasons, moving, calling off, undoing."""

import datetime as dt
import re

import pytest
from sqlalchemy import select

from sc_stim.extensions import db
from sc_stim.models import Appointment, AuditEntry, Message
from tests import builders
from tests.builders import AT
from tests.web.scene import create_forecast

THURSDAY = "2026-12-03"


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


def ready_pump(nurse, family_name, **values):
    patient = builders.create_patient(clinic=nurse.clinic, family_name=family_name, **values)
    pump = builders.create_pump(patient=patient)
    builders.create_setting(device=pump)
    builders.create_fill(pump=pump)
    return pump


def slot(room, time="10:00"):
    return f"{time}/0/{room.public_id}"


def on(room, day=THURSDAY, time="10:00"):
    return {"day": day, f"slot-{day}": slot(room, time)}


def only_visit():
    return db.session.scalars(select(Appointment)).one()


def chosen(page):
    return [field.get("value") for field in page.all("input") if field.get("checked") is not None]


def test_the_form_proposes_the_best_day_first_and_says_why_others_are_not_offered(nurse, room, pump, visit):
    page = visit(nurse).page(f"/pumps/{pump.public_id}/book")

    days = [field.get("value") for field in page.all("input") if field.get("name") == "day"]
    assert days[:2] == ["2026-12-01", "2026-11-23"]
    assert chosen(page) == ["2026-12-01"]
    assert "Tue 1 Dec 2026 proposed" in page.text
    assert "Sat 5 Dec 2026 to Sun 6 Dec 2026 closed: weekend" in page.text
    assert (
        "Mon 7 Dec 2026 to Fri 11 Dec 2026 after the refill-by date 4 December 2026: risk of running empty"
        in page.text
    )


def test_a_visit_is_booked_with_its_reminder_shown_and_can_be_undone(nurse, room, pump, visit):
    visitor = visit(nurse)
    visitor.page(f"/pumps/{pump.public_id}/book")

    page = visitor.done(
        f"/pumps/{pump.public_id}/book", **on(room), note="bring the handset", override_reason=""
    )

    made = only_visit()
    assert (made.day, made.time, made.resource_id) == (dt.date(2026, 12, 3), dt.time(10), room.id)
    assert made.starts_at == dt.datetime(2026, 12, 3, 9, tzinfo=dt.UTC)
    assert page.texts("h1") == ["Refill visit Thu 3 Dec 2026 10:00"]
    assert "Booked: Thu 3 Dec 2026 10:00, Room 1." in page.text
    assert "by SMS on Sat 28 Nov 2026 09:00" in page.text
    assert "bring the handset" in page.text

    page = visitor.done(f"/appointments/{made.public_id}/cancel", version="1", reason="booked by mistake")

    assert only_visit().state == "cancelled"
    assert "called off : booked by mistake" in page.text or "called off: booked by mistake" in page.text
    again = next(link.get("href") for link in page.all("a") if "Book it again" in "".join(link.itertext()))
    assert chosen(visitor.page(again)) == [THURSDAY]


def test_the_undo_is_offered_once_and_not_after_somebody_changed_the_visit(nurse, room, pump, visit):
    visitor = visit(nurse)
    visitor.page(f"/pumps/{pump.public_id}/book")
    page = visitor.done(f"/pumps/{pump.public_id}/book", **on(room))
    assert "Undo: call off Thu 3 Dec 2026 10:00, Room 1" in page.texts("button")
    here = f"/appointments/{only_visit().public_id}"

    page = visitor.done(f"{here}/change", version="1", **on(room, time="11:00"))
    assert "Undo: back to Thu 3 Dec 2026 10:00, Room 1" in page.texts("button")
    assert not [words for words in page.texts("button") if words.startswith("Undo: call off")]

    other = visit(builders.create_user(clinic=nurse.clinic, role="clinician"))
    other.page(here)
    other.done(f"{here}/change", version="2", note="changed by another")
    assert not [button for button in visitor.page(here).texts("button") if button.startswith("Undo")]


def test_a_late_day_is_booked_only_with_a_reason(nurse, room, pump, visit):
    visitor = visit(nurse)
    visitor.page(f"/pumps/{pump.public_id}/book")
    late = on(room, day="2026-12-10")

    page = visitor.submitted(f"/pumps/{pump.public_id}/book", 422, **late, note="typed", override_reason="")

    assert "A reason is needed, as this day cannot be called safe: after the refill-by date" in page.text
    assert chosen(page) == ["2026-12-10"]
    assert "typed" in [field.get("value") for field in page.all("input")]
    assert db.session.scalars(select(Appointment)).all() == []

    page = visitor.done(f"/pumps/{pump.public_id}/book", **late, override_reason="abroad until then")
    assert only_visit().override_reason == "abroad until then"
    assert only_visit().accepted_refill_by == dt.date(2026, 12, 4)
    assert "abroad until then" in page.text


def test_a_time_that_was_taken_meanwhile_is_refused_and_the_form_shows_what_is_left(nurse, room, pump, visit):
    visitor = visit(nurse)
    visitor.page(f"/pumps/{pump.public_id}/book")
    builders.create_appointment(pump=ready_pump(nurse, "Novák"), resource=room)

    page = visitor.submitted(f"/pumps/{pump.public_id}/book", 422, **on(room))

    assert "Another visit is booked at this time." in page.text
    times = next(one for one in page.all("select") if one.get("name") == f"slot-{THURSDAY}")
    assert "09:30" in [one.text for one in times]
    assert "10:00" not in [one.text for one in times]


@pytest.mark.parametrize(
    "typed", [{}, {"day": "soon"}, {"day": THURSDAY}, {"day": THURSDAY, f"slot-{THURSDAY}": "10:00/0/nobody"}]
)
def test_a_form_that_cannot_be_used_says_so_beside_the_days(nurse, room, pump, visit, typed):
    visitor = visit(nurse)
    visitor.page(f"/pumps/{pump.public_id}/book")

    page = visitor.submitted(f"/pumps/{pump.public_id}/book", 422, **typed)

    assert "Nothing was saved." in page.text
    assert page.within("day-error")
    assert db.session.scalars(select(Appointment)).all() == []


def test_the_room_of_another_clinic_cannot_be_chosen(nurse, room, pump, visit):
    theirs = builders.create_resource(clinic=builders.create_clinic())
    visitor = visit(nurse)
    visitor.page(f"/pumps/{pump.public_id}/book")

    page = visitor.submitted(f"/pumps/{pump.public_id}/book", 422, **on(theirs))

    assert "Choose a time of this day from the list." in page.text


def test_an_overdue_pump_is_offered_the_soonest_time_with_a_reason(nurse, room, visit):
    pump = builders.create_pump(patient=builders.create_patient(clinic=nurse.clinic))
    builders.create_setting(device=pump, effective_at=AT - dt.timedelta(days=90))
    builders.create_fill(pump=pump, at=AT - dt.timedelta(days=60))

    page = visit(nurse).page(f"/pumps/{pump.public_id}/book")

    assert "No day in this range keeps the pump safe." in page.text
    assert chosen(page) == ["2026-11-23"]
    assert "soonest" in page.text
    assert page.all("details")[0].get("open") is not None


def test_a_pump_without_a_forecast_says_what_is_missing_and_can_be_booked_with_a_reason(nurse, room, visit):
    pump = builders.create_pump(patient=builders.create_patient(clinic=nurse.clinic))
    visitor = visit(nurse)

    page = visitor.page(f"/pumps/{pump.public_id}/book")
    assert "no refill date can be computed" in page.text
    visitor.done(f"/pumps/{pump.public_id}/book", **on(room, day="2026-11-24"), override_reason="seen today")

    assert only_visit().override_reason == "seen today"


def test_a_pump_with_a_visit_and_one_on_the_shelf_have_no_form(nurse, room, pump, visit):
    visitor = visit(nurse)
    builders.create_appointment(pump=pump, resource=room)
    assert (
        "This pump has a visit on Thu 3 Dec 2026 at 10:00"
        in visitor.page(f"/pumps/{pump.public_id}/book").text
    )

    shelved = builders.put_on_shelf(
        builders.create_pump(patient=builders.create_patient(clinic=nurse.clinic))
    )
    db.session.commit()
    assert "in nobody's body" in visitor.page(f"/pumps/{shelved.public_id}/book").text
    stimulator = builders.create_stimulator(patient=pump.patient)
    assert visitor.get(f"/pumps/{stimulator.public_id}/book").status_code == 404


def test_without_a_nurse_or_room_the_page_says_whom_to_ask(nurse, pump, visit):
    page = visit(nurse).page(f"/pumps/{pump.public_id}/book")

    assert "Ask your administrator" in page.text


def test_a_visit_is_moved_by_its_page_keeping_its_note_and_counting_the_move(nurse, room, pump, visit):
    booked = builders.create_appointment(pump=pump, resource=room, note="bring the handset")
    visitor = visit(nurse)
    page = visitor.page(f"/appointments/{booked.public_id}")
    assert chosen(page) == [THURSDAY]
    assert slot(room) in [one.get("value") for one in page.all("option") if one.get("selected") is not None]

    page = visitor.done(
        f"/appointments/{booked.public_id}/change", version="1", **on(room, day="2026-12-02", time="11:30"),
        note="bring the handset", override_reason="",
    )  # fmt: skip

    moved = only_visit()
    assert (moved.day, moved.time, moved.sequence, moved.note) == (
        dt.date(2026, 12, 2), dt.time(11, 30), 1, "bring the handset",
    )  # fmt: skip
    assert moved.public_id == booked.public_id
    assert "Moved to Wed 2 Dec 2026 11:30, Room 1." in page.text
    assert [entry.action for entry in db.session.scalars(select(AuditEntry))].count("appointment.move") == 1


def test_a_note_does_not_move_a_visit_whose_time_is_no_slot_any_more(nurse, room, pump, visit):
    odd = dt.datetime(2026, 12, 3, 9, 10, tzinfo=dt.UTC)
    booked = builders.create_appointment(
        pump=pump, resource=room, time=dt.time(10, 10), starts_at=odd, ends_at=odd + dt.timedelta(minutes=20)
    )
    visitor = visit(nurse)
    page = visitor.page(f"/appointments/{booked.public_id}")
    days = next(one for one in page.all("select") if one.get("name") == f"slot-{THURSDAY}")
    (selected,) = [one.get("value") for one in days if one.get("selected") is not None]
    assert selected == slot(room, "10:10")

    page = visitor.done(
        f"/appointments/{booked.public_id}/change", version="1", note="call before", day=THURSDAY,
        **{f"slot-{THURSDAY}": selected},
    )  # fmt: skip

    assert "The visit stays where it is." in page.text
    assert (only_visit().sequence, only_visit().time, only_visit().note) == (
        0,
        dt.time(10, 10),
        "call before",
    )


def test_a_stale_page_overwrites_nothing(nurse, room, pump, visit):
    booked = builders.create_appointment(pump=pump, resource=room)
    visitor = visit(nurse)
    here = f"/appointments/{booked.public_id}"
    visitor.page(here)
    visitor.done(f"{here}/change", version="1", **on(room, time="11:30"))

    page = visitor.submitted(f"{here}/change", 422, version="1", **on(room, time="12:00"))
    assert "Somebody else has just changed this visit" in page.text
    page = visitor.submitted(f"{here}/cancel", 422, version="1", reason="ill")
    assert only_visit().state == "booked"
    assert only_visit().time == dt.time(11, 30)


def test_a_visit_that_has_become_too_late_says_so_and_is_kept_with_a_reason(nurse, room, pump, visit):
    booked = builders.create_appointment(
        pump=pump, resource=room, day=dt.date(2026, 12, 10), starts_at=dt.datetime(2026, 12, 10, 9, tzinfo=dt.UTC),
        ends_at=dt.datetime(2026, 12, 10, 9, 30, tzinfo=dt.UTC),
    )  # fmt: skip
    create_forecast(pump=pump, days=11)
    visitor = visit(nurse)
    page = visitor.page(f"/appointments/{booked.public_id}")
    assert "too late" in page.text
    assert "The refill-by date has moved before this visit." in page.text

    page = visitor.done(
        f"/appointments/{booked.public_id}/change",
        version="1",
        **on(room, day="2026-12-10"),
        override_reason="abroad",
    )
    assert only_visit().override_reason == "abroad"
    assert only_visit().sequence == 0


def test_a_patient_who_cannot_be_written_to_is_to_be_called(nurse, room, visit):
    pump = ready_pump(nurse, "Moreau", phone=None, email=None)
    visitor = visit(nurse)
    visitor.page(f"/pumps/{pump.public_id}/book")

    page = visitor.done(f"/pumps/{pump.public_id}/book", **on(room))

    assert "call the patient on Sat 28 Nov 2026" in page.text
    assert db.session.scalars(select(Message)).all() == []


def test_past_visits_of_the_pump_are_listed(nurse, room, pump, visit):
    before = builders.create_appointment(
        pump=pump, resource=room, state="missed", day=dt.date(2026, 11, 16),
        starts_at=AT - dt.timedelta(days=7), ends_at=AT - dt.timedelta(days=7) + dt.timedelta(minutes=30),
    )  # fmt: skip
    booked = builders.create_appointment(pump=pump, resource=room)
    visitor = visit(nurse)

    assert re.search(
        "Mon 16 Nov 2026 10:00, Room 1 missed", visitor.page(f"/appointments/{booked.public_id}").text
    )
    page = visitor.page(f"/appointments/{before.public_id}")
    assert "Book another visit" in page.text
    assert not [field for field in page.all("input") if field.get("name") == "day"]


def test_another_clinics_visit_and_pump_do_not_exist(nurse, room, pump, visit):
    booked = builders.create_appointment(pump=pump, resource=room)
    stranger = visit(builders.create_user(role="nurse"))
    stranger.page("/worklist")

    for path in (f"/pumps/{pump.public_id}/book", f"/appointments/{booked.public_id}"):
        stranger.page(path, 404)
    for path in (f"/appointments/{booked.public_id}/change", f"/appointments/{booked.public_id}/cancel"):
        assert stranger.post(path, version="1", **on(room, time="11:00")).status_code == 404
    assert (
        stranger.get(
            f"/appointments/{booked.public_id}/days.json?first=2026-12-01&last=2026-12-07"
        ).status_code
        == 404
    )
    assert (only_visit().state, only_visit().sequence) == ("booked", 0)


def test_what_a_drag_asks_for_says_why_each_day_is_not_offered(nurse, room, pump, visit):
    booked = builders.create_appointment(pump=pump, resource=room)
    visitor = visit(nurse)
    here = f"/appointments/{booked.public_id}/days.json"

    days = visitor.get(f"{here}?first=2026-11-30&last=2026-12-13").json["days"]

    assert "2026-12-02" not in days
    assert days["2026-12-05"] == "closed: weekend"
    assert days["2026-12-07"] == "after the refill-by date 4 December 2026: risk of running empty"
    for wrong in ("", "?first=2026-12-05&last=2026-12-01", "?first=2026-01-01&last=2026-12-01"):
        assert visitor.get(here + wrong).status_code == 400
