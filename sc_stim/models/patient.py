"""Patients, their care pathway, examinations and diary scores."""

import datetime as dt
from typing import TYPE_CHECKING, Any

from msgspec import convert
from sqlalchemy import ForeignKey, Index, Numeric, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from sc_stim.clinical.causes import CauseCard
from sc_stim.extensions import db
from sc_stim.models.base import (
    PHI,
    BigKey,
    JsonDict,
    JsonList,
    Key,
    OptionalJson,
    PublicId,
    UtcDateTime,
    Versioned,
)
from sc_stim.models.clinic import Clinic, User

if TYPE_CHECKING:
    from sc_stim.models.device import Device

RISK_FACTORS = (
    "smoking", "diabetes", "autoimmune_disorder", "depression", "anxiety", "inaccurate_diagnosis",
    "nerve_damage", "epidural_fibrosis", "surgical_infection", "recurrent_herniation", "stenosis",
    "inadequate_rehabilitation",
)  # fmt: skip
SYMPTOMS = (
    "numbness", "tingling", "weakness", "spasms", "reduced_mobility", "insomnia", "anxiety", "low_mood",
    "sedation", "nausea",
)  # fmt: skip
TREATMENTS = (
    "physical_therapy", "medication", "nerve_block", "epidural_steroid_injection", "cbt",
    "alternative_therapy", "revision_surgery", "stimulator_trial", "stimulator_implant", "pump_implant",
)  # fmt: skip
ASSESSMENTS = ("mri", "ct", "emg", "nerve_conduction", "x_ray", "psychological", "examination")
ICD_10 = r"[A-Z][0-9][0-9A-Z](\.[0-9A-Z]{1,4})?"  # the form of a code, not that there is such a one
PAIN_SITES = ("back", "leg", "other", "overall")


class Patient(Versioned, db.Model):
    __tablename__ = "patient"
    __table_args__ = (UniqueConstraint("clinic_id", "mrn"),)

    id: Mapped[Key]
    public_id: Mapped[PublicId]
    clinic_id: Mapped[int] = mapped_column(BigKey, ForeignKey("clinic.id"), index=True)
    mrn: Mapped[str] = mapped_column(String(64), info=PHI)
    given_name: Mapped[str] = mapped_column(String(100), info=PHI)
    family_name: Mapped[str] = mapped_column(String(100), info=PHI)
    birth_date: Mapped[dt.date | None] = mapped_column(info=PHI)
    time_zone: Mapped[str] = mapped_column(String(64))
    phone: Mapped[str | None] = mapped_column(String(40), info=PHI)
    email: Mapped[str | None] = mapped_column(String(254), info=PHI)
    indication_icd10: Mapped[str | None] = mapped_column(String(10), info=PHI)
    indication: Mapped[str | None] = mapped_column(String(300), info=PHI)
    risk_factors: Mapped[JsonList] = mapped_column(default=list, info=PHI)
    symptoms: Mapped[JsonList] = mapped_column(default=list, info=PHI)
    withdrawal_prone: Mapped[bool] = mapped_column(default=False, info=PHI)
    note: Mapped[str | None] = mapped_column(Text, info=PHI)
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)

    clinic: Mapped[Clinic] = relationship()
    devices: Mapped[list["Device"]] = relationship(back_populates="patient", order_by="Device.id")

    @property
    def display_name(self) -> str:
        return f"{self.family_name}, {self.given_name}"


class Treatment(Versioned, db.Model):
    """One step of the care pathway, conservative care to implant."""

    __tablename__ = "treatment"

    id: Mapped[Key]
    public_id: Mapped[PublicId]
    clinic_id: Mapped[int] = mapped_column(BigKey, ForeignKey("clinic.id"))
    patient_id: Mapped[int] = mapped_column(BigKey, ForeignKey("patient.id"), index=True)
    kind: Mapped[str] = mapped_column(String(40))
    started_on: Mapped[dt.date]
    ended_on: Mapped[dt.date | None]
    relief_pct: Mapped[float | None]
    outcome: Mapped[str | None] = mapped_column(Text, info=PHI)
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)


class Assessment(Versioned, db.Model):
    """A diagnostic examination and what it found."""

    __tablename__ = "assessment"

    id: Mapped[Key]
    public_id: Mapped[PublicId]
    clinic_id: Mapped[int] = mapped_column(BigKey, ForeignKey("clinic.id"))
    patient_id: Mapped[int] = mapped_column(BigKey, ForeignKey("patient.id"), index=True)
    kind: Mapped[str] = mapped_column(String(40))
    performed_on: Mapped[dt.date]
    finding: Mapped[str] = mapped_column(Text, info=PHI)
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)


class PainScore(db.Model):
    """One diary score. From a device it carries the device's identity for it; typed in by staff it does not.

    A correction is a new row that names the row it replaces; rows are never edited.
    """

    __tablename__ = "pain_score"
    __table_args__ = (
        UniqueConstraint("device_id", "epoch", "seq"),
        Index("ix_pain_score_patient_id_measured_at", "patient_id", "measured_at"),
    )

    id: Mapped[Key]
    public_id: Mapped[
        PublicId
    ]  # a correction names it; ingest's bulk insert gives each row a new_public_id()
    clinic_id: Mapped[int] = mapped_column(BigKey)
    patient_id: Mapped[int] = mapped_column(BigKey, ForeignKey("patient.id"))
    device_id: Mapped[int | None] = mapped_column(BigKey, ForeignKey("device.id"))
    epoch: Mapped[str | None] = mapped_column(String(32))
    seq: Mapped[int | None] = mapped_column(BigKey)
    measured_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    device_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    received_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    nrs: Mapped[float | None] = mapped_column(Numeric(4, 2, asdecimal=False))
    site: Mapped[str] = mapped_column(String(10), default="overall")
    flare: Mapped[bool | None]
    sleep: Mapped[float | None] = mapped_column(Numeric(4, 2, asdecimal=False))
    interference: Mapped[float | None] = mapped_column(Numeric(4, 2, asdecimal=False))
    symptoms: Mapped[JsonList] = mapped_column(default=list)
    entered_by_id: Mapped[int | None] = mapped_column(BigKey, ForeignKey("user_account.id"))
    replaces_id: Mapped[int | None] = mapped_column(BigKey, ForeignKey("pain_score.id"), unique=True)

    entered_by: Mapped[User | None] = relationship()
    replaces: Mapped["PainScore | None"] = relationship(
        remote_side="PainScore.id", back_populates="replaced_by"
    )
    replaced_by: Mapped["PainScore | None"] = relationship(back_populates="replaces")


class PainModel(db.Model):
    """The pain rule's state of one patient, up to and including the closed local day `through_day`.

    `time_zone`: that in which the days were closed. In another zone they are other days, and the state is void.
    """

    __tablename__ = "pain_model"

    patient_id: Mapped[int] = mapped_column(BigKey, ForeignKey("patient.id"), primary_key=True)
    through_day: Mapped[dt.date]
    model_version: Mapped[str] = mapped_column(String(40))
    time_zone: Mapped[str | None] = mapped_column(String(64))
    state: Mapped[JsonDict]


class PainCheckpoint(db.Model):
    """The state as it was at the end of every 28th day, so that a late score replays weeks and not years."""

    __tablename__ = "pain_checkpoint"

    patient_id: Mapped[int] = mapped_column(BigKey, ForeignKey("patient.id"), primary_key=True)
    day: Mapped[dt.date] = mapped_column(primary_key=True)
    model_version: Mapped[str] = mapped_column(String(40))
    state: Mapped[JsonDict]


class PainFinding(db.Model):
    """What the pain rule found. (patient, rule, day, model version) is its identity, so a replay never doubles.

    `cause_cards`: clinical.causes.CauseCard as judged when people were told, the first one first.
    """

    __tablename__ = "pain_finding"
    __table_args__ = (UniqueConstraint("patient_id", "rule", "day", "model_version"),)

    id: Mapped[Key]
    clinic_id: Mapped[int] = mapped_column(BigKey)
    patient_id: Mapped[int] = mapped_column(BigKey, ForeignKey("patient.id"))
    rule: Mapped[str] = mapped_column(String(20))
    day: Mapped[dt.date]
    kind: Mapped[str] = mapped_column(String(40))
    tier: Mapped[str] = mapped_column(String(20))
    onset: Mapped[dt.date]
    baseline_nrs: Mapped[float]
    level_nrs: Mapped[float | None]
    model_version: Mapped[str] = mapped_column(String(40))
    severity: Mapped[str] = mapped_column(String(10))
    found_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    cause_cards: Mapped[list[Any] | None] = mapped_column(OptionalJson)

    @property
    def cards_on_record(self) -> list[CauseCard]:
        return [convert(card, CauseCard) for card in self.cause_cards or ()]

    @property
    def cause_card(self) -> CauseCard | None:
        """What the devices said when people were last told; None where nobody was told."""
        return (self.cards_on_record or [None])[-1]
