"""Booked visits: when the clinic is open, who or what is booked, the appointments, and the calendar feeds of them."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    LargeBinary,
    Row,
    String,
    Text,
    and_,
    or_,
    select,
    text,
)
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from sc_stim.access import in_clinic
from sc_stim.extensions import db
from sc_stim.models.base import PHI, BigKey, Key, PublicId, UtcDateTime, Versioned
from sc_stim.models.clinic import Clinic, User
from sc_stim.models.device import Device, Fill
from sc_stim.models.patient import Patient
from sc_stim.models.telemetry import Forecast

STATES = ("booked", "cancelled", "done", "missed")
BOOKED, CANCELLED, DONE, MISSED = STATES


class OpeningHours(db.Model):
    """On this weekday (Monday is 0), in the clinic's zone. Of one nurse or room, or of the whole clinic.

    A nurse or room without rows of its own has the clinic's hours.
    """

    __tablename__ = "opening_hours"
    __table_args__ = (
        CheckConstraint("weekday BETWEEN 0 AND 6", name="weekday"),
        CheckConstraint("opens < closes", name="opens"),
        Index("ix_opening_hours_clinic_id_resource_id", "clinic_id", "resource_id"),
    )

    id: Mapped[Key]
    clinic_id: Mapped[int] = mapped_column(BigKey, ForeignKey("clinic.id"))
    resource_id: Mapped[int | None] = mapped_column(BigKey, ForeignKey("clinic_resource.id"))
    weekday: Mapped[int]
    opens: Mapped[dt.time]
    closes: Mapped[dt.time]
    slot_min: Mapped[int]


class Absence(db.Model):
    """Local dates, both inclusive, on which a nurse or room is not there."""

    __tablename__ = "resource_absence"
    __table_args__ = (CheckConstraint("first_day <= last_day", name="days"),)

    id: Mapped[Key]
    resource_id: Mapped[int] = mapped_column(BigKey, ForeignKey("clinic_resource.id"), index=True)
    first_day: Mapped[dt.date]
    last_day: Mapped[dt.date]
    reason: Mapped[str] = mapped_column(String(200))


class ClinicResource(Versioned, db.Model):
    """What a visit takes for itself: a nurse (who may have an account) or a room."""

    __tablename__ = "clinic_resource"
    __table_args__ = (CheckConstraint("kind IN ('nurse', 'room')", name="kind"),)

    id: Mapped[Key]
    public_id: Mapped[PublicId]
    clinic_id: Mapped[int] = mapped_column(BigKey, ForeignKey("clinic.id"), index=True)
    kind: Mapped[str] = mapped_column(String(10))
    name: Mapped[str] = mapped_column(String(200))
    user_id: Mapped[int | None] = mapped_column(BigKey, ForeignKey("user_account.id"), unique=True)
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)

    user: Mapped[User | None] = relationship()
    hours: Mapped[list[OpeningHours]] = relationship(
        order_by=(OpeningHours.weekday, OpeningHours.opens), cascade="all, delete-orphan"
    )
    absences: Mapped[list[Absence]] = relationship(order_by=Absence.first_day, cascade="all, delete-orphan")


class Appointment(Versioned, db.Model):
    """A booked refill visit. `day`, `time` and `fold` are the local time that was meant; `starts_at` is its instant.

    A pump has at most one that is booked. `sequence` counts moves, for calendars. `accepted_refill_by` is the
    refill-by date that somebody knowingly booked past, for `override_reason`; without a forecast there was none.
    """

    __tablename__ = "appointment"
    __table_args__ = (
        CheckConstraint(f"state IN {STATES}", name="state"),
        CheckConstraint("starts_at < ends_at", name="starts_at"),
        Index("ix_appointment_clinic_id_starts_at", "clinic_id", "starts_at"),
        Index("ix_appointment_resource_id_starts_at", "resource_id", "starts_at"),
        Index("ix_appointment_device_id_state", "device_id", "state"),
        Index(
            "uq_appointment_booked_device_id",
            "device_id",
            unique=True,
            postgresql_where=text("state = 'booked'"),
            sqlite_where=text("state = 'booked'"),
        ),
    )

    id: Mapped[Key]
    public_id: Mapped[PublicId]
    clinic_id: Mapped[int] = mapped_column(BigKey, ForeignKey("clinic.id"))
    patient_id: Mapped[int] = mapped_column(BigKey, ForeignKey("patient.id"), index=True)
    device_id: Mapped[int] = mapped_column(BigKey, ForeignKey("device.id"))
    resource_id: Mapped[int] = mapped_column(BigKey, ForeignKey("clinic_resource.id"))
    starts_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    time_zone: Mapped[str] = mapped_column(String(64))
    day: Mapped[dt.date]
    time: Mapped[dt.time]
    fold: Mapped[int] = mapped_column(default=0)
    state: Mapped[str] = mapped_column(String(10), default=BOOKED)
    sequence: Mapped[int] = mapped_column(default=0)
    fill_id: Mapped[int | None] = mapped_column(BigKey, ForeignKey("fill.id"))
    accepted_refill_by: Mapped[dt.date | None]
    override_reason: Mapped[str | None] = mapped_column(Text, info=PHI)
    cancel_reason: Mapped[str | None] = mapped_column(Text, info=PHI)
    note: Mapped[str | None] = mapped_column(Text, info=PHI)
    created_by_id: Mapped[int] = mapped_column(BigKey, ForeignKey("user_account.id"))
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    changed_by_id: Mapped[int | None] = mapped_column(BigKey, ForeignKey("user_account.id"))
    changed_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)

    patient: Mapped[Patient] = relationship()
    device: Mapped[Device] = relationship()
    resource: Mapped[ClinicResource] = relationship()
    forecast: Mapped[Forecast | None] = relationship(
        viewonly=True, primaryjoin="foreign(Appointment.device_id) == Forecast.device_id"
    )
    fill: Mapped[Fill | None] = relationship()
    created_by: Mapped[User] = relationship(foreign_keys=created_by_id)
    changed_by: Mapped[User | None] = relationship(foreign_keys=changed_by_id)

    @property
    def too_late(self) -> bool:
        """Booked for a day after the pump's refill-by date as it stands now, whoever accepted that."""
        refill_by = self.forecast.refill_by if self.forecast else None
        return self.state == BOOKED and refill_by is not None and self.day > refill_by


class CalendarFeed(db.Model):
    """A secret address that shows appointments to a calendar program. Only the SHA-256 of its token is kept."""

    __tablename__ = "calendar_feed"

    id: Mapped[Key]
    public_id: Mapped[PublicId]
    clinic_id: Mapped[int] = mapped_column(BigKey, ForeignKey("clinic.id"), index=True)
    resource_id: Mapped[int | None] = mapped_column(BigKey, ForeignKey("clinic_resource.id"))
    token_sha256: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    shows_names: Mapped[bool] = mapped_column(default=False)
    created_by_id: Mapped[int] = mapped_column(BigKey, ForeignKey("user_account.id"))
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    last_read_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)

    clinic: Mapped[Clinic] = relationship()
    resource: Mapped[ClinicResource | None] = relationship()
    created_by: Mapped[User] = relationship()


def booked_for_device() -> ColumnElement[bool]:
    """The join of a Device with its booked appointment, of which there is at most one."""
    return and_(Appointment.device_id == Device.id, Appointment.state == BOOKED)


def pumps_without_visit(session: Session, clinic_id: int, until: dt.date) -> Sequence[Row[Any]]:
    """(Device, Patient or None, Forecast, Appointment or None) of pumps to refill by `until` with no visit in time.

    The appointment is one that is booked too late.
    """
    statement = (
        select(Device, Patient, Forecast, Appointment)
        .join(Forecast, Forecast.device_id == Device.id)
        .outerjoin(Patient, Patient.id == Device.patient_id)
        .outerjoin(Appointment, booked_for_device())
        .where(
            Device.in_use,
            Forecast.refill_by <= until,
            or_(Appointment.id.is_(None), Appointment.day > Forecast.refill_by),
        )
    )
    order = (Forecast.refill_by, Device.id)
    return session.execute(in_clinic(statement, Device, clinic_id).order_by(*order)).all()
