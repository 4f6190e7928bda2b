import datetime as dt

import pytest
from sqlalchemy import select

from sc_stim.extensions import db
from sc_stim.models import Alert, AlertEntry, AuditEntry
from tests import builders
from tests.builders import AT
from tests.web.pages import Page, Visitor

ACTS = {"I take it", "It is dealt with", "Put it on the shelf", "Add a comment"}


@pytest.fixture
def nurse(app):
    return builders.create_user(role="nurse", name="Nadia Berger")


@pytest.fixture
def alert(nurse):
    patient = builders.create_patient(clinic=nurse.clinic)
    return builders.create_alert(patient=patient, condition="pain_rise")


def stored(alert: Alert) -> Alert:
    return db.session.get_one(Alert, alert.id)


def audited(action: str) -> list[AuditEntry]:
    return list(db.session.scalars(select(AuditEntry).where(AuditEntry.action == action)))


def act(visitor: Visitor, alert: Alert, name: str, **form: str) -> Page:
    visitor.page(f"/alerts/{alert.public_id}")
    return visitor.done(f"/alerts/{alert.public_id}/{name}", **form)


def test_an_alert_shows_what_it_rests_on_in_words(nurse, visit):
    detail = {
        "kind": "step_up", "baseline_nrs": 4.1, "level_nrs": None, "onset": "2026-11-19", "tier": "soft",
        "causes": [{"against": [], "certain": False}],
    }  # fmt: skip
    alert = builders.create_alert(
        patient=builders.create_patient(clinic=nurse.clinic, family_name="Okafor"), condition="pain_rise",
        severity="high", historical=True, detail=detail, model_version="pain-1",
    )  # fmt: skip

    page = visit(nurse).page(f"/alerts/{alert.public_id}")

    assert page.texts("h1") == ["Pain has risen: Okafor, Ada"]
    assert "Okafor" not in page.title  # browsers keep titles in their history
    facts = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert facts["Usual level (NRS)"] == "4.1"
    assert facts["Level since then (NRS)"] == "not known"
    assert facts["Kind"] == "Pain rose"
    assert facts["Began about"] == "Thu 19 Nov 2026"
    assert facts["How sure"] == "a first sign"
    assert facts["Against"] == "none"
    assert facts["Certain"] == "no"
    assert facts["Judged by"] == "pain-1"
    assert "High" in page.text
    assert "found in data that came late" in page.text


def test_taking_an_alert_says_who_when_and_why(nurse, alert, visit, time):
    visitor = visit(nurse)
    time.pass_by(minutes=5)

    page = act(visitor, alert, "acknowledge", comment="  Calling the patient.\nNow. ")

    assert "You have taken this alert." in page.text
    assert "Acknowledged by Nadia Berger, Mon 23 Nov 2026 09:05" in page.text
    assert page.texts("blockquote") == ["Calling the patient. Now."]
    assert stored(alert).state == "acknowledged"
    assert audited("alert.acknowledge")[0].subject == str(alert.public_id)
    assert set(page.texts("button")) & ACTS == ACTS - {"I take it"}


def test_an_alert_somebody_else_took_meanwhile_is_not_taken_again(nurse, alert, visit):
    visitor, colleague = visit(nurse), visit(builders.create_user(clinic=nurse.clinic, role="clinician"))
    visitor.page(f"/alerts/{alert.public_id}")
    act(colleague, alert, "acknowledge")

    page = visitor.done(f"/alerts/{alert.public_id}/acknowledge")

    assert "Nothing was changed: it is acknowledged already." in page.text
    assert len(audited("alert.acknowledge")) == 1


def test_a_shelved_alert_leaves_the_worklist_until_its_time(nurse, alert, visit):
    visitor = visit(nurse)

    page = act(visitor, alert, "shelve", hours="4", comment="")

    assert "On the shelf until Mon 23 Nov 2026 13:00" in page.text
    assert stored(alert).shelved_until == AT + dt.timedelta(hours=4)
    assert "No other alert is open." in visitor.page("/worklist").text
    assert "Pain has risen" in visitor.page("/alerts?show=shelved").text


@pytest.mark.parametrize("hours", ["", "0", "-2", "9999", "two", "1.5"])
def test_a_shelf_of_any_other_length_is_refused(nurse, alert, visit, hours):
    page = act(visit(nurse), alert, "shelve", hours=hours)

    assert "Nothing was changed: choose for how long" in page.text
    assert stored(alert).state == "unacknowledged"


def test_closing_an_alert_needs_a_reason_and_ends_all_acts_but_comments(nurse, alert, visit):
    visitor = visit(nurse)
    assert "write a comment first" in act(visitor, alert, "resolve", comment=" ").text
    assert stored(alert).state == "unacknowledged"

    page = act(visitor, alert, "resolve", comment="Lead revised.")

    assert "The alert is closed." in page.text
    assert stored(alert).state == "closed"
    assert set(page.texts("button")) & ACTS == {"Add a comment"}
    late = visitor.done(f"/alerts/{alert.public_id}/acknowledge")
    assert "the alert is closed: nothing more can be done with it" in late.text


def test_a_comment_changes_nothing_else(nurse, alert, visit):
    page = act(visit(nurse), alert, "comment", comment="Nobody answered.")

    assert "Your comment is noted." in page.text
    assert "Nobody answered." in page.text
    assert stored(alert).state == "unacknowledged"
    assert len(audited("alert.comment")) == 1


def test_a_comment_that_is_too_long_is_refused(nurse, alert, visit):
    page = act(visit(nurse), alert, "comment", comment="x" * 2001)

    assert "at most 2000 characters" in page.text
    assert db.session.scalars(select(AlertEntry)).all() == []


def test_every_look_at_an_alert_is_on_record(nurse, alert, visit):
    visitor = visit(nurse)
    visitor.page(f"/alerts/{alert.public_id}")
    visitor.page("/alerts")

    [view] = audited("alert.view")
    assert view.subject == str(alert.public_id)
    assert view.detail["patients"] == [str(alert.patient.public_id)]
    assert audited("alert.list")[0].detail["patients"] == [str(alert.patient.public_id)]


def test_lists_of_alerts_by_what_has_become_of_them(nurse, visit):
    patient = builders.create_patient(clinic=nurse.clinic)
    for condition, state in (
        ("reset", "unacknowledged"), ("motor_stall", "acknowledged"), ("memory_error", "returned_to_normal"),
        ("mri_mode", "shelved"), ("charge_missed", "closed"), ("no_data", "unacknowledged"),
    ):  # fmt: skip
        builders.create_alert(patient=patient, condition=condition, state=state)
    visitor = visit(nurse)

    def listed(show: str) -> set[str]:
        links = visitor.page(f"/alerts?show={show}").all("a")
        return {"".join(link.itertext()) for link in links if "/alerts/" in link.get("href")}

    assert listed("open") == {"Reset", "Motor stall", "Memory error", "Device is silent"}
    assert listed("shelved") == {"Still in MRI mode"}
    assert listed("closed") == {"Charging was missed"}


def test_an_empty_list_says_so_and_an_unknown_one_is_not_found(nurse, visit):
    visitor = visit(nurse)

    assert "Nothing is on the shelf." in visitor.page("/alerts?show=shelved").text
    for address in ("/alerts?show=all", "/alerts?page=0", "/alerts?page=-1", "/alerts?page=99999999999"):
        visitor.page(address, 404)


def test_a_long_list_goes_on_over_pages(nurse, visit, monkeypatch):
    monkeypatch.setattr("sc_stim.web.alerts.PAGE_SIZE", 2)
    patient = builders.create_patient(clinic=nurse.clinic)
    for number in range(5):
        builders.create_alert(
            patient=patient, condition=f"condition_{number}", opened_at=AT - dt.timedelta(hours=9 - number)
        )
    visitor = visit(nurse)

    seen = []
    for number in (1, 2, 3):
        page = visitor.page(f"/alerts?page={number}")
        seen += ["".join(link.itertext()) for link in page.all("a") if "/alerts/" in link.get("href")]
        assert ("More" in page.texts("a")) == (number < 3)

    assert seen == [f"Condition {number}" for number in range(5)]
