"""The audit trail: a keyed hash chain per clinic."""

import datetime as dt
from typing import Any

from sqlalchemy import JSON, LargeBinary, Select, String, UniqueConstraint, cast, or_, select
from sqlalchemy.orm import Mapped, mapped_column

from sc_stim.access import in_clinic
from sc_stim.extensions import db
from sc_stim.models.base import BigKey, Key, UtcDateTime


class AuditEntry(db.Model):
    """One act, or one view of a patient's record. Rows are never changed; `mac` covers the row and `previous_mac`."""

    __tablename__ = "audit_entry"
    __table_args__ = (UniqueConstraint("clinic_id", "number"),)

    id: Mapped[Key]
    clinic_id: Mapped[int] = mapped_column(BigKey)  # 0 is the installation itself
    number: Mapped[int] = mapped_column(BigKey)  # 1, 2, 3 ... within the clinic, without gaps
    at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    actor: Mapped[str] = mapped_column(String(60))  # public id of a user, or the name of a process
    action: Mapped[str] = mapped_column(String(60))
    subject_kind: Mapped[str | None] = mapped_column(String(30))
    subject: Mapped[str | None] = mapped_column(String(60))
    detail: Mapped[dict[str, Any]] = mapped_column(
        JSON
    )  # not JSONB, which rewrites numbers: the seal covers the text
    encoding: Mapped[int] = mapped_column(default=1)
    previous_mac: Mapped[bytes] = mapped_column(LargeBinary(32))
    mac: Mapped[bytes] = mapped_column(LargeBinary(32))


class AuditHead(db.Model):
    """The end of each clinic's chain, itself keyed, so that cutting off the newest entries is found too."""

    __tablename__ = "audit_head"

    clinic_id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(BigKey)
    mac: Mapped[bytes] = mapped_column(LargeBinary(32))
    seal: Mapped[bytes] = mapped_column(LargeBinary(32))


def trail(
    clinic_id: int,
    *,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
    actor: str | None = None,
    action: str | None = None,
    subject: str | None = None,
    about: str | None = None,
) -> Select[tuple[AuditEntry]]:
    """The entries of a clinic from `since` until before `until`; what is None does not narrow them.

    about: an id that is the subject or that the detail names, as a view of a list names every patient on it
    """
    statement: Select[tuple[AuditEntry]] = in_clinic(select(AuditEntry), AuditEntry, clinic_id)
    for column, value in (
        (AuditEntry.actor, actor), (AuditEntry.action, action), (AuditEntry.subject, subject),
    ):  # fmt: skip
        if value is not None:
            statement = statement.where(column == value)
    if since is not None:
        statement = statement.where(AuditEntry.at >= since)
    if until is not None:
        statement = statement.where(AuditEntry.at < until)
    if about is not None:
        named = cast(AuditEntry.detail, String).contains(about, autoescape=True)
        statement = statement.where(or_(AuditEntry.subject == about, named))
    return statement
