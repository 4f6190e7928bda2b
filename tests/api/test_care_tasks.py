"""Tasks and planned scans through HTTP: the model's rule as a checklist, and an end by evidence alone."""

import datetime as dt
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from sc_stim.extensions import db
from sc_stim.models import Alert, CareTask, Command, Device, DeviceEvent, User
from sc_stim.workflows.conditions import judge_conditions
from tests.apps import As, Time, both_databases, read
from tests.builders import (
    AT,
    create_care_task,
    create_clinic,
    create_pump,
    create_pump_sample,
    create_stimulator,
    create_stimulator_sample,
    create_user,
)
from tests.trail import entries

HOUR = dt.timedelta(hours=1)
MINUTE = dt.timedelta(minutes=1)


def say(device: Device, kind: str, at: dt.datetime) -> None:
    row = DeviceEvent(
        device_id=device.id, epoch="events", seq=int(at.timestamp()), clinic_id=device.clinic_id, measured_at=at,
        device_at=at, received_at=at, kind=kind,
    )  # fmt: skip
    db.session.add(row)
    db.session.commit()


def judge(device: Device, at: dt.datetime) -> None:
    judge_conditions(db.session(), {device.id: at}, at)
    db.session.commit()


def scanned(device: Device, at: dt.datetime = AT) -> None:
    """In the scanner at `at`, out again half an hour later."""
    say(device, "mri_entered", at)
    say(device, "mri_left", at + 30 * MINUTE)
    judge(device, at + 30 * MINUTE)


def only_task() -> CareTask:
    [task] = read(select(CareTask))
    assert isinstance(task, CareTask)
    return task


def stamp(at: dt.datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


@both_databases
def test_a_scan_opens_one_task_with_the_rule_of_the_model_and_no_alert_in_time(
    app: Flask, api: As, time: Time
) -> None:
    pump = create_pump(model="SynchroMed II 8637-40")
    scanned(pump)
    judge(pump, AT + HOUR)
    caller = api(create_user(clinic=pump.patient.clinic, role="nurse"))
    [task] = caller.get("/tasks").json["items"]
    assert (task["kind"], task["device_id"], task["due_at"]) == (
        "mri_check",
        str(pump.public_id),
        stamp(AT + 24 * HOUR),
    )
    assert task["detail"]["interrogations_needed"] == 2
    assert any("second time" in step["text"] and step["source"] for step in task["steps"])
    assert caller.get("/tasks", state="overdue").json["items"] == []
    assert read(select(Alert.condition)) == []


@both_databases
def test_a_check_that_is_overdue_is_an_alert_and_stands_among_the_overdue(
    app: Flask, api: As, time: Time
) -> None:
    pump = create_pump(model="Prometra II 40 mL")
    scanned(pump, AT - 121 * MINUTE)
    assert read(select(Alert)) == []
    judge(pump, AT)
    assert [(a.condition, a.severity) for a in read(select(Alert))] == [("post_mri_check_due", "medium")]
    caller = api(create_user(clinic=pump.patient.clinic))
    assert len(caller.get("/tasks", state="overdue").json["items"]) == 1


@both_databases
def test_only_interrogations_after_the_scan_end_the_check(app: Flask, api: As, time: Time) -> None:
    pump = create_pump(model="SynchroMed II 8637-20")
    say(pump, "session_closed", AT - HOUR)
    scanned(pump)
    create_pump_sample(pump=pump, measured_at=AT + HOUR)
    judge(pump, AT + HOUR)
    assert only_task().closed_at is None, (
        "a running pump is no interrogation, nor is a session before the scan"
    )
    say(pump, "session_closed", AT + 2 * HOUR)
    judge(pump, AT + 2 * HOUR)
    assert only_task().closed_at is None, "this model needs a second one"
    user = create_user(clinic=pump.patient.clinic)
    reported = Command(
        clinic_id=pump.clinic_id, device_id=pump.id, kind="interrogate", args={}, state="reported",
        requested_by_id=user.id, requested_at=AT + 3 * HOUR, expires_at=AT + 9 * HOUR, answered_at=AT + 3 * HOUR,
    )  # fmt: skip
    db.session.add(reported)
    db.session.commit()
    judge(pump, AT + 3 * HOUR)
    task = only_task()
    assert (task.closed_by, task.closed_at) == ("interrogation", AT + 3 * HOUR)
    judge(pump, AT + 4 * HOUR)
    assert only_task().closed_at == AT + 3 * HOUR, "and it stays closed"


@both_databases
def test_a_person_records_the_interrogation_with_a_comment_and_it_is_audited(
    app: Flask, api: As, time: Time
) -> None:
    pump = create_pump()
    scanned(pump, AT - HOUR)
    nurse = create_user(clinic=pump.patient.clinic, role="nurse")
    address = f"/tasks/{only_task().public_id}"
    refused = api(nurse).post(f"{address}/done", {"comment": "looked fine"})
    assert refused.status_code == 409
    assert "only an interrogation" in refused.json["detail"]
    body = {"performed_at": stamp(AT - 10 * MINUTE), "comment": "Runs at 0.5 mL/day, no alarm."}
    made = api(nurse).post(f"{address}/interrogations", body)
    assert made.status_code == 201, made.text
    assert (made.json["closed_by"], made.json["closed_at"]) == ("interrogation", stamp(time.at))
    assert [(row["event"], row["by"] and row["by"]["name"]) for row in made.json["history"]] == [
        ("opened", None),
        ("interrogation", nurse.name),
        ("closed", None),
    ]
    assert made.json["history"][1]["comment"] == "Runs at 0.5 mL/day, no alarm."
    [entry] = entries("task.interrogation")
    assert (entry.actor, entry.subject) == (str(nurse.public_id), str(pump.patient.public_id))
    assert api(nurse).post(f"{address}/interrogations", body).status_code == 409


@pytest.mark.parametrize(
    ("performed_at", "reason"), [(AT + 2 * HOUR, "future"), (AT - 3 * HOUR, "before the scan")]
)
def test_an_interrogation_at_an_impossible_time_is_refused_by_name(
    app: Flask, api: As, performed_at: dt.datetime, reason: str
) -> None:
    task = create_care_task(device=create_pump())
    body = {"performed_at": stamp(performed_at), "comment": "read out"}
    answer = api(create_user(clinic=task.patient.clinic)).post(
        f"/tasks/{task.public_id}/interrogations", body
    )
    assert answer.status_code == 422
    assert reason in str(answer.json)
    assert "performed_at" in str(answer.json)


@both_databases
def test_a_stimulators_task_ends_when_it_has_left_mri_mode(app: Flask) -> None:
    stimulator = create_stimulator(model="Proclaim XR 5")
    say(stimulator, "mri_entered", AT)
    judge(stimulator, AT)
    assert only_task().closed_at is None
    create_stimulator_sample(stimulator=stimulator, state="on", measured_at=AT + HOUR)
    judge(stimulator, AT + HOUR)
    assert only_task().closed_by == "state:on"


def test_mri_mode_that_is_not_left_for_a_day_is_an_alert(app: Flask) -> None:
    stimulator = create_stimulator()
    create_stimulator_sample(stimulator=stimulator, state="mri", measured_at=AT)
    judge(stimulator, AT + 23 * HOUR)
    assert read(select(Alert)) == []
    judge(stimulator, AT + 24 * HOUR)
    assert [(a.condition, a.severity) for a in read(select(Alert))] == [("mri_mode", "medium")]


def test_a_scan_of_a_device_that_is_out_is_nobodys_work(app: Flask) -> None:
    pump = create_pump()
    scanned(pump)
    pump.explanted_on = AT.date()
    db.session.commit()
    judge(pump, AT + HOUR)
    assert only_task().closed_by == "explanted"


@both_databases
def test_a_planned_scan_answers_with_the_checklist_of_the_model(app: Flask, api: As) -> None:
    pump = create_pump(model="Prometra II 20 mL")
    caller = api(create_user(clinic=pump.patient.clinic, role="nurse"))
    address, body = f"/devices/{pump.public_id}/mri-scans", {"planned_at": stamp(AT + 48 * HOUR)}
    made = caller.post(address, body)
    assert made.status_code == 201, made.text
    first = made.json["steps"][0]
    assert (first["when"], first["source"]) == ("before", "dokumen.tips Prometra MRI PL-21604-02")
    assert first["text"].startswith("EMPTY THE RESERVOIR FIRST")
    assert any(step["when"] == "after" and "by hand" in step["text"] for step in made.json["steps"])
    assert caller.post(address, body).status_code == 409, "the same scan is planned once"
    done = caller.post(f"/tasks/{made.json['id']}/done", {"comment": "Emptied, 17 mL."})
    assert (done.status_code, done.json["closed_by"]) == (200, "done")
    assert [entry.detail["planned_at"] for entry in entries("mri_scan.plan")] == ["2026-11-25T08:00:00+00:00"]


def test_a_pump_without_telemetry_owes_its_check_from_the_plan_on(app: Flask, api: As, time: Time) -> None:
    pump = create_pump(model="Codman 3000", report_interval_s=0)
    caller = api(create_user(clinic=pump.patient.clinic))
    planned_at = stamp(AT + MINUTE)
    assert caller.post(f"/devices/{pump.public_id}/mri-scans", {"planned_at": planned_at}).status_code == 201
    [check] = caller.get("/tasks", kind="mri_check").json["items"]
    time.pass_by(minutes=10)
    body = {"performed_at": stamp(AT + 9 * MINUTE), "comment": "Patient well."}
    closed = caller.post(f"/tasks/{check['id']}/interrogations", body)
    assert closed.json["closed_by"] == "interrogation"


def test_a_scan_is_planned_ahead_and_for_a_person(app: Flask, api: As) -> None:
    pump = create_pump(explanted_on=dt.date(2026, 11, 1))
    caller = api(create_user(clinic=pump.patient.clinic))
    other = create_pump(patient=pump.patient)
    late = caller.post(f"/devices/{other.public_id}/mri-scans", {"planned_at": stamp(AT - HOUR)})
    assert late.status_code == 422
    out = caller.post(f"/devices/{pump.public_id}/mri-scans", {"planned_at": stamp(AT + HOUR)})
    assert out.status_code == 409


@both_databases
def test_tasks_are_listed_by_what_is_due_first_within_one_clinic(app: Flask, api: As) -> None:
    clinic = create_clinic()
    late, soon = (
        create_care_task(device=create_pump(clinic=clinic), due_at=AT + hours * HOUR) for hours in (9, 1)
    )
    closed = create_care_task(device=late.device, closed_at=AT, closed_by="session_closed", open_key=None)
    create_care_task(device=create_pump())
    caller = api(create_user(clinic=clinic))

    def found(**query: Any) -> list[str]:
        return [row["id"] for row in caller.get("/tasks", **query).json["items"]]

    assert found() == [str(soon.public_id), str(late.public_id)]
    assert found(state="closed") == [str(closed.public_id)]
    assert found(device_id=str(late.device.public_id)) == [str(late.public_id)]
    first = caller.get("/tasks", limit=1)
    assert first.json["next_cursor"]
    assert 'rel="next"' in first.headers["Link"]


def test_a_task_that_is_closed_stays_closed(app: Flask, api: As) -> None:
    task = create_care_task(
        device=create_pump(), kind="mri_preparation", closed_at=AT, closed_by="done", open_key=None
    )
    caller: User = create_user(clinic=task.patient.clinic)
    assert api(caller).post(f"/tasks/{task.public_id}/done", {}).status_code == 409


def test_each_scan_of_a_pump_without_telemetry_has_its_own_check(app: Flask, api: As) -> None:
    pump = create_pump(model="Codman 3000", report_interval_s=0)
    clinician = api(create_user(clinic=pump.patient.clinic))
    for planned_at in ("2026-11-23T12:00:00Z", "2026-11-25T12:00:00Z"):
        assert (
            clinician.post(f"/devices/{pump.public_id}/mri-scans", {"planned_at": planned_at}).status_code
            == 201
        )
    checks = read(select(CareTask).where(CareTask.kind == "mri_check").order_by(CareTask.since))
    assert [check.since for check in checks] == [AT + 4 * HOUR, AT + 52 * HOUR]
