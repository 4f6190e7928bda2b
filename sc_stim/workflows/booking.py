"""Booking, moving and cancelling refill visits.

Whoever books holds the patient's and then the nurse's or room's row until the commit, so two bookings of the same time
wait for each other and the second finds the first. What becomes of a visit afterwards is `workflows.visits`.
"""

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from sc_stim.access import in_clinic
from sc_stim.clinical import slots
from sc_stim.clinical.refusal import Refused
from sc_stim.clinical.slots import ClinicDiary, Diary, Due, Hours, Why
from sc_stim.models import Appointment, Clinic, ClinicResource, Device, OpeningHours, Patient
from sc_stim.models.appointment import BOOKED, CANCELLED, DONE
from sc_stim.models.series import start_of_day
from sc_stim.workflows import outbox, reminders
from sc_stim.workflows.audit import Actor
from sc_stim.workflows.refill_case import refill_case
from sc_stim.workflows.refusals import Conflict, FieldRefused
from sc_stim.workflows.registry import record_about

Values = Mapping[str, Any]

PLACE: Final = ("resource", "day", "time", "fold", "duration_min")  # what makes a change a move
_FIELD: Final = {Why.OUTSIDE_HOURS: "time"}  # which field a refusal names; `day` for all others
_TAKES_TIME: Final = (BOOKED, DONE)


def clinic_diary(
    session: Session, clinic: Clinic, first: dt.date, last: dt.date, *, without: Appointment | None = None
) -> ClinicDiary:
    """What `clinical.slots` reads: everybody who can be booked from `first` to `last`, by resource id.

    without: a visit that is being moved, whose present time is free
    """
    zone = ZoneInfo(clinic.time_zone)
    resources = select(ClinicResource).where(ClinicResource.active).order_by(ClinicResource.id)
    nested = (selectinload(ClinicResource.hours), selectinload(ClinicResource.absences))
    found = session.scalars(in_clinic(resources, ClinicResource, clinic.id).options(*nested)).all()
    window = start_of_day(first, zone), start_of_day(last + dt.timedelta(days=1), zone)
    busy = _busy(session, [row.id for row in found], *window, without)
    usual = clinic_hours(session, clinic.id)
    return ClinicDiary(
        zone=zone,
        country=f"{clinic.country}-{clinic.subdivision}" if clinic.subdivision else clinic.country,
        closures={closure.day: closure.reason for closure in clinic.closures},
        pharmacy_lead_days=clinic.pharmacy_lead_days,
        diaries=tuple(_diary(row, usual, busy[row.id]) for row in found),
    )


def clinic_hours(session: Session, clinic_id: int) -> list[OpeningHours]:
    """The hours of the clinic itself."""
    statement = select(OpeningHours).where(OpeningHours.resource_id.is_(None))
    order = (OpeningHours.weekday, OpeningHours.opens)
    return list(session.scalars(in_clinic(statement, OpeningHours, clinic_id).order_by(*order)))


def due(session: Session, pump: Device, at: dt.datetime) -> Due:
    """The refill-by date from the record as it stands now."""
    judged = refill_case(session, [pump.id], at)[pump.id].forecast(at)
    if isinstance(judged, Refused):
        return Due(None, refused=judged.detail)
    return Due(judged.refill_by, judged.binding_clock)


def best_slot(session: Session, pump: Device, *, at: dt.datetime) -> dict[str, Any] | None:
    """What `book` takes for the best free time before the refill-by date; None where no day is safe."""
    by, clinic = due(session, pump, at), pump.patient.clinic if pump.patient else None
    if by.refill_by is None or clinic is None:
        return None
    today = at.astimezone(ZoneInfo(clinic.time_zone)).date()
    diary = clinic_diary(session, clinic, today, max(by.refill_by, today))
    best = slots.best_slot(slots.offers(today, by.refill_by, at, diary, by), by)
    if best is None:
        return None
    resource = session.get_one(ClinicResource, best.key)
    return {"resource": resource, "day": best.day, "time": best.time, "fold": best.fold}


def book(session: Session, actor: Actor, pump: Device, values: Values, *, at: dt.datetime) -> Appointment:
    """Book a refill visit. Raises FieldRefused, and Conflict where the time or the patient is taken.

    values: `resource`, `day`, `time`, and perhaps `fold`, `duration_min`, `note`, `override_reason`
    """
    if pump.patient is None or not pump.in_use:
        raise FieldRefused("device_id", "is in nobody's body, so there is nobody to book a visit for")
    appointment = Appointment(
        clinic_id=actor.clinic_id,
        patient_id=pump.patient_id,
        patient=pump.patient,
        device=pump,
        note=values.get("note"),
        created_by_id=actor.user_id,
        created_at=at,
        state=BOOKED,
        sequence=0,
    )
    _place(session, pump.patient, appointment, {"fold": 0} | dict(values), at)
    session.add(appointment)
    _record(session, actor, "appointment.book", appointment, at)
    reminders.plan(session, appointment, at=at)
    return appointment


def change(
    session: Session, actor: Actor, appointment: Appointment, changes: Values, *, at: dt.datetime
) -> None:
    """Move a booked visit, change its note, or accept with a reason that it has become too late.

    changes: as for `book`; what is left out stays. Raises FieldRefused and Conflict.
    """
    _check_booked(appointment)
    moved = {name for name in PLACE if name in changes and changes[name] != _now(appointment, name)}
    if moved:
        place = {name: _now(appointment, name) for name in PLACE}
        place["fold"] = 0 if moved & {"day", "time"} else appointment.fold
        _place(session, appointment.patient, appointment, place | dict(changes), at)
        appointment.sequence += 1
    elif "override_reason" in changes:
        _accept_date(session, appointment, appointment.day, changes["override_reason"], at)
    appointment.note = changes.get("note", appointment.note)
    appointment.changed_by_id, appointment.changed_at = actor.user_id, at
    _record(session, actor, "appointment.move" if moved else "appointment.change", appointment, at)
    if moved:
        reminders.plan(session, appointment, at=at)


def cancel(
    session: Session, actor: Actor, appointment: Appointment, reason: str | None, *, at: dt.datetime
) -> None:
    """Call a booked visit off; calendars show it as cancelled for some weeks. Raises Conflict."""
    session.refresh(appointment, with_for_update=True)
    _check_booked(appointment)
    appointment.state, appointment.cancel_reason = CANCELLED, reason
    appointment.sequence += 1
    appointment.changed_by_id, appointment.changed_at = actor.user_id, at
    _record(session, actor, "appointment.cancel", appointment, at)
    reminders.plan(session, appointment, at=at)


def _place(
    session: Session, patient: Patient, appointment: Appointment, place: Values, at: dt.datetime
) -> None:
    """Give the visit this time, or say why it cannot have it."""
    clinic, resource, day = patient.clinic, place["resource"], place["day"]
    _lock(session, patient, resource)
    diary = clinic_diary(session, clinic, day, day, without=appointment)
    own = next((one for one in diary.diaries if one.key == resource.id), None)
    if own is None:
        raise FieldRefused("resource_id", f"{resource.name} is not booked any more")
    starts_at = slots.instant(day, place["time"], diary.zone, place["fold"])
    if starts_at is None:
        raise FieldRefused("time", "does not exist on this day: the clocks go forward over it")
    if starts_at <= at:
        raise FieldRefused("day", "lies in the past")
    ends_at = starts_at + dt.timedelta(minutes=place.get("duration_min") or _usual_min(own, day))
    _check_free(slots.why_not(starts_at, ends_at, day, own, diary))
    _check_patient(session, appointment, starts_at, ends_at)
    _accept_date(session, appointment, day, place.get("override_reason"), at)
    appointment.resource, appointment.resource_id = resource, resource.id
    appointment.starts_at, appointment.ends_at, appointment.time_zone = starts_at, ends_at, clinic.time_zone
    appointment.day, appointment.time = day, place["time"]
    appointment.fold, appointment.changed_at = starts_at.astimezone(diary.zone).fold, at


def _lock(session: Session, patient: Patient, resource: ClinicResource) -> None:
    """In this order everywhere. Not against rows that refer to them: a diary score does not wait for a booking."""
    for model, row in ((Patient, patient), (ClinicResource, resource)):
        session.execute(select(model.id).where(model.id == row.id).with_for_update(key_share=True))


def _check_free(refused: slots.NotOffered | None) -> None:
    if refused is None:
        return
    if refused.why is Why.FULLY_BOOKED:
        raise Conflict(refused.words)
    raise FieldRefused(_FIELD.get(refused.why, "day"), refused.words)


def _check_patient(
    session: Session, appointment: Appointment, starts_at: dt.datetime, ends_at: dt.datetime
) -> None:
    others = select(Appointment).where(
        Appointment.patient_id == appointment.patient_id, Appointment.state == BOOKED
    )
    for other in session.scalars(others.execution_options(populate_existing=True)):
        if other is appointment:
            continue
        if other.device_id == appointment.device.id:
            raise Conflict(f"this pump has a visit on {other.day} at {other.time:%H:%M}: move or cancel it")
        if starts_at < other.ends_at and other.starts_at < ends_at:
            raise Conflict("the patient has another visit at this time")


def _accept_date(
    session: Session, appointment: Appointment, day: dt.date, reason: str | None, at: dt.datetime
) -> None:
    """A day that is not safe for the pump needs a reason, which is kept with the date it was given for."""
    by = due(session, appointment.device, at)
    unsafe = slots.why_unsafe(day, by)
    if unsafe is not None and not reason:
        raise FieldRefused("override_reason", f"is needed, as this day cannot be called safe: {unsafe.words}")
    appointment.override_reason = reason if unsafe else None
    appointment.accepted_refill_by = by.refill_by if unsafe else None


def _check_booked(appointment: Appointment) -> None:
    if appointment.state != BOOKED:
        raise Conflict(f"this visit is {appointment.state}: book another one")


def _now(appointment: Appointment, name: str) -> Any:
    if name == "duration_min":
        return (appointment.ends_at - appointment.starts_at) // dt.timedelta(minutes=1)
    return getattr(appointment, name)


def _record(session: Session, actor: Actor, action: str, appointment: Appointment, at: dt.datetime) -> None:
    """Audit the act, and have the pump judged: its alerts and its danger may be others now."""
    session.flush()
    detail: dict[str, Any] = {
        "appointment": str(appointment.public_id), "day": appointment.day.isoformat(),
        "time": f"{appointment.time:%H:%M}", "resource": str(appointment.resource.public_id),
    }  # fmt: skip
    if appointment.override_reason:
        accepted = appointment.accepted_refill_by
        detail["override"] = accepted.isoformat() if accepted else "no forecast"
    record_about(session, actor, action, appointment.device, detail, at=at)
    outbox.ask(session, outbox.REFILL, [appointment.device_id], at)


def _busy(
    session: Session,
    resource_ids: Collection[int],
    since: dt.datetime,
    until: dt.datetime,
    without: Appointment | None,
) -> dict[int, list[tuple[dt.datetime, dt.datetime]]]:
    statement = select(Appointment.id, Appointment.resource_id, Appointment.starts_at, Appointment.ends_at)
    statement = statement.where(
        Appointment.resource_id.in_(resource_ids),
        Appointment.state.in_(_TAKES_TIME),
        Appointment.starts_at < until,
        Appointment.ends_at > since,
    )
    found: dict[int, list[tuple[dt.datetime, dt.datetime]]] = {key: [] for key in resource_ids}
    for row_id, resource_id, starts_at, ends_at in session.execute(statement):
        if without is None or row_id != without.id:
            found[resource_id].append((starts_at, ends_at))
    return found


def _diary(
    resource: ClinicResource,
    usual: Collection[OpeningHours],
    busy: Collection[tuple[dt.datetime, dt.datetime]],
) -> Diary:
    return Diary(
        key=resource.id,
        hours=tuple(
            Hours(row.weekday, row.opens, row.closes, row.slot_min) for row in resource.hours or usual
        ),
        absences=tuple(slots.Absence(row.first_day, row.last_day, row.reason) for row in resource.absences),
        busy=tuple(busy),
    )


def _usual_min(diary: Diary, day: dt.date) -> int:
    """The slot length of this weekday; a day without hours is refused for that."""
    return next((hours.slot_min for hours in diary.hours if hours.weekday == day.weekday()), 30)
