"""What cannot be booked, also when two people try at once."""

import datetime as dt
import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from sc_stim.extensions import db
from sc_stim.models import Absence, Appointment, ClinicClosure, ClinicResource, Device
from sc_stim.workflows import booking
from sc_stim.workflows.audit import Actor
from sc_stim.workflows.refusals import Conflict, FieldRefused
from tests.apps import both_databases, read
from tests.builders import (
    AT,
    create_appointment,
    create_clinic,
    create_fill,
    create_patient,
    create_pump,
    create_resource,
    create_setting,
    create_user,
)

pytestmark = both_databases

THURSDAY = dt.date(2026, 12, 3)


def ready_pump(**values: Any) -> Device:
    pump = create_pump(**values)
    create_setting(device=pump)
    create_fill(pump=pump)
    return pump


def nurse(pump: Device) -> Actor:
    user = create_user(clinic=pump.patient.clinic, role="nurse")
    return Actor(pump.clinic_id, str(user.public_id), b"key", user.id)


def place(room: ClinicResource, **changes: Any) -> dict[str, Any]:
    return {"resource": room, "day": THURSDAY, "time": dt.time(10)} | changes


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"time": dt.time(7)}, "time", "outside the hours on Thursdays, 08:00 to 16:00"),
        ({"time": dt.time(15, 45)}, "time", "outside the hours on Thursdays, 08:00 to 16:00"),
        ({"day": dt.date(2026, 12, 5)}, "day", "closed: weekend"),
        ({"day": dt.date(2026, 12, 1)}, "day", "closed: staff outing"),
        ({"day": dt.date(2026, 12, 2)}, "day", "not there: training"),
        ({"day": dt.date(2026, 11, 20)}, "day", "lies in the past"),
        (
            {"day": dt.date(2026, 12, 17)},
            "override_reason",
            "is needed, as this day cannot be called safe: after the refill-by date",
        ),
    ],
)
def test_what_cannot_be_booked_says_which_field_and_why(
    app: Flask, changes: dict[str, Any], field: str, words: str
) -> None:
    pump = ready_pump()
    clinic = pump.patient.clinic
    clinic.closures = [ClinicClosure(day=dt.date(2026, 12, 1), reason="staff outing")]
    away = Absence(first_day=dt.date(2026, 12, 2), last_day=dt.date(2026, 12, 2), reason="training")
    room = create_resource(clinic=clinic, absences=[away])
    with pytest.raises(FieldRefused) as refused:
        booking.book(db.session(), nurse(pump), pump, place(room, **changes), at=AT)
    assert refused.value.field == field
    assert refused.value.reason.startswith(words)
    db.session.rollback()


def test_a_time_that_the_clocks_leave_out_is_refused(app: Flask) -> None:
    clinic = create_clinic(country="SA", time_zone="America/New_York")  # where people work on Sundays
    pump = ready_pump(patient=create_patient(clinic=clinic))
    night = {"weekday": 6, "opens": dt.time(1), "closes": dt.time(5), "slot_min": 30, "clinic_id": clinic.id}
    room = create_resource(clinic=clinic)
    room.hours = [type(room.hours[0])(**night)]
    db.session.commit()
    gap = place(room, day=dt.date(2028, 3, 12), time=dt.time(2, 30), override_reason="far ahead")
    with pytest.raises(FieldRefused, match="time: does not exist on this day"):
        booking.book(db.session(), nurse(pump), pump, gap, at=AT)
    db.session.rollback()


def test_nobody_and_nothing_is_booked_twice_at_one_time(app: Flask) -> None:
    pump = ready_pump()
    clinic, by = pump.patient.clinic, nurse(pump)
    room, other_room = create_resource(clinic=clinic), create_resource(clinic=clinic)
    booking.book(db.session(), by, pump, place(room), at=AT)
    for another, values, words in (
        (ready_pump(clinic=clinic), place(room, time=dt.time(10, 15)), "another visit is booked"),
        (pump, place(other_room, time=dt.time(14)), "this pump has a visit on 2026-12-03 at 10:00"),
        (ready_pump(patient=pump.patient), place(other_room), "the patient has another visit"),
    ):
        with pytest.raises(Conflict, match=words):
            booking.book(db.session(), by, another, values, at=AT)
    booking.book(db.session(), by, ready_pump(clinic=clinic), place(room, time=dt.time(10, 30)), at=AT)
    db.session.commit()


def test_a_visit_can_be_moved_within_its_own_time(app: Flask) -> None:
    pump = ready_pump()
    room, by = create_resource(clinic=pump.patient.clinic), nurse(pump)
    visit = booking.book(db.session(), by, pump, place(room), at=AT)
    booking.change(db.session(), by, visit, {"time": dt.time(10, 10)}, at=AT)
    db.session.commit()
    assert (visit.time, visit.sequence, visit.ends_at - visit.starts_at) == (
        dt.time(10, 10), 1, dt.timedelta(minutes=30),
    )  # fmt: skip
    booking.change(db.session(), by, visit, {"time": dt.time(10, 10), "note": "early"}, at=AT)
    db.session.commit()
    assert visit.sequence == 1


def test_the_database_keeps_a_pump_from_two_booked_visits(app: Flask) -> None:
    pump = ready_pump()
    room = create_resource(clinic=pump.patient.clinic)
    create_appointment(pump=pump, resource=room, state="cancelled")
    create_appointment(pump=pump, resource=room)
    with pytest.raises(IntegrityError):
        create_appointment(pump=pump, resource=room)
    db.session.rollback()


def test_of_two_people_who_book_the_same_time_at_once_one_gets_it(app: Flask) -> None:
    pumps = [ready_pump(clinic=create_clinic())]
    pumps.append(ready_pump(clinic=pumps[0].patient.clinic))
    room = create_resource(clinic=pumps[0].patient.clinic)
    actors = [nurse(pump) for pump in pumps]
    assert race(pumps, actors, lambda session: place(session.get_one(ClinicResource, room.id))) == [
        "Conflict", "booked",
    ]  # fmt: skip


def test_of_two_people_who_book_the_same_patient_at_once_one_does(app: Flask) -> None:
    pump = ready_pump()
    rooms = [create_resource(clinic=pump.patient.clinic) for _ in range(2)]
    taken = iter(rooms)
    lock = threading.Lock()

    def another_room(session: Session) -> dict[str, Any]:
        with lock:
            return place(session.get_one(ClinicResource, next(taken).id))

    assert race([pump, pump], [nurse(pump), nurse(pump)], another_room) == ["Conflict", "booked"]


def race(pumps: list[Device], actors: list[Actor], where: Callable[[Session], dict[str, Any]]) -> list[str]:
    """Book in two sessions that have both begun; what became of each, in alphabetical order."""
    db.session.commit()
    ids, engine = [pump.id for pump in pumps], db.engine
    begun, outcomes = threading.Barrier(2), []

    def book(pump_id: int, actor: Actor) -> None:
        with Session(engine) as session:
            if engine.dialect.name == "postgresql":  # SQLite lets only one begin, which is the point
                session.execute(select(Appointment.id)).all()
                begun.wait(20)
            try:
                booking.book(session, actor, session.get_one(Device, pump_id), where(session), at=AT)
                session.commit()
                outcomes.append("booked")
            except Conflict as refused:
                outcomes.append(type(refused).__name__)

    threads = [threading.Thread(target=book, args=one) for one in zip(ids, actors, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(read(select(Appointment).where(Appointment.state == "booked"))) == 1
    return sorted(outcomes)
