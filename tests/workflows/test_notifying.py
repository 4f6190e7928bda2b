"""Alerts that nobody took become messages: once each, to whom the clinic arranged, and the history says so."""

import datetime as dt

from flask import Flask
from sqlalchemy import select

from sc_stim.extensions import db
from sc_stim.models import Alert, AlertEntry, Clinic, Message
from sc_stim.tasks.delivery import deliver
from sc_stim.workflows import alerts
from sc_stim.workflows.notifying import notify
from sc_stim.workflows.transport import NotDelivered
from tests.apps import both_databases, read
from tests.builders import AT, create_clinic, create_contact, create_pump, create_shift

pytestmark = both_databases
MINUTE = dt.timedelta(minutes=1)


def condition(clinic: Clinic, severity: str = "high", cause: str = "a") -> alerts.Condition:
    pump = create_pump(clinic=clinic)
    return alerts.Condition(
        clinic_id=clinic.id, patient_id=pump.patient_id, device_id=pump.id, name="motor_stall", severity=severity,
        since=AT, effect_key=f"{pump.id}:{cause}", model_version="test",
    )  # fmt: skip


def call(at: dt.datetime) -> int:
    found = notify(db.session(), at, public_url="https://scs.example.org/")
    db.session.commit()
    return found


def history(alert: Alert) -> list[tuple[str, str | None]]:
    statement = select(AlertEntry).where(AlertEntry.alert_id == alert.id).order_by(AlertEntry.id)
    return [(entry.event, entry.comment) for entry in read(statement)]


def raised(found: alerts.Condition) -> Alert:
    alert = alerts.raise_alert(db.session(), found, at=AT)
    assert alert is not None
    db.session.commit()
    return alert


def test_the_shipped_ladder_tells_who_is_on_call_then_everybody(app: Flask) -> None:
    clinic = create_clinic()
    first, second = create_contact(clinic=clinic, name="First"), create_contact(clinic=clinic, name="Second")
    create_shift(contact=first)
    create_contact(clinic=clinic, name="Retired", active=False)
    create_contact(name="Of another clinic")
    alert = raised(condition(clinic))
    assert (call(AT), call(AT), call(AT + 15 * MINUTE)) == (1, 0, 1)
    assert [row.contact_id for row in read(select(Message).order_by(Message.id))] == [
        first.id,
        first.id,
        second.id,
    ]
    assert history(alert) == [
        ("raise", None), ("call", "Told: First."), ("escalate", "Told: First, Second."),
    ]  # fmt: skip
    [body, *_] = [row.body for row in read(select(Message).order_by(Message.id))]
    assert f"https://scs.example.org/alerts/{alert.public_id}" in body


def test_a_clinic_without_contacts_leaves_it_on_record_that_nobody_was_told(app: Flask) -> None:
    alert = raised(condition(create_clinic()))
    assert call(AT) == 1
    assert history(alert)[-1] == ("call", "Nobody was told: the clinic has no contacts.")
    assert read(select(Message)) == []


def test_a_finding_from_late_data_and_a_low_alert_tell_nobody(app: Flask) -> None:
    clinic = create_clinic()
    create_contact(clinic=clinic)
    alerts.record_finding(db.session(), condition(clinic), at=AT)
    low = raised(condition(clinic, severity="low"))
    call(AT + 24 * 60 * MINUTE)
    assert read(select(Message)) == []
    assert [event for event, _ in history(low)] == ["raise"]


def test_an_alert_that_is_over_before_its_time_calls_nobody_else(app: Flask) -> None:
    clinic = create_clinic()
    create_contact(clinic=clinic)
    found = condition(clinic)
    raised(found)
    call(AT)
    alerts.return_to_normal(db.session(), found.open_key, at=AT + MINUTE)
    db.session.commit()
    assert call(AT + 60 * MINUTE) == 0
    alerts.raise_alert(db.session(), found, at=AT + 61 * MINUTE)
    db.session.commit()
    assert call(AT + 61 * MINUTE) == 1
    assert len(read(select(Message))) == 2


def test_a_message_that_does_not_arrive_stands_in_the_history_of_its_alert(app: Flask) -> None:
    def refuse(channel: str, address: str, title: str, body: str) -> None:
        raise NotDelivered("not_configured", final=True)

    clinic = create_clinic()
    create_contact(clinic=clinic)
    alert = raised(condition(clinic))
    call(AT)
    deliver(db.session(), refuse, until=AT + MINUTE)
    assert history(alert)[-1] == ("message_failed", "By email: not configured.")
