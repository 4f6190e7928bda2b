"""The care pathway of a patient: conservative care, trials, implants, and the examinations along it."""

import uuid
from typing import Any

from sqlalchemy import select
from werkzeug.exceptions import NotFound

from sc_stim import clock
from sc_stim.access import requires
from sc_stim.api.fields import PageQuery
from sc_stim.api.http import NO_ROW, Resource, audit, find_or_404, find_to_edit
from sc_stim.api.paging import page, page_of
from sc_stim.api.schemas_patients import (
    AssessmentChangeSchema,
    AssessmentSchema,
    NewAssessmentSchema,
    NewTreatmentSchema,
    TreatmentChangeSchema,
    TreatmentSchema,
)
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.models import Assessment, Patient, Treatment
from sc_stim.workflows import registry

pathway = Resource("pathway", __name__, "Treatments and examinations of a patient.")


@pathway.get("/patients/<uuid:patient_id>/treatments")
@requires("patients.read")
@pathway.arguments(PageQuery, location="query")
@pathway.response(200, page_of(TreatmentSchema))
def list_treatments(query: dict[str, Any], patient_id: uuid.UUID) -> Any:
    """List the steps of the care pathway in order of time."""
    patient = find_or_404(Patient, patient_id)
    audit("patient.treatments", "patient", patient.public_id)
    statement = select(Treatment).where(Treatment.patient_id == patient.id)
    return page(statement, query, [Treatment.started_on, Treatment.id])


@pathway.post("/patients/<uuid:patient_id>/treatments")
@requires("patients.write")
@pathway.arguments(NewTreatmentSchema)
@pathway.response(201, TreatmentSchema)
def create_treatment(new: dict[str, Any], patient_id: uuid.UUID) -> Treatment:
    """Add a step of the care pathway."""
    patient = find_or_404(Patient, patient_id)
    return registry.add_treatment(db.session, actor(), patient, new, at=clock.now())


@pathway.patch("/patients/<uuid:patient_id>/treatments/<uuid:treatment_id>")
@requires("patients.write")
@pathway.arguments(TreatmentChangeSchema(partial=True))
@pathway.response(200, TreatmentSchema)
def change_treatment(changes: dict[str, Any], patient_id: uuid.UUID, treatment_id: uuid.UUID) -> Treatment:
    """Change a step of the care pathway."""
    patient = find_or_404(Patient, patient_id)
    treatment = _of_patient(find_to_edit(Treatment, treatment_id), patient)
    registry.change_treatment(db.session, actor(), patient, treatment, changes, at=clock.now())
    return treatment


@pathway.get("/patients/<uuid:patient_id>/assessments")
@requires("patients.read")
@pathway.arguments(PageQuery, location="query")
@pathway.response(200, page_of(AssessmentSchema))
def list_assessments(query: dict[str, Any], patient_id: uuid.UUID) -> Any:
    """List examinations in order of time."""
    patient = find_or_404(Patient, patient_id)
    audit("patient.assessments", "patient", patient.public_id)
    statement = select(Assessment).where(Assessment.patient_id == patient.id)
    return page(statement, query, [Assessment.performed_on, Assessment.id])


@pathway.post("/patients/<uuid:patient_id>/assessments")
@requires("patients.write")
@pathway.arguments(NewAssessmentSchema)
@pathway.response(201, AssessmentSchema)
def create_assessment(new: dict[str, Any], patient_id: uuid.UUID) -> Assessment:
    """Add an examination."""
    patient = find_or_404(Patient, patient_id)
    return registry.add_assessment(db.session, actor(), patient, new, at=clock.now())


@pathway.patch("/patients/<uuid:patient_id>/assessments/<uuid:assessment_id>")
@requires("patients.write")
@pathway.arguments(AssessmentChangeSchema(partial=True))
@pathway.response(200, AssessmentSchema)
def change_assessment(changes: dict[str, Any], patient_id: uuid.UUID, assessment_id: uuid.UUID) -> Assessment:
    """Change an examination."""
    patient = find_or_404(Patient, patient_id)
    assessment = _of_patient(find_to_edit(Assessment, assessment_id), patient)
    registry.change_assessment(db.session, actor(), patient, assessment, changes, at=clock.now())
    return assessment


def _of_patient(row: Any, patient: Patient) -> Any:
    if row.patient_id != patient.id:
        raise NotFound(NO_ROW)
    return row
