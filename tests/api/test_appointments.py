"""Refill visits through HTTP: proposals, booking, moving, cancelling; hours, nurses and rooms."""

import datetime as dt
from typing import Any

from flask import Flask
from sqlalchemy import select

from sc_stim.extensions import db
from sc_stim.models import Alert, Appointment, AuditEntry, Device, Message
from sc_stim.workflows import visits
from tests.apps import As, Time, both_databases, read
from tests.builders import (
    AT,
    create_appointment,
    create_clinic,
    create_fill,
    create_patient,
    create_pump,
    create_resource,
    create_setting,
    create_stimulator,
    create_user,
)


def ready_pump(**values: Any) -> Device:
    """To be refilled by 4 December."""
    pump = create_pump(**values)
    create_setting(device=pump)
    create_fill(pump=pump)
    return pump


def visit(pump: Device, room: Any, **changes: Any) -> dict[str, Any]:
    ids = {"device_id": str(pump.public_id), "resource_id": str(room.public_id)}
    return ids | {"day": "2026-12-03", "time": "10:00"} | changes


@both_databases
def test_a_visit_is_booked_listed_moved_and_called_off(app: Flask, api: As) -> None:
    pump = ready_pump()
    room = create_resource(clinic=pump.patient.clinic)
    nurse = create_user(clinic=pump.patient.clinic, role="nurse")
    caller = api(nurse)
    made = caller.post("/appointments", visit(pump, room, note="bring the handset"))
    assert (made.status_code, made.headers["ETag"]) == (201, '"1"')
    here = made.headers["Location"].removeprefix("/api/v1")
    shown = caller.get(here).json
    assert shown == made.json
    assert (shown["starts_at"], shown["ends_at"]) == ("2026-12-03T09:00:00Z", "2026-12-03T09:30:00Z")
    assert (shown["day"], shown["time"], shown["time_zone"]) == ("2026-12-03", "10:00", "Europe/Berlin")
    assert (shown["state"], shown["sequence"], shown["too_late"]) == ("booked", 0, False)
    assert shown["created_by"]["name"] == nurse.name

    moved = caller.patch(here, {"time": "11:30"})
    assert (moved.json["sequence"], moved.json["starts_at"]) == (1, "2026-12-03T10:30:00Z")
    assert caller.patch(here, {"time": "12:00"}, version=1).status_code == 412
    assert caller.patch(here, {"time": "12:00"}, version=None).status_code == 428

    called_off = caller.post(f"{here}/cancel", {"reason": "ill"}).json
    assert (called_off["state"], called_off["cancel_reason"], called_off["sequence"]) == (
        "cancelled",
        "ill",
        2,
    )
    assert caller.post(f"{here}/cancel", {}).status_code == 409
    assert caller.patch(here, {"time": "12:00"}, version=called_off["version"]).status_code == 409
    assert caller.post("/appointments", visit(pump, room)).status_code == 201


@both_databases
def test_a_late_visit_is_booked_only_with_a_reason_and_that_is_on_record(app: Flask, api: As) -> None:
    pump = ready_pump()
    room = create_resource(clinic=pump.patient.clinic)
    caller = api(create_user(clinic=pump.patient.clinic, role="nurse"))
    late = visit(pump, room, day="2026-12-17")
    (error,) = caller.post("/appointments", late).json["errors"]
    assert error["field"] == "override_reason"
    assert "after the refill-by date 4 December 2026: risk of running empty" in error["message"]
    made = caller.post("/appointments", late | {"override_reason": "abroad until then"}).json
    assert (made["override_reason"], made["accepted_refill_by"]) == ("abroad until then", "2026-12-04")
    (entry,) = read(select(AuditEntry).where(AuditEntry.action == "appointment.book"))
    assert entry.subject == str(pump.patient.public_id)
    assert entry.detail["override"] == "2026-12-04"
    assert "abroad" not in str(entry.detail)


def test_proposals_lie_around_the_refill_by_date_and_say_why_others_do_not(app: Flask, api: As) -> None:
    pump = ready_pump()
    room = create_resource(clinic=pump.patient.clinic)
    taken = create_appointment(pump=ready_pump(clinic=pump.patient.clinic), resource=room)
    caller = api(create_user(clinic=pump.patient.clinic, role="nurse"))
    found = caller.get(f"/pumps/{pump.public_id}/slots").json
    assert (found["refill_by"], found["binding_clock"]) == ("2026-12-04", "empty_probability")
    days = {day["day"]: day for day in found["days"]}
    assert (min(days), max(days)) == ("2026-11-23", "2026-12-11")
    thursday = [slot["time"] for slot in days["2026-12-03"]["slots"]]
    assert taken.time == dt.time(10)
    assert (len(thursday), "10:00" in thursday, thursday[0]) == (15, False, "08:00")
    assert (days["2026-12-05"]["why"], days["2026-12-05"]["words"]) == ("weekend", "closed: weekend")
    assert days["2026-12-07"]["why"] == "after_refill_by"
    assert (found["best"]["day"], found["best"]["time"]) == ("2026-12-01", "08:00")
    assert found["soonest"] is None
    best = found["best"]
    booked = caller.post(
        "/appointments",
        visit(pump, room, day=best["day"], time=best["time"], fold=best["fold"]),
    )
    assert booked.json["starts_at"] == best["starts_at"]
    for query in ({"from": "2026-12-05", "to": "2026-12-04"}, {"from": "2026-01-01", "to": "2026-12-04"}):
        assert caller.get(f"/pumps/{pump.public_id}/slots", **query).status_code == 422


def test_an_overdue_pump_has_no_safe_day_but_a_soonest_time(app: Flask, api: As) -> None:
    pump = create_pump()
    create_setting(device=pump, effective_at=AT - dt.timedelta(days=90))
    create_fill(pump=pump, at=AT - dt.timedelta(days=60))
    create_resource(clinic=pump.patient.clinic)
    caller = api(create_user(clinic=pump.patient.clinic, role="nurse"))
    found = caller.get(f"/pumps/{pump.public_id}/slots").json
    assert found["refill_by"] < "2026-11-23"
    assert (found["best"], found["soonest"]["day"], found["soonest"]["time"]) == (None, "2026-11-23", "09:30")
    assert not any(day["slots"] for day in found["days"])


def test_only_a_pump_that_somebody_lives_with_is_booked(app: Flask, api: As) -> None:
    stimulator = create_stimulator()
    room = create_resource(clinic=stimulator.patient.clinic)
    caller = api(create_user(clinic=stimulator.patient.clinic, role="nurse"))
    assert caller.post("/appointments", visit(stimulator, room)).json["errors"][0]["field"] == "device_id"
    assert caller.get(f"/pumps/{stimulator.public_id}/slots").status_code == 404
    out = ready_pump(clinic=stimulator.patient.clinic, explanted_on=AT.date())
    assert caller.post("/appointments", visit(out, room)).json["errors"][0]["field"] == "device_id"


@both_databases
def test_the_list_is_narrowed_by_time_device_nurse_and_state(app: Flask, api: As) -> None:
    first = create_appointment(pump=create_pump())
    clinic = first.patient.clinic
    other = create_appointment(
        pump=create_pump(clinic=clinic), state="missed", starts_at=AT, ends_at=AT + dt.timedelta(hours=1)
    )
    caller = api(create_user(clinic=clinic, role="nurse"))

    def ids(**query: str) -> list[str]:
        return [row["id"] for row in caller.get("/appointments", **query).json["items"]]

    one, two = str(first.public_id), str(other.public_id)
    assert ids() == [two, one]
    assert ids(state="booked") == [one]
    assert ids(device_id=str(other.device.public_id)) == [two]
    assert ids(resource_id=str(first.resource.public_id)) == [one]
    assert ids(**{"from": "2026-12-03T09:00:00Z"}) == [one]
    assert ids(to="2026-12-03T09:00:00Z") == [two]
    page = caller.get("/appointments", limit=1).json
    assert caller.get("/appointments", limit=1, cursor=page["next_cursor"]).json["items"][0]["id"] == one


def test_hours_are_set_as_a_whole_and_must_make_sense(app: Flask, api: As) -> None:
    clinic = create_clinic()
    caller = api(create_user(clinic=clinic, role="admin"))
    monday = {"weekday": 0, "opens": "08:00", "closes": "12:00", "slot_min": 20}
    afternoon = monday | {"opens": "13:00", "closes": "16:00"}
    for version in (1, 2):
        changed = caller.patch("/clinic-hours", {"hours": [afternoon, monday]}, version=version)
        assert changed.status_code == 200
    assert caller.get("/clinic-hours").json == {"hours": [monday, afternoon], "version": 3}
    for wrong in ([monday, monday], [monday | {"closes": "07:00"}], [monday | {"closes": "24:00"}]):
        assert caller.patch("/clinic-hours", {"hours": wrong}, version=3).status_code == 422


def test_a_nurse_has_an_account_hours_and_absences(app: Flask, api: As, time: Time) -> None:
    clinic = create_clinic()
    user = create_user(clinic=clinic, role="nurse")
    caller = api(user)
    away = {"first_day": "2026-12-21", "last_day": "2026-12-23", "reason": "training"}
    hours = {"weekday": 1, "opens": "08:00", "closes": "12:00", "slot_min": 30}
    new = {"kind": "nurse", "name": "Robin", "user_id": str(user.public_id), "hours": [hours]}
    made = caller.post("/resources", new).json
    assert (made["user"]["name"], made["hours"], made["absences"]) == (user.name, [hours], [])
    changed = caller.patch(f"/resources/{made['id']}", {"absences": [away]}).json
    assert (changed["absences"], changed["hours"], changed["version"]) == ([away], [hours], 2)
    assert caller.post("/resources", new).status_code == 409
    assert caller.post("/resources", new | {"kind": "room"}).json["errors"][0]["field"] == "user_id"
    turned = away | {"last_day": "2026-12-20"}
    assert caller.patch(f"/resources/{made['id']}", {"absences": [turned]}, version=2).status_code == 422
    assert [row["id"] for row in caller.get("/resources").json["items"]] == [made["id"]]


def test_a_room_that_is_not_in_use_any_more_is_neither_proposed_nor_booked(app: Flask, api: As) -> None:
    pump = ready_pump()
    room = create_resource(clinic=pump.patient.clinic, active=False)
    caller = api(create_user(clinic=pump.patient.clinic, role="nurse"))
    assert not any(day["slots"] for day in caller.get(f"/pumps/{pump.public_id}/slots").json["days"])
    assert caller.post("/appointments", visit(pump, room)).json["errors"][0]["field"] == "resource_id"
    assert read(select(Appointment)) == []


@both_databases
def test_a_reminder_goes_to_the_number_that_the_patient_has_now(app: Flask, api: As, time: Time) -> None:
    pump = ready_pump()
    caller = api(create_user(clinic=pump.patient.clinic))
    patient = f"/patients/{pump.patient.public_id}"
    caller.post("/appointments", visit(pump, create_resource(clinic=pump.patient.clinic)))
    version = caller.patch(patient, {"phone": "+49 30 5550199"}).json["version"]
    assert [(row.address, row.state) for row in read(select(Message))] == [("+49 30 5550199", "waiting")]
    version = caller.patch(patient, {"phone": None}, version=version).json["version"]
    (message,) = read(select(Message))
    assert (message.state, message.problem) == ("failed", "no_address"), "somebody calls the patient instead"
    visits.flag(db.session(), [pump.id], AT + dt.timedelta(days=6))
    assert [row.condition for row in read(select(Alert))] == ["reminder_by_phone"]


def test_a_patient_whose_number_comes_after_the_booking_is_reminded(app: Flask, api: As) -> None:
    pump = ready_pump(patient=create_patient(phone=None))
    caller = api(create_user(clinic=pump.patient.clinic))
    caller.post("/appointments", visit(pump, create_resource(clinic=pump.patient.clinic)))
    assert read(select(Message)) == []
    caller.patch(f"/patients/{pump.patient.public_id}", {"phone": "+49 30 5550199"})
    assert [(row.address, row.state) for row in read(select(Message))] == [("+49 30 5550199", "waiting")]
