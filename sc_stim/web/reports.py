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
NOBODY: Final = "no patient assigned"
SETTINGS: Final = (
    ("flow_ml_per_day", "Flow", "mL/day"), ("bolus_ml", "Bolus", "mL"), ("max_boluses_per_day", "Boluses a day", ""),
    ("lockout_min", "Between boluses", "min"),
)  # fmt: skip


@pages.get("/fills/<uuid:public_id>/record.pdf", endpoint="fill_record")
@requires("fills.read")
def fill_record(public_id: uuid.UUID) -> Response:
    """One visit, with both names and both sets of values."""
    fill, pump = find_fill(public_id)
    paper = Paper("Refill record", about=_about(pump.patient))
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
    paper = Paper("Fills", about=_about(pump.patient))
    paper.facts([("Pump", _device(pump))])
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
    paper = Paper("Patient report", about=_about(patient))
    _write_identity(paper, patient)
    for implant in implants:
        _write_device(paper, implant)
    _write_alerts(paper, alerts_of(patient, implants))
    _write_pain(paper, patient)
    paper.heading("Fills")
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
        paper.words("THIS ENTRY WAS CORRECTED. It is kept as it was.")
    paper.facts([("Pump", _device(sheet.pump)), ("Visit", _moment(fill.at))])
    paper.heading("Two people")
    read = fill.confirmed_values or {}
    paper.rows(
        ["What", "Filled by", "Read by the second person"],
        [
            ["Name", fill.performed_by.name, second.name if second else "not yet confirmed"],
            ["Time", _moment(fill.at), _moment(fill.confirmed_at)],
            ["Volume", _ml(fill.filled_ml), _ml(read.get("filled_ml"))],
            ["Drugs", drugs_in_words(fill.drugs), drugs_in_words(read.get("drugs", []))],
        ],
        [1, 2, 2],
    )
    paper.heading("Volumes")
    paper.facts(
        [
            ("Aspirated", _ml(fill.aspirated_ml)), ("Expected", _ml(fill.expected_ml)),
            ("Difference and ratio", _compared(fill)), ("Measured after filling", _ml(fill.measured_after_ml)),
            ("Lot", fill.drug_lot), ("Expires", _day(fill.drug_expires_on)), ("Findings", _flags(fill) or "none"),
        ]
    )  # fmt: skip
    _write_settings(paper, sheet)
    _write_checklist(paper, sheet)
    if fill.note:
        paper.heading("Note")
        paper.words(fill.note)


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
    paper.heading("Settings")
    paper.rows(
        ["Setting", "Prescribed before", "Prescribed after", "The pump showed"],
        [*rows, ["State", "", "", words.plain(state) if state else ""]],
    )


def _write_checklist(paper: Paper, sheet: FillSheet) -> None:
    names = names_in(sheet.checklist)
    paper.heading("Checklist")
    paper.rows(
        ["Step", "Answer", "By"],
        [
            [
                row["text"],
                words.plain(row["answer"]) if row["answer"] else "nobody answered",
                f"{names.get(row['by'], row['by'])}, {_moment(row['at'])}" if row["by"] else "",
            ]
            for row in sheet.checklist
        ],
        [3, 1, 2],
    )


def _write_ledger(paper: Paper, fills: Sequence[Fill], names: dict[int, str]) -> None:
    if not fills:
        paper.words("No fill is on record.")
        return
    rows = [
        [
            _moment(fill.at),
            f"{_ml(fill.aspirated_ml) or 'not measured'}, expected {_ml(fill.expected_ml) or 'not known'}",
            _ratio(fill),
            f"{_ml(fill.filled_ml)} {drugs_in_words(fill.drugs)}",
            "; ".join(filter(None, ["Corrected" if fill.replaced_by else "", _flags(fill)])),
            names[fill.performed_by_id]
            + (
                f", confirmed by {names[fill.confirmed_by_id]}" if fill.confirmed_by_id else ", not confirmed"
            ),
        ]
        for fill in fills
    ]
    paper.rows(["Filled", "Aspirated", "Ratio", "Filled with", "Notes", "By"], rows, [3, 3, 2, 3, 3, 3])


def _write_identity(paper: Paper, patient: Patient) -> None:
    paper.facts(
        [
            ("Name", patient.display_name), ("Born", _day(patient.birth_date)), ("Record number", patient.mrn),
            ("Telephone", patient.phone), ("Indication", patient.indication),
            ("Risk factors", ", ".join(patient.risk_factors).replace("_", " ") or "none on record"),
            ("Prone to withdrawal", "yes" if patient.withdrawal_prone else "no"),
        ]
    )  # fmt: skip


def _write_device(paper: Paper, implant: Implant) -> None:
    device, forecast = implant.device, implant.forecast
    paper.heading(f"{device.kind.capitalize()} {_device(device)}")
    heard = implant.state.heard_at if implant.state else None
    facts = [
        ("Status", words.say(words.DEVICE_STATUS, device.status)),
        ("Implanted", _day(device.implanted_on)),
        ("Last contact", (_moment(heard) or "never") + (" (silent)" if implant.silent else "")),
        ("Prescribed", _prescribed(implant.setting, device.kind)),
    ]
    if device.kind == "pump":
        said = forecast.refused if forecast else None
        refill_by = _day(forecast.refill_by) if forecast else None
        facts += [
            ("In the pump", drugs_in_words(implant.fills[-1].drugs) if implant.fills else None),
            ("Refill by", words.say(words.REFUSAL, said) if said else refill_by),
            ("Catheter tip", device.catheter_tip_level),
        ]
    facts += [
        (
            f"Lead {lead.position + 1}",
            f"{lead.contacts} contacts, tip at {lead.tip_level or 'a level not known'}",
        )
        for lead in device.leads
    ]
    paper.facts(facts)


def _write_alerts(paper: Paper, alerts: Sequence[Alert]) -> None:
    paper.heading("Open alerts")
    if not alerts:
        paper.words("None.")
        return
    rows = [
        [
            words.say(words.SEVERITY, alert.severity), words.say(words.CONDITION, alert.condition),
            _moment(alert.since), words.say(words.ALERT_STATE, alert.state),
        ]
        for alert in alerts
    ]  # fmt: skip
    paper.rows(["Severity", "Alert", "Since", "State"], rows, [1, 2, 2, 2])


def _write_pain(paper: Paper, patient: Patient) -> None:
    paper.heading("Pain (NRS, 0 to 10)")
    for days in PAIN_DAYS:
        paper.facts([(f"Last {days} days", _pain(patient, page.at() - dt.timedelta(days=days)))])
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
        return "no data"
    mean = statistics.fmean(scores)
    return f"mean {mean:.1f}, lowest {number(min(scores))}, highest {number(max(scores))}, of {len(scores)} scores"


def _write_pathway(paper: Paper, patient: Patient) -> None:
    paper.heading("Care pathway")
    rows = [_step(step) for step in pathway_of(patient)]
    if rows:
        paper.rows(["When", "What", "Result"], rows, [2, 2, 3])
    else:
        paper.words("Nothing is on record.")


def _step(step: Any) -> list[str]:
    if hasattr(step, "performed_on"):
        return [_day(step.performed_on) or "", words.plain(step.kind), step.finding or ""]
    when = (
        f"{_day(step.started_on)} to {_day(step.ended_on)}"
        if step.ended_on
        else f"since {_day(step.started_on)}"
    )
    relief = f"relief {number(step.relief_pct)} %" if step.relief_pct is not None else ""
    return [when, words.plain(step.kind), ", ".join(filter(None, [relief, step.outcome]))]


def _write_reviews(paper: Paper, patient: Patient) -> None:
    paper.heading("Reviews")
    statement = select(Review).where(Review.patient_id == patient.id).order_by(Review.reviewed_at.desc())
    reviews = db.session.scalars(statement.limit(MOST_REVIEWS)).all()
    rows = [[_moment(row.reviewed_at) or "", row.reviewed_by.name, row.comment or ""] for row in reviews]
    if rows:
        paper.rows(["Reviewed", "By", "Comment"], rows, [2, 2, 3])
    else:
        paper.words("Nobody has marked this patient as reviewed yet.")


def _about(patient: Patient | None) -> str:
    return f"{patient.display_name} · {patient.mrn}" if patient else NOBODY


def _device(device: Device) -> str:
    return f"{device.manufacturer} {device.model}, serial {device.serial}"


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
    return f"{', '.join(given)}, since {_moment(setting.effective_at)}"


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
    way = "less" if difference > 0 else "more"
    said = f"{abs(difference):.1f} mL {way} than expected; {judged['delivered_ml']:.1f} mL delivered"
    return f"{said} for {judged['programmed_ml']:.1f} mL programmed, ratio {_ratio(fill)}"


def _ratio(fill: Fill) -> str:
    ratio = (fill.reconciliation or {}).get("ratio")
    return "not known" if ratio is None else f"{ratio:.2f} ({100 * (ratio - 1):+.0f} %)"


def _flags(fill: Fill) -> str:
    return "; ".join(words.say(words.FLAG, flag) for flag in fill.flags)


def _ml(value: float | None) -> str:
    return "" if value is None else f"{number(value, 4)} mL"


def _day(value: dt.date | None) -> str | None:
    return dates.day(value, page.country()) if value else None


def _moment(value: dt.datetime | None) -> str:
    return dates.moment(value, page.zone(), page.country()) if value else ""
