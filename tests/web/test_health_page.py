"""Whether the system itself is well, for everybody; details for those who look after it."""

import datetime as dt

import pytest

from sc_stim.extensions import db
from sc_stim.models import Heartbeat, Message, Outage, WorkItem
from sc_stim.workflows import messaging
from tests import builders
from tests.builders import AT
from tests.web.scene import create_heartbeats

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def well(app, monkeypatch):
    monkeypatch.setattr("sc_stim.web.system._ping_cache", lambda: True)
    create_heartbeats()


def row(page, start: str) -> str:
    return next(text for text in page.texts("tr") if text.startswith(start))


@pytest.mark.parametrize("role", ["clinician", "nurse", "engineer", "auditor", "admin"])
def test_everybody_sees_every_part_in_words(well, visit, role):
    page = visit(builders.create_user(role=role)).page("/system")

    assert "Every part does its work." in page.text
    parts = [text for text in page.texts("th") if text.startswith("The ")]
    assert parts == ["The database", "The cache", "The message broker", "The intake of messages",
                     "The judging of new data", "The scheduler", "The sending of messages"]  # fmt: skip
    assert "There was none." in page.text
    assert "Nothing is owed" in page.text


def test_a_part_that_stopped_says_since_when_and_what_to_do(well, visit):
    db.session.get_one(Heartbeat, "beat").at = AT - HOUR
    db.session.add(Outage(part="beat", open_part="beat", why="has stopped working", since=AT - HOUR))
    db.session.commit()

    page = visit(builders.create_user(role="nurse")).page("/system")

    assert "Not every part does its work." in page.text
    assert "not well has stopped working (60 min) today 08:00 Nothing is looked at by itself" in row(
        page, "The scheduler"
    )
    assert "60 min and still does" in page.within("main")


def test_outages_that_are_over_are_kept_for_a_month(well, visit):
    for days in (2, 40):
        since = AT - dt.timedelta(days=days)
        db.session.add(Outage(part="worker", why="has stopped working", since=since, over_at=since + HOUR))
    db.session.commit()
    visitor = visit(builders.create_user(role="engineer"))

    assert visitor.page("/system").text.count("60 min") == 1
    lines = visitor.file("/system/outages.csv").text.splitlines()
    assert lines[1].startswith("The judging of new data,has stopped working,2026-11-21T09:00:00+01:00,")
    assert len(lines) == 2


def test_jobs_say_when_they_ran_and_channels_whether_they_are_configured(well, visit):
    db.session.add(Heartbeat(name="job:find_silent", at=AT - dt.timedelta(minutes=3), detail={}))
    db.session.commit()

    page = visit(builders.create_user(role="engineer")).page("/system")

    assert "Finding silent devices ran 3 min ago" in page.text
    assert "E-mail not configured: nothing can be sent by it" in page.text


def test_messages_that_did_not_arrive_name_contacts_and_never_patients(well, visit):
    admin = builders.create_user(role="admin")
    contact = builders.create_contact(clinic=admin.clinic, name="Ward desk")
    patient = builders.create_patient(clinic=admin.clinic, family_name="Okafor")
    for number, about in enumerate(({"contact_id": contact.id}, {"patient_id": patient.id})):
        messaging.owe(
            db.session(), clinic_id=admin.clinic_id, effect_key=f"m{number}", channel="email", address="a@example.org",
            title="secret title", body="secret body", at=AT - HOUR, **about,
        )  # fmt: skip
    db.session.query(Message).update({"state": "failed", "problem": "not_configured", "ended_at": AT})
    db.session.commit()

    page = visit(admin).page("/system")

    assert "Ward desk" in page.text
    assert "this channel is not configured" in page.text
    assert not [
        word for word in ("Okafor", "secret", "a@example.org", "nobody of the contacts") if word in page.html
    ]
    nurse = builders.create_user(clinic=admin.clinic, role="nurse")
    assert "nobody of the contacts" in visit(nurse).page("/system").text
    assert len(visit(admin).file("/system/messages.csv").text.splitlines()) == 2
    assert visit(builders.create_user(role="engineer")).file("/system/messages.csv").status_code == 403


def test_work_that_fails_shows_the_class_of_the_error_alone(well, visit):
    times = {"since": AT, "asked_at": AT, "due_at": AT + HOUR}
    db.session.add(
        WorkItem(kind="refill", subject_id=7, attempts=3, last_error="ValueError: Okafor", **times)
    )
    db.session.add(WorkItem(kind="refill", subject_id=8, **times))
    db.session.commit()

    page = visit(builders.create_user(role="engineer")).page("/system")

    assert "1" in page.texts("strong")
    assert "ValueError" in page.text
    assert "Okafor" not in page.html
    assert "ValueError" not in visit(builders.create_user(role="nurse")).page("/system").within("main")
