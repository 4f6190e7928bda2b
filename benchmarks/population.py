"""Clinics with many pumps and patients, as rows: some hundred drawn by the simulators, the rest copies of them.

What is on record is a clinic's own: fills with their residuals, prescribed settings, diary scores of the last days,
the pain rule's state of a year. Telemetry is one sample a day: since the last fill where boluses are counted, else of
the last week.
"""

import datetime as dt
import uuid
from collections.abc import Callable, Iterator, Sequence
from zoneinfo import ZoneInfo

import numpy as np
import psycopg
from sqlalchemy import Table
from sqlalchemy.orm import Session

from benchmarks.pain_cohort import cohort as draw_diaries
from sc_stim.clinical.pain import MODEL_VERSION, Diary, PainState, rebuild
from sc_stim.extensions import db
from sc_stim.models import (
    Alert,
    BrokerLogin,
    Clinic,
    Device,
    DeviceSetting,
    DeviceState,
    Fill,
    Forecast,
    PainModel,
    PainScore,
    Patient,
    PumpSample,
    User,
)
from sc_stim.workflows.accounts import argon2id
from simulators import cohort as simulated
from simulators import scenario

ZONE = ZoneInfo("Europe/Berlin")
DAY = dt.timedelta(days=1)
DRAWN = 500
SEED = 20261122
CLINIC_SIZE = 2000
PASSWORD = "benchmark harbour violin"
SCORES_OF_DAYS = 7
ONE_IN_SILENT, ONE_IN_WITHOUT_FILL = 100, 50

Scores = Sequence[float]  # daily means, NaN where nothing was reported; the last is today's


def register(session: Session, device_ids: Sequence[str], at: dt.datetime) -> None:
    """Pumps with these ids in one clinic, a patient each, ready to be heard. On either database."""
    numbered = list(enumerate(device_ids, start=1))
    session.add(_clinic(1, at))
    session.flush()
    session.add_all(_patient(number, at) for number, _ in numbered)
    session.flush()
    session.add_all(_plain_pump(number, device_id, at) for number, device_id in numbered)
    session.flush()
    session.add_all(
        BrokerLogin(
            username=device_id,
            device_id=number,
            role="device",
            password_hash="",
            salt="",
            iterations=1,
            issued_at=at,
        )
        for number, device_id in numbered
    )
    session.commit()


def _plain_pump(number: int, device_id: str, at: dt.datetime) -> Device:
    return Device(
        id=number, public_id=uuid.UUID(device_id), clinic_id=1, patient_id=number, kind="pump", model="SynchroMed II",
        manufacturer="Medtronic", serial=f"R{number}", report_interval_s=60, implanted_on=at.date() - 100 * DAY,
        created_at=at - 100 * DAY, reservoir_ml=20.0,
    )  # fmt: skip


def populate(
    database_url: str, pumps: int, at: dt.datetime, *, judge: Callable[[], object] | None = None
) -> None:
    """Fill the empty tables of the app in whose context we are: `pumps` patients with a pump each.

    The first clinic has a fifth of them, the others CLINIC_SIZE each. `judge` judges those that are drawn, before
    they are copied with the forecasts and alerts that this gave. PostgreSQL only.
    """
    drawn = min(DRAWN, pumps // 5)
    if drawn < 1 or pumps % drawn:
        raise ValueError(f"pumps: {pumps} is no multiple of the {drawn} that are drawn")
    _add_clinics(db.session(), 1 + -(-(pumps - pumps // 5) // CLINIC_SIZE), at)
    _add_drawn(db.session(), drawn, at)
    db.session.commit()
    if judge:
        judge()
    with psycopg.connect(database_url, autocommit=True) as connection:
        _copy_all(_Copier(connection, drawn, pumps).copy)
        connection.execute("VACUUM ANALYZE")


def _add_clinics(session: Session, count: int, at: dt.datetime) -> None:
    hashed = argon2id.hash(PASSWORD)
    session.add_all(_clinic(number, at) for number in range(1, count + 1))
    session.flush()
    session.add_all(
        User(
            id=number, clinic_id=number, email=f"nurse{number}@example.org", name=f"Nurse {number}", role="nurse",
            password_hash=hashed, created_at=at,
        )
        for number in range(1, count + 1)
    )  # fmt: skip
    session.flush()


def _clinic(number: int, at: dt.datetime) -> Clinic:
    return Clinic(
        id=number, name=f"Clinic {number}", time_zone=ZONE.key, country="DE", created_at=at - 400 * DAY
    )


def _patient(number: int, at: dt.datetime, name: str = "Ada Example") -> Patient:
    given, _, family = name.partition(" ")
    return Patient(
        id=number, clinic_id=1, mrn=f"M{number}", given_name=given, family_name=family, time_zone=ZONE.key,
        phone="+49 30 5550100", created_at=at - 400 * DAY,
    )  # fmt: skip


# --- the ones that are drawn; patient and device have one number


def _add_drawn(session: Session, count: int, at: dt.datetime) -> None:
    cast = scenario.load("normal", seed=SEED, now=at, pumps=count, stimulators=0, days=0)
    diaries = draw_diaries(np.random.default_rng(SEED), count, "quiet").scores
    today = at.astimezone(ZONE).date()
    first_day = today - (diaries.shape[1] - 1) * DAY
    judged = rebuild(Diary(first_day, scores[:-2]) for scores in diaries)  # yesterday is still to be judged
    for number, (patient, scores, known) in enumerate(
        zip(cast.patients, diaries, judged, strict=True), start=1
    ):
        assert patient.pump is not None
        session.add(_patient(number, at, patient.name))
        session.flush()
        session.add(_device(number, patient.pump, at))
        session.flush()
        session.add_all(_pump_rows(number, patient.pump, at))
        session.add_all(_diary_rows(number, scores, known.state, today))
    session.flush()


def _device(number: int, pump: simulated.Pump, at: dt.datetime) -> Device:
    return Device(
        id=number, public_id=uuid.UUID(pump.id), clinic_id=1, patient_id=number, kind="pump", model=pump.model,
        manufacturer=pump.manufacturer, serial=pump.serial, implanted_on=pump.implanted_on, report_interval_s=86_400,
        reservoir_ml=pump.reservoir_ml, low_reservoir_alarm_ml=pump.low_reservoir_alarm_ml,
        accuracy_pct=pump.accuracy_pct, created_at=at - 400 * DAY,
    )  # fmt: skip


def _pump_rows(number: int, pump: simulated.Pump, at: dt.datetime) -> Iterator[db.Model]:  # type: ignore[name-defined]
    for setting in pump.settings:
        yield DeviceSetting(
            clinic_id=1, device_id=number, effective_at=setting.since, flow_ml_per_day=setting.flow_ml_per_day,
            bolus_ml=setting.bolus_ml, max_boluses_per_day=setting.max_boluses_per_day, prescribed_by_id=1,
            created_at=at,
        )  # fmt: skip
    for fill in pump.fills if number % ONE_IN_WITHOUT_FILL else ():
        yield Fill(
            clinic_id=1, device_id=number, at=fill.at, aspirated_ml=fill.aspirated_ml, filled_ml=fill.filled_ml,
            drugs=[{"name": drug.name, "mg_per_ml": drug.mg_per_ml} for drug in fill.drugs], performed_by_id=1,
            created_at=fill.at,
        )  # fmt: skip
    yield from _samples(number, pump, at)


def _samples(number: int, pump: simulated.Pump, at: dt.datetime) -> Iterator[db.Model]:  # type: ignore[name-defined]
    setting = pump.settings[-1]
    since = pump.fills[-1].at if setting.bolus_ml else at - 7 * DAY
    flow, days = setting.flow_ml_per_day, max((at - since).days, 1)
    newest = at - (3 * DAY if number % ONE_IN_SILENT == 0 else dt.timedelta(minutes=number % 60))
    readings: dict[str, object] = {}
    for seq in range(days):
        moment = newest - (days - 1 - seq) * DAY
        readings = {
            "state": "running", "flow_ml_per_day": flow, "bolus_ml": setting.bolus_ml, "battery_v": 2.9,
            "reservoir_ml": max(pump.reservoir_ml - flow * ((moment - pump.fills[-1].at) / DAY), 0.0),
            "boluses": round(pump.nature.bolus_requests_per_day), "low_reservoir_alarm_ml": 2.0,
        }  # fmt: skip
        yield PumpSample(
            device_id=number, epoch="e1", seq=seq, clinic_id=1, measured_at=moment, device_at=moment,
            received_at=moment, **readings,
        )  # fmt: skip
    yield DeviceState(
        device_id=number, clinic_id=1, measured_at=newest, heard_at=newest, online=True, sample=readings
    )


def _diary_rows(number: int, scores: Scores, state: PainState, today: dt.date) -> Iterator[db.Model]:  # type: ignore[name-defined]
    assert state.day is not None
    yield PainModel(
        patient_id=number,
        through_day=state.day,
        model_version=MODEL_VERSION,
        time_zone=ZONE.key,
        state=state.to_json(),
    )
    for days_ago, nrs in enumerate(reversed(scores[-SCORES_OF_DAYS:])):
        if not np.isnan(nrs):
            evening = dt.datetime.combine(today - days_ago * DAY, dt.time(20), ZONE).astimezone(dt.UTC)
            yield PainScore(
                clinic_id=1, patient_id=number, measured_at=evening, received_at=evening, nrs=float(nrs)
            )


# --- and their copies


class _Copier:
    """Copies the rows of a table so that there is one for each of `total` patients, where `drawn` are there."""

    def __init__(self, connection: psycopg.Connection, drawn: int, total: int) -> None:
        self._connection = connection
        self._drawn = drawn
        self._total = total

    def copy(self, table: Table, number: str = "device_id", **other: str) -> None:
        """`number`: the column that tells whose row it is; `other`: SQL for columns that are not copied as they are.

        In it `old` is the row, `n` the number of the copy, and {number} that of its patient.
        """
        whose = f"(old.{number} + n * {self._drawn})"
        clinic = self._clinic(whose)
        changed = {number: whose, "public_id": "gen_random_uuid()", "clinic_id": clinic}
        changed |= {"performed_by_id": clinic, "prescribed_by_id": clinic}
        changed |= {name: value.format(number=whose) for name, value in other.items()}
        columns = [column.name for column in table.columns if column.name == number or column.name != "id"]
        values = ", ".join(changed.get(name, f"old.{name}") for name in columns)
        self._connection.execute(
            f"INSERT INTO {table.name} ({', '.join(columns)}) SELECT {values} "
            f"FROM {table.name} old, generate_series(1, {self._total // self._drawn - 1}) n"
        )

    def _clinic(self, number: str) -> str:
        first = self._total // 5
        return f"CASE WHEN {number} <= {first} THEN 1 ELSE 2 + ({number} - {first} - 1) / {CLINIC_SIZE} END"


def _copy_all(copy: Callable[..., None]) -> None:
    """Patient and pump keep one number; other rows get their keys from the database."""
    copy(Patient.__table__, "id", mrn="'M' || {number}")
    copy(Device.__table__, "id", patient_id="{number}", serial="old.serial || '-' || n")
    for model in (DeviceSetting, Fill, PumpSample, DeviceState, Forecast):
        copy(model.__table__)
    for model in (PainScore, PainModel):
        copy(model.__table__, "patient_id")
    copy(
        Alert.__table__, "patient_id", device_id="CASE WHEN old.device_id IS NOT NULL THEN {number} END",
        open_key="old.open_key || ':' || n", effect_key="old.effect_key || ':' || n",
    )  # fmt: skip
