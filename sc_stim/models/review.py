"""Reviews: who looked at a patient's devices, when, and what was on the screen. And how often it has to be."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Select,
    String,
    Subquery,
    Table,
    Text,
    case,
    cast,
    extract,
    func,
    select,
    true,
)
from sqlalchemy.orm import Mapped, Session, aliased, joinedload, mapped_column, relationship, selectinload

from sc_stim.access import in_clinic
from sc_stim.clinical.clinic_figures import LONGEST_SOURCE
from sc_stim.clinical.review_due import KINDS, usual_interval
from sc_stim.extensions import db
from sc_stim.models.base import PHI, BigKey, Key, PublicId, UtcDateTime, Versioned
from sc_stim.models.clinic import User
from sc_stim.models.device import Device
from sc_stim.models.patient import Patient
from sc_stim.models.replaced import not_replaced

DAY_S = 86_400

reviewed_device = Table(
    "reviewed_device",
    db.metadata,
    Column("review_id", BigKey, ForeignKey("review.id"), primary_key=True),
    Column("device_id", BigKey, ForeignKey("device.id"), primary_key=True, index=True),
)


class Review(db.Model):
    """One look at a patient. A mistake is corrected by a new row that names the row it replaces.

    A correction keeps `reviewed_by`, `reviewed_at` and `reviewed_on` of what it corrects; a `withdrawn` one says that
    there was no such review. `reviewed_on` is the clinic's local date.
    """

    __tablename__ = "review"
    __table_args__ = (Index("ix_review_patient_id_reviewed_at", "patient_id", "reviewed_at"),)

    id: Mapped[Key]
    public_id: Mapped[PublicId]
    clinic_id: Mapped[int] = mapped_column(BigKey, ForeignKey("clinic.id"))
    patient_id: Mapped[int] = mapped_column(BigKey, ForeignKey("patient.id"))
    reviewed_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    reviewed_on: Mapped[dt.date]
    reviewed_by_id: Mapped[int] = mapped_column(BigKey, ForeignKey("user_account.id"))
    covers_from: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    covers_until: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    open_alerts: Mapped[int]
    unacknowledged_high: Mapped[int]
    comment: Mapped[str | None] = mapped_column(Text, info=PHI)
    withdrawn: Mapped[bool] = mapped_column(default=False)
    replaces_id: Mapped[int | None] = mapped_column(BigKey, ForeignKey("review.id"), unique=True)
    entered_by_id: Mapped[int] = mapped_column(BigKey, ForeignKey("user_account.id"))
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)

    reviewed_by: Mapped[User] = relationship(foreign_keys=reviewed_by_id)
    entered_by: Mapped[User] = relationship(foreign_keys=entered_by_id)
    replaces: Mapped["Review | None"] = relationship(remote_side="Review.id", back_populates="replaced_by")
    replaced_by: Mapped["Review | None"] = relationship(back_populates="replaces")
    devices: Mapped[list[Device]] = relationship(secondary=reviewed_device, order_by=Device.id)


class ReviewPlan(Versioned, db.Model):
    """Days between reviews by kind of device, of a clinic or of one patient; null: as the next wider one says."""

    __tablename__ = "review_plan"

    id: Mapped[Key]
    public_id: Mapped[PublicId]
    clinic_id: Mapped[int] = mapped_column(BigKey, ForeignKey("clinic.id"))
    subject: Mapped[str] = mapped_column(String(40), unique=True)  # "clinic:3" or "patient:17"
    patient_id: Mapped[int | None] = mapped_column(BigKey, ForeignKey("patient.id"), unique=True)
    pump_days: Mapped[int | None]
    stimulator_days: Mapped[int | None]
    source: Mapped[str | None] = mapped_column(
        String(LONGEST_SOURCE)
    )  # whose figure, or whose decision, it is


def standing_reviews(patient_id: int) -> Select[Any]:
    """The reviews of a patient as corrected, without those withdrawn."""
    return select(Review).where(
        Review.patient_id == patient_id, Review.withdrawn.is_(False), not_replaced(Review)
    )


def with_people(statement: Select[Any]) -> Select[Any]:
    """A select of reviews that brings the people and devices they name."""
    named = (Review.reviewed_by, Review.entered_by, Review.replaces, Review.replaced_by)
    return statement.options(*(joinedload(name) for name in named)).options(selectinload(Review.devices))


def last_review(session: Session, patient_id: int) -> Review | None:
    newest = standing_reviews(patient_id).order_by(Review.reviewed_at.desc(), Review.id.desc())
    newest = newest.options(joinedload(Review.reviewed_by))
    return session.scalars(newest.limit(1)).one_or_none()


def due_reviews(clinic_id: int, patient_id: int | None = None) -> Subquery:
    """(device_id, last_on, due_day) of every device somebody (or this patient) lives with.

    `due_day` counts days since 1970-01-01: the rule of clinical.review_due in SQL. A device without a date of
    implantation counts from the day it was registered, by UTC.
    """
    of_patient, of_clinic = aliased(ReviewPlan), aliased(ReviewPlan)
    last = (
        select(reviewed_device.c.device_id, func.max(Review.reviewed_on).label("last_on"))
        .join(Review, Review.id == reviewed_device.c.review_id)
        .where(Review.clinic_id == clinic_id, Review.withdrawn.is_(False), not_replaced(Review))
        .where(true() if patient_id is None else Review.patient_id == patient_id)
        .group_by(reviewed_device.c.device_id)
        .subquery()
    )
    usual = {kind: int(usual_interval(kind).value) for kind in KINDS}
    columns = {kind: f"{kind}_days" for kind in KINDS}
    interval = case(
        *(
            (
                Device.kind == kind,
                func.coalesce(getattr(of_patient, name), getattr(of_clinic, name), usual[kind]),
            )
            for kind, name in columns.items()
        )
    )
    begun = case(
        (last.c.last_on.is_not(None), _day_number(last.c.last_on)),
        (Device.implanted_on.is_not(None), _day_number(Device.implanted_on)),
        else_=_day_number(Device.created_at),
    )
    statement = (
        select(Device.id.label("device_id"), last.c.last_on, (begun + interval).label("due_day"))
        .outerjoin(last, last.c.device_id == Device.id)
        .outerjoin(of_patient, of_patient.patient_id == Device.patient_id)
        .outerjoin(of_clinic, of_clinic.subject == f"clinic:{clinic_id}")
        .where(
            Device.in_use,
            Device.patient_id.is_not(None) if patient_id is None else Device.patient_id == patient_id,
        )
    )
    return in_clinic(statement, Device, clinic_id).subquery()  # type: ignore[no-any-return]


def reviews_due(clinic_id: int, until: dt.date) -> tuple[Select[Any], Subquery]:
    """(Device, Patient, last_on, due_day) due by `until`, without an order, and the subquery to order by."""
    due = due_reviews(clinic_id)
    statement = (
        select(Device, Patient, due.c.last_on, due.c.due_day)
        .join(due, due.c.device_id == Device.id)
        .join(Patient, Patient.id == Device.patient_id)
        .where(due.c.due_day <= day_number(until))
    )
    return statement, due


def due_of_patient(session: Session, patient: Patient) -> Sequence[Any]:
    """Rows of (Device, due_day) of what the patient lives with, the most urgent first."""
    due = due_reviews(patient.clinic_id, patient.id)
    statement = select(Device, due.c.due_day).join(due, due.c.device_id == Device.id)
    return session.execute(statement.order_by(due.c.due_day, due.c.device_id)).all()


def day_number(day: dt.date) -> int:
    return (day - dt.date(1970, 1, 1)).days


def day_of(number: int) -> dt.date:
    return dt.date(1970, 1, 1) + dt.timedelta(days=number)


def _day_number(column: Any) -> Any:
    return cast(func.floor(extract("epoch", column) / DAY_S), BigInteger)
