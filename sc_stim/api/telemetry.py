"""What a device sent: its readings, as they came or by hour and day, and its events."""

import datetime as dt
import uuid
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import select

from sc_stim import clock
from sc_stim.access import requires
from sc_stim.api.http import Resource, find_or_404
from sc_stim.api.paging import page, page_of
from sc_stim.api.schemas_devices import EventSchema, TelemetryQuerySchema, TelemetrySchema
from sc_stim.api.schemas_shared import WindowQuery, window
from sc_stim.extensions import db
from sc_stim.failures import Invalid
from sc_stim.guard import actor
from sc_stim.models import Clinic, Device, DeviceEvent
from sc_stim.models.series import READINGS, SAMPLE_OF, Resolution, buckets, sample_series
from sc_stim.workflows.registry import record_about

telemetry = Resource("telemetry", __name__, "What devices sent.")

USUAL: Final = dt.timedelta(days=7)
LONGEST_BY_HOUR: Final = dt.timedelta(days=31)


@telemetry.get("/devices/<uuid:device_id>/telemetry")
@requires("telemetry.read")
@telemetry.arguments(TelemetryQuerySchema, location="query")
@telemetry.response(200, TelemetrySchema)
def list_telemetry(query: dict[str, Any], device_id: uuid.UUID) -> Any:
    """List readings in the order in which they were measured, one page at a time, or one row an hour or day.

    Without `from`, a week. By hour at most 31 days, by day at most three years, all in one answer.
    """
    device = find_or_404(Device, device_id)
    since, until = window(query, USUAL)
    record_about(db.session, actor(), "device.telemetry", device, at=clock.now())
    if query["resolution"] == "raw":
        return _samples(device, since, until, query)
    return _buckets(device, since, until, query["resolution"])


@telemetry.get("/devices/<uuid:device_id>/events")
@requires("telemetry.read")
@telemetry.arguments(WindowQuery, location="query")
@telemetry.response(200, page_of(EventSchema))
def list_events(query: dict[str, Any], device_id: uuid.UUID) -> Any:
    """List alarms and therapy events, newest first. Without `from`, a week."""
    device = find_or_404(Device, device_id)
    since, until = window(query, USUAL)
    record_about(db.session, actor(), "device.events", device, at=clock.now())
    at = DeviceEvent.measured_at
    statement = select(DeviceEvent).where(DeviceEvent.device_id == device.id, at >= since, at < until)
    return page(statement, query, [at, DeviceEvent.epoch, DeviceEvent.seq], newest_first=True)


def _samples(device: Device, since: dt.datetime, until: dt.datetime, query: dict[str, Any]) -> Any:
    table = SAMPLE_OF[device.kind]
    at = table.measured_at
    statement = select(table).where(table.device_id == device.id, at >= since, at < until)
    body, headers = page(statement, query, [at, table.epoch, table.seq], item=_sample)
    return {
        "resolution": "raw",
        "samples": body["items"],
        "buckets": [],
        "next_cursor": body["next_cursor"],
    }, headers


def _sample(row: Any) -> dict[str, Any]:
    names = ("measured_at", "device_at", "received_at", "epoch", "seq")
    readings = {name: getattr(row, name) for name in READINGS[type(row)]}
    return {name: getattr(row, name) for name in names} | {"readings": readings}


def _buckets(
    device: Device, since: dt.datetime, until: dt.datetime, resolution: Resolution
) -> dict[str, Any]:
    if resolution == "hour" and until - since > LONGEST_BY_HOUR:
        raise Invalid("from", f"must be at most {LONGEST_BY_HOUR.days} days before to; take resolution day")
    edges = list(buckets(since, until, resolution, _zone(device)))
    rows = sample_series(db.session, device.id, device.kind, edges)
    return {"resolution": resolution, "samples": [], "buckets": rows, "next_cursor": None}


def _zone(device: Device) -> ZoneInfo:
    """Whose day it is: the patient's, or the clinic's while the device is nobody's."""
    owner = device.patient or db.session.get_one(Clinic, device.clinic_id)
    return ZoneInfo(owner.time_zone)
