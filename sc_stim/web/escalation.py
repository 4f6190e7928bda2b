"""Whom alerts call that nobody has taken: the ladder, the contacts, and who is on call through a week."""

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from flask import Response, abort, current_app, flash, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from sc_stim.access import allowed, in_clinic, requires
from sc_stim.clinical.escalation import default_steps, on_call
from sc_stim.clinical.rota import Stretch, stretches
from sc_stim.extensions import db, limiter
from sc_stim.guard import actor
from sc_stim.i18n import _
from sc_stim.models import Contact, Message, Shift, User
from sc_stim.models.scope import find
from sc_stim.models.series import start_of_day
from sc_stim.web import editing, page, words
from sc_stim.web.blueprint import pages
from sc_stim.web.exports import csv_answer
from sc_stim.web.forms import Form
from sc_stim.web.staffing import WEEKDAYS
from sc_stim.workflows import arranging, audit, notifying
from sc_stim.workflows.alerts import SEVERITIES
from sc_stim.workflows.messaging import CHANNELS
from sc_stim.workflows.notifying import Arrangements
from sc_stim.workflows.refusals import FieldRefused

LONGEST_WAIT_MIN: Final = 7 * 24 * 60
URGENT_FIRST: Final = tuple(reversed(SEVERITIES))
MOST_STEPS: Final = 20
SPARE_STEPS: Final = 1
REMOVED: Final = "removed_shift"  # in the session: what can be put back, for one page
WEEK: Final = dt.timedelta(days=7)
DAY: Final = dt.timedelta(days=1)
EMPTY_STEP: Final = {"after_min": "", "severities": (), "on_call": False, "contacts": ()}


@dataclass(frozen=True)
class RotaDay:
    """A local day of the rota: when, in words, and who is on call then."""

    day: dt.date
    parts: list[tuple[str, list[str]]]


@pages.get("/escalation", endpoint="escalation")
@requires("escalation.read")
def show() -> str:
    """`?week=` is any day of the week whose rota is shown."""
    return _shown()


@pages.post("/escalation/ladder", endpoint="change_ladder")
@requires("escalation.manage")
def change_ladder() -> ResponseReturnValue:
    form, arranged = Form(request.form), _arranged()
    steps = _steps_typed(form, arranged)
    if editing.read_version() != _version(arranged):
        form.refuse("after-0", _("Somebody has changed the ladder since you opened it. It is shown as you typed it: "
                    "send again to replace theirs."))  # fmt: skip
    if not steps:
        form.refuse("after-0", _("A ladder has at least one step."))
    if not form.errors:
        changes = {"steps": steps, "with_patient": form.checked("with_patient")}
        arranging.change_ladder(db.session(), actor(), arranged, changes, at=page.at())
        db.session.commit()
        flash(_("The ladder is changed. It holds at once, also for alerts that wait already."), "done")
        return redirect(url_for("web.escalation"), 303)
    return _shown(ladder_form=form), 422


@pages.get("/escalation/contacts.csv", endpoint="contacts_csv")
@requires("escalation.read")
def export() -> Response:
    audit.record(db.session(), actor(), "contact.export", at=page.at())
    rows = [
        (one.name, one.channel, one.address, one.user.name if one.user else "", _quiet_words(one),
         "yes" if one.system else "no", "yes" if one.active else "no")
        for one in _contacts()
    ]  # fmt: skip
    db.session.commit()
    header = ("name", "channel", "address", "account", "quiet hours", "told of outages", "is told")
    return csv_answer("contacts", header, rows)


@pages.post("/escalation/contacts", endpoint="add_contact")
@requires("escalation.manage")
def add_contact() -> ResponseReturnValue:
    form = Form(request.form)
    values = _contact_values(form)
    if not form.errors:
        try:
            contact = arranging.add_contact(db.session(), actor(), values, at=page.at())
            db.session.commit()
            flash(
                _(
                    "%(contact)s is a contact now. Send a test to see whether messages arrive.",
                    contact=contact.name,
                ),
                "done",
            )
            return redirect(url_for("web.contact", public_id=contact.public_id), 303)
        except FieldRefused as refused:
            db.session.rollback()
            form.refuse(refused.field, f"{words.plain(refused.field)} {refused.reason}.")
    return _shown(contact_form=form), 422


@pages.get("/escalation/contacts/<uuid:public_id>", endpoint="contact")
@requires("escalation.read")
def show_contact(public_id: uuid.UUID) -> str:
    return _contact_page(_contact(public_id), None)


@pages.post("/escalation/contacts/<uuid:public_id>", endpoint="change_contact")
@requires("escalation.manage")
def change_contact(public_id: uuid.UUID) -> ResponseReturnValue:
    contact, form = _contact(public_id), Form(request.form)
    values = _contact_values(form) | {"active": form.checked("active")}
    now = {"name": (_("Name"), contact.name), "channel": (_("Channel"), contact.channel),
           "address": (_("Address"), contact.address)}  # fmt: skip
    editing.refuse_stale(form, contact.version, now)
    if not form.errors:
        try:
            arranging.change_contact(db.session(), actor(), contact, values, at=page.at())
            db.session.commit()
            flash(_("The contact is changed."), "done")
            return redirect(url_for("web.contact", public_id=public_id), 303)
        except FieldRefused as refused:
            db.session.rollback()
            form.refuse(refused.field, f"{words.plain(refused.field)} {refused.reason}.")
    return _contact_page(_contact(public_id), form), 422


@pages.post("/escalation/contacts/<uuid:public_id>/test", endpoint="test_contact")
@requires("escalation.manage")
@limiter.limit("20 per hour", key_func=lambda: str(g.user.public_id))
def send_test(public_id: uuid.UUID) -> ResponseReturnValue:
    contact = _contact(public_id)
    arranging.send_test(db.session(), actor(), contact, at=page.at())
    db.session.commit()
    flash(_("The test is on its way; what becomes of it stands below."), "done")
    return redirect(url_for("web.contact", public_id=public_id), 303)


@pages.post("/escalation/shifts", endpoint="add_shift")
@requires("escalation.manage")
def add_shift() -> ResponseReturnValue:
    form = Form(request.form)
    public_id = form.id("contact_id", _("Who"), needed=True)
    contact = find(db.session, Contact, actor().clinic_id, public_id) if public_id else None
    if public_id and (contact is None or not contact.active):
        form.refuse("contact_id", _("Choose who from the list."))
    values = {
        "weekday": form.whole("weekday", _("Weekday"), least=0, most=6),
        "from_time": form.time("from_time", _("From")),
        "to_time": form.time("to_time", _("To")),
        "starts_at": form.moment("starts_at", _("Begins"), page.zone()),
        "ends_at": form.moment("ends_at", _("Ends"), page.zone()),
    }
    if not form.errors and contact:
        try:
            arranging.add_shift(db.session(), actor(), contact, values, at=page.at())
            db.session.commit()
            flash(_("%(contact)s is on the rota.", contact=contact.name), "done")
            return redirect(url_for("web.escalation", _anchor="rota"), 303)
        except FieldRefused as refused:
            db.session.rollback()
            why = {
                "weekday": _(
                    "Give a weekday with both times, or a beginning and an end: not both, nor half of one."
                ),
                "ends_at": _("The end must be after the beginning."),
            }
            form.refuse(refused.field, why[refused.field])
    return _shown(shift_form=form), 422


@pages.post("/escalation/shifts/<uuid:public_id>/remove", endpoint="remove_shift")
@requires("escalation.manage")
def remove_shift(public_id: uuid.UUID) -> ResponseReturnValue:
    """Can be taken back on the page that follows."""
    shift: Shift = find(db.session, Shift, actor().clinic_id, public_id) or abort(404)
    session[REMOVED] = {
        "words": f"{shift.contact.name}, {_shift_words(shift)}",
        "fields": _shift_fields(shift),
    }
    arranging.remove_shift(db.session(), actor(), shift, at=page.at())
    db.session.commit()
    return redirect(url_for("web.escalation", _anchor="rota"), 303)


def _shown(**forms: Form) -> str:
    arranged = _arranged()
    contacts = _contacts()
    first = _monday()
    shown = page.render(
        "escalation.html", warnings=notifying.warnings(arranged), steps=_steps(arranged),
        with_patient=bool(arranged.ladder and arranged.ladder.with_patient), ladder_version=_version(arranged),
        severities=URGENT_FIRST, contacts=contacts, active=[one for one in contacts if one.active],
        choices=[(str(one.public_id), one.name) for one in contacts if one.active],
        names={str(one.public_id): one.name for one in contacts}, week=_week(arranged, first),
        on_call_now=_names(arranged, on_call(arranged.rule.rota, arranged.rule.zone, page.at())),
        earlier=first - WEEK, later=first + WEEK, shifts=_shifts(), shift_words=_shift_words, quiet_words=_quiet_words,
        tests=_last_tests(), removed=session.pop(REMOVED, None), weekdays=WEEKDAYS, channels=_channels(),
        accounts=_accounts(), configured=_configured(), may_manage=allowed(g.user.role, "escalation.manage"), **forms,
    )  # fmt: skip
    audit.record(db.session(), actor(), "contact.list", at=page.at())
    db.session.commit()
    return shown


def _contact_page(contact: Contact, form: Form | None) -> str:
    tests = select(Message).where(Message.contact_id == contact.id, Message.kind == arranging.TEST)
    sent = db.session.scalars(tests.order_by(Message.id.desc()).limit(5)).all()
    return page.render(
        "contact.html", contact=contact, form=form, tests=sent, waits=bool(sent and sent[0].state == "waiting"),
        channels=_channels(), accounts=_accounts(), configured=_configured(), quiet_words=_quiet_words,
        may_manage=allowed(g.user.role, "escalation.manage"),
    )  # fmt: skip


def _arranged() -> Arrangements:
    return notifying.arrangements(db.session(), actor().clinic_id)


def _version(arranged: Arrangements) -> int:
    return arranged.ladder.version if arranged.ladder else 0


def _steps(arranged: Arrangements) -> list[dict[str, Any]]:
    """As they stand, with an empty row to add one."""
    steps = arranged.ladder.steps if arranged.ladder else default_steps()
    return [*steps, *[EMPTY_STEP] * SPARE_STEPS]


def _steps_typed(form: Form, arranged: Arrangements) -> list[dict[str, Any]]:
    """The rows whose time was filled in; an emptied row is a step taken away."""
    found = []
    for number in range(MOST_STEPS + SPARE_STEPS):
        if not form[f"after-{number}"]:
            continue
        after = form.whole(f"after-{number}", _("After"), least=0, most=LONGEST_WAIT_MIN, needed=True)
        severities = [severity for severity in URGENT_FIRST if form.checked(f"{severity}-{number}")]
        if not severities:
            form.refuse(f"after-{number}", _("Choose the alerts that this step is for."))
        contacts = [key for key in arranged.contacts if form.checked(f"{key}-{number}")]
        found.append({"after_min": after, "severities": severities, "on_call": form.checked(f"on-call-{number}"),
                      "contacts": contacts})  # fmt: skip
    return found


def _contact_values(form: Form) -> dict[str, Any]:
    public_id = form.id("user_id", _("Account"))
    user = find(db.session, User, actor().clinic_id, public_id) if public_id else None
    if public_id and user is None:
        form.refuse("user_id", _("Choose account from the list."))
    return {
        "name": form.text("name", _("Name"), needed=True, most=200),
        "channel": form.choice("channel", _("Channel"), CHANNELS),
        "address": form.text("address", _("Address"), needed=True, most=500),
        "user": user,
        "quiet_from": form.time("quiet_from", _("Quiet from")),
        "quiet_to": form.time("quiet_to", _("Quiet to")),
        "system": form.checked("tell_outages"),
    }


def _monday() -> dt.date:
    """The Monday of the week that is asked for, or of this one."""
    try:
        day = dt.date.fromisoformat(request.args.get("week", page.today().isoformat()))
    except ValueError:
        abort(404)
    if not 2000 <= day.year <= 2100:
        abort(404)
    return day - day.weekday() * DAY


def _week(arranged: Arrangements, first: dt.date) -> list[RotaDay]:
    zone, rota = arranged.rule.zone, arranged.rule.rota
    week = []
    for day in (first + number * DAY for number in range(7)):
        found = stretches(rota, zone, start_of_day(day, zone), start_of_day(day + DAY, zone))
        week.append(RotaDay(day, [(_hours_words(one, day), _names(arranged, one.people)) for one in found]))
    return week


def _hours_words(stretch: Stretch, day: dt.date) -> str:
    """On the clinic's clock, within the day."""
    start, end = (moment.astimezone(page.zone()) for moment in (stretch.starts_at, stretch.ends_at))
    until = "24:00" if end.date() > day else f"{end:%H:%M}"
    if (f"{start:%H:%M}", until) == ("00:00", "24:00"):
        return _("all day")
    return _("%(start)s to %(until)s", start=f"{start:%H:%M}", until=until)


def _names(arranged: Arrangements, people: Sequence[str]) -> list[str]:
    return [arranged.contacts[one].name for one in people if one in arranged.contacts]


def _shifts() -> Sequence[Shift]:
    """Every weekly shift, and those for once that are not over."""
    statement = in_clinic(select(Shift), Shift, actor().clinic_id).options(joinedload(Shift.contact))
    statement = statement.where((Shift.ends_at.is_(None)) | (Shift.ends_at > page.at()))
    found: Sequence[Shift] = db.session.scalars(
        statement.order_by(Shift.weekday, Shift.from_time, Shift.starts_at)
    ).all()
    return found


def _shift_words(shift: Shift) -> str:
    if shift.weekday is not None and shift.from_time is not None and shift.to_time is not None:
        said = {
            "day": str(dict(WEEKDAYS)[shift.weekday]),
            "start": f"{shift.from_time:%H:%M}",
            "end": f"{shift.to_time:%H:%M}",
        }
        if shift.to_time <= shift.from_time:
            return _("every %(day)s %(start)s to %(end)s the next day", **said)
        return _("every %(day)s %(start)s to %(end)s", **said)
    if shift.starts_at is None or shift.ends_at is None:
        raise ValueError(f"shift {shift.public_id} is neither once nor weekly")
    start, end = (moment.astimezone(page.zone()) for moment in (shift.starts_at, shift.ends_at))
    return _("once, %(start)s to %(end)s", start=f"{start:%Y-%m-%d %H:%M}", end=f"{end:%Y-%m-%d %H:%M}")


def _shift_fields(shift: Shift) -> dict[str, str]:
    """What the form that adds a shift would hold for this one."""
    fields = {
        name: getattr(shift, name) for name in ("weekday", "from_time", "to_time", "starts_at", "ends_at")
    }
    return {"contact_id": str(shift.contact.public_id)} | {
        name: value.isoformat() if isinstance(value, (dt.time, dt.datetime)) else str(value)
        for name, value in fields.items()
        if value is not None
    }


def _quiet_words(contact: Contact) -> str:
    if contact.quiet_from is None or contact.quiet_to is None:
        return "none"
    return _(
        "%(quiet_from)s to %(quiet_to)s",
        quiet_from=f"{contact.quiet_from:%H:%M}",
        quiet_to=f"{contact.quiet_to:%H:%M}",
    )


def _contacts() -> Sequence[Contact]:
    statement = in_clinic(select(Contact), Contact, actor().clinic_id).options(joinedload(Contact.user))
    found: Sequence[Contact] = db.session.scalars(
        statement.order_by(Contact.active.desc(), Contact.name)
    ).all()
    return found


def _contact(public_id: uuid.UUID) -> Contact:
    contact: Contact | None = find(db.session, Contact, actor().clinic_id, public_id)
    return contact or abort(404)


def _last_tests() -> dict[int, Message]:
    """The last test by contact."""
    newest = select(Message).where(Message.clinic_id == actor().clinic_id, Message.kind == arranging.TEST)
    found = db.session.scalars(newest.order_by(Message.id.desc()).limit(200)).all()
    return {message.contact_id: message for message in reversed(found) if message.contact_id is not None}


def _channels() -> list[tuple[str, str]]:
    return [(channel, words.say(words.CHANNEL, channel)) for channel in CHANNELS]


def _configured() -> dict[str, bool]:
    configured: dict[str, bool] = current_app.extensions["transport"].configured
    return configured


def _accounts() -> list[tuple[str, str]]:
    people = in_clinic(select(User), User, actor().clinic_id).where(User.active)
    return [(str(user.public_id), user.name) for user in db.session.scalars(people.order_by(User.name))]
