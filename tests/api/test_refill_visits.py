"""A refill visit through HTTP: checklist, prescription, bridge bolus, and what has to be looked at."""

import datetime as dt
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from sc_stim.extensions import db
from sc_stim.models import Alert, Device, DeviceSetting, Fill
from sc_stim.tasks.silence import find_silent
from sc_stim.workflows.conditions import judge_conditions
from tests.apps import As, both_databases, read
from tests.builders import (
    AT,
    create_clinic,
    create_device_state,
    create_fill,
    create_patient,
    create_pump,
    create_pump_sample,
    create_setting,
    create_user,
)

DAY = dt.timedelta(days=1)
MORPHINE = [{"name": "morphine", "mg_per_ml": 10.0}]
STRONGER = [{"name": "morphine", "mg_per_ml": 20.0}]
VISIT: dict[str, Any] = {
    "at": "2026-11-23T07:30:00Z", "aspirated_ml": 6.0, "filled_ml": 20.0, "drugs": MORPHINE,
}  # fmt: skip
VISIT_AT = dt.datetime.fromisoformat(VISIT["at"])


def filled_pump(**values: Any) -> Device:
    """Filled with 20 mL 28 days before the visit, running at 0.5 mL/day: 6 mL are expected to be left."""
    pump = create_pump(**values)
    create_setting(device=pump, effective_at=VISIT_AT - 28 * DAY)
    create_fill(pump=pump, at=VISIT_AT - 28 * DAY)
    return pump


@both_databases
def test_a_clinician_prescribes_with_the_fill_in_one_act(app: Flask, api: As) -> None:
    pump = filled_pump()
    clinician = api(create_user(clinic=pump.patient.clinic))
    body = VISIT | {"prescribe": {"flow_ml_per_day": 0.6}, "programmed": {"flow_ml_per_day": 0.6}}
    made = clinician.post(f"/pumps/{pump.public_id}/fills", body)
    assert made.status_code == 201, made.text
    assert made.json["settings_before"]["flow_ml_per_day"] == 0.5
    assert made.json["settings_after"]["flow_ml_per_day"] == 0.6
    assert made.json["forecast"]["doses"][0]["mg_per_day"] == 6.0
    (setting,) = read(select(DeviceSetting).where(DeviceSetting.flow_ml_per_day == 0.6))
    assert setting.effective_at == VISIT_AT
    correction = clinician.post(f"/pumps/{pump.public_id}/fills", body | {"replaces": made.json["id"]})
    assert (correction.status_code, correction.json["errors"][0]["field"]) == (422, "prescribe")


def test_neither_stands_where_one_of_the_two_cannot(app: Flask, api: As) -> None:
    pump = filled_pump()
    clinician = api(create_user(clinic=pump.patient.clinic))
    slip = clinician.post(f"/pumps/{pump.public_id}/fills", VISIT | {"prescribe": {"flow_ml_per_day": 12}})
    assert (slip.status_code, slip.json["errors"][0]["field"]) == (422, "flow_ml_per_day")
    assert len(read(select(Fill))) == len(read(select(DeviceSetting))) == 1


def test_a_nurse_carries_out_an_order_and_what_the_pump_shows_is_compared_with_it(
    app: Flask, api: As
) -> None:
    pump = filled_pump()
    nurse, address = (
        api(create_user(clinic=pump.patient.clinic, role="nurse")),
        f"/pumps/{pump.public_id}/fills",
    )
    refused = nurse.post(address, VISIT | {"prescribe": {"flow_ml_per_day": 0.6}})
    assert refused.status_code == 403
    assert "Only a clinician prescribes" in refused.json["detail"]
    made = nurse.post(address, VISIT | {"programmed": {"flow_ml_per_day": 5.0, "state": "running"}}).json
    assert made["flags"] == ["not_as_prescribed"]
    (warning,) = [row for row in made["warnings"] if row["rule"] == "not_as_prescribed"]
    assert warning["message"] == "the programmer shows a flow of 5 mL/day, prescribed is 0.5 mL/day"
    assert made["to_do"][0].startswith("The pump shows other settings than prescribed")


def test_who_is_unsure_of_the_port_does_not_fill(app: Flask, api: As) -> None:
    pump = filled_pump()
    nurse, address = (
        api(create_user(clinic=pump.patient.clinic, role="nurse")),
        f"/pumps/{pump.public_id}/fills",
    )

    def answered(step: str, answer: str) -> Any:
        return nurse.post(address, VISIT | {"checklist": [{"step": step, "answer": answer}]})

    refused = answered("reservoir_port", "unsure")
    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "checklist")
    assert "do not fill" in refused.json["errors"][0]["message"]
    assert "southshoreneurologic.com refill" in refused.json["errors"][0]["message"]
    assert answered("reservoir_ports", "done").json["errors"][0]["field"] == "checklist.0.step"
    twice = [{"step": "order", "answer": answer} for answer in ("done", "not_done")]
    assert nurse.post(address, VISIT | {"checklist": twice}).json["errors"][0]["field"] == "checklist"
    made = answered("drained", "unsure")
    steps = {row["step"]: row for row in made.json["checklist"]}
    assert (steps["drained"]["answer"], steps["order"]["answer"]) == ("unsure", None)
    assert steps["two_identifiers"]["source"] is None


@both_databases
def test_after_a_change_of_concentration_no_dose_is_named_until_the_bridge_is_over(
    app: Flask, api: As
) -> None:
    pump = filled_pump(catheter_volume_ml=0.2)
    clinician, address = api(create_user(clinic=pump.patient.clinic)), f"/pumps/{pump.public_id}"
    body = VISIT | {
        "drugs": STRONGER,
        "prescribe": {"flow_ml_per_day": 0.25},
        "bridge": {"dead_space_ml": 0.3},
    }
    made = clinician.post(f"{address}/fills", body)
    assert made.status_code == 201, made.text
    # 0.5 mL of 10 mg/mL make 5 mg, which is one day of 0.25 mL/day of 20 mg/mL
    assert made.json["bridge"] == {
        "from": "2026-11-23T07:30:00+00:00", "until": "2026-11-24T07:30:00+00:00", "volume_ml": 0.5,
    }  # fmt: skip
    for answer in (
        made.json["forecast"],
        clinician.get(f"{address}/forecast").json,
        clinician.get(f"/devices/{pump.public_id}/settings").json,
    ):
        assert answer["doses"] == []
        assert "a bridge bolus runs until 2026-11-24 07:30:00+00:00" in answer["dose_unknown"]
    assert "concentration_changed" not in {row["rule"] for row in made.json["warnings"]}


def test_a_changed_concentration_without_a_bridge_is_warned_of(app: Flask, api: As) -> None:
    pump = filled_pump()
    nurse = api(create_user(clinic=pump.patient.clinic, role="nurse"))
    made = nurse.post(f"/pumps/{pump.public_id}/fills", VISIT | {"drugs": STRONGER}).json
    (warning,) = [row for row in made["warnings"] if row["rule"] == "concentration_changed"]
    assert "morphine was 10 mg/mL and is 20 mg/mL now" in warning["message"]


@pytest.mark.parametrize(
    ("drugs", "bridge", "field"),
    [
        (STRONGER, {}, "bridge.volume_ml"),
        (MORPHINE, {"volume_ml": 0.4}, "bridge.until"),
        ([{"name": "hydromorphone", "mg_per_ml": 5.0}], {"volume_ml": 0.4}, "bridge.until"),
        (STRONGER, {"volume_ml": 0.4, "until": "2026-11-23T07:30:00Z"}, "bridge.until"),
    ],
)
def test_a_bridge_that_cannot_be_computed_is_refused_by_name(
    app: Flask, api: As, drugs: Any, bridge: Any, field: str
) -> None:
    pump = filled_pump(catheter_volume_ml=None)
    nurse = api(create_user(clinic=pump.patient.clinic, role="nurse"))
    body = VISIT | {"drugs": drugs, "bridge": bridge}
    answer = nurse.post(f"/pumps/{pump.public_id}/fills", body)
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, field)
    assert len(read(select(Fill))) == 1


def test_limits_are_checked_against_the_new_drug_and_unverified_ones_say_so(app: Flask, api: As) -> None:
    pump = filled_pump()
    clinician = api(create_user(clinic=pump.patient.clinic))
    body = VISIT | {
        "drugs": [{"name": "baclofen", "mg_per_ml": 2.0}, {"name": "morphine", "mg_per_ml": 25.0}],
        "prescribe": {"flow_ml_per_day": 0.7, "bolus_ml": 0.05, "max_boluses_per_day": 4},
    }
    made = clinician.post(f"/pumps/{pump.public_id}/fills", body).json
    found = {row["rule"]: row for row in made["warnings"]}
    assert found["no_patient_bolus"]["source"] == "manualshive.com PTC p6"
    assert found["concentration_ceiling"]["source"] is None
    assert (
        "25 mg/mL is above the concentration ceiling of 20 mg/mL (unverified)"
        in (found["concentration_ceiling"]["message"])
    )
    assert "22.5 mg/d" in found["daily_dose_caution"]["message"]


@both_databases
def test_a_pattern_over_the_day_is_prescribed_and_counts(app: Flask, api: As) -> None:
    pump = filled_pump()
    clinician = api(create_user(clinic=pump.patient.clinic))
    pattern = [{"from": "00:00", "flow_ml_per_day": 0.2}, {"from": "12:00", "flow_ml_per_day": 0.8}]
    address = f"/devices/{pump.public_id}/settings"
    made = clinician.post(address, {"pattern": pattern})
    assert made.status_code == 201, made.text
    assert (made.json["flow_ml_per_day"], made.json["pattern"]) == (0.5, pattern)
    wrong = clinician.post(address, {"pattern": pattern, "flow_ml_per_day": 0.6})
    assert (wrong.status_code, wrong.json["errors"][0]["field"]) == (422, "pattern")
    create_device_state(
        device=pump, measured_at=AT + dt.timedelta(minutes=1), sample={"flow_ml_per_day": 0.8}
    )
    assert clinician.get(address).json["mismatch"] is False
    assert clinician.get(f"/pumps/{pump.public_id}/forecast").json["doses"][0]["mg_per_day"] == 5.0


@both_databases
def test_a_pump_without_telemetry_is_forecast_from_its_records_and_never_silent(app: Flask, api: As) -> None:
    clinic = create_clinic()
    clinician, patient = api(create_user(clinic=clinic)), create_patient(clinic=clinic)
    body = {"model": "Codman 3000", "serial": "C-1", "reservoir_ml": 30.0}
    pump = clinician.post("/devices", body).json
    whose = {"patient": str(patient.public_id), "implanted_on": "2026-03-01"}
    assert clinician.patch(f"/devices/{pump['id']}", whose).status_code == 200
    assert pump["report_interval_s"] == 0
    visit = VISIT | {"aspirated_ml": None, "filled_ml": 30.0, "prescribe": {"flow_ml_per_day": 0.5}}
    made = clinician.post(f"/pumps/{pump['id']}/fills", visit).json
    assert made["forecast"]["refused"] is None
    assert made["forecast"]["refill_by"] > "2027-01-01"
    assert made["after_visit"] == {
        "state": "no_telemetry",
        "sentence": "this pump reports nothing: that it runs is known only from the visit",
    }
    boluses = clinician.post(
        f"/devices/{pump['id']}/settings", {"flow_ml_per_day": 0.5, "bolus_ml": 0.1, "max_boluses_per_day": 2}
    )
    assert "not_programmable" in {row["rule"] for row in boluses.json["warnings"]}
    assert find_silent(db.session(), AT + 60 * DAY) == 0
    db.session.commit()
    assert clinician.get("/alerts").json["items"] == []


def test_a_corrected_earlier_fill_is_what_the_later_one_is_judged_by(app: Flask, api: As) -> None:
    pump = filled_pump()
    nurse, address = (
        api(create_user(clinic=pump.patient.clinic, role="nurse")),
        f"/pumps/{pump.public_id}/fills",
    )
    (first,) = nurse.get(address).json["items"]
    later = nurse.post(address, VISIT | {"aspirated_ml": 3.0}).json
    assert later["flags"] == ["remeasure", "possible_over_infusion"]
    mistaken = {"at": first["at"], "filled_ml": 17.1, "drugs": MORPHINE, "replaces": first["id"]}
    assert nurse.post(address, mistaken).status_code == 201
    shown = nurse.get(address).json["items"][0]
    assert (shown["id"], shown["flags"], shown["aspirated_ml"]) == (later["id"], [], 3.0)
    assert [row.state for row in read(select(Alert))] == ["returned_to_normal"]


def test_what_was_dealt_with_is_not_raised_again_by_a_corrected_lot_number(app: Flask, api: As) -> None:
    pump = filled_pump()
    nurse, address = (
        api(create_user(clinic=pump.patient.clinic, role="nurse")),
        f"/pumps/{pump.public_id}/fills",
    )
    wrong = nurse.post(address, VISIT | {"aspirated_ml": 3.1}).json
    (alert,) = nurse.get("/alerts").json["items"]
    nurse.post(f"/alerts/{alert['id']}/resolve", {"comment": "Pump was exchanged."})
    nurse.post(address, VISIT | {"aspirated_ml": 3.1, "drug_lot": "M8", "replaces": wrong["id"]})
    assert [row.state for row in read(select(Alert))] == ["closed"]


@pytest.mark.parametrize(
    ("drug", "aspirated_ml", "alerts"),
    [
        ("morphine", 3.1, {("possible_over_infusion", "high")}),
        ("bupivacaine", 3.1, {("possible_over_infusion", "medium")}),
        ("morphine", 9.0, {("possible_under_infusion", "medium")}),
        ("baclofen", 9.0, {("possible_under_infusion", "high")}),
        ("morphine", 0.0, {("possible_over_infusion", "high"), ("possible_pocket_fill", "high")}),
        ("morphine", 6.2, set()),
    ],
)
def test_what_a_residual_shows_is_an_alert_by_drug(
    app: Flask, api: As, drug: str, aspirated_ml: float, alerts: set[tuple[str, str]]
) -> None:
    pump = filled_pump()
    nurse = api(create_user(clinic=pump.patient.clinic, role="nurse"))
    body = VISIT | {"drugs": [{"name": drug, "mg_per_ml": 2.0}], "aspirated_ml": aspirated_ml}
    assert nurse.post(f"/pumps/{pump.public_id}/fills", body).status_code == 201
    assert {(row.condition, row.severity) for row in read(select(Alert))} == alerts


def test_a_faster_flow_than_prescribed_is_believed_from_when_it_was_reported(app: Flask, api: As) -> None:
    pump = filled_pump()
    nurse, address = (
        api(create_user(clinic=pump.patient.clinic, role="nurse")),
        f"/pumps/{pump.public_id}/forecast",
    )
    before = nurse.get(address).json
    create_pump_sample(pump=pump, measured_at=AT - 3 * DAY, flow_ml_per_day=0.5)
    create_pump_sample(pump=pump, measured_at=AT - 2 * DAY, flow_ml_per_day=1.0)
    create_device_state(device=pump, measured_at=AT, sample={"flow_ml_per_day": 1.0})
    after = nurse.get(address).json
    assert after["flags"] == ["not_as_prescribed"]
    assert after["refill_by"] < before["refill_by"]
    assert after["doses"][0]["mg_per_day"] == 10.0
    assert before["expected_residual_ml"] - after["expected_residual_ml"] == pytest.approx(1.01, abs=0.02)


def test_a_slower_flow_than_prescribed_is_flagged_and_not_believed(app: Flask, api: As) -> None:
    pump = filled_pump()
    create_device_state(device=pump, measured_at=AT, sample={"flow_ml_per_day": 0.1})
    found = api(create_user(clinic=pump.patient.clinic)).get(f"/pumps/{pump.public_id}/forecast").json
    assert (found["flags"], found["doses"][0]["mg_per_day"]) == (["not_as_prescribed"], 5.0)


@pytest.mark.parametrize(
    ("days_ago", "reservoir_ml", "refused"),
    [(0, 6.0, None), (0, 3.5, "contradicting_reading"), (0, 12.0, None), (27.5, 3.0, None), (91, 9.0, None)],
)
def test_a_pump_that_counts_less_than_its_record_leaves_gets_no_date(
    app: Flask, api: As, days_ago: float, reservoir_ml: float, refused: str | None
) -> None:
    pump = filled_pump()
    sample = {"reservoir_ml": reservoir_ml}
    create_device_state(device=pump, measured_at=AT - days_ago * DAY, sample=sample)
    found = api(create_user(clinic=pump.patient.clinic)).get(f"/pumps/{pump.public_id}/forecast").json
    assert (found["refused"] or "").partition(":")[0] == (refused or "")


def test_a_pump_that_fell_silent_since_its_last_fill_has_to_be_interrogated(app: Flask, api: As) -> None:
    pump = create_pump()
    create_setting(device=pump, effective_at=AT - 120 * DAY, flow_ml_per_day=0.1)
    create_fill(pump=pump, at=AT - 120 * DAY)
    create_device_state(device=pump, measured_at=AT - 91 * DAY, sample={"reservoir_ml": 17.0})
    found = api(create_user(clinic=pump.patient.clinic)).get(f"/pumps/{pump.public_id}/forecast").json
    assert found["refused"] == (
        "stale_reading: the pump reported its reservoir 91 days ago and not since: interrogate it"
    )


@both_databases
def test_a_pump_that_the_programmer_showed_stopped_calls_people_though_it_reports_nothing(
    app: Flask, api: As
) -> None:
    pump = filled_pump(report_interval_s=0)
    nurse, address = (
        api(create_user(clinic=pump.patient.clinic, role="nurse")),
        f"/pumps/{pump.public_id}/fills",
    )
    wrong = nurse.post(address, VISIT | {"programmed": {"state": "stopped"}}).json
    judge_conditions(db.session(), {pump.id: AT}, AT)
    (alert,) = read(select(Alert))
    assert (alert.condition, alert.severity, alert.since) == ("pump_stopped", "high", VISIT_AT)
    assert alert.detail["left_after_visit"]
    nurse.post(address, VISIT | {"programmed": {"state": "running"}, "replaces": wrong["id"]})
    judge_conditions(db.session(), {pump.id: AT}, AT)
    assert [row.state for row in read(select(Alert))] == ["returned_to_normal"]


def test_a_pump_that_runs_since_a_visit_that_left_it_stopped_is_no_alert(app: Flask, api: As) -> None:
    pump = filled_pump()
    nurse = api(create_user(clinic=pump.patient.clinic, role="nurse"))
    nurse.post(f"/pumps/{pump.public_id}/fills", VISIT | {"programmed": {"state": "stopped"}})
    create_pump_sample(pump=pump, measured_at=AT)
    judge_conditions(db.session(), {pump.id: AT}, AT)
    assert read(select(Alert)) == []


def test_an_explanted_pump_takes_no_fill_and_a_correction_of_its_past_calls_nobody(
    app: Flask, api: As
) -> None:
    pump = filled_pump(explanted_on=dt.date(2026, 11, 21))
    nurse, address = (
        api(create_user(clinic=pump.patient.clinic, role="nurse")),
        f"/pumps/{pump.public_id}/fills",
    )
    refused = nurse.post(address, VISIT)
    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "at")
    wrong = nurse.post(address, VISIT | {"at": "2026-11-21T07:30:00Z"}).json
    body = VISIT | {"at": "2026-11-21T07:30:00Z", "aspirated_ml": 1.0, "replaces": wrong["id"]}
    assert "possible_over_infusion" in nurse.post(address, body).json["flags"]
    assert read(select(Alert)) == []
    again = nurse.post(address, body)
    assert (again.status_code, again.json["detail"]) == (
        409,
        "this fill was corrected before: correct its correction",
    )
