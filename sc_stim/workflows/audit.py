"""Writing and checking the audit chain.

Every entry is sealed with a key over its canonical JSON and the seal before it; the head of each clinic's chain is
sealed as well, so editing, deleting, inserting, reordering and cutting off entries are all found.
"""

import datetime as dt
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from sc_stim.models import AuditEntry, AuditHead, Clinic
from sc_stim.workflows.outbox import UPSERT

ENCODING = 1
START = bytes(32)
INSTALLATION = 0  # chain of acts that belong to no clinic


@dataclass(frozen=True)
class Actor:
    """Who acts, for which clinic, and the key that seals the record of it."""

    clinic_id: int
    name: str
    seal_key: bytes = field(repr=False)
    user_id: int | None = None


@dataclass(frozen=True)
class Break:
    """The first place where a chain does not hold."""

    clinic_id: int
    number: int
    reason: str


def seal_key(secret_key: str) -> bytes:
    return hmac.digest(secret_key.encode(), b"sc_stim audit chain 1", hashlib.sha256)


def record(
    session: Session,
    actor: Actor,
    action: str,
    subject_kind: str | None = None,
    subject: object = None,
    detail: dict[str, Any] | None = None,
    *,
    at: dt.datetime,
) -> AuditEntry:
    """Append one entry in the caller's transaction. Entries of one clinic wait for each other until its commit."""
    head = _head(session, actor)
    entry = AuditEntry(
        clinic_id=actor.clinic_id,
        number=head.number + 1,
        at=at,
        actor=actor.name,
        action=action,
        subject_kind=subject_kind,
        subject=None if subject is None else str(subject),
        detail=detail or {},
        encoding=ENCODING,
        previous_mac=head.mac,
    )
    entry.mac = _mac(actor.seal_key, entry)
    session.add(entry)
    head.number, head.mac = entry.number, entry.mac
    head.seal = _seal(actor.seal_key, head)
    session.flush()
    return entry


def verify(session: Session, key: bytes) -> Iterator[Break]:
    """Check every chain, also that every clinic has one; yields the first break of each that has one.

    What no check from inside can find is a whole database put back to an earlier day: compare `number` and `mac` of
    the heads with a copy kept elsewhere for that.
    """
    clinics: set[int] = set()
    for column in (AuditHead.clinic_id, AuditEntry.clinic_id, Clinic.id):
        clinics |= set(session.scalars(select(column).distinct()))
    for clinic_id in sorted(clinics):
        broken = verify_clinic(session, key, clinic_id)
        if broken:
            yield broken


def verify_clinic(session: Session, key: bytes, clinic_id: int) -> Break | None:
    """Check one chain. It may grow meanwhile: the head is read first, and what follows it must hold as well."""
    head = session.scalars(select(AuditHead).where(AuditHead.clinic_id == clinic_id)).one_or_none()
    if head is None:
        return Break(clinic_id, 0, "the head of the chain is missing")
    if not hmac.compare_digest(head.seal, _seal(key, head)):
        return Break(clinic_id, head.number, "the head of the chain was altered")
    number, mac = 0, START
    entries = select(*AuditEntry.__table__.columns).where(AuditEntry.clinic_id == clinic_id)
    with session.execute(entries.order_by(AuditEntry.number).execution_options(yield_per=1000)) as rows:
        for entry in rows:
            number += 1
            reason = _fault(key, entry, number, mac)
            if reason is None and number == head.number and entry.mac != head.mac:
                reason = "is not the one the head was made for"
            if reason:
                return Break(clinic_id, number, reason)
            mac = entry.mac
    return Break(clinic_id, number + 1, "the newest entries were cut off") if number < head.number else None


def verify_on_record(session: Session, actor: Actor, *, at: dt.datetime) -> Break | None:
    """Check the chain of the actor's clinic, and put on record that it was checked and what was found."""
    broken = verify_clinic(session, actor.seal_key, actor.clinic_id)
    detail = {"intact": broken is None} | (
        {"broken_at": broken.number, "reason": broken.reason} if broken else {}
    )
    record(session, actor, "audit.verify", detail=detail, at=at)
    return broken


def _fault(key: bytes, entry: Any, number: int, previous_mac: bytes) -> str | None:
    if entry.number != number:
        return "is missing"
    if entry.previous_mac != previous_mac:
        return "does not follow the entry before it"
    return None if hmac.compare_digest(entry.mac, _mac(key, entry)) else "was altered"


def _head(session: Session, actor: Actor) -> AuditHead:
    """The locked head of the actor's clinic. The first entry makes it; two first entries at once make it once."""
    statement = select(AuditHead).where(AuditHead.clinic_id == actor.clinic_id)
    statement = statement.with_for_update().execution_options(populate_existing=True)
    head = session.scalars(statement).one_or_none()
    if head is None:
        first = AuditHead(clinic_id=actor.clinic_id, number=0, mac=START)
        values = {
            "clinic_id": first.clinic_id,
            "number": 0,
            "mac": START,
            "seal": _seal(actor.seal_key, first),
        }
        session.execute(
            UPSERT[session.get_bind().dialect.name](AuditHead).values(values).on_conflict_do_nothing()
        )
        head = session.scalars(statement).one()
    return head


def _mac(key: bytes, entry: Any) -> bytes:
    body = [
        entry.encoding, entry.clinic_id, entry.number, entry.at.astimezone(dt.UTC).isoformat(timespec="microseconds"),
        entry.actor, entry.action, entry.subject_kind, entry.subject, entry.detail,
    ]  # fmt: skip
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
    return hmac.digest(key, entry.previous_mac + canonical, hashlib.sha256)


def _seal(key: bytes, head: AuditHead) -> bytes:
    return hmac.digest(key, b"head:%d:%d:" % (head.clinic_id, head.number) + head.mac, hashlib.sha256)
