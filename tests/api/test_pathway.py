"""The care pathway of a patient through HTTP."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy import select

from sc_stim.models import WorkItem
from tests.apps import As, both_databases, read
from tests.builders import create_patient, create_user
from tests.trail import actions_on, entries, owed

TRIAL = {"kind": "stimulator_trial", "started_on": "2026-02-02", "ended_on": "2026-02-09", "relief_pct": 60}
MRI = {"kind": "mri", "performed_on": "2025-11-03", "finding": "Epidural fibrosis at L5."}


@both_databases
def test_the_pathway_is_a_list_in_order_of_time(app: Flask, api: As) -> None:
    patient = create_patient()
    caller, address = api(create_user(clinic=patient.clinic)), f"/patients/{patient.public_id}/treatments"
    trial = caller.post(address, TRIAL)
    assert trial.status_code == 201
    therapy = caller.post(address, {"kind": "physical_therapy", "started_on": "2024-05-01"})
    assert [row["id"] for row in caller.get(address).json["items"]] == [therapy.json["id"], trial.json["id"]]
    changed = caller.patch(f"{address}/{trial.json['id']}", {"relief_pct": 70, "outcome": "Walks again."})
    assert changed.json == trial.json | {"relief_pct": 70, "outcome": "Walks again.", "version": 2}
    assert owed() == {("pain", patient.id)}
    assert actions_on(patient) == [
        "treatment.create", "treatment.create", "patient.treatments", "treatment.change",
    ]  # fmt: skip
    (entry,) = entries("treatment.change")
    assert entry.detail["changed"] == {"relief_pct": [60.0, 70.0], "outcome": None}


def test_a_revision_entered_late_has_the_days_since_judged_again(app: Flask, api: As) -> None:
    patient = create_patient()
    caller, address = api(create_user(clinic=patient.clinic)), f"/patients/{patient.public_id}/treatments"
    made = caller.post(address, {"kind": "revision_surgery", "started_on": "2026-11-02"}).json
    [item] = read(select(WorkItem))
    assert item.since < dt.datetime(2026, 11, 2, tzinfo=ZoneInfo("Pacific/Auckland"))
    caller.patch(f"{address}/{made['id']}", {"started_on": "2026-10-05"})
    [item] = read(select(WorkItem))
    assert item.since < dt.datetime(2026, 10, 5, tzinfo=ZoneInfo("Pacific/Auckland"))


def test_examinations_are_recorded_and_amended(app: Flask, api: As) -> None:
    patient = create_patient()
    caller, address = api(create_user(clinic=patient.clinic)), f"/patients/{patient.public_id}/assessments"
    made = caller.post(address, MRI)
    assert made.status_code == 201
    caller.patch(f"{address}/{made.json['id']}", {"finding": "Epidural fibrosis at L4."})
    assert [row["finding"] for row in caller.get(address).json["items"]] == ["Epidural fibrosis at L4."]
    assert actions_on(patient) == ["assessment.create", "assessment.change", "patient.assessments"]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("treatments", TRIAL | {"kind": "leeches"}, "kind"),
        ("treatments", TRIAL | {"relief_pct": 101}, "relief_pct"),
        ("treatments", TRIAL | {"ended_on": "2026-02-01"}, "ended_on"),
        ("treatments", TRIAL | {"started_on": "2026-02-30"}, "started_on"),
        ("assessments", MRI | {"kind": "astrology"}, "kind"),
        ("assessments", MRI | {"finding": " "}, "finding"),
        ("assessments", {"kind": "ct", "finding": "None."}, "performed_on"),
    ],
)
def test_a_step_that_cannot_be_is_refused_by_name(
    app: Flask, api: As, path: str, body: object, field: str
) -> None:
    patient = create_patient()
    answer = api(create_user(clinic=patient.clinic)).post(f"/patients/{patient.public_id}/{path}", body)
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, field)


def test_a_change_must_not_end_a_treatment_before_it_began(app: Flask, api: As) -> None:
    patient = create_patient()
    caller, address = api(create_user(clinic=patient.clinic)), f"/patients/{patient.public_id}/treatments"
    made = caller.post(address, TRIAL).json
    answer = caller.patch(f"{address}/{made['id']}", {"started_on": "2026-03-01"})
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "ended_on")
    assert caller.get(address).json["items"] == [made]


def test_a_step_is_reached_through_its_own_patient_only(app: Flask, api: As) -> None:
    patient = create_patient()
    other = create_patient(clinic=patient.clinic)
    caller = api(create_user(clinic=patient.clinic))
    treatment = caller.post(f"/patients/{patient.public_id}/treatments", TRIAL).json
    assessment = caller.post(f"/patients/{patient.public_id}/assessments", MRI).json
    wrong = f"/patients/{other.public_id}"
    assert caller.patch(f"{wrong}/treatments/{treatment['id']}", {"relief_pct": 1}).status_code == 404
    assert caller.patch(f"{wrong}/assessments/{assessment['id']}", {"kind": "ct"}).status_code == 404
    stranger = api(create_user())
    own = f"/patients/{patient.public_id}/treatments/{treatment['id']}"
    assert stranger.patch(own, {"relief_pct": 1}).status_code == 404
