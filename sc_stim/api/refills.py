"""The nurse's worklist: pumps to fill, most dangerous first, from stored forecasts."""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from flask import g
from sqlalchemy import func, or_, select
from sqlalchemy.orm import contains_eager, joinedload

from sc_stim import clock
from sc_stim.access import requires
from sc_stim.api.fields import PageQuery
from sc_stim.api.http import Resource, audit
from sc_stim.api.paging import page, page_of
from sc_stim.api.schemas_pumps import OpenVisitSchema, RefillPageSchema, RefillQuerySchema
from sc_stim.api.schemas_shared import seen
from sc_stim.extensions import db
from sc_stim.models import Appointment, Device, DeviceState, Fill, Forecast, Patient, worklist
from sc_stim.models.appointment import booked_for_device
from sc_stim.models.worklist import implanted_pumps
from sc_stim.workflows import refill_visit

refills = Resource("refills", __name__, "The worklist of pumps to fill.")


@refills.get("/refills")
@requires("refills.read")
@refills.arguments(RefillQuerySchema, location="query")
@refills.response(200, RefillPageSchema)
def list_refills(query: dict[str, Any]) -> Any:
    """List pumps to fill, most dangerous first; a pump without a forecast is work to do as well."""
    today = clock.now().astimezone(ZoneInfo(g.user.clinic.time_zone)).date()
    due = Forecast.refill_by <= today + dt.timedelta(days=query["due_within_days"])
    pumps = implanted_pumps(g.user.clinic_id)
    statement = pumps.where(or_(due, Forecast.refused.is_not(None)))
    statement = statement.add_columns(Appointment).outerjoin(Appointment, booked_for_device())
    statement = statement.options(contains_eager(Appointment.forecast))
    body, headers = page(
        statement, query, [Forecast.danger, Forecast.device_id], newest_first=True, item=_item
    )
    owed = worklist.being_recomputed(db.session, [item["key"] for item in body["items"]], clock.now())
    for item in body["items"]:
        item["being_recomputed"] = item["key"] in owed
    audit("refill.list", patients=seen(item["patient"] for item in body["items"]))
    not_judged = pumps.where(Forecast.device_id.is_(None)).subquery()
    return body | {"not_judged_yet": db.session.scalar(select(func.count()).select_from(not_judged))}, headers


@refills.get("/refills/visits")
@requires("refills.read")
@refills.arguments(PageQuery, location="query")
@refills.response(200, page_of(OpenVisitSchema))
def list_open_visits(query: dict[str, Any]) -> Any:
    """List refill visits that are not complete: not confirmed by a second person, or the pump not heard running."""
    statement = worklist.visits_to_complete(g.user.clinic_id).options(joinedload(Fill.performed_by))
    body, headers = page(statement, query, [Fill.at, Fill.id], newest_first=True, item=lambda *row: row)
    rows = body["items"]
    after = refill_visit.pumps_after(db.session, [(fill, device) for fill, device, _ in rows])
    items = [_visit(fill, device, patient, after[fill.id]) for fill, device, patient in rows]
    audit("refill.visits", patients=seen(item["patient"] for item in items))
    return body | {"items": items}, headers


def _visit(
    fill: Fill, device: Device, patient: Patient | None, after: refill_visit.PumpAfter
) -> dict[str, Any]:
    return {
        "fill": fill.public_id,
        "at": fill.at,
        "device_id": device.public_id,
        "model": device.model,
        "patient": patient,
        "performed_by": fill.performed_by,
        "flags": fill.flags,
        "after_visit": after,
        "to_do": refill_visit.to_do(fill, after),
    }


def _item(
    device: Device,
    patient: Patient | None,
    state: DeviceState | None,
    forecast: Forecast,
    appointment: Appointment | None,
) -> dict[str, Any]:
    result, sample = forecast.result, (state.sample if state else None) or {}
    return {
        "key": device.id,
        "device_id": device.public_id,
        "model": device.model,
        "patient": patient,
        "refill_by": forecast.refill_by,
        "binding_clock": forecast.binding_clock,
        "earliest_empty": forecast.earliest_empty_on,
        "drug": _drug(result.get("drugs", [])),
        "reservoir_ml": sample.get("reservoir_ml"),
        "reservoir_at": state.measured_at if state else None,
        "expected_residual_ml": result.get("expected_residual_ml"),
        "risk": forecast.risk,
        "reasons": result.get("reasons", []),
        "why": result.get("why", []),
        "flags": result.get("flags", []),
        "refused": result.get("refused"),
        "appointment": appointment,
        "computed_at": forecast.computed_at,
    }


def _drug(drugs: list[dict[str, Any]]) -> str | None:
    return ", ".join(f"{drug['name']} {drug['mg_per_ml']:g} mg/mL" for drug in drugs) or None
