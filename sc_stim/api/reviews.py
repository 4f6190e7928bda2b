"""Reviews: who looked at a patient and when, and who is due."""

import datetime as dt
import uuid
from typing import Any
from zoneinfo import ZoneInfo

from flask import g
from sqlalchemy import select

from sc_stim import clock
from sc_stim.access import requires
from sc_stim.api.fields import PageQuery
from sc_stim.api.http import Resource, audit, find_or_404, find_to_edit
from sc_stim.api.paging import page, page_of
from sc_stim.api.schemas_reviews import (
    DueQuerySchema,
    DueReviewSchema,
    NewReviewSchema,
    PatientReviewPlanSchema,
    RecordedReviewSchema,
    ReviewPlanChangeSchema,
    ReviewPlanSchema,
    ReviewSchema,
)
from sc_stim.api.schemas_shared import seen
from sc_stim.extensions import db
from sc_stim.failures import Invalid
from sc_stim.guard import actor
from sc_stim.models import Clinic, Device, Patient, Review, ReviewPlan
from sc_stim.models.review import day_of, reviews_due, with_people
from sc_stim.workflows import reviewing

reviews = Resource("reviews", __name__, "Periodic reviews of patients with devices.")


@reviews.get("/reviews/due")
@requires("reviews.read")
@reviews.arguments(DueQuerySchema, location="query")
@reviews.response(200, page_of(DueReviewSchema))
def list_due_reviews(query: dict[str, Any]) -> Any:
    """List devices whose review is due, the longest overdue first.

    A device nobody ever reviewed counts from its implantation or registration.
    """
    today = _today()
    statement, due = reviews_due(g.user.clinic_id, today + dt.timedelta(days=query["within_days"]))

    def item(device: Device, patient: Patient, last_on: dt.date | None, day: int) -> dict[str, Any]:
        due_on = day_of(day)
        return {
            "patient": patient,
            "device": device,
            "due_on": due_on,
            "days_left": (due_on - today).days,
            "last_reviewed_on": last_on,
        }

    keys: list[Any] = [due.c.due_day, due.c.device_id]
    body, headers = page(statement, query, keys, item=item)
    audit("review.list_due", patients=seen(row["patient"] for row in body["items"]))
    return body, headers


@reviews.get("/patients/<uuid:patient_id>/reviews")
@requires("reviews.read")
@reviews.arguments(PageQuery, location="query")
@reviews.response(200, page_of(ReviewSchema))
def list_reviews(query: dict[str, Any], patient_id: uuid.UUID) -> Any:
    """List the reviews of a patient in the order they were entered, newest first, corrections included."""
    patient = find_or_404(Patient, patient_id)
    audit("patient.reviews", "patient", patient.public_id)
    statement = with_people(select(Review).where(Review.patient_id == patient.id))
    return page(statement, query, [Review.id], newest_first=True)


@reviews.post("/patients/<uuid:patient_id>/reviews")
@requires("reviews.record")
@reviews.arguments(NewReviewSchema)
@reviews.response(201, RecordedReviewSchema)
def create_review(new: dict[str, Any], patient_id: uuid.UUID) -> Any:
    """Mark a patient as reviewed, by you and now; or correct or withdraw a review with `replaces`.

    A review acknowledges no alert: high ones that nobody has taken are named in `warnings`.
    """
    patient = find_or_404(Patient, patient_id)
    devices, wrong = new.pop("devices", None), new.pop("replaces", None)
    if wrong is not None:
        review = reviewing.correct_review(db.session, actor(), patient, wrong, new, devices, at=clock.now())
        return (review, {"warnings": []}), {}
    if new.pop("withdrawn"):
        raise Invalid("withdrawn", "say in `replaces` which review is withdrawn")
    review = reviewing.mark_reviewed(db.session, actor(), patient, new, devices, at=clock.now())
    return (review, {"warnings": _warnings(review)}), {}


@reviews.get("/patients/<uuid:patient_id>/review-plan")
@requires("reviews.read")
@reviews.response(200, PatientReviewPlanSchema)
def show_review_plan(patient_id: uuid.UUID) -> dict[str, Any]:
    """Show how often a patient's devices are reviewed, and when each is due."""
    patient = find_or_404(Patient, patient_id)
    audit("patient.review_plan", "patient", patient.public_id)
    return _plan(patient, reviewing.plan_of(db.session, patient.clinic_id, patient))


@reviews.patch("/patients/<uuid:patient_id>/review-plan")
@requires("reviews.record")
@reviews.arguments(ReviewPlanChangeSchema)
@reviews.response(200, PatientReviewPlanSchema)
def change_review_plan(changes: dict[str, Any], patient_id: uuid.UUID) -> dict[str, Any]:
    """Set how often a patient's devices are reviewed."""
    patient = find_or_404(Patient, patient_id)
    return _plan(patient, _change(changes, patient))


@reviews.get("/clinics/<uuid:clinic_id>/review-plan")
@requires("clinic.read")
@reviews.response(200, ReviewPlanSchema)
def show_clinic_review_plan(clinic_id: uuid.UUID) -> ReviewPlan:
    """Show how often the clinic reviews devices where a patient's plan says nothing else."""
    return reviewing.plan_of(db.session, find_or_404(Clinic, clinic_id).id)


@reviews.patch("/clinics/<uuid:clinic_id>/review-plan")
@requires("clinic.manage")
@reviews.arguments(ReviewPlanChangeSchema)
@reviews.response(200, ReviewPlanSchema)
def change_clinic_review_plan(changes: dict[str, Any], clinic_id: uuid.UUID) -> ReviewPlan:
    """Set how often the clinic reviews devices."""
    find_or_404(Clinic, clinic_id)
    return _change(changes, None)


def _change(changes: dict[str, Any], patient: Patient | None) -> ReviewPlan:
    stored = reviewing.plan_to_edit(db.session, g.user.clinic_id, patient)
    plan = find_to_edit(ReviewPlan, stored.public_id)
    reviewing.change_plan(db.session, actor(), plan, changes, at=clock.now())
    db.session.flush()
    return plan


def _plan(patient: Patient, plan: ReviewPlan) -> dict[str, Any]:
    return {
        "pump_days": plan.pump_days,
        "stimulator_days": plan.stimulator_days,
        "source": plan.source,
        "version": plan.version,
        "due": reviewing.standing_of(db.session, patient, _today()),
    }


def _today() -> dt.date:
    return clock.now().astimezone(ZoneInfo(g.user.clinic.time_zone)).date()


def _warnings(review: Review) -> list[dict[str, Any]]:
    count = review.unacknowledged_high
    if not count:
        return []
    alerts = "alert of high severity is" if count == 1 else "alerts of high severity are"
    message = f"{count} {alerts} not acknowledged: the review does not do that"
    return [{"rule": "unacknowledged_high_alert", "field": "open_alerts", "message": message, "source": None}]
