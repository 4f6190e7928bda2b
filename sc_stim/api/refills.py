"""The nurse's worklist: pumps to fill, most dangerous first, from stored forecasts."""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from flask import g
from sqlalchemy import func, or_, select

from sc_stim import clock
from sc_stim.access import requires
from sc_stim.api.http import Resource, audit
from sc_stim.api.paging import page
from sc_stim.api.schemas_pumps import RefillPageSchema, RefillQuerySchema
from sc_stim.api.schemas_shared import seen
from sc_stim.extensions import db
from sc_stim.models import Appointment, Device, DeviceState, Forecast, Patient
from sc_stim.models.appointment import booked_for_device
from sc_stim.models.worklist import implanted_pumps

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
    body, headers = page(
        statement, query, [Forecast.danger, Forecast.device_id], newest_first=True, item=_item
    )
    audit("refill.list", patients=seen(item["patient"] for item in body["items"]))
    not_judged = pumps.where(Forecast.device_id.is_(None)).subquery()
    return body | {"not_judged_yet": db.session.scalar(select(func.count()).select_from(not_judged))}, headers


def _item(
    device: Device,
    patient: Patient | None,
    state: DeviceState | None,
    forecast: Forecast,
    appointment: Appointment | None,
) -> dict[str, Any]:
    result, sample = forecast.result, (state.sample if state else None) or {}
    return {
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
        "refused": result.get("refused"),
        "appointment": appointment,
        "computed_at": forecast.computed_at,
    }


def _drug(drugs: list[dict[str, Any]]) -> str | None:
    return ", ".join(f"{drug['name']} {drug['mg_per_ml']:g} mg/mL" for drug in drugs) or None
