"""The page of a refill visit: what is expected before the needle goes in, and the form that puts it on record."""

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any

from flask import abort, flash, g, redirect, request, url_for
from werkzeug.wrappers import Response

from sc_stim.access import allowed, requires
from sc_stim.clinical.drugs import shipped_formulary
from sc_stim.clinical.reconciliation import Flag, Reconciliation, pocket_fill_flags
from sc_stim.clinical.refill_rules import shipped_rules
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.i18n import _
from sc_stim.models import Device, DeviceSetting, Fill
from sc_stim.models.device import fills_of, setting_in_force
from sc_stim.models.scope import find
from sc_stim.web import page, visit_form
from sc_stim.web.blueprint import pages
from sc_stim.web.forms import Form
from sc_stim.workflows import idempotency, refill_visit, refilling
from sc_stim.workflows.prescribing import bolus_allowance_ml_per_day
from sc_stim.workflows.refusals import Conflict, FieldRefused
from sc_stim.workflows.registry import record_about


@dataclass(frozen=True)
class Visit:
    """A pump, and the fill that is corrected, if one is."""

    pump: Device
    wrong: Fill | None

    @property
    def fills(self) -> list[Fill]:
        """Oldest first, without the one that is corrected."""
        return [row for row in fills_of(db.session(), [self.pump.id])[self.pump.id] if row is not self.wrong]

    @property
    def setting(self) -> DeviceSetting | None:
        return setting_in_force(db.session(), self.pump.id, page.at())


@dataclass(frozen=True)
class Shown:
    """What the record expects of a visit, and what the volumes typed so far show.

    expected: as if nothing were drawn out, which is where the script computes from; judged: None while nothing is typed
    """

    expected: Reconciliation | None
    judged: Reconciliation | None
    flags: list[Flag]


def find_pump(public_id: uuid.UUID) -> Device:
    """A pump of this clinic, or 404."""
    device: Device | None = find(db.session, Device, actor().clinic_id, public_id)
    return device if device is not None and device.kind == "pump" else abort(404)


@pages.get("/pumps/<uuid:public_id>/visit", endpoint="refill_visit")
@requires("fills.record")
def show(public_id: uuid.UUID) -> str:
    """`?replaces=` is the id of a fill to correct."""
    visit = _visit(public_id, request.args.get("replaces", ""))
    local = page.at().astimezone(page.zone())
    form = (
        visit_form.correcting(visit.wrong, page.zone())
        if visit.wrong
        else visit_form.new(visit.pump, visit.fills[-1] if visit.fills else None, visit.setting, local)
    )
    return _viewed(visit, form)


@pages.post("/pumps/<uuid:public_id>/visit/check", endpoint="check_visit")
@requires("fills.record")
def check(public_id: uuid.UUID) -> tuple[str, int]:
    """The form again, with what the volumes typed so far show. Nothing is kept."""
    visit, form = _visit(public_id, request.form.get("replaces", "")), Form(request.form)
    visit_form.read_volumes(form, filled=False)
    return _viewed(visit, form, checked=True), 422 if form.errors else 200


@pages.post("/pumps/<uuid:public_id>/visit", endpoint="record_visit")
@requires("fills.record")
def record(public_id: uuid.UUID) -> Response | tuple[str, int]:
    """Puts the visit on record once, however often the form is sent."""
    visit, form = _visit(public_id, request.form.get("replaces", "")), Form(request.form)
    values = visit_form.read(form, page.zone(), visit.wrong)
    if visit.wrong is None and allowed(g.user.role, "settings.prescribe"):
        prescription = visit_form.read_prescription(form, visit.setting)
        values |= {"prescribe": prescription} if prescription else {}
    if not form.errors:
        try:
            return _recorded(visit, form, values)
        except FieldRefused as refused:
            db.session.rollback()
            visit_form.refuse(form, refused)
        except Conflict as conflict:
            db.session.rollback()
            form.refuse("at", f"{str(conflict)[:1].upper()}{str(conflict)[1:]}.")
    return _viewed(visit, form), 422


def _recorded(visit: Visit, form: Form, values: dict[str, Any]) -> Response:
    key = f"visit:{visit.pump.public_id}:{form.id('key', 'the form') or uuid.uuid4()}"
    kept, first = idempotency.claim(db.session(), g.user.id, key, b"", at=page.at())
    if first:
        replaces = visit.wrong.public_id if visit.wrong else None
        fill = refilling.record_fill(db.session(), actor(), visit.pump, values, replaces, at=page.at())
        kept.status, kept.body = 303, {"fill": str(fill.public_id)}
        flash(_("The visit is on record.") if replaces is None else _("The correction is on record."), "done")
    else:
        flash(_("This visit was on record already. If something is wrong, correct it here."), "done")
    public_id = kept.body["fill"]
    db.session.commit()
    return redirect(url_for("web.fill", public_id=public_id), 303)


def _visit(public_id: uuid.UUID, replaces: str) -> Visit:
    pump = find_pump(public_id)
    if not replaces:
        return Visit(pump, None)
    try:
        wrong = refilling.find_fill(db.session(), pump, uuid.UUID(replaces))
    except ValueError:
        wrong = None
    return Visit(pump, wrong or abort(404))


def _viewed(visit: Visit, form: Form, *, checked: bool = False) -> str:
    """The page, and that it was seen."""
    shown = _page(visit, form, checked)
    record_about(db.session(), actor(), "device.visit", visit.pump, at=page.at())
    db.session.commit()
    return shown


def _page(visit: Visit, form: Form, checked: bool) -> str:
    pump, setting = visit.pump, visit.setting
    moment = Form({"at": form["at"]}).moment("at", "", page.zone()) or page.at()
    before = [row for row in visit.fills if row.at < moment]
    return page.render(
        "refill_visit.html",
        pump=pump,
        wrong=visit.wrong,
        form=form,
        checked=checked,
        setting=setting,
        last=before[-1] if before else None,
        last_today=bool(before) and before[-1].at.astimezone(page.zone()).date() == page.today(),
        after_last=refill_visit.pumps_after(db.session(), [(before[-1], pump)], page.zone())[before[-1].id]
        if before
        else None,
        forecast=refill_visit.forecast_of(db.session(), pump, page.at()),
        shown=_shown(visit, form, moment),
        expected_at=moment,
        rules=shipped_rules(),
        steps=visit_form.steps(),
        drug_rows=visit_form.drug_rows(form),
        step_rows=visit_form.step_rows(form),
        drug_names=sorted(shipped_formulary().drugs),
        states=visit_form.STATES.items(),
        lasts=_lasts(form, setting),
        may_prescribe=allowed(g.user.role, "settings.prescribe") and visit.wrong is None,
    )


def _shown(visit: Visit, form: Form, at: dt.datetime) -> Shown:
    expected = refilling.compared(db.session(), visit.pump, at, 0.0, visit.wrong)
    typed = Form({name: form[name] for name in ("aspirated_ml", "filled_ml", "measured_after_ml")})
    volumes = visit_form.read_volumes(typed)
    aspirated_ml, filled_ml, after_ml = volumes.values()
    judged = None
    if aspirated_ml is not None:
        judged = refilling.compared(db.session(), visit.pump, at, aspirated_ml, visit.wrong)
    flags = list(judged.flags) if judged else []
    if filled_ml is not None and after_ml is not None and visit.pump.reservoir_ml:
        flags += pocket_fill_flags(filled_ml, after_ml, visit.pump.reservoir_ml, shipped_rules())
    return Shown(expected, judged, flags)


def _lasts(form: Form, setting: DeviceSetting | None) -> dict[str, float | None]:
    """Days until so much is used up, by the field of the flow."""
    typed = form.again()
    filled_ml = visit_form.read_volumes(typed)["filled_ml"]
    mean = visit_form.mean_of_steps(typed)

    def lasts(flow_field: str, boluses_ml_per_day: float, of_steps: float | None = None) -> float | None:
        flow = typed.number(flow_field, "", least=0, most=visit_form.MOST_ML_PER_DAY)
        return visit_form.lasts_days(filled_ml, flow if of_steps is None else of_steps, boluses_ml_per_day)

    bolus_ml = typed.number("bolus_ml", "", least=0, most=visit_form.MOST_BOLUS_ML)
    most = typed.whole("max_boluses_per_day", "", least=0, most=visit_form.MOST_BOLUSES)
    allowance = bolus_allowance_ml_per_day({"bolus_ml": bolus_ml, "max_boluses_per_day": most})
    return {
        "flow_ml_per_day": lasts("flow_ml_per_day", allowance, mean),
        "programmed_flow_ml_per_day": lasts("programmed_flow_ml_per_day", 0.0),
    }
