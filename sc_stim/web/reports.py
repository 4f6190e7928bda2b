"""Records for the paper file: one refill visit, the ledger of a pump's fills, and the report on a patient."""

import datetime as dt
import statistics
import uuid
from collections.abc import Iterable, Sequence
from typing import Any, Final

from flask import abort
from sqlalchemy import select
from werkzeug.wrappers import Response

from sc_stim.access import requires
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.i18n import _, _lazy
from sc_stim.models import Alert, Device, DeviceSetting, Fill, PainFinding, PainScore, Patient, Review
from sc_stim.models.replaced import not_replaced
from sc_stim.models.scope import find
from sc_stim.web import dates, page, words
from sc_stim.web.blueprint import pages
from sc_stim.web.fills import FillSheet, drugs_in_words, find_fill, ledger, names_in, sheet_of
from sc_stim.web.implants import Implant, implants_of
from sc_stim.web.paper import Paper
from sc_stim.web.patient import alerts_of, names_of, newest_fills, pathway_of
from sc_stim.web.refill_visit import find_pump
from sc_stim.web.words import number
from sc_stim.workflows import audit
from sc_stim.workflows.registry import record_about

PAIN_DAYS: Final = (30, 90)
MOST_REVIEWS: Final = 20
NOBODY: Final = _lazy("no patient assigned")
SETTINGS: Final = (
    ("flow_ml_per_day", _lazy("Flow"), "mL/day"),
    ("bolus_ml", _lazy("Bolus"), "mL"),
    ("max_boluses_per_day", _lazy("Boluses a day"), ""),
    ("lockout_min", _lazy("Between boluses"), "min"),
)


@pages.get("/fills/<uuid:public_id>/record.pdf", endpoint="fill_record")
@requires("fills.read")
def fill_record(public_id: uuid.UUID) -> Response:
    """One visit, with both names and both sets of values."""
    fill, pump = find_fill(public_id)
    paper = Paper(_("Refill record"), about=_about(pump.patient))
    _write_visit(paper, sheet_of(fill, pump))
    record_about(db.session(), actor(), "device.fills.export", pump, {"fill": str(public_id)}, at=page.at())
    db.session.commit()
    return paper.answer("refill-record")


@pages.get("/pumps/<uuid:public_id>/fills.pdf", endpoint="fills_record")
@requires("fills.read")
def fills_record(public_id: uuid.UUID) -> Response:
    """Every fill of a pump, with those that were corrected."""
    pump = find_pump(public_id)
    fills = ledger(pump)
    paper = Paper(_("Fills"), about=_about(pump.patient))
    paper.facts([(_("Pump"), _device(pump))])
    _write_ledger(
        paper, fills, {row.performed_by_id: row.performed_by.name for row in fills} | _second_names(fills)
    )
    record_about(db.session(), actor(), "device.fills.export", pump, {"rows": len(fills)}, at=page.at())
    db.session.commit()
    return paper.answer("fills")


@pages.get("/patients/<uuid:public_id>/report.pdf", endpoint="patient_report")
@requires("patients.read")
def patient_report(public_id: uuid.UUID) -> Response:
    """What the patient's page says, without its charts."""
    patient: Patient = find(db.session, Patient, actor().clinic_id, public_id) or abort(404)
    implants = implants_of(db.session(), patient, page.at())
    paper = Paper(_("Patient report"), about=_about(patient))
    _write_identity(paper, patient)
    for implant in implants:
        _write_device(paper, implant)
    _write_alerts(paper, alerts_of(patient, implants))
    _write_pain(paper, patient)
    paper.heading(_("Fills"))
    fills = [fill for _, fill in newest_fills(implants)]
    _write_ledger(paper, fills, names_of(fills))
    _write_pathway(paper, patient)
    _write_reviews(paper, patient)
    audit.record(db.session(), actor(), "patient.export", "patient", patient.public_id, at=page.at())
    db.session.commit()
    return paper.answer("patient-report")


def _write_visit(paper: Paper, sheet: FillSheet) -> None:
    fill, second = sheet.fill, sheet.fill.confirmed_by
    if fill.replaced_by is not None:
        paper.words(_("THIS ENTRY WAS CORRECTED. It is kept as it was."))
    paper.facts([(_("Pump"), _device(sheet.pump)), (_("Visit"), _moment(fill.at))])
    paper.heading(_("Two people"))
    read = fill.confirmed_values or {}
    paper.rows(
        [_("What"), _("Filled by"), _("Read by the second person")],
        [
            [_("Name"), fill.performed_by.name, second.name if second else _("not yet confirmed")],
            [_("Time"), _moment(fill.at), _moment(fill.confirmed_at)],
            [_("Volume"), _ml(fill.filled_ml), _ml(read.get("filled_ml"))],
            [_("Drugs"), drugs_in_words(fill.drugs), drugs_in_words(read.get("drugs", []))],
        ],
        [1, 2, 2],
    )
    paper.heading(_("Volumes"))
    paper.facts(
        [
            (_("Aspirated"), _ml(fill.aspirated_ml)),
            (_("Expected"), _ml(fill.expected_ml)),
            (_("Difference and ratio"), _compared(fill)),
            (_("Measured after filling"), _ml(fill.measured_after_ml)),
            (_("Lot"), fill.drug_lot),
            (_("Expires"), _day(fill.drug_expires_on)),
            (_("Findings"), _flags(fill) or _("none")),
        ]
    )
    _write_settings(paper, sheet)
    _write_checklist(paper, sheet)
    if fill.note:
        paper.heading(_("Note"))
        paper.words(fill.note)
    paper.heading(_("Signatures"))
    paper.signatures(
        [
            (_("Filled by"), fill.performed_by.name),
            (_("Read by the second person"), second.name if second else None),
        ]
    )


def _write_settings(paper: Paper, sheet: FillSheet) -> None:
    programmed = sheet.fill.programmed or {}
    rows = [
        [
            name,
            _setting(sheet.before, field, unit),
            _setting(sheet.after, field, unit),
            _with(programmed.get(field), unit),
        ]
        for field, name, unit in SETTINGS
    ]
    state = programmed.get("state")
    paper.heading(_("Settings"))
    paper.rows(
        [_("Setting"), _("Prescribed before"), _("Prescribed after"), _("The pump showed")],
        [*rows, [_("State"), "", "", words.plain(state) if state else ""]],
    )


def _write_checklist(paper: Paper, sheet: FillSheet) -> None:
    names = names_in(sheet.checklist)
    paper.heading(_("Checklist"))
    paper.rows(
        [_("Step"), _("Answer"), _("By")],
        [
            [
                row["text"],
                words.plain(row["answer"]) if row["answer"] else _("nobody answered"),
                f"{names.get(row['by'], row['by'])}, {_moment(row['at'])}" if row["by"] else "",
            ]
            for row in sheet.checklist
        ],
        [4, 2, 3],
    )


def _write_ledger(paper: Paper, fills: Sequence[Fill], names: dict[int, str]) -> None:
    if not fills:
        paper.words(_("No fill is on record."))
        return
    rows = [
        [
            _moment(fill.at),
            _(
                "%(aspirated)s, expected %(expected)s",
                aspirated=_ml(fill.aspirated_ml) or _("not measured"),
                expected=_ml(fill.expected_ml) or _("not known"),
            ),
            _ratio(fill),
            f"{_ml(fill.filled_ml)} {drugs_in_words(fill.drugs)}",
            "; ".join(filter(None, [_("Corrected") if fill.replaced_by else "", _flags(fill)])),
            _by(fill, names),
        ]
        for fill in fills
    ]
    paper.rows(
        [_("Filled"), _("Aspirated"), _("Ratio"), _("Filled with"), _("Notes"), _("By")],
        rows,
        [3, 3, 2, 3, 3, 3],
    )


def _write_identity(paper: Paper, patient: Patient) -> None:
    paper.facts(
        [
            (_("Name"), patient.display_name), (_("Born"), _day(patient.birth_date)), (_("Record number"), patient.mrn),
            (_("Telephone"), patient.phone), (_("Indication"), patient.indication),
            (_("Risk factors"), ", ".join(patient.risk_factors).replace("_", " ") or _("none on record")),
            (_("Prone to withdrawal"), _("yes") if patient.withdrawal_prone else _("no")),
        ]
    )  # fmt: skip


def _write_device(paper: Paper, implant: Implant) -> None:
    device, forecast = implant.device, implant.forecast
    paper.heading(f"{device.kind.capitalize()} {_device(device)}")
    heard = implant.state.heard_at if implant.state else None
    out = [(_("Explanted"), _explanted(device))] if device.explanted_on else []
    facts = [
        (_("Status"), words.say(words.DEVICE_STATUS, device.status)),
        *out,
        (_("Implanted"), _day(device.implanted_on)),
        (_("Last contact"), _heard(heard, silent=implant.silent)),
        (_("Prescribed"), _prescribed(implant.setting, device.kind)),
    ]
    if device.kind == "pump":
        said = forecast.refused if forecast else None
        refill_by = _day(forecast.refill_by) if forecast else None
        due = words.say(words.REFUSAL, said) if said else refill_by
        facts += [
            (_("In the pump"), drugs_in_words(implant.fills[-1].drugs) if implant.fills else None),
            *([] if device.explanted_on else [(_("Refill by"), due)]),
            (_("Catheter tip"), device.catheter_tip_level),
        ]
    facts += [
        (
            _("Lead %(position)s", position=lead.position + 1),
            _(
                "%(contacts)s contacts, tip at %(level)s",
                contacts=lead.contacts,
                level=lead.tip_level or _("a level not known"),
            ),
        )
        for lead in device.leads
    ]
    paper.facts(facts)


def _explanted(device: Device) -> str:
    why = words.say(words.EXPLANTATION, device.explantation_reason) if device.explantation_reason else None
    return ": ".join(filter(None, [_day(device.explanted_on), why]))


def _write_alerts(paper: Paper, alerts: Sequence[Alert]) -> None:
    paper.heading(_("Open alerts"))
    if not alerts:
        paper.words(_("None."))
        return
    rows = [
        [
            words.say(words.SEVERITY, alert.severity), words.say(words.CONDITION, alert.condition),
            _moment(alert.since), words.say(words.ALERT_STATE, alert.state),
        ]
        for alert in alerts
    ]  # fmt: skip
    paper.rows([_("Severity"), _("Alert"), _("Since"), _("State")], rows, [1, 2, 2, 2])


def _write_pain(paper: Paper, patient: Patient) -> None:
    paper.heading(_("Pain (NRS, 0 to 10)"))
    for days in PAIN_DAYS:
        paper.facts(
            [(_("Last %(days)s days", days=days), _pain(patient, page.at() - dt.timedelta(days=days)))]
        )
    since = page.today() - dt.timedelta(days=max(PAIN_DAYS))
    found = db.session.scalars(
        select(PainFinding)
        .where(PainFinding.patient_id == patient.id, PainFinding.day >= since)
        .order_by(PainFinding.day.desc())
    )
    paper.facts((_day(row.day) or "", words.say(words.PAIN_FINDING, row.kind)) for row in found)


def _pain(patient: Patient, since: dt.datetime) -> str:
    """A mean says nothing without how many scores it is of."""
    scores = db.session.scalars(
        select(PainScore.nrs).where(
            PainScore.patient_id == patient.id, PainScore.measured_at > since, PainScore.measured_at <= page.at(),
            not_replaced(PainScore),
        )
    ).all()  # fmt: skip
    if not scores:
        return _("no data")
    mean = statistics.fmean(scores)
    return _(
        "mean %(mean)s, lowest %(min)s, highest %(max)s, of %(scores)s scores",
        mean=f"{mean:.1f}",
        min=number(min(scores)),
        max=number(max(scores)),
        scores=len(scores),
    )


def _write_pathway(paper: Paper, patient: Patient) -> None:
    paper.heading(_("Care pathway"))
    rows = [_step(step) for step in pathway_of(patient)]
    if rows:
        paper.rows([_("When"), _("What"), _("Result")], rows, [2, 2, 3])
    else:
        paper.words(_("Nothing is on record."))


def _step(step: Any) -> list[str]:
    if hasattr(step, "performed_on"):
        return [_day(step.performed_on) or "", words.plain(step.kind), step.finding or ""]
    when = (
        _("%(started_on)s to %(ended_on)s", started_on=_day(step.started_on), ended_on=_day(step.ended_on))
        if step.ended_on
        else _("since %(started_on)s", started_on=_day(step.started_on))
    )
    relief = (
        _("relief %(relief_pct)s %%", relief_pct=number(step.relief_pct))
        if step.relief_pct is not None
        else ""
    )
    return [when, words.plain(step.kind), ", ".join(filter(None, [relief, step.outcome]))]


def _write_reviews(paper: Paper, patient: Patient) -> None:
    paper.heading(_("Reviews"))
    statement = select(Review).where(Review.patient_id == patient.id).order_by(Review.reviewed_at.desc())
    reviews = db.session.scalars(statement.limit(MOST_REVIEWS)).all()
    rows = [[_moment(row.reviewed_at) or "", row.reviewed_by.name, row.comment or ""] for row in reviews]
    if rows:
        paper.rows([_("Reviewed"), _("By"), _("Comment")], rows, [2, 2, 3])
    else:
        paper.words(_("Nobody has marked this patient as reviewed yet."))


def _about(patient: Patient | None) -> str:
    """Three things by which a person is known: name, date of birth and record number."""
    if patient is None:
        return str(NOBODY)
    born = _day(patient.birth_date) or _("not on record")
    return _("%(name)s · born %(born)s · %(mrn)s", name=patient.display_name, born=born, mrn=patient.mrn)


def _device(device: Device) -> str:
    return _(
        "%(manufacturer)s %(model)s, serial %(serial)s",
        manufacturer=device.manufacturer,
        model=device.model,
        serial=device.serial,
    )


def _second_names(fills: Iterable[Fill]) -> dict[int, str]:
    return {fill.confirmed_by.id: fill.confirmed_by.name for fill in fills if fill.confirmed_by}


def _prescribed(setting: DeviceSetting | None, kind: str) -> str | None:
    if setting is None:
        return None
    if kind == "pump":
        said = [f"{name.lower()} {_setting(setting, field, unit)}" for field, name, unit in SETTINGS]
        given = [
            text
            for text, (field, *_) in zip(said, SETTINGS, strict=True)
            if getattr(setting, field) is not None
        ]
    else:
        parts = (
            ("program", "programme", ""),
            ("amplitude_ma", "", "mA"),
            ("pulse_width_us", "", "µs"),
            ("rate_hz", "", "Hz"),
        )
        given = [
            f"{name} {_setting(setting, field, unit)}".strip()
            for field, name, unit in parts
            if getattr(setting, field) is not None
        ]
    return _(
        "%(count)s, since %(effective_at)s",
        count=", ".join(given),
        effective_at=_moment(setting.effective_at),
    )


def _setting(setting: DeviceSetting | None, field: str, unit: str) -> str:
    return _with(getattr(setting, field), unit) if setting else ""


def _with(value: Any, unit: str) -> str:
    if value is None:
        return ""
    return f"{value if isinstance(value, str) else number(value)} {unit}".strip()


def _compared(fill: Fill) -> str | None:
    judged = fill.reconciliation
    if not judged:
        return None
    difference = judged["difference_ml"]
    values = {
        "difference_ml": f"{abs(difference):.1f}",
        "delivered_ml": f"{judged['delivered_ml']:.1f}",
        "programmed_ml": f"{judged['programmed_ml']:.1f}",
        "ratio": _ratio(fill),
    }
    if difference > 0:
        return _(
            "%(difference_ml)s mL less than expected; %(delivered_ml)s mL delivered "
            "for %(programmed_ml)s mL programmed, ratio %(ratio)s",
            **values,
        )
    return _(
        "%(difference_ml)s mL more than expected; %(delivered_ml)s mL delivered "
        "for %(programmed_ml)s mL programmed, ratio %(ratio)s",
        **values,
    )


def _by(fill: Fill, names: dict[int, str]) -> str:
    """Who filled, and whether a second person confirmed it."""
    name = names[fill.performed_by_id]
    if fill.confirmed_by_id is None:
        return _("%(name)s, not confirmed", name=name)
    return _("%(name)s, confirmed by %(second)s", name=name, second=names[fill.confirmed_by_id])


def _heard(at: dt.datetime | None, *, silent: bool) -> str:
    last = _moment(at) or _("never")
    return _("%(last)s (silent)", last=last) if silent else last


def _ratio(fill: Fill) -> str:
    ratio = (fill.reconciliation or {}).get("ratio")
    return _("not known") if ratio is None else f"{ratio:.2f} ({100 * (ratio - 1):+.0f} %)"


def _flags(fill: Fill) -> str:
    return "; ".join(words.say(words.FLAG, flag) for flag in fill.flags)


def _ml(value: float | None) -> str:
    return "" if value is None else f"{number(value, 4)} mL"


def _day(value: dt.date | None) -> str | None:
    return dates.day(value, page.country()) if value else None


def _moment(value: dt.datetime | None) -> str:
    return dates.moment(value, page.zone(), page.country()) if value else ""
