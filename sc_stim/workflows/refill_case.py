"""What is on record about many pumps at once, as the refill forecast wants it."""

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

from msgspec.structs import replace
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from sc_stim.clinical.bridge import Bridge, bridging, with_bridges
from sc_stim.clinical.clinic_figures import formulary_of
from sc_stim.clinical.dose import Dose, doses
from sc_stim.clinical.drugs import Formulary
from sc_stim.clinical.pump_record import (
    BolusCount,
    DrugInPump,
    PumpRecord,
    PumpSetting,
    ReservoirReading,
)
from sc_stim.clinical.pump_record import Fill as RecordedFill
from sc_stim.clinical.refill import Forecast, forecast
from sc_stim.clinical.refill_case import encode_forecast
from sc_stim.clinical.refill_rules import shipped_rules
from sc_stim.clinical.refusal import Refused
from sc_stim.models import (
    Clinic,
    ClinicClosure,
    Device,
    DeviceSetting,
    DeviceState,
    Fill,
    Patient,
    PumpSample,
)
from sc_stim.models.base import UtcDateTime, among
from sc_stim.models.clinic_figure import own_figures
from sc_stim.models.device import FilledPump, fillings_of, settings_of
from sc_stim.models.replaced import not_replaced
from sc_stim.workflows.prescribing import pattern_of, programmed_as_prescribed

NOT_AS_PRESCRIBED: Final = "not_as_prescribed"
DAYS_PER_MONTH: Final = 365.25 / 12

# Boluses of older times say little about today's use.
_BOLUSES_REACH_BACK: Final = dt.timedelta(days=400)
# A pump does not tell its battery and its alarm in every sample; what it said within a quarter still holds.
_REPORTS_REACH_BACK: Final = dt.timedelta(days=90)
_DOUBTED_AT_ONCE: Final = 200  # SQLite takes no deeper condition than some hundred
# Counts from fewer of the samples a pump owes would pass off gaps as days without boluses.
_COUNTED_SHARE: Final = 0.9


class RefillCase(PumpRecord, frozen=True, kw_only=True):
    """A pump as it is on record, ready for `clinical.refill.forecast`; `floor_ml` is what counts as empty for it.

    `formulary`: the drugs, by the figures of its clinic. `reported_ml_per_day`: the flow that the pump reports, where
    that is not what was prescribed.
    """

    pump: str
    floor_ml: float
    formulary: Formulary | None = None
    bridges: tuple[Bridge, ...] = ()
    reported_ml_per_day: float | None = None

    def forecast(self, at: dt.datetime) -> Forecast | Refused:
        return forecast(self, at, formulary=self.formulary, floor_ml=self.floor_ml)

    def encoded(self, judged: Forecast | Refused) -> dict[str, Any]:
        """The forecast in its documented form, flagged where the pump does not run as prescribed."""
        document = encode_forecast(self.pump, judged)
        if self.reported_ml_per_day is not None:
            document["flags"].append(NOT_AS_PRESCRIBED)
        return document

    def setting_at(self, at: dt.datetime) -> PumpSetting | None:
        """What holds at this moment, the flow of a bridge included."""
        return next((row for row in reversed(self.settings) if row.since <= at), None)

    def doses(self, at: dt.datetime) -> list[Dose] | Refused:
        """Dose per day of each drug as programmed at this moment; refused while a bridge runs."""
        setting = self.setting_at(at)
        if setting is None:
            return Refused("no_settings_recorded", "record the programmed flow of this pump")
        bolus_ml_per_day = setting.bolus_ml * setting.max_boluses_per_day
        return doses(self.drugs, setting.flow_ml_per_day, bolus_ml_per_day, at, bridging(self.bridges, at))


def refill_case(session: Session, device_ids: Collection[int], at: dt.datetime) -> dict[int, RefillCase]:
    """The cases of many pumps (a thousand at a time) in seven statements. Ids that are no pump's are left out.

    One statement more where pumps report another flow than was prescribed.
    """
    pumps = list(_pumps(session, device_ids))
    ids = [device.id for device, *_ in pumps]
    reports = _reports(session, ids, at)
    settings, fills = settings_of(session, ids), fillings_of(session, ids)
    clinic_ids = {clinic.id for _, clinic, *_ in pumps}
    closures, own = _closures(session, clinic_ids), own_figures(session, clinic_ids)
    with_boluses = [device_id for device_id in ids if any(row.bolus_ml for row in settings[device_id])]
    counts = _bolus_counts(session, with_boluses, at)
    otherwise = _reported_otherwise(session, [row[0::3] for row in pumps], settings)
    return {
        device.id: _case(
            device, clinic, patient, state, reports[device.id], settings[device.id], fills[device.id],
            closures.get(clinic.id, ()), _as_days(counts.get(device.id, ()), ZoneInfo(clinic.time_zone)),
            otherwise.get(device.id), formulary_of(own[clinic.id]),
        )
        for device, clinic, patient, state in pumps
    }  # fmt: skip


def _pumps(session: Session, device_ids: Collection[int]) -> Iterator[Any]:
    statement = (
        select(Device, Clinic, Patient, DeviceState)
        .join(Clinic, Clinic.id == Device.clinic_id)
        .outerjoin(Patient, Patient.id == Device.patient_id)
        .outerjoin(DeviceState, DeviceState.device_id == Device.id)
        .where(among(session, Device.id, device_ids), Device.kind == "pump")
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
    ).where(among(session, Device.id, device_ids))
    return {device_id: _Report(*said) for device_id, *said in session.execute(statement)}


@dataclass(frozen=True)
class _Otherwise:
    """A flow that a pump reports and nobody prescribed; `since` it may have run so."""

    flow_ml_per_day: float
    since: dt.datetime


def _reported_otherwise(
    session: Session, pumps: Iterable[Any], settings: Mapping[int, list[DeviceSetting]]
) -> dict[int, _Otherwise]:
    """Of (Device, DeviceState): pumps whose newest sample, taken since the prescription, has another flow."""
    doubted: dict[int, tuple[DeviceSetting, float]] = {}
    for device, state in pumps:
        flow = (state.sample or {}).get("flow_ml_per_day") if state else None
        if flow is None or state.measured_at is None:
            continue
        in_force = [row for row in settings[device.id] if row.effective_at <= state.measured_at]
        if in_force and not programmed_as_prescribed(flow, in_force[-1]):
            doubted[device.id] = in_force[-1], flow
    since = _first_reported(session, doubted)
    return {
        device_id: _Otherwise(flow, since.get(device_id, setting.effective_at))
        for device_id, (setting, flow) in doubted.items()
    }


def _first_reported(
    session: Session, doubted: Mapping[int, tuple[DeviceSetting, float]]
) -> dict[int, dt.datetime]:
    """When each of these flows was first reported under its prescription."""
    found: dict[int, dt.datetime] = {}
    pumps = list(doubted.items())
    for start in range(0, len(pumps), _DOUBTED_AT_ONCE):
        reported = (
            (PumpSample.device_id == device_id)
            & (PumpSample.measured_at >= setting.effective_at)
            & (func.abs(PumpSample.flow_ml_per_day - flow) <= shipped_rules().settings_alike * flow)
            for device_id, (setting, flow) in pumps[start : start + _DOUBTED_AT_ONCE]
        )
        first = select(PumpSample.device_id, func.min(PumpSample.measured_at)).where(or_(*reported))
        found |= dict(session.execute(first.group_by(PumpSample.device_id)).all())
    return found


def _case(
    device: Device,
    clinic: Clinic,
    patient: Patient | None,
    state: DeviceState | None,
    report: _Report,
    settings: list[DeviceSetting],
    fills: list[FilledPump],
    closed_days: Collection[dt.date],
    boluses: tuple[BolusCount, ...],
    otherwise: _Otherwise | None,
    formulary: Formulary,
) -> RefillCase:
    unknown_ml = 0.0  # a reservoir nobody entered is judged as a small one, whose limits are stricter
    alarm_ml = report.low_reservoir_alarm_ml
    bridges = tuple(bridge for row in fills if (bridge := bridge_of(row)))
    return RefillCase(
        pump=str(device.public_id),
        floor_ml=shipped_rules().withdrawal_floor_ml if patient and patient.withdrawal_prone else 0.0,
        formulary=formulary,
        bridges=bridges,
        reported_ml_per_day=otherwise.flow_ml_per_day if otherwise else None,
        reading=_reading(state),
        timezone=clinic.time_zone,
        reservoir_ml=device.reservoir_ml or unknown_ml,
        low_reservoir_alarm_ml=device.low_reservoir_alarm_ml if alarm_ml is None else alarm_ml,
        accuracy_pct=device.accuracy_pct,
        end_of_service=_end_of_service(device, report),
        drugs=drugs_of(fills[-1]) if fills else (),
        settings=_settings(settings, bridges, otherwise),
        fills=tuple(recorded(row) for row in fills),
        boluses=boluses,
        closed_days=tuple(closed_days),
        country=f"{clinic.country}-{clinic.subdivision}" if clinic.subdivision else clinic.country,
        pharmacy_lead_days=clinic.pharmacy_lead_days,
        margin_days=clinic.refill_margin_days,
    )


def drugs_of(fill: Fill | FilledPump) -> tuple[DrugInPump, ...]:
    """What a fill put into the pump."""
    return tuple(DrugInPump(**drug) for drug in fill.drugs)


def bridge_of(fill: Fill | FilledPump) -> Bridge | None:
    """The bridge bolus programmed at this fill."""
    if fill.bridge is None:
        return None
    since, until = (dt.datetime.fromisoformat(fill.bridge[name]) for name in ("from", "until"))
    return Bridge(since, until, fill.bridge["volume_ml"])


def _reading(state: DeviceState | None) -> ReservoirReading | None:
    reservoir_ml = (state.sample or {}).get("reservoir_ml") if state else None
    if state is None or state.measured_at is None or reservoir_ml is None:
        return None
    return ReservoirReading(at=state.measured_at, reservoir_ml=reservoir_ml)


def _settings(
    rows: list[DeviceSetting], bridges: tuple[Bridge, ...], otherwise: _Otherwise | None
) -> tuple[PumpSetting, ...]:
    """As prescribed, with bridges; and with a faster flow than prescribed from when the pump first reported it.

    A slower one is not believed: the pump may be programmed at any moment.
    """
    settings = with_bridges([_setting(row) for row in rows], bridges)
    held = [row for row in settings if otherwise and row.since <= otherwise.since]
    if otherwise is None or not held or otherwise.flow_ml_per_day <= held[-1].flow_ml_per_day:
        return settings
    faster = replace(held[-1], since=otherwise.since, flow_ml_per_day=otherwise.flow_ml_per_day, pattern=())
    return (*held, faster, *settings[len(held) :])


def _setting(row: DeviceSetting) -> PumpSetting:
    return PumpSetting(
        since=row.effective_at,
        flow_ml_per_day=row.flow_ml_per_day or 0.0,
        bolus_ml=row.bolus_ml or 0.0,
        max_boluses_per_day=float(row.max_boluses_per_day or 0),
        pattern=pattern_of(row),
    )


def recorded(row: Fill | FilledPump) -> RecordedFill:
    """A fill as the forecast reads it."""
    return RecordedFill(at=row.at, filled_ml=row.filled_ml, aspirated_ml=row.aspirated_ml)


def _end_of_service(device: Device, report: _Report) -> dt.date | None:
    """The earlier of what the clinic entered and what the pump says of its battery."""
    months, said_at = report.eri_months, report.eri_measured_at
    entered = device.end_of_service_on
    if months is None or said_at is None:
        return entered
    by_battery = said_at.date() + dt.timedelta(
        days=months * DAYS_PER_MONTH + shipped_rules().eri_to_end_of_service_d
    )
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
        .where(among(session, Fill.device_id, device_ids), Fill.at <= at, not_replaced(Fill))
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
