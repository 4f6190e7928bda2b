"""The audit trail for the auditor: who did or saw what, newest first; a month to take away; whether the chain holds."""

import datetime as dt
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from flask import Response, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Select, func, select

from sc_stim.access import in_clinic, requires
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.i18n import _
from sc_stim.models import AuditEntry, Patient, User
from sc_stim.models.audit import trail
from sc_stim.models.series import start_of_day
from sc_stim.web import page
from sc_stim.web.blueprint import pages
from sc_stim.web.exports import csv_answer
from sc_stim.web.forms import Form
from sc_stim.workflows import audit

PAGE_SIZE: Final = 100
LARGEST: Final = 2**63 - 1  # number an entry can have
COLUMNS: Final = ("number", "at", "actor", "actor_name", "action", "subject_kind", "subject", "detail")
FIELDS: Final = ("first_day", "last_day", "person", "action", "about")


@dataclass(frozen=True)
class Search:
    """What was typed, and the entries that it means."""

    form: Form
    wanted: dict[str, Any]

    @property
    def typed(self) -> dict[str, str]:
        """For an address that searches for the same."""
        return {field: self.form[field] for field in FIELDS if self.form[field]}

    def entries(self) -> Select[tuple[AuditEntry]]:
        return trail(actor().clinic_id, **self.wanted)


@pages.get("/audit", endpoint="audit_trail")
@requires("audit.read")
def show() -> ResponseReturnValue:
    """`?before=` is the number of an entry; the page shows those before it. The others are fields of the search."""
    before = request.args.get("before", LARGEST, type=int)
    if not 0 < before <= LARGEST:
        abort(404)
    search = _search()
    statement = search.entries().where(AuditEntry.number < before)
    found = [] if search.form.errors else db.session.scalars(
        statement.order_by(AuditEntry.number.desc()).limit(PAGE_SIZE + 1)
    ).all()  # fmt: skip
    people = _people()
    shown = page.render(
        "audit_trail.html",
        search=search,
        entries=found[:PAGE_SIZE],
        more=len(found) > PAGE_SIZE,
        months=[(month, month) for month in _months()],
        people=people,
        names=dict(people),
        actions=_actions(),
        checked=_checked(),
        detail=_detail,
    )
    audit.record(db.session(), actor(), "audit.view", detail=search.typed, at=page.at())
    db.session.commit()
    return shown, 422 if search.form.errors else 200


@pages.get("/audit.csv", endpoint="audit_csv")
@requires("audit.read")
def export() -> ResponseReturnValue:
    """`?month=2026-11`: the whole month on the clinic's calendar; else what is searched for. Oldest first."""
    search, month = _search(), request.args.get("month", "")
    if search.form.errors:
        abort(404)
    statement = trail(actor().clinic_id, **_span(month)) if month else search.entries()
    audit.record(
        db.session(),
        actor(),
        "audit.export",
        detail={"month": month} if month else search.typed,
        at=page.at(),
    )
    db.session.commit()
    return csv_answer(f"audit-{month}" if month else "audit", COLUMNS, _rows(statement))


@pages.post("/audit/verification", endpoint="verify_audit")
@requires("audit.read")
def verify() -> Response:
    broken = audit.verify_on_record(db.session(), actor(), at=page.at())
    db.session.commit()
    if broken:
        flash(
            _(
                "The chain does not hold: entry %(number)s %(reason)s. Tell the operator at once, "
                "and keep what you downloaded before.",
                number=broken.number,
                reason=broken.reason,
            ),
            "refused",
        )
    else:
        flash(_("The chain holds: no entry was altered, removed, inserted or moved."), "done")
    return redirect(url_for("web.audit_trail"), 303)


def _search() -> Search:
    form, zone = Form(request.args), page.zone()
    first, last = form.day("first_day", _("From")), form.day("last_day", _("Until"))
    if first and last and last < first:
        form.refuse("last_day", _("Until must not be before from."))
    wanted: dict[str, Any] = {
        "since": start_of_day(first, zone) if first else None,
        "until": start_of_day(last + dt.timedelta(days=1), zone) if last and last < dt.date.max else None,
        "actor": form.text("person", _("Who"), most=60),
        "action": form.text("action", _("What"), most=60),
        "about": _about(form),
    }
    return Search(form, wanted)


def _about(form: Form) -> str | None:
    """An id as it stands in the record; a record number of a patient becomes the id."""
    typed = form.text("about", _("Patient or id"), most=60)
    if typed is None or _as_uuid(typed):
        return typed and str(_as_uuid(typed))
    patient = in_clinic(select(Patient.public_id), Patient, actor().clinic_id).where(Patient.mrn == typed)
    public_id = db.session.scalar(patient)
    if public_id is None:
        form.refuse("about", _("No patient has this record number; an id has 36 characters."))
    return str(public_id)


def _span(month: str) -> dict[str, dt.datetime]:
    """From the first to the last instant of the month, on the clinic's clock."""
    try:
        first = dt.date.fromisoformat(f"{month}-01")
    except ValueError:
        abort(404)
    if first.year == dt.MAXYEAR:
        abort(404)
    after = (first + dt.timedelta(days=31)).replace(day=1)
    return {"since": start_of_day(first, page.zone()), "until": start_of_day(after, page.zone())}


def _months() -> list[str]:
    """Every month that has entries, the newest first, at most the last two years."""
    oldest = db.session.scalar(in_clinic(select(func.min(AuditEntry.at)), AuditEntry, actor().clinic_id))
    month, found = page.today().replace(day=1), []
    begun = oldest.astimezone(page.zone()).date().replace(day=1) if oldest else month
    while month >= begun and len(found) < 24:
        found.append(f"{month:%Y-%m}")
        month = (month - dt.timedelta(days=1)).replace(day=1)
    return found


def _rows(statement: Select[tuple[AuditEntry]]) -> Iterator[tuple[Any, ...]]:
    names = dict(_people())
    ordered = statement.order_by(AuditEntry.number).execution_options(yield_per=1000)
    for entry in db.session.scalars(ordered):
        yield (entry.number, entry.at, entry.actor, names.get(entry.actor), entry.action, entry.subject_kind,
               entry.subject, json.dumps(entry.detail, sort_keys=True))  # fmt: skip


def _detail(entry: AuditEntry) -> str:
    """What the entry says beside its subject, in one line; the CSV has all of it."""
    text = ", ".join(f"{name.replace('_', ' ')}: {_short(value)}" for name, value in entry.detail.items())
    return text if len(text) <= 200 else f"{text[:199]}…"


def _short(value: object) -> str:
    """A list by its length: which they are is searched for."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return str(len(value)) if len(value) > 2 else ", ".join(map(str, value)) or "none"
    return str(value)


def _checked() -> AuditEntry | None:
    """The last time that somebody had the chain checked."""
    checks = trail(actor().clinic_id, action="audit.verify").order_by(AuditEntry.number.desc())
    return db.session.scalars(checks.limit(1)).one_or_none()


def _people() -> list[tuple[str, str]]:
    people = in_clinic(select(User.public_id, User.name), User, actor().clinic_id).order_by(User.name)
    return [(str(public_id), name) for public_id, name in db.session.execute(people)]


def _actions() -> list[tuple[str, str]]:
    """Every action on record, by its own name: what is searched for is what the trail says."""
    found = in_clinic(select(AuditEntry.action).distinct(), AuditEntry, actor().clinic_id)
    return [(action, action) for action in sorted(db.session.scalars(found))]


def _as_uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
