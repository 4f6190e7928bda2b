"""When the clinic is open for visits, and the nurses and rooms that can be booked."""

import uuid
from typing import Any

from flask import g
from sqlalchemy import select
from sqlalchemy.orm import joinedload, selectinload

from sc_stim import clock
from sc_stim.access import in_clinic, requires
from sc_stim.api.fields import PageQuery
from sc_stim.api.http import Resource, find_to_edit
from sc_stim.api.paging import page, page_of
from sc_stim.api.schemas_appointments import (
    ClinicHoursChangeSchema,
    ClinicHoursSchema,
    ClinicResourceChangeSchema,
    ClinicResourceSchema,
    NewClinicResourceSchema,
)
from sc_stim.extensions import db
from sc_stim.failures import Invalid
from sc_stim.guard import actor
from sc_stim.models import Clinic, ClinicResource, User, scope
from sc_stim.workflows import booking
from sc_stim.workflows import staffing as keeping

staffing = Resource("staffing", __name__, "Opening hours, nurses and rooms.")


@staffing.get("/clinic-hours")
@requires("clinic.read")
@staffing.response(200, ClinicHoursSchema)
def show_clinic_hours() -> dict[str, Any]:
    """Show when the clinic is open for visits."""
    return _hours(g.user.clinic)


@staffing.patch("/clinic-hours")
@requires("resources.manage")
@staffing.arguments(ClinicHoursChangeSchema)
@staffing.response(200, ClinicHoursSchema)
def change_clinic_hours(changes: dict[str, Any]) -> dict[str, Any]:
    """Change when the clinic is open for visits. Visits that are booked stay.

    The version is that of the clinic.
    """
    clinic = find_to_edit(Clinic, g.user.clinic.public_id)
    keeping.set_clinic_hours(db.session, actor(), clinic, changes["hours"], at=clock.now())
    db.session.flush()
    return _hours(clinic)


@staffing.get("/resources")
@requires("resources.read")
@staffing.arguments(PageQuery, location="query")
@staffing.response(200, page_of(ClinicResourceSchema))
def list_resources(query: dict[str, Any]) -> Any:
    """List nurses and rooms."""
    statement = in_clinic(select(ClinicResource), ClinicResource, g.user.clinic_id).options(
        joinedload(ClinicResource.user),
        selectinload(ClinicResource.hours),
        selectinload(ClinicResource.absences),
    )
    return page(statement, query, [ClinicResource.id])


@staffing.post("/resources")
@requires("resources.manage")
@staffing.arguments(NewClinicResourceSchema)
@staffing.response(201, ClinicResourceSchema)
def create_resource(new: dict[str, Any]) -> ClinicResource:
    """Add a nurse or room that visits can be booked with."""
    return keeping.add_resource(db.session, actor(), _with_user(new), at=clock.now())


@staffing.patch("/resources/<uuid:resource_id>")
@requires("resources.manage")
@staffing.arguments(ClinicResourceChangeSchema)
@staffing.response(200, ClinicResourceSchema)
def change_resource(changes: dict[str, Any], resource_id: uuid.UUID) -> ClinicResource:
    """Change a nurse or room, also hours and absences. Visits that are booked stay."""
    resource = find_to_edit(ClinicResource, resource_id)
    keeping.change_resource(db.session, actor(), resource, _with_user(changes), at=clock.now())
    return resource


def _hours(clinic: Clinic) -> dict[str, Any]:
    return {"hours": booking.clinic_hours(db.session, clinic.id), "version": clinic.version}


def _with_user(values: dict[str, Any]) -> dict[str, Any]:
    """The row of the account in place of its id."""
    if "user_id" in values:
        public_id = values.pop("user_id")
        values["user"] = public_id and scope.find(db.session, User, g.user.clinic_id, public_id)
        if public_id and values["user"] is None:
            raise Invalid("user_id", "there is no such account here")
    return values
