"""The nurse's Monday in a real browser: everything on one screen, live, by keyboard alone."""

import datetime as dt

import pytest
from flask import Flask
from playwright.sync_api import Page, expect
from sqlalchemy import select

from sc_stim import clock
from sc_stim.extensions import db
from sc_stim.models import Device, Forecast, Heartbeat, Patient
from sc_stim.web import live
from tests import builders
from tests.e2e.looking import every_screen, look, sign_in
from tests.web.scene import Scene

ROWS = "#refills tbody tr"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LOOK_EVERY_S", 0.1)


def forecast_of(family_name: str) -> Forecast:
    pumps = select(Device.id).join(Patient, Patient.id == Device.patient_id)
    of = pumps.where(Patient.family_name == family_name)
    return db.session.scalars(select(Forecast).where(Forecast.device_id.in_(of))).one()


@every_screen
def test_the_worklist_and_its_filters_look_right(
    page: Page, scene: Scene, request: pytest.FixtureRequest
) -> None:
    sign_in(page, scene.nurse)
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    look(page, request, "worklist-nurse")
    page.get_by_text("Filter, order, keep views").click()
    page.get_by_label("Keep this view as").fill("My Monday")
    page.get_by_role("button", name="Keep", exact=True).click()
    expect(page.get_by_role("status").first).to_have_text("The view “My Monday” is kept.")
    page.goto("/worklist?risk=high")
    look(page, request, "worklist-filtered")
    expect(page.locator(ROWS)).to_have_count(2)


@every_screen
def test_the_clinicians_worklist_looks_right(
    page: Page, scene: Scene, request: pytest.FixtureRequest
) -> None:
    sign_in(page, builders.create_user(clinic=scene.clinic, role="clinician"))
    expect(page.locator("main section").first).to_have_id("alerts")
    look(page, request, "worklist-clinician")


@every_screen
def test_a_patient_is_entered_in_the_browser(
    page: Page, scene: Scene, request: pytest.FixtureRequest
) -> None:
    sign_in(page, scene.nurse)
    page.goto("/patients")
    look(page, request, "patients")
    page.get_by_role("link", name="Add a patient").click()
    page.get_by_label("Family name").fill("Alder")
    page.get_by_label("Given name").fill("Ann")
    page.get_by_label("Record number").fill("R-100")
    page.get_by_label("Smoking").check()
    look(page, request, "patient-form")
    page.get_by_role("button", name="Add the patient").click()
    page.get_by_label("Treatment", exact=True).select_option("stimulator_trial")
    page.get_by_label("Began on").fill("2025-03-01")
    page.get_by_label("Relief").fill("62.5")
    page.get_by_role("button", name="Keep the treatment").click()
    expect(page.get_by_text("62.5 % relief")).to_be_visible()
    look(page, request, "pathway")


def test_monday_by_keyboard_and_without_a_second_page(page: Page, scene: Scene) -> None:
    """Story 1. The baclofen pump due in 3 days stands above the morphine pump due in 2."""
    sign_in(page, scene.nurse)
    names = page.locator(f"{ROWS} [data-act=o]")
    texts = names.all_inner_texts()
    assert texts.index("Okafor, Chidi") < texts.index("Lindqvist, Astrid")
    first = page.locator(ROWS).first
    for fact in (
        "in 3 days",
        "Baclofen 2 mg/mL",
        "3.4 mL left",
        "+49 30 5550100",
        "because of",
        "none booked",
    ):
        expect(first).to_contain_text(fact)

    page.keyboard.press("j")
    expect(names.nth(0)).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("j")
    expect(names.nth(1)).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_label("Name, record or serial number")).to_be_focused()
    page.keyboard.type("lindq")
    page.keyboard.press("Enter")
    expect(names).to_have_text(["Lindqvist, Astrid"])
    page.keyboard.press("j")
    page.keyboard.press("o")
    expect(page.get_by_role("heading", level=1)).to_have_text("Lindqvist, Astrid")


@pytest.mark.parametrize(("key", "endpoint"), [("b", "web.book_visit"), ("r", "web.refill_visit")])
def test_a_key_books_or_refills_the_row(
    page: Page, scene: Scene, app: Flask, key: str, endpoint: str
) -> None:
    sign_in(page, scene.nurse)
    pump_id = db.session.get_one(Device, forecast_of("Okafor").device_id).public_id
    db.session.commit()  # SQLite has one writer: the test must not be it
    page.keyboard.press("j")
    page.keyboard.press(key)
    page.wait_for_url(f"**{app.url_map.bind('').build(endpoint, {'public_id': pump_id})}*")
    assert page.get_by_role("heading", level=1).is_visible()


def test_news_and_a_system_that_is_not_well_come_without_a_reload(page: Page, scene: Scene) -> None:
    for heartbeat in db.session.scalars(select(Heartbeat)):
        heartbeat.at = clock.now()
    db.session.commit()
    sign_in(page, scene.nurse)
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    expect(page.locator(ROWS).first).to_contain_text("Okafor")
    page.evaluate("window.sameDocument = true")
    page.keyboard.press("j")

    forecast = forecast_of("Lindqvist")
    forecast.danger, forecast.computed_at = 500.0, clock.now() + dt.timedelta(seconds=1)
    db.session.commit()
    expect(page.locator(ROWS).first).to_contain_text("Lindqvist")
    expect(page.locator("#system .banner")).to_have_count(0)
    expect(page.get_by_role("link", name="Okafor, Chidi").first).to_be_focused()

    db.session.scalars(select(Heartbeat).where(Heartbeat.name == "worker")).one().at -= dt.timedelta(hours=1)
    db.session.commit()
    expect(page.get_by_role("alert")).to_contain_text("The judging of new data")
    expect(page.get_by_text("The system itself is not well")).to_be_visible()
    assert page.evaluate("window.sameDocument") is True
