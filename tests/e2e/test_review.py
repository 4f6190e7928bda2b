"""Stories 4 and 10 in a browser: a review on one axis of time, and the sheet for an emergency department."""

import re

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests import builders
from tests.e2e.looking import every_screen, look, sign_in, window
from tests.web.scene import Scene


@pytest.fixture
def clinician(page: Page, scene: Scene) -> Page:
    """The patient's page as the clinician has it."""
    user = builders.create_user(clinic=scene.clinic, role="clinician", name="Dr Ina Falk")
    sign_in(page, user)
    page.goto(f"/patients/{scene.patient.public_id}")
    expect(page.locator("[data-timeline-readout]")).to_contain_text("Drag to move")
    return page


def shown(page: Page) -> str:
    return page.locator("[data-timeline-readout]").inner_text()


def test_one_time_line_zooms_and_moves_as_a_whole(clinician: Page) -> None:
    for title in ("Pain", "Stimulation", "Impedance by contact", "Battery", "Reservoir"):
        expect(clinician.locator(".timeline figcaption", has_text=title).first).to_be_visible()
    whole = shown(clinician)
    clinician.get_by_role("button", name="30 days").click()
    expect(clinician.locator("[data-timeline-readout]")).not_to_have_text(whole)
    month = shown(clinician)
    panels = clinician.get_by_role("group", name=re.compile("^Time line"))
    panels.focus()
    for key, changes in (("ArrowLeft", True), ("+", True), ("-", True), ("Home", True)):
        before = shown(clinician)
        clinician.keyboard.press(key)
        if changes:
            expect(clinician.locator("[data-timeline-readout]")).not_to_have_text(before)
    assert shown(clinician) != month


def test_dragging_moves_every_panel(clinician: Page) -> None:
    clinician.get_by_role("button", name="30 days").click()
    before = shown(clinician)
    plot = clinician.locator(".timeline .u-over").nth(1)
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    clinician.mouse.move(x, y)
    clinician.mouse.down()
    clinician.mouse.move(x + 200, y, steps=5)
    clinician.mouse.up()
    clinician.mouse.move(0, 0)
    expect(clinician.locator("[data-timeline-readout]")).to_contain_text("Drag to move")
    assert shown(clinician) != before


def test_pointing_at_a_day_tells_its_figures_and_what_happened(clinician: Page) -> None:
    plot = clinician.locator(".timeline .u-over").nth(1)
    plot.scroll_into_view_if_needed()
    plot.hover(position={"x": 300, "y": 50})
    expect(clinician.locator("[data-timeline-readout]")).to_contain_text("Reservoir, pump")


def open_patient(page: Page, scene: Scene) -> Locator:
    """Opens the patient's page; what it says of the usual range of pain."""
    sign_in(page, scene.nurse)
    page.goto(f"/patients/{scene.patient.public_id}")
    expect(page.locator("[data-timeline-readout]")).to_contain_text("Drag to move")
    return page.locator(".timeline figcaption").get_by_role("status")


def test_the_panels_stand_before_the_usual_range_is_there(page: Page, scene: Scene) -> None:
    held: list[Route] = []
    page.route("**/usual.json", lambda route: held.append(route))
    note = open_patient(page, scene)
    expect(note).to_have_text("the usual range is being worked out…")
    held.pop().continue_()
    expect(note).to_have_text("shaded: usual for this patient")


def test_a_usual_range_that_does_not_come_is_missed_aloud(
    scene: Scene, chromium: Browser, address: str
) -> None:
    with window(chromium, address, lawful=(503,)) as page:
        page.route("**/usual.json", lambda route: route.fulfill(status=503))
        note = open_patient(page, scene)
        expect(note).to_have_text("the usual range could not be loaded (503): reload the page")


def test_a_review_is_stamped_with_who_and_when(clinician: Page) -> None:
    pathway = clinician.get_by_role("region", name="Care pathway")
    expect(pathway).to_contain_text("Stimulator trial")
    expect(pathway).to_contain_text("relief 55 %")
    clinician.get_by_label("Comment", exact=False).first.fill("Lead to be checked by X-ray.")
    clinician.get_by_role("button", name="Mark reviewed").click()
    expect(clinician.get_by_text("Last reviewed by Dr Ina Falk")).to_be_visible()


@every_screen
def test_the_emergency_sheet(page: Page, scene: Scene, request: pytest.FixtureRequest) -> None:
    sign_in(page, scene.nurse)
    page.goto(f"/patients/{scene.patient.public_id}")
    page.get_by_role("link", name="Emergency sheet").click()
    for fact in ("T10", "Morphine", "15.4 mL left", "+49 30 5550000"):
        expect(page.get_by_text(fact).first).to_be_visible()
    look(page, request, "emergency")


def test_a_link_opens_the_sheet_on_a_telephone_without_an_account(
    page: Page, scene: Scene, chromium: Browser, address: str
) -> None:
    sign_in(page, scene.nurse)
    page.goto(f"/patients/{scene.patient.public_id}/emergency")
    page.get_by_role("button", name="Show a QR code").click()
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    link = page.locator(".address").inner_text()
    with window(chromium, address, "telephone") as stranger:
        stranger.goto(link)
        expect(stranger.get_by_role("heading", level=1)).to_have_text("Emergency sheet: Example, Ada")
        expect(stranger.get_by_role("button", name="Show a QR code")).to_have_count(0)
