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

from sc_stim.models import AuditEntry, AuditHead

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
    """Walk every chain; yields the first break of each clinic that has one."""
    heads = {head.clinic_id: head for head in session.scalars(select(AuditHead))}
    with_entries = set(session.scalars(select(AuditEntry.clinic_id).distinct()))
    for clinic_id in sorted(heads.keys() | with_entries):
        broken = _verify_clinic(session, key, clinic_id, heads.get(clinic_id))
        if broken:
            yield broken


def _verify_clinic(session: Session, key: bytes, clinic_id: int, head: AuditHead | None) -> Break | None:
    number, mac = 0, START
    entries = select(AuditEntry).where(AuditEntry.clinic_id == clinic_id).order_by(AuditEntry.number)
    for entry in session.scalars(entries.execution_options(yield_per=1000)):
        number += 1
        if entry.number != number:
            return Break(clinic_id, number, f"entry {number} is missing")
        if entry.previous_mac != mac:
            return Break(clinic_id, number, "does not follow the entry before it")
        if not hmac.compare_digest(entry.mac, _mac(key, entry)):
            return Break(clinic_id, number, "was altered")
        mac = entry.mac
    if head is None:
        return Break(clinic_id, number, "the head of the chain is missing")
    if not hmac.compare_digest(head.seal, _seal(key, head)):
        return Break(clinic_id, number, "the head of the chain was altered")
    if (head.number, head.mac) != (number, mac):
        return Break(clinic_id, number + 1, "the newest entries were cut off")
    return None


def _head(session: Session, actor: Actor) -> AuditHead:
    statement = select(AuditHead).where(AuditHead.clinic_id == actor.clinic_id)
    head = session.scalars(statement.with_for_update().execution_options(populate_existing=True)).one_or_none()
    if head is None:
        head = AuditHead(clinic_id=actor.clinic_id, number=0, mac=START)
        head.seal = _seal(actor.seal_key, head)
        session.add(head)
        session.flush()
    return head


def _mac(key: bytes, entry: AuditEntry) -> bytes:
    body = [
        entry.encoding, entry.clinic_id, entry.number, entry.at.astimezone(dt.UTC).isoformat(timespec="microseconds"),
        entry.actor, entry.action, entry.subject_kind, entry.subject, entry.detail,
    ]  # fmt: skip
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
    return hmac.digest(key, entry.previous_mac + canonical, hashlib.sha256)


def _seal(key: bytes, head: AuditHead) -> bytes:
    return hmac.digest(key, b"head:%d:%d:" % (head.clinic_id, head.number) + head.mac, hashlib.sha256)
