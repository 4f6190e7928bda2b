"""Outgoing messages and every attempt to deliver one."""

import datetime as dt

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from sc_stim.extensions import db
from sc_stim.models.alert import Alert
from sc_stim.models.base import PHI, BigKey, Key, PublicId, UtcDateTime
from sc_stim.models.escalation import Contact


class Message(db.Model):
    """Something that somebody is to be told. The row comes first; `effect_key` makes it one row for ever.

    `clinic_id` is null for messages to the operator of the installation. `state`: waiting, sent, failed, cancelled.
    """

    __tablename__ = "message"
    __table_args__ = (
        Index("ix_message_state_next_attempt_at", "state", "next_attempt_at"),
        Index("ix_message_clinic_id_created_at", "clinic_id", "created_at"),
    )

    id: Mapped[Key]
    public_id: Mapped[PublicId]
    clinic_id: Mapped[int | None] = mapped_column(BigKey, ForeignKey("clinic.id"))
    effect_key: Mapped[str] = mapped_column(String(200), unique=True)
    kind: Mapped[str] = mapped_column(String(30))
    channel: Mapped[str] = mapped_column(String(20))
    address: Mapped[str] = mapped_column(String(500), info=PHI)
    title: Mapped[str] = mapped_column(String(200), info=PHI)
    body: Mapped[str] = mapped_column(Text, info=PHI)
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    state: Mapped[str] = mapped_column(String(20))
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    claimed_until: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[dt.datetime | None] = mapped_column(
        UtcDateTime
    )  # when it was sent, given up or cancelled
    problem: Mapped[str | None] = mapped_column(String(60))  # a word, never the transport's own text
    alert_id: Mapped[int | None] = mapped_column(BigKey, ForeignKey("alert.id"), index=True)
    patient_id: Mapped[int | None] = mapped_column(BigKey, ForeignKey("patient.id"), index=True)
    contact_id: Mapped[int | None] = mapped_column(BigKey, ForeignKey("contact.id"), index=True)

    alert: Mapped[Alert | None] = relationship()
    contact: Mapped[Contact | None] = relationship()
    tries: Mapped[list["MessageAttempt"]] = relationship(order_by="MessageAttempt.id")


class MessageAttempt(db.Model):
    """One attempt. Its row is there before the transport is asked: `begun` is one whose end nobody saw."""

    __tablename__ = "message_attempt"

    id: Mapped[Key]
    message_id: Mapped[int] = mapped_column(BigKey, ForeignKey("message.id"), index=True)
    at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    outcome: Mapped[str] = mapped_column(String(20))  # begun, delivered, failed
    problem: Mapped[str | None] = mapped_column(String(60))
