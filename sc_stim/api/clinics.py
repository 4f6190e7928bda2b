"""The signed-in person's own clinic: its zone, its calendar, its pharmacy's lead time."""

import datetime as dt
import uuid
from typing import Any

from flask import g
from marshmallow import fields, validate

from sc_stim import clock
from sc_stim.access import requires
from sc_stim.api.fields import Day, Schema, Text, Whole
from sc_stim.api.http import Resource, find_or_404, find_to_edit
from sc_stim.api.paging import page_of
from sc_stim.extensions import db
from sc_stim.failures import Invalid
from sc_stim.guard import actor
from sc_stim.models import Clinic
from sc_stim.workflows import clinics as keeping
from sc_stim.workflows.clinics import MOST_CLOSURES

clinics = Resource("clinics", __name__, "The clinic and the days on which it is closed.")


class ClosureSchema(Schema):
    day = Day(required=True, metadata={"example": "2026-12-24"})
    reason = Text(200, required=True, metadata={"example": "Christmas Eve"})


class ClinicChangeSchema(Schema):
    name = Text(200)
    time_zone = fields.String(validate=validate.Length(1, 64), metadata={"example": "Europe/Berlin"})
    country = fields.String(validate=validate.Regexp(r"^[A-Z]{2}$"), metadata={"example": "DE"})
    subdivision = fields.String(
        allow_none=True,
        validate=validate.Regexp(r"^[A-Z0-9]{1,3}$"),
        metadata={"description": "Of ISO 3166-2.", "example": "BE"},
    )
    phone = Text(40, allow_none=True)
    pharmacy_lead_days = Whole(0, 60)
    refill_margin_days = Whole(0, 30)
    closures = fields.List(
        fields.Nested(ClosureSchema),
        validate=validate.Length(max=MOST_CLOSURES),
        metadata={
            "description": "All days on which no pump is filled, besides weekends and public holidays."
        },
    )


class ClinicSchema(Schema):
    id = fields.UUID(required=True, attribute="public_id")
    name = fields.String(required=True)
    time_zone = fields.String(required=True)
    country = fields.String(required=True)
    subdivision = fields.String(required=True, allow_none=True)
    phone = fields.String(required=True, allow_none=True)
    pharmacy_lead_days = fields.Integer(required=True)
    refill_margin_days = fields.Integer(required=True)
    closures = fields.List(fields.Nested(ClosureSchema), required=True)
    version = fields.Integer(required=True)


@clinics.get("/clinics")
@requires("clinic.read")
@clinics.response(200, page_of(ClinicSchema))
def list_clinics() -> dict[str, Any]:
    """List the clinics one belongs to: one's own."""
    return {"items": [g.user.clinic], "next_cursor": None}


@clinics.get("/clinics/<uuid:clinic_id>")
@requires("clinic.read")
@clinics.response(200, ClinicSchema)
def show_clinic(clinic_id: uuid.UUID) -> Clinic:
    """Show the clinic."""
    return find_or_404(Clinic, clinic_id)


@clinics.patch("/clinics/<uuid:clinic_id>")
@requires("clinic.manage")
@clinics.arguments(ClinicChangeSchema)
@clinics.response(200, ClinicSchema)
def change_clinic(changes: dict[str, Any], clinic_id: uuid.UUID) -> Clinic:
    """Change the clinic.

    Forecasts of its pumps are made anew where dates or margins change.
    """
    clinic = find_to_edit(Clinic, clinic_id)
    if "closures" in changes:
        changes["closures"] = _by_day(changes["closures"])
    keeping.change_clinic(db.session(), actor(), clinic, changes, at=clock.now())
    return clinic


def _by_day(closures: list[dict[str, Any]]) -> dict[dt.date, str]:
    reasons = {closure["day"]: closure["reason"] for closure in closures}
    if len(reasons) < len(closures):
        raise Invalid("closures", "name a day twice")
    return reasons
