"""What is on record about many pumps at once, as the refill forecast wants it."""

import datetime as dt
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sc_stim.clinical.pump_record import BolusCount, DrugInPump, PumpRecord, PumpSetting
from sc_stim.clinical.pump_record import Fill as RecordedFill
from sc_stim.clinical.refill import Forecast, forecast
from sc_stim.clinical.refusal import Refused
from sc_stim.models import (
    Clinic,
    ClinicClosure,
    Device,
    DeviceSetting,
    Fill,
    Patient,
    PumpSample,
)
from sc_stim.models.base import UtcDateTime
from sc_stim.models.device import fills_of, settings_of
from sc_stim.models.replaced import not_replaced

# Of patients prone to withdrawal some withdrew with more than 2 mL left, none again at 4 mL
# (metajournal.com Neurosurgery Aug 2004).
WITHDRAWAL_FLOOR_ML: Final = 4.0
# A pump must be replaced within 90 days of its elective replacement indicator (medtronic.com ITB pump-management).
ERI_TO_END_OF_SERVICE_DAYS: Final = 90
DAYS_PER_MONTH: Final = 365.25 / 12

# Boluses of older times say little about today's use.
_BOLUSES_REACH_BACK: Final = dt.timedelta(days=400)
# A pump does not tell its battery and its alarm in every sample; what it said within a quarter still holds.
_REPORTS_REACH_BACK: Final = dt.timedelta(days=90)
# Counts from fewer of the samples a pump owes would pass off gaps as days without boluses.
_COUNTED_SHARE: Final = 0.9


class RefillCase(PumpRecord, frozen=True, kw_only=True):
    """A pump as it is on record, ready for `clinical.refill.forecast`; `floor_ml` is what counts as empty for it."""

    pump: str
    floor_ml: float

    def forecast(self, at: dt.datetime) -> Forecast | Refused:
        return forecast(self, at, floor_ml=self.floor_ml)


def refill_case(session: Session, device_ids: Collection[int], at: dt.datetime) -> dict[int, RefillCase]:
    """The cases of many pumps (a thousand at a time) in six statements. Ids that are no pump's are left out."""
    pumps = list(_pumps(session, device_ids))
    ids = [device.id for device, *_ in pumps]
    reports = _reports(session, ids, at)
    settings, fills = settings_of(session, ids), fills_of(session, ids)
    closures = _closures(session, {clinic.id for _, clinic, *_ in pumps})
    with_boluses = [device_id for device_id in ids if any(row.bolus_ml for row in settings[device_id])]
    counts = _bolus_counts(session, with_boluses, at)
    return {
        device.id: _case(
            device, clinic, patient, reports[device.id], settings[device.id], fills[device.id],
            closures.get(clinic.id, ()), _as_days(counts.get(device.id, ()), ZoneInfo(clinic.time_zone)),
        )
        for device, clinic, patient in pumps
    }  # fmt: skip


def _pumps(session: Session, device_ids: Collection[int]) -> Iterator[Any]:
    statement = (
        select(Device, Clinic, Patient)
        .join(Clinic, Clinic.id == Device.clinic_id)
        .outerjoin(Patient, Patient.id == Device.patient_id)
        .where(Device.id.in_(device_ids), Device.kind == "pump")
    )
    return iter(session.execute(statement))


@dataclass(frozen=True)
class _Report:
    """What a pump said last, of each thing on its own."""

    low_reservoir_alarm_ml: float | None
    eri_months: float | None
    eri_measured_at: dt.datetime | None


def _reports(session: Session, device_ids: Collection[int], at: dt.datetime) -> dict[int, _Report]:
    def newest(column: Any, *, of: Any) -> Any:
        said = select(column).where(
            PumpSample.device_id == Device.id,
            PumpSample.measured_at > at - _REPORTS_REACH_BACK,
            PumpSample.measured_at <= at,
            of.is_not(None),
        )
        return said.order_by(PumpSample.measured_at.desc(), PumpSample.seq.desc()).limit(1).scalar_subquery()

    alarm, eri = PumpSample.low_reservoir_alarm_ml, PumpSample.eri_months
    statement = select(
        Device.id, newest(alarm, of=alarm), newest(eri, of=eri), newest(PumpSample.measured_at, of=eri)
    ).where(Device.id.in_(device_ids))
    return {device_id: _Report(*said) for device_id, *said in session.execute(statement)}


def _case(
    device: Device,
    clinic: Clinic,
    patient: Patient | None,
    report: _Report,
    settings: list[DeviceSetting],
    fills: list[Fill],
    closed_days: Collection[dt.date],
    boluses: tuple[BolusCount, ...],
) -> RefillCase:
    unknown_ml = 0.0  # a reservoir nobody entered is judged as a small one, whose limits are stricter
    alarm_ml = report.low_reservoir_alarm_ml
    return RefillCase(
        pump=str(device.public_id),
        floor_ml=WITHDRAWAL_FLOOR_ML if patient is not None and patient.withdrawal_prone else 0.0,
        timezone=clinic.time_zone,
        reservoir_ml=device.reservoir_ml or unknown_ml,
        low_reservoir_alarm_ml=device.low_reservoir_alarm_ml if alarm_ml is None else alarm_ml,
        accuracy_pct=device.accuracy_pct,
        end_of_service=_end_of_service(device, report),
        drugs=drugs_of(fills[-1]) if fills else (),
        settings=tuple(_setting(row) for row in settings),
        fills=tuple(recorded(row) for row in fills),
        boluses=boluses,
        closed_days=tuple(closed_days),
        country=f"{clinic.country}-{clinic.subdivision}" if clinic.subdivision else clinic.country,
        pharmacy_lead_days=clinic.pharmacy_lead_days,
        margin_days=clinic.refill_margin_days,
    )


def drugs_of(fill: Fill) -> tuple[DrugInPump, ...]:
    """What a fill put into the pump."""
    return tuple(DrugInPump(**drug) for drug in fill.drugs)


def _setting(row: DeviceSetting) -> PumpSetting:
    return PumpSetting(
        since=row.effective_at,
        flow_ml_per_day=row.flow_ml_per_day or 0.0,
        bolus_ml=row.bolus_ml or 0.0,
        max_boluses_per_day=float(row.max_boluses_per_day or 0),
    )


def recorded(row: Fill) -> RecordedFill:
    """A fill as the forecast reads it."""
    return RecordedFill(at=row.at, filled_ml=row.filled_ml, aspirated_ml=row.aspirated_ml)


def _end_of_service(device: Device, report: _Report) -> dt.date | None:
    """The earlier of what the clinic entered and what the pump says of its battery."""
    months, said_at = report.eri_months, report.eri_measured_at
    entered = device.end_of_service_on
    if months is None or said_at is None:
        return entered
    by_battery = said_at.date() + dt.timedelta(days=months * DAYS_PER_MONTH + ERI_TO_END_OF_SERVICE_DAYS)
    return by_battery if entered is None else min(entered, by_battery)


def _closures(session: Session, clinic_ids: Collection[int]) -> dict[int, list[dt.date]]:
    found: dict[int, list[dt.date]] = {}
    rows = session.execute(
        select(ClinicClosure.clinic_id, ClinicClosure.day).where(ClinicClosure.clinic_id.in_(clinic_ids))
    )
    for clinic_id, day in rows:
        found.setdefault(clinic_id, []).append(day)
    return found


def _bolus_counts(session: Session, device_ids: Collection[int], at: dt.datetime) -> dict[int, list[Any]]:
    """Rows of (device_id, boluses, first, last) for each interval between fills that telemetry covers well.

    The end of an interval is a plain bound, so that each is one range of the index, which holds the boluses too.
    """
    if not device_ids:
        return {}
    next_fill = func.lead(Fill.at, 1, at, type_=UtcDateTime).over(
        partition_by=Fill.device_id, order_by=Fill.at
    )
    interval = (
        select(Fill.device_id, Fill.at.label("since"), next_fill.label("until"))
        .where(Fill.device_id.in_(device_ids), Fill.at <= at, not_replaced(Fill))
        .subquery()
    )
    measured_at = PumpSample.measured_at
    within = (
        (PumpSample.device_id == interval.c.device_id)
        & (measured_at > interval.c.since)
        & (measured_at <= interval.c.until)
    )
    statement = (
        select(
            interval.c.device_id, func.sum(PumpSample.boluses), func.min(measured_at), func.max(measured_at),
            func.count(PumpSample.boluses), Device.report_interval_s,
        )
        .join(Device, Device.id == interval.c.device_id)
        .join(PumpSample, within)
        .where(interval.c.since > at - _BOLUSES_REACH_BACK)
        .group_by(interval.c.device_id, interval.c.since, Device.report_interval_s)
    )  # fmt: skip
    found: dict[int, list[Any]] = {}
    for device_id, boluses, first_at, last_at, counted, report_interval_s in session.execute(statement):
        owed = (last_at - first_at).total_seconds() / max(report_interval_s, 1)
        if counted and counted >= _COUNTED_SHARE * owed:
            found.setdefault(device_id, []).append((boluses, first_at, last_at))
    return found


def _as_days(counts: Collection[Any], zone: ZoneInfo) -> tuple[BolusCount, ...]:
    """In the whole local days within: what the broken days at the ends add makes the rate a little too high, and that
    is the safe side.
    """
    days = (
        (first.astimezone(zone).date() + dt.timedelta(days=1), last.astimezone(zone).date(), count)
        for count, first, last in counts
    )
    return tuple(
        BolusCount(first_day=first, until=last, count=count) for first, last, count in days if last > first
    )
