"""The patient's diary: scores from devices, scores told to staff, and corrections."""

import datetime as dt
import uuid
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from sc_stim import clock
from sc_stim.access import requires
from sc_stim.api.fields import PageQuery
from sc_stim.api.http import Resource, audit, find_or_404
from sc_stim.api.paging import page, page_of
from sc_stim.api.schemas_pain import PainFindingSchema
from sc_stim.api.schemas_patients import NewPainScoreSchema, PainScoreQuerySchema, PainScoreSchema
from sc_stim.api.schemas_shared import window
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.models import PainFinding, PainScore, Patient
from sc_stim.models.replaced import not_replaced
from sc_stim.workflows.diary import enter_score

diary = Resource("diary", __name__, "Pain scores of a patient, and what was found in them.")

USUAL: Final = dt.timedelta(days=30)
WITH_NAMES: Final = (
    joinedload(PainScore.entered_by),
    joinedload(PainScore.replaces),
    joinedload(PainScore.replaced_by),
)


@diary.get("/patients/<uuid:patient_id>/pain-scores")
@requires("diary.read")
@diary.arguments(PainScoreQuerySchema, location="query")
@diary.response(200, page_of(PainScoreSchema))
def list_pain_scores(query: dict[str, Any], patient_id: uuid.UUID) -> Any:
    """List scores, newest first; without `from`, of 30 days. Corrected scores are left out unless asked for."""
    patient = find_or_404(Patient, patient_id)
    since, until = window(query, USUAL)
    audit("patient.diary", "patient", patient.public_id)
    at = PainScore.measured_at
    statement = select(PainScore).where(PainScore.patient_id == patient.id, at >= since, at < until)
    if not query["include_replaced"]:
        statement = statement.where(not_replaced(PainScore))
    return page(statement.options(*WITH_NAMES), query, [at, PainScore.id], newest_first=True)


@diary.post("/patients/<uuid:patient_id>/pain-scores")
@requires("diary.write")
@diary.arguments(NewPainScoreSchema)
@diary.response(201, PainScoreSchema)
def create_pain_score(new: dict[str, Any], patient_id: uuid.UUID) -> PainScore:
    """Enter a score that the patient told, or correct one."""
    patient = find_or_404(Patient, patient_id)
    replaces = new.pop("replaces", None)
    return enter_score(db.session, actor(), patient, new, replaces, at=clock.now())


@diary.get("/patients/<uuid:patient_id>/pain-findings")
@requires("diary.read")
@diary.arguments(PageQuery, location="query")
@diary.response(200, page_of(PainFindingSchema))
def list_pain_findings(query: dict[str, Any], patient_id: uuid.UUID) -> Any:
    """List what the pain rule found, newest first, each with its baseline, level and cause card as it was told.

    The alert of a finding has the cause card of now.
    """
    patient = find_or_404(Patient, patient_id)
    audit("patient.diary", "patient", patient.public_id)
    statement = select(PainFinding).where(PainFinding.patient_id == patient.id)
    return page(statement, query, [PainFinding.day, PainFinding.id], newest_first=True)
