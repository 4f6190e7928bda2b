"""Replacing a device: the one comes out and the other goes in, on one day, in one act."""

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sc_stim.access import in_clinic
from sc_stim.models import Alert, Appointment, CareTask, Device
from sc_stim.models.appointment import BOOKED
from sc_stim.models.device import STATUS
from sc_stim.workflows import visits
from sc_stim.workflows.audit import Actor
from sc_stim.workflows.refusals import Conflict, FieldRefused
from sc_stim.workflows.registry import change_device, record_about

_CATHETER: Final = ("catheter_tip_level", "catheter_volume_ml")


def replace_device(
    session: Session,
    actor: Actor,
    old: Device,
    new: Device,
    *,
    explanted_on: dt.date,
    explantation_reason: str,
    explantation_note: str | None = None,
    parts_stay: bool,
    at: dt.datetime,
) -> Sequence[Appointment]:
    """Explant `old` and implant `new` that day in the same patient. Raises FieldRefused, and Conflict.

    parts_stay: leads or catheter stay in the patient; `new` takes their record over where it has none of its own
    Returns the refills that were booked for `old`: they are called off, and somebody has to tell the patient.
    Its alerts and tasks end, and `new` is judged, when the worker takes up the news.
    """
    check_replaceable(old)
    _check(old, new, explanted_on)
    booked = booked_visits(session, old)
    out = {"explantation_reason": explantation_reason, "explantation_note": explantation_note}
    change_device(session, actor, old, {"explanted_on": explanted_on} | out, at=at)
    parts: dict[str, Any] = _catheter(old, new) if parts_stay else {}
    leads = _leads(old) if parts_stay and not new.leads and old.leads else None
    change_device(
        session, actor, new, {"patient": old.patient, "implanted_on": explanted_on} | parts, leads, at=at
    )
    record_about(session, actor, "device.replace", old, {"by": str(new.public_id)}, at=at)
    visits.settle(session, [old.id], at)
    return booked


def successors(session: Session, device: Device) -> Sequence[Device]:
    """What could follow it: devices of its kind on the clinic's shelf, the last registered first."""
    statement = in_clinic(select(Device), Device, device.clinic_id).where(
        Device.kind == device.kind, Device.patient_id.is_(None), *STATUS["registered"]
    )
    return session.scalars(statement.order_by(Device.id.desc())).all()


def booked_visits(session: Session, device: Device) -> Sequence[Appointment]:
    """Refills that are booked for a pump."""
    statement = select(Appointment).where(Appointment.device_id == device.id, Appointment.state == BOOKED)
    return session.scalars(statement.order_by(Appointment.starts_at)).all()


def open_work(session: Session, device: Device) -> tuple[int, int]:
    """How many alerts and tasks about it are open; they end with it."""
    alerts = select(func.count()).where(Alert.device_id == device.id, Alert.open_key.is_not(None))
    tasks = select(func.count()).where(CareTask.device_id == device.id, CareTask.closed_at.is_(None))
    return session.scalar(alerts) or 0, session.scalar(tasks) or 0


def check_replaceable(device: Device) -> None:
    """Raises Conflict for a device that nobody has implanted."""
    if device.status != "implanted" or device.patient is None:
        raise Conflict("only a device that is implanted can be replaced")


def _check(old: Device, new: Device, day: dt.date) -> None:
    if new.kind != old.kind:
        raise FieldRefused("device_id", f"is a {new.kind}; a {old.kind} is replaced by a {old.kind}")
    if new.status != "registered" or new.patient is not None:
        raise FieldRefused("device_id", "is not on the shelf: it is, or was, somebody's")
    if old.implanted_on is not None and day < old.implanted_on:
        raise FieldRefused("explanted_on", f"lies before {old.implanted_on}, when the old one was implanted")


def _catheter(old: Device, new: Device) -> dict[str, Any]:
    if old.kind != "pump":
        return {}
    return {name: getattr(old, name) for name in _CATHETER if getattr(new, name) is None}


def _leads(old: Device) -> list[dict[str, Any]]:
    return [
        {"contacts": lead.contacts, "tip_level": lead.tip_level, "model": lead.model, "serial": lead.serial}
        for lead in old.leads
    ]
