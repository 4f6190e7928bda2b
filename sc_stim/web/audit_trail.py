"""The audit trail for the auditor: who did or saw what, newest first; a month to take away; whether the chain holds."""

import datetime as dt
import json
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
from sc_stim.models import AuditEntry, Device, Patient
from sc_stim.models.audit import trail
from sc_stim.models.series import start_of_day
from sc_stim.web import acts, page
from sc_stim.web.blueprint import pages
from sc_stim.web.exports import csv_answer
from sc_stim.web.forms import Form
from sc_stim.workflows import audit

PAGE_SIZE: Final = 100
LARGEST: Final = 2**63 - 1  # number an entry can have
COLUMNS: Final = (
    "number", "at", "actor", "actor_name", "action", "subject_kind", "subject", "detail", "act", "about",
)  # fmt: skip
IN_ONE_GO: Final = 1000  # entries whose names are looked up together
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
    checked = _checked()
    people = acts.people()
    shown = page.render(
        "audit_trail.html",
        search=search,
        entries=found[:PAGE_SIZE],
        more=len(found) > PAGE_SIZE,
        months=[(month, month) for month in _months()],
        people=people,
        names=dict(people),
        actions=_actions(),
        act=acts.act,
        about=acts.names(found).about,
        checked=checked,
        broken=_broken(checked),
        last_held=_last_held(checked),
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
    """An id as it stands in the record; a record number of a patient or a serial number becomes the id."""
    typed = form.text("about", _("Patient, device or id"), most=60)
    if typed is None or acts.as_uuid(typed):
        return typed and str(acts.as_uuid(typed))
    patient = in_clinic(select(Patient.public_id), Patient, actor().clinic_id).where(Patient.mrn == typed)
    device = in_clinic(select(Device.public_id), Device, actor().clinic_id).where(Device.serial == typed)
    found = [*db.session.scalars(patient), *db.session.scalars(device)]
    if len(found) == 1:
        return str(found[0])
    if found:
        form.refuse("about", _("Several have this number: search for the id."))
    else:
        form.refuse(
            "about", _("No patient has this record number, no device this serial; an id has 36 characters.")
        )
    return None


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
    ordered = statement.order_by(AuditEntry.number).execution_options(yield_per=IN_ONE_GO)
    for entries in db.session.scalars(ordered).partitions():
        names = acts.names(entries)
        for entry in entries:
            yield (entry.number, entry.at, entry.actor, names.people.get(entry.actor), entry.action,
                   entry.subject_kind, entry.subject, json.dumps(entry.detail, sort_keys=True),
                   acts.act(entry.action), names.about(entry))  # fmt: skip


def _checked() -> AuditEntry | None:
    """The last time that somebody had the chain checked."""
    checks = trail(actor().clinic_id, action="audit.verify").order_by(AuditEntry.number.desc())
    return db.session.scalars(checks.limit(1)).one_or_none()


def _broken(checked: AuditEntry | None) -> AuditEntry | None:
    """The entry at which the chain did not hold when it was last checked, where it is still there."""
    number = checked.detail.get("broken_at") if checked else None
    if number is None:
        return None
    return db.session.scalars(trail(actor().clinic_id).where(AuditEntry.number == number)).one_or_none()


def _last_held(checked: AuditEntry | None) -> AuditEntry | None:
    """The newest check that found the chain whole, looked for only if the last did not."""
    if checked is None or checked.detail.get("intact"):
        return None
    checks = trail(actor().clinic_id, action="audit.verify").order_by(AuditEntry.number.desc())
    return next((check for check in db.session.scalars(checks) if check.detail.get("intact")), None)


def _actions() -> list[tuple[str, str]]:
    """Every action on record, in words."""
    found = in_clinic(select(AuditEntry.action).distinct(), AuditEntry, actor().clinic_id)
    return sorted(
        ((action, acts.act(action)) for action in db.session.scalars(found)), key=lambda pair: pair[1]
    )
