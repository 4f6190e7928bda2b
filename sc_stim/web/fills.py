"""A fill on record: what is left to do, the second person's check, and the ledger of all fills of a pump."""

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flask import abort, flash, redirect, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from sc_stim.access import allowed, requires
from sc_stim.extensions import db
from sc_stim.guard import actor, throttle_sign_in
from sc_stim.i18n import _
from sc_stim.models import Appointment, Device, DeviceSetting, Fill, User
from sc_stim.models.appointment import BOOKED
from sc_stim.models.device import fills_of, fills_with_names, settings_of
from sc_stim.models.scope import find
from sc_stim.web import editing, page, visit_form, words
from sc_stim.web.blueprint import pages
from sc_stim.web.exports import csv_answer
from sc_stim.web.forms import Form
from sc_stim.web.refill_visit import find_pump
from sc_stim.workflows import accounts, booking, refill_visit, refilling
from sc_stim.workflows.audit import Actor
from sc_stim.workflows.cautions import Caution
from sc_stim.workflows.refill_visit import PumpAfter
from sc_stim.workflows.refusals import Conflict, FieldRefused
from sc_stim.workflows.registry import record_about

CSV_HEADER: Final = (
    "id", "at", "aspirated_ml", "expected_ml", "difference_ml", "ratio", "filled_ml", "measured_after_ml", "drugs",
    "drug_lot", "drug_expires_on", "flags", "performed_by", "confirmed_by", "confirmed_at", "corrected_by",
)  # fmt: skip
BAR_HALF: Final = 0.5  # the ratio's distance from 1 that fills one side of its bar


@dataclass(frozen=True)
class FillSheet:
    """Everything there is to say about one fill. `before`, `after`: the prescription before the day and at its end."""

    fill: Fill
    pump: Device
    before: DeviceSetting | None
    after: DeviceSetting | None
    checklist: list[dict[str, Any]]
    cautions: list[Caution]
    runs: PumpAfter
    to_do: list[str]
    is_newest: bool

    @property
    def reconciliation(self) -> Mapping[str, Any]:
        return self.fill.reconciliation or {}


@pages.get("/fills/<uuid:public_id>", endpoint="fill")
@requires("fills.read")
def show(public_id: uuid.UUID) -> str:
    return _viewed(*find_fill(public_id), None)


@pages.post("/fills/<uuid:public_id>/confirm", endpoint="confirm_fill")
@requires("fills.record")
@throttle_sign_in
def confirm(public_id: uuid.UUID) -> Response | tuple[str, int]:
    """The second person signs in for this one act; who works at the screen stays signed in."""
    fill, pump = find_fill(public_id)
    form = Form(request.form)
    filled_ml = visit_form.read_volumes(form)["filled_ml"]
    read = {
        "filled_ml": filled_ml,
        "drugs": visit_form.read_drugs(form),
        "checklist": visit_form.read_answers(form),
    }
    form.text("email", _("The e-mail address of the second person"), needed=True)
    second = None if form.errors else _second_person(form)
    if second is not None:
        try:
            refilling.confirm_fill(db.session(), second, pump, fill, read, at=page.at())
            db.session.commit()
            flash(_("Confirmed by the second person."), "done")
            return redirect(url_for("web.fill", public_id=public_id), 303)
        except FieldRefused as refused:
            db.session.rollback()
            visit_form.refuse(form, refused)
        except Conflict as conflict:
            db.session.rollback()
            form.refuse("email", f"{str(conflict)[:1].upper()}{str(conflict)[1:]}.")
    return _viewed(fill, pump, form), 422


@pages.post("/fills/<uuid:public_id>/call-off", endpoint="call_off_visit")
@requires("appointments.book")
def call_off(public_id: uuid.UUID) -> Response:
    """The visit that was booked before this refill took its place."""
    fill, pump = find_fill(public_id)
    visit = next_visit(pump, fill) or abort(404)
    try:
        editing.must_be_current(visit)
        filled_on = fill.at.astimezone(page.zone()).date()
        booking.cancel(db.session, actor(), visit, f"refilled on {filled_on} instead", at=page.at())
        db.session.commit()
        flash(_("The visit is called off. Calendars show it as cancelled."), "done")
    except Conflict as conflict:
        db.session.rollback()
        flash(_("Nothing was changed: %(refused)s.", refused=conflict), "refused")
    return redirect(url_for("web.fill", public_id=public_id), 303)


@pages.get("/pumps/<uuid:public_id>/fills", endpoint="fills")
@requires("fills.read")
def show_all(public_id: uuid.UUID) -> str:
    """The ledger, newest first, with what was corrected."""
    pump = find_pump(public_id)
    shown = page.render("fills.html", pump=pump, fills=ledger(pump), ratio_bar=ratio_bar)
    record_about(db.session(), actor(), "device.fills", pump, at=page.at())
    db.session.commit()
    return shown


@pages.get("/pumps/<uuid:public_id>/fills.csv", endpoint="fills_csv")
@requires("fills.read")
def download(public_id: uuid.UUID) -> Response:
    pump = find_pump(public_id)
    rows = [_csv_row(fill) for fill in ledger(pump)]
    record_about(db.session(), actor(), "device.fills.export", pump, {"rows": len(rows)}, at=page.at())
    db.session.commit()
    return csv_answer("fills", CSV_HEADER, rows)


def find_fill(public_id: uuid.UUID) -> tuple[Fill, Device]:
    """A fill of this clinic and its pump, or 404."""
    fill: Fill = find(db.session, Fill, actor().clinic_id, public_id) or abort(404)
    return fill, db.session.get_one(Device, fill.device_id)


def sheet_of(fill: Fill, pump: Device) -> FillSheet:
    history = settings_of(db.session(), [pump.id])[pump.id]
    before, after = refilling.settings_around(history, fill.at, page.zone())
    runs = refill_visit.pumps_after(db.session(), [(fill, pump)], page.zone())[fill.id]
    return FillSheet(
        fill,
        pump,
        before,
        after,
        refill_visit.checklist(fill),
        refill_visit.cautions_of(db.session(), pump, fill),
        runs,
        refill_visit.to_do(fill, runs),
        is_newest=fills_of(db.session(), [pump.id])[pump.id][-1] is fill,
    )


def next_visit(pump: Device, fill: Fill) -> Appointment | None:
    """The visit that is booked for a later day than this fill; that of its own day is done with it."""
    filled_on = fill.at.astimezone(page.zone()).date()
    statement = select(Appointment).where(
        Appointment.device_id == pump.id, Appointment.state == BOOKED, Appointment.day > filled_on
    )
    return db.session.scalars(statement).one_or_none()


def ledger(pump: Device) -> Sequence[Fill]:
    """Every fill ever entered, newest first, those that were corrected too."""
    statement = fills_with_names(select(Fill).where(Fill.device_id == pump.id))
    return db.session.scalars(statement.order_by(Fill.at.desc(), Fill.id.desc())).all()


def names_in(checklist: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The people who answered, by the public id on record."""
    ids = {uuid.UUID(row["by"]) for row in checklist if row["by"]}
    rows = db.session.execute(select(User.public_id, User.name).where(User.public_id.in_(ids)))
    return {str(public_id): name for public_id, name in rows}


def ratio_bar(ratio: float) -> tuple[float, float]:
    """Where a bar between programmed (50) and this ratio begins and how wide it is, in per cent."""
    end = 50 + 50 * max(-1.0, min(1.0, (ratio - 1) / BAR_HALF))
    return round(min(50.0, end), 1), round(abs(end - 50), 1)


def _second_person(form: Form) -> Actor | None:
    """Who signs in, if this person may record fills here; else None, and the form says so."""
    key = actor().seal_key
    user = accounts.sign_in(
        db.session(), form["email"], request.form.get("password", ""), page.at(),
        seal_key=key, address=request.remote_addr, action="second_person.sign_in",
    )  # fmt: skip
    db.session.commit()
    if user is None or user.clinic_id != actor().clinic_id:
        form.refuse("email", _("The e-mail address or the password is wrong."))
        return None
    if not allowed(user.role, "fills.record"):
        form.refuse("email", _("The second person has to be a nurse or a clinician."))
        return None
    return Actor(user.clinic_id, str(user.public_id), key, user.id)


def _viewed(fill: Fill, pump: Device, form: Form | None) -> str:
    """The page, and that it was seen."""
    shown = _page(fill, pump, form)
    record_about(db.session(), actor(), "device.fills", pump, {"fill": str(fill.public_id)}, at=page.at())
    db.session.commit()
    return shown


def _page(fill: Fill, pump: Device, form: Form | None) -> str:
    sheet, at = sheet_of(fill, pump), page.at()
    unmoved = None
    if sheet.is_newest and fill.aspirated_ml is not None:
        unmoved = refill_visit.date_without_measuring(db.session(), pump, fill, at)
    return page.render(
        "fill.html",
        sheet=sheet,
        fill=fill,
        pump=pump,
        form=form,
        names=names_in(sheet.checklist),
        forecast=refill_visit.forecast_of(db.session(), pump, at)
        if sheet.is_newest and pump.in_use
        else None,
        unmoved=unmoved,
        date_of=dt.date.fromisoformat,
        drug_rows=visit_form.drug_rows(form or Form({})),
        next_visit=next_visit(pump, fill) if sheet.is_newest else None,
    )


def _csv_row(fill: Fill) -> list[Any]:
    judged = fill.reconciliation or {}
    return [
        str(fill.public_id), fill.at, fill.aspirated_ml, fill.expected_ml, judged.get("difference_ml"),
        judged.get("ratio"), fill.filled_ml, fill.measured_after_ml, drugs_in_words(fill.drugs), fill.drug_lot,
        fill.drug_expires_on and fill.drug_expires_on.isoformat(), "; ".join(fill.flags), fill.performed_by.name,
        fill.confirmed_by and fill.confirmed_by.name, fill.confirmed_at,
        fill.replaced_by and str(fill.replaced_by.public_id),
    ]  # fmt: skip


def drugs_in_words(drugs: Sequence[Mapping[str, Any]]) -> str:
    """`morphine 10 mg/mL, bupivacaine 5 mg/mL`."""
    return ", ".join(
        _("%(drug)s %(mg_per_ml)s mg/mL", drug=drug["name"], mg_per_ml=words.number(drug["mg_per_ml"]))
        if drug.get("mg_per_ml") is not None
        else _("%(drug)s, concentration unknown", drug=drug["name"])
        for drug in drugs
    )
