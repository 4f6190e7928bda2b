"""What a clinic has to look after now, from stored rows only: nothing is forecast or judged while a page waits."""

import datetime as dt
from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, case, exists, extract, func, select, tuple_
from sqlalchemy.orm import Session, aliased, joinedload

from sc_stim.access import in_clinic
from sc_stim.clinical.alarms import shipped_table
from sc_stim.clinical.alert_lifecycle import State
from sc_stim.clinical.silence import SilenceKind
from sc_stim.models.alert import Alert
from sc_stim.models.device import Device, Fill
from sc_stim.models.patient import Patient
from sc_stim.models.replaced import not_replaced
from sc_stim.models.telemetry import DeviceEvent, DeviceState, Forecast
from sc_stim.models.work import WorkItem

# States in which an alert needs somebody now; a shelved one comes back by itself.
WAITING: Final = (State.UNACKNOWLEDGED, State.RETURNED_TO_NORMAL, State.ACKNOWLEDGED)
SILENCE: Final = tuple(SilenceKind)  # conditions of alerts about silence
IN_OWN_LANES: Final = (*SILENCE, "refill_due")  # shown as silent devices and as pumps to refill


def refills_due(session: Session, clinic_id: int, until: dt.date, limit: int) -> Sequence[Row[Any]]:
    """Rows of (Device, Patient, DeviceState, Forecast) to refill by `until` or overdue, most dangerous first."""
    statement = implanted_pumps(clinic_id).where(Forecast.refill_by <= until)
    order = (Forecast.danger.desc(), Forecast.refill_by, Device.id)
    return session.execute(statement.order_by(*order).limit(limit)).all()


def count_refills_due(session: Session, clinic_id: int, days: Collection[dt.date]) -> list[int]:
    """How many pumps are to be refilled by each of these days."""
    due = [func.count().filter(Forecast.refill_by <= day) for day in days]
    return list(session.execute(implanted_pumps(clinic_id).with_only_columns(*due)).one())


def pumps_without_forecast(session: Session, clinic_id: int, limit: int) -> Sequence[Row[Any]]:
    """Rows of (Device, Patient, DeviceState, Forecast) whose forecast was refused, or None where none was made yet."""
    statement = implanted_pumps(clinic_id).where(Forecast.refill_by.is_(None))
    return session.execute(
        statement.order_by(Forecast.danger.desc().nulls_last(), Device.id).limit(limit)
    ).all()


def being_recomputed(session: Session, device_ids: Collection[int], at: dt.datetime) -> set[int]:
    """Those of these pumps about which there is news that their stored forecast does not know yet."""
    owed = (WorkItem.due_at <= at) | (
        WorkItem.attempts > 0
    )  # an attempt that failed waits, and is owed all the same
    statement = select(WorkItem.subject_id).where(
        WorkItem.kind == "refill", WorkItem.subject_id.in_(device_ids), owed
    )
    return set(session.scalars(statement))


def visits_to_complete(clinic_id: int) -> Select[Any]:
    """(Fill, Device, Patient) of the newest fill of each implanted pump that is not confirmed, since which the pump has
    not reported running, or whose pump was left stopped or in a programming session.
    """
    newer = aliased(Fill)
    is_newest = ~exists().where(
        newer.device_id == Fill.device_id,
        tuple_(newer.at, newer.id) > tuple_(Fill.at, Fill.id),
        not_replaced(newer),
    )
    state = DeviceState.sample["state"].as_string()
    unheard = DeviceState.measured_at.is_(None) | (DeviceState.measured_at < Fill.at)
    after = (Device.report_interval_s > 0) & (unheard | (state.is_not(None) & (state != "running")))
    left = Fill.programmed["state"].as_string()
    left_stopped = unheard & left.is_not(None) & (left != "running")
    statement = (
        select(Fill, Device, Patient)
        .join(Device, Device.id == Fill.device_id)
        .outerjoin(Patient, Patient.id == Device.patient_id)
        .outerjoin(DeviceState, DeviceState.device_id == Device.id)
        .where(
            Device.in_use,
            not_replaced(Fill),
            is_newest,
            Fill.confirmed_by_id.is_(None) | after | left_stopped | _session_open(),
        )
    )
    return in_clinic(statement, Fill, clinic_id)


def _session_open() -> ColumnElement[bool]:
    """For a Fill: a programming session of its pump was opened and never closed."""
    opened, closed = aliased(DeviceEvent), aliased(DeviceEvent)
    was_closed = exists().where(
        closed.device_id == opened.device_id,
        closed.kind == "session_closed",
        closed.measured_at >= opened.measured_at,
    )
    return exists().where(opened.device_id == Fill.device_id, opened.kind == "session_opened", ~was_closed)


def silent_devices(session: Session, clinic_id: int, at: dt.datetime, limit: int) -> Sequence[Row[Any]]:
    """Rows of (Device, Patient, DeviceState, Alert): implanted devices not heard in time, longest silent first.

    The alert is the open one about the silence, or None where none was raised yet.
    """
    about_silence = (
        (Alert.device_id == Device.id) & Alert.condition.in_(SILENCE) & (Alert.state != State.CLOSED)
    )
    statement = (
        select(Device, Patient, DeviceState, Alert)
        .outerjoin(Patient, Patient.id == Device.patient_id)
        .outerjoin(DeviceState, DeviceState.device_id == Device.id)
        .outerjoin(Alert, about_silence)
        .where(Device.in_use, is_silent(at))
        .order_by(DeviceState.measured_at.is_not(None), _known_at(), Device.id)
    )
    return session.execute(in_clinic(statement, Device, clinic_id).limit(limit)).all()


def is_silent(at: dt.datetime) -> ColumnElement[bool]:
    """The rule of clinical.silence in SQL, for a Device outer-joined with its DeviceState."""
    allowed_s = shipped_table().silence.intervals.value * Device.report_interval_s
    expected = Device.report_interval_s > 0  # 0: this model has no telemetry
    return expected & (extract("epoch", _known_at()) + allowed_s <= at.timestamp())


def _known_at() -> ColumnElement[dt.datetime]:
    """The newest moment a device is known at: measured then, no later than heard, no earlier than registered."""
    registered, measured, heard = Device.created_at, DeviceState.measured_at, DeviceState.heard_at
    known = case((measured < heard, measured), else_=func.coalesce(heard, measured))
    return case((measured.is_(None) | (known < registered), registered), else_=known)


def alerts_in(
    session: Session,
    clinic_id: int,
    states: Collection[State] = WAITING,
    *,
    without: Collection[str] = (),
    limit: int,
    offset: int = 0,
) -> Sequence[Alert]:
    """Alerts in these states, worst first, then the oldest first; closed ones the newest first.

    `without` leaves out these conditions.
    """
    statement = in_clinic(select(Alert), Alert, clinic_id)
    statement = statement.where(Alert.state.in_(states), Alert.condition.not_in(without))
    statement = statement.options(joinedload(Alert.patient), joinedload(Alert.device))
    order = (Alert.opened_at.desc(),) if State.CLOSED in states else (Alert.severity_rank, Alert.opened_at)
    return session.scalars(statement.order_by(*order, Alert.id).limit(limit).offset(offset)).all()


def implanted_pumps(clinic_id: int) -> Select[Any]:
    """(Device, Patient, DeviceState, Forecast) of every implanted pump; the last three may be None."""
    statement = (
        select(Device, Patient, DeviceState, Forecast)
        .outerjoin(Patient, Patient.id == Device.patient_id)
        .outerjoin(DeviceState, DeviceState.device_id == Device.id)
        .outerjoin(Forecast, Forecast.device_id == Device.id)
        .where(Device.kind == "pump", Device.in_use)
    )
    return in_clinic(statement, Device, clinic_id)
