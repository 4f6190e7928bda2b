"""Keeping the record of patients, their care pathway and their devices."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import inspect, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from sc_stim.models import Assessment, Device, DeviceState, Fill, Lead, Patient, Treatment
from sc_stim.models.base import PHI
from sc_stim.models.device import ids_of_patient
from sc_stim.workflows import audit, outbox, reminders
from sc_stim.workflows.audit import Actor
from sc_stim.workflows.refusals import Conflict, FieldRefused

Values = Mapping[str, Any]

PUMP_FIELDS: Final = (
    "reservoir_ml", "low_reservoir_alarm_ml", "accuracy_pct", "end_of_service_on", "catheter_tip_level",
    "catheter_volume_ml",
)  # fmt: skip
# A date is local, the clock is UTC: the latest date on earth is up to 14 hours ahead.
_DATE_LINE: Final = dt.timedelta(hours=14)


def register_patient(session: Session, actor: Actor, values: Values, *, at: dt.datetime) -> Patient:
    """A new patient of the actor's clinic. Raises Conflict when the record number is taken."""
    patient = Patient(clinic_id=actor.clinic_id, created_at=at, **values)
    _add_unique(session, patient, "this clinic has a patient with this mrn already")
    audit.record(session, actor, "patient.create", "patient", patient.public_id, at=at)
    return patient


def change_patient(
    session: Session, actor: Actor, patient: Patient, changes: Values, *, at: dt.datetime
) -> None:
    """Change what people edit of a patient. Raises Conflict when the new record number is taken."""
    changed = _change(session, patient, changes, "this clinic has a patient with this mrn already")
    audit.record(session, actor, "patient.change", "patient", patient.public_id, {"changed": changed}, at=at)
    if "time_zone" in changed:
        outbox.ask(session, outbox.PAIN, [patient.id], at)
    if changed.keys() & {"phone", "email"}:
        reminders.readdress(session, patient, at=at)
    if changed.keys() & {"time_zone", "withdrawal_prone", "phone", "email"}:
        outbox.ask(session, outbox.REFILL, ids_of_patient(session, patient.id, kind="pump"), at)


def add_treatment(
    session: Session, actor: Actor, patient: Patient, values: Values, *, at: dt.datetime
) -> Treatment:
    """A step of the care pathway. Raises FieldRefused."""
    treatment = Treatment(clinic_id=actor.clinic_id, patient_id=patient.id, created_at=at, **values)
    _check_treatment(treatment)
    session.add(treatment)
    session.flush()
    detail = {"treatment": str(treatment.public_id)}
    audit.record(session, actor, "treatment.create", "patient", patient.public_id, detail, at=at)
    outbox.ask(session, outbox.PAIN, [patient.id], at, since=_news_since(at, treatment.started_on))
    return treatment


def change_treatment(
    session: Session,
    actor: Actor,
    patient: Patient,
    treatment: Treatment,
    changes: Values,
    *,
    at: dt.datetime,
) -> None:
    """Raises FieldRefused."""
    started_before = treatment.started_on
    changed = _change(session, treatment, changes)
    _check_treatment(treatment)
    detail = {"treatment": str(treatment.public_id), "changed": changed}
    audit.record(session, actor, "treatment.change", "patient", patient.public_id, detail, at=at)
    since = _news_since(at, min(started_before, treatment.started_on))
    outbox.ask(session, outbox.PAIN, [patient.id], at, since=since)


def add_assessment(
    session: Session, actor: Actor, patient: Patient, values: Values, *, at: dt.datetime
) -> Assessment:
    """An examination and what it found."""
    assessment = Assessment(clinic_id=actor.clinic_id, patient_id=patient.id, created_at=at, **values)
    session.add(assessment)
    session.flush()
    detail = {"assessment": str(assessment.public_id)}
    audit.record(session, actor, "assessment.create", "patient", patient.public_id, detail, at=at)
    return assessment


def change_assessment(
    session: Session,
    actor: Actor,
    patient: Patient,
    assessment: Assessment,
    changes: Values,
    *,
    at: dt.datetime,
) -> None:
    changed = _change(session, assessment, changes)
    detail = {"assessment": str(assessment.public_id), "changed": changed}
    audit.record(session, actor, "assessment.change", "patient", patient.public_id, detail, at=at)


def register_device(
    session: Session,
    actor: Actor,
    values: Values,
    patient: Patient | None = None,
    leads: Sequence[Values] = (),
    *,
    at: dt.datetime,
) -> Device:
    """A new pump or stimulator. Raises FieldRefused, and Conflict when this serial number is registered already."""
    patient_id = patient.id if patient else None
    device = Device(clinic_id=actor.clinic_id, created_at=at, patient_id=patient_id, **values)
    device.leads = _leads(leads)
    _check_device(device, patient, at)
    _add_unique(session, device, f"{device.model} with serial {device.serial!r} is registered already")
    record_about(session, actor, "device.create", device, at=at)
    _ask_about(session, device, at)
    return device


def change_device(
    session: Session,
    actor: Actor,
    device: Device,
    changes: Values,
    leads: Sequence[Values] | None = None,
    *,
    at: dt.datetime,
) -> None:
    """Change what people edit of a device. Raises FieldRefused.

    changes: columns by name, and `patient` (a Patient or None) to say whose it is
    leads: in place of all its leads
    """
    columns = {name: value for name, value in changes.items() if name != "patient"}
    changed = _change(session, device, columns)
    if changes.get("patient", device.patient) is not device.patient:
        _leave_patient(session, actor, device, at)
        device.patient = changes["patient"]
        changed["patient"] = None
    if leads is not None:
        device.leads.clear()
        session.flush()  # positions are unique: the old ones go before the new ones come
        device.leads.extend(_leads(leads))
        flag_modified(device, "model")  # the version covers the leads too
        changed["leads"] = None
    _check_device(device, device.patient, at)
    session.flush()
    record_about(session, actor, "device.change", device, {"changed": changed}, at=at)
    _ask_about(session, device, at)


def _leave_patient(session: Session, actor: Actor, device: Device, at: dt.datetime) -> None:
    if device.patient is None:
        return
    if session.get(DeviceState, device.id) is not None:
        raise FieldRefused(
            "patient", "the device has sent data of its patient, so it cannot be given to another"
        )
    if session.scalar(select(Fill.id).where(Fill.device_id == device.id).limit(1)) is not None:
        raise FieldRefused(
            "patient", "the pump has refills of its patient on record, so it cannot be given to another"
        )
    record_about(session, actor, "device.leave_patient", device, at=at)


def record_about(
    session: Session,
    actor: Actor,
    action: str,
    device: Device,
    detail: Mapping[str, Any] | None = None,
    *,
    at: dt.datetime,
) -> None:
    """Audit an act on a device or a view of it: an entry about its patient, or about the device while it has none."""
    kind, subject = ("patient", device.patient) if device.patient else ("device", device)
    detail = {"device": str(device.public_id)} | dict(detail or {})
    audit.record(session, actor, action, kind, subject.public_id, detail, at=at)


def _news_since(at: dt.datetime, day: dt.date) -> dt.datetime:
    """A treatment entered later than it began is news of that day, in whatever zone: the days since are judged anew."""
    return min(at, dt.datetime.combine(day, dt.time(), dt.UTC) - _DATE_LINE)


def _check_treatment(treatment: Treatment) -> None:
    if treatment.ended_on is not None and treatment.ended_on < treatment.started_on:
        raise FieldRefused("ended_on", f"lies before started_on, {treatment.started_on}")


def _check_device(device: Device, patient: Patient | None, at: dt.datetime) -> None:
    latest = (at + _DATE_LINE).date()
    for name in ("implanted_on", "explanted_on"):
        if (getattr(device, name) or latest) > latest:
            raise FieldRefused(name, "lies in the future")
    if device.explanted_on and (device.implanted_on is None or device.explanted_on < device.implanted_on):
        raise FieldRefused("explanted_on", "must not lie before implanted_on, which has to be given")
    for name in ("explantation_reason", "explantation_note"):
        if getattr(device, name) is not None and device.explanted_on is None:
            raise FieldRefused(name, "is of an explantation: give its day, explanted_on, too")
    if device.implanted_on and patient is None:
        raise FieldRefused("patient", "say in whom the device is implanted")
    foreign = [name for name in PUMP_FIELDS if getattr(device, name) is not None]
    if device.kind != "pump" and foreign:
        raise FieldRefused(foreign[0], "is a field of pumps; this device is a stimulator")
    if device.kind == "pump" and device.leads:
        raise FieldRefused("leads", "a pump has a catheter, no leads")


def _leads(leads: Sequence[Values]) -> list[Lead]:
    return [Lead(position=position, **lead) for position, lead in enumerate(leads)]


def _ask_about(session: Session, device: Device, at: dt.datetime) -> None:
    outbox.ask(session, outbox.DEVICE, [device.id], at)
    outbox.ask(session, outbox.RECALL, [device.id], at)
    if device.kind == "pump":
        outbox.ask(session, outbox.REFILL, [device.id], at)


def _add_unique(session: Session, row: Any, taken: str) -> None:
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError as error:
        raise Conflict(taken) from error


def _change(session: Session, row: Any, changes: Values, taken: str = "") -> dict[str, Any]:
    """Set what differs; returns {field: [old, new]}, and {field: None} where the values are a person's own affair."""
    columns = inspect(type(row)).columns
    new = {name: value for name, value in changes.items() if getattr(row, name) != value}
    changed = {
        name: None if columns[name].info == PHI else [_plain(getattr(row, name)), _plain(value)]
        for name, value in new.items()
    }
    try:
        with session.begin_nested():
            for name, value in new.items():
                setattr(row, name, value)
    except IntegrityError as error:
        raise Conflict(taken) from error
    return changed


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, dt.date) else value
