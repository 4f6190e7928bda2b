"""Diary scores that staff enter or correct. A correction is a new row that names the one it replaces."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from sc_stim.models import PainScore, Patient
from sc_stim.workflows import audit, outbox
from sc_stim.workflows.audit import Actor
from sc_stim.workflows.refusals import Conflict, FieldRefused

SAYS_SOMETHING: Final = ("nrs", "flare", "sleep", "interference", "symptoms")


def enter_score(
    session: Session,
    actor: Actor,
    patient: Patient,
    values: Mapping[str, Any],
    replaces: PainScore | None = None,
    *,
    at: dt.datetime,
) -> PainScore:
    """A score told to staff, or the correction of one. Raises FieldRefused and Conflict.

    A correction that says nothing withdraws the score: it was entered by mistake. Without `measured_at` a score is of
    now, a correction of the time of the score it replaces.
    """
    if replaces is not None and replaces.patient_id != patient.id:
        raise FieldRefused("replaces", "is not a score of this patient")
    if replaces is None and not any(values.get(name) not in (None, []) for name in SAYS_SOMETHING):
        raise FieldRefused("nrs", f"give at least one of {', '.join(SAYS_SOMETHING)}")
    measured_at = values.get("measured_at") or (replaces.measured_at if replaces else at)
    if measured_at > at:
        raise FieldRefused("measured_at", "lies in the future")
    score = PainScore(
        clinic_id=actor.clinic_id,
        patient_id=patient.id,
        received_at=at,
        entered_by_id=actor.user_id,
        replaces_id=replaces.id if replaces else None,
        **(dict(values) | {"measured_at": measured_at}),
    )
    _add(session, score)
    action = "score.correct" if replaces else "score.enter"
    detail = {"score": str(score.public_id)} | ({"replaces": str(replaces.public_id)} if replaces else {})
    audit.record(session, actor, action, "patient", patient.public_id, detail, at=at)
    since = min(measured_at, replaces.measured_at) if replaces else measured_at
    outbox.ask(session, outbox.PAIN, [patient.id], at, since=since)
    return score


def find_score(session: Session, patient: Patient, public_id: Any) -> PainScore | None:
    """A score of this patient by its public id."""
    statement = select(PainScore).where(PainScore.public_id == public_id, PainScore.patient_id == patient.id)
    return session.scalars(statement).one_or_none()


def _add(session: Session, score: PainScore) -> None:
    try:
        with session.begin_nested():
            session.add(score)
    except IntegrityError as error:
        raise Conflict("this score was corrected before: correct its correction") from error
