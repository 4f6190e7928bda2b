"""When the clinic is open for visits, and the nurses and rooms that visits are booked with."""

import datetime as dt
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final

from flask import Response, abort, flash, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload, selectinload

from sc_stim.access import in_clinic, requires
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.i18n import _, _lazy, ngettext
from sc_stim.models import Appointment, Clinic, ClinicResource, OpeningHours, User
from sc_stim.models.appointment import BOOKED
from sc_stim.models.scope import find
from sc_stim.web import editing, page, words
from sc_stim.web.blueprint import pages
from sc_stim.web.exports import csv_answer
from sc_stim.web.forms import Form
from sc_stim.workflows import booking, staffing
from sc_stim.workflows.refusals import Conflict, FieldRefused

WEEKDAYS: Final = [
    (0, _lazy("Monday")),
    (1, _lazy("Tuesday")),
    (2, _lazy("Wednesday")),
    (3, _lazy("Thursday")),
    (4, _lazy("Friday")),
    (5, _lazy("Saturday")),
    (6, _lazy("Sunday")),
]
KINDS: Final = [("nurse", _lazy("Nurse")), ("room", _lazy("Room"))]
SPARE: Final = 2  # empty rows below the hours
MOST_HOURS: Final = 50


@pages.get("/clinic/hours", endpoint="hours")
@requires("resources.read")
def show() -> str:
    return _shown(None, None)


@pages.post("/clinic/hours", endpoint="set_hours")
@requires("resources.manage")
def set_hours() -> ResponseReturnValue:
    clinic: Clinic = g.user.clinic
    form = Form(request.form)
    hours = _hours_typed(form)
    try:
        _check_version(form, clinic)
        if not form.errors:
            staffing.set_clinic_hours(db.session(), actor(), clinic, hours, at=page.at())
            db.session.commit()
            flash(_("The hours are changed. Visits that are booked stay."), "done")
            return redirect(url_for("web.hours"), 303)
    except FieldRefused as refused:
        db.session.rollback()
        form.refuse("opens-0", _("Hours: %(reason)s.", reason=_readable(refused.reason)))
    return _shown(form, None), 422


@pages.get("/clinic/resources.csv", endpoint="resources_csv")
@requires("resources.read")
def export() -> Response:
    rows = [
        (
            one.name,
            one.kind,
            one.user.name if one.user else "",
            "yes" if one.active else "no",
            "; ".join(_hours_words(one.hours)) or _("as the clinic"),
            "; ".join(
                _(
                    "%(first_day)s to %(last_day)s: %(reason)s",
                    first_day=away.first_day,
                    last_day=away.last_day,
                    reason=away.reason,
                )
                for away in one.absences
            ),
        )
        for one in _resources()
    ]
    return csv_answer("nurses-and-rooms", ("name", "kind", "account", "booked", "hours", "away"), rows)


@pages.post("/clinic/resources", endpoint="add_resource")
@requires("resources.manage")
def add() -> ResponseReturnValue:
    form = Form(request.form)
    values = _values(form)
    values["kind"] = form.choice("kind", _("Kind"), [code for code, _name in KINDS])
    if not form.errors:
        try:
            resource = staffing.add_resource(db.session(), actor(), values, at=page.at())
            db.session.commit()
            flash(_("Visits can be booked with %(resource)s now.", resource=resource.name), "done")
            return redirect(url_for("web.resource", public_id=resource.public_id), 303)
        except (FieldRefused, Conflict) as refused:
            db.session.rollback()
            _refuse(form, refused)
    return _shown(None, form), 422


@pages.get("/clinic/resources/<uuid:public_id>", endpoint="resource")
@requires("resources.read")
def show_one(public_id: uuid.UUID) -> str:
    return _one(_resource(public_id))


@pages.post("/clinic/resources/<uuid:public_id>", endpoint="change_resource")
@requires("resources.manage")
def change(public_id: uuid.UUID) -> ResponseReturnValue:
    resource, form = _resource(public_id), Form(request.form)
    values = _values(form)
    values["active"] = form.checked("active")
    account = str(resource.user.public_id) if resource.user else ""
    editing.refuse_stale(
        form, resource.version, {"name": (_("Name"), resource.name), "user_id": (_("Account"), account)}
    )

    def done() -> str:
        left = _visits(resource)
        return _visits_words(left) if left and not resource.active else ""

    return _change(resource, form, values, "form", done)


@pages.post("/clinic/resources/<uuid:public_id>/hours", endpoint="set_resource_hours")
@requires("resources.manage")
def set_resource_hours(public_id: uuid.UUID) -> ResponseReturnValue:
    resource, form = _resource(public_id), Form(request.form)
    hours = _hours_typed(form)
    _check_version(form, resource)
    return _change(resource, form, {"hours": hours}, "hours_form", lambda: _("Visits that are booked stay."))


@pages.post("/clinic/resources/<uuid:public_id>/absences", endpoint="add_absence")
@requires("resources.manage")
def add_absence(public_id: uuid.UUID) -> ResponseReturnValue:
    resource, form = _resource(public_id), Form(request.form)
    first = form.day("first_day", _("First day"), needed=True)
    last = form.day("last_day", _("Last day")) or first
    new = {
        "first_day": first,
        "last_day": last,
        "reason": form.text("reason", _("Reason"), needed=True, most=200),
    }
    return _change(
        resource, form, {"absences": [*_absences(resource), new]}, "absence_form",
        lambda: f" {_visits_words(_visits(resource, first, last))}",
    )  # fmt: skip


@pages.post("/clinic/resources/<uuid:public_id>/absences/remove", endpoint="remove_absence")
@requires("resources.manage")
def remove_absence(public_id: uuid.UUID) -> ResponseReturnValue:
    resource, form = _resource(public_id), Form(request.form)
    gone = (form["first_day"], form["last_day"], form["reason"])
    kept = [
        one
        for one in _absences(resource)
        if (one["first_day"].isoformat(), one["last_day"].isoformat(), one["reason"]) != gone
    ]
    return _change(resource, form, {"absences": kept}, "absence_form", lambda: "")


def _change(
    resource: ClinicResource, form: Form, values: dict[str, Any], shown_as: str, more: Callable[[], str]
) -> ResponseReturnValue:
    public_id = resource.public_id
    if not form.errors:
        try:
            staffing.change_resource(db.session(), actor(), resource, values, at=page.at())
            db.session.commit()
            flash(" ".join(filter(None, (_("Saved."), more()))), "done")
            return redirect(url_for("web.resource", public_id=public_id), 303)
        except (FieldRefused, Conflict) as refused:
            db.session.rollback()
            _refuse(form, refused)
    return _one(_resource(public_id), **{shown_as: form}), 422


def _shown(hours_form: Form | None, form: Form | None) -> str:
    hours = booking.clinic_hours(db.session(), g.user.clinic_id)
    return page.render(
        "hours.html", clinic=g.user.clinic, hours=hours, rows=_rows(hours), hours_form=hours_form, form=form,
        resources=_resources(), hours_words=_hours_words, weekdays=WEEKDAYS, kinds=KINDS, accounts=_accounts(),
    )  # fmt: skip


def _one(resource: ClinicResource, **forms: Form) -> str:
    visits = {away.id: _visits(resource, away.first_day, away.last_day) for away in resource.absences}
    return page.render(
        "resource.html", resource=resource, rows=_rows(resource.hours), weekdays=WEEKDAYS, accounts=_accounts(),
        visits=visits, kind=dict(KINDS)[resource.kind], **forms,
    )  # fmt: skip


def _values(form: Form) -> dict[str, Any]:
    name = form.text("name", _("Name"), needed=True, most=200)
    public_id = form.id("user_id", _("Account"))
    user = find(db.session, User, actor().clinic_id, public_id) if public_id else None
    if public_id and user is None:
        form.refuse("user_id", _("Choose account from the list."))
    return {"name": name, "user": user}


def _rows(hours: Sequence[OpeningHours]) -> list[dict[str, Any]]:
    """The hours as rows of the form, with SPARE empty ones."""
    rows = [
        {
            "weekday": one.weekday,
            "opens": f"{one.opens:%H:%M}",
            "closes": f"{one.closes:%H:%M}",
            "slot_min": one.slot_min,
        }
        for one in hours
    ]
    return rows + [{"weekday": "", "opens": "", "closes": "", "slot_min": ""}] * SPARE


def _hours_typed(form: Form) -> list[dict[str, Any]]:
    """The rows that were filled in; an emptied row is a row taken away."""
    found = []
    for number in range(MOST_HOURS):
        if not any(form[f"{field}-{number}"] for field in ("opens", "closes")):
            continue
        weekday = form.choice(f"weekday-{number}", _("Weekday"), [str(day) for day, _name in WEEKDAYS])
        opens = form.time(f"opens-{number}", _("Opens"), needed=True)
        closes = form.time(f"closes-{number}", _("Closes"), needed=True)
        slot_min = form.whole(f"slot_min-{number}", _("Visit takes"), least=5, most=480, needed=True)
        if opens and closes and opens >= closes:
            form.refuse(f"closes-{number}", _("Closes must be after opens."))
        found.append({"weekday": int(weekday or 0), "opens": opens, "closes": closes, "slot_min": slot_min})
    return found


def _check_version(form: Form, row: Any) -> None:
    if row.version != editing.read_version():
        form.refuse("opens-0", _("Somebody has changed this since you opened it. Compare with the hours as they are "
                    "now, then send again."))  # fmt: skip


def _refuse(form: Form, refused: FieldRefused | Conflict) -> None:
    if isinstance(refused, Conflict):
        form.refuse("user_id", _("Account: %(refused)s.", refused=refused))
        return
    field = {"hours": "opens-0", "absences": "last_day"}.get(refused.field, refused.field)
    form.refuse(field, f"{words.plain(refused.field)}: {_readable(refused.reason)}.")


def _readable(reason: str) -> str:
    """Weekdays by their names."""
    for number, name in WEEKDAYS:
        reason = reason.replace(f"on weekday {number}", f"on {name}")
    return reason.replace("last_day", "the last day").replace("first_day", "the first day")


def _hours_words(hours: Sequence[OpeningHours]) -> list[str]:
    names = dict(WEEKDAYS)
    return [
        _(
            "%(weekday)s %(opens)s to %(closes)s",
            weekday=names[one.weekday],
            opens=f"{one.opens:%H:%M}",
            closes=f"{one.closes:%H:%M}",
        )
        for one in hours
    ]


def _absences(resource: ClinicResource) -> list[dict[str, Any]]:
    return [
        {"first_day": one.first_day, "last_day": one.last_day, "reason": one.reason}
        for one in resource.absences
    ]


def _visits(resource: ClinicResource, first: dt.date | None = None, last: dt.date | None = None) -> int:
    """How many visits are booked with this nurse or room from `first` (or today) until `last`."""
    statement = select(func.count(Appointment.id)).where(
        Appointment.resource_id == resource.id,
        Appointment.state == BOOKED,
        Appointment.day >= max(first or page.today(), page.today()),
    )
    if last is not None:
        statement = statement.where(Appointment.day <= last)
    return db.session.scalar(statement) or 0


def _visits_words(number: int) -> str:
    if number == 0:
        return _("No visit is booked for this time.")
    return ngettext(
        "%(num)s booked visit falls into this time: it stays booked until it is moved.",
        "%(num)s booked visits fall into this time: they stay booked until they are moved.",
        number,
    )


def _resources() -> Sequence[ClinicResource]:
    statement = in_clinic(select(ClinicResource), ClinicResource, actor().clinic_id).options(
        joinedload(ClinicResource.user),
        selectinload(ClinicResource.hours),
        selectinload(ClinicResource.absences),
    )
    found: Sequence[ClinicResource] = db.session.scalars(
        statement.order_by(ClinicResource.active.desc(), ClinicResource.kind, ClinicResource.name)
    ).all()
    return found


def _resource(public_id: uuid.UUID) -> ClinicResource:
    resource: ClinicResource | None = find(db.session, ClinicResource, actor().clinic_id, public_id)
    return resource or abort(404)


def _accounts() -> list[tuple[str, str]]:
    """Who of the staff can be a nurse of the diary."""
    people = in_clinic(select(User), User, actor().clinic_id).where(
        User.active, User.role.in_(("nurse", "clinician"))
    )
    return [(str(user.public_id), user.name) for user in db.session.scalars(people.order_by(User.name))]
