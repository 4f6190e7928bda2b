"""Prescriptions through HTTP: with what they exceed, with their history, beside what the device reports."""

import datetime as dt
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from sc_stim.models import DeviceSetting, WorkItem
from tests.apps import As, both_databases, read
from tests.builders import (
    AT,
    create_device_state,
    create_fill,
    create_pump,
    create_setting,
    create_stimulator,
    create_user,
)
from tests.trail import actions_on, owed

DAY = dt.timedelta(days=1)


@both_databases
def test_a_clinician_prescribes_and_the_history_is_kept(app: Flask, api: As) -> None:
    pump = create_pump()
    clinician = create_user(clinic=pump.patient.clinic)
    old = create_setting(device=pump)
    caller, address = api(clinician), f"/devices/{pump.public_id}/settings"
    made = caller.post(address, {"flow_ml_per_day": 0.6, "note": "Pain at night."})
    assert made.status_code == 201, made.text
    assert made.json["effective_at"] == "2026-11-23T08:00:00Z"
    assert made.json["prescribed_by"]["name"] == clinician.name
    listed = caller.get(address).json
    assert [row["id"] for row in listed["items"]] == [made.json["id"], str(old.public_id)]
    assert listed["in_force"]["id"] == made.json["id"]
    assert owed() == {("device", pump.id), ("refill", pump.id), ("pain", pump.patient_id)}
    assert actions_on(pump.patient) == ["setting.prescribe", "device.settings"]


@pytest.mark.parametrize("role", ["nurse", "engineer"])
def test_only_a_clinician_prescribes(app: Flask, api: As, role: str) -> None:
    pump = create_pump()
    caller = api(create_user(clinic=pump.patient.clinic, role=role))
    assert caller.post(f"/devices/{pump.public_id}/settings", {"flow_ml_per_day": 0.6}).status_code == 403


def test_what_a_prescription_exceeds_is_said_and_never_blocks(app: Flask, api: As) -> None:
    pump = create_pump(model="SynchroMed II 8637-20")
    create_fill(pump=pump, drugs=[{"name": "morphine", "mg_per_ml": 25.0}])
    caller = api(create_user(clinic=pump.patient.clinic))
    body = {"flow_ml_per_day": 0.5, "bolus_ml": 0.1, "max_boluses_per_day": 4}
    made = caller.post(f"/devices/{pump.public_id}/settings", body)
    assert made.status_code == 201
    said = {(warning["rule"], warning["source"] is None) for warning in made.json["warnings"]}
    assert said == {
        ("daily_dose_caution", False),
        ("daily_dose_ceiling", True),
        ("concentration_ceiling", True),
    }
    assert "22.5 mg/d" in made.json["warnings"][0]["message"]


def test_millilitres_an_hour_typed_for_millilitres_a_day_are_taken_only_when_confirmed(
    app: Flask, api: As
) -> None:
    pump = create_pump(model="SynchroMed II 8637-20")
    caller, address = (
        api(create_user(clinic=pump.patient.clinic)),
        f"/devices/{pump.public_id}/settings",
    )
    refused = caller.post(address, {"flow_ml_per_day": 12})
    (error,) = refused.json["errors"]
    assert (refused.status_code, error["field"]) == (422, "flow_ml_per_day")
    assert "would last 1.7 days" in error["message"]
    assert "send rate_confirmed if this is meant" in error["message"]
    made = caller.post(address, {"flow_ml_per_day": 12, "rate_confirmed": True})
    assert made.status_code == 201
    assert [warning["rule"] for warning in made.json["warnings"]] == ["shortest_plausible_emptying"]


def test_what_the_model_cannot_do_is_said(app: Flask, api: As) -> None:
    stimulator = create_stimulator(model="Intellis")
    caller = api(create_user(clinic=stimulator.patient.clinic))
    made = caller.post(f"/devices/{stimulator.public_id}/settings", {"amplitude_ma": 30, "rate_hz": 1300})
    assert [warning["rule"] for warning in made.json["warnings"]] == ["amplitude_max", "rate_max"]


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        ("pump", {}, "flow_ml_per_day"),
        ("pump", {"flow_ml_per_day": None}, "flow_ml_per_day"),
        ("pump", {"flow_ml_per_day": -1}, "flow_ml_per_day"),
        ("pump", {"flow_ml_per_day": 0.5, "bolus_ml": 0.02}, "max_boluses_per_day"),
        ("pump", {"flow_ml_per_day": 0.5, "max_boluses_per_day": 6}, "bolus_ml"),
        ("pump", {"flow_ml_per_day": 0.5, "amplitude_ma": 3}, "amplitude_ma"),
        ("pump", {"flow_ml_per_day": 0.5, "effective_at": "1066-10-14T09:00:00Z"}, "effective_at"),
        ("stimulator", {"rate_hz": 50}, "amplitude_ma"),
        ("stimulator", {"amplitude_ma": 3, "flow_ml_per_day": 0.5}, "flow_ml_per_day"),
        ("stimulator", {"amplitude_ma": 3, "frequency": 50}, "frequency"),
    ],
)
def test_a_prescription_that_cannot_be_is_refused_by_name(
    app: Flask, api: As, kind: str, body: dict[str, Any], field: str
) -> None:
    device = create_pump() if kind == "pump" else create_stimulator()
    answer = api(create_user(clinic=device.patient.clinic)).post(
        f"/devices/{device.public_id}/settings", body
    )
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, field)
    assert read(select(DeviceSetting)) == []


def test_nothing_is_prescribed_for_an_explanted_device(app: Flask, api: As) -> None:
    pump = create_pump(explanted_on=dt.date(2026, 11, 1))
    caller = api(create_user(clinic=pump.patient.clinic))
    assert caller.post(f"/devices/{pump.public_id}/settings", {"flow_ml_per_day": 0.6}).status_code == 409


@pytest.mark.parametrize(
    ("reported", "mismatch", "differences"),
    [
        ({"flow_ml_per_day": 0.5}, False, []),
        ({"flow_ml_per_day": 0.505}, False, []),
        ({"flow_ml_per_day": 0.0}, True, [{"field": "flow_ml_per_day", "prescribed": 0.5, "reported": 0.0}]),
        ({"flow_ml_per_day": None}, False, []),
    ],
)
def test_what_a_pump_reports_is_compared_with_what_is_prescribed(
    app: Flask, api: As, reported: dict[str, Any], mismatch: bool, differences: list[Any]
) -> None:
    pump = create_pump()
    create_setting(device=pump)
    create_device_state(device=pump, measured_at=AT, sample=reported)
    listed = api(create_user(clinic=pump.patient.clinic)).get(f"/devices/{pump.public_id}/settings").json
    assert (listed["mismatch"], listed["differences"]) == (mismatch, differences)


def test_a_program_is_compared_by_its_name_whether_number_or_word(app: Flask, api: As) -> None:
    stimulator = create_stimulator()
    create_setting(device=stimulator, program="3")
    create_device_state(device=stimulator, measured_at=AT, sample={"program": 3, "amplitude_ma": 4.9})
    caller = api(create_user(clinic=stimulator.patient.clinic))
    listed = caller.get(f"/devices/{stimulator.public_id}/settings").json
    assert [difference["field"] for difference in listed["differences"]] == ["amplitude_ma"]


@pytest.mark.parametrize("measured_at", [None, AT - 2 * DAY])
def test_a_report_from_before_the_prescription_says_nothing_about_it(
    app: Flask, api: As, measured_at: dt.datetime | None
) -> None:
    pump = create_pump()
    create_setting(device=pump, effective_at=AT - DAY)
    create_device_state(device=pump, measured_at=measured_at, sample={"flow_ml_per_day": 9.0})
    listed = api(create_user(clinic=pump.patient.clinic)).get(f"/devices/{pump.public_id}/settings").json
    assert listed["mismatch"] is None


def test_a_prescription_for_later_is_not_in_force_yet(app: Flask, api: As) -> None:
    pump = create_pump()
    now = create_setting(device=pump)
    caller, address = api(create_user(clinic=pump.patient.clinic)), f"/devices/{pump.public_id}/settings"
    caller.post(address, {"flow_ml_per_day": 0.7, "effective_at": "2026-11-24T08:00:00Z"})
    assert caller.get(address).json["in_force"]["id"] == str(now.public_id)


def test_a_backdated_prescription_is_news_from_its_own_time_on(app: Flask, api: As) -> None:
    pump = create_pump()
    caller = api(create_user(clinic=pump.patient.clinic))
    body = {"flow_ml_per_day": 0.7, "effective_at": "2026-11-20T08:00:00Z"}
    caller.post(f"/devices/{pump.public_id}/settings", body)
    since = {item.kind: item.since for item in read(select(WorkItem))}
    assert since["pain"] == AT - 3 * DAY


def test_an_engineer_reads_settings_without_what_the_clinic_wrote_about_the_patient(
    app: Flask, api: As
) -> None:
    pump = create_pump()
    create_setting(device=pump, note="Wife reports falls.")
    engineer = api(create_user(clinic=pump.patient.clinic, role="engineer"))
    answer = engineer.get(f"/devices/{pump.public_id}/settings")
    assert "falls" not in answer.text
    assert answer.json["items"][0]["flow_ml_per_day"] == 0.5
