"""Recalls and reviews on the pages."""

import datetime as dt
import io

import pytest
from sqlalchemy import func, select

from sc_stim.extensions import db
from sc_stim.models import AuditEntry, Recall, RecallOutreach, Review
from tests import builders
from tests.builders import AT

LIST = "Model: Example Pump\nN100-N199"
FORM = {"title": "Motor stall", "advice": "Interrogate it.", "recall_class": "II", "text": LIST}


@pytest.fixture
def nurse(app):
    return builders.create_user(role="nurse", name="Nadia Berger")


@pytest.fixture
def pump(nurse):
    patient = builders.create_patient(clinic=nurse.clinic, family_name="Okafor")
    return builders.create_pump(patient=patient, serial="N150", implanted_on=dt.date(2026, 1, 5))


def kept() -> Recall:
    return db.session.scalars(select(Recall)).one()


def row_of(pump) -> RecallOutreach:
    return db.session.scalars(select(RecallOutreach).where(RecallOutreach.device_id == pump.id)).one()


def note_of(page):
    return next(field.get("value") for field in page.all("input") if field.get("name") == "note")


def test_a_pasted_list_shows_what_it_means_before_anything_is_kept(nurse, pump, visit):
    visitor = visit(nurse)
    visitor.page("/recalls/new")

    page = visitor.submitted("/recalls/preview", **FORM | {"text": LIST + "\nModel: Synchromed 2\nN100-P200"})

    found = page.within("found")
    assert "1 device is meant, 0 cannot be excluded, 1 line is not understood" in found
    assert "No device here is called “Synchromed 2”" in found
    assert "serial N150 Okafor, Ada 2" in found
    assert "N100-P200" in found
    assert page.all("textarea")[0].text.startswith("Model: Example Pump")
    assert db.session.scalar(select(func.count(Recall.id))) == 0


def test_a_kept_recall_is_followed_up_to_zero_and_closed(nurse, pump, visit):
    visitor = visit(nurse)
    visitor.page("/recalls/new")
    page = visitor.done("/recalls", **FORM)
    assert page.texts("h1") == ["Motor stall"]
    assert "1 of 1 left to do" in page.text
    here = f"/outreach/{row_of(pump).public_id}"

    page = visitor.submitted(here, 422, version="1", state="tried", note="Rang twice.")
    assert "way: say how it was tried" in page.text
    assert note_of(page) == "Rang twice."
    page = visitor.done(here, version="1", state="tried", way="phone", note="No answer.")
    assert "Tried (phone), Mon 23 Nov 2026 09:00, Nadia Berger: No answer." in page.text
    page = visitor.submitted(here, 422, version="1", state="reached", note="She comes on Friday.")
    assert "somebody else has just recorded" in page.text
    assert note_of(page) == "She comes on Friday."
    assert "Recalled: Motor stall, tried" in visitor.page(f"/patients/{pump.patient.public_id}").text

    page = visitor.done(here, version="2", state="action_done")
    assert "Nothing is left to do here." in page.text
    page = visitor.done(f"/recalls/{kept().public_id}/close")
    assert "The recall is closed." in page.text
    assert kept().closed_at == AT
    assert "0 of 1" in visitor.page("/recalls").text


def test_what_cannot_be_kept_says_why_and_loses_nothing_that_was_typed(nurse, pump, visit):
    visitor = visit(nurse)
    visitor.page("/recalls/new")

    page = visitor.submitted("/recalls", **FORM | {"title": ""})
    assert "Nothing was kept: title: fill it in" in page.text
    assert page.all("textarea")[1].text == "Interrogate it."
    page = visitor.submitted("/recalls", **FORM | {"text": "N1-P2\n" + LIST})
    assert "line 1 is not understood" in page.text
    page = visitor.done("/recalls", **FORM | {"text": "N1-P2\n" + LIST, "accept_unread": "1"})
    assert "1: N1-P2" in page.text


def test_a_corrected_list_takes_the_place_of_the_last(nurse, pump, visit):
    visitor = visit(nurse)
    visitor.page("/recalls/new")
    visitor.done("/recalls", **FORM)

    page = visitor.submitted(f"/recalls/{kept().public_id}/list", 422, text="Model: Example Pump\nsee annex")
    assert "line 2 is not understood" in page.text
    assert "see annex" in page.all("textarea")[0].text
    unreadable = {"text": "Model: Example Pump\nN900", "file": (io.BytesIO(b"\xff\xfe\x00"), "list.xls")}
    page = visitor.submitted(f"/recalls/{kept().public_id}/list", 422, **unreadable)
    assert "the file is no text" in page.text
    assert kept().newest.text == LIST

    page = visitor.done(f"/recalls/{kept().public_id}/list", text="Model: Example Pump\nN900")

    assert "The corrected list counts now." in page.text
    assert "0 of 0 left to do" in page.text
    assert "no longer on the list" in visitor.page(f"/recalls/{kept().public_id}?show=all").text


def test_a_file_takes_the_place_of_the_pasted_text(nurse, pump, visit):
    visitor = visit(nurse)
    visitor.page("/recalls/new")
    table = "\ufeffserial from,serial to\nN100,N199\n".encode()

    page = visitor.submitted("/recalls/preview", **FORM | {"file": (io.BytesIO(table), "list.csv")})
    assert "1 device is meant" in page.text
    page = visitor.submitted("/recalls/preview", **FORM | {"file": (io.BytesIO(b"\xff\xfe\x00"), "list.xls")})
    assert "Save the table as CSV (UTF-8)" in page.text


def test_an_engineer_tries_a_list_and_sees_no_patient(nurse, pump, visit):
    visitor = visit(nurse)
    visitor.page("/recalls/new")
    visitor.done("/recalls", **FORM)
    engineer = visit(builders.create_user(clinic=nurse.clinic, role="engineer"))
    engineer.page("/recalls/new")

    for page in (
        engineer.submitted("/recalls/preview", text=LIST),
        engineer.page(f"/recalls/{kept().public_id}"),
    ):
        assert "N150" in page.text
        assert "Okafor" not in page.html
    assert "Note it" not in page.texts("button")


def test_marking_reviewed_says_who_and_when_and_that_alerts_still_wait(nurse, pump, visit):
    builders.create_alert(patient=pump.patient, device=pump, severity="high")
    visitor = visit(nurse)
    here = f"/patients/{pump.patient.public_id}"
    page = visitor.page(here)
    assert "Nobody has marked this patient as reviewed yet." in page.within("review")
    assert "Okafor, Ada" in visitor.page("/worklist").within("reviews")
    hidden = {field.get("name"): field.get("value") for field in page.all("input")}
    visitor.page(here)

    page = visitor.done(
        here + "/reviews",
        comment="Stable.",
        covers_from=hidden["covers_from"],
        covers_until=hidden["covers_until"],
    )

    assert (
        "Last reviewed by Nadia Berger, Mon 23 Nov 2026 09:00, with 1 open alert. “Stable.”"
        in page.within("review")
    )
    assert "A review acknowledges no alert" in page.text
    review = db.session.scalars(select(Review)).one()
    assert (review.covers_from.date(), review.covers_until) == (dt.date(2026, 8, 25), AT)
    lanes = {section.get("id") for section in visitor.page("/worklist").all("section")}
    assert "reviews" not in lanes, "an empty lane is folded away"
    assert db.session.scalars(select(AuditEntry).where(AuditEntry.action == "review.record")).one()


def test_another_clinic_finds_neither_recall_nor_patient_to_review(nurse, pump, visit):
    visitor = visit(nurse)
    visitor.page("/recalls/new")
    visitor.done("/recalls", **FORM)
    stranger = visit(builders.create_user(role="nurse"))
    stranger.page("/recalls")

    assert stranger.get(f"/recalls/{kept().public_id}").status_code == 404
    assert (
        stranger.post(f"/outreach/{row_of(pump).public_id}", version="1", state="reached").status_code == 404
    )
    assert stranger.post(f"/recalls/{kept().public_id}/list", text=LIST).status_code == 404
    assert stranger.post(f"/patients/{pump.patient.public_id}/reviews").status_code == 404
    assert "Motor stall" not in stranger.page("/recalls").html
