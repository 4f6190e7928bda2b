"""One device as engineers and nurses see it, and what they do with it."""

import dataclasses
import datetime as dt

import pytest
from sqlalchemy import select

from sc_stim.devices.broker_access import Login, Role, password_matches
from sc_stim.extensions import db
from sc_stim.models import BrokerLogin, CareTask, Command, DeviceEpoch, DeviceEvent
from tests import builders
from tests.builders import AT
from tests.trail import actions_on

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def pump(app):
    return builders.create_pump(model="SynchroMed II 20 mL", serial="SN7", created_at=AT - 99 * HOUR)


@pytest.fixture
def engineer(pump, visit):
    return visit(builders.create_user(clinic=pump.patient.clinic, role="engineer"))


@pytest.fixture
def nurse(pump, visit):
    return visit(builders.create_user(clinic=pump.patient.clinic, role="nurse"))


def address(device):
    return f"/devices/{device.public_id}"


def command_of(device, **values):
    row = Command(
        **{
            "clinic_id": device.clinic_id, "device_id": device.id, "kind": "interrogate", "args": {},
            "requested_by_id": builders.create_user(clinic=device.patient.clinic).id, "requested_at": AT - 3 * HOUR,
            "expires_at": AT + HOUR,
        } | values
    )  # fmt: skip
    db.session.add(row)
    db.session.commit()
    return row


def test_an_engineer_sees_the_device_and_not_whose_it_is(pump, engineer, nurse):
    page = engineer.page(address(pump))

    assert pump.patient.family_name not in page.html
    assert pump.patient.phone not in page.html
    assert "serial SN7" in page.text
    assert pump.patient.family_name in nurse.page(address(pump)).text
    assert actions_on(pump.patient) == ["device.view", "device.view"]


def test_a_device_of_another_clinic_is_not_there(pump, visit):
    stranger = visit(builders.create_user(role="engineer"))
    stranger.page("/devices")

    stranger.page(address(pump), 404)
    for act in ("commands", "credential", "credential/revoke"):
        assert stranger.post(f"{address(pump)}/{act}", kind="interrogate", sure="on").status_code == 404
    assert db.session.query(Command).count() == 0


def test_a_setting_that_is_reported_otherwise_than_prescribed_is_marked(pump, engineer):
    builders.create_setting(device=pump, flow_ml_per_day=0.5, bolus_ml=0.1)
    sample = {"flow_ml_per_day": 0.7, "bolus_ml": 0.1, "state": "running"}
    builders.create_device_state(device=pump, measured_at=AT - HOUR, sample=sample)

    rows = engineer.page(address(pump)).texts("tr")

    assert "Flow 0.5 mL/day 0.7 mL/day differs" in rows
    assert "Bolus 0.1 mL 0.1 mL as prescribed" in rows


def test_a_report_from_before_the_prescription_says_nothing_about_it(pump, engineer):
    builders.create_setting(device=pump, flow_ml_per_day=0.5, effective_at=AT - HOUR)
    builders.create_device_state(device=pump, measured_at=AT - 2 * HOUR, sample={"flow_ml_per_day": 0.7})

    page = engineer.page(address(pump))

    assert "Flow 0.5 mL/day 0.7 mL/day not compared" in page.texts("tr")
    assert "before that prescription: it says nothing about it" in page.text


def test_lost_records_are_told_by_epoch(pump, engineer):
    db.session.add(
        DeviceEpoch(
            device_id=pump.id, epoch="e7", taken="0-41,44,50-60", rejected="3,5-6", first_at=AT, last_at=AT
        )
    )
    db.session.commit()

    [row] = [row for row in engineer.page(address(pump)).texts("tr") if "epoch e7" in row]

    assert row.endswith("7 42–43, 45–49 3")


def test_events_go_on_where_the_page_before_ended(pump, engineer, monkeypatch):
    monkeypatch.setattr("sc_stim.web.device.EVENTS_OF_A_PAGE", 2)
    for seq in range(3):
        at = AT - seq * HOUR
        db.session.add(
            DeviceEvent(
                device_id=pump.id, epoch="e", seq=seq, clinic_id=pump.clinic_id, measured_at=at, device_at=at,
                received_at=at, kind=f"event_{seq}", detail={"told": "<script>"},
            )
        )  # fmt: skip
    db.session.commit()

    first, second = engineer.page(address(pump)), engineer.page(f"{address(pump)}?events=2")

    assert [f"Event {seq}" in first.text for seq in range(3)] == [True, True, False]
    assert [f"Event {seq}" in second.text for seq in range(3)] == [False, False, True]
    engineer.page(f"{address(pump)}?events=0", 404)


def test_a_command_is_pending_until_the_device_itself_has_said_more(pump, engineer):
    engineer.page(address(pump))
    page = engineer.done(f"{address(pump)}/commands", kind="interrogate")

    assert "Nothing is done until the device says so." in page.text
    assert "Report now Waiting to be sent" in page.within("commands")
    assert db.session.scalars(select(Command.state)).all() == ["pending"]


@pytest.mark.parametrize(
    ("state", "words", "looks_good"),
    [
        ("pending", "Waiting to be sent", False),
        ("sent", "Sent, no answer yet", False),
        ("reported", "Done, the device says", True),
        ("refused", "The device refused", False),
        ("not_confirmed", "Not confirmed The device said nothing in time.", False),
    ],
)
def test_only_what_the_device_reported_looks_like_success(pump, engineer, state, words, looks_good):
    command_of(pump, state=state)

    page = engineer.page(address(pump))

    assert words in page.within("commands")
    good = [one for one in page.all("span") if "good" in (one.get("class") or "").split()]
    assert bool(good) == looks_good
    waits = next(one for one in page.all("div") if one.get("id") == "commands").get("hx-trigger")
    assert (waits is not None) == (state in ("pending", "sent"))


@pytest.mark.parametrize("typed", ["", "9", "soon", "604801"])
def test_an_interval_that_cannot_be_is_refused_beside_its_field(pump, engineer, typed):
    engineer.page(address(pump))
    page = engineer.submitted(f"{address(pump)}/commands", 422, kind="report_interval", interval_s=typed)

    assert "Time between reports" in page.within("interval_s-error")
    assert db.session.query(Command).count() == 0


def test_an_interval_is_asked_for(pump, engineer):
    engineer.page(address(pump))
    page = engineer.done(f"{address(pump)}/commands", kind="report_interval", interval_s="900")

    assert "Change how often it reports every 15 min" in page.within("commands")


def test_nothing_is_asked_of_a_device_that_is_out(pump, engineer):
    page = engineer.page(address(pump))
    pump.explanted_on = AT.date()

    assert "Report now" in page.text
    assert "explanted" in engineer.done(f"{address(pump)}/commands", kind="interrogate").text
    assert "Report now" not in engineer.page(address(pump)).text


def test_a_login_is_shown_once_and_only_its_hash_is_kept(pump, engineer):
    assert "It has none" in engineer.page(address(pump)).within("login")
    page = engineer.submitted(f"{address(pump)}/credential")
    shown = {field.get("id"): field.get("value") for field in page.all("input")}

    kept = db.session.scalars(select(BrokerLogin)).one()
    login = Login(kept.username, Role(kept.role), kept.password_hash, kept.salt, kept.iterations)
    assert password_matches(login, shown["password"])
    assert shown["username"] == str(pump.public_id)
    assert shown["topics"] == f"scs/v1/{str(pump.public_id)[-1]}/{pump.public_id}/"
    assert shown["password"] not in engineer.page(address(pump)).html


def test_a_device_is_cut_off_only_when_somebody_is_sure(pump, engineer):
    engineer.page(address(pump))
    engineer.submitted(f"{address(pump)}/credential")
    page = engineer.submitted(f"{address(pump)}/credential/revoke", 422)
    assert "Say that you are sure" in page.text
    assert db.session.scalars(select(BrokerLogin.revoked_at)).all() == [None]

    page = engineer.done(f"{address(pump)}/credential/revoke", sure="on")

    assert "Cut off Mon 23 Nov 2026" in page.within("login")
    assert db.session.scalars(select(BrokerLogin.revoked_at)).all() == [AT]


def test_a_broker_that_is_away_changes_nothing(pump, engineer, app, monkeypatch):
    settings = dataclasses.replace(app.config["SETTINGS"], broker_admin_url="mqtt://admin:secret@127.0.0.1:1")
    monkeypatch.setitem(app.config, "SETTINGS", settings)
    engineer.page(address(pump))

    page = engineer.done(f"{address(pump)}/credential")

    assert "Nothing was changed: the broker did not do it. Try again." in page.text
    assert db.session.query(BrokerLogin).count() == 0


def test_a_nurse_plans_a_scan_and_gets_its_checklist(pump, nurse):
    assert "Before" in nurse.page(address(pump)).within("scan")

    page = nurse.done(f"{address(pump)}/scans", planned_at="2026-11-25T10:30", comment="Knee")

    task = db.session.scalars(select(CareTask)).one()
    assert task.due_at == dt.datetime(2026, 11, 25, 9, 30, tzinfo=dt.UTC)
    assert "The scan is planned." in page.text
    assert task.steps[0]["text"] in page.text
    assert "Prepare an MRI scan" in nurse.page(address(pump)).text


@pytest.mark.parametrize(
    ("planned_at", "why"),
    [("", "is needed"), ("2026-11-20T10:30", "lies in the past"), ("later", "must be a date")],
)
def test_a_scan_at_an_impossible_time_is_refused_beside_its_field(pump, nurse, planned_at, why):
    nurse.page(address(pump))
    page = nurse.submitted(f"{address(pump)}/scans", 422, planned_at=planned_at)

    assert why in page.within("planned_at-error")
    assert db.session.query(CareTask).count() == 0


def test_a_recall_of_the_device_stands_on_top(pump, engineer):
    recall = builders.create_recall(clinic=pump.patient.clinic, title="Motor stall in batch 7")
    builders.create_outreach(recall=recall, device=pump)

    assert "Recall: Motor stall in batch 7, to do" in engineer.page(address(pump)).text
