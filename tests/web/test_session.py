import datetime as dt

import itsdangerous
import pytest
from sqlalchemy import select

from sc_stim.extensions import db
from sc_stim.models import AuditEntry
from tests import builders
from tests.web.pages import Page, Visitor


def signed_in(visit) -> Visitor:
    """By the form, as everybody else."""
    visitor = visit(None)
    assert visitor.sign_in(builders.create_user(role="nurse")).status_code == 303
    return visitor


def actions() -> list[str]:
    return list(db.session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


@pytest.mark.parametrize(
    ("role", "home", "heading"),
    [
        ("nurse", "/worklist", "Worklist"),
        ("clinician", "/worklist", "Worklist"),
        ("engineer", "/devices", "Devices"),
        ("auditor", "/audit", "Audit trail"),
        ("admin", "/clinic", "Clinic"),
    ],
)
def test_each_role_begins_on_its_own_page(visit, role, home, heading):
    visitor = visit(builders.create_user(role=role))

    assert visitor.get("/").location == home
    assert visitor.page(home).texts("h1") == [heading]


def test_an_unknown_address_and_a_wrong_password_get_the_same_answer(visit):
    user = builders.create_user(role="nurse")
    visitor = visit(None)
    visitor.page("/sign-in")

    wrong = visitor.submitted("/sign-in", 422, email=user.email, password="not it")
    unknown = visitor.submitted("/sign-in", 422, email="nobody@example.org", password="not it")

    assert wrong.text == unknown.text
    assert "wrong" in wrong.text
    assert actions() == ["session.sign_in_failed", "session.sign_in_failed"]


def test_the_password_is_never_sent_back(visit):
    visitor = visit(None)
    visitor.page("/sign-in")

    page = visitor.submitted("/sign-in", 422, email="nobody@example.org", password="a secret phrase")

    assert "a secret phrase" not in page.html
    assert [field.get("value") for field in page.all("input") if field.get("id") == "email"] == [
        "nobody@example.org"
    ]


def test_many_failures_are_stopped_and_a_success_costs_nothing(visit):
    user = builders.create_user(role="nurse")
    visitor = visit(None)
    visitor.page("/sign-in")
    for _ in range(10):
        assert visitor.post("/sign-in", email=user.email, password="wrong").status_code == 422

    page = visitor.submitted("/sign-in", 429, email=user.email, password=builders.PASSWORD)

    assert page.texts("h1") == ["Too many attempts"]
    other = builders.create_user(role="nurse")
    for _ in range(12):
        assert visit(None).sign_in(other).status_code == 303


def test_signing_in_starts_a_new_session(app, visit):
    """A cookie that was there before, planted by somebody else, is worth nothing afterwards."""
    visitor = visit(None)
    with visitor.client.session_transaction() as planted:
        planted["planted"] = "by an attacker"
    visitor.sign_in(builders.create_user(role="nurse"))

    with visitor.client.session_transaction() as session:
        assert "planted" not in session
        assert session["_user_id"]


def test_the_page_that_was_asked_for_opens_after_signing_in(visit):
    visitor = visit(None)
    user = builders.create_user(role="nurse")
    asked = visitor.get("/alerts?show=shelved")

    assert asked.status_code == 302
    visitor.page(asked.location)
    assert (
        visitor.post(asked.location, email=user.email, password=builders.PASSWORD).location
        == "/alerts?show=shelved"
    )


def test_forms_work_over_https_where_browsers_are_told_to_send_no_referrer(visit):
    visitor = visit(None)
    page = Page(visitor.client.get("/sign-in", base_url="https://clinic.example"))
    form = {
        "csrf_token": page.token,
        "email": builders.create_user(role="nurse").email,
        "password": builders.PASSWORD,
    }
    db.session.commit()

    assert visitor.client.post("/sign-in", base_url="https://clinic.example", data=form).status_code == 303


@pytest.mark.parametrize(
    "address",
    [
        "https://example.org/",
        "//example.org/worklist",
        "/%5Cexample.org",
        "/worklist%0D%0AX:y",
        "/worklist?due=7%0D%0AX:y",
        "javascript:alert(1)",
        "/nowhere",
        "worklist",
    ],
)
def test_signing_in_leads_to_no_address_that_is_not_ours(visit, address):
    assert visit(None).sign_in(builders.create_user(role="nurse"), next_page=address).location == "/"


def test_without_a_click_for_thirty_minutes_the_session_is_over(visit, monkeypatch):
    visitor = signed_in(visit)
    signed_at = itsdangerous.TimestampSigner("any").get_timestamp()

    def let_pass(minutes: float) -> None:
        now = signed_at + int(minutes * 60)
        monkeypatch.setattr(itsdangerous.TimestampSigner, "get_timestamp", lambda self: now)

    let_pass(29)
    assert visitor.get("/worklist").status_code == 200
    let_pass(58)  # 29 minutes after the last click
    assert visitor.get("/worklist").status_code == 200
    let_pass(58 + 31)
    assert visitor.get("/worklist").location == "/sign-in?next=%2Fworklist"


def test_after_twelve_hours_the_session_is_over_however_busy(visit, time):
    visitor = signed_in(visit)
    time.pass_by(hours=11)
    assert visitor.get("/worklist").status_code == 200
    time.pass_by(hours=1, seconds=1)

    page = visitor.page(visitor.get("/worklist").location)

    assert "You were signed in for 12 hours" in page.text
    assert visitor.get("/worklist").status_code == 302


def test_signing_out_makes_a_copied_cookie_worthless(visit):
    user = builders.create_user(role="nurse")
    visitor, thief = visit(user), visit(None)
    cookie = visitor.client.get_cookie("session")
    thief.client.set_cookie("session", cookie.value)
    assert thief.get("/worklist").status_code == 200

    visitor.page("/worklist")
    page = visitor.done("/sign-out")

    assert "You are signed out." in page.text
    assert thief.get("/worklist").status_code == 302
    assert actions()[-1] == "session.sign_out"


def test_a_user_who_was_switched_off_is_out_at_the_next_click(visit):
    user = builders.create_user(role="nurse")
    visitor = visit(user)
    user.active = False

    assert visitor.get("/worklist").status_code == 302


def test_somebody_who_is_signed_in_does_not_sign_in_again(visit):
    assert visit(builders.create_user(role="nurse")).get("/sign-in").location == "/"


def test_a_form_without_its_token_changes_nothing(visit):
    visitor = visit(builders.create_user(role="nurse"))
    response = visitor.post("/sign-out", csrf_token="")

    assert response.status_code == 400
    assert Page(response).texts("h1") == ["This page was open for too long"]
    assert visitor.get("/worklist").status_code == 200


def test_a_sign_in_page_that_was_open_over_the_weekend_is_shown_anew(visit):
    visitor = visit(None)

    page = visitor.done(
        "/sign-in?next=/alerts", email="nurse@example.org", password="whatever", csrf_token="old"
    )

    assert "open for too long" in page.text
    assert [form.get("action") for form in page.all("form")] == ["/sign-in?next=/alerts"]
    assert actions() == []


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(visit):
    visitor = visit(None)
    cookie = visitor.get("/sign-in").headers["Set-Cookie"]

    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie


def test_the_session_ends_at_the_latest_when_the_settings_say(app):
    assert app.permanent_session_lifetime == dt.timedelta(minutes=30)
