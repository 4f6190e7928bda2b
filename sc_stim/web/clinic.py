"""The clinic's own record and the days on which it is closed, for the administrator."""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from flask import Response, flash, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue

from sc_stim.access import requires
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.i18n import _, _lazy, ngettext
from sc_stim.models import Clinic
from sc_stim.web import editing, page
from sc_stim.web.blueprint import pages
from sc_stim.web.exports import csv_answer
from sc_stim.web.forms import Form
from sc_stim.workflows import audit, clinics
from sc_stim.workflows.refusals import Conflict, FieldRefused

REMOVED: Final = "removed_closure"  # in the session: what can be put back, for one page
DAY: Final = dt.timedelta(days=1)
NAMES: Final = {
    "name": _lazy("Name"),
    "phone": _lazy("Telephone"),
    "time_zone": _lazy("Time zone"),
    "country": _lazy("Country"),
    "subdivision": _lazy("Region"),
    "pharmacy_lead_days": _lazy("Pharmacy needs"),
    "refill_margin_days": _lazy("Margin"),
}


@dataclass(frozen=True)
class Closed:
    """Days in a row, closed for the same reason, and how many visits are booked for them."""

    first: dt.date
    last: dt.date
    reason: str
    visits: int = 0

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1


@pages.get("/clinic", endpoint="clinic")
@requires("clinic.manage")
def show() -> str:
    return _shown(None, None)


@pages.post("/clinic", endpoint="change_clinic")
@requires("clinic.manage")
def change() -> ResponseReturnValue:
    clinic: Clinic = g.user.clinic
    form = Form(request.form)
    values: dict[str, Any] = {
        "name": form.text("name", NAMES["name"], needed=True, most=200),
        "phone": form.text("phone", NAMES["phone"], most=40),
        "time_zone": form.text("time_zone", NAMES["time_zone"], needed=True, most=64),
        "country": (form.text("country", NAMES["country"], needed=True, most=2) or "").upper(),
        "subdivision": form.text("subdivision", NAMES["subdivision"], most=3),
        "pharmacy_lead_days": form.whole(
            "pharmacy_lead_days", _("Pharmacy needs"), least=0, most=60, needed=True
        ),
        "refill_margin_days": form.whole("refill_margin_days", _("Margin"), least=0, most=30, needed=True),
    }
    now = {field: (name, _text(getattr(clinic, field))) for field, name in NAMES.items()}
    editing.refuse_stale(form, clinic.version, now)
    if not form.errors:
        try:
            clinics.change_clinic(db.session(), actor(), clinic, _changed(clinic, values), at=page.at())
            db.session.commit()
            flash(_("The clinic is changed."), "done")
            return redirect(url_for("web.clinic"), 303)
        except FieldRefused as refused:
            db.session.rollback()
            form.refuse(refused.field, f"{NAMES[refused.field]} {refused.reason}.")
        except Conflict as refused:
            db.session.rollback()
            form.refuse("name", _("Name: %(refused)s.", refused=refused))
    return _shown(form, None), 422


@pages.get("/clinic/closures.csv", endpoint="closures_csv")
@requires("clinic.manage")
def export() -> Response:
    audit.record(db.session(), actor(), "clinic.export", "clinic", g.user.clinic.public_id, at=page.at())
    rows = [(closed.first, closed.last, closed.reason, closed.visits) for closed in _closed(g.user.clinic)]
    db.session.commit()
    return csv_answer("closures", ("first day", "last day", "reason", "visits booked"), rows)


@pages.post("/clinic/closures", endpoint="add_closure")
@requires("clinic.manage")
def add_closure() -> ResponseReturnValue:
    form = Form(request.form)
    first = form.day("first_day", _("First day"), needed=True)
    last = form.day("last_day", _("Last day")) or first
    reason = form.text("reason", _("Reason"), needed=True, most=200)
    if not form.errors and first and last and reason:
        try:
            number = clinics.close_days(
                db.session(), actor(), g.user.clinic, first, last, reason, at=page.at()
            )
            db.session.commit()
            closed = ngettext("%(num)s day is closed.", "%(num)s days are closed.", number)
            flash(f"{closed} {_visits_words(_visits(first, last))}", "done")
            return redirect(url_for("web.clinic", _anchor="closures"), 303)
        except FieldRefused as refused:
            db.session.rollback()
            name = {"first_day": _("First day"), "last_day": _("Last day")}[refused.field]
            form.refuse(refused.field, f"{name} {refused.reason}.")
    return _shown(None, form), 422


@pages.post("/clinic/closures/remove", endpoint="remove_closure")
@requires("clinic.manage")
def remove_closure() -> ResponseReturnValue:
    """Can be taken back on the page that follows."""
    form = Form(request.form)
    first, last = form.day("first", _("First day"), needed=True), form.day("last", _("Last day"), needed=True)
    gone = next((one for one in _closed(g.user.clinic) if (one.first, one.last) == (first, last)), None)
    if gone is None:
        flash(_("Nothing was changed: somebody has changed these days meanwhile."), "refused")
    else:
        clinics.open_days(db.session(), actor(), g.user.clinic, gone.first, gone.last, at=page.at())
        db.session.commit()
        session[REMOVED] = [gone.first.isoformat(), gone.last.isoformat(), gone.reason]
    return redirect(url_for("web.clinic", _anchor="closures"), 303)


def _shown(form: Form | None, closure_form: Form | None) -> str:
    clinic: Clinic = g.user.clinic
    removed = session.pop(REMOVED, None)
    return page.render(
        "clinic.html",
        clinic=clinic,
        form=form,
        closure_form=closure_form,
        closed=[one for one in _closed(clinic) if one.last >= page.today()],
        past=sum(closure.day < page.today() for closure in clinic.closures),
        removed=removed and Closed(*map(dt.date.fromisoformat, removed[:2]), removed[2]),
    )


def _closed(clinic: Clinic) -> list[Closed]:
    booked = clinics.visits_by_day(db.session(), clinic.id, page.today())
    return [
        Closed(days[0], days[-1], reason, sum(booked.get(day, 0) for day in days))
        for reason, days in _runs({closure.day: closure.reason for closure in clinic.closures})
    ]


def _runs(reasons: Mapping[dt.date, str]) -> Iterator[tuple[str, list[dt.date]]]:
    """Days in a row of the same reason."""
    days = sorted(reasons)
    breaks = [
        number
        for number, (before, day) in enumerate(pairwise(days), 1)
        if day - before > DAY or reasons[day] != reasons[before]
    ]
    for start, end in pairwise([0, *breaks, len(days)]):
        if start < end:
            yield reasons[days[start]], days[start:end]


def _visits(first: dt.date, last: dt.date) -> int:
    booked = clinics.visits_by_day(db.session(), g.user.clinic_id, max(first, page.today()))
    return sum(number for day, number in booked.items() if day <= last)


def _visits_words(number: int) -> str:
    if number == 0:
        return _("No visit is booked for them.")
    return ngettext(
        "%(num)s booked visit falls on this closure: it stays booked until a nurse moves it.",
        "%(num)s booked visits fall on this closure: they stay booked until a nurse moves them.",
        number,
    )


def _changed(clinic: Clinic, values: Mapping[str, Any]) -> dict[str, Any]:
    """A change of what forecasts read has them all made anew: only what is really another."""
    return {name: value for name, value in values.items() if getattr(clinic, name) != value}


def _text(value: object) -> str:
    return "" if value is None else str(value)
