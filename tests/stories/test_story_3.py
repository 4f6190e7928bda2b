"""The refill: 20 mL pump, 6.0 mL expected, 3.1 mL aspirated, and what has to be known before the patient leaves."""

import datetime as dt
from typing import Any

from flask import Flask
from sqlalchemy import select

from sc_stim.devices.ingest import Receiver
from sc_stim.extensions import db
from sc_stim.models import Alert, Device, Fill
from sc_stim.tasks.jobs import JUDGES
from sc_stim.tasks.work import work_off
from tests.apps import As, Caller, Time, both_databases, read
from tests.builders import create_clinic, create_patient, create_pump, create_user
from tests.intake import Speaker
from tests.trail import actions_on

MORPHINE = [{"name": "morphine", "mg_per_ml": 10.0}]
VISIT: dict[str, Any] = {
    "at": "2026-11-23T07:30:00Z", "aspirated_ml": 3.1, "filled_ml": 20.0, "drugs": MORPHINE,
    "drug_lot": "M7-2291", "drug_expires_on": "2027-06-30",
    "checklist": [
        {"step": step, "answer": "done"}
        for step in ("order", "two_identifiers", "interrogated", "reservoir_port", "drained", "programmed")
    ],
    "programmed": {"flow_ml_per_day": 0.5, "state": "running"},
}  # fmt: skip
READ_OFF: dict[str, Any] = {"filled_ml": 20.0, "drugs": MORPHINE}


def pump_at_its_visit(clinician: Caller, patient: Any) -> Device:
    """Filled 28 days before the visit and programmed to 0.5 mL/day."""
    pump = create_pump(patient=patient)
    first = {
        "at": "2026-10-26T07:30:00Z", "filled_ml": 20.0, "drugs": MORPHINE,
        "prescribe": {"flow_ml_per_day": 0.5},
    }  # fmt: skip
    assert clinician.post(f"/pumps/{pump.public_id}/fills", first).status_code == 201
    return pump


def report(pump: Device, seq: int, at: dt.datetime, state: str) -> None:
    speaker = Speaker(pump.id, str(pump.public_id))
    db.session.commit()  # SQLite has one writer: the test must not be it
    sample = {"seq": seq, "at": at.isoformat(), "state": state, "reservoir_ml": 20.0, "flow_ml_per_day": 0.5}
    Receiver(db.engine).receive([speaker.says(sample, sent_at=at, received_at=at)])


def judge(at: dt.datetime) -> None:
    work_off(db.session(), JUDGES, until=at + dt.timedelta(seconds=1))
    db.session.commit()


def alerts_of(pump: Device) -> dict[str, tuple[str, str]]:
    rows = read(select(Alert).where(Alert.device_id == pump.id, Alert.condition != "refill_due"))
    return {row.condition: (row.severity, row.state) for row in rows}


@both_databases
def test_a_refill_with_too_little_left_in_the_pump(app: Flask, api: As, time: Time) -> None:
    clinic = create_clinic()
    clinician, nurse, colleague = (
        create_user(clinic=clinic, role=role) for role in ("clinician", "nurse", "nurse")
    )
    pump = pump_at_its_visit(api(clinician), create_patient(clinic=clinic))
    other = pump_at_its_visit(api(clinician), create_patient(clinic=clinic))
    address = f"/pumps/{pump.public_id}"

    before = api(nurse).get(f"{address}/visit").json
    assert (before["expected_ml"], before["settings"]["flow_ml_per_day"]) == (5.99, 0.5)
    assert before["forecast"]["doses"] == [{"drug": "morphine", "mg_per_day": 5.0, "most_mg_per_day": 5.0}]
    assert [step["answer"] for step in before["checklist"]] == [None] * 9

    made = api(nurse).post(f"{address}/fills", VISIT)
    assert made.status_code == 201, made.text
    visit = made.json
    judged = visit["reconciliation"]
    assert (judged["expected_ml"], judged["aspirated_ml"], judged["difference_ml"]) == (6.0, 3.1, 2.9)
    assert (judged["delivered_ml"], judged["programmed_ml"], judged["ratio"]) == (16.9, 14.0, 1.207)
    said = " ".join(judged["sentences"])
    assert "2.9 mL less than expected was drawn out" in said
    assert "16.9 mL delivered for 14.0 mL programmed (+21 %)" in said
    assert visit["flags"] == ["remeasure", "possible_over_infusion"]
    assert (visit["settings_before"]["flow_ml_per_day"], visit["settings_after"]["flow_ml_per_day"]) == (
        0.5,
        0.5,
    )
    assert alerts_of(pump) == {"possible_over_infusion": ("high", "unacknowledged")}

    as_expected = api(nurse).post(f"/pumps/{other.public_id}/fills", VISIT | {"aspirated_ml": 6.0}).json
    assert visit["forecast"]["refill_by"] < as_expected["forecast"]["refill_by"]
    assert {clock["name"] for clock in visit["forecast"]["clocks"]} == {
        "empty_probability", "low_reservoir", "drug_stability", "max_interval",
    }  # fmt: skip
    assert visit["after_visit"]["state"] == "not_heard"
    assert visit["to_do"] == [
        "A second person has to confirm drug, concentration and volume.",
        "Not yet heard of since the visit: make sure that the pump runs.",
    ]
    assert alerts_of(other) == {}

    assert api(nurse).post(f"{address}/fills/{visit['id']}/confirm", READ_OFF).status_code == 409
    time.pass_by(minutes=5)
    check = READ_OFF | {"checklist": [{"step": "next_visit", "answer": "done"}]}
    confirmed = api(colleague).post(f"{address}/fills/{visit['id']}/confirm", check).json
    assert (confirmed["performed_by"]["name"], confirmed["confirmed_by"]["name"]) == (
        nurse.name,
        colleague.name,
    )
    assert (confirmed["filled_ml"], confirmed["confirmed_values"]) == (20.0, READ_OFF)
    by = {step["step"]: step["by"] for step in confirmed["checklist"]}
    assert by["reservoir_port"] == str(nurse.public_id)
    assert by["second_person"] == by["next_visit"] == str(colleague.public_id)
    assert by["aspirated_back"] is None
    assert actions_on(pump.patient)[-3:] == ["device.visit", "fill.record", "fill.confirm"]


@both_databases
def test_a_visit_is_complete_when_it_is_confirmed_and_the_pump_runs(app: Flask, api: As, time: Time) -> None:
    clinic = create_clinic()
    nurse, colleague = (create_user(clinic=clinic, role="nurse") for _ in range(2))
    pump = pump_at_its_visit(api(create_user(clinic=clinic)), create_patient(clinic=clinic))
    left_stopped = VISIT | {"programmed": {"flow_ml_per_day": 0.5, "state": "stopped"}}
    made = api(nurse).post(f"/pumps/{pump.public_id}/fills", left_stopped).json
    (stopped,) = [row for row in made["warnings"] if row["rule"] == "left_stopped"]
    assert stopped["source"] == "hsa.gov.sg 27 Jan 2021"

    def open_visits() -> list[list[str]]:
        return [row["to_do"] for row in api(nurse).get("/refills/visits").json["items"]]

    assert open_visits() == [
        [
            "Still not running: the programmer showed the pump stopped at the visit.",
            "A second person has to confirm drug, concentration and volume.",
        ]
    ]
    api(colleague).post(f"/pumps/{pump.public_id}/fills/{made['id']}/confirm", READ_OFF)
    time.pass_by(minutes=10)
    report(pump, 0, time.at, "stopped")
    judge(time.at)
    assert open_visits() == [["Still not running: the pump reported stopped on Mon 23 Nov 2026 08:10 UTC."]]
    assert alerts_of(pump)["pump_stopped"] == ("high", "unacknowledged")
    assert api(nurse).get("/refills", due_within_days=60).json["items"][0]["why"][0] == "The pump has stopped"
    time.pass_by(minutes=10)
    report(pump, 1, time.at, "running")
    judge(time.at)
    assert open_visits() == []
    assert alerts_of(pump)["pump_stopped"] == ("high", "returned_to_normal")


@both_databases
def test_a_session_that_was_never_closed_keeps_the_visit_open(app: Flask, api: As, time: Time) -> None:
    clinic = create_clinic()
    nurse, colleague = (create_user(clinic=clinic, role="nurse") for _ in range(2))
    pump = pump_at_its_visit(api(create_user(clinic=clinic)), create_patient(clinic=clinic))
    made = api(nurse).post(f"/pumps/{pump.public_id}/fills", VISIT).json
    api(colleague).post(f"/pumps/{pump.public_id}/fills/{made['id']}/confirm", READ_OFF)
    report(pump, 0, time.at, "running")

    def says(seq: int, kind: str) -> None:
        speaker = Speaker(pump.id, str(pump.public_id))
        db.session.commit()  # SQLite has one writer: the test must not be it
        event = {"seq": seq, "at": time.at.isoformat(), "kind": kind}
        said = speaker.says(events=[event], topic="event", sent_at=time.at, received_at=time.at)
        Receiver(db.engine).receive([said])

    says(1, "session_opened")
    (row,) = api(nurse).get("/refills/visits").json["items"]
    assert row["after_visit"]["state"] == "session_open"
    assert row["to_do"] == ["The programming session opened on Mon 23 Nov 2026 08:00 UTC was not closed."]
    time.pass_by(minutes=3)
    says(2, "session_closed")
    assert api(nurse).get("/refills/visits").json["items"] == []


@both_databases
def test_a_correction_is_a_new_entry_and_ends_the_alert_it_takes_the_ground_from(app: Flask, api: As) -> None:
    clinic = create_clinic()
    nurse = api(create_user(clinic=clinic, role="nurse"))
    pump = pump_at_its_visit(api(create_user(clinic=clinic)), create_patient(clinic=clinic))
    wrong = nurse.post(f"/pumps/{pump.public_id}/fills", VISIT).json
    right = nurse.post(
        f"/pumps/{pump.public_id}/fills", VISIT | {"aspirated_ml": 5.9, "replaces": wrong["id"]}
    ).json
    assert (right["flags"], right["replaces"]) == ([], wrong["id"])
    assert right["forecast"]["refill_by"] > wrong["forecast"]["refill_by"]
    assert alerts_of(pump) == {"possible_over_infusion": ("high", "returned_to_normal")}
    kept = [row.aspirated_ml for row in read(select(Fill).where(Fill.device_id == pump.id).order_by(Fill.id))]
    assert kept == [None, 3.1, 5.9]
