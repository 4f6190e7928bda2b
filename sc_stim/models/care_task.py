"""Work that a device gives the clinic, with the rule it comes from and what ended it."""

import datetime as dt

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from sc_stim.extensions import db
from sc_stim.models.base import PHI, BigKey, JsonDict, JsonList, Key, PublicId, UtcDateTime, Versioned
from sc_stim.models.clinic import User
from sc_stim.models.device import Device
from sc_stim.models.patient import Patient

MRI_CHECK = "mri_check"  # ended only by an interrogation after the scan
MRI_PREPARATION = "mri_preparation"  # of a planned scan
IMPEDANCE_REMEASURE = "impedance_remeasure"  # one odd reading: measure again before anybody is alarmed
KINDS = (MRI_CHECK, MRI_PREPARATION, IMPEDANCE_REMEASURE)


class CareTask(Versioned, db.Model):
    """One thing to do about a device until `due_at`.

    `effect_key` is unique for ever: what asks for a task twice gets it once. `open_key` is unique while it is open:
    one open task of a kind that can be needed only once. `steps` are the rule in words, each with its source.
    """

    __tablename__ = "care_task"
    __table_args__ = (Index("ix_care_task_clinic_id_closed_at_due_at", "clinic_id", "closed_at", "due_at"),)

    id: Mapped[Key]
    public_id: Mapped[PublicId]
    clinic_id: Mapped[int] = mapped_column(BigKey, ForeignKey("clinic.id"))
    patient_id: Mapped[int | None] = mapped_column(BigKey, ForeignKey("patient.id"), index=True)
    device_id: Mapped[int] = mapped_column(BigKey, ForeignKey("device.id"), index=True)
    kind: Mapped[str] = mapped_column(String(30))
    since: Mapped[dt.datetime] = mapped_column(UtcDateTime)  # of what asks for it: the scan, the reading
    opened_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    steps: Mapped[JsonList]  # [{"when": "before", "text": "...", "source": "..." or null}]
    detail: Mapped[JsonDict] = mapped_column(default=dict)
    open_key: Mapped[str | None] = mapped_column(String(120), unique=True)
    effect_key: Mapped[str] = mapped_column(String(160), unique=True)
    closed_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    closed_by: Mapped[str | None] = mapped_column(
        String(40)
    )  # the evidence: session_closed, interrogation, ...

    patient: Mapped[Patient | None] = relationship()
    device: Mapped[Device] = relationship()
    history: Mapped[list["CareTaskEntry"]] = relationship(order_by="CareTaskEntry.id", back_populates="task")


class CareTaskEntry(db.Model):
    """What was done for a task; `actor_id` is null where the device itself was the evidence."""

    __tablename__ = "care_task_entry"

    id: Mapped[Key]
    task_id: Mapped[int] = mapped_column(BigKey, ForeignKey("care_task.id"), index=True)
    at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    actor_id: Mapped[int | None] = mapped_column(BigKey, ForeignKey("user_account.id"))
    event: Mapped[str] = mapped_column(String(30))  # opened interrogation done closed
    performed_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    comment: Mapped[str | None] = mapped_column(Text, info=PHI)

    task: Mapped[CareTask] = relationship(back_populates="history")
    actor: Mapped[User | None] = relationship()
