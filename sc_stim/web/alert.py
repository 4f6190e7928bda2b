"""One alert: what it is, what it rests on, who was told, what was done, and what a person can do with it now."""

import datetime as dt
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from flask import abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from sc_stim.access import requires
from sc_stim.clinical import alarms, reconciliation, therapy_health
from sc_stim.clinical.alert_lifecycle import Event, State, next_state
from sc_stim.clinical.refusal import Refused
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.i18n import _, _lazy, ngettext
from sc_stim.models import Alert, AlertEntry, Device, Message, User, alert_list
from sc_stim.models.scope import find
from sc_stim.web import page, triage
from sc_stim.web.blueprint import pages
from sc_stim.web.clinic_figures import figure_words
from sc_stim.web.forms import Form
from sc_stim.web.reference import value_words
from sc_stim.workflows import alerts, audit, clinic_figures
from sc_stim.workflows.cause_cards import card_of_alert

COMMENT_LIMIT: Final = 2000
SHELF_HOURS: Final = ("1", "2", "4", "8", "24", "72")
USUAL_SHELF: Final = "2"
NOBODY: Final = "nobody"
NEEDED: Final = {"yes": True, "no": False}  # whether it needed something to be done
ABOUT_REFILLS: Final = frozenset(
    {"refill_due", "low_reservoir", "empty_reservoir", "appointment_after_refill_by", "visit_missed"}
)


@dataclass(frozen=True)
class Act:
    """A form on the page of an alert. `event` None: it is possible in every state, or while it is open."""

    name: str
    heading: str
    explanation: str
    event: Event | None
    key: str = ""
    needs_comment: bool = False
    when_closed: bool = True


ACTS: Final = (
    Act(
        "acknowledge",
        _lazy("I take it"),
        _lazy("Tells the others that somebody looks after it."),
        Event.ACKNOWLEDGE,
        "a",
    ),
    Act(
        "unshelve",
        _lazy("Take it off the shelf"),
        _lazy("It calls people again until somebody takes it."),
        Event.UNSHELVE,
    ),
    Act(
        "shelve",
        _lazy("Put it on the shelf"),
        _lazy("Hides it until then, or until it gets worse."),
        Event.SHELVE,
        "s",
    ),
    Act(
        "resolve",
        _lazy("It is dealt with"),
        _lazy("Closes it. If it comes back, that is a new alert."),
        Event.RESOLVE,
        "r",
        True,
    ),
    Act("comment", _lazy("Add a comment"), _lazy("Changes nothing else."), None, "c", True),
    Act(
        "assign",
        _lazy("Give it to somebody"),
        _lazy("People are called until that person takes it."),
        None,
        when_closed=False,
    ),
)


class _NotUsable(Exception):
    """What was typed into a form cannot be used; the form says why."""


@pages.get("/alerts/<uuid:public_id>", endpoint="alert")
@requires("alerts.read")
def show_one(public_id: uuid.UUID) -> str:
    return _page(_alert(public_id))


@pages.post("/alerts/<uuid:public_id>/acknowledge", endpoint="acknowledge_alert")
@requires("alerts.handle")
def acknowledge(public_id: uuid.UUID) -> ResponseReturnValue:
    def act(alert: Alert, form: Form) -> None:
        alerts.acknowledge(db.session(), actor(), alert, _comment(form), page.at())

    return _do(public_id, "acknowledge", act, _("You have taken this alert."), goes_on=True)


@pages.post("/alerts/<uuid:public_id>/resolve", endpoint="resolve_alert")
@requires("alerts.handle")
def resolve(public_id: uuid.UUID) -> ResponseReturnValue:
    def act(alert: Alert, form: Form) -> None:
        needed = form.choice("needed", _("Whether it needed something"), tuple(NEEDED), needed=False)
        taken = NEEDED[needed] if needed else None
        alerts.resolve(db.session(), actor(), alert, _needed_comment(form), page.at(), action_taken=taken)

    return _do(public_id, "resolve", act, _("The alert is closed."), goes_on=True)


@pages.post("/alerts/<uuid:public_id>/shelve", endpoint="shelve_alert")
@requires("alerts.handle")
def shelve(public_id: uuid.UUID) -> ResponseReturnValue:
    def act(alert: Alert, form: Form) -> None:
        until = _shelf_end(form)
        alerts.shelve(db.session(), actor(), alert, until, _comment(form), page.at())

    return _do(public_id, "shelve", act, _("The alert is on the shelf."), goes_on=True)


@pages.post("/alerts/<uuid:public_id>/unshelve", endpoint="unshelve_alert")
@requires("alerts.handle")
def unshelve(public_id: uuid.UUID) -> ResponseReturnValue:
    def act(alert: Alert, form: Form) -> None:
        alerts.unshelve(db.session(), actor(), alert, _comment(form), page.at())

    return _do(public_id, "unshelve", act, _("The alert is off the shelf."))


@pages.post("/alerts/<uuid:public_id>/comment", endpoint="comment_alert")
@requires("alerts.handle")
def comment(public_id: uuid.UUID) -> ResponseReturnValue:
    def act(alert: Alert, form: Form) -> None:
        alerts.comment(db.session(), actor(), alert, _needed_comment(form), page.at())

    return _do(public_id, "comment", act, _("Your comment is noted."))


@pages.post("/alerts/<uuid:public_id>/assign", endpoint="assign_alert")
@requires("alerts.handle")
def assign(public_id: uuid.UUID) -> ResponseReturnValue:
    def act(alert: Alert, form: Form) -> None:
        alerts.assign(db.session(), actor(), alert, _carer(form), _comment(form), page.at())

    return _do(public_id, "assign", act, _("It is noted who looks after this alert."))


def _do(
    public_id: uuid.UUID, name: str, act: Callable[[Alert, Form], None], done: str, *, goes_on: bool = False
) -> ResponseReturnValue:
    """Do it and say so, or say why not. `goes_on`: in going through a list, the next alert opens then."""
    alert, form = _alert(public_id, lock=True), Form(request.form)
    try:
        act(alert, form)
        where = triage.address_after(alert) if goes_on else triage.address_of(alert)
        db.session.commit()
        flash(done, "done")
    except _NotUsable:
        db.session.rollback()
        return _page(alert, refused=name, form=form), 422
    except alerts.TransitionRefused as refused:
        db.session.rollback()
        where = triage.address_of(alert)
        flash(_("Nothing was changed: %(refused)s.", refused=refused), "refused")
    return redirect(where, 303)


def _page(alert: Alert, *, refused: str | None = None, form: Form | None = None) -> str:
    """`refused`: the act whose form could not be used."""
    at_hand = triage.place_of(alert)
    shown = page.render(
        "alert.html",
        alert=alert,
        place=at_hand,
        keys=triage.KEYS,
        why=_why(alert.condition),
        own_figures=clinic_figures.own_of_condition(db.session(), actor().clinic_id, alert.condition),
        value_words=value_words,
        figure_words=figure_words,
        card=card_of_alert(db.session(), alert, page.at()),
        history=_history(alert),
        messages=_messages(alert),
        acts=[act for act in ACTS if _possible(act, alert)],
        carers=_carers(alert),
        shelf_hours=[(hours, ngettext("%(num)s hour", "%(num)s hours", int(hours))) for hours in SHELF_HOURS],
        usual_shelf=USUAL_SHELF,
        comment_limit=COMMENT_LIMIT,
        about=_about(alert),
        refused=refused,
        form=form,
    )
    done = at_hand.done if at_hand else None
    named = {one.patient for one in (alert, done) if one}
    seen = {"patients": sorted(str(patient.public_id) for patient in named if patient)}
    audit.record(db.session(), actor(), "alert.view", "alert", alert.public_id, seen, at=page.at())
    db.session.commit()
    return shown


def _alert(public_id: uuid.UUID, *, lock: bool = False) -> Alert:
    alert: Alert | None = find(db.session(), Alert, actor().clinic_id, public_id, lock=lock)
    return alert or abort(404)


def _comment(form: Form, *, needed: bool = False) -> str | None:
    """The last field of each form: with it, the form is read."""
    text = form.text("comment", _("A comment"), needed=needed, most=COMMENT_LIMIT)
    if form.errors:
        raise _NotUsable
    return text


def _needed_comment(form: Form) -> str:
    return _comment(form, needed=True) or ""


def _shelf_end(form: Form) -> dt.datetime:
    """A time that was typed, or else so many hours from now; now where neither can be used."""
    until = form.moment("until", _("The end of the shelf"), page.zone())
    if until is not None:
        if until <= page.at():
            form.refuse("until", _("The end of the shelf must lie in the future."))
        return until
    hours = form.choice("hours", _("For how long it stays on the shelf"), SHELF_HOURS)
    return page.at() + dt.timedelta(hours=int(hours or 0))


def _carer(form: Form) -> User | None:
    """Who was chosen; None for nobody."""
    by_id = {str(person.public_id): person for person in alert_list.carers(db.session(), actor().clinic_id)}
    chosen = form.choice("user", _("Who looks after it"), (NOBODY, *by_id))
    return by_id.get(chosen or NOBODY)


def _carers(alert: Alert) -> list[tuple[str, str]]:
    people = alert_list.carers(db.session(), actor().clinic_id)
    mine = [
        (str(one.public_id), _("%(name)s (you)", name=one.name))
        for one in people
        if one.id == actor().user_id
    ]
    others = [(str(one.public_id), one.name) for one in people if one.id != actor().user_id]
    return [*mine, *others, (NOBODY, _("Nobody in particular"))]


def _possible(act: Act, alert: Alert) -> bool:
    if act.event is None:
        return act.when_closed or alert.state != State.CLOSED
    return not isinstance(next_state(State(alert.state), act.event), Refused)


def _history(alert: Alert) -> Sequence[AlertEntry]:
    """Oldest first, with the people in it."""
    statement = select(AlertEntry).where(AlertEntry.alert_id == alert.id).order_by(AlertEntry.id)
    return db.session.scalars(
        statement.options(joinedload(AlertEntry.actor), joinedload(AlertEntry.subject))
    ).all()


def _messages(alert: Alert) -> Sequence[Message]:
    """What was sent or waits to be sent about it, oldest first."""
    statement = select(Message).where(Message.alert_id == alert.id).options(joinedload(Message.contact))
    return db.session.scalars(statement.order_by(Message.due_at, Message.id)).all()


def _why(condition: str) -> tuple[str, str | None] | None:
    """(why it matters, source or None for unverified) of a condition that the shipped rules know."""
    for known in (alarms.shipped_table().conditions, therapy_health.shipped_rules().conditions):
        if condition in known:
            return known[condition].rationale, known[condition].source
    return None


def _about(alert: Alert) -> list[tuple[str, str]]:
    """(name, address) of what else there is to see about it."""
    ways = []
    if alert.patient:
        ways.append((_("The patient"), url_for("web.patient", public_id=alert.patient.public_id)))
        of_patient = url_for("web.alerts", patient=alert.patient.public_id)
        ways.append((_("Other alerts of the patient"), of_patient))
    if alert.device:
        ways.append((_("The device"), url_for("web.device", public_id=alert.device.public_id)))
        if _about_refill(alert, alert.device):
            ways.append(
                (_("The refill visit"), url_for("web.refill_visit", public_id=alert.device.public_id))
            )
    return ways


def _about_refill(alert: Alert, device: Device) -> bool:
    return (
        device.kind == "pump" and alert.condition in ABOUT_REFILLS | reconciliation.flag_severities().keys()
    )
