"""Booking and moving refill visits, as a nurse does it: from the worklist, by mouse, by keyboard; and the feed."""

import datetime as dt

import pytest
from icalendar import Calendar, Event
from playwright.sync_api import Locator, Page, expect

from sc_stim.extensions import db
from sc_stim.models import Absence, Appointment, ClinicClosure, ClinicResource, Device, User
from tests import builders
from tests.builders import AT
from tests.e2e.looking import every_screen, look, sign_in
from tests.web.scene import create_forecast, create_heartbeats

DAY = dt.timedelta(days=1)


@pytest.fixture
def nurse(app) -> User:  # type: ignore[no-untyped-def]
    return builders.create_user(role="nurse", name="Nadia Berger")


@pytest.fixture
def rooms(nurse: User) -> list[ClinicResource]:
    return [builders.create_resource(clinic=nurse.clinic, name=name) for name in ("Room 1", "Room 2")]


@pytest.fixture
def pump(nurse: User) -> Device:
    """To be refilled by 4 December."""
    return ready_pump(nurse, "Okafor", "Chidi")


def ready_pump(nurse: User, family_name: str, given_name: str, days: int = 11) -> Device:
    patient = builders.create_patient(clinic=nurse.clinic, family_name=family_name, given_name=given_name)
    pump = builders.create_pump(patient=patient)
    builders.create_setting(device=pump)
    builders.create_fill(pump=pump)
    create_forecast(pump=pump, days=days)
    return pump


def booked(pump: Device, room: ClinicResource, day: dt.date, time: str, **values: object) -> Appointment:
    local = dt.datetime.combine(day, dt.time.fromisoformat(time))
    starts_at = (local - dt.timedelta(hours=1)).replace(tzinfo=dt.UTC)  # Berlin in winter
    return builders.create_appointment(
        pump=pump, resource=room, day=day, time=local.time(), starts_at=starts_at,
        ends_at=starts_at + dt.timedelta(minutes=30), **values,
    )  # fmt: skip


def busy_clinic(nurse: User, rooms: list[ClinicResource], pump: Device) -> Appointment:
    """One of everything a calendar shows. The visit is the one of `pump`."""
    create_heartbeats()
    first, second = rooms
    monday = AT.date()
    for name, day, time, room in (
        ("Lindqvist", 0, "11:00", first), ("García Márquez-Hohenstein", 0, "13:00", first),
        ("Novák", 3, "09:30", second),
        ("Petrov", 1, "09:30", first), ("Yıldız", 3, "09:30", first),
    ):  # fmt: skip
        booked(ready_pump(nurse, name, "Ada", 30), room, monday + day * DAY, time)
    late = ready_pump(nurse, "Moreau", "Hélène", 2)
    booked(late, second, monday + 4 * DAY, "10:00")
    ready_pump(nurse, "Haddad", "Leila", -2)
    ready_pump(nurse, "Iversen", "Bo", 3)
    missed = ready_pump(nurse, "Tanaka", "Rei", 8)
    visit = booked(missed, first, monday - 3 * DAY, "10:00", state="missed")
    builders.create_alert(
        patient=missed.patient, device=missed, condition="visit_missed", since=visit.ends_at
    )
    second.absences.append(Absence(first_day=monday + 2 * DAY, last_day=monday + 2 * DAY, reason="painters"))
    db.session.add(
        ClinicClosure(clinic_id=nurse.clinic_id, day=monday + 1 * DAY + 7 * DAY, reason="staff training")
    )
    db.session.commit()
    return booked(pump, first, monday + 3 * DAY, "10:00")


def event_of(page: Page, address: str) -> Event:
    (event,) = Calendar.from_ical(page.request.get(address).text()).walk("VEVENT")
    return event


def make_feed(page: Page) -> str:
    page.goto("/calendar-feeds")
    page.get_by_role("button", name="Make the feed").click()
    return page.locator("#feed-address").inner_text()


def drag(page: Page, visit: Locator, target: Locator) -> None:
    """With the mouse, in steps; the visit is let go once the days that are not offered are dimmed."""
    target.scroll_into_view_if_needed()
    start, end = visit.bounding_box(), target.bounding_box()
    assert start and end
    page.mouse.move(start["x"] + start["width"] / 2, start["y"] + 5)
    page.mouse.down()
    page.mouse.move(end["x"] + end["width"] / 2, end["y"] + 8, steps=5)
    expect(page.locator(".not-offered").first).to_be_attached()
    page.mouse.up()


def test_a_visit_is_booked_moved_by_mouse_and_by_keyboard_and_the_feed_follows(
    page: Page, nurse: User, rooms: list[ClinicResource], pump: Device
) -> None:
    sign_in(page, nurse)
    address = make_feed(page)
    page.goto(f"/pumps/{pump.public_id}/book")
    expect(page.get_by_role("radio", name="Tue 1 Dec 2026 proposed")).to_be_checked()
    expect(
        page.get_by_text("after the refill-by date 4 December 2026: risk of running empty").first
    ).to_be_visible()
    page.get_by_label("Time on Thu 3 Dec 2026").select_option("10:00, Room 1")
    expect(page.get_by_role("radio", name="Thu 3 Dec 2026")).to_be_checked()
    page.get_by_role("button", name="Book", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Refill visit Thu 3 Dec 2026 10:00")
    event = event_of(page, address)
    uid = event["UID"]
    assert event.decoded("DTSTART").isoformat() == "2026-12-03T10:00:00+01:00"
    assert (str(event["SUMMARY"]), int(event["SEQUENCE"])) == ("Refill visit", 0)

    page.get_by_role("link", name="Calendar of this week").click()
    visit = page.locator("[data-visit]")
    drag(page, visit, page.locator("[data-day='2026-12-02'] .free", has_text="11:00"))
    expect(page.get_by_text("Moved to Wed 2 Dec 2026 11:00, Room 1.")).to_be_visible()
    event = event_of(page, address)
    assert (event["UID"], int(event["SEQUENCE"])) == (uid, 1)
    assert event.decoded("DTSTART").isoformat() == "2026-12-02T11:00:00+01:00"

    page.get_by_role("link", name="11:00 Okafor").focus()
    page.keyboard.press("Enter")
    page.get_by_role("radio", name="Wed 2 Dec 2026 now").focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio", name="Thu 3 Dec 2026")).to_be_checked()
    page.get_by_role("button", name="Save").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Refill visit Thu 3 Dec 2026 11:00")
    event = event_of(page, address)
    assert (event["UID"], int(event["SEQUENCE"])) == (uid, 2)


def test_a_later_day_is_dimmed_with_its_reason_and_a_drop_there_goes_back(
    page: Page, nurse: User, rooms: list[ClinicResource], pump: Device
) -> None:
    booked(pump, rooms[0], dt.date(2026, 12, 3), "10:00")
    sign_in(page, nurse)
    page.goto("/calendar?view=month&on=2026-12-03")
    late = page.locator("[data-day='2026-12-08']")

    drag(page, page.locator("[data-visit]"), late)

    status = page.locator("[data-drag-status]")
    expect(status).to_contain_text(
        "Not moved: after the refill-by date 4 December 2026: risk of running empty."
    )
    expect(page.locator("[data-day='2026-12-03'] [data-visit]")).to_be_visible()
    expect(page.locator(".not-offered")).to_have_count(0)
    drag(page, page.locator("[data-visit]"), page.locator("[data-day='2026-12-02']"))
    expect(page.get_by_text("Moved to Wed 2 Dec 2026 10:00, Room 1.")).to_be_visible()
    page.get_by_role("button", name="Undo: back to").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Refill visit Thu 3 Dec 2026 10:00")


def test_escape_puts_a_dragged_visit_back(
    page: Page, nurse: User, rooms: list[ClinicResource], pump: Device
) -> None:
    booked(pump, rooms[0], dt.date(2026, 12, 3), "10:00")
    sign_in(page, nurse)
    page.goto("/calendar?on=2026-12-03")
    box = page.locator("[data-visit]").bounding_box()
    assert box
    page.mouse.move(box["x"] + 60, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 90, steps=3)
    expect(page.locator(".dragged")).to_have_count(1)
    page.keyboard.press("Escape")
    page.mouse.up()

    expect(page.locator("[data-drag-status]")).to_have_text("Not moved.")
    assert page.locator("[data-visit]").bounding_box() == box


@every_screen
def test_the_calendar_on_every_screen(
    page: Page, nurse: User, rooms: list[ClinicResource], pump: Device, request: pytest.FixtureRequest
) -> None:
    visit = busy_clinic(nurse, rooms, pump)
    sign_in(page, nurse)
    for name, path in (
        ("calendar-week", "/calendar"),
        ("calendar-month", "/calendar?view=month&on=2026-11-23"),
        ("visit", f"/appointments/{visit.public_id}"),
        ("choose-pump", "/calendar-book?day=2026-11-25"),
    ):
        page.goto(path)
        look(page, request, name)
    page.goto("/calendar")
    page.get_by_role("link", name="overdue: Haddad").click()
    look(page, request, "book-visit")
    page.get_by_text("Take a day that is not safe").wait_for()
    make_feed(page)
    look(page, request, "calendar-feeds")
