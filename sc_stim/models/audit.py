"""The audit trail: a keyed hash chain per clinic."""

import datetime as dt
from typing import Any

from sqlalchemy import JSON, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

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
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)  # not JSONB, which rewrites numbers: the seal covers the text
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
