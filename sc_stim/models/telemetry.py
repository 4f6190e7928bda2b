"""What devices sent: samples, events, the newest state, the ledger of sequence numbers, quarantine."""

import datetime as dt
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from sc_stim.extensions import db
from sc_stim.models.base import BigKey, JsonDict, Key, OptionalJson, PublicId, UtcDateTime


class SampleIdentity:
    """(device, epoch, seq) is given by the device and is the primary key: a message sent again changes nothing.

    measured_at: the device's clock, corrected. device_at: as sent. received_at: when ingest took it.
    """

    device_id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    epoch: Mapped[str] = mapped_column(String(32), primary_key=True)
    seq: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    clinic_id: Mapped[int] = mapped_column(BigKey)
    measured_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    device_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    received_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)


class PumpSample(SampleIdentity, db.Model):
    __tablename__ = "pump_sample"
    # with the boluses, which are summed up over months for each forecast
    __table_args__ = (
        Index("ix_pump_sample_device_id_measured_at_boluses", "device_id", "measured_at", "boluses"),
        Index("ix_pump_sample_device_id_state_measured_at", "device_id", "state", "measured_at"),
    )

    state: Mapped[str | None] = mapped_column(String(16))
    reservoir_ml: Mapped[float | None]
    flow_ml_per_day: Mapped[float | None]
    boluses: Mapped[int | None]
    bolus_ml: Mapped[float | None]
    battery_v: Mapped[float | None]
    eri_months: Mapped[float | None]
    low_reservoir_alarm_ml: Mapped[float | None]


class StimulatorSample(SampleIdentity, db.Model):
    __tablename__ = "stimulator_sample"
    __table_args__ = (
        Index("ix_stimulator_sample_device_id_measured_at", "device_id", "measured_at"),
        Index("ix_stimulator_sample_device_id_state_measured_at", "device_id", "state", "measured_at"),
    )

    state: Mapped[str | None] = mapped_column(String(16))
    on_s: Mapped[float | None]
    program: Mapped[str | None] = mapped_column(String(64))
    amplitude_ma: Mapped[float | None]
    pulse_width_us: Mapped[float | None]
    rate_hz: Mapped[float | None]
    battery_pct: Mapped[float | None]
    battery_v: Mapped[float | None]
    charged_s: Mapped[float | None]
    impedance_ohm: Mapped[list[Any] | None] = mapped_column(OptionalJson)
    ecap_in_window_pct: Mapped[float | None]
    posture: Mapped[str | None] = mapped_column(String(32))


def newest_impedance(
    session: Session, device_id: int, since: dt.datetime
) -> tuple[dt.datetime, list[float | None]] | None:
    """When a stimulator last measured its contacts, and what (Ω, contacts from 0): most samples say nothing of them."""
    own = StimulatorSample.device_id == device_id, StimulatorSample.measured_at >= since
    row = session.execute(
        select(StimulatorSample.measured_at, StimulatorSample.impedance_ohm)
        .where(*own, StimulatorSample.impedance_ohm.is_not(None))
        .order_by(StimulatorSample.measured_at.desc(), StimulatorSample.seq.desc())
        .limit(1)
    ).one_or_none()
    return (row.measured_at, row.impedance_ohm) if row else None


class DeviceEvent(SampleIdentity, db.Model):
    __tablename__ = "device_event"
    __table_args__ = (Index("ix_device_event_device_id_measured_at", "device_id", "measured_at"),)

    kind: Mapped[str] = mapped_column(String(32))
    state: Mapped[str | None] = mapped_column(String(10))
    detail: Mapped[dict[str, Any] | None] = mapped_column(OptionalJson)


class DeviceState(db.Model):
    """One row per device that has spoken. `sample` is the newest *measured* one; late data never overwrites it."""

    __tablename__ = "device_state"

    device_id: Mapped[int] = mapped_column(
        BigKey, ForeignKey("device.id"), primary_key=True, autoincrement=False
    )
    clinic_id: Mapped[int] = mapped_column(BigKey, index=True)
    measured_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    sample: Mapped[dict[str, Any] | None] = mapped_column(OptionalJson)
    heard_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime, index=True)
    online: Mapped[bool | None]
    online_changed_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    reported_model: Mapped[str | None] = mapped_column(String(100))
    reported_firmware: Mapped[str | None] = mapped_column(String(40))
    clock: Mapped[str | None] = mapped_column(Text)  # devices.clock.ClockEstimate as JSON
    clock_error_s: Mapped[float | None]
    unknown_fields: Mapped[int] = mapped_column(default=0)


class DeviceEpoch(db.Model):
    """The record numbers settled in one epoch of a device, as ranges: the ground of stored-acks and of gaps.

    `taken` are stored or in quarantine; `rejected` those of them that are in quarantine only.
    """

    __tablename__ = "device_epoch"

    device_id: Mapped[int] = mapped_column(
        BigKey, ForeignKey("device.id"), primary_key=True, autoincrement=False
    )
    epoch: Mapped[str] = mapped_column(String(32), primary_key=True)
    taken: Mapped[str] = mapped_column(Text)
    rejected: Mapped[str] = mapped_column(Text, default="")
    first_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    last_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)


class Quarantine(db.Model):
    """A message or item that could not be taken, kept whole. The same bytes again only raise `times_seen`."""

    __tablename__ = "quarantine"
    __table_args__ = (Index("ix_quarantine_clinic_id_received_at", "clinic_id", "received_at"),)

    id: Mapped[Key]
    public_id: Mapped[PublicId]
    clinic_id: Mapped[int | None] = mapped_column(BigKey)
    device_id: Mapped[int | None] = mapped_column(BigKey)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    topic: Mapped[str] = mapped_column(Text)
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    epoch: Mapped[str | None] = mapped_column(String(32))
    seq: Mapped[int | None] = mapped_column(BigKey)
    reason: Mapped[str] = mapped_column(String(40))
    field: Mapped[str | None] = mapped_column(String(100))
    detail: Mapped[str] = mapped_column(Text)
    received_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    times_seen: Mapped[int] = mapped_column(default=1)
    replayed_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    outcome: Mapped[str | None] = mapped_column(String(40))


class Forecast(db.Model):
    """The refill forecast in force for one pump; replaced whole on every recomputation."""

    __tablename__ = "forecast"
    __table_args__ = (
        Index("ix_forecast_clinic_id_danger", "clinic_id", "danger"),
        Index("ix_forecast_clinic_id_refill_by", "clinic_id", "refill_by"),
    )

    device_id: Mapped[int] = mapped_column(
        BigKey, ForeignKey("device.id"), primary_key=True, autoincrement=False
    )
    clinic_id: Mapped[int] = mapped_column(BigKey)
    computed_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    model_version: Mapped[str] = mapped_column(String(40))
    refill_by: Mapped[dt.date | None]
    binding_clock: Mapped[str | None] = mapped_column(String(40))
    earliest_empty_on: Mapped[dt.date | None]
    refused: Mapped[str | None] = mapped_column(String(60))
    danger: Mapped[float]  # higher is more dangerous; the order of the worklist
    risk: Mapped[str] = mapped_column(String(10))
    result: Mapped[JsonDict]  # the whole answer in the form of interfaces.md
