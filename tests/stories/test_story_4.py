"""Review: one time line of everything, the care pathway beside it, and a stamp of who looked and when."""

import datetime as dt
from typing import Any

from flask import Flask

from tests.apps import As, Caller, Time, both_databases
from tests.builders import (
    AT,
    create_alert,
    create_clinic,
    create_pain_score,
    create_patient,
    create_pump,
    create_pump_sample,
    create_stimulator,
    create_stimulator_sample,
    create_user,
)

pytestmark = both_databases

DAY = dt.timedelta(days=1)
FIRST = AT - 40 * DAY
PATHWAY = [
    {"kind": "physical_therapy", "started_on": "2024-03-01", "ended_on": "2024-09-01", "relief_pct": 10},
    {"kind": "stimulator_trial", "started_on": "2025-01-10", "ended_on": "2025-01-20", "relief_pct": 65},
    {"kind": "stimulator_implant", "started_on": "2025-02-03"},
    {"kind": "pump_implant", "started_on": "2026-03-02"},
]


def months_of_a_life(clinician: Caller, patient: Any, pump: Any, stimulator: Any) -> None:
    """Scores, samples, a programme change, a refill and the pathway, as devices and people tell of them."""
    for day in range(40):
        at = FIRST + day * DAY
        create_pain_score(patient=patient, measured_at=at, nrs=4.0 if day < 30 else 6.0)
        create_pump_sample(pump=pump, measured_at=at, reservoir_ml=20.0 - day * 0.4)
        create_stimulator_sample(stimulator=stimulator, measured_at=at, battery_pct=90.0 - day)
    for step in PATHWAY:
        assert clinician.post(f"/patients/{patient.public_id}/treatments", step).status_code == 201
    for body in ({"program": "A", "amplitude_ma": 4.0}, {"program": "B", "amplitude_ma": 5.0}):
        at = {"effective_at": (FIRST if body["program"] == "A" else AT - 9 * DAY).isoformat()}
        assert clinician.post(f"/devices/{stimulator.public_id}/settings", body | at).status_code == 201
    fill = {
        "at": (AT - 2 * DAY).isoformat(), "aspirated_ml": 4.6, "filled_ml": 20.0,
        "drugs": [{"name": "morphine", "mg_per_ml": 10.0}],
    }  # fmt: skip
    assert clinician.post(f"/pumps/{pump.public_id}/fills", fill).status_code == 201


def test_a_clinician_reviews_a_patient_with_a_stimulator_and_a_pump(app: Flask, api: As, time: Time) -> None:
    clinic = create_clinic(time_zone="Europe/Berlin")
    clinician = create_user(clinic=clinic, role="clinician", name="Kim Weber")
    patient = create_patient(clinic=clinic)
    pump = create_pump(patient=patient, implanted_on=dt.date(2026, 3, 2))
    stimulator = create_stimulator(patient=patient, implanted_on=dt.date(2025, 2, 3))
    caller, here = api(clinician), f"/patients/{patient.public_id}"
    months_of_a_life(caller, patient, pump, stimulator)
    create_alert(patient=patient, condition="pain_rise", severity="high", since=AT - 3 * DAY)
    overdue = caller.get("/reviews/due", within_days=0).json["items"]
    assert [row["device"]["kind"] for row in overdue] == [
        "stimulator",
        "pump",
    ]  # never reviewed, longest first

    line = caller.get(f"{here}/timeline", **{"from": (AT - 45 * DAY).isoformat()}).json

    edges = [(bucket["from"], bucket["to"]) for bucket in line["pain"]]
    lanes = {lane["device"]["kind"]: lane for lane in line["devices"]}
    assert set(lanes) == {"pump", "stimulator"}
    assert all([(row["from"], row["to"]) for row in lane["series"]] == edges for lane in lanes.values())
    scored = [bucket["nrs"] for bucket in line["pain"] if bucket["scores"]]
    assert (scored[0], scored[-1], len(scored)) == (4.0, 6.0, 40)
    assert [row["program"] for row in lanes["stimulator"]["settings"]] == ["B", "A"]
    assert [row["aspirated_ml"] for row in lanes["pump"]["fills"]] == [4.6]
    assert [mark["kind"] for mark in line["alerts"]] == ["pain_rise"]
    assert line["reviews"] == []
    pathway = caller.get(f"{here}/treatments").json["items"]
    assert [(step["kind"], step["relief_pct"]) for step in pathway] == [
        (step["kind"], step.get("relief_pct")) for step in PATHWAY
    ]

    time.pass_by(minutes=20)
    body = {"comment": "Pain rose with programme B.", "covers_from": line["from"], "covers_until": line["to"]}
    review = caller.post(f"{here}/reviews", body).json

    assert (review["reviewed_by"]["name"], review["reviewed_at"]) == ("Kim Weber", "2026-11-23T08:20:00Z")
    assert (review["covers_from"], review["covers_until"]) == (line["from"], line["to"])
    assert [warning["rule"] for warning in review["warnings"]] == ["unacknowledged_high_alert"]
    (alert,) = caller.get("/alerts", kind="pain_rise").json["items"]
    assert alert["state"] == "unacknowledged"
    time.pass_by(minutes=5)
    (mark,) = caller.get(f"{here}/timeline").json["reviews"]
    assert (mark["id"], mark["reviewed_by"]["name"]) == (review["id"], "Kim Weber")
    assert caller.get("/reviews/due", within_days=0).json["items"] == []
    auditor = api(create_user(clinic=clinic, role="auditor"))
    (entry,) = auditor.get("/audit", action="review.record").json["items"]
    assert (entry["actor_name"], entry["subject"]) == ("Kim Weber", str(patient.public_id))
    assert entry["at"] == "2026-11-23T08:20:00Z"
