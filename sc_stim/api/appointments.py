"""Refill visits: free times that keep the pump safe, booking, moving, cancelling."""

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo

from flask import g, url_for
from sqlalchemy import select
from sqlalchemy.orm import joinedload
from werkzeug.exceptions import NotFound

from sc_stim import clock
from sc_stim.access import in_clinic, requires
from sc_stim.api.http import Resource, audit, find_or_404, find_to_edit
from sc_stim.api.paging import page, page_of
from sc_stim.api.schemas_appointments import (
    AppointmentChangeSchema,
    AppointmentQuerySchema,
    AppointmentSchema,
    CancellationSchema,
    NewAppointmentSchema,
    ProposalsSchema,
    SlotQuerySchema,
)
from sc_stim.api.schemas_shared import seen
from sc_stim.clinical.slots import Offer, Slot
from sc_stim.extensions import db
from sc_stim.failures import Invalid
from sc_stim.guard import actor
from sc_stim.models import Appointment, ClinicResource, Device, scope
from sc_stim.workflows import booking, proposals
from sc_stim.workflows.registry import record_about

appointments = Resource("appointments", __name__, "Refill visits and the times that can be booked for them.")

LONGEST: Final = dt.timedelta(days=62)
NO_PUMP: Final = "there is no such pump here"
NO_RESOURCE: Final = "there is no such nurse or room here"


@appointments.get("/pumps/<uuid:device_id>/slots")
@requires("appointments.read")
@appointments.arguments(SlotQuerySchema, location="query")
@appointments.response(200, ProposalsSchema)
def list_slots(query: dict[str, Any], device_id: uuid.UUID) -> dict[str, Any]:
    """Propose times for a refill visit. A day that is not offered says why."""
    pump, at = find_or_404(Device, device_id), clock.now()
    if pump.kind != "pump":
        raise NotFound("This device is a stimulator: it has no reservoir to fill.")
    record_about(db.session, actor(), "device.slots", pump, at=at)
    due = booking.due(db.session, pump, at)
    today = at.astimezone(ZoneInfo(g.user.clinic.time_zone)).date()
    first, last = _days(query, proposals.usual_days(due, today))
    found = proposals.propose(db.session, g.user.clinic, due, first, last, at=at)
    names = found.resources
    return {
        "device_id": pump.public_id,
        "time_zone": g.user.clinic.time_zone,
        "refill_by": due.refill_by,
        "binding_clock": due.binding_clock,
        "refused": due.refused,
        "best": _slot(found.best, names) if found.best else None,
        "soonest": _slot(found.soonest, names) if found.soonest else None,
        "days": [_day(offer, names) for offer in found.days],
    }


@appointments.get("/appointments")
@requires("appointments.read")
@appointments.arguments(AppointmentQuerySchema, location="query")
@appointments.response(200, page_of(AppointmentSchema))
def list_appointments(query: dict[str, Any]) -> Any:
    """List visits in order of time."""
    nested = (
        Appointment.patient, Appointment.device, Appointment.resource, Appointment.forecast, Appointment.fill,
        Appointment.created_by, Appointment.changed_by,
    )  # fmt: skip
    statement = in_clinic(select(Appointment), Appointment, g.user.clinic_id)
    statement = statement.options(*(joinedload(name) for name in nested))
    body, headers = page(_selected(statement, query), query, [Appointment.starts_at, Appointment.id])
    audit("appointment.list", patients=seen(row.patient for row in body["items"]))
    return body, headers


@appointments.post("/appointments")
@requires("appointments.book")
@appointments.arguments(NewAppointmentSchema)
@appointments.response(201, AppointmentSchema)
def create_appointment(new: dict[str, Any]) -> tuple[Appointment, dict[str, str]]:
    """Book a visit. A time that is taken is refused with 409, a day that is not safe needs a reason."""
    pump = scope.find(db.session, Device, g.user.clinic_id, new.pop("device_id"))
    if pump is None or pump.kind != "pump":
        raise Invalid("device_id", NO_PUMP)
    made = booking.book(db.session, actor(), pump, _with_resource(new), at=clock.now())
    return made, {"Location": url_for("appointments.show_appointment", appointment_id=made.public_id)}


@appointments.get("/appointments/<uuid:appointment_id>")
@requires("appointments.read")
@appointments.response(200, AppointmentSchema)
def show_appointment(appointment_id: uuid.UUID) -> Appointment:
    """Show a visit."""
    appointment = find_or_404(Appointment, appointment_id)
    record_about(db.session, actor(), "appointment.view", appointment.device, at=clock.now())
    return appointment


@appointments.patch("/appointments/<uuid:appointment_id>")
@requires("appointments.book")
@appointments.arguments(AppointmentChangeSchema)
@appointments.response(200, AppointmentSchema)
def change_appointment(changes: dict[str, Any], appointment_id: uuid.UUID) -> Appointment:
    """Move a visit, change its note, or accept with `override_reason` that it has become too late."""
    appointment = find_to_edit(Appointment, appointment_id)
    booking.change(db.session, actor(), appointment, _with_resource(changes), at=clock.now())
    return appointment


@appointments.post("/appointments/<uuid:appointment_id>/cancel")
@requires("appointments.book")
@appointments.arguments(CancellationSchema)
@appointments.response(200, AppointmentSchema)
def cancel_appointment(cancellation: dict[str, str], appointment_id: uuid.UUID) -> Appointment:
    """Call a visit off. Calendars show it as cancelled for 30 days."""
    appointment = find_or_404(Appointment, appointment_id)
    booking.cancel(db.session, actor(), appointment, cancellation.get("reason"), at=clock.now())
    return appointment


def _with_resource(values: dict[str, Any]) -> dict[str, Any]:
    """The row of the nurse or room in place of its id."""
    if "resource_id" in values:
        values["resource"] = scope.find(
            db.session, ClinicResource, g.user.clinic_id, values.pop("resource_id")
        )
        if values["resource"] is None:
            raise Invalid("resource_id", NO_RESOURCE)
    return values


def _selected(statement: Any, query: Mapping[str, Any]) -> Any:
    """The ids of other clinics select nothing, like ids that never were."""
    if "since" in query:
        statement = statement.where(Appointment.starts_at >= query["since"])
    if "until" in query:
        statement = statement.where(Appointment.starts_at < query["until"])
    if "state" in query:
        statement = statement.where(Appointment.state == query["state"])
    if "device_id" in query:
        statement = statement.join(Appointment.device).where(Device.public_id == query["device_id"])
    if "resource_id" in query:
        statement = statement.join(Appointment.resource)
        statement = statement.where(ClinicResource.public_id == query["resource_id"])
    return statement


def _days(query: Mapping[str, dt.date], usual: tuple[dt.date, dt.date]) -> tuple[dt.date, dt.date]:
    """Those that were asked for, else the usual ones."""
    first = query.get("first", usual[0])
    last = query.get("last", max(usual[1], first + proposals.AFTER))
    if last < first:
        raise Invalid("to", "must not be before from")
    if last - first > LONGEST:
        raise Invalid("to", f"must be at most {LONGEST.days} days after from")
    return first, last


def _day(offer: Offer, names: Mapping[int, ClinicResource]) -> dict[str, Any]:
    refused = offer.not_offered
    return {
        "day": offer.day,
        "why": refused.why if refused else None,
        "words": refused.words if refused else None,
        "slots": [_slot(slot, names) for slot in offer.slots],
    }


def _slot(slot: Slot, names: Mapping[int, ClinicResource]) -> dict[str, Any]:
    shown = {name: getattr(slot, name) for name in ("starts_at", "ends_at", "day", "time", "fold")}
    return shown | {"resource": names[slot.key]}
