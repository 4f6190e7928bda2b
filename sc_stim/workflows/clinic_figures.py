"""A clinic sets figures of its own in place of shipped ones, or goes back to them; who did, and from what source, is
kept.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from sc_stim.access import in_clinic
from sc_stim.clinical.clinic_figures import OpenFigure, open_figures
from sc_stim.clinical.silence import SilenceKind
from sc_stim.models import AuditEntry, ClinicFigure, Device, User
from sc_stim.workflows import audit, outbox
from sc_stim.workflows.audit import Actor
from sc_stim.workflows.refusals import FieldRefused

SET: Final = "figure.set"
BACK: Final = "figure.back_to_shipped"
# What a figure of this group is read for besides the moment somebody acts: (work, kind of device). Silence is judged
# every minute anyway.
_JUDGED_ANEW: Final = {"stability": (outbox.REFILL, "pump"), "lasting": (outbox.DEVICE, None)}


_OF_SILENCE: Final = frozenset(SilenceKind)  # conditions


@dataclass(frozen=True)
class Standing:
    """An open figure, and the clinic's row of it where there is one. `own`: the row, while it holds a value."""

    figure: OpenFigure
    row: ClinicFigure | None

    @property
    def own(self) -> ClinicFigure | None:
        return self.row if self.row and self.row.value is not None else None

    @property
    def wider(self) -> bool:
        """Whether the clinic lets pass what the shipped figure warns of."""
        return bool(self.own and self.own.value and self.figure.wider_than_shipped(self.own.value))

    @property
    def version(self) -> int:
        return self.row.version if self.row else 0


@dataclass(frozen=True)
class Change:
    """One entry of a figure's history. `by` None: the account is gone. `value` None: back to the shipped one."""

    at: dt.datetime
    by: User | None
    value: float | None
    source: str | None
    before: float | None


def standing_of(session: Session, clinic_id: int) -> list[Standing]:
    """Every open figure, in the order in which they are shown."""
    statement = in_clinic(select(ClinicFigure), ClinicFigure, clinic_id)
    statement = statement.options(joinedload(ClinicFigure.set_by))
    rows = {row.key: row for row in session.scalars(statement)}
    return [Standing(figure, rows.get(key)) for key, figure in open_figures().items()]


def own_of_condition(session: Session, clinic_id: int, condition: str) -> list[Standing]:
    """The figures that the clinic has set by which alerts of this condition are judged."""
    begins = "silence." if condition in _OF_SILENCE else f"conditions.{condition}."
    standing = standing_of(session, clinic_id)
    return [one for one in standing if one.own and one.figure.key.startswith(begins)]


def find(session: Session, clinic_id: int, key: str) -> Standing | None:
    """One open figure; None for a key that is not open to clinics."""
    figure = open_figures().get(key)
    return Standing(figure, _row(session, clinic_id, key)) if figure else None


def set_figure(
    session: Session, actor: Actor, standing: Standing, value: float, source: str, *, at: dt.datetime
) -> None:
    """Set the clinic's own value. Raises FieldRefused for one that cannot be meant."""
    refusal = standing.figure.refusal(value)
    if refusal:
        raise FieldRefused("value", refusal)
    _change(session, actor, standing, SET, {"value": value, "source": source}, at)


def back_to_shipped(session: Session, actor: Actor, standing: Standing, *, at: dt.datetime) -> None:
    """From now on the shipped figure holds again. Where it holds already, nothing is done."""
    if standing.own is not None:
        _change(session, actor, standing, BACK, {"value": None, "source": None}, at)


def history(session: Session, clinic_id: int, key: str) -> list[Change]:
    """What was changed, the newest first."""
    statement = in_clinic(select(AuditEntry), AuditEntry, clinic_id)
    statement = statement.where(AuditEntry.action.in_((SET, BACK)), AuditEntry.subject == key)
    entries = session.scalars(statement.order_by(AuditEntry.number.desc())).all()
    people = _people(session, clinic_id, entries)
    return [_as_change(entry, people) for entry in entries]


def _change(
    session: Session,
    actor: Actor,
    standing: Standing,
    action: str,
    values: Mapping[str, Any],
    at: dt.datetime,
) -> None:
    figure, row = standing.figure, standing.row
    if row is None:
        row = ClinicFigure(clinic_id=actor.clinic_id, key=figure.key)
        session.add(row)
    changed = {name: [getattr(row, name), value] for name, value in values.items()}
    for name, value in values.items():
        setattr(row, name, value)
    row.set_by_id, row.set_at = actor.user_id, at  # type: ignore[assignment]  # a person acts
    audit.record(session, actor, action, "figure", figure.key, {"changed": changed}, at=at)
    _judge_anew(session, actor.clinic_id, figure.group, at)


def _judge_anew(session: Session, clinic_id: int, group: str, at: dt.datetime) -> None:
    work, kind = _JUDGED_ANEW.get(group, (None, None))
    if work is None:
        return
    devices = in_clinic(select(Device.id), Device, clinic_id).where(Device.explanted_on.is_(None))
    outbox.ask_all(session, work, devices.where(Device.kind == kind) if kind else devices, at)


def _row(session: Session, clinic_id: int, key: str) -> ClinicFigure | None:
    statement = in_clinic(select(ClinicFigure), ClinicFigure, clinic_id).where(ClinicFigure.key == key)
    found: ClinicFigure | None = session.scalars(statement).one_or_none()
    return found


def _people(session: Session, clinic_id: int, entries: Sequence[AuditEntry]) -> dict[str, User]:
    if not entries:
        return {}
    everybody = session.scalars(in_clinic(select(User), User, clinic_id))
    return {str(user.public_id): user for user in everybody}


def _as_change(entry: AuditEntry, people: Mapping[str, User]) -> Change:
    (before, value), (_, source) = entry.detail["changed"]["value"], entry.detail["changed"]["source"]
    return Change(entry.at, people.get(entry.actor), value, source, before)
