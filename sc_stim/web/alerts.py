"""Alerts: the list, one alert with its history, and what a person can do with it."""

import datetime as dt
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flask import abort, flash, redirect, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from sc_stim.access import requires
from sc_stim.clinical.alert_lifecycle import Event, State, next_state
from sc_stim.clinical.refusal import Refused
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.models import Alert, AlertEntry, User, worklist
from sc_stim.models.scope import find
from sc_stim.web import page
from sc_stim.web.blueprint import pages
from sc_stim.workflows import alerts, audit
from sc_stim.workflows.cause_cards import card_of_alert

PAGE_SIZE: Final = 50
COMMENT_LIMIT: Final = 2000
SHELF_HOURS: Final = (1, 2, 4, 8, 24, 72)

# code -> (name, states, what an empty list says)
SHELVES: Final[dict[str, tuple[str, tuple[State, ...], str]]] = {
    "open": ("Open", worklist.WAITING, "No alert is open."),
    "shelved": ("On the shelf", (State.SHELVED,), "Nothing is on the shelf."),
    "closed": ("Closed", (State.CLOSED,), "No alert has been closed yet."),
}


@dataclass(frozen=True)
class Act:
    """A form on the page of an alert. `event` None: it is possible in every state."""

    name: str
    heading: str
    explanation: str
    event: Event | None
    needs_comment: bool = False


ACTS: Final = (
    Act("acknowledge", "I take it", "Tells the others that somebody looks after it.", Event.ACKNOWLEDGE),
    Act(
        "resolve",
        "It is dealt with",
        "Closes it. If it comes back, that is a new alert.",
        Event.RESOLVE,
        True,
    ),
    Act("shelve", "Put it on the shelf", "Hides it until then, or until it gets worse.", Event.SHELVE),
    Act(
        "unshelve", "Take it off the shelf", "It calls people again until somebody takes it.", Event.UNSHELVE
    ),
    Act("comment", "Add a comment", "Changes nothing else.", None, True),
)


@pages.get("/alerts", endpoint="alerts")
@requires("alerts.read")
def show_all() -> str:
    """`?show=` is one of SHELVES, `?page=` counts from 1."""
    show = request.args.get("show", "open")
    number = request.args.get("page", 1, type=int)
    if show not in SHELVES or not 1 <= number <= 10_000:
        abort(404)
    _, states, empty = SHELVES[show]
    found = worklist.alerts_in(
        db.session, actor().clinic_id, states, limit=PAGE_SIZE + 1, offset=PAGE_SIZE * (number - 1)
    )
    values = {
        "show": show,
        "shelves": [(code, name) for code, (name, *_) in SHELVES.items()],
        "alerts": found[:PAGE_SIZE],
        "more": len(found) > PAGE_SIZE,
        "page": number,
        "empty": empty,
    }
    shown = page.render("alerts.html", **values)
    seen = {"show": show, "patients": _patients_of(found[:PAGE_SIZE])}
    audit.record(db.session, actor(), "alert.list", detail=seen, at=page.at())
    db.session.commit()
    return shown


@pages.get("/alerts/<uuid:public_id>", endpoint="alert")
@requires("alerts.read")
def show_one(public_id: uuid.UUID) -> str:
    alert = _alert(public_id)
    shown = page.render(
        "alert.html",
        alert=alert,
        history=_history(alert),
        acts=[act for act in ACTS if _possible(act, alert)],
        shelf_hours=SHELF_HOURS,
        comment_limit=COMMENT_LIMIT,
        card=card_of_alert(db.session, alert, page.at()),
    )
    seen = {"patients": _patients_of([alert])}
    audit.record(db.session, actor(), "alert.view", "alert", alert.public_id, seen, at=page.at())
    db.session.commit()
    return shown


@pages.post("/alerts/<uuid:public_id>/acknowledge", endpoint="acknowledge_alert")
@requires("alerts.handle")
def acknowledge(public_id: uuid.UUID) -> Response:
    def act(alert: Alert) -> None:
        alerts.acknowledge(db.session, actor(), alert, _comment(), page.at())

    return _do(public_id, act, "You have taken this alert.")


@pages.post("/alerts/<uuid:public_id>/resolve", endpoint="resolve_alert")
@requires("alerts.handle")
def resolve(public_id: uuid.UUID) -> Response:
    def act(alert: Alert) -> None:
        alerts.resolve(db.session, actor(), alert, _needed_comment(), page.at())

    return _do(public_id, act, "The alert is closed.")


@pages.post("/alerts/<uuid:public_id>/shelve", endpoint="shelve_alert")
@requires("alerts.handle")
def shelve(public_id: uuid.UUID) -> Response:
    def act(alert: Alert) -> None:
        alerts.shelve(db.session, actor(), alert, page.at() + _shelf_time(), _comment(), page.at())

    return _do(public_id, act, "The alert is on the shelf.")


@pages.post("/alerts/<uuid:public_id>/unshelve", endpoint="unshelve_alert")
@requires("alerts.handle")
def unshelve(public_id: uuid.UUID) -> Response:
    def act(alert: Alert) -> None:
        alerts.unshelve(db.session, actor(), alert, _comment(), page.at())

    return _do(public_id, act, "The alert is off the shelf.")


@pages.post("/alerts/<uuid:public_id>/comment", endpoint="comment_alert")
@requires("alerts.handle")
def comment(public_id: uuid.UUID) -> Response:
    def act(alert: Alert) -> None:
        alerts.comment(db.session, actor(), alert, _needed_comment(), page.at())

    return _do(public_id, act, "Your comment is noted.")


class _NotUsable(ValueError):
    """What was typed into a form cannot be used; the text says how to mend it."""


def _do(public_id: uuid.UUID, act: Callable[[Alert], None], done: str) -> Response:
    """Do it and say so, or say why not; the alert's page shows which."""
    alert = _alert(public_id, lock=True)
    try:
        act(alert)
        db.session.commit()
        flash(done, "done")
    except (alerts.TransitionRefused, _NotUsable) as refused:
        db.session.rollback()
        flash(f"Nothing was changed: {refused}.", "refused")
    return redirect(url_for("web.alert", public_id=public_id), 303)


def _alert(public_id: uuid.UUID, *, lock: bool = False) -> Alert:
    alert: Alert | None = find(db.session, Alert, actor().clinic_id, public_id, lock=lock)
    return alert or abort(404)


def _patients_of(shown: Sequence[Alert]) -> list[str]:
    """Whose names were on the screen."""
    return sorted({str(alert.patient.public_id) for alert in shown if alert.patient})


def _comment() -> str | None:
    text = page.typed("comment")
    if len(text) > COMMENT_LIMIT:
        raise _NotUsable(f"a comment has at most {COMMENT_LIMIT} characters")
    return text or None


def _needed_comment() -> str:
    text = _comment()
    if text is None:
        raise _NotUsable("write a comment first, so that others know why")
    return text


def _shelf_time() -> dt.timedelta:
    hours = request.form.get("hours", type=int)
    if hours not in SHELF_HOURS:
        raise _NotUsable("choose for how long the alert stays on the shelf")
    return dt.timedelta(hours=hours)


def _possible(act: Act, alert: Alert) -> bool:
    return act.event is None or not isinstance(next_state(State(alert.state), act.event), Refused)


def _history(alert: Alert) -> Sequence[Any]:
    """Rows of (entry, name of the person who acted), oldest first."""
    statement = select(AlertEntry, User.name).outerjoin(User, User.id == AlertEntry.actor_id)
    return db.session.execute(statement.where(AlertEntry.alert_id == alert.id).order_by(AlertEntry.id)).all()
