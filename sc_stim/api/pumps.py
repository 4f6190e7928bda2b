"""Refill visits of a pump, and the forecast of its next one."""

import uuid
from typing import Any
from zoneinfo import ZoneInfo

from flask import g
from sqlalchemy import select
from werkzeug.exceptions import Forbidden, NotFound

from sc_stim import clock
from sc_stim.access import allowed, requires
from sc_stim.api.http import NO_ROW, Resource, find_or_404
from sc_stim.api.paging import page, page_of
from sc_stim.api.schemas_pumps import (
    FillCheckSchema,
    FillEntrySchema,
    FillQuerySchema,
    ForecastSchema,
    NewFillSchema,
    RecordedFillSchema,
    VisitSchema,
)
from sc_stim.extensions import db
from sc_stim.failures import Invalid
from sc_stim.guard import actor
from sc_stim.models import Device, Fill
from sc_stim.models.device import fills_with_names, settings_of
from sc_stim.models.replaced import not_replaced
from sc_stim.workflows import refill_visit, refilling
from sc_stim.workflows.registry import record_about

pumps = Resource("pumps", __name__, "Refills of intrathecal pumps.")


@pumps.get("/pumps/<uuid:device_id>/fills")
@requires("fills.read")
@pumps.arguments(FillQuerySchema, location="query")
@pumps.response(200, page_of(FillEntrySchema))
def list_fills(query: dict[str, Any], device_id: uuid.UUID) -> Any:
    """List refills, newest first. Corrected ones are left out unless asked for."""
    pump = _find_pump(device_id)
    record_about(db.session, actor(), "device.fills", pump, at=clock.now())
    statement = select(Fill).where(Fill.device_id == pump.id)
    if not query["include_replaced"]:
        statement = statement.where(not_replaced(Fill))
    body, headers = page(fills_with_names(statement), query, [Fill.at, Fill.id], newest_first=True)
    return body | {"items": _with_settings(pump, body["items"])}, headers


@pumps.post("/pumps/<uuid:device_id>/fills")
@requires("fills.record")
@pumps.arguments(NewFillSchema)
@pumps.response(201, RecordedFillSchema)
def create_fill(new: dict[str, Any], device_id: uuid.UUID) -> Any:
    """Record a refill, or correct one, and get the next date at once.

    What was drawn out is compared with what was expected. A clinician may prescribe with the fill, in one act; a nurse
    records as `programmed` what the pump shows, and it is compared with the prescription.
    """
    pump, at = _find_pump(device_id), clock.now()
    replaces = new.pop("replaces", None)
    if "prescribe" in new and not allowed(g.user.role, "settings.prescribe"):
        raise Forbidden("Only a clinician prescribes. Record what the pump shows as `programmed`.")
    fill = refilling.record_fill(db.session, actor(), pump, _with_answers(new), replaces, at=at)
    after = refill_visit.pumps_after(db.session, [(fill, pump)])[fill.id]
    [[fill, beside]] = _with_settings(pump, [fill])
    shown = {
        "warnings": refill_visit.cautions_of(db.session, pump, fill),
        "forecast": refill_visit.forecast_of(db.session, pump, at),
        "after_visit": after,
        "to_do": refill_visit.to_do(fill, after),
    }
    return [fill, beside | shown]


@pumps.post("/pumps/<uuid:device_id>/fills/<uuid:fill_id>/confirm")
@requires("fills.record")
@pumps.arguments(FillCheckSchema)
@pumps.response(200, FillEntrySchema)
def confirm_fill(read: dict[str, Any], device_id: uuid.UUID, fill_id: uuid.UUID) -> Any:
    """Confirm a refill as the second person, by what this person reads off syringe and label."""
    pump = _find_pump(device_id)
    fill = refilling.find_fill(db.session, pump, fill_id)
    if fill is None:
        raise NotFound(NO_ROW)
    refilling.confirm_fill(db.session, actor(), pump, fill, _with_answers(read), at=clock.now())
    return _with_settings(pump, [fill])[0]


@pumps.get("/pumps/<uuid:device_id>/forecast")
@requires("fills.read")
@pumps.response(200, ForecastSchema)
def show_forecast(device_id: uuid.UUID) -> dict[str, Any]:
    """Forecast the next refill from the record as it stands now, with every clock."""
    pump, at = _find_pump(device_id), clock.now()
    record_about(db.session, actor(), "device.forecast", pump, at=at)
    return refill_visit.forecast_of(db.session, pump, at)


@pumps.get("/pumps/<uuid:device_id>/visit")
@requires("fills.read")
@pumps.response(200, VisitSchema)
def prepare_visit(device_id: uuid.UUID) -> dict[str, Any]:
    """Show what a refill visit starts from: the expected residual, settings, doses, and the checklist."""
    pump, at = _find_pump(device_id), clock.now()
    record_about(db.session, actor(), "device.visit", pump, at=at)
    return refill_visit.preparation(db.session, pump, at)


def _find_pump(device_id: uuid.UUID) -> Device:
    device = find_or_404(Device, device_id)
    if device.kind != "pump":
        raise NotFound("This device is a stimulator: it has no reservoir to fill.")
    return device


def _with_answers(given: dict[str, Any]) -> dict[str, Any]:
    """The answers to the checklist by step. Raises Invalid."""
    if "checklist" not in given:
        return given
    answers = {row["step"]: row["answer"] for row in given["checklist"]}
    if len(answers) < len(given["checklist"]):
        raise Invalid("checklist", "answers a step twice")
    return given | {"checklist": answers}


def _with_settings(pump: Device, fills: list[Fill]) -> list[list[Any]]:
    """Each fill with the settings before and after the visit, in days of the clinic."""
    history, zone = settings_of(db.session, [pump.id])[pump.id], ZoneInfo(g.user.clinic.time_zone)
    around = [refilling.settings_around(history, fill.at, zone) for fill in fills]
    return [
        [
            fill,
            {"settings_before": before, "settings_after": after, "checklist": refill_visit.checklist(fill)},
        ]
        for fill, (before, after) in zip(fills, around, strict=True)
    ]
