"""Diary scores that staff enter or correct. A correction is a new row that names the one it replaces."""

import datetime as dt
import uuid
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
    replaces: uuid.UUID | None = None,
    *,
    at: dt.datetime,
) -> PainScore:
    """A score told to staff, or the correction of one. Raises FieldRefused and Conflict.

    A correction that says nothing withdraws the score: it was entered by mistake. Without `measured_at` and `site` a
    score is of now and overall, a correction is of those of the score it replaces.
    """
    wrong = _find(session, patient, replaces) if replaces else None
    if wrong is None and not any(values.get(name) not in (None, []) for name in SAYS_SOMETHING):
        raise FieldRefused("nrs", f"give at least one of {', '.join(SAYS_SOMETHING)}")
    kept = {"measured_at": wrong.measured_at, "site": wrong.site} if wrong else {"measured_at": at}
    values = {**kept, **values}
    if values["measured_at"] > at:
        raise FieldRefused("measured_at", "lies in the future")
    score = PainScore(
        clinic_id=actor.clinic_id,
        patient_id=patient.id,
        received_at=at,
        entered_by_id=actor.user_id,
        replaces_id=wrong.id if wrong else None,
        **values,
    )
    _add(session, score)
    detail = {"score": str(score.public_id)} | ({"replaces": str(replaces)} if replaces else {})
    action = "score.correct" if wrong else "score.enter"
    audit.record(session, actor, action, "patient", patient.public_id, detail, at=at)
    since = min(score.measured_at, wrong.measured_at) if wrong else score.measured_at
    outbox.ask(session, outbox.PAIN, [patient.id], at, since=since)
    return score


def _find(session: Session, patient: Patient, public_id: uuid.UUID) -> PainScore:
    statement = select(PainScore).where(PainScore.public_id == public_id, PainScore.patient_id == patient.id)
    score = session.scalars(statement).one_or_none()
    if score is None:
        raise FieldRefused("replaces", "this patient has no such score")
    return score


def _add(session: Session, score: PainScore) -> None:
    try:
        with session.begin_nested():
            session.add(score)
    except IntegrityError as error:
        raise Conflict("this score was corrected before: correct its correction") from error
