"""What is on record about many pumps, gathered in a handful of statements."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from sqlalchemy import event

from sc_stim.clinical.pump_record import BolusCount, DrugInPump
from sc_stim.clinical.pump_record import Fill as RecordedFill
from sc_stim.clinical.refill import Forecast
from sc_stim.extensions import db
from sc_stim.models import ClinicClosure, Device
from sc_stim.workflows.refill_case import RefillCase, refill_case
from tests.apps import both_databases
from tests.builders import (
    AT,
    create_clinic,
    create_fill,
    create_patient,
    create_pump,
    create_pump_sample,
    create_setting,
    create_stimulator,
)

DAY = dt.timedelta(days=1)


def case_of(pump: Device) -> RefillCase:
    return refill_case(db.session(), [pump.id], AT)[pump.id]


@contextmanager
def counted_statements() -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


@both_databases
def test_a_case_holds_what_the_clinic_the_pump_and_the_record_say(app: Flask) -> None:
    clinic = create_clinic(subdivision="BE", pharmacy_lead_days=2, refill_margin_days=3)
    db.session.add(ClinicClosure(clinic_id=clinic.id, day=dt.date(2026, 12, 24), reason="Christmas Eve"))
    pump = create_pump(clinic=clinic)
    create_setting(device=pump, effective_at=AT - 30 * DAY, bolus_ml=0.02, max_boluses_per_day=6)
    create_fill(pump=pump, at=AT - 20 * DAY)
    create_fill(pump=pump, at=AT - DAY, aspirated_ml=9.5, drugs=[{"name": "baclofen", "mg_per_ml": 2.0}])
    case = case_of(pump)
    assert (case.pump, case.timezone, case.country) == (str(pump.public_id), "Europe/Berlin", "DE-BE")
    assert (case.closed_days, case.pharmacy_lead_days, case.margin_days) == ((dt.date(2026, 12, 24),), 2, 3)
    assert (case.reservoir_ml, case.low_reservoir_alarm_ml, case.accuracy_pct) == (20.0, 2.0, 14.5)
    assert case.fills == (
        RecordedFill(at=AT - 20 * DAY, filled_ml=20.0),
        RecordedFill(at=AT - DAY, filled_ml=20.0, aspirated_ml=9.5),
    )
    assert case.drugs == (DrugInPump(name="baclofen", mg_per_ml=2.0),)
    (setting,) = case.settings
    assert (setting.since, setting.flow_ml_per_day, setting.max_boluses_per_day) == (AT - 30 * DAY, 0.5, 6.0)
    assert isinstance(case.forecast(AT), Forecast)


def test_a_corrected_fill_counts_as_corrected(app: Flask) -> None:
    pump = create_pump()
    wrong = create_fill(pump=pump, filled_ml=2.0)
    create_fill(pump=pump, filled_ml=20.0, replaces_id=wrong.id)
    assert [fill.filled_ml for fill in case_of(pump).fills] == [20.0]


def test_of_two_prescriptions_for_one_moment_the_later_entry_counts(app: Flask) -> None:
    pump = create_pump()
    create_setting(device=pump, flow_ml_per_day=5.0)
    create_setting(device=pump, flow_ml_per_day=0.5)
    assert [setting.flow_ml_per_day for setting in case_of(pump).settings] == [0.5]


def test_for_a_patient_who_withdrew_before_a_pump_is_empty_earlier(app: Flask) -> None:
    prone = create_pump(patient=create_patient(withdrawal_prone=True))
    assert case_of(prone).floor_ml == 4.0
    assert case_of(create_pump()).floor_ml == 0.0


def test_what_the_pump_reports_of_its_alarm_and_battery_counts(app: Flask) -> None:
    pump = create_pump(end_of_service_on=dt.date(2029, 1, 1))
    create_pump_sample(pump=pump, low_reservoir_alarm_ml=4.0, eri_months=1.0)
    case = case_of(pump)
    assert case.low_reservoir_alarm_ml == 4.0
    assert case.end_of_service == dt.date(2027, 3, 23)  # 30 days to the indicator, 90 from there
    assert case_of(create_pump(end_of_service_on=dt.date(2029, 1, 1))).end_of_service == dt.date(2029, 1, 1)


@both_databases
def test_a_sample_without_alarm_and_battery_takes_nothing_back(app: Flask) -> None:
    pump = create_pump()
    create_pump_sample(pump=pump, measured_at=AT - 91 * DAY, low_reservoir_alarm_ml=9.0)
    assert case_of(pump).low_reservoir_alarm_ml == 2.0  # said too long ago
    create_pump_sample(pump=pump, measured_at=AT - 3 * DAY, low_reservoir_alarm_ml=4.0, eri_months=1.0)
    create_pump_sample(pump=pump, measured_at=AT - 2 * DAY, low_reservoir_alarm_ml=3.0)
    create_pump_sample(pump=pump, measured_at=AT)
    case = case_of(pump)
    assert case.low_reservoir_alarm_ml == 3.0
    assert case.end_of_service == dt.date(2027, 3, 20)  # counted from the sample that told of the battery


@both_databases
def test_boluses_are_counted_from_fill_to_fill(app: Flask) -> None:
    pump = create_pump(report_interval_s=86_400)
    create_setting(device=pump, bolus_ml=0.02, max_boluses_per_day=6)
    create_fill(pump=pump, at=AT - 10 * DAY)
    create_fill(pump=pump, at=AT - 4 * DAY)
    for days in range(10):
        create_pump_sample(pump=pump, measured_at=AT - days * DAY, boluses=2 if days < 4 else 3)
    assert sorted(case_of(pump).boluses, key=lambda row: row.first_day) == [
        BolusCount(first_day=dt.date(2026, 11, 15), until=dt.date(2026, 11, 19), count=18),
        BolusCount(first_day=dt.date(2026, 11, 21), until=dt.date(2026, 11, 23), count=8),
    ]


@pytest.mark.parametrize("boluses", [None, 2])
def test_boluses_behind_gaps_are_not_counted_as_none(app: Flask, boluses: int | None) -> None:
    pump = create_pump(report_interval_s=3600)
    create_setting(device=pump, bolus_ml=0.02, max_boluses_per_day=6)
    create_fill(pump=pump, at=AT - 10 * DAY)
    for days in range(10):
        create_pump_sample(pump=pump, measured_at=AT - days * DAY, boluses=boluses)
    assert case_of(pump).boluses == ()


@both_databases
def test_many_pumps_take_as_few_statements_as_one(app: Flask) -> None:
    clinic = create_clinic()
    patient = create_patient(clinic=clinic)
    pumps = [create_pump(patient=patient) for _ in range(12)]
    for pump in pumps:
        create_setting(device=pump, bolus_ml=0.02, max_boluses_per_day=6)
        create_fill(pump=pump)
    stimulator = create_stimulator(patient=patient)
    db.session.commit()
    with counted_statements() as seen:
        cases = refill_case(db.session(), [*(pump.id for pump in pumps), stimulator.id], AT)
    assert set(cases) == {pump.id for pump in pumps}
    assert len([statement for statement in seen if statement.lstrip().startswith("SELECT")]) == 7
