"""A refill as a nurse does it: 20 mL pump, 6.0 mL expected, 3.1 mL drawn out, checked by a second person."""

import datetime as dt
import re

import pytest
from playwright.sync_api import Page, expect

from sc_stim.extensions import db
from sc_stim.models import Device, Fill, User
from tests import builders
from tests.builders import AT, PASSWORD
from tests.e2e.looking import every_screen, look, sign_in
from tests.web.scene import Scene

DAY = dt.timedelta(days=1)


@pytest.fixture
def pump(scene: Scene) -> Device:
    """Filled with 20 mL 28 days ago, running at 0.5 mL/day: 14.0 mL are programmed since then."""
    patient = builders.create_patient(clinic=scene.clinic, family_name="Brandt", given_name="Hanne")
    pump = builders.create_pump(patient=patient)
    builders.create_setting(device=pump, effective_at=AT - 28 * DAY, by=scene.nurse)
    builders.create_fill(pump=pump, at=AT - 28 * DAY, by=scene.nurse, drug_lot="M-2207")
    return pump


@pytest.fixture
def colleague(scene: Scene) -> User:
    return builders.create_user(
        clinic=scene.clinic, role="nurse", name="Emil Koch", email="emil@riverside.example"
    )


@every_screen
def test_a_refill_from_the_needle_to_the_booking(
    page: Page, scene: Scene, pump: Device, colleague: User, request: pytest.FixtureRequest
) -> None:
    sign_in(page, scene.nurse)
    page.goto(f"/patients/{pump.patient.public_id}")
    page.get_by_role("link", name="Refill", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Refill visit")
    expect(page.locator(".expected .huge")).to_have_text("6.0 mL")
    expect(page.locator("#reading")).to_have_text("Type what you drew out.")
    look(page, request, "visit-begun")

    page.get_by_label("The order is for this patient").check()
    page.get_by_label("Aspirated, mL").press_sequentially("3,1")
    expect(page.locator("#reading .big")).to_have_text("2.9 mL less than expected")
    expect(page.locator("#reading .said")).to_have_text(
        "16.9 mL delivered for 14.0 mL programmed: ratio 1.21 (+21 %)"
    )
    expect(page.locator("#reading .advice")).to_have_text("Measure again before you go on.")
    expect(page.locator("#bridge")).not_to_have_attribute("open", "")
    page.get_by_label("Flow shown, mL/day").fill("0,5")
    expect(page.locator("#programmed_flow_ml_per_day-lasts")).to_have_text("lasts 40 days")
    page.get_by_label("The pump is").select_option("Running")
    page.get_by_label("Lot").fill("M-2210")
    look(page, request, "visit-typed")

    page.get_by_role("button", name="Check").click()
    expect(page.locator("#reading .big")).to_have_text("2.9 mL less than expected")
    expect(page.locator("#reading")).to_contain_text("Possible over-infusion")
    expect(page.get_by_label("Aspirated, mL")).to_have_value("3,1")
    look(page, request, "visit-checked")

    page.get_by_role("button", name="Put the visit on record").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Refill on record")
    expect(page.locator("#to-do")).to_contain_text("Possible over-infusion")
    expect(page.locator("#next .huge")).to_have_text("Mon 21 Dec 2026")
    expect(page.locator("#next")).to_contain_text("3 days earlier because of what was drawn out")
    look(page, request, "visit-recorded")

    _confirm(page, scene.nurse.email)
    expect(page.get_by_role("alert")).to_contain_text(
        "confirmed by somebody else than the person who recorded it"
    )
    look(page, request, "visit-same-person")
    _confirm(page, colleague.email)
    expect(page.get_by_role("status").first).to_have_text("Confirmed by the second person.")
    expect(page.locator("#record")).to_contain_text("Emil Koch")
    expect(page.locator(".who")).to_contain_text("Nadia Berger")  # whose session it still is
    look(page, request, "visit-confirmed")

    page.get_by_role("link", name="All fills of this pump").click()
    expect(page.locator("tbody tr").first).to_contain_text("1.21 (+21 %)")
    look(page, request, "fills")
    with page.expect_download() as download:
        page.get_by_role("link", name="PDF").click()
    assert download.value.suggested_filename == "fills-2026-11-23.pdf"

    fill = db.session.query(Fill).order_by(Fill.id.desc()).first()
    assert fill is not None
    assert (fill.performed_by_id, fill.confirmed_by_id) == (scene.nurse.id, colleague.id)
    assert (fill.aspirated_ml, fill.drug_lot, fill.checklist and list(fill.checklist)) == (
        3.1,
        "M-2210",
        ["order"],
    )


def test_a_clinician_sees_how_long_a_rate_lasts_and_a_change_of_concentration_opens_the_bridge(
    page: Page, scene: Scene, pump: Device
) -> None:
    clinician = builders.create_user(clinic=scene.clinic, role="clinician")
    sign_in(page, clinician)
    page.goto(f"/pumps/{pump.public_id}/visit")
    expect(page.locator("#flow_ml_per_day-lasts")).to_have_text("lasts 40 days")
    page.get_by_label("Flow, mL/day").fill("12")
    expect(page.locator("#flow_ml_per_day-lasts")).to_have_text("lasts 1.7 days")

    page.get_by_label("Concentration, mg/mL").fill("20")
    expect(page.get_by_label("Dead space of the tubing, mL")).to_be_visible()
    page.get_by_label("Time of the visit").fill("2026-11-23T08:00")
    expect(page.locator("#reading")).to_have_text("The time of the visit was changed: press Check.")


def test_two_presses_are_one_fill(page: Page, scene: Scene, pump: Device) -> None:
    sign_in(page, scene.nurse)
    page.goto(f"/pumps/{pump.public_id}/visit")
    page.get_by_label("Aspirated, mL").fill("6")
    page.get_by_role("button", name="Put the visit on record").dblclick()
    expect(page.get_by_role("heading", level=1)).to_have_text("Refill on record")
    page.go_back()
    page.get_by_label("Aspirated, mL").fill("6")
    page.get_by_role("button", name="Put the visit on record").click()
    expect(page.get_by_role("alert")).to_contain_text("A fill of this moment is on record already")

    assert db.session.query(Fill).filter_by(device_id=pump.id).count() == 2


def _confirm(page: Page, email: str) -> None:
    page.get_by_label("Your e-mail address").fill(email)
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_label("Volume on the syringe, mL").fill("20")
    page.get_by_label("Drug on the label").fill("Morphine")
    page.get_by_label("Its concentration, mg/mL").fill("10")
    page.get_by_role("button", name=re.compile("I confirm")).click()
