"""Patients: the record, and everything about one of them on one axis of time."""

import datetime as dt
import uuid
from typing import Any, Final

from flask import g, url_for
from sqlalchemy import Select, or_, select
from sqlalchemy.orm import selectinload

from sc_stim import clock
from sc_stim.access import in_clinic, requires
from sc_stim.api.fields import PageQuery
from sc_stim.api.http import Resource, audit, find_or_404, find_to_edit
from sc_stim.api.paging import page, page_of
from sc_stim.api.schemas_patients import (
    NewPatientSchema,
    PatientChangeSchema,
    PatientSchema,
    PatientSearchSchema,
)
from sc_stim.api.schemas_shared import seen, window
from sc_stim.api.schemas_timeline import TimelineQuerySchema, TimelineSchema
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.models import Patient
from sc_stim.models.timeline import timeline_of
from sc_stim.workflows import registry

patients = Resource("patients", __name__, "The record of a patient.")

PAGE: Final = page_of(PatientSchema)
USUAL_TIMELINE: Final = dt.timedelta(days=90)


@patients.get("/patients")
@requires("patients.read")
@patients.arguments(PageQuery, location="query")
@patients.response(200, PAGE)
def list_patients(query: dict[str, Any]) -> Any:
    """List the clinic's patients."""
    return _page(_of_clinic(), query)


@patients.post("/patients/search")
@requires("patients.read")
@patients.arguments(PatientSearchSchema)
@patients.response(200, PAGE)
def search_patients(search: dict[str, Any]) -> Any:
    """Find patients by name or record number.

    A search is a POST, so that names stand in no address and no log of addresses.
    """
    statement = _of_clinic()
    for word in search["text"].split():
        columns = (Patient.given_name, Patient.family_name, Patient.mrn)
        statement = statement.where(or_(*(column.icontains(word, autoescape=True) for column in columns)))
    body, _ = _page(statement, search)
    return body


@patients.post("/patients")
@requires("patients.write")
@patients.arguments(NewPatientSchema)
@patients.response(201, PatientSchema)
def create_patient(new: dict[str, Any]) -> tuple[Patient, dict[str, str]]:
    """Register a patient; the time zone is the clinic's unless another is given."""
    values = {"time_zone": g.user.clinic.time_zone} | new
    patient = registry.register_patient(db.session, actor(), values, at=clock.now())
    return patient, {"Location": url_for("patients.show_patient", patient_id=patient.public_id)}


@patients.get("/patients/<uuid:patient_id>")
@requires("patients.read")
@patients.response(200, PatientSchema)
def show_patient(patient_id: uuid.UUID) -> Patient:
    """Show a patient."""
    patient = find_or_404(Patient, patient_id)
    audit("patient.view", "patient", patient.public_id)
    return patient


@patients.patch("/patients/<uuid:patient_id>")
@requires("patients.write")
@patients.arguments(PatientChangeSchema(partial=True))
@patients.response(200, PatientSchema)
def change_patient(changes: dict[str, Any], patient_id: uuid.UUID) -> Patient:
    """Change the record of a patient."""
    patient = find_to_edit(Patient, patient_id)
    registry.change_patient(db.session, actor(), patient, changes, at=clock.now())
    return patient


@patients.get("/patients/<uuid:patient_id>/timeline")
@requires("patients.read")
@patients.arguments(TimelineQuerySchema, location="query")
@patients.response(200, TimelineSchema)
def show_timeline(query: dict[str, Any], patient_id: uuid.UUID) -> dict[str, Any]:
    """Show pain, usage, reservoir, battery, events, fills, settings, treatments and alerts on one axis of time.

    Series have one point for each hour up to 14 days, above that one for each of the patient's days. A time without
    data has a point without a value: gaps are shown, never bridged.
    """
    patient = find_or_404(Patient, patient_id)
    since, until = window(query, USUAL_TIMELINE)
    audit("patient.timeline", "patient", patient.public_id)
    return timeline_of(db.session, patient, since, until)


def _of_clinic() -> Select[Any]:
    statement: Select[Any] = in_clinic(select(Patient), Patient, g.user.clinic_id)
    return statement.options(selectinload(Patient.devices))


def _page(statement: Select[Any], query: dict[str, Any]) -> Any:
    body, headers = page(statement, query, [Patient.id])
    audit("patient.list", patients=seen(body["items"]))
    return body, headers
