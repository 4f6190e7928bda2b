"""Alerts and everything that happened to them."""

import datetime as dt

from sqlalchemy import ForeignKey, Index, String, Text, case
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship

from sc_stim.extensions import db
from sc_stim.models.base import PHI, BigKey, JsonDict, Key, PublicId, UtcDateTime, Versioned
from sc_stim.models.clinic import User
from sc_stim.models.device import Device
from sc_stim.models.patient import Patient


class Alert(Versioned, db.Model):
    """A judgement that needs a person.

    `open_key` is unique while the alert is open and null once closed: one open alert per condition.
    `effect_key` is unique for ever: the same cause raised twice, by two workers or a replay, is one alert.
    Every time people are to be told anew begins a round of calls: `calls_done` counts the steps of the clinic's ladder
    behind it since `called_at`, `next_call_at` is null where nobody is to be called.
    """

    __tablename__ = "alert"
    __table_args__ = (
        Index("ix_alert_clinic_id_state_severity", "clinic_id", "state", "severity"),
        Index("ix_alert_clinic_id_opened_at", "clinic_id", "opened_at"),
        Index("ix_alert_next_call_at", "next_call_at"),
    )

    id: Mapped[Key]
    public_id: Mapped[PublicId]
    clinic_id: Mapped[int] = mapped_column(BigKey, ForeignKey("clinic.id"))
    patient_id: Mapped[int | None] = mapped_column(BigKey, ForeignKey("patient.id"), index=True)
    device_id: Mapped[int | None] = mapped_column(BigKey, ForeignKey("device.id"), index=True)
    condition: Mapped[str] = mapped_column(String(40))
    severity: Mapped[str] = mapped_column(String(10))
    state: Mapped[str] = mapped_column(String(30))
    historical: Mapped[bool] = mapped_column(default=False)
    open_key: Mapped[str | None] = mapped_column(String(120), unique=True)
    effect_key: Mapped[str] = mapped_column(String(160), unique=True)
    since: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    opened_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    changed_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    shelved_until: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    model_version: Mapped[str] = mapped_column(String(40))
    detail: Mapped[JsonDict]
    assigned_to_id: Mapped[int | None] = mapped_column(BigKey, ForeignKey("user_account.id"), index=True)
    action_taken: Mapped[bool | None]  # said at its end by who resolved it
    call_round: Mapped[int] = mapped_column(default=1)
    called_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    calls_done: Mapped[int] = mapped_column(default=0)
    next_call_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    # 0 is the most severe: a list in this order begins with it
    severity_rank: Mapped[int] = column_property(
        case({"high": 0, "medium": 1, "low": 2}, value=severity, else_=3), deferred=True
    )

    patient: Mapped[Patient | None] = relationship()
    device: Mapped[Device | None] = relationship()
    assigned_to: Mapped[User | None] = relationship()
    history: Mapped[list["AlertEntry"]] = relationship(order_by="AlertEntry.id", back_populates="alert")


class AlertEntry(db.Model):
    """Who did what to an alert, when. `actor_id` is null where the system itself acted."""

    __tablename__ = "alert_entry"

    id: Mapped[Key]
    alert_id: Mapped[int] = mapped_column(BigKey, ForeignKey("alert.id"), index=True)
    at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    actor_id: Mapped[int | None] = mapped_column(BigKey, ForeignKey("user_account.id"))
    event: Mapped[str] = mapped_column(String(30))
    from_state: Mapped[str | None] = mapped_column(String(30))
    to_state: Mapped[str] = mapped_column(String(30))
    comment: Mapped[str | None] = mapped_column(Text, info=PHI)
    subject_id: Mapped[int | None] = mapped_column(
        BigKey, ForeignKey("user_account.id")
    )  # whom it was assigned to

    alert: Mapped[Alert] = relationship(back_populates="history")
    actor: Mapped[User | None] = relationship(foreign_keys=actor_id)
    subject: Mapped[User | None] = relationship(foreign_keys=subject_id)
