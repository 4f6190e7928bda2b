"""The registry of devices."""

import datetime as dt
import uuid
from typing import Any, Final

from flask import abort, g, url_for
from sqlalchemy import Select, or_, select
from sqlalchemy.orm import joinedload, selectinload

from sc_stim import clock
from sc_stim.access import in_clinic, requires
from sc_stim.api.http import NO_ROW, Resource, audit, find_or_404, find_to_edit
from sc_stim.api.paging import page, page_of
from sc_stim.api.schemas_devices import (
    DeviceChangeSchema,
    DeviceQuerySchema,
    DeviceSchema,
    NewDeviceSchema,
    NewReplacementSchema,
    RegisteredDeviceSchema,
    ReplacementSchema,
)
from sc_stim.api.schemas_shared import seen, sees_patients
from sc_stim.extensions import db
from sc_stim.failures import Invalid
from sc_stim.guard import actor
from sc_stim.models import Device, DeviceState, Patient, scope
from sc_stim.models.device import STATUS
from sc_stim.workflows import provisioning, registry, replacing

devices = Resource("devices", __name__, "Pumps and stimulators.")

UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}


@devices.get("/devices")
@requires("devices.read")
@devices.arguments(DeviceQuerySchema, location="query")
@devices.response(200, page_of(DeviceSchema))
def list_devices(query: dict[str, Any]) -> Any:
    """List the clinic's devices."""
    statement = in_clinic(select(Device), Device, g.user.clinic_id).options(
        joinedload(Device.patient), joinedload(Device.state), selectinload(Device.leads)
    )
    body, headers = page(_selected(statement, query), query, [Device.id])
    audit("device.list", patients=seen(device.patient for device in body["items"]))
    return body, headers


@devices.post("/devices")
@requires("devices.write")
@devices.arguments(NewDeviceSchema)
@devices.response(201, RegisteredDeviceSchema)
def create_device(new: dict[str, Any]) -> Any:
    """Register a device, best by its UDI, which holds its serial, lot and dates.

    What the catalogue knows for certain of the model is filled in; what it knows without a source is not.
    """
    patient = _patient(new.pop("patient", None))
    device, warnings = provisioning.provision(db.session, actor(), new, patient, at=clock.now())
    return (device, {"warnings": warnings}), {
        "Location": url_for("devices.show_device", device_id=device.public_id)
    }


@devices.get("/devices/<uuid:device_id>")
@requires("devices.read")
@devices.response(200, DeviceSchema)
def show_device(device_id: uuid.UUID) -> Device:
    """Show a device and its newest state."""
    device = find_or_404(Device, device_id)
    registry.record_about(db.session, actor(), "device.view", device, at=clock.now())
    return device


@devices.patch("/devices/<uuid:device_id>")
@requires("devices.write")
@devices.arguments(DeviceChangeSchema)
@devices.response(200, DeviceSchema)
def change_device(changes: dict[str, Any], device_id: uuid.UUID) -> Device:
    """Change a device: whose it is, that it was implanted or explanted, its leads, its pump's figures."""
    device = find_to_edit(Device, device_id)
    if "patient" in changes:
        changes["patient"] = _patient(changes["patient"], given=True)
    leads = changes.pop("leads", None)
    registry.change_device(db.session, actor(), device, changes, leads, at=clock.now())
    return device


@devices.post("/devices/<uuid:device_id>/replacement")
@requires("devices.write")
@devices.arguments(NewReplacementSchema)
@devices.response(200, ReplacementSchema)
def replace_device(new: dict[str, Any], device_id: uuid.UUID) -> dict[str, Any]:
    """Explant a device and implant another one that day in the same patient, in one act.

    The new one begins without prescription and fills. Booked refills of an old pump are called off.
    """
    old = _lock(device_id) or abort(404, NO_ROW)
    successor = _lock(new.pop("device_id"))
    if successor is None:
        raise Invalid("device_id", "there is no such device here")
    visits = replacing.replace_device(db.session, actor(), old, successor, **new, at=clock.now())
    return {"explanted": old, "implanted": successor, "visits_called_off": len(visits)}


def _lock(public_id: uuid.UUID) -> Device | None:
    return scope.find(db.session, Device, g.user.clinic_id, public_id, lock=True)


def _selected(statement: Select[Any], query: dict[str, Any]) -> Select[Any]:
    if "kind" in query:
        statement = statement.where(Device.kind == query["kind"])
    if "status" in query:
        statement = statement.where(*STATUS[query["status"]])
    if "silent_for" in query:
        text = query["silent_for"]
        since = clock.now() - dt.timedelta(**{UNITS[text[-1]]: int(text[:-1])})
        never_or_before = or_(DeviceState.heard_at.is_(None), DeviceState.heard_at < since)
        statement = statement.outerjoin(DeviceState, DeviceState.device_id == Device.id)
        statement = statement.where(never_or_before, Device.explanted_on.is_(None))
    return statement


def _patient(public_id: uuid.UUID | None, *, given: bool = False) -> Patient | None:
    """The patient a clinician names. Raises Invalid."""
    if public_id is None and not given:
        return None
    if not sees_patients():
        raise Invalid("patient", "only a clinician may say whose device it is")
    if public_id is None:
        return None
    patient = scope.find(db.session, Patient, g.user.clinic_id, public_id)
    if patient is None:
        raise Invalid("patient", "there is no such patient here")
    return patient
