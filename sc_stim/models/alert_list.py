"""The alerts of a clinic as a list to go through: which, how many, and what comes after the one just looked at.

The place in a list is that of an alert, not a number: whatever comes, goes or is dealt with meanwhile, nothing is
skipped and nothing comes twice.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session, joinedload

from sc_stim.access import ROLES, allowed, in_clinic
from sc_stim.clinical.alert_lifecycle import State
from sc_stim.models.alert import Alert
from sc_stim.models.clinic import User
from sc_stim.models.device import Device

NOBODY = 0  # no user has this id


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which alerts of a clinic. None: of any; `assigned_to_id` NOBODY: of those that nobody was given."""

    clinic_id: int
    states: Collection[State]
    severity: str | None = None
    condition: str | None = None
    assigned_to_id: int | None = None
    device_kind: str | None = None
    patient_id: int | None = None

    @property
    def newest_first(self) -> bool:
        return State.CLOSED in self.states

    @property
    def keys(self) -> tuple[InstrumentedAttribute[Any], ...]:
        """Closed alerts lie in the order they were raised; the others stand worst first, then the oldest first."""
        if self.newest_first:
            return Alert.opened_at, Alert.id
        return Alert.severity_rank, Alert.opened_at, Alert.id


def selected(wanted: Wanted) -> Select[tuple[Alert]]:
    """In order, each with its patient, device and whom it was given to."""
    statement = _narrowed(select(Alert), wanted)
    whole = (joinedload(Alert.patient), joinedload(Alert.device), joinedload(Alert.assigned_to))
    return statement.options(*whole).order_by(*_order(wanted))


def page_of(session: Session, wanted: Wanted, limit: int, after: Alert | None = None) -> Sequence[Alert]:
    """The first of them, or the first behind `after`, which itself need not be wanted any more."""
    statement = selected(wanted).limit(limit)
    if after is not None:
        statement = statement.where(_behind(wanted, after))
    return session.scalars(statement).all()


def before(session: Session, wanted: Wanted, alert: Alert) -> Alert | None:
    """The one before this alert."""
    back = [key if wanted.newest_first else key.desc() for key in wanted.keys]
    statement = _narrowed(select(Alert), wanted).where(_ahead_of(wanted, alert))
    return session.scalars(statement.order_by(*back).limit(1)).one_or_none()


def place(session: Session, wanted: Wanted, alert: Alert) -> tuple[int, bool, int]:
    """How many stand before this alert, whether it is one of them, and how many there are in all."""
    ahead, here = func.count().filter(_ahead_of(wanted, alert)), func.count().filter(Alert.id == alert.id)
    found = session.execute(_narrowed(select(ahead, here, func.count()).select_from(Alert), wanted)).one()
    return found[0], found[1] > 0, found[2]


def counts(session: Session, wanted: Wanted) -> dict[tuple[str, str], int]:
    """How many by state and severity, of any state and severity."""
    every = replace(wanted, states=tuple(State), severity=None)
    statement = _narrowed(select(Alert.state, Alert.severity, func.count()), every)
    rows = session.execute(statement.group_by(Alert.state, Alert.severity))
    return {(state, severity): count for state, severity, count in rows}


def conditions(session: Session, wanted: Wanted) -> Sequence[str]:
    """What there are alerts about."""
    every = replace(wanted, condition=None)
    return session.scalars(_narrowed(select(Alert.condition), every).distinct()).all()


def _narrowed(statement: Any, wanted: Wanted) -> Any:
    statement = in_clinic(statement, Alert, wanted.clinic_id).where(Alert.state.in_(wanted.states))
    exactly = {
        Alert.severity: wanted.severity,
        Alert.condition: wanted.condition,
        Alert.patient_id: wanted.patient_id,
    }
    statement = statement.where(*(column == value for column, value in exactly.items() if value is not None))
    if wanted.assigned_to_id == NOBODY:
        statement = statement.where(Alert.assigned_to_id.is_(None))
    elif wanted.assigned_to_id is not None:
        statement = statement.where(Alert.assigned_to_id == wanted.assigned_to_id)
    if wanted.device_kind is not None:
        of_kind = select(Device.id).where(Device.kind == wanted.device_kind)
        statement = statement.where(Alert.device_id.in_(in_clinic(of_kind, Device, wanted.clinic_id)))
    return statement


def _order(wanted: Wanted) -> list[Any]:
    return [key.desc() if wanted.newest_first else key for key in wanted.keys]


def _behind(wanted: Wanted, alert: Alert) -> ColumnElement[bool]:
    here, keys = _key_of(wanted, alert), tuple_(*wanted.keys)
    return keys < here if wanted.newest_first else keys > here


def _ahead_of(wanted: Wanted, alert: Alert) -> ColumnElement[bool]:
    here, keys = _key_of(wanted, alert), tuple_(*wanted.keys)
    return keys > here if wanted.newest_first else keys < here


def _key_of(wanted: Wanted, alert: Alert) -> Any:
    return tuple_(*(literal(getattr(alert, key.key), key.type) for key in wanted.keys))


def carers(session: Session, clinic_id: int) -> Sequence[User]:
    """Whom an alert can be given to, by name."""
    statement = in_clinic(select(User), User, clinic_id)
    able = [role for role in ROLES if allowed(role, "alerts.handle")]
    return session.scalars(
        statement.where(User.active, User.role.in_(able)).order_by(User.name, User.id)
    ).all()
