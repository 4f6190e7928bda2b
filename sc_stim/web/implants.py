"""A patient's devices, each with all that the patient page says about it, in a fixed number of statements."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from sc_stim.models import Device, DeviceSetting, DeviceState, Fill, Forecast, Patient
from sc_stim.models.device import fills_of, settings_of
from sc_stim.models.worklist import is_silent
from sc_stim.web.charts import Subject


@dataclass(frozen=True)
class Implant:
    """`number` counts the patient's devices from 1. `setting` is the prescription in force. One that is out has no
    forecast any more.
    """

    number: int
    device: Device
    state: DeviceState | None
    forecast: Forecast | None
    silent: bool
    setting: DeviceSetting | None
    fills: list[Fill]

    @property
    def days_ahead(self) -> tuple[dt.date | None, ...]:
        return (self.forecast.refill_by, self.forecast.earliest_empty_on) if self.forecast else ()

    def subject(self, key: str, title: str, unit: str, caption: str) -> Subject:
        """What a chart about this device is called."""
        named = f"{caption}, {self.device.kind} {self.device.model}"
        return Subject(f"device-{self.number}-{key}", title, unit, named)

    def last(self, field: str) -> Any:
        """What it said of this field in its newest measured sample."""
        return self.state.sample.get(field) if self.state and self.state.sample else None


def implants_of(session: Session, patient: Patient, at: dt.datetime) -> list[Implant]:
    """Those in place first, then by date of implantation."""
    statement = (
        select(Device, DeviceState, Forecast, is_silent(at))
        .outerjoin(DeviceState, DeviceState.device_id == Device.id)
        .outerjoin(Forecast, Forecast.device_id == Device.id)
        .where(Device.patient_id == patient.id)
        .options(selectinload(Device.leads), joinedload(Device.login))
        .order_by(Device.explanted_on.is_not(None), Device.implanted_on, Device.id)
    )
    rows = session.execute(statement).all()
    ids = [device.id for device, *_ in rows]
    settings, fills = settings_of(session, ids), fills_of(session, ids)
    return [
        Implant(
            number,
            device,
            state,
            None if device.explanted_on else forecast,
            bool(silent),
            _in_force(settings[device.id], at),
            fills[device.id],
        )
        for number, (device, state, forecast, silent) in enumerate(rows, start=1)
    ]


def _in_force(history: list[DeviceSetting], at: dt.datetime) -> DeviceSetting | None:
    return next((setting for setting in reversed(history) if setting.effective_at <= at), None)
