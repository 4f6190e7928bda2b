"""Logins of devices at the broker: shown once, kept as a hash, revoked; all or nothing when the broker is away."""

import dataclasses
import datetime as dt

import pytest
from flask import Flask
from sqlalchemy import select

from sc_stim.devices.broker_access import Login, Role, password_matches
from sc_stim.models import BrokerLogin
from tests.apps import As, both_databases, read
from tests.builders import create_pump, create_user
from tests.trail import actions_on


@pytest.fixture
def broker_down(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    _broker_at(app, monkeypatch, "mqtt://admin:secret@127.0.0.1:1")


def _broker_at(app: Flask, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    settings = dataclasses.replace(app.config["SETTINGS"], broker_admin_url=url)
    monkeypatch.setitem(app.config, "SETTINGS", settings)


def _kept() -> list[tuple[Login, dt.datetime | None]]:
    return [
        (Login(row.username, Role(row.role), row.password_hash, row.salt, row.iterations), row.revoked_at)
        for row in read(select(BrokerLogin))
    ]


@both_databases
def test_a_password_is_shown_once_and_only_its_hash_is_kept(app: Flask, api: As) -> None:
    pump = create_pump()
    caller = api(create_user(clinic=pump.patient.clinic, role="engineer"))
    address = f"/devices/{pump.public_id}/credentials"
    first = caller.post(address)
    assert first.status_code == 201
    assert first.json["username"] == str(pump.public_id)
    assert first.json["topics"] == f"scs/v1/{str(pump.public_id)[-1]}/{pump.public_id}/"
    ((login, _),) = _kept()
    assert password_matches(login, first.json["password"])
    second = caller.post(address)
    ((login, _),) = _kept()
    assert password_matches(login, second.json["password"])
    assert not password_matches(login, first.json["password"])
    assert actions_on(pump.patient) == ["credential.issue", "credential.issue"]


@both_databases
def test_a_device_is_cut_off_and_may_be_let_in_again(app: Flask, api: As) -> None:
    pump = create_pump()
    caller = api(create_user(clinic=pump.patient.clinic, role="engineer"))
    address = f"/devices/{pump.public_id}/credentials"
    assert caller.delete(address).status_code == 409
    caller.post(address)
    assert caller.delete(address).status_code == 204
    assert [revoked_at is not None for _, revoked_at in _kept()] == [True]
    assert caller.delete(address).status_code == 204
    caller.post(address)
    assert [revoked_at for _, revoked_at in _kept()] == [None]
    assert actions_on(pump.patient) == [
        "credential.issue", "credential.revoke", "credential.revoke", "credential.issue",
    ]  # fmt: skip


def test_a_password_is_not_given_out_again_for_the_same_key(app: Flask, api: As) -> None:
    pump = create_pump()
    caller = api(create_user(clinic=pump.patient.clinic, role="engineer"))
    address = f"/devices/{pump.public_id}/credentials"
    assert caller.post(address, Idempotency_Key="one").status_code == 201
    assert caller.post(address, Idempotency_Key="one").status_code == 409


@pytest.mark.usefixtures("broker_down")
def test_while_the_broker_is_down_nothing_is_half_written(app: Flask, api: As) -> None:
    pump = create_pump()
    caller = api(create_user(clinic=pump.patient.clinic, role="engineer"))
    answer = caller.post(f"/devices/{pump.public_id}/credentials")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert _kept() == []
    assert actions_on(pump.patient) == []


def test_a_device_stays_let_in_here_while_the_broker_cannot_be_told(
    app: Flask, api: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    pump = create_pump()
    caller = api(create_user(clinic=pump.patient.clinic, role="engineer"))
    caller.post(f"/devices/{pump.public_id}/credentials")
    _broker_at(app, monkeypatch, "mqtt://admin:secret@127.0.0.1:1")
    assert caller.delete(f"/devices/{pump.public_id}/credentials").status_code == 503
    assert [revoked_at for _, revoked_at in _kept()] == [None]


@pytest.mark.parametrize("role", ["clinician", "nurse"])
def test_only_an_engineer_gives_out_logins(app: Flask, api: As, role: str) -> None:
    pump = create_pump()
    caller = api(create_user(clinic=pump.patient.clinic, role=role))
    assert caller.post(f"/devices/{pump.public_id}/credentials").status_code == 403


def test_an_explanted_device_and_another_clinics_get_no_login(app: Flask, api: As) -> None:
    gone, theirs = create_pump(explanted_on=dt.date(2026, 11, 1)), create_pump()
    caller = api(create_user(clinic=gone.patient.clinic, role="engineer"))
    assert caller.post(f"/devices/{gone.public_id}/credentials").status_code == 409
    assert caller.post(f"/devices/{theirs.public_id}/credentials").status_code == 404
    assert caller.delete(f"/devices/{theirs.public_id}/credentials").status_code == 404
    assert _kept() == []
