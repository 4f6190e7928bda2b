"""Story 6, the life of an alert: nobody takes it, the second contact is told, once; a worse event breaks a shelf, an
equal one does not, and it comes back by itself."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from sc_stim import clock
from sc_stim.extensions import db
from sc_stim.models import Clinic, Device, Message
from sc_stim.tasks import jobs
from sc_stim.tasks.celery_app import celery
from sc_stim.workflows import alerts
from tests.apps import As, Caller, Time, both_databases, read
from tests.builders import create_clinic, create_pump, create_user

pytestmark = both_databases


class Postbox:
    """Takes the place of e-mail and text messages."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str]] = []
        self.configured = {"email": True, "sms": True}

    def __call__(self, channel: str, address: str, title: str, body: str) -> None:
        self.sent.append((address, title, body))

    @property
    def addresses(self) -> list[str]:
        return [address for address, *_ in self.sent]


class Ward:
    """A clinic with a nurse on call, a second contact behind her, and a pump."""

    def __init__(self, api: As) -> None:
        self.clinic: Clinic = create_clinic()
        self.admin: Caller = api(create_user(clinic=self.clinic, role="admin"))
        self.nurse: Caller = api(create_user(clinic=self.clinic, role="nurse"))
        self.pump: Device = create_pump(clinic=self.clinic)
        first = self.contact("Nurse on call", "email", "first@example.org")
        second = self.contact("Dr Second", "sms", "+49305550102")
        for weekday in range(7):
            shift = {"weekday": weekday, "from_time": "00:00", "to_time": "00:00", "contact_id": first}
            assert self.admin.post("/on-call/shifts", shift).status_code == 201
        steps = [
            {"after_min": 0, "severities": ["high", "medium"], "on_call": True, "contact_ids": []},
            {"after_min": 15, "severities": ["high"], "on_call": False, "contact_ids": [second]},
        ]
        answer = self.admin.patch("/escalation", {"steps": steps}, version=0)
        assert (answer.status_code, answer.json["warnings"]) == (200, []), answer.text

    def contact(self, name: str, channel: str, address: str) -> str:
        made = self.admin.post("/contacts", {"name": name, "channel": channel, "address": address})
        assert made.status_code == 201, made.text
        found: str = made.json["id"]
        return found

    def event(self, severity: str) -> None:
        """The device says that its motor has stalled; each time is an event of its own."""
        at = clock.now()
        condition = alerts.Condition(
            clinic_id=self.clinic.id, patient_id=self.pump.patient_id, device_id=self.pump.id, name="motor_stall",
            severity=severity, since=at, effect_key=f"stall:{self.pump.id}:{at.isoformat()}:{severity}",
            model_version="test",
        )  # fmt: skip
        alerts.raise_alert(db.session(), condition, at=at)
        db.session.commit()

    def alert(self) -> dict[str, Any]:
        [row] = self.nurse.get("/alerts", state="open").json["items"]
        found: dict[str, Any] = self.nurse.get(f"/alerts/{row['id']}").json
        return found

    def stays(self, time: Time, *, hours: int) -> None:
        """Time passes while the nurse looks in twice an hour, so that she stays signed in."""
        for _ in range(2 * hours):
            time.pass_by(minutes=30)
            self.nurse.get("/on-call")

    def act(self, name: str, **body: Any) -> dict[str, Any]:
        answer = self.nurse.post(f"/alerts/{self.alert()['id']}/{name}", body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json
        return found


@pytest.fixture
def postbox(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Postbox:
    box = Postbox()
    monkeypatch.setitem(app.extensions, "transport", box)
    return box


@pytest.fixture
def tick(app: Flask, postbox: Postbox) -> Iterator[Callable[[], None]]:
    """Every job as two beats make two workers do it: both at once."""
    before = celery.conf.flask_app
    celery.conf.flask_app = app

    def work(job: Callable[[], None]) -> None:
        with app.app_context():
            job()

    def all_jobs() -> None:
        db.session.commit()
        for job in (jobs.expire_task, jobs.notify_task, jobs.deliver_task):
            workers = [threading.Thread(target=work, args=[job]) for _ in range(2)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
        db.session.expire_all()

    yield all_jobs
    celery.conf.flask_app = before


def test_a_critical_alert_that_nobody_takes_reaches_the_second_contact_once(
    api: As, time: Time, postbox: Postbox, tick: Callable[[], None]
) -> None:
    ward = Ward(api)
    ward.event("high")
    tick()
    assert postbox.addresses == ["first@example.org"]
    time.pass_by(minutes=14, seconds=59)
    tick()
    assert postbox.addresses == ["first@example.org"]
    time.pass_by(seconds=1)
    for _ in range(3):  # every tick may be the first of a worker that was started again
        tick()
    ward.stays(time, hours=2)
    tick()
    assert postbox.addresses == ["first@example.org", "+49305550102"]
    events = [entry["event"] for entry in ward.alert()["history"]]
    assert events == ["raise", "call", "escalate"]
    assert [row["state"] for row in ward.nurse.get("/messages").json["items"]] == ["sent", "sent"]


def test_a_message_names_neither_patient_nor_drug_unless_the_clinic_wants_the_record_number(
    api: As, time: Time, postbox: Postbox, tick: Callable[[], None]
) -> None:
    ward = Ward(api)
    patient = ward.pump.patient
    ward.event("medium")
    tick()
    assert ward.admin.patch("/escalation", {"with_patient": True}).status_code == 200
    time.pass_by(minutes=1)
    ward.event("high")
    tick()
    (_, title, plain), (_, _, named) = postbox.sent
    assert title == "MEDIUM: motor stall"
    for personal in (patient.mrn, patient.family_name, patient.given_name, ward.pump.serial):
        assert personal not in plain
    assert patient.mrn in named and patient.family_name not in named
    assert ward.alert()["id"] in plain


def test_who_acknowledges_ends_the_calls(
    api: As, time: Time, postbox: Postbox, tick: Callable[[], None]
) -> None:
    ward = Ward(api)
    ward.event("high")
    tick()
    time.pass_by(minutes=10)
    assert ward.act("acknowledge", comment="I ring the patient.")["next_call_at"] is None
    time.pass_by(hours=5)
    tick()
    assert postbox.addresses == ["first@example.org"]


def test_a_shelf_holds_against_an_equal_event_and_breaks_at_a_worse_one(
    api: As, time: Time, postbox: Postbox, tick: Callable[[], None]
) -> None:
    ward = Ward(api)
    ward.event("medium")
    tick()
    ward.act("acknowledge", comment="I have seen it.")
    ward.act("shelve", until="2026-11-23T10:00:00Z", comment="Until after the round.")
    time.pass_by(minutes=30)
    ward.event("medium")
    tick()
    assert ward.alert()["state"] == "shelved"
    assert len(postbox.sent) == 1
    time.pass_by(minutes=1)
    ward.event("high")
    tick()
    alert = ward.alert()
    assert (alert["state"], alert["severity"], alert["shelved_until"]) == ("unacknowledged", "high", None)
    assert postbox.addresses == ["first@example.org"] * 2
    assert [entry["event"] for entry in alert["history"]] == [
        "raise", "call", "acknowledge", "shelve", "raise_worse", "call",
    ]  # fmt: skip


def test_an_alert_comes_back_from_its_shelf_by_itself_although_the_worker_was_away(
    api: As, time: Time, postbox: Postbox, tick: Callable[[], None]
) -> None:
    ward = Ward(api)
    ward.event("high")
    tick()
    ward.act("shelve", until="2026-11-23T10:00:00Z")
    ward.stays(time, hours=1)
    time.pass_by(minutes=59)
    tick()
    assert ward.alert()["state"] == "shelved"
    ward.stays(time, hours=1)  # nothing ran at the end of the shelf
    tick()
    alert = ward.alert()
    assert alert["state"] == "unacknowledged"
    assert alert["history"][-2]["event"] == "shelf_expired"
    assert postbox.addresses == ["first@example.org"] * 2
    time.pass_by(minutes=15)
    tick()
    assert postbox.addresses[-1] == "+49305550102"


def test_taken_off_the_shelf_and_given_to_a_colleague(
    api: As, time: Time, postbox: Postbox, tick: Callable[[], None]
) -> None:
    ward = Ward(api)
    colleague = create_user(clinic=ward.clinic)
    ward.event("medium")
    ward.act("shelve", until="2026-11-23T10:00:00Z")
    assert ward.act("unshelve")["state"] == "unacknowledged"
    alert = ward.act("assign", user_id=str(colleague.public_id), comment="Please.")
    assert alert["assigned_to"] == {"id": str(colleague.public_id), "name": colleague.name}
    assert alert["history"][-1]["subject"]["name"] == colleague.name
    admin = create_user(clinic=ward.clinic, role="admin")
    refused = ward.nurse.post(f"/alerts/{alert['id']}/assign", {"user_id": str(admin.public_id)})
    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "user_id")


def test_a_medium_alert_waits_for_the_end_of_quiet_hours_and_is_not_told_if_somebody_took_it(
    api: As, time: Time, postbox: Postbox, tick: Callable[[], None]
) -> None:
    ward = Ward(api)
    [contact] = [row for row in ward.admin.get("/contacts").json["items"] if row["name"] == "Nurse on call"]
    quiet = {"quiet_from": "08:00", "quiet_to": "12:00"}  # AT is nine o'clock in Berlin
    assert ward.admin.patch(f"/contacts/{contact['id']}", quiet).status_code == 200
    ward.event("medium")
    tick()
    assert postbox.sent == []
    [waiting] = ward.nurse.get("/messages").json["items"]
    assert (waiting["state"], waiting["due_at"]) == ("waiting", "2026-11-23T11:00:00Z")
    ward.act("acknowledge")
    time.pass_by(hours=5)
    tick()
    assert postbox.sent == []
    assert [message.state for message in read(select(Message))] == ["cancelled"]
