"""The record of a patient through HTTP: its life, its limits, who sees it."""

import datetime as dt
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from sc_stim.models import Patient
from tests.apps import As, Time, both_databases, read
from tests.builders import (
    AT,
    create_alert,
    create_clinic,
    create_fill,
    create_pain_score,
    create_patient,
    create_pump,
    create_pump_sample,
    create_setting,
    create_stimulator,
    create_stimulator_sample,
    create_user,
)
from tests.trail import actions_on, entries, owed

NEW = {
    "mrn": "A-1", "given_name": "Grace", "family_name": "Example", "birth_date": "1956-12-09",
    "time_zone": "Europe/Lisbon", "phone": "+351 21 5550100", "indication_icd10": "M96.1",
    "risk_factors": ["smoking", "depression"], "symptoms": ["numbness"], "withdrawal_prone": True,
}  # fmt: skip


@both_databases
def test_a_patient_is_registered_shown_and_changed_and_the_trail_tells_of_it(app: Flask, api: As) -> None:
    nurse = create_user(role="nurse")
    caller = api(nurse)
    made = caller.post("/patients", NEW)
    assert made.status_code == 201, made.text
    assert {name: made.json[name] for name in NEW} == NEW
    shown = caller.get(made.headers["Location"])
    assert shown.json == made.json
    assert shown.headers["ETag"] == '"1"'
    changed = caller.patch(made.headers["Location"], {"phone": "+351 21 5550199", "note": "rings at noon"})
    assert changed.json == made.json | {"phone": "+351 21 5550199", "note": "rings at noon", "version": 2}
    patient = read(select(Patient))[0]
    assert patient.clinic_id == nurse.clinic_id
    assert actions_on(patient) == ["patient.create", "patient.view", "patient.change"]


def test_the_trail_names_what_was_changed_of_a_person_but_not_to_what(app: Flask, api: As) -> None:
    patient = create_patient()
    caller = api(create_user(clinic=patient.clinic))
    caller.patch(f"/patients/{patient.public_id}", {"family_name": "Married", "time_zone": "Europe/Rome"})
    (entry,) = entries("patient.change")
    assert entry.detail == {"changed": {"family_name": None, "time_zone": ["Europe/Berlin", "Europe/Rome"]}}


def test_a_new_patient_lives_in_the_time_zone_of_the_clinic(app: Flask, api: As) -> None:
    caller = api(create_user())
    made = caller.post("/patients", {"mrn": "1", "given_name": "A", "family_name": "B"})
    assert made.json["time_zone"] == "Europe/Berlin"
    assert made.json["risk_factors"] == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mrn", ""),
        ("given_name", None),
        ("family_name", "x" * 101),
        ("birth_date", "09.12.1956"),
        ("time_zone", "Europe/Atlantis"),
        ("time_zone", "CET+1"),
        ("email", "not an address"),
        ("indication_icd10", "failed back"),
        ("indication_icd10", "m96.1"),
        ("indication_icd10", "M96.1\n"),
        ("risk_factors", ["whistling"]),
        ("symptoms", ["numbness", "numbness"]),
        ("withdrawal_prone", "yes"),
        ("nickname", "Gracie"),
        ("version", 7),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(app: Flask, api: As, field: str, value: Any) -> None:
    answer = api(create_user()).post("/patients", NEW | {field: value})
    assert answer.status_code == 422
    assert {error["field"].split(".")[0] for error in answer.json["errors"]} == {field}
    assert read(select(Patient)) == []


def test_a_record_number_is_one_patients_within_a_clinic(app: Flask, api: As) -> None:
    patient = create_patient(mrn="A-1")
    colleague, stranger = api(create_user(clinic=patient.clinic)), api(create_user())
    assert colleague.post("/patients", NEW).status_code == 409
    assert stranger.post("/patients", NEW).status_code == 201
    other = create_patient(clinic=patient.clinic)
    assert colleague.patch(f"/patients/{other.public_id}", {"mrn": "A-1"}).status_code == 409


def test_a_change_based_on_an_old_version_is_refused(app: Flask, api: As) -> None:
    patient = create_patient()
    caller, address = api(create_user(clinic=patient.clinic)), f"/patients/{patient.public_id}"
    assert caller.patch(address, {"note": "first"}).status_code == 200
    assert caller.patch(address, {"note": "second"}).status_code == 412
    assert caller.patch(address, {"note": "third"}, version=None).status_code == 428
    assert caller.get(address).json["note"] == "first"


@both_databases
def test_a_search_finds_by_parts_of_names_and_record_number_in_this_clinic_only(app: Flask, api: As) -> None:
    clinic = create_clinic()
    ada = create_patient(clinic=clinic, given_name="Ada", family_name="Lovelace", mrn="X-17")
    grace = create_patient(clinic=clinic, given_name="Grace", family_name="Hopper", mrn="X-18")
    create_patient(given_name="Ada", family_name="Lovelace", mrn="X-17")
    caller = api(create_user(clinic=clinic))

    def found(text: str) -> list[str]:
        return [item["id"] for item in caller.post("/patients/search", {"text": text}).json["items"]]

    assert found("lovel") == [str(ada.public_id)]
    assert found("hopper grace") == [str(grace.public_id)]
    assert found("x-1") == [str(ada.public_id), str(grace.public_id)]
    assert found("ada hopper") == []
    assert found("%") == []


def test_a_list_names_in_the_trail_whom_it_showed(app: Flask, api: As) -> None:
    clinic = create_clinic()
    shown = [str(create_patient(clinic=clinic).public_id) for _ in range(3)]
    create_patient()
    caller = api(create_user(clinic=clinic))
    first = caller.get("/patients", limit=2)
    second = caller.get(first.headers["Link"].split(";")[0].strip("<>"))
    assert [item["id"] for item in first.json["items"] + second.json["items"]] == shown
    assert [entry.detail["patients"] for entry in entries("patient.list")] == [shown[:2], shown[2:]]


@pytest.mark.parametrize("path", ["", "/timeline", "/pain-scores", "/treatments", "/assessments"])
def test_another_clinics_patient_is_as_absent_as_one_that_never_was(app: Flask, api: As, path: str) -> None:
    patient = create_patient()
    stranger = api(create_user())
    there = stranger.get(f"/patients/{patient.public_id}{path}")
    nowhere = stranger.get(f"/patients/01890000-0000-7000-8000-000000000000{path}")
    assert (there.status_code, there.json) == (404, nowhere.json)
    assert actions_on(patient) == []


@pytest.mark.parametrize("role", ["engineer", "auditor", "admin"])
def test_who_gives_no_care_sees_no_patient(app: Flask, api: As, role: str) -> None:
    patient = create_patient()
    caller = api(create_user(clinic=patient.clinic, role=role))
    assert caller.get("/patients").status_code == 403
    assert caller.get(f"/patients/{patient.public_id}").status_code == 403
    assert caller.post("/patients/search", {"text": "a"}).status_code == 403


def test_a_new_time_zone_or_proneness_to_withdrawal_asks_for_new_judgements(app: Flask, api: As) -> None:
    patient = create_patient()
    pump = create_pump(patient=patient)
    create_stimulator(patient=patient)
    caller, address = api(create_user(clinic=patient.clinic)), f"/patients/{patient.public_id}"
    caller.patch(address, {"note": "moved"})
    assert owed() == set()
    caller.patch(address, {"withdrawal_prone": True}, version=2)
    assert owed() == {("refill", pump.id)}
    caller.patch(address, {"time_zone": "America/New_York"}, version=3)
    assert owed() == {("refill", pump.id), ("pain", patient.id)}


@both_databases
def test_a_time_line_shows_everything_on_one_axis(app: Flask, api: As, time: Time) -> None:
    patient = create_patient()
    stimulator, pump = create_stimulator(patient=patient), create_pump(patient=patient)
    day = dt.timedelta(days=1)
    create_pain_score(patient=patient, nrs=7, measured_at=AT - 2 * day)
    wrong = create_pain_score(patient=patient, nrs=9, measured_at=AT - 2 * day)
    create_pain_score(patient=patient, nrs=5, measured_at=AT - 2 * day, replaces_id=wrong.id)
    create_pump_sample(pump=pump, measured_at=AT - 3 * day, reservoir_ml=12.5)
    create_stimulator_sample(stimulator=stimulator, measured_at=AT - 3 * day, impedance_ohm=[480.0, None])
    before = create_setting(device=pump, effective_at=AT - 200 * day)
    within = create_setting(device=pump, effective_at=AT - 10 * day, flow_ml_per_day=0.6)
    create_setting(device=pump, effective_at=AT + day)
    fill = create_fill(pump=pump, at=AT - 20 * day)
    alert = create_alert(patient=patient, since=AT - day)
    caller = api(create_user(clinic=patient.clinic))
    line = caller.get(f"/patients/{patient.public_id}/timeline").json
    assert (line["resolution"], line["to"], len(line["pain"])) == ("day", "2026-11-23T08:00:00Z", 91)
    by_day = {bucket["from"]: bucket for bucket in line["pain"]}
    assert (by_day["2026-11-20T23:00:00Z"]["nrs"], by_day["2026-11-20T23:00:00Z"]["scores"]) == (6, 2)
    assert (by_day["2026-11-19T23:00:00Z"]["nrs"], by_day["2026-11-19T23:00:00Z"]["scores"]) == (None, 0)
    lanes = {lane["device"]["kind"]: lane for lane in line["devices"]}
    measured = [lane["series"][-4]["readings"] for lane in (lanes["pump"], lanes["stimulator"])]
    assert measured[0]["reservoir_ml"] == 12.5
    assert measured[1]["impedance_ohm"] == [480.0, None]
    assert [row["id"] for row in lanes["pump"]["settings"]] == [str(within.public_id), str(before.public_id)]
    assert [row["id"] for row in lanes["pump"]["fills"]] == [str(fill.public_id)]
    assert [row["id"] for row in line["alerts"]] == [str(alert.public_id)]
    assert actions_on(patient) == ["patient.timeline"]


def test_a_short_time_line_is_by_the_hour(app: Flask, api: As) -> None:
    patient = create_patient()
    caller = api(create_user(clinic=patient.clinic))
    span = {"from": "2026-11-20T00:30:00Z", "to": "2026-11-20T03:00:00Z"}
    line = caller.get(f"/patients/{patient.public_id}/timeline", **span).json
    assert line["resolution"] == "hour"
    assert [bucket["from"][11:16] for bucket in line["pain"]] == ["00:00", "01:00", "02:00"]


@pytest.mark.parametrize(
    ("span", "field"),
    [
        ({"from": "2026-11-20T00:00:00Z", "to": "2026-11-19T00:00:00Z"}, "from"),
        ({"from": "1999-01-01T00:00:00Z"}, "from"),
        ({"from": "0001-01-01T00:00:00Z"}, "from"),
        ({"to": "9999-12-31T23:59:59Z"}, "to"),
        ({"from": "2026-11-20T00:00:00"}, "from"),
        ({"since": "2026-11-20T00:00:00Z"}, "since"),
    ],
)
def test_a_time_line_has_bounds(app: Flask, api: As, span: dict[str, str], field: str) -> None:
    patient = create_patient()
    caller = api(create_user(clinic=patient.clinic))
    answer = caller.get(f"/patients/{patient.public_id}/timeline", **span)
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, field)
