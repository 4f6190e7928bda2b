"""An engineer's bench in a real browser: provision by UDI, ask, cut off; quarantine, and the tasks of a nurse."""

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from sc_stim.extensions import db
from sc_stim.models import BrokerLogin
from sc_stim.tasks import upkeep
from tests import builders
from tests.apps import Time
from tests.e2e.looking import every_screen, look, sign_in
from tests.web.scene import Scene

UDI = "(01)00643169007222(17)291231(10)L77(21)NGP123456H"


@every_screen
def test_a_device_is_provisioned_asked_and_cut_off(
    page: Page, scene: Scene, request: pytest.FixtureRequest, time: Time
) -> None:
    sign_in(page, scene.engineer, home="Devices")
    look(page, request, "devices")
    page.get_by_role("link", name="Register a device").click()
    look(page, request, "device-new")
    page.get_by_label("UDI", exact=True).fill(UDI)
    page.get_by_role("button", name="Read it").click()
    for read in ("00643169007222", "NGP123456H", "L77", "31 Dec 2029"):
        expect(page.locator("dl")).to_contain_text(read)
    page.get_by_label("Model").select_option("Prometra II 20 mL")
    look(page, request, "device-new-check")
    page.get_by_role("button", name="Register it").click()
    expect(page.get_by_role("status").first).to_contain_text("The device is registered.")
    device_page = page.url

    page.get_by_role("button", name="Issue a login").click()
    password = page.get_by_label("Password").input_value()
    assert len(password) > 40
    look(page, request, "credential")
    page.get_by_role("link", name="I have it: back to the device").click()
    assert password not in page.content()

    page.get_by_role("button", name="Set the clock").click()
    expect(page.locator("#commands li")).to_contain_text("Waiting to be sent")
    time.pass_by(minutes=3)
    upkeep.expire(db.session(), time.now())
    db.session.commit()
    page.get_by_role("link", name="Reload").click()
    expect(page.locator("#commands li")).to_contain_text("Not confirmed")
    expect(page.locator("#commands .good")).to_have_count(0)
    look(page, request, "device-commands")

    page.get_by_text("Cut it off").first.click()
    page.get_by_label("Nothing more is taken from this device").check()
    page.get_by_role("button", name="Cut it off").click()
    expect(page.locator("#login")).to_contain_text("Cut off")
    assert page.url.startswith(device_page)
    revoked = db.session.scalars(select(BrokerLogin.revoked_at)).all()
    db.session.commit()  # SQLite has one writer: the test must not be it
    assert revoked == [time.now()]


@every_screen
def test_quarantine_is_looked_through_and_tried_again(
    page: Page, scene: Scene, request: pytest.FixtureRequest
) -> None:
    pump = builders.create_pump(clinic=scene.clinic, model="Prometra II 20 mL", serial="NGP7")
    for detail in ("the payload is not JSON", "the payload ends too early"):
        builders.create_quarantine(device=pump, detail=detail)
    long = b'{"samples": [' + b'{"seq": 1, "at": "never", "reservoir_ml": -1}, ' * 40
    builders.create_quarantine(device=pump, reason="bad_field", field="samples.0.at", payload=long)
    sign_in(page, scene.engineer, home="Devices")
    page.get_by_role("link", name="Quarantine").click()
    look(page, request, "quarantine")

    page.get_by_role("button", name="Try all again: Not JSON").click()
    expect(page.locator("#progress")).to_contain_text("2 of 2 tried")
    expect(page.locator("#progress")).to_contain_text("2 still refused")
    look(page, request, "quarantine-progress")
    page.goto("/quarantine?reason=bad_field")
    page.locator("tbody a").first.click()
    expect(page.locator("pre")).to_contain_text('"reservoir_ml": -1')
    look(page, request, "quarantined")
    page.get_by_role("button", name="Try it again").click()
    expect(page.get_by_role("status")).to_contain_text("Still refused.")


@every_screen
def test_a_nurse_plans_a_scan_and_closes_the_check_after_it(
    page: Page, scene: Scene, request: pytest.FixtureRequest, time: Time
) -> None:
    stimulator = next(device for device in scene.patient.devices if device.kind == "stimulator")
    db.session.commit()
    sign_in(page, scene.nurse)
    page.goto(f"/devices/{stimulator.public_id}")
    look(page, request, "device")
    page.get_by_label("Time of the scan").fill("2026-11-24T10:30")
    page.get_by_role("button", name="Plan the scan").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Prepare an MRI scan")
    look(page, request, "task")

    builders.create_care_task(device=stimulator)
    page.get_by_role("link", name="Tasks", exact=True).click()
    look(page, request, "tasks")
    page.get_by_role("link", name="Check after an MRI scan").first.click()
    page.get_by_label("What the device showed").fill("Left MRI mode, all contacts fine.")
    page.get_by_role("button", name="Record it").click()
    expect(page.get_by_role("status")).to_contain_text("The task is closed.")
    expect(page.locator(".history li").last).to_contain_text("Closed")


@every_screen
def test_a_device_is_replaced_by_one_from_the_shelf(
    page: Page, scene: Scene, request: pytest.FixtureRequest
) -> None:
    pump = next(device for device in scene.patient.devices if device.kind == "pump")
    builders.put_on_shelf(builders.create_pump(clinic=scene.clinic, serial="SHELF-2"))
    builders.create_appointment(pump=pump)
    clinician = builders.create_user(clinic=scene.clinic, role="clinician")
    db.session.commit()
    sign_in(page, clinician)
    page.goto(f"/devices/{pump.public_id}")
    page.get_by_role("link", name="Replace it").click()
    page.get_by_label("New device").select_option(label="Example Medical Example Pump, SHELF-2")
    page.get_by_label("Day of the replacement").fill("2026-11-20")
    page.get_by_label("Reason").select_option("Battery at its end")
    page.get_by_label("Catheter").select_option("The catheter stays")
    look(page, request, "replacement")
    page.get_by_role("button", name="Replace it").click()
    expect(page.locator("#main")).to_contain_text("serial SHELF-2")
    expect(page.get_by_role("status").first).to_contain_text("is out.")
    look(page, request, "replaced")


@every_screen
def test_a_device_from_the_shelf_is_given_to_a_patient(
    page: Page, scene: Scene, request: pytest.FixtureRequest
) -> None:
    stimulator = builders.put_on_shelf(builders.create_stimulator(clinic=scene.clinic, serial="SHELF-1"))
    clinician = builders.create_user(clinic=scene.clinic, role="clinician")
    db.session.commit()
    sign_in(page, clinician)
    page.goto(f"/devices/{stimulator.public_id}")
    page.get_by_role("link", name="Say whose it is").click()
    page.get_by_label("Record number of the patient").fill(scene.patient.mrn)
    page.get_by_label("Day of implantation").fill("2026-09-01")
    page.get_by_label("Leads").fill("8 T8, 8 T9")
    look(page, request, "device-form")
    page.get_by_role("button", name="Keep the changes").click()
    expect(page.get_by_role("status").first).to_contain_text("The record of the device is changed.")
    expect(page.locator("#main")).to_contain_text(scene.patient.family_name)
