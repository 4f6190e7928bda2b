"""Refill forecasts of many pumps: compute, store, and flag the pumps to fill."""

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from sc_stim.clinical.alert_lifecycle import State
from sc_stim.clinical.drugs import UnknownDrug, shipped_formulary
from sc_stim.clinical.refill import MODEL_VERSION, Forecast
from sc_stim.clinical.refusal import Refused
from sc_stim.clinical.risk import PumpAtRisk, Risk, RiskLabel, explained, judge_risk
from sc_stim.devices.store import Bulk, document
from sc_stim.models import Alert, Device, Patient
from sc_stim.models import Forecast as ForecastRow
from sc_stim.models.base import among
from sc_stim.tasks.work import Subjects
from sc_stim.workflows import alerts
from sc_stim.workflows.conditions import stopped_pumps
from sc_stim.workflows.refilling import RefillCase, refill_case
from sc_stim.workflows.visits import missed_since_fill

CONDITION = "refill_due"
DUE_WITHIN = dt.timedelta(days=7)
STOPPED = 1e9  # stands above every pump that runs
COLUMNS = (
    "device_id", "clinic_id", "computed_at", "model_version", "refill_by", "binding_clock", "earliest_empty_on",
    "refused", "danger", "risk", "result",
)  # fmt: skip
_UPDATE = "(device_id) DO UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[1:])


def judge_refills(
    session: Session, subjects: Subjects, at: dt.datetime, stopped: Collection[int] | None = None
) -> Mapping[int, dt.datetime]:
    """Forecast these pumps and keep the alert of each that is due. `stopped`: those that stand still, where known."""
    cases = refill_case(session, list(subjects), at)
    devices = _devices(session, list(cases))
    if stopped is None:
        stopped = stopped_pumps(session, [device for device, _ in devices.values()], at)
    flagged = _flagged(session, list(cases))
    missed = missed_since_fill(session, list(cases))
    bulk, rows = Bulk(session.connection()), []
    for device_id, case in sorted(cases.items()):
        if device_id not in devices:
            continue
        device, reachable = devices[device_id]
        forecast = case.forecast(at)
        pump = PumpAtRisk(
            forecast=forecast,
            withdrawal_class=_withdrawal_class(case),
            timezone=ZoneInfo(case.timezone),
            therapy_stopped=device_id in stopped,
            missed_visits=missed.get(device_id, 0),
            reachable=reachable,
        )
        risk = judge_risk(pump, at)
        rows.append(_row(bulk, device, case, forecast, risk, explained(pump, risk), at))
        _flag(session, device, case, forecast, risk, flagged.get(device_id), at)
    bulk.upsert(ForecastRow.__table__, COLUMNS, rows, _UPDATE)
    return {}


def _row(
    bulk: Bulk,
    device: Device,
    case: RefillCase,
    forecast: Forecast | Refused,
    risk: Risk,
    why: list[str],
    at: dt.datetime,
) -> tuple[Any, ...]:
    result = case.encoded(forecast) | {
        "drugs": [{"name": drug.name, "mg_per_ml": drug.mg_per_ml} for drug in case.drugs],
        "reasons": list(risk.reasons),
        "why": why,
        "hours_until_empty": risk.hours_until_empty,
    }
    if isinstance(forecast, Refused):
        judged: tuple[Any, ...] = (None, None, None, forecast.reason)
        result["detail"] = forecast.detail
    else:
        zone, earliest = ZoneInfo(case.timezone), forecast.earliest_empty
        judged = (
            bulk.date(forecast.refill_by), forecast.binding_clock,
            bulk.date(earliest.astimezone(zone).date()) if earliest else None, None,
        )  # fmt: skip
    return (
        device.id, device.clinic_id, bulk.moment(at), MODEL_VERSION, *judged, _danger(risk), risk.label.value,
        document(result),
    )  # fmt: skip


def _danger(risk: Risk) -> float:
    """One number for the order of the worklist: higher first, stopped pumps above all others."""
    hours = max(min(risk.weighted_hours, STOPPED / 2), -STOPPED / 2)
    return -hours if risk.running else STOPPED - hours


def _flag(
    session: Session,
    device: Device,
    case: RefillCase,
    forecast: Forecast | Refused,
    risk: Risk,
    flagged: Alert | None,
    at: dt.datetime,
) -> None:
    """A pump due within a week is an alert; one overdue is a worse one. Filled or put off, it is over."""
    today = at.astimezone(ZoneInfo(case.timezone)).date()
    key = alerts.open_key(CONDITION, device_id=device.id, patient_id=device.patient_id)
    if isinstance(forecast, Refused) or forecast.refill_by - today > DUE_WITHIN:
        if flagged and isinstance(forecast, Forecast):
            alerts.return_to_normal(session, key, at=at)
        return
    overdue = forecast.refill_by < today
    filled_at = max(fill.at for fill in case.fills)
    alerts.raise_alert(
        session,
        alerts.Condition(
            clinic_id=device.clinic_id,
            patient_id=device.patient_id,
            device_id=device.id,
            name=CONDITION,
            severity=_severity(overdue, risk),
            since=_midnight(forecast.refill_by if overdue else forecast.refill_by - DUE_WITHIN, case),
            effect_key=f"refill:{device.id}:{filled_at.isoformat()}:{'overdue' if overdue else 'due'}",
            model_version=MODEL_VERSION,
            detail={"refill_by": forecast.refill_by.isoformat(), "binding_clock": forecast.binding_clock},
        ),
        at=at,
    )


def _midnight(day: dt.date, case: RefillCase) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), ZoneInfo(case.timezone)).astimezone(dt.UTC)


def _severity(overdue: bool, risk: Risk) -> str:
    if overdue:
        return "high" if risk.label is RiskLabel.HIGH else "medium"
    return "medium" if risk.label is RiskLabel.HIGH else "low"


def _withdrawal_class(case: RefillCase) -> str:
    try:
        return shipped_formulary().withdrawal_class(drug.name for drug in case.drugs)
    except UnknownDrug:
        return shipped_formulary().withdrawal_class(())


def _devices(session: Session, ids: list[int]) -> dict[int, tuple[Device, bool]]:
    rows = session.execute(
        select(Device, Patient.phone)
        .outerjoin(Patient, Patient.id == Device.patient_id)
        .where(among(session, Device.id, ids), Device.in_use)
    )
    return {device.id: (device, bool(phone)) for device, phone in rows}


def _flagged(session: Session, ids: list[int]) -> dict[int | None, Alert]:
    statement = select(Alert).where(
        among(session, Alert.device_id, ids), Alert.condition == CONDITION, Alert.state != State.CLOSED
    )
    return {alert.device_id: alert for alert in session.scalars(statement)}
