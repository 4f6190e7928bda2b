"""An administrator's round, and the auditor's morning, in a real browser."""

import csv
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import update

from sc_stim.extensions import db
from sc_stim.models import AuditEntry, Message
from tests import builders
from tests.builders import AT
from tests.e2e.looking import every_screen, look, sign_in
from tests.web.scene import Scene

PASSWORD = "seven quiet lanterns"


@every_screen
def test_an_administrators_round(page: Page, scene: Scene, request: pytest.FixtureRequest) -> None:
    admin = builders.create_user(
        clinic=scene.clinic, role="admin", name="Anton Weber", email="admin@riverside.example"
    )
    pump = next(device for device in scene.patient.devices if device.kind == "pump")
    builders.create_appointment(
        pump=pump, by=scene.nurse, resource=builders.create_resource(clinic=scene.clinic, name="Room 2")
    )
    db.session.commit()
    sign_in(page, admin, home="Clinic")

    page.get_by_label("First day").fill("2026-12-02")
    page.get_by_label("Last day").fill("2026-12-04")
    page.get_by_label("Reason").fill("Moving house")
    page.get_by_role("button", name="Close these days").click()
    expect(page.get_by_role("status")).to_contain_text(
        "3 days are closed. 1 booked visit falls on this closure"
    )
    look(page, request, "clinic")
    page.get_by_role("button", name="Open again: Moving house").click()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("status")).to_contain_text("3 days are closed.")

    page.get_by_role("link", name="Opening hours, nurses and rooms").click()
    look(page, request, "hours")
    page.get_by_role("link", name="Room 2").click()
    page.get_by_label("First day").fill("2026-12-03")
    page.get_by_label("Reason").fill("painting")
    page.get_by_role("button", name="Add days away").click()
    expect(page.get_by_role("status")).to_contain_text("1 booked visit falls into this time")
    look(page, request, "resource")

    page.get_by_role("link", name="Users", exact=True).click()
    page.get_by_label("Name", exact=True).fill("Kim Example")
    page.get_by_label("E-mail address").fill("kim@riverside.example")
    page.get_by_label("Role").select_option("nurse")
    page.get_by_label("First password").fill("aaaaaaaaaaaaaaaa")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Password is easily guessed")
    look(page, request, "users-refused")
    page.get_by_label("First password").fill(PASSWORD)
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Kim Example")
    look(page, request, "user")
    page.get_by_role("button", name="Close the account").click()
    expect(page.get_by_role("status")).to_contain_text("can no longer sign in")
    page.get_by_role("button", name="Open the account again").click()
    expect(page.get_by_role("status")).to_contain_text("can sign in again")


@every_screen
def test_whom_alerts_call_is_arranged_and_tested(
    page: Page, scene: Scene, request: pytest.FixtureRequest
) -> None:
    admin = builders.create_user(
        clinic=scene.clinic, role="admin", name="Anton Weber", email="admin@riverside.example"
    )
    sign_in(page, admin, home="Clinic")
    page.get_by_role("link", name="Escalation", exact=True).click()
    expect(page.locator("#main")).to_contain_text("alerts can tell nobody")

    page.get_by_label("Name").fill("Ward desk")
    page.get_by_label("Told by").select_option("webhook")
    page.get_by_label("Address").fill("https://alerts.example.org/ward")
    page.get_by_label("Quiet from").fill("22:00")
    page.get_by_label("Quiet to").fill("06:00")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("button", name="Send a test message").click()
    expect(page.locator("#tests")).to_contain_text("Waits to be sent")
    db.session.execute(update(Message).values(state="sent", ended_at=AT))
    db.session.commit()
    expect(page.locator("#tests")).to_contain_text("Sent", timeout=8_000)  # the page looks again by itself
    look(page, request, "contact")

    page.locator("#main").get_by_role("link", name="Escalation").click()
    page.get_by_label("Who", exact=True).select_option(label="Ward desk")
    page.get_by_label("Weekday").select_option("0")
    page.locator("#from_time").fill("08:00")
    page.locator("#to_time").fill("16:00")
    page.get_by_role("button", name="Put on call").click()
    expect(page.locator(".lead")).to_contain_text("Ward desk")
    page.get_by_label("Ward desk").first.check()
    page.get_by_role("button", name="Save the ladder").click()
    expect(page.get_by_role("status")).to_contain_text("It holds at once")
    look(page, request, "escalation")

    page.get_by_role("link", name="Figures and sources").click()
    page.get_by_label("Words to look for").fill("baclofen")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#main")).to_contain_text("ug/mL")
    look(page, request, "reference")
    page.get_by_role("link", name="System health").click()
    look(page, request, "system")


@every_screen
def test_the_auditor_takes_a_month_away_and_finds_the_altered_row(
    page: Page, scene: Scene, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    auditor = builders.create_user(
        clinic=scene.clinic, role="auditor", name="Olga Brandt", email="auditor@riverside.example"
    )
    sign_in(page, scene.nurse)
    page.goto(f"/patients/{scene.patient.public_id}")
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, auditor, home="Audit trail")

    page.get_by_role("button", name="Check the chain now").click()
    expect(page.get_by_role("status")).to_contain_text("The chain holds")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the month as CSV").click()
    download.value.save_as(tmp_path / "month.csv")
    with (tmp_path / "month.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    seen = [row for row in rows if row["action"] == "patient.view"]
    assert [(row["actor_name"], row["subject"]) for row in seen] == [
        ("Nadia Berger", str(scene.patient.public_id))
    ]

    page.get_by_label("Record number, serial or id").fill(scene.patient.mrn)
    page.get_by_role("button", name="Search").click()
    expect(page.locator("tbody")).to_contain_text("patient.view")
    look(page, request, "audit")

    number = int(seen[0]["number"])
    db.session.execute(update(AuditEntry).where(AuditEntry.number == number).values(subject="somebody else"))
    db.session.commit()
    page.get_by_role("button", name="Check the chain now").click()
    expect(page.get_by_role("status")).to_contain_text(
        f"The chain does not hold: entry {number} was altered."
    )
    look(page, request, "audit-broken")
