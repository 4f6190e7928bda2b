"""Two mornings acted out: an engineer provisions a device, and a second clinic and the auditor look around."""

import dataclasses
import json
import uuid
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from sc_stim.devices import commands, messages
from sc_stim.devices.topics import SHARDS
from sc_stim.extensions import db
from sc_stim.models import Alert, AuditEntry, Device, Fill, Patient
from tests.apps import As, Caller, both_databases, read
from tests.builders import (
    AT,
    create_alert,
    create_clinic,
    create_fill,
    create_pain_score,
    create_patient,
    create_pump,
    create_setting,
    create_user,
)
from tests.devices.mqtt_client import Client, connected
from tests.servers import Mosquitto, wait_until

VISIT = {
    "at": "2026-11-23T07:30:00Z", "aspirated_ml": 6.0, "filled_ml": 20.0,
    "drugs": [{"name": "morphine", "mg_per_ml": 10.0}],
}  # fmt: skip
LABEL = "(01)00643169007222(17)291231(10)L77(21)NGP123456H"


def test_an_engineer_provisions_a_device_and_cuts_it_off(
    app: Flask, api: As, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = dataclasses.replace(app.config["SETTINGS"], broker_admin_url=mosquitto.admin_url)
    monkeypatch.setitem(app.config, "SETTINGS", settings)
    clinic = create_clinic()
    engineer = api(create_user(clinic=clinic, role="engineer"))

    device = engineer.post("/devices", {"model": "Prometra II 20 mL", "udi": LABEL}).json
    assert (device["serial"], device["lot"], device["expires_on"]) == ("NGP123456H", "L77", "2029-12-31")
    assert engineer.post("/devices", {"model": "Prometra II 20 mL", "udi": LABEL}).status_code == 409
    other = engineer.post("/devices", {"model": "Prometra II 20 mL", "serial": "OTHER"}).json

    login = engineer.post(f"/devices/{device['id']}/credentials").json
    with (
        connected(mosquitto, mosquitto.ingest_username(), mosquitto.ingest_password) as ingest,
        connected(mosquitto, login["username"], login["password"]) as implant,
    ):
        ingest.subscribe("scs/v1/+/+/up/#")
        foreign = f"scs/v1/{other['id'][-1]}/{other['id']}/"
        implant.subscribe(f"{login['topics']}down/#", f"{foreign}down/#")
        implant.publish(f"{login['topics']}up/telemetry", b"own")
        ingest.await_delivery(f"{login['topics']}up/telemetry", b"own")
        _command_is_reported_only_by_the_device(engineer, device["id"], ingest, implant, login["topics"])
        ingest.publish(f"{foreign}down/command", b"for the other")
        assert engineer.delete(f"/devices/{device['id']}/credentials").status_code == 204
        wait_until(lambda: implant.disconnected, "the revoked device to be cut off")
        assert {topic for topic, _ in implant.received()} == {f"{login['topics']}down/command"}
    assert not Client(mosquitto, login["username"], login["password"]).connect()


def _command_is_reported_only_by_the_device(
    engineer: Caller, device_id: str, ingest: Client, implant: Client, base: str
) -> None:
    def state() -> str:
        return str(engineer.get(f"/devices/{device_id}/commands").json["items"][0]["state"])

    engineer.post(f"/devices/{device_id}/commands", {"kind": "interrogate"})
    assert state() == "pending"
    ((topic, payload),) = commands.take_pending(db.session(), tuple(SHARDS), AT)
    ingest.publish(topic, payload)
    implant.await_delivery(f"{base}down/command", payload)
    assert state() == "sent"
    answer = {"id": messages.decode_command(payload).id, "status": "done"}
    (row,) = read(select(Device).where(Device.public_id == uuid.UUID(device_id)))
    commands.take_result(db.session(), row.id, messages.decode_result(json.dumps(answer).encode()), AT)
    assert state() == "reported"


@both_databases
def test_a_second_clinic_finds_nothing_and_the_auditor_finds_who_looked(app: Flask, api: As) -> None:
    clinic = create_clinic()
    pump = create_pump(patient=create_patient(clinic=clinic, family_name="Unmistakable", mrn="A-4711"))
    patient = pump.patient
    create_setting(device=pump)
    fill, alert = create_fill(pump=pump), create_alert(patient=patient, device=pump)
    score = create_pain_score(patient=patient)
    nurse = create_user(clinic=clinic, role="nurse")
    here = f"/patients/{patient.public_id}"

    stranger = api(create_user(role="clinician"))
    for path in ("", "/timeline", "/pain-scores", "/treatments", "/assessments"):
        assert stranger.get(here + path).status_code == 404
    for path in ("", "/telemetry", "/events", "/settings", "/commands"):
        assert stranger.get(f"/devices/{pump.public_id}{path}").status_code == 404
    for path in (
        f"/pumps/{pump.public_id}/fills",
        f"/pumps/{pump.public_id}/forecast",
        f"/alerts/{alert.public_id}",
    ):
        assert stranger.get(path).status_code == 404
    changes = ((here, {"note": "mine"}), (f"/devices/{pump.public_id}", {"firmware": "1"}))
    for path, body in changes:
        assert stranger.patch(path, body).status_code == 404
    for path, body in _acts(patient, pump, fill, alert):
        assert stranger.post(path, body).status_code == 404, path
    for path in ("/patients", "/devices", "/alerts", "/refills"):
        assert stranger.get(path).json["items"] == []
    assert stranger.post("/patients/search", {"text": "Unmistakable"}).json["items"] == []
    own = create_patient(clinic=create_clinic())
    stolen = {"nrs": 1, "replaces": str(score.public_id)}
    assert (
        api(create_user(clinic=own.clinic)).post(f"/patients/{own.public_id}/pain-scores", stolen).status_code
        == 422
    )

    caller = api(nurse)
    caller.get(here)
    caller.patch(here, {"phone": "+49 30 5550177"})
    caller.post(f"/pumps/{pump.public_id}/fills", VISIT)
    caller.post(f"/alerts/{alert.public_id}/acknowledge", {"comment": "seen"})
    auditor = api(create_user(clinic=clinic, role="auditor"))
    of_patient = auditor.get("/audit", subject=str(patient.public_id)).json["items"]
    assert [(entry["action"], entry["actor_name"]) for entry in of_patient] == [
        (action, nurse.name) for action in ("fill.record", "patient.change", "patient.view")
    ]
    assert auditor.get("/audit", action="alert.acknowledge").json["items"][0]["actor_name"] == nurse.name
    assert auditor.get("/audit/verification").json["intact"] is True
    (entry,) = read(select(AuditEntry).where(AuditEntry.action == "patient.view"))
    entry.actor = "somebody else"
    db.session.commit()
    found = auditor.get("/audit/verification").json
    assert (found["intact"], found["broken_at"]) == (False, entry.number)


def _acts(patient: Patient, pump: Device, fill: Fill, alert: Alert) -> list[tuple[str, Any]]:
    """Every POST of the clinical record, aimed at these."""
    here, device = f"/patients/{patient.public_id}", f"/devices/{pump.public_id}"
    return [
        (f"{here}/pain-scores", {"nrs": 5}),
        (f"{here}/treatments", {"kind": "cbt", "started_on": "2026-01-01"}),
        (f"{here}/assessments", {"kind": "ct", "performed_on": "2026-01-01", "finding": "None."}),
        (f"{device}/settings", {"flow_ml_per_day": 0.1}),
        (f"{device}/commands", {"kind": "interrogate"}),
        (f"/pumps/{pump.public_id}/fills", VISIT),
        (
            f"/pumps/{pump.public_id}/fills/{fill.public_id}/confirm",
            {"filled_ml": 20, "drugs": VISIT["drugs"]},
        ),
        (f"/alerts/{alert.public_id}/acknowledge", {}),
        (f"/alerts/{alert.public_id}/shelve", {"until": "2026-11-24T00:00:00Z"}),
        (f"/alerts/{alert.public_id}/resolve", {}),
        (f"/alerts/{alert.public_id}/comments", {"comment": "hello"}),
    ]
