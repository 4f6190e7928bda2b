"""Marking a patient as reviewed, correcting that, and how often it has to be done."""

import datetime as dt
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from sc_stim.clinical.alert_lifecycle import State
from sc_stim.clinical.review_due import ReviewDue, interval_days, review_due, usual_interval
from sc_stim.models import Alert, Clinic, Device, Patient, Review, ReviewPlan
from sc_stim.models.base import new_public_id
from sc_stim.models.review import last_review, standing_reviews
from sc_stim.workflows import audit
from sc_stim.workflows.audit import Actor
from sc_stim.workflows.outbox import UPSERT
from sc_stim.workflows.refusals import Conflict, FieldRefused

FIRST_COVERS: Final = dt.timedelta(days=90)  # what a first review covers unless it says otherwise
KEPT: Final = ("covers_from", "covers_until", "comment")


@dataclass(frozen=True)
class Standing:
    """When one device is due, by an interval set for the `patient` or the `clinic`, or the `usual` one."""

    device: Device
    due: ReviewDue
    interval_days: int
    set_by: str


def mark_reviewed(
    session: Session,
    actor: Actor,
    patient: Patient,
    values: Mapping[str, Any],
    devices: Collection[uuid.UUID] | None = None,
    *,
    at: dt.datetime,
) -> Review:
    """Put on record that the actor looked at this patient now. It acknowledges no alert. Raises FieldRefused.

    values: `comment`, `covers_from`, `covers_until`, where given
    devices: those looked at; left out, all that the patient lives with
    """
    last = last_review(session, patient.id)
    until = values.get("covers_until") or at
    since = values.get("covers_from") or (last.covers_until if last else until - FIRST_COVERS)
    if until > at:
        raise FieldRefused("covers_until", "lies in the future")
    since = since if "covers_from" in values else min(since, until)
    if since > until:
        raise FieldRefused("covers_from", "must not be after covers_until")
    opened = _open_alerts(session, patient)
    review = Review(
        clinic_id=actor.clinic_id,
        patient_id=patient.id,
        reviewed_at=at,
        reviewed_on=_local_day(session, actor.clinic_id, at),
        reviewed_by_id=actor.user_id,
        covers_from=since,
        covers_until=until,
        comment=values.get("comment"),
        open_alerts=len(opened),
        unacknowledged_high=sum(map(_calls_loudly, opened)),
        devices=_devices(patient, devices),
    )
    return _enter(session, actor, patient, review, at)


def correct_review(
    session: Session,
    actor: Actor,
    patient: Patient,
    wrong: uuid.UUID,
    values: Mapping[str, Any],
    devices: Collection[uuid.UUID] | None = None,
    *,
    at: dt.datetime,
) -> Review:
    """A new entry in place of a wrong one: with other values, or `withdrawn`. Raises FieldRefused and Conflict."""
    old = _find(session, patient, wrong)
    if old is None:
        raise FieldRefused("replaces", "this patient has no such review")
    if old.withdrawn:
        raise FieldRefused("replaces", "this review is withdrawn: mark the patient reviewed anew")
    if values.get("withdrawn") and not values.get("comment"):
        raise FieldRefused("comment", "say why the review is withdrawn")
    kept = {name: values.get(name, getattr(old, name)) for name in KEPT}
    if not kept["covers_from"] <= kept["covers_until"] <= at:
        raise FieldRefused("covers_from", "must not be after covers_until, which must not lie in the future")
    review = Review(
        clinic_id=old.clinic_id,
        patient_id=old.patient_id,
        reviewed_at=old.reviewed_at,
        reviewed_on=old.reviewed_on,
        reviewed_by_id=old.reviewed_by_id,
        open_alerts=old.open_alerts,
        unacknowledged_high=old.unacknowledged_high,
        withdrawn=bool(values.get("withdrawn")),
        replaces_id=old.id,
        devices=list(old.devices) if devices is None else _devices(patient, devices),
        **kept,
    )
    return _enter(session, actor, patient, review, at)


def change_plan(
    session: Session, actor: Actor, plan: ReviewPlan, changes: Mapping[str, Any], *, at: dt.datetime
) -> None:
    """Set how often devices are reviewed, and by whose word; None: as the clinic, or the usual interval, says."""
    changed = {
        name: [getattr(plan, name), value] for name, value in changes.items() if getattr(plan, name) != value
    }
    for name, (_, value) in changed.items():
        setattr(plan, name, value)
    kind, subject = _subject(session, plan)
    audit.record(session, actor, "review_plan.change", kind, subject, {"changed": changed}, at=at)


def plan_of(session: Session, clinic_id: int, patient: Patient | None = None) -> ReviewPlan:
    """The plan of a patient or of the clinic; where there is none yet, one that says nothing and is not stored."""
    wanted = select(ReviewPlan).where(ReviewPlan.subject == _key(clinic_id, patient))
    return session.scalars(wanted).one_or_none() or ReviewPlan(clinic_id=clinic_id, version=1)


def plan_to_edit(session: Session, clinic_id: int, patient: Patient | None = None) -> ReviewPlan:
    """The same, stored."""
    values = {
        "public_id": new_public_id(), "clinic_id": clinic_id, "subject": _key(clinic_id, patient),
        "patient_id": patient.id if patient else None, "version": 1,
    }  # fmt: skip
    insert = UPSERT[session.get_bind().dialect.name](ReviewPlan)
    session.execute(insert.values(values).on_conflict_do_nothing())
    return plan_of(session, clinic_id, patient)


def standing_of(session: Session, patient: Patient, today: dt.date) -> list[Standing]:
    """When each device the patient lives with is due, the most urgent first."""
    reviewed = _last_by_device(session, patient)
    own, clinics = plan_of(session, patient.clinic_id, patient), plan_of(session, patient.clinic_id)
    found = []
    for device in _devices(patient, None):
        of_patient, of_clinic = (getattr(plan, f"{device.kind}_days") for plan in (own, clinics))
        days = interval_days(device.kind, of_patient=of_patient, of_clinic=of_clinic)
        due = review_due(
            device.implanted_on or device.created_at.date(), reviewed.get(device.id), days, today
        )
        set_by = "patient" if of_patient is not None else "clinic" if of_clinic is not None else "usual"
        found.append(Standing(device, due, days, set_by))
    return sorted(found, key=lambda row: (row.due.due_on, row.device.id))


def interval_source(kind: str) -> str | None:
    """Where the usual interval of this kind of device comes from; None: it is unverified."""
    return usual_interval(kind).source


def _enter(session: Session, actor: Actor, patient: Patient, review: Review, at: dt.datetime) -> Review:
    review.entered_by_id, review.created_at = actor.user_id, at  # type: ignore[assignment]  # a person acts
    try:
        with session.begin_nested():
            session.add(review)
    except IntegrityError as error:
        raise Conflict("this review was corrected already: correct the correction") from error
    detail = {"review": str(review.public_id), "open_alerts": review.open_alerts}
    action = "review.record"
    if review.replaces_id is not None:
        action = "review.withdraw" if review.withdrawn else "review.correct"
    audit.record(session, actor, action, "patient", patient.public_id, detail, at=at)
    return review


def _find(session: Session, patient: Patient, public_id: uuid.UUID) -> Review | None:
    wanted = select(Review).where(Review.public_id == public_id, Review.patient_id == patient.id)
    return session.scalars(wanted).one_or_none()


def _devices(patient: Patient, wanted: Collection[uuid.UUID] | None) -> list[Device]:
    """What the patient lives with, or these of them."""
    theirs = [device for device in patient.devices if device.explanted_on is None]
    if wanted is None:
        return theirs
    named = [device for device in theirs if device.public_id in set(wanted)]
    if len(named) < len(set(wanted)):
        raise FieldRefused("devices", "name devices that this patient lives with now")
    return named


def _open_alerts(session: Session, patient: Patient) -> Sequence[Alert]:
    about = or_(
        Alert.patient_id == patient.id, Alert.device_id.in_([device.id for device in patient.devices])
    )
    wanted = select(Alert).where(about, Alert.clinic_id == patient.clinic_id, Alert.state != State.CLOSED)
    return session.scalars(wanted).all()


def _calls_loudly(alert: Alert) -> bool:
    return alert.severity == "high" and alert.state == State.UNACKNOWLEDGED


def _last_by_device(session: Session, patient: Patient) -> dict[int, dt.date]:
    last: dict[int, dt.date] = {}
    for review in session.scalars(standing_reviews(patient.id).order_by(Review.reviewed_on)):
        last |= dict.fromkeys((device.id for device in review.devices), review.reviewed_on)
    return last


def _local_day(session: Session, clinic_id: int, at: dt.datetime) -> dt.date:
    return at.astimezone(ZoneInfo(session.get_one(Clinic, clinic_id).time_zone)).date()


def _subject(session: Session, plan: ReviewPlan) -> tuple[str, uuid.UUID]:
    if plan.patient_id is None:
        return "clinic", session.get_one(Clinic, plan.clinic_id).public_id
    return "patient", session.get_one(Patient, plan.patient_id).public_id


def _key(clinic_id: int, patient: Patient | None) -> str:
    return f"patient:{patient.id}" if patient else f"clinic:{clinic_id}"
