"""What is prescribed for a device, with its history, beside what the device reports."""

import datetime as dt
import uuid
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from sc_stim import clock
from sc_stim.access import requires
from sc_stim.api.fields import PageQuery
from sc_stim.api.http import Resource, find_or_404
from sc_stim.api.paging import page
from sc_stim.api.schemas_devices import NewSettingSchema, PrescribedSchema, SettingsSchema
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.models import Device, DeviceSetting
from sc_stim.models.device import setting_in_force
from sc_stim.workflows import prescribing, refill_visit
from sc_stim.workflows.registry import record_about

settings = Resource("settings", __name__, "Prescribed settings. Nothing here is sent to a device.")


@settings.get("/devices/<uuid:device_id>/settings")
@requires("settings.read")
@settings.arguments(PageQuery, location="query")
@settings.response(200, SettingsSchema)
def list_settings(query: dict[str, Any], device_id: uuid.UUID) -> Any:
    """List prescriptions, newest first, and compare the one in force with what the device reports."""
    device = find_or_404(Device, device_id)
    at = clock.now()
    record_about(db.session, actor(), "device.settings", device, at=at)
    statement = select(DeviceSetting).where(DeviceSetting.device_id == device.id)
    statement = statement.options(joinedload(DeviceSetting.prescribed_by))
    body, headers = page(statement, query, [DeviceSetting.effective_at, DeviceSetting.id], newest_first=True)
    body |= _comparison(device, setting_in_force(db.session, device.id, at))
    return body | _doses(device, at), headers


@settings.post("/devices/<uuid:device_id>/settings")
@requires("settings.prescribe")
@settings.arguments(NewSettingSchema)
@settings.response(201, PrescribedSchema)
def create_setting(new: dict[str, Any], device_id: uuid.UUID) -> Any:
    """Prescribe. Limits that are exceeded come back as warnings; they never block.

    A rate that would empty a full reservoir within days has to be confirmed: it may be mL/h typed for mL/day.

    The prescription is put on record. Programming the device stays with the clinic's programmer.
    """
    device = find_or_404(Device, device_id)
    row, warnings = prescribing.prescribe(db.session, actor(), device, new, at=clock.now())
    return [row, {"warnings": warnings}]


def _doses(device: Device, at: dt.datetime) -> dict[str, Any]:
    if device.kind != "pump":
        return {"doses": [], "dose_unknown": None}
    found = refill_visit.doses_at(db.session, device, at)
    return {"doses": found.doses, "dose_unknown": found.unknown}


def _comparison(device: Device, in_force: DeviceSetting | None) -> dict[str, Any]:
    """`mismatch` is None where there is nothing to compare."""
    state = device.state
    found = prescribing.compare(device.kind, in_force, state)
    return {
        "in_force": in_force,
        "reported": state.sample if state else None,
        "reported_at": state.measured_at if state else None,
        "mismatch": None if found is None else bool(found),
        "differences": found or [],
    }
