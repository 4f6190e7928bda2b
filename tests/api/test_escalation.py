"""Whom alerts call, through HTTP: contacts, ladder, rota, messages and what the alerts amounted to."""

import datetime as dt
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from sc_stim.extensions import db
from sc_stim.models import Contact, Message
from sc_stim.workflows import messaging, notifying
from tests.apps import As, Time, both_databases, read
from tests.builders import (
    AT,
    create_alert,
    create_clinic,
    create_contact,
    create_ladder,
    create_patient,
    create_pump,
    create_shift,
    create_user,
)
from tests.trail import actions_on

STEP = {"after_min": 0, "severities": ["high"], "on_call": False, "contact_ids": []}


def field_of(answer: Any) -> str:
    assert answer.status_code == 422, answer.text
    found: str = answer.json["errors"][0]["field"]
    return found


@both_databases
def test_a_contact_is_made_changed_tested_and_retired(app: Flask, api: As) -> None:
    admin = create_user(role="admin")
    caller = api(admin)
    new = {"name": "Ward desk", "channel": "sms", "address": "+49305550100", "user_id": str(admin.public_id)}
    made = caller.post("/contacts", new)
    assert (made.status_code, made.json["user"]["name"]) == (201, admin.name)
    address = f"/contacts/{made.json['id']}"
    changed = caller.patch(address, {"quiet_from": "22:00", "quiet_to": "06:30"})
    assert (changed.json["quiet_from"], changed.json["version"]) == ("22:00", 2)
    tested = caller.post(f"{address}/test")
    assert (tested.status_code, tested.json["kind"], tested.json["state"]) == (201, "test", "waiting")
    assert [message.address for message in read(select(Message))] == ["+49305550100"]
    [row] = read(select(Contact))
    assert caller.patch(address, {"active": False}, version=2).json["active"] is False
    assert [message.state for message in read(select(Message))] == ["cancelled"]
    assert actions_on(row) == [
        "contact.create",
        "contact.change",
        "contact.test",
        "contact.change",
    ]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"channel": "sms"}, "address"),
        ({"channel": "webhook", "address": "https://10.0.0.1/x"}, "address"),
        ({"channel": "webhook", "address": "http://hooks.example.org/x"}, "address"),
        ({"channel": "pigeon"}, "channel"),
        ({"quiet_from": "22:00"}, "quiet_to"),
        ({"quiet_from": "22:00", "quiet_to": "22:00"}, "quiet_to"),
        ({"quiet_from": "half past nine"}, "quiet_from"),
        ({"user_id": "01a20465-9723-73db-b7fe-4bb1c29544fe"}, "user_id"),
    ],
)
def test_a_contact_that_could_not_be_told_is_refused_by_name(
    app: Flask, api: As, wrong: dict[str, Any], field: str
) -> None:
    contact = {"name": "Desk", "channel": "email", "address": "desk@example.org"}
    assert field_of(api(create_user(role="admin")).post("/contacts", contact | wrong)) == field


@both_databases
def test_the_shipped_ladder_holds_and_says_so_until_the_clinic_sets_its_own(app: Flask, api: As) -> None:
    clinic = create_clinic()
    caller = api(create_user(clinic=clinic, role="admin"))
    shipped = caller.get("/escalation")
    assert (shipped.json["shipped"], shipped.json["version"], len(shipped.json["warnings"])) == (True, 0, 3)
    assert [step["after_min"] for step in shipped.json["steps"]] == [0, 15, 60]
    later = STEP | {"after_min": 30, "contact_ids": [str(create_contact(clinic=clinic).public_id)]}
    own = caller.patch("/escalation", {"steps": [later, STEP]}, version=0)
    assert (own.status_code, own.json["shipped"], own.json["warnings"]) == (200, False, [])
    assert own.json["steps"] == [STEP, later]
    assert caller.patch("/escalation", {"steps": [STEP]}, version=0).status_code == 412
    assert caller.patch("/escalation", {"steps": [STEP]}, version=None).status_code == 428


@pytest.mark.parametrize("steps", [[], [STEP | {"after_min": -1}], [STEP | {"severities": ["awful"]}]])
def test_a_ladder_that_says_nothing_sensible_is_refused(app: Flask, api: As, steps: list[Any]) -> None:
    answer = api(create_user(role="admin")).patch("/escalation", {"steps": steps}, version=0)
    assert field_of(answer).startswith("steps")


def test_a_ladder_names_only_contacts_of_the_clinic_that_can_be_told(app: Flask, api: As) -> None:
    clinic = create_clinic()
    caller = api(create_user(clinic=clinic, role="admin"))
    for contact in (create_contact(), create_contact(clinic=clinic, active=False)):
        step = STEP | {"contact_ids": [str(contact.public_id)]}
        assert field_of(caller.patch("/escalation", {"steps": [step]}, version=0)) == "steps"


def test_another_ladder_holds_at_once_also_for_alerts_that_wait(app: Flask, api: As) -> None:
    clinic = create_clinic()
    create_ladder(clinic=clinic)
    alert = create_alert(patient=create_patient(clinic=clinic), called_at=AT, next_call_at=None)
    answer = api(create_user(clinic=clinic, role="admin")).patch("/escalation", {"steps": [STEP]})
    assert answer.status_code == 200
    db.session.refresh(alert)
    assert alert.next_call_at == AT


@both_databases
def test_who_is_on_call_now_and_at_another_time(app: Flask, api: As) -> None:
    clinic = create_clinic()
    contact = create_contact(clinic=clinic, name="Robin")
    create_shift(contact=contact)
    admin, nurse = (api(create_user(clinic=clinic, role=role)) for role in ("admin", "nurse"))
    assert [one["name"] for one in nurse.get("/on-call").json["contacts"]] == ["Robin"]
    assert nurse.get("/on-call", at="2026-11-24T12:00:00Z").json["contacts"] == []
    once = {"starts_at": "2026-11-24T08:00:00Z", "ends_at": "2026-11-24T20:00:00Z"}
    made = admin.post("/on-call/shifts", once | {"contact_id": str(contact.public_id)})
    assert made.status_code == 201, made.text
    assert len(nurse.get("/on-call", at="2026-11-24T12:00:00Z").json["contacts"]) == 1
    assert len(nurse.get("/on-call/shifts").json["items"]) == 2
    assert admin.delete(f"/on-call/shifts/{made.json['id']}").status_code == 204
    assert len(nurse.get("/on-call/shifts").json["items"]) == 1
    assert nurse.delete(f"/on-call/shifts/{made.json['id']}").status_code == 403


@pytest.mark.parametrize(
    ("shift", "field"),
    [
        ({}, "weekday"),
        ({"weekday": 1, "from_time": "08:00"}, "weekday"),
        ({"starts_at": "2026-11-24T08:00:00Z"}, "weekday"),
        ({"starts_at": "2026-11-24T08:00:00Z", "ends_at": "2026-11-24T08:00:00Z"}, "ends_at"),
        ({"weekday": 7, "from_time": "08:00", "to_time": "09:00"}, "weekday"),
    ],
)
def test_a_shift_that_is_neither_once_nor_weekly_is_refused(
    app: Flask, api: As, shift: dict[str, Any], field: str
) -> None:
    clinic = create_clinic()
    contact = create_contact(clinic=clinic)
    caller = api(create_user(clinic=clinic, role="admin"))
    assert field_of(caller.post("/on-call/shifts", shift | {"contact_id": str(contact.public_id)})) == field


def test_an_administrator_sees_no_message_to_a_patient_and_nobody_sees_text_or_address(
    app: Flask, api: As
) -> None:
    clinic = create_clinic()
    patient = create_patient(clinic=clinic)
    for key, patient_id in (("reminder", patient.id), ("alert", None)):
        messaging.owe(
            db.session(), clinic_id=clinic.id, effect_key=key, channel="sms", address="+49305550100", title="Canary",
            body="Canary", at=AT, kind=key, patient_id=patient_id,
        )  # fmt: skip
    db.session.commit()

    def kinds(role: str) -> set[str]:
        answer = api(create_user(clinic=clinic, role=role)).get("/messages")
        assert "Canary" not in answer.text and "5550100" not in answer.text
        return {row["kind"] for row in answer.json["items"]}

    assert kinds("admin") == {"alert"}
    assert kinds("nurse") == {"alert", "reminder"}
    assert api(create_user(clinic=clinic, role="engineer")).get("/messages").status_code == 403


@both_databases
def test_the_burden_of_alerts_is_counted_per_patient_year(app: Flask, api: As, time: Time) -> None:
    clinic = create_clinic()
    pump = create_pump(clinic=clinic, created_at=AT - dt.timedelta(days=365.25))
    pump.implanted_on = dt.date(2025, 1, 1)
    for severity, historical in (("high", False), ("medium", False), ("high", True)):
        create_alert(
            patient=pump.patient, condition="motor_stall", severity=severity, historical=historical,
            opened_at=AT - dt.timedelta(days=3),
        )  # fmt: skip
    alert = create_alert(patient=pump.patient, condition="motor_stall", severity="high")
    caller = api(create_user(clinic=clinic, role="nurse"))
    time.pass_by(minutes=5)
    caller.post(f"/alerts/{alert.public_id}/acknowledge", {})
    done = caller.post(f"/alerts/{alert.public_id}/resolve", {"comment": "Refilled.", "action_taken": True})
    assert done.json["action_taken"] is True
    found = caller.get("/alerts/burden").json
    assert found["patient_years"] == pytest.approx(1.0, abs=0.01)
    assert found["total"]["alerts"] == 3
    assert found["total"]["actionable_share"] == 1.0
    high = next(share for share in found["by_kind_and_severity"] if share["severity"] == "high")
    assert (high["kind"], high["alerts"], high["minutes_to_acknowledge"]) == ("motor_stall", 2, 5.0)
    assert {aim["name"]: aim["reached"] for aim in found["aims"]} == {
        "alerts_per_patient_year": True, "high_per_patient_year": False, "actionable_share": True,
        "minutes_to_acknowledge_high": True,
    }  # fmt: skip


@both_databases
def test_the_first_contact_is_told_of_what_told_nobody_before(app: Flask, api: As, time: Time) -> None:
    admin = create_user(role="admin")
    patient = create_patient(clinic=admin.clinic)
    create_alert(patient=patient, severity="high", called_at=AT, next_call_at=AT)
    for _ in range(3):
        notifying.notify(db.session(), time.at)
        db.session.commit()
        time.pass_by(minutes=8)
    assert read(select(Message)) == []
    new = {"name": "Ward desk", "channel": "sms", "address": "+49305550100"}
    assert api(admin).post("/contacts", new).status_code == 201
    notifying.notify(db.session(), time.at)
    db.session.commit()
    assert [message.address for message in read(select(Message))] == ["+49305550100"]
