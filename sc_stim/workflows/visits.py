"""What becomes of booked visits: done, missed, too late by now; and the work that follows for people.

Judged with the pump, whenever its record changes and once each night, so a fill recorded late or corrected puts the
past right.
"""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from sc_stim.clinical.slots import shipped_rules
from sc_stim.models import Alert, Appointment, Fill, Forecast, Message
from sc_stim.models.appointment import BOOKED, CANCELLED, DONE, MISSED
from sc_stim.models.base import among
from sc_stim.models.device import fills_of
from sc_stim.models.replaced import not_replaced
from sc_stim.workflows import alerts, messaging, reminders
from sc_stim.workflows.alerts import Condition

TOO_LATE: Final = "appointment_after_refill_by"
NOT_SEEN: Final = "visit_missed"
CALL: Final = "reminder_by_phone"
CONDITIONS: Final = (TOO_LATE, NOT_SEEN, CALL)
SEVERITY: Final = {TOO_LATE: "medium", NOT_SEEN: "medium", CALL: "low"}
MODEL_VERSION: Final = "visits-1"
NOT_HIS_PUMP: Final = "the pump is not in use with this patient any more"


def settle(session: Session, device_ids: Collection[int], at: dt.datetime) -> None:
    """Set the state of every visit of these pumps by their fills and the day."""
    visits = _visits(session, device_ids)
    fills = fills_of(session, list(visits)) if visits else {}
    for device_id, rows in visits.items():
        for row in (one for one in rows if one.state != CANCELLED):
            fill = next((one for one in fills[device_id] if _local_day(one.at, row) == row.day), None)
            _become(session, row, _state(row, rows, fill, at), fill, at)


def missed_since_fill(session: Session, device_ids: Collection[int]) -> dict[int, int]:
    """How many visits of each pump were missed since its last fill; pumps without one are left out."""
    last_fill = select(func.max(Fill.at)).where(Fill.device_id == Appointment.device_id, not_replaced(Fill))
    after = func.coalesce(Appointment.starts_at > last_fill.scalar_subquery(), True)
    missed = select(Appointment.device_id).where(
        among(session, Appointment.device_id, device_ids), Appointment.state == MISSED, after
    )
    return dict(Counter(session.scalars(missed)))


def flag(session: Session, device_ids: Collection[int], at: dt.datetime) -> None:
    """Raise what these pumps' visits need people for, and end what is over. After `settle` and the forecast."""
    visits = _visits(session, device_ids)
    standing = _standing(session, device_ids)
    if not visits and not standing:
        return
    refill_by = _refill_by(session, device_ids)
    missed = missed_since_fill(session, list(visits))
    failed = _failed_reminders(session, [row for rows in visits.values() for row in rows])
    wanted = {
        (device_id, condition.name): condition
        for device_id, rows in visits.items()
        for condition in _conditions(rows, refill_by.get(device_id), missed.get(device_id, 0), failed, at)
    }
    for condition in wanted.values():
        alerts.raise_alert(session, condition, at=at)
    for device_id, name in standing.keys() - wanted.keys():
        unknown = name == TOO_LATE and refill_by.get(device_id) is None and _booked(visits.get(device_id, ()))
        if not unknown:
            alerts.return_to_normal(session, standing[device_id, name], at=at)
    for rows in visits.values():
        _forget_made_up(session, rows, missed, at)


def _visits(session: Session, device_ids: Collection[int]) -> Mapping[int, list[Appointment]]:
    """By pump, in the order in which they were booked."""
    statement = (
        select(Appointment)
        .where(among(session, Appointment.device_id, device_ids))
        .order_by(Appointment.device_id, Appointment.id)
        .options(joinedload(Appointment.device), joinedload(Appointment.patient))
    )
    found: dict[int, list[Appointment]] = defaultdict(list)
    for row in session.scalars(statement):
        found[row.device_id].append(row)
    return found


def _state(row: Appointment, rows: Iterable[Appointment], fill: Fill | None, at: dt.datetime) -> str:
    if fill is not None:
        return DONE
    if row.state == BOOKED and not (row.device.in_use and row.device.patient_id == row.patient_id):
        return CANCELLED
    if row.day < _local_day(at, row):
        return MISSED
    # A fill of today that was corrected away: the visit is booked again, unless another one was booked meanwhile.
    return MISSED if row.state != BOOKED and _booked(rows) else BOOKED


def _become(session: Session, row: Appointment, state: str, fill: Fill | None, at: dt.datetime) -> None:
    fill_id = fill.id if fill else None
    if (row.state, row.fill_id) == (state, fill_id):
        return
    was, row.state, row.fill_id = row.state, state, fill_id
    row.changed_at, row.changed_by_id = at, None
    if state == CANCELLED:
        row.cancel_reason, row.sequence = NOT_HIS_PUMP, row.sequence + 1
    session.flush()
    if state == MISSED != was:
        reminders.plan_missed(session, row, at=at)
    elif was == BOOKED:
        reminders.plan(session, row, at=at)


def _conditions(
    rows: Sequence[Appointment],
    refill_by: dt.date | None,
    missed: int,
    failed: Collection[str],
    at: dt.datetime,
) -> Iterator[Condition]:
    """What needs a person about the visits of one pump."""
    booked = _booked(rows)
    if booked is None:
        if missed:
            # One cause with the booking it follows: where another visit was booked and called off, it is work again.
            last = max((row for row in rows if row.state == MISSED), key=lambda row: row.starts_at)
            detail = {"day": last.day.isoformat(), "missed": missed}
            yield _condition(rows[-1], NOT_SEEN, last.ends_at, "", detail)
        return
    day = booked.day.isoformat()
    if refill_by is not None and booked.day > refill_by and not _accepted(booked, refill_by):
        detail = {"day": day, "refill_by": refill_by.isoformat()}
        yield _condition(booked, TOO_LATE, at, f":{refill_by}", detail)
    if _is_to_be_called(booked, at) or reminders.reminder_key(booked) in failed:
        yield _condition(booked, CALL, at, "", {"day": day, "time": f"{booked.time:%H:%M}"})


def _is_to_be_called(booked: Appointment, at: dt.datetime) -> bool:
    """A patient without an address, on the day of the reminder; not one who was just told when booking."""
    booked_on, today = _local_day(booked.created_at, booked), _local_day(at, booked)
    return booked_on < reminders.reminder_day(booked) <= today and not reminders.reachable(booked.patient)


def _accepted(booked: Appointment, refill_by: dt.date) -> bool:
    """Whether somebody booked past this date, or an earlier one, knowingly."""
    return booked.accepted_refill_by is not None and refill_by >= booked.accepted_refill_by


def _condition(
    row: Appointment, name: str, since: dt.datetime, cause: str, detail: dict[str, Any]
) -> Condition:
    return Condition(
        clinic_id=row.clinic_id,
        patient_id=row.patient_id,
        device_id=row.device_id,
        name=name,
        severity=SEVERITY[name],
        since=since,
        effect_key=f"{name}:{row.public_id}:{row.sequence}{cause}",
        model_version=MODEL_VERSION,
        detail=detail,
    )


def _forget_made_up(
    session: Session, rows: Sequence[Appointment], missed: Mapping[int, int], at: dt.datetime
) -> None:
    """A fill without a booking also makes up for a missed visit; messages are planned only for so many days."""
    recently = at - dt.timedelta(days=shipped_rules().second_call_after_missed_d + 1)
    if any(row.state == MISSED and row.starts_at > recently for row in rows) and not missed.get(
        rows[0].device_id
    ):
        reminders.forget_missed(session, rows[0].device, at=at)


def _standing(session: Session, device_ids: Collection[int]) -> dict[tuple[int, str], str]:
    statement = select(Alert.device_id, Alert.condition, Alert.open_key).where(
        among(session, Alert.device_id, device_ids),
        Alert.condition.in_(CONDITIONS),
        Alert.open_key.is_not(None),
    )
    return {(device_id, name): key for device_id, name, key in session.execute(statement)}


def _refill_by(session: Session, device_ids: Collection[int]) -> dict[int, dt.date | None]:
    statement = select(Forecast.device_id, Forecast.refill_by).where(
        among(session, Forecast.device_id, device_ids)
    )
    return dict(session.execute(statement).all())


def _failed_reminders(session: Session, rows: Iterable[Appointment]) -> set[str]:
    keys = [reminders.reminder_key(row) for row in rows if row.state == BOOKED]
    statement = select(Message.effect_key).where(
        Message.effect_key.in_(keys), Message.state == messaging.FAILED
    )
    return set(session.scalars(statement))


def _booked(rows: Iterable[Appointment]) -> Appointment | None:
    return next((row for row in rows if row.state == BOOKED), None)


def _local_day(at: dt.datetime, row: Appointment) -> dt.date:
    return at.astimezone(ZoneInfo(row.time_zone)).date()
