"""The registry: devices, pump parts, leads, prescribed settings, fills, broker logins, commands."""

import datetime as dt
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    Select,
    String,
    Text,
    UniqueConstraint,
    select,
)
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, Session, joinedload, mapped_column, relationship

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
    among,
)
from sc_stim.models.clinic import User
from sc_stim.models.patient import Patient
from sc_stim.models.replaced import not_replaced

if TYPE_CHECKING:
    from sc_stim.models.telemetry import DeviceState

VERTEBRAL_LEVEL: Final = r"[CTLS][0-9]{1,2}"  # of the tip of a lead or a catheter
# Why a device came out.
EXPLANTATION_REASONS: Final = (
    "end_of_service", "malfunction", "recall", "infection", "no_benefit", "patient_wish", "newer_model", "other",
)  # fmt: skip


class Device(Versioned, db.Model):
    """A pump or stimulator. `public_id` is its MQTT user name, client id and topic segment."""

    __tablename__ = "device"
    __table_args__ = (
        UniqueConstraint("manufacturer", "model", "serial"),
        UniqueConstraint("udi_device_identifier", "serial"),
        CheckConstraint("kind IN ('pump', 'stimulator')", name="kind"),
        Index("ix_device_clinic_id_kind", "clinic_id", "kind"),
    )

    id: Mapped[Key]
    public_id: Mapped[PublicId]
    clinic_id: Mapped[int] = mapped_column(BigKey, ForeignKey("clinic.id"))
    patient_id: Mapped[int | None] = mapped_column(BigKey, ForeignKey("patient.id"), index=True)
    kind: Mapped[str] = mapped_column(String(12))
    model: Mapped[str] = mapped_column(String(100))
    manufacturer: Mapped[str] = mapped_column(String(100))
    serial: Mapped[str] = mapped_column(String(40))
    udi: Mapped[str | None] = mapped_column(String(200))
    udi_device_identifier: Mapped[str | None] = mapped_column(String(40))
    lot: Mapped[str | None] = mapped_column(String(40))
    manufactured_on: Mapped[dt.date | None]
    expires_on: Mapped[dt.date | None]
    firmware: Mapped[str | None] = mapped_column(String(40))
    implanted_on: Mapped[dt.date | None]
    explanted_on: Mapped[dt.date | None]
    explantation_reason: Mapped[str | None] = mapped_column(String(20))  # one of EXPLANTATION_REASONS
    explantation_note: Mapped[str | None] = mapped_column(Text, info=PHI)
    mri_note: Mapped[str | None] = mapped_column(
        String(500)
    )  # what its card says beyond the rule of its model
    report_interval_s: Mapped[int]
    # pumps only
    reservoir_ml: Mapped[float | None]
    low_reservoir_alarm_ml: Mapped[float | None]
    accuracy_pct: Mapped[float | None]
    end_of_service_on: Mapped[dt.date | None]
    catheter_tip_level: Mapped[str | None] = mapped_column(String(10))
    catheter_volume_ml: Mapped[float | None]
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)

    patient: Mapped[Patient | None] = relationship(back_populates="devices")
    state: Mapped["DeviceState | None"] = relationship(viewonly=True)
    login: Mapped["BrokerLogin | None"] = relationship(viewonly=True)
    leads: Mapped[list["Lead"]] = relationship(order_by="Lead.position", cascade="all, delete-orphan")

    @hybrid_property
    def in_use(self) -> bool:
        """Somebody lives with it: implanted or, where nobody entered the date, assigned to a patient."""
        return self.explanted_on is None and (self.implanted_on is not None or self.patient_id is not None)

    @in_use.inplace.expression
    @classmethod
    def _in_use_sql(cls) -> ColumnElement[bool]:
        return cls.explanted_on.is_(None) & (cls.implanted_on.is_not(None) | cls.patient_id.is_not(None))

    @property
    def cut_off_at(self) -> dt.datetime | None:
        """Since when it cannot report, because somebody ended its login. None: not so, or it is out anyway."""
        return self.login.revoked_at if self.login and self.explanted_on is None else None

    @property
    def status(self) -> str:
        if self.explanted_on:
            return "explanted"
        return "implanted" if self.implanted_on else "registered"


# status -> what holds of such a device, in SQL
STATUS: Final[dict[str, tuple[ColumnElement[bool], ...]]] = {
    "registered": (Device.implanted_on.is_(None), Device.explanted_on.is_(None)),
    "implanted": (Device.implanted_on.is_not(None), Device.explanted_on.is_(None)),
    "explanted": (Device.explanted_on.is_not(None),),
}


class Lead(db.Model):
    __tablename__ = "lead"
    __table_args__ = (UniqueConstraint("device_id", "position"),)

    id: Mapped[Key]
    device_id: Mapped[int] = mapped_column(BigKey, ForeignKey("device.id"))
    position: Mapped[int]
    contacts: Mapped[int]
    tip_level: Mapped[str | None] = mapped_column(String(10))
    model: Mapped[str | None] = mapped_column(String(100))
    serial: Mapped[str | None] = mapped_column(String(40))


class DeviceSetting(db.Model):
    """What a clinician prescribed, with history: the row in force is the latest `effective_at` not after now."""

    __tablename__ = "device_setting"
    __table_args__ = (Index("ix_device_setting_device_id_effective_at", "device_id", "effective_at"),)

    id: Mapped[Key]
    public_id: Mapped[PublicId]
    clinic_id: Mapped[int] = mapped_column(BigKey, ForeignKey("clinic.id"))
    device_id: Mapped[int] = mapped_column(BigKey, ForeignKey("device.id"))
    effective_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    # pump
    flow_ml_per_day: Mapped[float | None]
    bolus_ml: Mapped[float | None]
    max_boluses_per_day: Mapped[int | None]
    lockout_min: Mapped[int | None]
    pattern: Mapped[list[Any] | None] = mapped_column(
        OptionalJson
    )  # [{"from": "06:00", "flow_ml_per_day": 0.6}]
    # stimulator
    program: Mapped[str | None] = mapped_column(String(40))
    amplitude_ma: Mapped[float | None]
    pulse_width_us: Mapped[float | None]
    rate_hz: Mapped[float | None]
    contacts: Mapped[list[Any] | None] = mapped_column(OptionalJson)
    note: Mapped[str | None] = mapped_column(Text, info=PHI)
    prescribed_by_id: Mapped[int] = mapped_column(BigKey, ForeignKey("user_account.id"))
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)

    prescribed_by: Mapped[User] = relationship()


class Fill(db.Model):
    """One refill of a pump. A mistake is corrected by a new row that names the row it replaces."""

    __tablename__ = "fill"
    __table_args__ = (Index("ix_fill_device_id_at", "device_id", "at"),)

    id: Mapped[Key]
    public_id: Mapped[PublicId]
    clinic_id: Mapped[int] = mapped_column(BigKey, ForeignKey("clinic.id"))
    device_id: Mapped[int] = mapped_column(BigKey, ForeignKey("device.id"))
    at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    expected_ml: Mapped[float | None]
    aspirated_ml: Mapped[float | None]
    filled_ml: Mapped[float]
    measured_after_ml: Mapped[float | None]
    drugs: Mapped[JsonList]  # [{"name": "morphine", "mg_per_ml": 10.0}]
    drug_lot: Mapped[str | None] = mapped_column(String(40))
    drug_expires_on: Mapped[dt.date | None]
    flags: Mapped[JsonList] = mapped_column(default=list)
    reconciliation: Mapped[dict[str, Any] | None] = mapped_column(OptionalJson)  # as judged when recorded
    checklist: Mapped[dict[str, Any] | None] = mapped_column(OptionalJson)  # step: {"answer", "by", "at"}
    programmed: Mapped[dict[str, Any] | None] = mapped_column(
        OptionalJson
    )  # as the programmer showed at the end
    bridge: Mapped[dict[str, Any] | None] = mapped_column(OptionalJson)  # {"from", "until", "volume_ml"}
    setting_id: Mapped[int | None] = mapped_column(
        BigKey, ForeignKey("device_setting.id")
    )  # prescribed with it
    note: Mapped[str | None] = mapped_column(Text, info=PHI)
    performed_by_id: Mapped[int] = mapped_column(BigKey, ForeignKey("user_account.id"))
    confirmed_by_id: Mapped[int | None] = mapped_column(BigKey, ForeignKey("user_account.id"))
    confirmed_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    confirmed_values: Mapped[dict[str, Any] | None] = mapped_column(OptionalJson)  # as the second person read
    replaces_id: Mapped[int | None] = mapped_column(BigKey, ForeignKey("fill.id"), unique=True)
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)

    performed_by: Mapped[User] = relationship(foreign_keys=performed_by_id)
    confirmed_by: Mapped[User | None] = relationship(foreign_keys=confirmed_by_id)
    replaces: Mapped["Fill | None"] = relationship(remote_side="Fill.id", back_populates="replaced_by")
    replaced_by: Mapped["Fill | None"] = relationship(back_populates="replaces")


class BrokerLogin(db.Model):
    """An account at the broker. The embedded broker signs in against this table; Mosquitto is told of changes."""

    __tablename__ = "broker_login"
    __table_args__ = (CheckConstraint("role IN ('device', 'ingest')", name="role"),)

    username: Mapped[str] = mapped_column(String(64), primary_key=True)
    device_id: Mapped[int | None] = mapped_column(BigKey, ForeignKey("device.id"), index=True)
    role: Mapped[str] = mapped_column(String(10))
    password_hash: Mapped[str] = mapped_column(String(200))
    salt: Mapped[str] = mapped_column(String(64))
    iterations: Mapped[int]
    issued_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)


class Command(db.Model):
    """A request to a device that never changes therapy. `reported` only when the device said so itself."""

    __tablename__ = "command"

    id: Mapped[Key]
    public_id: Mapped[PublicId]
    clinic_id: Mapped[int] = mapped_column(BigKey, ForeignKey("clinic.id"))
    device_id: Mapped[int] = mapped_column(BigKey, ForeignKey("device.id"), index=True)
    kind: Mapped[str] = mapped_column(String(20))
    args: Mapped[JsonDict]
    state: Mapped[str] = mapped_column(
        String(16), default="pending"
    )  # pending sent reported refused not_confirmed
    requested_by_id: Mapped[int] = mapped_column(BigKey, ForeignKey("user_account.id"))
    requested_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    sent_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    answered_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    result: Mapped[JsonDict] = mapped_column(default=dict)

    requested_by: Mapped[User] = relationship()


def fills_with_names(statement: Select[Any]) -> Select[Any]:
    """A select of fills that brings the people and corrections they name."""
    named = (Fill.performed_by, Fill.confirmed_by, Fill.replaces, Fill.replaced_by)
    return statement.options(*(joinedload(name) for name in named))


def ids_of_patient(session: Session, patient_id: int, *, kind: str | None = None) -> list[int]:
    """The devices of a patient, explanted ones included; `kind` leaves out the others."""
    statement = select(Device.id).where(Device.patient_id == patient_id)
    if kind is not None:
        statement = statement.where(Device.kind == kind)
    return list(session.scalars(statement))


def settings_of(session: Session, device_ids: Collection[int]) -> dict[int, list[DeviceSetting]]:
    """What was prescribed for each device, oldest first; of two that take effect at once the later entry counts."""
    found: dict[int, list[DeviceSetting]] = {device_id: [] for device_id in device_ids}
    order = (DeviceSetting.device_id, DeviceSetting.effective_at, DeviceSetting.id)
    for row in session.scalars(
        select(DeviceSetting).where(among(session, DeviceSetting.device_id, device_ids)).order_by(*order)
    ):
        history = found[row.device_id]
        if history and history[-1].effective_at == row.effective_at:
            history.pop()
        history.append(row)
    return found


def setting_in_force(session: Session, device_id: int, at: dt.datetime) -> DeviceSetting | None:
    """The prescription that holds at this moment, if there is one."""
    statement = select(DeviceSetting).where(
        DeviceSetting.device_id == device_id, DeviceSetting.effective_at <= at
    )
    newest_first = (DeviceSetting.effective_at.desc(), DeviceSetting.id.desc())
    return session.scalars(statement.order_by(*newest_first).limit(1)).one_or_none()


class FilledPump(NamedTuple):
    """What judgements read of a fill."""

    at: dt.datetime
    filled_ml: float
    aspirated_ml: float | None
    drugs: list[Any]
    bridge: dict[str, Any] | None


def fillings_of(session: Session, device_ids: Collection[int]) -> dict[int, list[FilledPump]]:
    """The fills of each pump as corrected, oldest first: for thousands of pumps at once, without the rest of them."""
    found: dict[int, list[FilledPump]] = {device_id: [] for device_id in device_ids}
    columns = (Fill.at, Fill.filled_ml, Fill.aspirated_ml, Fill.drugs, Fill.bridge)
    statement = select(Fill.device_id, *columns).where(
        among(session, Fill.device_id, device_ids), not_replaced(Fill)
    )
    for device_id, *values in session.execute(statement.order_by(Fill.device_id, Fill.at, Fill.id)):
        found[device_id].append(FilledPump(*values))
    return found


def fills_of(session: Session, device_ids: Collection[int]) -> dict[int, list[Fill]]:
    """The fills of each pump as corrected, oldest first."""
    found: dict[int, list[Fill]] = {device_id: [] for device_id in device_ids}
    statement = select(Fill).where(among(session, Fill.device_id, device_ids), not_replaced(Fill))
    for row in session.scalars(statement.order_by(Fill.device_id, Fill.at, Fill.id)):
        found[row.device_id].append(row)
    return found
