"""Refill visits and forecasts through HTTP."""

import datetime as dt
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from sc_stim.models import Device, Fill, WorkItem
from tests.apps import As, Time, both_databases, read
from tests.builders import AT, create_fill, create_pump, create_setting, create_stimulator, create_user
from tests.trail import actions_on, entries, owed

DAY = dt.timedelta(days=1)
MORPHINE = [{"name": "morphine", "mg_per_ml": 10.0}]
VISIT = {"at": "2026-11-23T07:30:00Z", "aspirated_ml": 6.0, "filled_ml": 20.0, "drugs": MORPHINE}


def filled_pump(**values: Any) -> Device:
    """Filled with 20 mL 28 days before the visit, running at 0.5 mL/day: 6 mL are expected to be left."""
    pump = create_pump(**values)
    visit_at = dt.datetime.fromisoformat(VISIT["at"])
    create_setting(device=pump, effective_at=visit_at - 28 * DAY)
    create_fill(pump=pump, at=visit_at - 28 * DAY)
    return pump


@both_databases
def test_a_refill_is_compared_with_what_was_expected(app: Flask, api: As) -> None:
    pump = filled_pump()
    nurse = create_user(clinic=pump.patient.clinic, role="nurse")
    caller, address = api(nurse), f"/pumps/{pump.public_id}/fills"
    made = caller.post(address, VISIT | {"drug_lot": "M7", "drug_expires_on": "2027-03-01"})
    assert made.status_code == 201, made.text
    assert (made.json["expected_ml"], made.json["flags"]) == (pytest.approx(6.0), [])
    assert made.json["performed_by"]["name"] == nurse.name
    assert made.json["confirmed_by"] is None
    listed = caller.get(address).json["items"]
    assert listed[0].items() <= made.json.items()
    assert [row["expected_ml"] for row in listed] == [pytest.approx(6.0), None]
    assert owed() == {("refill", pump.id), ("device", pump.id), ("pain", pump.patient_id)}
    assert actions_on(pump.patient) == ["fill.record", "device.fills"]


def test_a_missing_volume_is_flagged_in_figures_and_words(app: Flask, api: As) -> None:
    pump = filled_pump()
    caller = api(create_user(clinic=pump.patient.clinic, role="nurse"))
    made = caller.post(f"/pumps/{pump.public_id}/fills", VISIT | {"aspirated_ml": 3.1}).json
    assert made["flags"] == ["remeasure", "possible_over_infusion"]
    judged = made["reconciliation"]
    assert (judged["difference_ml"], judged["delivered_ml"], judged["programmed_ml"]) == (2.9, 16.9, 14.0)
    assert judged["ratio"] == pytest.approx(1.207, abs=0.001)
    assert "16.9 mL delivered for 14.0 mL programmed (+21 %)" in " ".join(judged["sentences"])


def test_a_fill_beside_the_reservoir_is_flagged_even_at_the_first_fill(app: Flask, api: As) -> None:
    pump = create_pump()
    caller = api(create_user(clinic=pump.patient.clinic))
    first = VISIT | {"aspirated_ml": None, "measured_after_ml": 18.5}
    made = caller.post(f"/pumps/{pump.public_id}/fills", first).json
    assert (made["expected_ml"], made["flags"]) == (None, ["possible_pocket_fill"])


def test_a_residual_that_was_not_measured_is_expected_but_not_judged(app: Flask, api: As) -> None:
    pump = filled_pump()
    caller = api(create_user(clinic=pump.patient.clinic))
    made = caller.post(f"/pumps/{pump.public_id}/fills", VISIT | {"aspirated_ml": None}).json
    assert made["expected_ml"] == pytest.approx(6.0)
    assert (made["reconciliation"], made["flags"]) == (None, [])


def test_an_expired_or_unknown_drug_is_on_record_and_flagged(app: Flask, api: As) -> None:
    pump = create_pump()
    caller = api(create_user(clinic=pump.patient.clinic))
    drugs = [{"name": "saline solution", "mg_per_ml": 9.0}]
    body = VISIT | {"drugs": drugs, "drug_expires_on": "2026-11-22"}
    made = caller.post(f"/pumps/{pump.public_id}/fills", body)
    assert (made.status_code, made.json["flags"]) == (201, ["expired_drug", "unknown_drug"])


@pytest.mark.parametrize(
    ("visit_at", "flags"), [("2026-11-22T22:59:00Z", []), ("2026-11-22T23:00:00Z", ["expired_drug"])]
)
def test_a_drug_expires_at_the_end_of_its_day_in_the_clinic(
    app: Flask, api: As, visit_at: str, flags: list[str]
) -> None:
    pump = create_pump()
    caller = api(create_user(clinic=pump.patient.clinic))
    body = VISIT | {"at": visit_at, "drug_expires_on": "2026-11-22"}
    assert caller.post(f"/pumps/{pump.public_id}/fills", body).json["flags"] == flags


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"filled_ml": 40.0}, "filled_ml"),
        ({"filled_ml": None}, "filled_ml"),
        ({"aspirated_ml": 23.0}, "aspirated_ml"),
        ({"measured_after_ml": -1}, "measured_after_ml"),
        ({"at": "2026-11-23T08:00:01Z"}, "at"),
        ({"at": "2026-11-23T08:00"}, "at"),
        ({"drugs": []}, "drugs"),
        ({"drugs": [{"name": "morphine"}]}, "drugs.0.mg_per_ml"),
        ({"drugs": [{"name": "morphine", "mg_per_ml": 0}]}, "drugs.0.mg_per_ml"),
        ({"drugs": MORPHINE * 2}, "drugs"),
        ({"expected_ml": 6.0}, "expected_ml"),
        ({"replaces": "01890000-0000-7000-8000-000000000000"}, "replaces"),
    ],
)
def test_a_fill_that_cannot_be_is_refused_by_name(
    app: Flask, api: As, change: dict[str, Any], field: str
) -> None:
    pump = create_pump()
    answer = api(create_user(clinic=pump.patient.clinic)).post(
        f"/pumps/{pump.public_id}/fills", VISIT | change
    )
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, field)
    assert read(select(Fill)) == []


def test_one_visit_is_one_fill(app: Flask, api: As) -> None:
    pump = create_pump()
    caller, address = api(create_user(clinic=pump.patient.clinic)), f"/pumps/{pump.public_id}/fills"
    assert caller.post(address, VISIT).status_code == 201
    assert caller.post(address, VISIT).status_code == 409


@both_databases
def test_a_correction_replaces_a_fill_and_is_judged_in_its_place(app: Flask, api: As) -> None:
    pump = filled_pump()
    caller, address = api(create_user(clinic=pump.patient.clinic)), f"/pumps/{pump.public_id}/fills"
    wrong = caller.post(address, VISIT | {"aspirated_ml": 0.6}).json
    right = caller.post(address, VISIT | {"replaces": wrong["id"]})
    assert right.status_code == 201, right.text
    assert (right.json["flags"], right.json["expected_ml"]) == ([], pytest.approx(6.0))
    assert wrong["id"] not in {row["id"] for row in caller.get(address).json["items"]}
    everything = {row["id"]: row for row in caller.get(address, include_replaced="true").json["items"]}
    assert everything[wrong["id"]]["replaced_by"] == right.json["id"]
    assert everything[wrong["id"]]["aspirated_ml"] == 0.6
    assert caller.post(address, VISIT | {"replaces": wrong["id"]}).status_code == 409
    assert entries("fill.correct")[0].detail["replaces"] == wrong["id"]


def test_a_correction_to_another_time_is_news_from_the_earlier_of_both(app: Flask, api: As) -> None:
    pump = create_pump()
    fill = create_fill(pump=pump, at=AT - 20 * DAY)
    caller = api(create_user(clinic=pump.patient.clinic))
    caller.post(f"/pumps/{pump.public_id}/fills", VISIT | {"replaces": str(fill.public_id)})
    since = {item.kind: item.since for item in read(select(WorkItem))}
    assert since["refill"] == AT - 20 * DAY


@both_databases
def test_a_second_person_confirms_what_they_read_themselves(app: Flask, api: As, time: Time) -> None:
    pump = filled_pump()
    nurse, colleague = (create_user(clinic=pump.patient.clinic, role="nurse") for _ in range(2))
    made = api(nurse).post(f"/pumps/{pump.public_id}/fills", VISIT).json
    address, read_off = (
        f"/pumps/{pump.public_id}/fills/{made['id']}/confirm",
        {"filled_ml": 20.05, "drugs": MORPHINE},
    )
    time.pass_by(minutes=5)
    second = api(colleague)
    assert api(nurse).post(address, read_off).status_code == 409
    for wrong, field in (
        ({"filled_ml": 18}, "filled_ml"),
        ({"drugs": [MORPHINE[0] | {"mg_per_ml": 25}]}, "drugs"),
    ):
        refused = second.post(address, read_off | wrong)
        assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, field)
    confirmed = second.post(address, read_off)
    assert confirmed.status_code == 200, confirmed.text
    assert confirmed.json["performed_by"]["name"] == nurse.name
    assert confirmed.json["confirmed_by"]["name"] == colleague.name
    assert confirmed.json["confirmed_at"] == "2026-11-23T08:05:00Z"
    assert confirmed.json["confirmed_values"] == read_off
    assert confirmed.json["filled_ml"] == 20.0
    assert second.post(address, read_off).status_code == 409
    assert actions_on(pump.patient) == ["fill.record", "fill.confirm"]


def test_a_corrected_fill_is_not_confirmed_any_more(app: Flask, api: As) -> None:
    pump = create_pump()
    fill = create_fill(pump=pump)
    create_fill(pump=pump, replaces_id=fill.id)
    caller = api(create_user(clinic=pump.patient.clinic))
    body = {"filled_ml": 20, "drugs": MORPHINE}
    assert caller.post(f"/pumps/{pump.public_id}/fills/{fill.public_id}/confirm", body).status_code == 409
    other = create_pump(patient=pump.patient)
    assert caller.post(f"/pumps/{other.public_id}/fills/{fill.public_id}/confirm", body).status_code == 404


def test_a_fill_shows_the_settings_before_and_after_the_visit(app: Flask, api: As) -> None:
    pump = filled_pump()
    clinician = api(create_user(clinic=pump.patient.clinic))
    clinician.post(
        f"/devices/{pump.public_id}/settings", {"flow_ml_per_day": 0.6, "effective_at": VISIT["at"]}
    )
    made = clinician.post(f"/pumps/{pump.public_id}/fills", VISIT).json
    assert made["settings_before"]["flow_ml_per_day"] == 0.5
    assert made["settings_after"]["flow_ml_per_day"] == 0.6


@both_databases
def test_a_forecast_names_every_clock_and_the_one_that_binds(app: Flask, api: As) -> None:
    pump = filled_pump()
    create_fill(pump=pump, at=AT - DAY, aspirated_ml=6.0)
    made = api(create_user(clinic=pump.patient.clinic)).get(f"/pumps/{pump.public_id}/forecast")
    assert made.status_code == 200, made.text
    clocks = {clock["name"]: clock["date"] for clock in made.json["clocks"]}
    assert set(clocks) == {"empty_probability", "low_reservoir", "drug_stability", "max_interval"}
    assert clocks[made.json["binding_clock"]] == min(clocks.values())
    assert made.json["refill_by"] <= min(clocks.values())
    assert made.json["empty"]["p05"] < made.json["empty"]["p50"] < made.json["empty"]["p95"]
    assert made.json["expected_residual_ml"] == pytest.approx(19.5, abs=0.1)
    assert made.json["refused"] is None
    assert actions_on(pump.patient) == ["device.forecast"]


def test_a_forecast_that_cannot_be_made_says_why(app: Flask, api: As) -> None:
    pump = create_pump()
    made = api(create_user(clinic=pump.patient.clinic)).get(f"/pumps/{pump.public_id}/forecast").json
    assert made["refused"] == "no_fill_recorded: record the last fill of this pump"
    assert (made["refill_by"], made["clocks"], made["empty"]) == (None, None, None)


def test_a_patient_prone_to_withdrawal_is_due_earlier(app: Flask, api: As) -> None:
    pump = filled_pump()
    caller = api(create_user(clinic=pump.patient.clinic))
    before = caller.get(f"/pumps/{pump.public_id}/forecast").json
    caller.patch(f"/patients/{pump.patient.public_id}", {"withdrawal_prone": True})
    after = caller.get(f"/pumps/{pump.public_id}/forecast").json
    assert after["empty"]["p50"] < before["empty"]["p50"]


def test_a_stimulator_has_nothing_to_fill(app: Flask, api: As) -> None:
    stimulator = create_stimulator()
    caller = api(create_user(clinic=stimulator.patient.clinic))
    assert caller.get(f"/pumps/{stimulator.public_id}/forecast").status_code == 404
    assert caller.post(f"/pumps/{stimulator.public_id}/fills", VISIT).status_code == 404


@pytest.mark.parametrize("path", ["fills", "forecast"])
def test_another_clinics_pump_is_as_absent_as_one_that_never_was(app: Flask, api: As, path: str) -> None:
    pump = create_pump()
    stranger = api(create_user())
    there = stranger.get(f"/pumps/{pump.public_id}/{path}")
    nowhere = stranger.get(f"/pumps/01890000-0000-7000-8000-000000000000/{path}")
    assert (there.status_code, there.json) == (404, nowhere.json)


def test_an_engineer_has_no_business_with_refills(app: Flask, api: As) -> None:
    pump = create_pump()
    engineer = api(create_user(clinic=pump.patient.clinic, role="engineer"))
    assert engineer.get(f"/pumps/{pump.public_id}/fills").status_code == 403
    assert engineer.get("/refills").status_code == 403


def test_a_pump_that_gave_too_much_is_due_earlier(app: Flask, api: As) -> None:
    due = []
    for aspirated_ml in (6.0, 3.1):
        pump = filled_pump()
        caller = api(create_user(clinic=pump.patient.clinic))
        assert (
            caller.post(f"/pumps/{pump.public_id}/fills", VISIT | {"aspirated_ml": aspirated_ml}).status_code
            == 201
        )
        due.append(caller.get(f"/pumps/{pump.public_id}/forecast").json)
    assert due[1]["refill_by"] < due[0]["refill_by"]
    assert "possible_over_infusion" in due[1]["flags"]
