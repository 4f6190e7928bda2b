"""Marking patients as reviewed, correcting that, and what is due."""

import datetime as dt
from typing import Any

from flask import Flask
from sqlalchemy import select

from sc_stim.clinical.review_due import usual_interval
from sc_stim.models import AuditEntry, User
from tests.apps import As, Caller, Time, both_databases, read
from tests.builders import (
    AT,
    create_alert,
    create_clinic,
    create_patient,
    create_pump,
    create_review,
    create_stimulator,
    create_user,
    put_on_shelf,
)

TODAY = AT.date()
pytestmark = both_databases


def days_ago(days: int) -> dt.date:
    return TODAY - dt.timedelta(days=days)


def signed_in(api: As, user: User, time: Time) -> Caller:
    """With a token of this moment: those of AT end after an hour without use."""
    return api(user, last_used_at=time.at, expires_at=time.at + dt.timedelta(hours=1))


def due(caller: Any, **query: Any) -> list[tuple[str, int, str | None]]:
    """(serial, days left, last reviewed) of the list."""
    items = caller.get("/reviews/due", **query).json["items"]
    return [(row["device"]["serial"], row["days_left"], row["last_reviewed_on"]) for row in items]


def test_marking_reviewed_stamps_who_when_and_what_was_on_the_screen(app: Flask, api: As, time: Time) -> None:
    clinician = create_user(role="clinician", name="Kim Weber")
    patient = create_patient(clinic=clinician.clinic)
    pump, stimulator = create_pump(patient=patient), create_stimulator(patient=patient)
    create_stimulator(patient=patient, explanted_on=days_ago(9))
    create_alert(patient=patient, device=pump, severity="high")
    create_alert(patient=patient, severity="high", state="acknowledged")
    create_alert(patient=patient, state="closed", open_key=None)
    caller, here = api(clinician), f"/patients/{patient.public_id}/reviews"

    answer = caller.post(here, {"comment": "Relief holds."})

    assert answer.status_code == 201
    review = answer.json
    assert (review["reviewed_by"]["name"], review["reviewed_at"]) == ("Kim Weber", "2026-11-23T08:00:00Z")
    assert (review["covers_from"], review["covers_until"]) == ("2026-08-25T08:00:00Z", "2026-11-23T08:00:00Z")
    assert (review["open_alerts"], review["unacknowledged_high"], review["comment"]) == (
        2,
        1,
        "Relief holds.",
    )
    assert {row["id"] for row in review["devices"]} == {str(pump.public_id), str(stimulator.public_id)}
    assert [(row["rule"], row["message"][:40]) for row in review["warnings"]] == [
        ("unacknowledged_high_alert", "1 alert of high severity is not acknowle")
    ]
    assert caller.get("/alerts", severity="high", state="unacknowledged").json["items"] != []
    time.pass_by(days=3)
    again = signed_in(api, clinician, time).post(here).json
    assert again["covers_from"] == review["covers_until"]
    (entry, _) = read(select(AuditEntry).where(AuditEntry.action == "review.record").order_by(AuditEntry.id))
    assert entry.subject == str(patient.public_id)
    assert entry.detail == {"review": review["id"], "open_alerts": 2}


def test_a_review_is_corrected_and_withdrawn_by_later_entries(app: Flask, api: As, time: Time) -> None:
    nurse = create_user(role="nurse")
    patient = create_patient(clinic=nurse.clinic)
    create_pump(patient=patient, serial="P1", implanted_on=days_ago(1000))
    here = f"/patients/{patient.public_id}/reviews"
    wrong = api(nurse).post(here, {"comment": "Wrong patient's note."}).json
    other = create_user(clinic=nurse.clinic, role="clinician", name="Kim Weber")
    time.pass_by(days=2)
    nurses = signed_in(api, nurse, time)

    right = signed_in(api, other, time).post(here, {"replaces": wrong["id"], "comment": "All well."}).json
    assert (right["reviewed_by"], right["reviewed_at"]) == (wrong["reviewed_by"], wrong["reviewed_at"])
    assert (right["entered_by"]["name"], right["created_at"]) == ("Kim Weber", "2026-11-25T08:00:00Z")
    assert nurses.post(here, {"replaces": wrong["id"]}).status_code == 409
    assert due(nurses, within_days=0) == []

    answer = nurses.post(here, {"replaces": right["id"], "withdrawn": True})
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "comment")
    undone = nurses.post(here, {"replaces": right["id"], "withdrawn": True, "comment": "Not looked at."})
    assert undone.status_code == 201
    assert [row["withdrawn"] for row in nurses.get(here).json["items"]] == [True, False, False]
    assert [row["replaced_by"] is None for row in nurses.get(here).json["items"]] == [True, False, False]
    assert [serial for serial, *_ in due(nurses, within_days=0)] == ["P1"]
    assert nurses.get(f"/patients/{patient.public_id}/timeline").json["reviews"] == []
    again = nurses.post(here, {"replaces": undone.json["id"]})
    assert again.json["errors"][0]["field"] == "replaces"


def test_due_reviews_come_most_overdue_first_and_never_reviewed_ones_count_from_implantation(
    app: Flask, api: As
) -> None:
    nurse = create_user(role="nurse")
    clinic = nurse.clinic
    pump_days, stimulator_days = (int(usual_interval(kind).value) for kind in ("pump", "stimulator"))
    create_pump(clinic=clinic, serial="LATE", implanted_on=days_ago(pump_days + 20))
    create_stimulator(clinic=clinic, serial="TODAY", implanted_on=days_ago(stimulator_days))
    create_stimulator(clinic=clinic, serial="SOON", implanted_on=days_ago(stimulator_days - 10))
    create_stimulator(clinic=clinic, serial="FAR", implanted_on=days_ago(stimulator_days - 60))
    create_pump(clinic=clinic, serial="NEW", implanted_on=None)  # registered today
    create_pump(clinic=clinic, serial="OUT", implanted_on=days_ago(900), explanted_on=days_ago(1))
    put_on_shelf(create_pump(clinic=clinic, serial="SHELF"))
    reviewed = create_pump(clinic=clinic, serial="SEEN", implanted_on=days_ago(900))
    create_review(patient=reviewed.patient, reviewed_on=days_ago(pump_days + 5))
    create_pump(serial="FOREIGN", implanted_on=days_ago(900))
    caller = api(nurse)

    last = days_ago(pump_days + 5).isoformat()
    assert due(caller) == [("LATE", -20, None), ("SEEN", -5, last), ("TODAY", 0, None), ("SOON", 10, None)]
    assert due(caller, within_days=0) == due(caller)[:3]
    page = caller.get("/reviews/due", limit=2).json
    rest = caller.get("/reviews/due", limit=2, cursor=page["next_cursor"]).json
    found = [row["device"]["serial"] for row in page["items"] + rest["items"]]
    assert (found, rest["next_cursor"]) == (["LATE", "SEEN", "TODAY", "SOON"], None)
    assert caller.get("/reviews/due", within_days=400).status_code == 422


def test_the_interval_of_a_patient_goes_before_that_of_the_clinic(app: Flask, api: As) -> None:
    admin = create_user(role="admin")
    clinic = admin.clinic
    patient = create_patient(clinic=clinic)
    create_pump(patient=patient, serial="P1", implanted_on=days_ago(40))
    create_pump(clinic=clinic, serial="P2", implanted_on=days_ago(40))
    nurse = api(create_user(clinic=clinic, role="nurse"))
    clinics, own = f"/clinics/{clinic.public_id}/review-plan", f"/patients/{patient.public_id}/review-plan"

    assert nurse.get(own).json["due"][0]["set_by"] == "usual"
    assert api(admin).patch(clinics, {"pump_days": 30}, version=None).status_code == 428
    changed = api(admin).patch(clinics, {"pump_days": 30})
    assert (changed.status_code, changed.json["pump_days"], changed.json["version"]) == (200, 30, 2)
    assert api(admin).patch(clinics, {"pump_days": 40}).status_code == 412
    assert nurse.patch(clinics, {"pump_days": 1}, version=2).status_code == 403
    assert [row[:2] for row in due(nurse)] == [("P1", -10), ("P2", -10)]

    plan = nurse.patch(own, {"pump_days": 50, "stimulator_days": None}).json
    assert (plan["due"][0]["due_on"], plan["due"][0]["set_by"]) == ("2026-12-03", "patient")
    assert [row[:2] for row in due(nurse)] == [("P2", -10), ("P1", 10)]
    nurse.patch(own, {"pump_days": None}, version=2)
    assert nurse.get(own).json["due"][0]["set_by"] == "clinic"
    assert nurse.patch(own, {"pump_days": 0}, version=3).json["errors"][0]["field"] == "pump_days"
    entries = read(
        select(AuditEntry).where(AuditEntry.action == "review_plan.change").order_by(AuditEntry.id)
    )
    assert entries[0].detail == {"changed": {"pump_days": [None, 30]}}
    assert entries[1].subject == str(patient.public_id)


def test_a_review_is_of_the_clinics_local_day(app: Flask, api: As, time: Time) -> None:
    clinician = create_user(clinic=create_clinic(time_zone="America/Los_Angeles"), role="clinician")
    pump = create_pump(clinic=clinician.clinic)
    time.at = dt.datetime(2026, 11, 24, 3, tzinfo=dt.UTC)  # the evening before, there
    caller = signed_in(api, clinician, time)

    caller.post(f"/patients/{pump.patient.public_id}/reviews")

    (row,) = caller.get("/reviews/due", within_days=366).json["items"]
    assert row["last_reviewed_on"] == "2026-11-23"
    assert row["days_left"] == usual_interval("pump").value


def test_only_devices_of_the_patient_and_reviews_of_the_patient_are_taken(app: Flask, api: As) -> None:
    clinician = create_user(role="clinician")
    patient, stranger = (create_patient(clinic=clinician.clinic) for _ in range(2))
    mine, theirs = create_pump(patient=patient), create_pump(patient=stranger)
    caller, here = api(clinician), f"/patients/{patient.public_id}/reviews"
    foreign = caller.post(f"/patients/{stranger.public_id}/reviews").json

    only = caller.post(here, {"devices": [str(mine.public_id)]}).json
    assert [row["id"] for row in only["devices"]] == [str(mine.public_id)]
    for body, field in (
        ({"devices": [str(theirs.public_id)]}, "devices"),
        ({"replaces": foreign["id"]}, "replaces"),
        ({"withdrawn": True}, "withdrawn"),
        ({"covers_until": "2026-12-01T00:00:00Z"}, "covers_until"),
        ({"covers_from": "2026-11-20T00:00:00Z", "covers_until": "2026-11-19T00:00:00Z"}, "covers_from"),
    ):
        answer = caller.post(here, body)
        assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, field), body


def test_another_clinic_reviews_nothing_here(app: Flask, api: As) -> None:
    pump = create_pump()
    stranger = api(create_user(role="clinician"))
    for path in ("reviews", "review-plan"):
        assert stranger.get(f"/patients/{pump.patient.public_id}/{path}").status_code == 404
    assert stranger.post(f"/patients/{pump.patient.public_id}/reviews").status_code == 404
    assert due(stranger, within_days=366) == []
