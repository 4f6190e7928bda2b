"""Recalls, the versions of their lists, and the outreach to every device they mean."""

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from sc_stim.clinical.outreach import FINISHED
from sc_stim.extensions import db
from sc_stim.models.base import PHI, BigKey, JsonList, Key, PublicId, UtcDateTime, Versioned
from sc_stim.models.clinic import User
from sc_stim.models.device import Device
from sc_stim.models.patient import Patient

MATCHED = "matched"
NOT_EXCLUDED = "cannot_be_excluded"


class Recall(Versioned, db.Model):
    """A field safety notice. New devices are matched against it until somebody closes it."""

    __tablename__ = "recall"
    __table_args__ = (Index("ix_recall_clinic_id_closed_at", "clinic_id", "closed_at"),)

    id: Mapped[Key]
    public_id: Mapped[PublicId]
    clinic_id: Mapped[int] = mapped_column(BigKey, ForeignKey("clinic.id"))
    title: Mapped[str] = mapped_column(String(200))
    reference: Mapped[str | None] = mapped_column(String(200))
    source: Mapped[str | None] = mapped_column(String(500))
    recall_class: Mapped[str] = mapped_column(String(12))
    advice: Mapped[str] = mapped_column(Text)
    created_by_id: Mapped[int] = mapped_column(BigKey, ForeignKey("user_account.id"))
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    closed_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)

    created_by: Mapped[User] = relationship()
    lists: Mapped[list["RecallListVersion"]] = relationship(order_by="RecallListVersion.number")

    @property
    def newest(self) -> "RecallListVersion":
        return self.lists[-1]


class RecallListVersion(db.Model):
    """A list as it was pasted. A corrected one is a new row; the newest counts."""

    __tablename__ = "recall_list"
    __table_args__ = (UniqueConstraint("recall_id", "number"),)

    id: Mapped[Key]
    recall_id: Mapped[int] = mapped_column(BigKey, ForeignKey("recall.id"))
    number: Mapped[int]
    text: Mapped[str] = mapped_column(Text)
    unread: Mapped[
        JsonList
    ]  # [{"line": 3, "text": "...", "problem": "...", "fix": "..."}], left out on purpose
    entered_by_id: Mapped[int] = mapped_column(BigKey, ForeignKey("user_account.id"))
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)

    entered_by: Mapped[User] = relationship()


class RecallOutreach(Versioned, db.Model):
    """What is to be done about one device. It is kept, with its history, when a corrected list no longer names it."""

    __tablename__ = "recall_outreach"
    __table_args__ = (
        UniqueConstraint("recall_id", "device_id"),
        Index("ix_recall_outreach_device_id", "device_id"),
    )

    id: Mapped[Key]
    public_id: Mapped[PublicId]
    clinic_id: Mapped[int] = mapped_column(BigKey, ForeignKey("clinic.id"))
    recall_id: Mapped[int] = mapped_column(BigKey, ForeignKey("recall.id"))
    device_id: Mapped[int] = mapped_column(BigKey, ForeignKey("device.id"))
    match: Mapped[str] = mapped_column(String(20))
    line: Mapped[int]
    missing: Mapped[JsonList]  # what would have to be on record to exclude it
    on_list: Mapped[bool] = mapped_column(default=True)
    state: Mapped[str] = mapped_column(String(12), default="to_do")
    opened_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)  # listed, or taken up again
    changed_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)

    recall: Mapped[Recall] = relationship()
    device: Mapped[Device] = relationship()
    history: Mapped[list["RecallOutreachEntry"]] = relationship(order_by="RecallOutreachEntry.id")

    @property
    def patient(self) -> Patient | None:
        """Who lives with the device now."""
        return self.device.patient


class RecallOutreachEntry(db.Model):
    """Who did what for a device of a recall; `actor_id` is null where matching itself changed it."""

    __tablename__ = "recall_outreach_entry"

    id: Mapped[Key]
    outreach_id: Mapped[int] = mapped_column(BigKey, ForeignKey("recall_outreach.id"), index=True)
    at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    actor_id: Mapped[int | None] = mapped_column(BigKey, ForeignKey("user_account.id"))
    event: Mapped[str] = mapped_column(String(20))  # a state of outreach, or listed, left_list, explanted
    way: Mapped[str | None] = mapped_column(String(10))
    note: Mapped[str | None] = mapped_column(Text, info=PHI)

    actor: Mapped[User | None] = relationship()


def counts_of(session: Session, recall_ids: Collection[int]) -> Mapping[int, dict[str, int]]:
    """Of each recall: devices on its list by state of outreach, and `left`, which is worked down to zero."""
    found: dict[int, dict[str, int]] = {recall_id: {"total": 0, "left": 0} for recall_id in recall_ids}
    statement = (
        select(RecallOutreach.recall_id, RecallOutreach.state, RecallOutreach.match, func.count())
        .where(RecallOutreach.recall_id.in_(recall_ids), RecallOutreach.on_list)
        .group_by(RecallOutreach.recall_id, RecallOutreach.state, RecallOutreach.match)
    )
    for recall_id, state, match, count in session.execute(statement):
        tally = found[recall_id]
        for name in (state, match, "total", *(() if state in FINISHED else ("left",))):
            tally[name] = tally.get(name, 0) + count
    return found


def open_recalls_of(session: Session, device_ids: Collection[int]) -> dict[int, list[Any]]:
    """Unfinished outreach of each device, with its recall."""
    found: dict[int, list[Any]] = {device_id: [] for device_id in device_ids}
    statement = (
        select(RecallOutreach)
        .where(RecallOutreach.device_id.in_(device_ids), RecallOutreach.on_list)
        .where(RecallOutreach.state.not_in(FINISHED))
        .order_by(RecallOutreach.id)
    )
    for row in session.scalars(statement):
        found[row.device_id].append(row)
    return found
