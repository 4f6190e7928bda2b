"""Messages to patients about their visits: one some days before, two after a missed one.

They say when and whom to call, nothing about the person or the therapy. A patient who cannot be written to is called
by somebody: see `workflows.visits`.
"""

import datetime as dt
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from sc_stim.clinical.slots import shipped_rules
from sc_stim.models import Appointment, Clinic, Device, Message, Patient
from sc_stim.models.appointment import BOOKED
from sc_stim.workflows import messaging

KIND: Final = "visit_reminder"
TITLE: Final = "Your appointment"
# Messages go out in the clinic's day, and what cannot be delivered in that day is left to a person.
MORNING: Final = dt.time(9)
EVENING: Final = dt.time(20)


def plan(session: Session, appointment: Appointment, *, at: dt.datetime) -> None:
    """After booking, moving or ending: what was planned for this pump's visits is off, this one's reminder is on."""
    messaging.cancel(session, at=at, prefix=_prefix(appointment.device, "visit"))
    forget_missed(session, appointment.device, at=at)
    if appointment.state == BOOKED:
        _owe_reminder(session, appointment, at)


def plan_missed(session: Session, appointment: Appointment, *, at: dt.datetime) -> None:
    """After a visit was missed: two messages, unless another visit or a fill comes first."""
    rules = shipped_rules()
    for days in (rules.first_call_after_missed_d, rules.second_call_after_missed_d):
        day = appointment.day + dt.timedelta(days=days)
        if _at(day, EVENING, appointment) > at:
            _owe(
                session, appointment, f"{_key(appointment, 'missed')}:{days:g}", day, _missed(appointment), at
            )


def forget_missed(session: Session, pump: Device, *, at: dt.datetime) -> None:
    """The missed visit was made up for."""
    messaging.cancel(session, at=at, prefix=_prefix(pump, "missed"))


def readdress(session: Session, patient: Patient, *, at: dt.datetime) -> None:
    """The patient's phone number or address has changed: nothing goes to the old one any more.

    A patient who had none so far is owed the reminder now; one who has none any more is called by somebody.
    """
    found = _address(patient)
    if found is None:
        values = {"state": messaging.FAILED, "ended_at": at, "problem": "no_address"}
    else:
        values = {"channel": found[0], "address": found[1]}
    waiting = (Message.patient_id == patient.id, Message.kind == KIND, Message.state == messaging.WAITING)
    session.execute(
        update(Message).where(*waiting).values(values), execution_options={"synchronize_session": False}
    )
    booked = select(Appointment).where(Appointment.patient_id == patient.id, Appointment.state == BOOKED)
    for appointment in session.scalars(booked.order_by(Appointment.id)):
        _owe_reminder(session, appointment, at)


def reminder_day(appointment: Appointment) -> dt.date:
    """The local day on which the patient is reminded of this visit."""
    return appointment.day - dt.timedelta(days=shipped_rules().reminder_before_d)


def reminder_key(appointment: Appointment) -> str:
    """The effect key of this visit's reminder, at its present time."""
    return _key(appointment, "visit")


def reachable(patient: Patient) -> bool:
    """Whether a message can be sent to the patient at all."""
    return _address(patient) is not None


def _owe_reminder(session: Session, appointment: Appointment, at: dt.datetime) -> None:
    day = reminder_day(appointment)
    if _at(day, MORNING, appointment) > at:
        _owe(session, appointment, _key(appointment, "visit"), day, _coming(appointment), at)


def _owe(
    session: Session, appointment: Appointment, key: str, day: dt.date, body: str, at: dt.datetime
) -> None:
    found = _address(appointment.patient)
    if found is None:
        return
    channel, address = found
    messaging.owe(
        session,
        clinic_id=appointment.clinic_id,
        effect_key=key,
        kind=KIND,
        channel=channel,
        address=address,
        title=TITLE,
        body=body,
        at=at,
        due_at=_at(day, MORNING, appointment),
        expires_at=_at(day, EVENING, appointment),
        patient_id=appointment.patient_id,
    )


def _address(patient: Patient) -> tuple[str, str] | None:
    if patient.phone:
        return messaging.SMS, patient.phone
    return (messaging.EMAIL, patient.email) if patient.email else None


def _coming(appointment: Appointment) -> str:
    when = f"{appointment.day:%A} {appointment.day.day} {appointment.day:%B} at {appointment.time:%H:%M}"
    return f"You have an appointment on {when}. To change it, {_call(appointment.patient.clinic)}."


def _missed(appointment: Appointment) -> str:
    when = f"{appointment.day:%A} {appointment.day.day} {appointment.day:%B}"
    return f"You had an appointment on {when}. For a new one, {_call(appointment.patient.clinic)}."


def _call(clinic: Clinic) -> str:
    return f"please call {clinic.phone}" if clinic.phone else "please call us"


def _at(day: dt.date, time: dt.time, appointment: Appointment) -> dt.datetime:
    return dt.datetime.combine(day, time, ZoneInfo(appointment.time_zone)).astimezone(dt.UTC)


def _prefix(pump: Device, kind: str) -> str:
    return f"{kind}:{pump.public_id}:"


def _key(appointment: Appointment, kind: str) -> str:
    return f"{_prefix(appointment.device, kind)}{appointment.public_id}:{appointment.sequence}"
