"""Monday 8:00: one list of the pumps due in 14 days, most dangerous first, with all that a call needs."""

import datetime as dt
from typing import Any

from flask import Flask

from sc_stim.devices.ingest import Receiver
from sc_stim.extensions import db
from sc_stim.models import Clinic, Device
from sc_stim.tasks.jobs import JUDGES
from sc_stim.tasks.work import work_off
from tests.apps import As, Caller, Time, both_databases
from tests.builders import AT, create_clinic, create_patient, create_pump, create_user
from tests.intake import Speaker

DAY = dt.timedelta(days=1)


def fill(clinician: Caller, pump: Device, at: dt.datetime, drug: str, mg_per_ml: float) -> dict[str, Any]:
    """20 mL at 0.5 mL/day, prescribed with the fill: the empty clock allows 33 days at a first fill."""
    body = {
        "at": at.isoformat(), "filled_ml": 20.0, "drugs": [{"name": drug, "mg_per_ml": mg_per_ml}],
        "prescribe": {"flow_ml_per_day": 0.5},
    }  # fmt: skip
    made = clinician.post(f"/pumps/{pump.public_id}/fills", body)
    assert made.status_code == 201, made.text
    answer: dict[str, Any] = made.json
    return answer


def report(pump: Device, at: dt.datetime, **values: Any) -> None:
    speaker = Speaker(pump.id, str(pump.public_id))
    db.session.commit()  # SQLite has one writer: the test must not be it
    sample = {"seq": 0, "at": at.isoformat(), **values}
    Receiver(db.engine).receive([speaker.says(sample, sent_at=at, received_at=at)])


def judge(at: dt.datetime) -> None:
    work_off(db.session(), JUDGES, until=at + dt.timedelta(seconds=1))
    db.session.commit()


def pumps(clinic: Clinic) -> tuple[Device, Device, Device, Device]:
    def pump(name: str, **patient: Any) -> Device:
        return create_pump(patient=create_patient(clinic=clinic, family_name=name, **patient))

    return pump("Baclofen", phone="+49 30 5550111"), pump("Morphine"), pump("Later"), pump("Unknown")


@both_databases
def test_the_refill_nurses_monday_morning(app: Flask, api: As, time: Time) -> None:
    clinic = create_clinic()
    baclofen, morphine, later, unknown = pumps(clinic)
    clinician = api(create_user(clinic=clinic, role="clinician"))
    assert fill(clinician, baclofen, AT - 30 * DAY, "baclofen", 2.0)["forecast"]["refill_by"] == "2026-11-26"
    assert fill(clinician, morphine, AT - 31 * DAY, "morphine", 10.0)["forecast"]["refill_by"] == "2026-11-25"
    fill(clinician, later, AT - DAY, "morphine", 10.0)
    report(baclofen, AT, state="running", reservoir_ml=5.0, flow_ml_per_day=0.5)
    report(unknown, AT, state="running", reservoir_ml=7.5)
    judge(AT)

    nurse = api(create_user(clinic=clinic, role="nurse"))
    listed = nurse.get("/refills", due_within_days=14).json
    assert [row["patient"]["name"].partition(",")[0] for row in listed["items"]] == [
        "Unknown", "Baclofen", "Morphine",
    ]  # fmt: skip
    refused, first, second = listed["items"]
    assert refused["refused"] == "no_fill_recorded: record the last fill of this pump"
    assert refused["reservoir_ml"] == 7.5
    assert (first["refill_by"], first["binding_clock"]) == ("2026-11-26", "empty_probability")
    assert (first["drug"], first["reservoir_ml"]) == ("baclofen 2 mg/mL", 5.0)
    assert first["earliest_empty"] == "2026-11-26"
    assert first["patient"]["phone"] == "+49 30 5550111"
    assert first["being_recomputed"] is False
    assert first["why"] == [
        "Stopping this drug suddenly can kill", "An hour without the drug counts 6 times",
        "Empty at the earliest on 2026-11-26 at 14:14",
    ]  # fmt: skip
    assert second["why"][:2] == [
        "Opioid withdrawal when it runs dry", "An hour without the drug counts 2 times",
    ]  # fmt: skip


@both_databases
def test_who_missed_a_visit_or_cannot_be_called_stands_higher_and_the_row_says_why(
    app: Flask, api: As, time: Time
) -> None:
    clinic = create_clinic()
    reached = create_pump(patient=create_patient(clinic=clinic))
    unreachable = create_pump(patient=create_patient(clinic=clinic, phone=None))
    clinician = api(create_user(clinic=clinic))
    for pump in (reached, unreachable):
        fill(clinician, pump, AT - 30 * DAY, "morphine", 10.0)
    judge(AT)
    first, second = clinician.get("/refills").json["items"]
    assert (first["device_id"], second["device_id"]) == (str(unreachable.public_id), str(reached.public_id))
    assert "No way to reach the patient" in first["why"]
    assert "An hour without the drug counts 3 times" in first["why"]
