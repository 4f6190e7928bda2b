"""The outbox: work that is owed, proof that it was done once, and signs of life."""

import datetime as dt
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from sc_stim.extensions import db
from sc_stim.models.base import BigKey, Json, JsonDict, Key, UtcDateTime

_FAILING = text("last_error IS NOT NULL")


class WorkItem(db.Model):
    """Something to judge. Asking again while it waits only raises `generation`; done means the row is gone.

    A worker deletes the row it did only if `generation` is still the one it read, so data that arrives meanwhile
    is judged again.
    """

    __tablename__ = "work_item"
    __table_args__ = (
        UniqueConstraint("kind", "subject_id"),
        Index("ix_work_item_due_at", "due_at"),
        Index("ix_work_item_failing", "asked_at", postgresql_where=_FAILING, sqlite_where=_FAILING),
    )

    id: Mapped[Key]
    kind: Mapped[str] = mapped_column(String(20))
    subject_id: Mapped[int] = mapped_column(BigKey)
    generation: Mapped[int] = mapped_column(BigKey, default=1)
    since: Mapped[dt.datetime] = mapped_column(UtcDateTime)  # the earliest measurement that is news
    due_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    asked_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    claimed_until: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str | None] = mapped_column(Text)


class JobRun(db.Model):
    """A beat job in one time slot: the primary key makes two beats do it once."""

    __tablename__ = "job_run"

    job: Mapped[str] = mapped_column(String(40), primary_key=True)
    slot: Mapped[dt.datetime] = mapped_column(UtcDateTime, primary_key=True)
    started_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    detail: Mapped[JsonDict] = mapped_column(default=dict)


class Heartbeat(db.Model):
    """When a process or job last did work, written by the work itself."""

    __tablename__ = "heartbeat"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    detail: Mapped[JsonDict] = mapped_column(default=dict)


class IdempotencyKey(db.Model):
    """The answer already given to a POST with this key, kept for 24 hours."""

    __tablename__ = "idempotency_key"

    user_id: Mapped[int] = mapped_column(BigKey, ForeignKey("user_account.id"), primary_key=True)
    key: Mapped[str] = mapped_column(String(100), primary_key=True)
    request_sha256: Mapped[bytes] = mapped_column(LargeBinary(32))
    status: Mapped[int]
    body: Mapped[Any] = mapped_column(Json)
    headers: Mapped[JsonDict] = mapped_column(default=dict)
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime, index=True)
