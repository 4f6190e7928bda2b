"""What a clinic has to look after now, from stored rows only: nothing is forecast or judged while a page waits."""

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, case, exists, extract, func, or_, select, tuple_
from sqlalchemy.orm import Session, aliased, contains_eager, joinedload

from sc_stim.access import in_clinic
from sc_stim.clinical.alarms import shipped_table
from sc_stim.clinical.alert_lifecycle import State
from sc_stim.clinical.clinic_figures import SILENCE_INTERVALS
from sc_stim.clinical.outreach import FINISHED
from sc_stim.clinical.silence import SilenceKind
from sc_stim.models.alert import Alert
from sc_stim.models.appointment import Appointment, booked_for_device
from sc_stim.models.base import among
from sc_stim.models.care_task import CareTask
from sc_stim.models.clinic_figure import ClinicFigure
from sc_stim.models.device import Device, Fill
from sc_stim.models.patient import Patient
from sc_stim.models.recall import Recall, RecallOutreach
from sc_stim.models.replaced import not_replaced
from sc_stim.models.review import reviews_due
from sc_stim.models.telemetry import DeviceEvent, DeviceState, Forecast
from sc_stim.models.work import WorkItem

# States in which an alert needs somebody now; a shelved one comes back by itself.
WAITING: Final = (State.UNACKNOWLEDGED, State.RETURNED_TO_NORMAL, State.ACKNOWLEDGED)
SILENCE: Final = tuple(SilenceKind)  # conditions of alerts about silence
PAIN: Final = ("pain_rise", "pain_fall", "stopped_reporting")
IN_OWN_LANES: Final = (*SILENCE, *PAIN, "refill_due")  # shown as silent devices, pain, and pumps to refill


@dataclass(frozen=True)
class Sought:
    """Rows of patients and devices that have every word of `text` in a name, the record number or the serial number,
    and whose device is of this model. Empty: all.
    """

    text: str = ""
    model: str = ""

    def where(self) -> list[ColumnElement[bool]]:
        """Conditions for a select of Device and Patient, either of which may be missing."""
        names = (Patient.given_name, Patient.family_name, Patient.mrn, Device.serial)
        found = [
            or_(*(column.icontains(word, autoescape=True) for column in names)) for word in self.text.split()
        ]
        return [*found, Device.model == self.model] if self.model else found


EVERYTHING: Final = Sought()


def refills_due(
    session: Session, clinic_id: int, until: dt.date, sought: Sought = EVERYTHING
) -> Sequence[Row[Any]]:
    """What a list of pumps to refill by `until` is narrowed and ordered by, most dangerous first.

    Rows of (device_id, family_name, model, drugs, risk, refill_by, visit_on): `drugs` as the forecast names them,
    `visit_on` the day of the booked visit or None.
    """
    columns = (
        Device.id.label("device_id"), Patient.family_name, Device.model, Forecast.result["drugs"].label("drugs"),
        Forecast.risk, Forecast.refill_by, Appointment.day.label("visit_on"),
    )  # fmt: skip
    statement = (
        implanted_pumps(clinic_id)
        .outerjoin(Appointment, booked_for_device())
        .where(Forecast.refill_by <= until, *sought.where())
        .with_only_columns(*columns)
    )
    return session.execute(statement.order_by(Forecast.danger.desc(), Forecast.refill_by, Device.id)).all()


def refills(session: Session, clinic_id: int, device_ids: Sequence[int]) -> list[Row[Any]]:
    """(Device, Patient, DeviceState, Forecast, Appointment) of these pumps in this order; only the first is sure."""
    statement = (
        implanted_pumps(clinic_id)
        .outerjoin(Appointment, booked_for_device())
        .add_columns(Appointment)
        .options(joinedload(Appointment.resource))
        .where(among(session, Device.id, device_ids))
    )
    found = {row.Device.id: row for row in session.execute(statement)}
    return [found[device_id] for device_id in device_ids if device_id in found]


def pumps_without_forecast(
    session: Session, clinic_id: int, limit: int, sought: Sought = EVERYTHING
) -> Sequence[Row[Any]]:
    """Rows of (Device, Patient, DeviceState, Forecast) whose forecast was refused, or None where none was made yet."""
    statement = implanted_pumps(clinic_id).where(Forecast.refill_by.is_(None), *sought.where())
    return session.execute(
        statement.order_by(Forecast.danger.desc().nulls_last(), Device.id).limit(limit)
    ).all()


def overdue_tasks(
    session: Session, clinic_id: int, at: dt.datetime, limit: int, sought: Sought = EVERYTHING
) -> Sequence[Row[Any]]:
    """Rows of (CareTask, Device, Patient or None): open tasks that should be done by now, the longest overdue first."""
    statement = (
        select(CareTask, Device, Patient)
        .join(Device, Device.id == CareTask.device_id)
        .outerjoin(Patient, Patient.id == CareTask.patient_id)
        .where(CareTask.closed_at.is_(None), CareTask.due_at <= at, *sought.where())
        .order_by(CareTask.due_at, CareTask.id)
    )
    return session.execute(in_clinic(statement, CareTask, clinic_id).limit(limit)).all()


def overdue_reviews(
    session: Session, clinic_id: int, today: dt.date, limit: int, sought: Sought = EVERYTHING
) -> Sequence[Row[Any]]:
    """Rows of (Device, Patient, last_on, due_day), the longest overdue first; `due_day` as models.review has it."""
    statement, due = reviews_due(clinic_id, today)
    statement = statement.where(*sought.where()).order_by(due.c.due_day, due.c.device_id)
    return session.execute(statement.limit(limit)).all()


def open_outreach(
    session: Session, clinic_id: int, limit: int, sought: Sought = EVERYTHING
) -> Sequence[Row[Any]]:
    """Rows of (Recall, left): open recalls and how many of their devices are left to follow up, the most first."""
    left = func.count().label("left")
    statement = (
        select(Recall, left)
        .join(RecallOutreach, RecallOutreach.recall_id == Recall.id)
        .join(Device, Device.id == RecallOutreach.device_id)
        .outerjoin(Patient, Patient.id == Device.patient_id)
        .where(
            Recall.closed_at.is_(None),
            RecallOutreach.on_list,
            RecallOutreach.state.not_in(FINISHED),
            *sought.where(),
        )
        .group_by(Recall.id)
        .order_by(left.desc(), Recall.id)
    )
    return session.execute(in_clinic(statement, Recall, clinic_id).limit(limit)).all()


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


def silent_devices(
    session: Session, clinic_id: int, at: dt.datetime, limit: int, sought: Sought = EVERYTHING
) -> Sequence[Row[Any]]:
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
        .options(joinedload(Device.login))
        .where(Device.in_use, is_silent(at), *sought.where())
        .order_by(DeviceState.measured_at.is_not(None), _known_at(), Device.id)
    )
    return session.execute(in_clinic(statement, Device, clinic_id).limit(limit)).all()


def is_silent(at: dt.datetime) -> ColumnElement[bool]:
    """The rule of clinical.silence in SQL, by the clinic's own figure where it has set one. For a Device outer-joined
    with its DeviceState.
    """
    own = (
        select(ClinicFigure.value)
        .where(ClinicFigure.clinic_id == Device.clinic_id, ClinicFigure.key == SILENCE_INTERVALS)
        .correlate(Device)
        .scalar_subquery()
    )
    intervals = func.coalesce(own, shipped_table().silence.intervals.value)
    allowed_s = intervals * Device.report_interval_s
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
    only: Collection[str] | None = None,
    without: Collection[str] = (),
    limit: int,
    sought: Sought = EVERYTHING,
) -> Sequence[Alert]:
    """Alerts in these states, worst first, then the oldest first.

    `only`: of these conditions; `without` leaves out these.
    """
    statement = in_clinic(select(Alert), Alert, clinic_id).outerjoin(Alert.patient).outerjoin(Alert.device)
    statement = statement.where(Alert.state.in_(states), Alert.condition.not_in(without), *sought.where())
    if only is not None:
        statement = statement.where(Alert.condition.in_(only))
    statement = statement.options(contains_eager(Alert.patient), contains_eager(Alert.device))
    return session.scalars(
        statement.order_by(Alert.severity_rank, Alert.opened_at, Alert.id).limit(limit)
    ).all()


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
