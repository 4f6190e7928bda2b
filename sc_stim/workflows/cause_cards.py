"""The cause card of a pain finding: what is on record of the patient's devices, given to the rule."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from sc_stim.clinical import pain
from sc_stim.clinical.causes import CauseCard, cause_card, span_of
from sc_stim.clinical.causes_evidence import (
    DeviceEvent,
    DeviceRecord,
    FillOnRecord,
    Prescription,
    Sample,
    Span,
    shipped_rules,
)
from sc_stim.clinical.clinic_figures import formulary_of
from sc_stim.clinical.pump_record import DrugInPump
from sc_stim.devices.catalogue import StimulatorModel, UnknownModel, find_model
from sc_stim.models import Alert, Device, DeviceSetting, Fill, PainFinding, Patient
from sc_stim.models import DeviceEvent as DeviceEventRow
from sc_stim.models.clinic_figure import own_figures
from sc_stim.models.device import fills_of, settings_of
from sc_stim.models.series import SAMPLE_OF, start_of_day
from sc_stim.workflows.prescribing import FIELDS

CONDITIONS: Final = {"rise": "pain_rise", "fall": "pain_fall", "silence": "stopped_reporting"}
_RULES: Final = {condition: rule for rule, condition in CONDITIONS.items()}
_READ: Final[dict[str, tuple[str, ...]]] = {
    "pump": ("state", "flow_ml_per_day"),
    "stimulator": ("state", "on_s", "program", "amplitude_ma", "battery_pct", "impedance_ohm"),
}
_ONE_DAY: Final = dt.timedelta(days=1)


def finding_of(session: Session, alert: Alert) -> PainFinding | None:
    """The finding that an alert tells of, the newest where it tells of several; None for other alerts."""
    rule, flagged = _RULES.get(alert.condition), alert.detail.get("flagged")
    if rule is None or flagged is None:
        return None
    return session.scalars(
        select(PainFinding).where(
            PainFinding.patient_id == alert.patient_id,
            PainFinding.rule == rule,
            PainFinding.day == dt.date.fromisoformat(flagged),
            PainFinding.model_version == alert.model_version,
        )
    ).one_or_none()


def card_of(session: Session, patient: Patient, finding: PainFinding, at: dt.datetime) -> CauseCard:
    """What the devices said around this change, by all that has arrived until now.

    Looks up to the end of the day on which the finding was judged last, so that a later repair does not hide what it
    repaired, while data of those days that arrive late do count.
    """
    zone = ZoneInfo(patient.time_zone)
    checked = finding.tier == "persistent" or finding.kind == "flare"
    last_day = finding.day + (pain.CHECK_ON_DAY if checked else 0) * _ONE_DAY
    until = min(at, start_of_day(last_day + _ONE_DAY, zone))
    span = span_of(start_of_day(finding.onset, zone), until)
    own = own_figures(session, [patient.clinic_id])[patient.clinic_id]
    rules = replace(shipped_rules(), formulary=formulary_of(own))
    return cause_card(_records(session, patient, span), span, at, rules)


def card_of_alert(session: Session, alert: Alert, at: dt.datetime) -> CauseCard | None:
    """The card of a pain alert; None for other alerts, and for a finding that corrected scores took back."""
    finding = finding_of(session, alert)
    if finding is None or alert.patient is None:
        return None
    return card_of(session, alert.patient, finding, at)


def _records(session: Session, patient: Patient, span: Span) -> list[DeviceRecord]:
    devices = session.scalars(
        select(Device)
        .where(
            Device.patient_id == patient.id,
            or_(Device.explanted_on.is_(None), Device.explanted_on >= span.since.date()),
            or_(Device.implanted_on.is_(None), Device.implanted_on <= span.until.date()),
        )
        .order_by(Device.id)
    ).all()
    ids = [device.id for device in devices]
    settings, fills = settings_of(session, ids), fills_of(session, ids)
    return [
        DeviceRecord(
            label=f"{device.kind} {device.model} {device.serial}",
            kind=device.kind,  # type: ignore[arg-type]
            report_interval_s=device.report_interval_s,
            samples=_samples(session, device, span),
            events=_events(session, device, span),
            prescriptions=[_prescription(device.kind, row) for row in settings[device.id]],
            fills=list(_fills(fills[device.id])),
            **_limits(device),
        )
        for device in devices
    ]


def _samples(session: Session, device: Device, span: Span) -> list[Sample]:
    table: Any = SAMPLE_OF[device.kind]
    columns = [getattr(table, name) for name in _READ[device.kind]]
    rows = session.execute(
        select(table.measured_at.label("at"), *columns)
        .where(table.device_id == device.id, table.measured_at.between(span.usual_since, span.until))
        .order_by(table.measured_at, table.seq)
    )
    return [Sample(**row) for row in rows.mappings()]


def _events(session: Session, device: Device, span: Span) -> list[DeviceEvent]:
    at = DeviceEventRow.measured_at
    rows = session.execute(
        select(at, DeviceEventRow.kind, DeviceEventRow.state)
        .where(DeviceEventRow.device_id == device.id, at.between(span.since, span.until))
        .order_by(at, DeviceEventRow.seq)
    )
    return [DeviceEvent(at=at, kind=kind, state=state) for at, kind, state in rows]


def _prescription(kind: str, row: DeviceSetting) -> Prescription:
    values = {name: getattr(row, name) for name in FIELDS[kind] if name != "contacts"}
    said = {name: value for name, value in values.items() if value is not None}
    return Prescription(at=row.effective_at, values=said, contacts=row.contacts)


def _fills(fills: Sequence[Fill]) -> Iterator[FillOnRecord]:
    for number, fill in enumerate(fills):
        yield FillOnRecord(
            at=fill.at,
            drugs=msgspec.convert(fill.drugs, list[DrugInPump]),
            flags=fill.flags,
            expected_ml=fill.expected_ml,
            aspirated_ml=fill.aspirated_ml,
            is_first=number == 0,
        )


def _limits(device: Device) -> dict[str, float]:
    """The impedance figures of the model, where the catalogue knows it."""
    try:
        model = find_model(device.model)
    except UnknownModel:
        return {}
    if not isinstance(model, StimulatorModel):
        return {}
    return {"open_ohm": model.impedance_open.value, "short_ohm": model.impedance_short.value}
