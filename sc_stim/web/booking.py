"""Booking a refill visit, and the page of one visit: the days that are safe, why the others are not, move, call off."""

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from flask import abort, flash, g, redirect, request, session, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from sc_stim.access import requires
from sc_stim.clinical.slots import Offer, Slot
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.i18n import _, _lazy
from sc_stim.models import Appointment, ClinicResource, Device, Message
from sc_stim.models.appointment import BOOKED
from sc_stim.models.scope import find
from sc_stim.web import dates, page
from sc_stim.web.blueprint import pages
from sc_stim.web.forms import Form
from sc_stim.workflows import booking, proposals, reminders
from sc_stim.workflows.proposals import Proposals
from sc_stim.workflows.refusals import Conflict, FieldRefused
from sc_stim.workflows.registry import record_about

Answer = str | tuple[str, int] | Response

FAR: Final = dt.timedelta(days=366)  # nobody books further ahead
NEAR: Final = (dt.timedelta(days=3), dt.timedelta(days=10))  # shown before and after a day that was asked for
REASON_LIMIT: Final = 500
UNDO: Final = "undo_visit"  # key in the session
STALE: Final = _lazy("somebody else has just changed this visit: look at it first")


@dataclass(frozen=True)
class DayChoice:
    """A day of the form: its free times as (value, words), the one that is chosen; or days on end and why not."""

    day: dt.date
    last: dt.date
    times: list[tuple[str, str]]
    chosen: str
    why: str | None


@dataclass(frozen=True)
class Wanted:
    """What the form begins with; each may be missing."""

    day: dt.date | None = None
    time: str = ""  # value of a slot


@pages.get("/pumps/<uuid:public_id>/book", endpoint="book_visit")
@requires("appointments.book")
def show_form(public_id: uuid.UUID) -> str:
    """`?day=` shows the days around this one; `?slot=` chooses a time of it."""
    shown = _booking_page(_pump(public_id))
    db.session.commit()
    return shown


@pages.post("/pumps/<uuid:public_id>/book", endpoint="keep_visit")
@requires("appointments.book")
def book(public_id: uuid.UUID) -> Answer:
    pump, form = _pump(public_id), Form(request.form)
    values = _place(form, needed=True) | _texts(form)
    visit: Appointment | None = None
    if not form.errors:
        try:
            visit = booking.book(db.session, actor(), pump, values, at=page.at())
            db.session.commit()
        except (FieldRefused, Conflict) as refused:
            _refuse(form, refused)
    if visit is None:
        shown = _booking_page(pump, form)
        db.session.commit()
        return shown, 422
    flash(_("Booked: %(visit)s.", visit=said(visit)), "done")
    undo = _("Undo: call off %(visit)s", visit=said(visit))
    _remember_undo(visit, undo, "web.cancel_visit", reason="booked by mistake")
    return redirect(url_for("web.visit", public_id=visit.public_id), 303)


@pages.get("/appointments/<uuid:public_id>", endpoint="visit")
@requires("appointments.read")
def show_visit(public_id: uuid.UUID) -> str:
    """`?day=` shows the days around this one."""
    shown = _visit_page(_visit(public_id))
    db.session.commit()
    return shown


@pages.post("/appointments/<uuid:public_id>/change", endpoint="change_visit")
@requires("appointments.book")
def change(public_id: uuid.UUID) -> Answer:
    """Move it, accept its day, change its note: what the form holds. With `view` it came from the calendar."""
    visit, form = _visit(public_id), Form(request.form)
    before, changes = _as_fields(visit), _place(form, needed=False) | _texts(form)
    sequence, back = visit.sequence, said(visit)
    if not form.errors:
        try:
            _check_version(visit, form)
            booking.change(db.session, actor(), visit, changes, at=page.at())
            db.session.commit()
        except (FieldRefused, Conflict) as refused:
            _refuse(form, refused)
    if form.errors:
        return _not_changed(visit, form)
    moved = visit.sequence != sequence
    if moved:
        _remember_undo(visit, _("Undo: back to %(back)s", back=back), "web.change_visit", **before)
    flash(
        _("Moved to %(visit)s.", visit=said(visit)) if moved else _("Saved. The visit stays where it is."),
        "done",
    )
    return redirect(_back(visit, form), 303)


@pages.post("/appointments/<uuid:public_id>/cancel", endpoint="cancel_visit")
@requires("appointments.book")
def cancel(public_id: uuid.UUID) -> Answer:
    visit, form = _visit(public_id), Form(request.form)
    reason = form.text("reason", _("The reason"), most=REASON_LIMIT)
    if not form.errors:
        try:
            _check_version(visit, form)
            booking.cancel(db.session, actor(), visit, reason, at=page.at())
            db.session.commit()
        except Conflict as refused:
            _refuse(form, refused)
    if form.errors:
        return _not_changed(visit, form)
    flash(_("Called off: %(visit)s. Calendars show it as cancelled.", visit=said(visit)), "done")
    return redirect(url_for("web.visit", public_id=public_id), 303)


@pages.get("/appointments/<uuid:public_id>/days.json", endpoint="visit_days")
@requires("appointments.read")
def days(public_id: uuid.UUID) -> dict[str, Any]:
    """Why a visit cannot be moved to the days from `?first=` to `?last=`, by day; the others are offered."""
    visit, form = _visit(public_id), Form(request.args)
    first, last = form.day("first", _("First"), needed=True), form.day("last", _("Last"), needed=True)
    if first is None or last is None or not dt.timedelta() <= last - first <= dt.timedelta(days=62):
        abort(400)
    found = _proposed(visit.device, first, last, visit)
    record_about(db.session, actor(), "device.slots", visit.device, at=page.at())
    db.session.commit()
    return {
        "days": {offer.day.isoformat(): offer.not_offered.words for offer in found.days if offer.not_offered}
    }


def slot_value(slot: Slot, resource: ClinicResource) -> str:
    """A time as the forms send it: local time, fold, and with whom."""
    return f"{slot.time:%H:%M}/{slot.fold}/{resource.public_id}"


def value_of(visit: Appointment) -> str:
    """The present time of a visit as the forms send it."""
    return f"{visit.time:%H:%M}/{visit.fold}/{visit.resource.public_id}"


def said(visit: Appointment) -> str:
    """Day and time as the clinic writes them, and with whom."""
    return f"{dates.day(visit.day, page.country())} {visit.time:%H:%M}, {visit.resource.name}"


def undo_of(visit: Appointment | None = None) -> dict[str, Any] | None:
    """How this person's last act is undone, unless somebody changed it since. `visit`: only on the page of that one."""
    kept: dict[str, Any] | None = session.get(UNDO)
    if kept is None:
        return None
    row = find(db.session, Appointment, actor().clinic_id, uuid.UUID(kept["visit"]))
    fits = row is not None and row.version == kept["version"] and row.state == BOOKED
    return kept if fits and (visit is None or visit is row) else None


def _booking_page(pump: Device, form: Form | None = None) -> str:
    booked = db.session.scalars(
        select(Appointment).where(Appointment.device_id == pump.id, Appointment.state == BOOKED)
    ).one_or_none()
    wanted = Wanted(_asked_day(), request.args.get("slot", ""))
    found = _around(pump, wanted.day, None) if booked is None and _can_be_booked(pump) else None
    best = found and (found.best or found.soonest)
    if found and best and wanted.day is None:
        wanted = Wanted(best.day, slot_value(best, found.resources[best.key]))
    shown = page.render(
        "book_visit.html", pump=pump, patient=pump.patient, booked=booked, form=form, reason_limit=REASON_LIMIT,
        **(_choices(found, wanted, form) if found else {"found": None}),
    )  # fmt: skip
    record_about(db.session, actor(), "device.slots", pump, at=page.at())
    return shown


def _visit_page(visit: Appointment, form: Form | None = None) -> str:
    wanted = Wanted(_asked_day() or visit.day, value_of(visit))
    found = _around(visit.device, wanted.day, visit) if visit.state == BOOKED else None
    shown = page.render(
        "visit.html", visit=visit, patient=visit.patient, form=form, reminder=_reminder(visit), undo=undo_of(visit),
        reminder_day=reminders.reminder_day(visit), reachable=reminders.reachable(visit.patient),
        others=_other_visits(visit), now=value_of(visit), said=said, reason_limit=REASON_LIMIT,
        **(_choices(found, wanted, form, visit) if found else {"found": None}),
    )  # fmt: skip
    record_about(db.session, actor(), "appointment.view", visit.device, at=page.at())
    return shown


def _not_changed(visit: Appointment, form: Form) -> Answer:
    """To the calendar with the reason, where the visit stands at its old place; else its form once more."""
    if form["view"]:
        flash(_("Not moved: %(why)s", why=" ".join(form.errors.values())), "refused")
        return redirect(_back(visit, form), 303)
    shown = _visit_page(visit, form)
    db.session.commit()
    return shown, 422


def _back(visit: Appointment, form: Form) -> str:
    if not form["view"]:
        return url_for("web.visit", public_id=visit.public_id)
    return url_for("web.calendar", view=form["view"], on=visit.day, resource=form["resource"] or None)


def _choices(
    found: Proposals, wanted: Wanted, form: Form | None, stands: Appointment | None = None
) -> dict[str, Any]:
    """What the macro `days` shows: every day in order, and those that are open but not safe by themselves."""
    return {
        "found": found,
        "days": _joined([_choice(offer, found, wanted, form, stands) for offer in found.days]),
        "late": [_choice(offer, found, wanted, form, stands) for offer in found.unsafe],
        "chosen_day": form["day"] if form else wanted.day.isoformat() if wanted.day else "",
    }


def _joined(choices: Sequence[DayChoice]) -> list[DayChoice]:
    """Days on end that are not offered for the same reason are one line."""
    joined: list[DayChoice] = []
    for choice in choices:
        before = joined[-1] if joined else None
        if before and choice.why and before.why == choice.why:
            joined[-1] = replace(before, last=choice.day)
        else:
            joined.append(choice)
    return joined


def _choice(
    offer: Offer, found: Proposals, wanted: Wanted, form: Form | None, stands: Appointment | None
) -> DayChoice:
    several = len(found.resources) > 1
    times = [
        (slot_value(slot, found.resources[slot.key]), _time(slot, found, several)) for slot in offer.slots
    ]
    if stands and times and offer.day == stands.day and value_of(stands) not in dict(times):
        # Hours have changed since it was booked: whoever only writes a note does not move it.
        times.insert(0, (value_of(stands), f"{stands.time:%H:%M}, {stands.resource.name}"))
    typed = form[f"slot-{offer.day}"] if form else ""
    same_time = next((value for value, _ in times if value[:5] == wanted.time[:5]), "")
    exact = wanted.time if wanted.time in dict(times) else same_time
    why = offer.not_offered.words if offer.not_offered else None
    return DayChoice(offer.day, offer.day, times, typed or exact or (times[0][0] if times else ""), why)


def _time(slot: Slot, found: Proposals, several: bool) -> str:
    again = " " + _("(second time)") if slot.fold else ""
    return f"{slot.time:%H:%M}{again}" + (f", {found.resources[slot.key].name}" if several else "")


def _around(pump: Device, wanted: dt.date | None, visit: Appointment | None) -> Proposals:
    """The usual days; those around a day that was asked for where it is not among them."""
    first, last = proposals.usual_days(booking.due(db.session, pump, page.at()), page.today())
    if wanted is not None and not first <= wanted <= last:
        first, last = max(page.today(), wanted - NEAR[0]), wanted + NEAR[1]
    return _proposed(pump, first, last, visit)


def _proposed(pump: Device, first: dt.date, last: dt.date, visit: Appointment | None) -> Proposals:
    due = booking.due(db.session, pump, page.at())
    return proposals.propose(db.session, g.user.clinic, due, first, last, at=page.at(), without=visit)


def _place(form: Form, *, needed: bool) -> dict[str, Any]:
    """Day, time and with whom; nothing where no day was chosen and none is needed."""
    if not needed and "day" not in request.form:
        return {}
    day = form.day("day", _("A day"), needed=True)
    if day is None:
        return {}
    parts = (form[f"slot-{day}"] or form["slot"]).split("/")
    try:
        time, fold, resource_id = dt.time.fromisoformat(parts[0]), int(parts[1]), uuid.UUID(parts[2])
    except (ValueError, IndexError):
        form.refuse("day", _("Choose a time of this day from the list."))
        return {}
    resource = find(db.session, ClinicResource, actor().clinic_id, resource_id)
    if resource is None:
        form.refuse("day", _("Choose a time of this day from the list."))
        return {}
    return {"day": day, "time": time, "fold": fold, "resource": resource}


def _texts(form: Form) -> dict[str, Any]:
    """The note where the form has one, and the reason for a day that is not safe where one was typed."""
    texts: dict[str, Any] = {}
    if form.checked("note"):
        texts["note"] = form.text("note", _("The note"))
    reason = form.text("override_reason", _("The reason"), most=REASON_LIMIT)
    if reason:
        texts["override_reason"] = reason
    return texts


def _refuse(form: Form, refused: FieldRefused | Conflict) -> None:
    """Nothing was done: say why beside the field that can mend it."""
    db.session.rollback()
    field = refused.field if isinstance(refused, FieldRefused) else "day"
    words = refused.reason if isinstance(refused, FieldRefused) else str(refused)
    if field == "override_reason":
        form.refuse(field, _("A reason %(words)s.", words=words))
    else:
        form.refuse("day", f"{words[:1].upper()}{words[1:]}.")


def _check_version(visit: Appointment, form: Form) -> None:
    if form["version"] != str(visit.version):
        raise Conflict(STALE)


def _remember_undo(visit: Appointment, words: str, endpoint: str, **fields: str) -> None:
    session[UNDO] = {
        "visit": str(visit.public_id),
        "version": visit.version,
        "words": words,
        "endpoint": endpoint,
        "fields": fields,
    }


def _as_fields(visit: Appointment) -> dict[str, str]:
    return {"day": visit.day.isoformat(), "slot": value_of(visit)}


def _reminder(visit: Appointment) -> Message | None:
    statement = select(Message).where(Message.effect_key == reminders.reminder_key(visit))
    return db.session.scalars(statement).one_or_none()


def _other_visits(visit: Appointment) -> Sequence[Appointment]:
    statement = select(Appointment).where(
        Appointment.device_id == visit.device_id, Appointment.id != visit.id
    )
    return db.session.scalars(statement.order_by(Appointment.starts_at.desc()).limit(20)).all()


def _asked_day() -> dt.date | None:
    day = Form(request.args).day("day", _("Day"))
    return day if day and page.today() <= day <= page.today() + FAR else None


def _can_be_booked(pump: Device) -> bool:
    return pump.patient is not None and pump.in_use


def _pump(public_id: uuid.UUID) -> Device:
    pump: Device | None = find(db.session, Device, actor().clinic_id, public_id)
    return pump if pump and pump.kind == "pump" else abort(404)


def _visit(public_id: uuid.UUID) -> Appointment:
    visit: Appointment | None = find(db.session, Appointment, actor().clinic_id, public_id)
    return visit or abort(404)
