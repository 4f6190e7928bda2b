"""Whom an alert calls: contacts, who is on call when, and the clinic's ladder."""

import datetime as dt

from sqlalchemy import ForeignKey, String, exists, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from sc_stim.extensions import db
from sc_stim.models.base import PHI, BigKey, JsonList, Key, PublicId, UtcDateTime, Versioned
from sc_stim.models.clinic import User


class Contact(Versioned, db.Model):
    """An address at which somebody can be told. Messages once sent keep theirs, so contacts are retired, not deleted.

    quiet_from, quiet_to: local times of the clinic between which only high alerts come through; both or none
    """

    __tablename__ = "contact"

    id: Mapped[Key]
    public_id: Mapped[PublicId]
    clinic_id: Mapped[int] = mapped_column(BigKey, ForeignKey("clinic.id"), index=True)
    user_id: Mapped[int | None] = mapped_column(BigKey, ForeignKey("user_account.id"), index=True)
    name: Mapped[str] = mapped_column(String(200), info=PHI)
    channel: Mapped[str] = mapped_column(String(20))
    address: Mapped[str] = mapped_column(String(500), info=PHI)
    quiet_from: Mapped[dt.time | None]
    quiet_to: Mapped[dt.time | None]
    system: Mapped[bool] = mapped_column(default=False)  # also told when the system itself stops working
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)

    user: Mapped[User | None] = relationship()


def anybody_to_tell(session: Session, clinic_id: int) -> bool:
    """Whether alerts of this clinic have a contact to go to."""
    told = exists().where(Contact.clinic_id == clinic_id, Contact.active)
    return bool(session.scalar(select(told)))


class Ladder(Versioned, db.Model):
    """A clinic's escalation ladder: a list of steps as `clinical.escalation.Step` has them, contacts by public id.

    with_patient: whether messages may name the patient by record number
    """

    __tablename__ = "ladder"

    id: Mapped[Key]
    public_id: Mapped[PublicId]
    clinic_id: Mapped[int] = mapped_column(BigKey, ForeignKey("clinic.id"), unique=True)
    steps: Mapped[JsonList]
    with_patient: Mapped[bool] = mapped_column(default=False)
    changed_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)


class Shift(Versioned, db.Model):
    """A time for which a contact is on call: once (`starts_at` to `ends_at`) or every week in the clinic's zone.

    weekday: 0 is Monday; from_time to to_time on that day, over midnight where to_time is not later
    """

    __tablename__ = "shift"

    id: Mapped[Key]
    public_id: Mapped[PublicId]
    clinic_id: Mapped[int] = mapped_column(BigKey, ForeignKey("clinic.id"), index=True)
    contact_id: Mapped[int] = mapped_column(BigKey, ForeignKey("contact.id"), index=True)
    starts_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    ends_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    weekday: Mapped[int | None]
    from_time: Mapped[dt.time | None]
    to_time: Mapped[dt.time | None]
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)

    contact: Mapped[Contact] = relationship()
