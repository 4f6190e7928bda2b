"""What a page says and keeps when nobody answers, and while somebody does not answer yet."""

import pytest
from playwright.sync_api import Page, Route, expect

from sc_stim.models import User
from tests import builders
from tests.e2e.looking import look, sign_in
from tests.web.scene import Scene

# Sent, and at once again; whether its button can still be pressed, and what a screen reader is told.
SENT_TWICE = """() => {
    const form = document.querySelector("form[action='/clinic/closures']")
    form.requestSubmit()
    return new Promise(resolve => setTimeout(() => {
        form.requestSubmit()
        resolve([form.querySelector("button").disabled, form.ariaBusy])
    }, 50))
}"""


@pytest.fixture
def admin(scene: Scene) -> User:
    return builders.create_user(clinic=scene.clinic, role="admin")


def test_a_form_outlives_a_lost_connection(page: Page, admin: User, request: pytest.FixtureRequest) -> None:
    sign_in(page, admin, "Clinic")
    lost = page.locator("#connection")
    reason = page.get_by_label("Reason")
    page.get_by_label("First day").fill("2031-12-24")
    reason.fill("Audit")
    page.context.set_offline(True)

    expect(lost).to_contain_text("What you see may be old.")
    page.get_by_role("button", name="Close these days").click()
    expect(lost).to_contain_text("Nothing was sent. What you typed is still here")
    page.get_by_role("link", name="Users", exact=True).click()
    expect(lost).to_contain_text("The next page cannot be opened now.")
    expect(reason).to_have_value("Audit")
    look(page, request, "offline")

    page.context.set_offline(False)
    expect(lost).to_be_hidden()
    page.get_by_role("button", name="Close these days").click()
    expect(page.get_by_role("cell", name="Audit", exact=True)).to_be_visible()


def test_a_form_is_sent_once_and_shows_that_it_is_under_way(page: Page, admin: User) -> None:
    sign_in(page, admin, "Clinic")
    sent: list[Route] = []

    page.route("**/clinic/closures", lambda route: sent.append(route))
    page.get_by_label("First day").fill("2031-12-24")
    page.get_by_label("Reason").fill("Audit")
    with page.expect_request("**/clinic/closures"):
        assert page.evaluate(SENT_TWICE) == [True, "true"]
    while not sent:
        page.title()  # routes are handed over only while the browser is asked something
    sent[0].continue_()
    expect(page.get_by_role("cell", name="Audit", exact=True)).to_be_visible()
    assert len(sent) == 1


def test_leaving_what_is_not_saved_is_asked_about(page: Page, admin: User) -> None:
    sign_in(page, admin, "Clinic")
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.get_by_label("Reason").fill("Audit")
    page.get_by_role("link", name="Users", exact=True).click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Users")
    assert asked == ["beforeunload"]


@pytest.mark.parametrize("page", [("ward-pc", (502,))], indirect=True)
def test_a_form_does_not_leave_its_page_towards_a_server_that_does_not_answer(
    page: Page, admin: User
) -> None:
    sign_in(page, admin, "Clinic")
    page.get_by_label("First day").fill("2031-12-24")
    page.get_by_label("Reason").fill("Audit")
    away = ("**/sign-in/still", "**/health/live")
    for address in away:
        page.route(address, lambda route: route.fulfill(status=502))
    page.get_by_role("button", name="Close these days").click()
    expect(page.locator("#connection")).to_contain_text("Nothing was sent. What you typed is still here")
    expect(page.get_by_label("Reason")).to_have_value("Audit")

    for address in away:
        page.unroute(address)
    expect(page.locator("#connection")).to_be_hidden()
    page.get_by_role("button", name="Close these days").click()
    expect(page.get_by_role("cell", name="Audit", exact=True)).to_be_visible()


def test_what_was_typed_outlives_the_session(page: Page, admin: User, scene: Scene) -> None:
    sign_in(page, admin, "Clinic")
    page.get_by_label("First day").fill("2031-12-24")
    page.get_by_label("Reason").fill("Audit")
    page.context.clear_cookies()
    said = page.locator("#signed-out")

    page.get_by_role("button", name="Close these days").click()
    expect(said).to_contain_text("what you typed is still here")
    expect(page.get_by_label("Reason")).to_have_value("Audit")

    other = page.context.new_page()
    sign_in(other, builders.create_user(clinic=scene.clinic, role="admin", name="Kim Other"), "Clinic")
    page.get_by_role("button", name="Close these days").click()
    expect(said).to_contain_text(f"Sign in as {admin.name} in another tab")

    other.get_by_role("button", name="Sign out").click()
    expect(other.get_by_role("heading", level=1)).to_contain_text("Sign in")
    sign_in(other, admin, "Clinic")
    page.get_by_role("button", name="Close these days").click()
    expect(page.get_by_role("cell", name="Audit", exact=True)).to_be_visible()
