"""Keeping views of the worklist: a person's own, under a name, one of them to begin with."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from sc_stim.models import SavedView, User
from sc_stim.models.saved_view import views_of
from sc_stim.workflows import audit
from sc_stim.workflows.audit import Actor
from sc_stim.workflows.refusals import Conflict, FieldRefused

MOST: Final = 20  # more than that is no way to find one


def save(
    session: Session, actor: Actor, user: User, name: str, query: Mapping[str, Any], *, at: dt.datetime
) -> SavedView:
    """Raises FieldRefused when there are too many, and Conflict when this person has one of that name."""
    if len(views_of(session, user.id)) >= MOST:
        raise FieldRefused("name", f"you have {MOST} views already: delete one first")
    view = SavedView(
        clinic_id=user.clinic_id, user_id=user.id, name=name, query=dict(query), opens_first=False, created_at=at
    )  # fmt: skip
    try:
        with session.begin_nested():
            session.add(view)
    except IntegrityError as error:
        raise Conflict(f"you have a view called “{name}” already") from error
    _record(session, actor, "saved_view.create", view, at)
    return view


def change(
    session: Session, actor: Actor, view: SavedView, query: Mapping[str, Any], *, at: dt.datetime
) -> None:
    """It keeps its name and its place, and shows something else."""
    view.query = dict(query)
    _record(session, actor, "saved_view.change", view, at)


def open_first(session: Session, actor: Actor, view: SavedView, first: bool, *, at: dt.datetime) -> None:
    """Begin with this view, or no longer."""
    for other in views_of(session, view.user_id):
        other.opens_first = first and other is view
    _record(session, actor, "saved_view.change", view, at)


def delete(session: Session, actor: Actor, view: SavedView, *, at: dt.datetime) -> None:
    session.delete(view)
    _record(session, actor, "saved_view.delete", view, at)


def _record(session: Session, actor: Actor, action: str, view: SavedView, at: dt.datetime) -> None:
    audit.record(session, actor, action, "saved_view", view.public_id, at=at)
