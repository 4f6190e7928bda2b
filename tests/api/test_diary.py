"""Pain scores through HTTP: told to staff, corrected, withdrawn."""

import datetime as dt
from typing import Any

import msgspec
import pytest
from flask import Flask
from sqlalchemy import select

from sc_stim.clinical.causes import cause_card, span_of
from sc_stim.extensions import db
from sc_stim.models import PainFinding, PainScore, WorkItem
from tests.apps import As, both_databases, read
from tests.builders import AT, create_pain_score, create_patient, create_stimulator, create_user
from tests.trail import actions_on, entries, owed

DAY = dt.timedelta(days=1)


@both_databases
def test_a_score_told_to_staff_is_kept_with_who_entered_it(app: Flask, api: As) -> None:
    patient = create_patient()
    nurse = create_user(clinic=patient.clinic, role="nurse")
    caller, address = api(nurse), f"/patients/{patient.public_id}/pain-scores"
    made = caller.post(address, {"nrs": 6.5, "site": "leg", "flare": True, "symptoms": ["spasms"]})
    assert made.status_code == 201
    assert made.json["measured_at"] == "2026-11-23T08:00:00Z"
    assert made.json["entered_by"] == {"id": str(nurse.public_id), "name": nurse.name}
    assert caller.get(address, to="2026-11-24T00:00:00Z").json["items"] == [made.json]
    assert owed() == {("pain", patient.id)}
    assert actions_on(patient) == ["score.enter", "patient.diary"]


@both_databases
def test_a_correction_replaces_a_score_and_keeps_it(app: Flask, api: As) -> None:
    patient = create_patient()
    device = create_stimulator(patient=patient)
    wrong = create_pain_score(
        patient=patient, device_id=device.id, epoch="e", seq=1, nrs=10, site="back", measured_at=AT - 3 * DAY
    )
    caller, address = api(create_user(clinic=patient.clinic)), f"/patients/{patient.public_id}/pain-scores"
    made = caller.post(address, {"nrs": 1, "replaces": str(wrong.public_id)})
    assert made.status_code == 201
    assert made.json["measured_at"] == "2026-11-20T08:00:00Z"
    assert made.json["site"] == "back"
    assert [row["id"] for row in caller.get(address).json["items"]] == [made.json["id"]]
    both = caller.get(address, include_replaced="true").json["items"]
    assert {row["id"]: (row["nrs"], row["replaces"], row["replaced_by"]) for row in both} == {
        made.json["id"]: (1, str(wrong.public_id), None),
        str(wrong.public_id): (10, None, made.json["id"]),
    }
    (item,) = read(select(WorkItem))
    assert item.since == AT - 3 * DAY
    (entry,) = entries("score.correct")
    assert entry.detail == {"score": made.json["id"], "replaces": str(wrong.public_id)}


def test_a_score_is_corrected_once_then_its_correction_is(app: Flask, api: As) -> None:
    patient = create_patient()
    wrong = create_pain_score(patient=patient)
    caller, address = api(create_user(clinic=patient.clinic)), f"/patients/{patient.public_id}/pain-scores"
    first = caller.post(address, {"nrs": 3, "replaces": str(wrong.public_id)})
    assert caller.post(address, {"nrs": 4, "replaces": str(wrong.public_id)}).status_code == 409
    assert caller.post(address, {"nrs": 4, "replaces": first.json["id"]}).status_code == 201
    assert len(read(select(PainScore))) == 3


def test_a_correction_that_says_nothing_withdraws_the_score(app: Flask, api: As) -> None:
    patient = create_patient()
    wrong = create_pain_score(patient=patient, measured_at=AT - DAY)
    caller, address = api(create_user(clinic=patient.clinic)), f"/patients/{patient.public_id}/pain-scores"
    made = caller.post(address, {"replaces": str(wrong.public_id)})
    assert (made.status_code, made.json["nrs"]) == (201, None)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "nrs"),
        ({"symptoms": []}, "nrs"),
        ({"nrs": 11}, "nrs"),
        ({"nrs": "5"}, "nrs"),
        ({"nrs": 5, "site": "head"}, "site"),
        ({"nrs": 5, "sleep": -1}, "sleep"),
        ({"nrs": 5, "measured_at": "2026-11-23T08:00:01Z"}, "measured_at"),
        ({"nrs": 5, "measured_at": "2026-11-23"}, "measured_at"),
        ({"nrs": 5, "entered_by": "me"}, "entered_by"),
        ({"nrs": 5, "replaces": "01890000-0000-7000-8000-000000000000"}, "replaces"),
    ],
)
def test_a_score_that_cannot_be_is_refused_by_name(
    app: Flask, api: As, body: dict[str, Any], field: str
) -> None:
    patient = create_patient()
    answer = api(create_user(clinic=patient.clinic)).post(f"/patients/{patient.public_id}/pain-scores", body)
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, field)
    assert read(select(PainScore)) == []


def test_another_patients_score_cannot_be_replaced(app: Flask, api: As) -> None:
    patient = create_patient()
    theirs = create_pain_score(patient=create_patient(clinic=patient.clinic))
    caller = api(create_user(clinic=patient.clinic))
    body = {"nrs": 5, "replaces": str(theirs.public_id)}
    answer = caller.post(f"/patients/{patient.public_id}/pain-scores", body)
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "replaces")


def test_scores_are_read_by_time_newest_first_page_by_page(app: Flask, api: As) -> None:
    patient = create_patient()
    for days in range(40):
        create_pain_score(patient=patient, nrs=days % 10, measured_at=AT - days * DAY)
    caller, address = api(create_user(clinic=patient.clinic)), f"/patients/{patient.public_id}/pain-scores"
    first = caller.get(address, limit=20, **{"from": (AT - 25 * DAY).isoformat()})
    second = caller.get(first.headers["Link"].split(";")[0].strip("<>"))
    times = [row["measured_at"] for row in first.json["items"] + second.json["items"]]
    assert len(times) == 25  # `to` is now, exclusive
    assert times == sorted(times, reverse=True)
    assert second.json["next_cursor"] is None


@both_databases
def test_findings_are_listed_newest_first_with_level_tier_and_the_card_as_it_was_told(
    app: Flask, api: As
) -> None:
    patient = create_patient()
    card = cause_card([], span_of(AT - 4 * DAY, AT), AT)
    for days_ago, cards in ((40, None), (2, [msgspec.to_builtins(card)])):
        day = (AT - days_ago * DAY).date()
        db.session.add(
            PainFinding(
                clinic_id=patient.clinic_id, patient_id=patient.id, rule="rise", day=day, kind="step_up",
                tier="soft", onset=day - DAY, baseline_nrs=4.0, level_nrs=7.0, model_version="pain-1",
                severity="low", found_at=AT, cause_cards=cards,
            )
        )  # fmt: skip
    db.session.commit()
    caller, address = api(create_user(clinic=patient.clinic)), f"/patients/{patient.public_id}/pain-findings"
    first = caller.get(address, limit=1).json
    [newest] = first["items"]
    assert (newest["day"], newest["baseline_nrs"], newest["level_nrs"]) == ("2026-11-21", 4.0, 7.0)
    assert newest["cause_card"]["words"] == "No device is on record for this time."
    [older] = caller.get(address, limit=1, cursor=first["next_cursor"]).json["items"]
    assert (older["day"], older["cause_card"]) == ("2026-10-14", None)
    assert actions_on(patient) == ["patient.diary", "patient.diary"]
    assert api(create_user()).get(address).status_code == 404
