"""Who and what can be booked, and when: the clinic's hours, its nurses and rooms, their absences."""

import datetime as dt
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from sc_stim.models import Absence, Clinic, ClinicResource, OpeningHours
from sc_stim.workflows import audit
from sc_stim.workflows.audit import Actor
from sc_stim.workflows.booking import clinic_hours
from sc_stim.workflows.refusals import Conflict, FieldRefused

Values = Mapping[str, Any]


def set_clinic_hours(
    session: Session, actor: Actor, clinic: Clinic, hours: Sequence[Values], *, at: dt.datetime
) -> None:
    """Replace the hours of the clinic. Visits that are booked stay. Raises FieldRefused."""
    rows = _hours(hours, clinic.id)
    for row in clinic_hours(session, clinic.id):
        session.delete(row)
    session.add_all(rows)
    flag_modified(clinic, "name")  # its version covers the hours too
    audit.record(session, actor, "clinic.hours", "clinic", clinic.public_id, at=at)


def add_resource(session: Session, actor: Actor, values: Values, *, at: dt.datetime) -> ClinicResource:
    """A nurse or room that visits can be booked with. Raises FieldRefused and Conflict.

    values: columns, `user`, and lists of `hours` and `absences`
    """
    resource = ClinicResource(clinic_id=actor.clinic_id, created_at=at)
    _set(resource, values)
    session.add(resource)
    _flush(session)
    audit.record(session, actor, "resource.create", "resource", resource.public_id, at=at)
    return resource


def change_resource(
    session: Session, actor: Actor, resource: ClinicResource, changes: Values, *, at: dt.datetime
) -> None:
    """Change a nurse or room; lists that are given replace the old ones. Visits that are booked stay."""
    _set(resource, changes)
    flag_modified(resource, "name")  # the version covers hours and absences too
    _flush(session)
    detail = {"fields": sorted(changes)}
    audit.record(session, actor, "resource.change", "resource", resource.public_id, detail, at=at)


def _set(resource: ClinicResource, values: Values) -> None:
    for name, value in values.items():
        if name == "hours":
            resource.hours = _hours(value, resource.clinic_id)
        elif name == "absences":
            resource.absences = [_absence(one) for one in value]
        else:
            setattr(resource, name, value)
    if resource.kind == "room" and resource.user is not None:
        raise FieldRefused("user_id", "belongs to a nurse; this is a room")


def _hours(hours: Sequence[Values], clinic_id: int) -> list[OpeningHours]:
    ordered = sorted(hours, key=lambda one: (one["weekday"], one["opens"]))
    for one in ordered:
        if one["opens"] >= one["closes"]:
            raise FieldRefused("hours", "closes must be after opens")
    for one, after in pairwise(ordered):
        if one["weekday"] == after["weekday"] and after["opens"] < one["closes"]:
            raise FieldRefused("hours", f"overlap on weekday {one['weekday']}")
    return [OpeningHours(clinic_id=clinic_id, **one) for one in ordered]


def _absence(values: Values) -> Absence:
    if values["last_day"] < values["first_day"]:
        raise FieldRefused("absences", "last_day must not be before first_day")
    return Absence(**values)


def _flush(session: Session) -> None:
    try:
        with session.begin_nested():
            session.flush()
    except IntegrityError as error:
        raise Conflict("this account is another nurse's already") from error
