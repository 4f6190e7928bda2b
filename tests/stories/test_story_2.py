"""Book and sync: a visit is booked from a proposal, shows in the clinic's calendar, moves, and keeps its local time."""

import datetime as dt
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from icalendar import Calendar, Event
from sqlalchemy import select

from sc_stim.extensions import db
from sc_stim.models import AuditEntry, Device
from sc_stim.tasks.jobs import judge_pump
from tests.apps import As, Time, both_databases, read
from tests.builders import (
    create_clinic,
    create_fill,
    create_patient,
    create_pump,
    create_resource,
    create_setting,
    create_user,
)

pytestmark = both_databases

# Filled on a Monday with enough for some weeks: to be refilled after the clocks of New York have gone forward.
NOW = dt.datetime(2027, 3, 1, 14, tzinfo=dt.UTC)


def test_the_nurse_books_thursday_at_ten_and_the_calendar_follows(app: Flask, api: As, time: Time) -> None:
    time.at = NOW
    clinic = create_clinic(time_zone="America/New_York", country="US", subdivision="NY", pharmacy_lead_days=3)
    patient = create_patient(clinic=clinic, given_name="Unmistakable", family_name="Person")
    pump = create_pump(patient=patient)
    create_setting(device=pump, effective_at=NOW - dt.timedelta(days=60), flow_ml_per_day=0.5)
    create_fill(pump=pump, at=NOW - dt.timedelta(days=10), filled_ml=20.0)
    room = create_resource(clinic=clinic, name="Room 2")
    nurse = api(
        create_user(clinic=clinic, role="nurse"),
        created_at=NOW,
        last_used_at=NOW,
        expires_at=NOW + dt.timedelta(hours=12),
    )
    feed = nurse.post("/calendar-feeds", {}).json
    address = urlsplit(feed["address"]).path

    proposed = nurse.get(f"/pumps/{pump.public_id}/slots", **{"from": "2027-03-01", "to": "2027-03-31"}).json
    days = {day["day"]: day for day in proposed["days"]}
    refill_by = proposed["refill_by"]
    assert "2027-03-14" < refill_by < "2027-03-31"
    assert days["2027-03-02"]["words"] == "the pharmacy needs 3 days"
    assert days["2027-03-13"]["words"] == "closed: weekend"
    assert days["2027-03-31"]["words"].startswith("after the refill-by date ")
    assert all(not day["slots"] for day in proposed["days"] if day["day"] > refill_by)
    assert all(bool(day["slots"]) != bool(day["words"]) for day in proposed["days"])
    assert proposed["best"]["day"] <= refill_by

    thursday = {
        "device_id": str(pump.public_id),
        "resource_id": str(room.public_id),
        "day": "2027-03-18",
        "time": "10:00",
    }
    booked = nurse.post("/appointments", thursday)
    assert booked.status_code == 201
    assert booked.json["starts_at"] == "2027-03-18T14:00:00Z"  # 15:00 it would be before the clocks change
    assert nurse.post("/appointments", thursday).status_code == 409
    late = nurse.patch(f"/appointments/{booked.json['id']}", {"day": "2027-03-31"})
    assert late.json["errors"][0]["field"] == "override_reason"

    before = visit(api(None).get(address).data)
    assert dt.datetime(2027, 3, 18, 14, tzinfo=dt.UTC) == before.DTSTART
    assert str(before["DTSTART"].to_ical(), "ascii") == "20270318T100000"
    assert before["DTSTART"].params["TZID"] == "America/New_York"

    moved = nurse.patch(f"/appointments/{booked.json['id']}", {"day": "2027-03-11"}).json
    assert moved["starts_at"] == "2027-03-11T15:00:00Z"
    text = api(None).get(address).data
    after = visit(text)
    assert (after["UID"], after["SEQUENCE"]) == (before["UID"], before["SEQUENCE"] + 1)
    assert after.DTSTART.astimezone(dt.UTC) == dt.datetime(2027, 3, 11, 15, tzinfo=dt.UTC)
    for told in (b"Unmistakable", b"Person", b"morphine", patient.mrn.encode()):
        assert told not in text

    judge(pump, NOW)
    (row,) = nurse.get("/refills", due_within_days=60).json["items"]
    assert row["appointment"]["id"] == booked.json["id"]
    assert (row["appointment"]["time"], row["appointment"]["too_late"]) == ("10:00", False)

    assert nurse.delete(f"/calendar-feeds/{feed['id']}").status_code == 204
    assert api(None).get(address).status_code == 404
    assert [entry.action for entry in entries()] == [
        "calendar.create", "appointment.book", "calendar.read", "appointment.move", "calendar.revoke",
    ]  # fmt: skip


def visit(calendar: bytes) -> Event:
    """The one visit in a calendar, as an independent parser reads it."""
    (found,) = [event for event in Calendar.from_ical(calendar).events if "SEQUENCE" in event]
    return found


def judge(pump: Device, at: dt.datetime) -> None:
    judge_pump(db.session(), {pump.id: at}, at)
    db.session.commit()


def entries() -> list[Any]:
    about = AuditEntry.action.startswith("calendar.") | AuditEntry.action.startswith("appointment.")
    return read(select(AuditEntry).where(about).order_by(AuditEntry.id))
