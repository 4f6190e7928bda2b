"""Commands through HTTP: pending until sent, reported only by the device itself."""

import datetime as dt
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from sc_stim.extensions import db
from sc_stim.models import Command
from tests.apps import As, both_databases, read
from tests.builders import create_pump, create_stimulator, create_user
from tests.trail import actions_on, entries


@both_databases
@pytest.mark.parametrize("role", ["clinician", "nurse", "engineer"])
def test_a_command_waits_until_the_device_itself_reports_it(app: Flask, api: As, role: str) -> None:
    pump = create_pump()
    person = create_user(clinic=pump.patient.clinic, role=role)
    caller, address = api(person), f"/devices/{pump.public_id}/commands"
    made = caller.post(address, {"kind": "report_interval", "interval_s": 900})
    assert made.status_code == 201
    assert (made.json["state"], made.json["args"], made.json["answered_at"]) == (
        "pending", {"interval_s": 900}, None,
    )  # fmt: skip
    command = db.session.scalars(select(Command)).one()
    for state in ("sent", "reported"):
        command.state = state
        db.session.commit()
        assert caller.get(address).json["items"] == [made.json | {"state": state}]
        command = db.session.scalars(select(Command)).one()
    assert actions_on(pump.patient) == ["command.request", "device.commands", "device.commands"]
    assert entries("command.request")[0].detail["kind"] == "report_interval"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "set_flow", "flow_ml_per_day": 9}, "kind"),
        ({"kind": "stop"}, "kind"),
        ({"kind": "report_interval"}, "interval_s"),
        ({"kind": "report_interval", "interval_s": 1}, "interval_s"),
        ({"kind": "report_interval", "interval_s": "900"}, "interval_s"),
        ({"kind": "interrogate", "interval_s": 900}, "interval_s"),
        ({}, "kind"),
    ],
)
def test_what_is_no_command_is_refused_by_name(app: Flask, api: As, body: dict[str, Any], field: str) -> None:
    pump = create_pump()
    answer = api(create_user(clinic=pump.patient.clinic)).post(f"/devices/{pump.public_id}/commands", body)
    assert answer.status_code == 422
    assert field in {error["field"] for error in answer.json["errors"]}
    assert read(select(Command)) == []


def test_setting_the_clock_does_not_wait_everything_else_waits_for_two_reports(app: Flask, api: As) -> None:
    device = create_stimulator(report_interval_s=86_400)
    caller, address = api(create_user(clinic=device.patient.clinic)), f"/devices/{device.public_id}/commands"
    lasts = {
        kind: dt.datetime.fromisoformat(made["expires_at"]) - dt.datetime.fromisoformat(made["requested_at"])
        for kind in ("time_sync", "interrogate")
        for made in [caller.post(address, {"kind": kind}).json]
    }
    assert lasts == {"time_sync": dt.timedelta(minutes=2), "interrogate": dt.timedelta(days=2)}


def test_an_explanted_device_is_asked_for_nothing(app: Flask, api: As) -> None:
    pump = create_pump(explanted_on=dt.date(2026, 11, 1))
    caller = api(create_user(clinic=pump.patient.clinic))
    assert caller.post(f"/devices/{pump.public_id}/commands", {"kind": "interrogate"}).status_code == 409


def test_a_command_sent_twice_with_one_key_is_one_command(app: Flask, api: As) -> None:
    pump = create_pump()
    caller, address = api(create_user(clinic=pump.patient.clinic)), f"/devices/{pump.public_id}/commands"
    first = caller.post(address, {"kind": "interrogate"}, Idempotency_Key="one")
    assert caller.post(address, {"kind": "interrogate"}, Idempotency_Key="one").json == first.json
    assert len(read(select(Command))) == 1
