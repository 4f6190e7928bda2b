"""Calendar feeds: secret addresses, and what programs that read them find, parsed by an independent library."""

import dataclasses
import datetime as dt
from collections import Counter
from urllib.parse import urlsplit

import pytest
from flask import Flask
from icalendar import Calendar, Event
from sqlalchemy import select

from sc_stim.extensions import db
from sc_stim.models import AuditEntry, CalendarFeed, Device, Forecast
from tests.apps import As, Caller, Time, both_databases, read
from tests.builders import (
    AT,
    create_appointment,
    create_calendar_feed,
    create_clinic,
    create_patient,
    create_pump,
    create_resource,
    create_user,
)

DAY = dt.timedelta(days=1)
ADDRESS = "/calendar/secret.ics"


def events(body: bytes) -> list[Event]:
    return list(Calendar.from_ical(body).events)


def create_forecast(pump: Device, refill_by: dt.date) -> None:
    forecast = Forecast(
        device_id=pump.id, clinic_id=pump.clinic_id, computed_at=AT, model_version="test", refill_by=refill_by,
        binding_clock="low_reservoir", danger=0.0, risk="low", result={},
    )  # fmt: skip
    db.session.add(forecast)
    db.session.commit()


@both_databases
def test_an_address_is_shown_once_answers_until_revoked_and_is_kept_as_a_digest(app: Flask, api: As) -> None:
    clinic = create_clinic()
    caller = api(create_user(clinic=clinic, role="nurse"))
    made = caller.post("/calendar-feeds", {}).json
    address = urlsplit(made["address"])
    assert address.scheme == "http"
    assert len(address.path.removeprefix("/calendar/").removesuffix(".ics")) >= 43  # 256 bits
    assert api(None).get(address.path).status_code == 200
    (listed,) = caller.get("/calendar-feeds").json["items"]
    assert listed == {**{name: made[name] for name in listed}, "last_read_at": "2026-11-23T08:00:00Z"}
    (row,) = read(select(CalendarFeed))
    assert address.path.encode() not in row.token_sha256
    assert caller.delete(f"/calendar-feeds/{made['id']}").status_code == 204
    assert caller.delete(f"/calendar-feeds/{made['id']}").status_code == 409
    gone, unknown = api(None).get(address.path), api(None).get("/calendar/never-was.ics")
    assert (gone.status_code, gone.data, gone.mimetype) == (404, unknown.data, "application/problem+json")


def test_the_address_begins_with_where_the_pages_stand(
    app: Flask, api: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = dataclasses.replace(app.config["SETTINGS"], public_url="https://clinic.example/pumps/")
    monkeypatch.setitem(app.config, "SETTINGS", settings)
    made = api(create_user(role="nurse")).post("/calendar-feeds", {}).json
    assert made["address"].startswith("https://clinic.example/pumps/calendar/")


def test_reading_is_on_the_audit_trail_once_a_day(app: Flask, api: As, time: Time) -> None:
    feed = create_calendar_feed(by=create_user(role="nurse"))
    for _ in range(3):
        api(None).get(ADDRESS)
    time.pass_by(days=1)
    api(None).get(ADDRESS)
    entries = read(select(AuditEntry))
    assert Counter(entry.action for entry in entries) == {"calendar.read": 2}
    assert {entry.subject for entry in entries} == {str(feed.public_id)}


def test_a_calendar_says_what_rfc_5545_and_7986_want(app: Flask, api: As) -> None:
    nurse = create_user(role="nurse")
    patient = create_patient(clinic=nurse.clinic, family_name="Unmistakable", phone="+49 30 5550199")
    room = create_resource(clinic=nurse.clinic, name="Room 2")
    visit = create_appointment(
        pump=create_pump(patient=patient), resource=room, note="secret note", sequence=3
    )
    create_calendar_feed(by=nurse)
    answer = api(None).get(ADDRESS)
    assert answer.content_type == "text/calendar; charset=utf-8"
    assert "private" in answer.headers["Cache-Control"]
    head, _, rest = answer.text.partition("BEGIN:VTIMEZONE\r\nTZID:Europe/Berlin\r\n")
    assert head.split("\r\n")[:-1] == [
        "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//sc_stim//calendar feed//EN", f"NAME:{nurse.clinic.name}",
        f"X-WR-CALNAME:{nurse.clinic.name}", "REFRESH-INTERVAL;VALUE=DURATION:PT6H",
    ]  # fmt: skip
    event = rest.partition("BEGIN:VEVENT\r\n")[2].partition("END:VEVENT")[0].split("\r\n")[:-1]
    assert sorted(event) == sorted([
        f"UID:{visit.public_id}@sc-stim", "SUMMARY:Refill visit", "CLASS:PRIVATE", "STATUS:CONFIRMED", "SEQUENCE:3",
        "DTSTART;TZID=Europe/Berlin:20261203T100000", "DURATION:PT30M", "DTSTAMP:20261123T080000Z",
        "CREATED:20261123T080000Z", "LAST-MODIFIED:20261123T080000Z", "LOCATION:Room 2",
    ])  # fmt: skip
    for told in ("Unmistakable", "Ada", "5550199", "secret note", patient.mrn):
        assert told not in answer.text


@pytest.mark.parametrize(
    ("day", "instant"),
    [("2027-03-26", "2027-03-26T09:00:00+00:00"), ("2027-03-29", "2027-03-29T08:00:00+00:00")],
)
def test_ten_o_clock_stays_ten_o_clock_across_a_clock_change(
    app: Flask, api: As, day: str, instant: str
) -> None:
    nurse = create_user(role="nurse")
    starts_at = dt.datetime.fromisoformat(instant)
    create_appointment(
        pump=create_pump(clinic=nurse.clinic), day=dt.date.fromisoformat(day), starts_at=starts_at,
        ends_at=starts_at + dt.timedelta(minutes=30),
    )  # fmt: skip
    create_calendar_feed(by=nurse)
    (event,) = events(api(None).get(ADDRESS).data)
    assert event.DTSTART.isoformat()[:16] == f"{day}T10:00"
    assert event.DTSTART.astimezone(dt.UTC) == starts_at
    assert event.end - event.start == dt.timedelta(minutes=30)


def test_the_second_time_of_a_repeated_hour_is_told_in_utc(app: Flask, api: As) -> None:
    nurse = create_user(role="nurse")
    starts_at = dt.datetime(2027, 10, 31, 1, 30, tzinfo=dt.UTC)  # 2:30 in Berlin for the second time
    create_appointment(
        pump=create_pump(clinic=nurse.clinic), day=starts_at.date(), time=dt.time(2, 30), fold=1,
        starts_at=starts_at, ends_at=starts_at + dt.timedelta(minutes=30),
    )  # fmt: skip
    create_calendar_feed(by=nurse)
    assert b"DTSTART:20271031T013000Z" in api(None).get(ADDRESS).data


def test_pumps_without_a_visit_in_time_are_due_whole_days(app: Flask, api: As) -> None:
    nurse = create_user(role="nurse")
    due, booked, late, far = (create_pump(clinic=nurse.clinic) for _ in range(4))
    for pump, refill_by in ((due, 4), (booked, 3), (late, 2)):
        create_forecast(pump, dt.date(2026, 12, refill_by))
    create_forecast(far, dt.date(2027, 6, 1))
    create_appointment(pump=booked)
    create_appointment(pump=late)
    create_calendar_feed(by=nurse)
    body = api(None).get(ADDRESS).data
    whole_days = {str(event["UID"]): event for event in events(body) if "SEQUENCE" not in event}
    assert set(whole_days) == {
        f"due-{due.public_id}-20261204@sc-stim",
        f"due-{late.public_id}-20261202@sc-stim",
    }
    event = whole_days[f"due-{due.public_id}-20261204@sc-stim"]
    assert (event.DTSTART, event["DTEND"].dt) == (dt.date(2026, 12, 1), dt.date(2026, 12, 5))
    assert event["DTSTART"].params["VALUE"] == "DATE"
    assert (event["TRANSP"], event["CLASS"], event["SUMMARY"]) == (
        "TRANSPARENT", "PRIVATE", "Refill due, no visit booked",
    )  # fmt: skip


def test_a_visit_called_off_is_shown_as_such_for_thirty_days(app: Flask, api: As, time: Time) -> None:
    nurse = create_user(role="nurse")
    create_appointment(pump=create_pump(clinic=nurse.clinic), state="cancelled", sequence=1)
    create_calendar_feed(by=nurse)
    time.pass_by(days=29, hours=23)
    assert [event["STATUS"] for event in events(api(None).get(ADDRESS).data)] == ["CANCELLED"]
    time.pass_by(hours=2)
    assert events(api(None).get(ADDRESS).data) == []


def test_a_program_that_has_the_newest_is_told_so_until_something_changes(
    app: Flask, api: As, time: Time
) -> None:
    nurse = create_user(role="nurse")
    visit = create_appointment(pump=create_pump(clinic=nurse.clinic))
    create_calendar_feed(by=nurse)
    tag = api(None).get(ADDRESS).headers["ETag"]
    visit.changed_at += DAY
    db.session.commit()
    unchanged = api(None).get(ADDRESS, headers={"If-None-Match": tag})
    assert (unchanged.status_code, unchanged.headers["ETag"]) == (304, tag)
    visit.sequence += 1
    db.session.commit()
    assert api(None).get(ADDRESS, headers={"If-None-Match": tag}).status_code == 200


@both_databases
def test_a_feed_of_a_nurse_has_her_visits_and_names_only_where_it_was_made_so(app: Flask, api: As) -> None:
    nurse = create_user(role="nurse")
    hers, others = (
        create_resource(clinic=nurse.clinic, kind="nurse", name=name) for name in ("Kim", "Robin")
    )
    named = create_patient(clinic=nurse.clinic, family_name="Unmistakable")
    mine = create_appointment(pump=create_pump(patient=named), resource=hers)
    create_appointment(pump=create_pump(clinic=nurse.clinic), resource=others)
    create_forecast(create_pump(clinic=nurse.clinic), dt.date(2026, 12, 4))
    create_calendar_feed(by=nurse, resource_id=hers.id)
    create_calendar_feed(by=nurse, resource_id=hers.id, shows_names=True, token="named")
    (event,) = events(api(None).get(ADDRESS).data)
    assert (event["UID"], event["SUMMARY"]) == (f"{mine.public_id}@sc-stim", "Refill visit")
    (event,) = events(api(None).get("/calendar/named.ics").data)
    assert event["SUMMARY"] == "Refill visit: Unmistakable, Ada"


@both_databases
def test_another_clinics_visits_are_in_no_feed_of_ours(app: Flask, api: As) -> None:
    create_appointment(pump=create_pump(clinic=create_clinic()))
    create_forecast(create_pump(clinic=create_clinic()), dt.date(2026, 12, 4))
    create_calendar_feed(by=create_user(role="nurse"))
    assert events(api(None).get(ADDRESS).data) == []


def test_a_feed_ends_with_the_account_or_the_rights_of_its_maker(app: Flask, api: As) -> None:
    nurse = create_user(role="nurse")
    create_calendar_feed(by=nurse)
    assert api(None).get(ADDRESS).status_code == 200
    nurse.role = "engineer"
    db.session.commit()
    assert api(None).get(ADDRESS).status_code == 404
    nurse.role, nurse.active = "nurse", False
    db.session.commit()
    assert api(None).get(ADDRESS).status_code == 404


def test_guessing_addresses_is_throttled_and_reading_is_not(app: Flask, api: As) -> None:
    create_calendar_feed(by=create_user(role="nurse"))
    guesser, reader = Caller(app, None, "192.0.2.200"), Caller(app, None, "192.0.2.201")
    answers = [guesser.get(f"/calendar/guess-{number}.ics").status_code for number in range(101)]
    assert Counter(answers) == {404: 100, 429: 1}
    assert guesser.get(ADDRESS).status_code == 429
    assert {reader.get(ADDRESS).status_code for _ in range(101)} == {200}


def test_the_feed_of_a_nurse_who_left_answers_no_more(app: Flask, api: As) -> None:
    clinic = create_clinic()
    nurse = create_user(clinic=clinic, role="nurse")
    create_calendar_feed(
        by=create_user(clinic=clinic), resource=create_resource(clinic=clinic, kind="nurse", user=nurse)
    )
    assert api(None).get("/calendar/secret.ics").status_code == 200
    nurse.active = False
    db.session.commit()
    assert api(None).get("/calendar/secret.ics").status_code == 404
