"""Devices, patients and cohorts with only what a test cares about spelled out."""

import datetime as dt
from typing import Any

import msgspec

from simulators.cohort import (
    Cohort,
    DiaryHabits,
    Drug,
    Lead,
    Network,
    Patient,
    Pump,
    PumpNature,
    PumpSettings,
    Stimulator,
    StimulatorNature,
    StimulatorSettings,
)
from simulators.course import Course, Told
from simulators.happenings import AnyHappening, Refill

BEGIN = dt.datetime(2026, 9, 1, 9, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
SOUND = Network()
FAR = BEGIN + 2000 * DAY
PUMP_ID = "0b7f5f0e-3c52-4f0e-9d3a-000000000001"
STIMULATOR_ID = "0b7f5f0e-3c52-4f0e-9d3a-000000000002"


def _identity(device_id: str, serial: str) -> dict[str, Any]:
    return {
        "id": device_id,
        "manufacturer": "Medtronic",
        "model": "a model",
        "serial": serial,
        "udi": "(01)09520010000175(21)X",
        "firmware": "1",
        "implanted_on": BEGIN.date(),
    }


def create_pump(
    *,
    flow: float = 0.3,
    ratio: float = 1.0,
    bolus_ml: float | None = None,
    max_boluses: int | None = None,
    lockout_min: int | None = None,
    requests: float = 0.0,
    eri_at: dt.datetime = FAR,
    drug: str = "baclofen",
) -> Pump:
    settings = PumpSettings(
        since=BEGIN,
        flow_ml_per_day=flow,
        bolus_ml=bolus_ml,
        max_boluses_per_day=max_boluses,
        lockout_min=lockout_min,
    )
    return Pump(
        **_identity(PUMP_ID, "P1"),
        reservoir_ml=20.0,
        low_reservoir_alarm_ml=2.0,
        accuracy_pct=14.5,
        catheter_tip_level="T9",
        catheter_volume_ml=0.2,
        drugs=(Drug(name=drug, mg_per_ml=0.5),),
        settings=(settings,),
        fills=(),
        nature=PumpNature(
            flow_ratio=ratio, bolus_requests_per_day=requests, eri_at=eri_at, benefit_points=3.0
        ),
    )


def create_stimulator(
    *,
    rechargeable: bool = True,
    closed_loop: bool = False,
    duty: float = 1.0,
    usage: float = 1.0,
    drain: float = 10.0,
    eri_at: dt.datetime = FAR,
) -> Stimulator:
    return Stimulator(
        **_identity(STIMULATOR_ID, "S1"),
        leads=(Lead(contacts=8, tip_level="T8", model="lead 8", serial="S1-L1"),),
        settings=(
            StimulatorSettings(
                since=BEGIN, program="A", amplitude_ma=4.0, pulse_width_us=300, rate_hz=50, contacts=(1, 2)
            ),
        ),
        nature=StimulatorNature(
            rechargeable=rechargeable,
            closed_loop=closed_loop,
            duty=duty,
            usage=usage,
            drain_pct_per_day=drain,
            impedance_ohm=(600.0,) * 8,
            eri_at=eri_at,
            eos_at=eri_at + 90 * DAY,
            benefit_points=3.0,
        ),
    )


def create_patient(
    *script: AnyHappening,
    pump: Pump | None = None,
    stimulator: Stimulator | None = None,
    zone: str = "Europe/Berlin",
    **habits: Any,
) -> Patient:
    """A pump gets its first fill at BEGIN."""
    usual = DiaryHabits(
        level=4.0,
        sd=0.0,
        wander_share=0.45,
        misses_after_report=0.0,
        misses_after_miss=0.0,
        scores_per_day=2.0,
        half_points=False,
        site="back",
    )
    fills = (Refill(at=BEGIN, filled_ml=20.0),) if pump else ()
    return Patient(
        number=1,
        role="",
        name="Ada Berg",
        birth_year=1960,
        time_zone=zone,
        phone="+49 30 23125 001",
        diary=msgspec.structs.replace(usual, **habits),
        pump=pump,
        stimulator=stimulator,
        script=(*fills, *script),
    )


def create_cohort(
    *patients: Patient, seed: int = 1, days: float = 30.0, network: Network = SOUND, **options: Any
) -> Cohort:
    """The history begins at BEGIN."""
    values = {"history_interval_s": 21_600, "report_interval_s": 900, **options}
    return Cohort(
        scenario="test",
        seed=seed,
        now=BEGIN + days * DAY,
        days=days,
        network=network,
        patients=patients,
        **values,
    )


def told_by(patient: Patient, *, days: float = 30.0, seed: int = 1) -> list[Told]:
    """What a patient's devices report in the first `days` after BEGIN."""
    cohort = create_cohort(patient, days=days, seed=seed)
    return Course(patient, cohort).advance(cohort.now)


def events_of(told: list[Told], kind: str) -> list[tuple[dt.datetime, dict[str, Any]]]:
    return [(t.emission.at, t.emission.body) for t in told if t.emission.body.get("kind") == kind]


def samples_of(told: list[Told]) -> list[dict[str, Any]]:
    return [t.emission.body for t in told if t.emission.kind == "sample"]


def scores_of(told: list[Told]) -> list[tuple[dt.datetime, dict[str, Any]]]:
    return [(t.emission.at, t.emission.body) for t in told if t.emission.kind == "score"]
