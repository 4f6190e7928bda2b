"""The administrator sets a figure of the clinic's own, and takes it back."""

import pytest
from playwright.sync_api import Page, expect

from tests import builders
from tests.e2e.looking import every_screen, look, sign_in
from tests.web.scene import Scene


@every_screen
def test_the_clinic_sets_a_figure_of_its_own_and_goes_back(
    page: Page, scene: Scene, request: pytest.FixtureRequest
) -> None:
    admin = builders.create_user(
        clinic=scene.clinic, role="admin", name="Anton Weber", email="admin@riverside.example"
    )
    sign_in(page, admin, home="Clinic")
    page.get_by_role("link", name="Figures", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The clinic's own figures")
    page.get_by_role("link", name="Bupivacaine: daily dose ceiling").click()
    page.get_by_label("Value (mg/day)").fill("150")
    page.get_by_label("Source").fill("Drug committee, 2 November 2026")
    page.get_by_role("button", name="Set", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("must lie between 3.75 and 60 mg/day")
    look(page, request, "clinic-figure-refused")
    page.get_by_label("Value (mg/day)").fill("20")
    page.get_by_role("button", name="Set", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("holds from now on: 20 mg/day")
    page.get_by_role("button", name="Back to 15 mg/day as shipped").click()
    expect(page.get_by_role("status")).to_contain_text("The shipped figure holds again.")
    look(page, request, "clinic-figure")
    page.get_by_role("button", name="Set again: 20 mg/day").click()
    expect(page.get_by_role("status")).to_contain_text("holds from now on: 20 mg/day")

    page.locator("#main").get_by_role("link", name="The clinic's own figures").click()
    page.get_by_role("link", name="Review of a pump, every").click()
    page.get_by_label("Review of a pump, every (days)").fill("120")
    page.get_by_label("Source").fill("Decision of the team, 2 November 2026")
    page.get_by_role("button", name="Set", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("The intervals hold from now on")
    look(page, request, "review-intervals")
    page.get_by_role("link", name="Figures", exact=True).click()
    expect(page.get_by_role("row", name="Review of a pump")).to_contain_text("wider than shipped")
    look(page, request, "clinic-figures")
