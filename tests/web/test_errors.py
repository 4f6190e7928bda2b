import re

import pytest
from sqlalchemy import text as sql
from sqlalchemy.exc import OperationalError

from sc_stim.extensions import db
from sc_stim.web import worklist
from tests import builders
from tests.apps import both_databases
from tests.web.pages import Page, inspect


@pytest.fixture
def visitor(app, visit):
    return visit(builders.create_user(role="nurse"))


@pytest.mark.parametrize(
    "path", ["/nowhere", "/patients/not-an-id", "/worklist/", "/static/other.css", "/%00", "/../etc/passwd"]
)
def test_an_address_that_leads_nowhere(visitor, path):
    assert visitor.page(path, 404).texts("h1") == ["There is no such page"]


def test_an_address_that_leads_nowhere_tells_a_stranger_nothing_more(visit):
    page = visit(None).page("/nowhere", 404)

    assert page.all("nav") == []


@both_databases
def test_what_no_database_can_hold_is_no_fault(app, visit):
    clinic = builders.create_clinic()
    alert = builders.create_alert(patient=builders.create_patient(clinic=clinic))
    nurse, stranger = visit(builders.create_user(clinic=clinic, role="nurse")), visit(None)
    auditor = visit(builders.create_user(clinic=clinic, role="auditor"))

    stranger.page("/sign-in")
    stranger.submitted("/sign-in", 422, email="nu\0rse@example.org", password="\0")
    nurse.page(f"/alerts/{alert.public_id}")
    assert "seen" in nurse.done(f"/alerts/{alert.public_id}/comment", comment="se\0en").text
    nurse.submitted("/patients", name="\0")
    for before in (10**30, -1, 0):
        auditor.page(f"/audit?before={before}", 404)
    nurse.page(f"/devices?after={10**40}")


def test_a_form_address_that_is_opened_as_a_page(visitor):
    assert visitor.page("/sign-out", 405).texts("h1") == ["There is no such page"]


def test_a_fault_of_ours_shows_nothing_of_its_inside(app, visitor, monkeypatch):
    def fail(*_: object) -> None:
        raise RuntimeError("secret inside")

    monkeypatch.setattr(worklist.worklist, "refills_due", fail)
    monkeypatch.setattr(app, "testing", False)

    page = visitor.page("/worklist", 500)

    assert page.texts("h1") == ["Something went wrong in the system"]
    assert "tell your administrator this number" in page.text
    assert re.fullmatch("[0-9a-f]{8}", page.texts("code")[0])
    assert "Try again" in page.texts("a")
    assert "secret" not in page.html
    assert "Traceback" not in page.html


def test_a_database_that_is_away_is_said_plainly_without_asking_it_again(app, visitor, monkeypatch):
    def away(*_: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("connection refused"))

    monkeypatch.setattr(worklist.worklist, "refills_due", away)

    response = visitor.get("/worklist")

    page = Page(response)
    inspect(page, "/worklist")
    assert response.status_code == 503
    assert response.headers["Retry-After"]
    assert page.texts("h1") == ["The record cannot be reached now"]
    assert "connection refused" not in page.html
    assert page.all("nav") == []


def test_a_form_that_is_far_too_long_is_refused(visitor):
    visitor.page("/worklist")

    assert Page(visitor.post("/patients", name="x" * 1_200_000)).texts("h1") == ["This is too long"]


def test_after_an_error_nothing_is_left_open(visitor):
    visitor.page("/nowhere", 404)

    assert db.session.execute(sql("SELECT 1")).scalar() == 1


def test_pages_forbid_scripts_frames_and_other_sites(visitor):
    headers = visitor.get("/worklist").headers

    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe-inline" not in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"
