"""Links to a patient's emergency sheet, for people without an account: short-lived, revocable."""

import datetime as dt

from sqlalchemy import ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column, relationship

from sc_stim.extensions import db
from sc_stim.models.base import BigKey, Key, PublicId, UtcDateTime
from sc_stim.models.clinic import Clinic, User
from sc_stim.models.patient import Patient


class EmergencyLink(db.Model):
    __tablename__ = "emergency_link"

    id: Mapped[Key]
    public_id: Mapped[PublicId]
    clinic_id: Mapped[int] = mapped_column(BigKey, ForeignKey("clinic.id"))
    patient_id: Mapped[int] = mapped_column(BigKey, ForeignKey("patient.id"), index=True)
    token_sha256: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    created_by_id: Mapped[int] = mapped_column(BigKey, ForeignKey("user_account.id"))
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    last_read_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    times_read: Mapped[int] = mapped_column(default=0)

    clinic: Mapped[Clinic] = relationship()
    patient: Mapped[Patient] = relationship()
    created_by: Mapped[User] = relationship()
