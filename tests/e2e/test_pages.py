"""The pages as a ward PC and a telephone show them, by day and by night."""

import pytest
from playwright.sync_api import Page, expect

from tests import builders
from tests.e2e.looking import OVERFLOW, every_screen, look, sign_in
from tests.web.scene import Scene


@every_screen
def test_a_morning_on_the_ward(page: Page, scene: Scene, request: pytest.FixtureRequest) -> None:
    page.goto("/")
    look(page, request, "sign-in")
    page.get_by_label("E-mail address").fill(scene.nurse.email)
    page.get_by_label("Password").fill(builders.PASSWORD)
    page.get_by_role("button", name="Sign in").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Worklist")
    expect(page.locator("#refills tbody tr").first).to_contain_text("Okafor")
    look(page, request, "worklist")

    page.get_by_role("link", name="Pain has risen").click()
    look(page, request, "alert")
    page.get_by_label("Comment (if you like)").first.fill("Calling her.")
    page.get_by_role("button", name="I take it").click()
    expect(page.get_by_role("status")).to_have_text("You have taken this alert.")
    expect(page.locator(".history li").last).to_contain_text("Calling her.")

    page.get_by_role("link", name="Example, Ada").click()
    look(page, request, "patient")
    expect(page.locator("[data-timeline-readout]")).to_contain_text("Drag to move")
    page.get_by_role("button", name="1 year").click()
    look(page, request, "patient-year")
    page.get_by_text("Plain charts, with tables").click()
    expect(page.get_by_role("img", name="Reservoir")).to_be_visible()
    page.get_by_text("Pain as a table").click()
    expect(page.locator("figure.pain").get_by_text("no data").first).to_be_visible()

    for path in ("/alerts", "/patients", "/devices"):
        page.goto(path)
        look(page, request, path.strip("/"))
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("status")).to_have_text("You are signed out.")
    page.goto("/worklist")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_the_keyboard_is_enough(page: Page, scene: Scene) -> None:
    page.goto("/sign-in")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.type(scene.nurse.email)
    page.keyboard.press("Tab")
    page.keyboard.type(builders.PASSWORD)
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", level=1)).to_have_text("Worklist")


def test_on_paper_there_is_the_content_without_the_controls(page: Page, scene: Scene) -> None:
    sign_in(page, scene.nurse)
    page.goto(f"/patients/{scene.patient.public_id}")
    page.emulate_media(media="print")

    expect(page.get_by_role("img", name="Pain")).to_be_visible()
    expect(page.get_by_role("navigation", name="Pages")).to_be_hidden()
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()
    expect(page.get_by_text("Not a certified medical device.")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"


def test_nothing_is_wider_than_the_screen(page: Page, scene: Scene) -> None:
    sign_in(page, scene.nurse)
    for path in (
        "/worklist",
        f"/patients/{scene.patient.public_id}",
        f"/alerts/{scene.alert.public_id}",
        "/devices",
    ):
        page.goto(path)
        for width in (320, 820, 1000):
            page.set_viewport_size({"width": width, "height": 700})
            assert page.evaluate(OVERFLOW) == 0, f"{path} at {width}"
