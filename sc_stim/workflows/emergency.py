"""Links to emergency sheets: made by a person of the clinic, read by whoever holds them, ended by time or by hand."""

import datetime as dt
import secrets
from collections.abc import Sequence
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from sc_stim.models import EmergencyLink, Patient
from sc_stim.workflows import audit
from sc_stim.workflows.accounts import digest
from sc_stim.workflows.audit import Actor

LONGEST: Final = dt.timedelta(days=7)
READER: Final = "emergency link"  # in the audit trail, where no account reads


def create_link(
    session: Session, actor: Actor, patient: Patient, lasts: dt.timedelta, *, at: dt.datetime
) -> tuple[EmergencyLink, str]:
    """A new link and its token, which is shown once and never kept. ValueError unless it ends within LONGEST."""
    if not dt.timedelta(0) < lasts <= LONGEST:
        raise ValueError(f"a link lasts at most {LONGEST.days} days")
    token = secrets.token_urlsafe(32)
    link = EmergencyLink(
        clinic_id=patient.clinic_id,
        patient_id=patient.id,
        token_sha256=digest(token),
        created_by_id=actor.user_id,
        created_at=at,
        expires_at=at + lasts,
    )
    session.add(link)
    session.flush()
    detail = {"link": str(link.public_id), "expires_at": link.expires_at.isoformat()}
    audit.record(session, actor, "emergency_link.create", "patient", patient.public_id, detail, at=at)
    return link, token


def revoke_links(session: Session, actor: Actor, patient: Patient, *, at: dt.datetime) -> int:
    """End every link to this patient's sheet; returns how many were open."""
    links = open_links(session, patient, at)
    for link in links:
        link.revoked_at = at
    detail = {"links": [str(link.public_id) for link in links]}
    audit.record(session, actor, "emergency_link.revoke", "patient", patient.public_id, detail, at=at)
    return len(links)


def open_links(session: Session, patient: Patient, at: dt.datetime) -> Sequence[EmergencyLink]:
    """Those that still open the sheet, oldest first."""
    statement = select(EmergencyLink).where(
        EmergencyLink.patient_id == patient.id,
        EmergencyLink.revoked_at.is_(None),
        EmergencyLink.expires_at > at,
    )
    return session.scalars(statement.order_by(EmergencyLink.id)).all()


def read_link(session: Session, token: str, seal_key: bytes, *, at: dt.datetime) -> EmergencyLink | None:
    """The link with this token, on record as read; None for one that is unknown, over or revoked."""
    link = session.scalars(
        select(EmergencyLink).where(EmergencyLink.token_sha256 == digest(token))
    ).one_or_none()
    if link is None or link.revoked_at or link.expires_at <= at:
        return None
    link.last_read_at, link.times_read = at, link.times_read + 1
    reader = Actor(link.clinic_id, READER, seal_key)
    detail = {"link": str(link.public_id)}
    audit.record(session, reader, "emergency_sheet.read", "patient", link.patient.public_id, detail, at=at)
    return link
