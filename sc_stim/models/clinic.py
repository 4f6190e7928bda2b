"""Clinics (tenants), their closures, users and sign-in tokens."""

import datetime as dt

from flask_login import UserMixin
from sqlalchemy import ForeignKey, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship, synonym

from sc_stim.extensions import db
from sc_stim.models.base import PHI, BigKey, Key, PublicId, UtcDateTime, Versioned


class Clinic(Versioned, db.Model):
    """A tenant. It is its own, so that it is scoped like the rows it owns."""

    __tablename__ = "clinic"

    id: Mapped[Key]
    public_id: Mapped[PublicId]
    name: Mapped[str] = mapped_column(String(200), unique=True)
    time_zone: Mapped[str] = mapped_column(String(64))
    country: Mapped[str] = mapped_column(String(2))
    subdivision: Mapped[str | None] = mapped_column(String(10))
    phone: Mapped[str | None] = mapped_column(String(40))
    pharmacy_lead_days: Mapped[int] = mapped_column(default=0)
    refill_margin_days: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)

    clinic_id: Mapped[int] = synonym("id")
    closures: Mapped[list["ClinicClosure"]] = relationship(
        order_by="ClinicClosure.day", cascade="all, delete-orphan"
    )


class ClinicClosure(db.Model):
    """A local date on which the clinic fills no pump, besides weekends and public holidays."""

    __tablename__ = "clinic_closure"
    __table_args__ = (UniqueConstraint("clinic_id", "day"),)

    id: Mapped[Key]
    clinic_id: Mapped[int] = mapped_column(BigKey, ForeignKey("clinic.id"))
    day: Mapped[dt.date]
    reason: Mapped[str] = mapped_column(String(200))


class User(UserMixin, Versioned, db.Model):
    __tablename__ = "user_account"

    id: Mapped[Key]
    public_id: Mapped[PublicId]
    clinic_id: Mapped[int] = mapped_column(BigKey, ForeignKey("clinic.id"), index=True)
    email: Mapped[str] = mapped_column(String(254), unique=True, info=PHI)
    name: Mapped[str] = mapped_column(String(200), info=PHI)
    role: Mapped[str] = mapped_column(String(20))
    password_hash: Mapped[str] = mapped_column(String(200))
    active: Mapped[bool] = mapped_column(default=True)
    session_epoch: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)

    clinic: Mapped[Clinic] = relationship(lazy="joined", innerjoin=True)

    @property
    def is_active(self) -> bool:
        return self.active

    def get_id(self) -> str:
        """What the session cookie holds: raising `session_epoch` ends every session of this user."""
        return f"{self.public_id}:{self.session_epoch}"


class ApiToken(db.Model):
    """A bearer token; only its SHA-256 is kept."""

    __tablename__ = "api_token"

    id: Mapped[Key]
    user_id: Mapped[int] = mapped_column(BigKey, ForeignKey("user_account.id"), index=True)
    token_sha256: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    last_used_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)

    user: Mapped[User] = relationship(lazy="joined", innerjoin=True)
