"""The clinic's own record: its region, the days on which it is closed, and what a refill forecast reads of it."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from sc_stim.access import in_clinic
from sc_stim.models import Appointment, Clinic, ClinicClosure, Device
from sc_stim.models.appointment import BOOKED
from sc_stim.workflows import audit, outbox
from sc_stim.workflows.accounts import check_region
from sc_stim.workflows.audit import Actor
from sc_stim.workflows.refusals import Conflict, FieldRefused

# What a refill forecast reads: a change of one of these makes every pump's forecast anew.
FORECAST_READS: Final = frozenset(
    {"time_zone", "country", "subdivision", "pharmacy_lead_days", "refill_margin_days", "closures"}
)
MOST_CLOSURES: Final = 1000


def change_clinic(
    session: Session, actor: Actor, clinic: Clinic, changes: Mapping[str, Any], *, at: dt.datetime
) -> None:
    """Change the clinic; forecasts of its pumps are made anew where dates or margins change.

    changes: columns, and `closures`: the reason by day, all of them in place of those before.
    Raises FieldRefused, and Conflict where another clinic has the name.
    """
    check_region(
        *(changes.get(name, getattr(clinic, name)) for name in ("time_zone", "country", "subdivision"))
    )
    _check_name(session, clinic, changes.get("name", clinic.name))
    columns = {name: value for name, value in changes.items() if name != "closures"}
    changed = {
        name: [getattr(clinic, name), value]
        for name, value in columns.items()
        if getattr(clinic, name) != value
    }
    detail = {"fields": sorted(changes), "changed": changed}
    audit.record(session, actor, "clinic.change", "clinic", clinic.public_id, detail, at=at)
    for name, value in columns.items():
        setattr(clinic, name, value)
    if "closures" in changes:
        _replace_closures(clinic, dict(changes["closures"]))
    if FORECAST_READS & changes.keys():
        pumps = in_clinic(select(Device.id), Device, clinic.id).filter_by(kind="pump", explanted_on=None)
        outbox.ask(session, outbox.REFILL, session.scalars(pumps).all(), at)


def close_days(
    session: Session,
    actor: Actor,
    clinic: Clinic,
    first: dt.date,
    last: dt.date,
    reason: str,
    *,
    at: dt.datetime,
) -> int:
    """Close the clinic on these days, both included; days that are closed already keep their reason. Returns how
    many are new. Raises FieldRefused.
    """
    if last < first:
        raise FieldRefused("last_day", "must not be before the first day")
    closed = {closure.day: closure.reason for closure in clinic.closures}
    if len(closed) + (last - first).days >= MOST_CLOSURES:
        raise FieldRefused("last_day", f"is too far: {MOST_CLOSURES} closed days fit")
    days = [first + dt.timedelta(days=number) for number in range((last - first).days + 1)]
    new = [day for day in days if day not in closed]
    if not new:
        raise FieldRefused("first_day", "is closed already")
    change_clinic(session, actor, clinic, {"closures": closed | dict.fromkeys(new, reason)}, at=at)
    return len(new)


def open_days(
    session: Session, actor: Actor, clinic: Clinic, first: dt.date, last: dt.date, *, at: dt.datetime
) -> None:
    """Take back the closures of these days, both included."""
    kept = {closure.day: closure.reason for closure in clinic.closures if not first <= closure.day <= last}
    change_clinic(session, actor, clinic, {"closures": kept}, at=at)


def visits_by_day(session: Session, clinic_id: int, first: dt.date) -> dict[dt.date, int]:
    """How many visits are booked for each day from `first` on."""
    statement = select(Appointment.day, func.count().label("number")).where(
        Appointment.state == BOOKED, Appointment.day >= first
    )
    counted = session.execute(in_clinic(statement, Appointment, clinic_id).group_by(Appointment.day))
    return {row.day: row.number for row in counted}


def _check_name(session: Session, clinic: Clinic, name: str) -> None:
    if session.scalar(select(Clinic.id).where(Clinic.name == name, Clinic.id != clinic.id)):
        raise Conflict("there is another clinic of this name")


def _replace_closures(clinic: Clinic, reasons: dict[dt.date, str]) -> None:
    """Keep the rows of days that stay: a unique day cannot be inserted before its old row is gone."""
    clinic.closures = [closure for closure in clinic.closures if closure.day in reasons]
    for closure in clinic.closures:
        closure.reason = reasons.pop(closure.day)
    clinic.closures += [ClinicClosure(day=day, reason=reason) for day, reason in sorted(reasons.items())]
    flag_modified(clinic, "name")  # closures are part of what the version covers
