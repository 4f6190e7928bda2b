"""Whom alerts call: the ladder, the contacts and the rota, for the administrator; to read for nurses."""

import datetime as dt

import pytest
from sqlalchemy import select

from sc_stim.extensions import db
from sc_stim.models import AuditEntry, Contact, Ladder, Message, Shift
from tests import builders
from tests.builders import AT


@pytest.fixture
def admin(app):
    return builders.create_user(role="admin", name="Anton Admin")


@pytest.fixture
def ward(admin):
    return builders.create_contact(clinic=admin.clinic, name="Ward desk")


def ladder() -> Ladder | None:
    return db.session.scalars(select(Ladder)).one_or_none()


def test_what_is_amiss_stands_on_top(admin, visit):
    text = visit(admin).page("/escalation").text

    assert text.index("The clinic has no contacts: alerts can tell nobody.") < text.index("The ladder")
    assert "On call now: nobody" in text


def test_the_ladder_is_edited_as_a_table_and_holds_at_once(admin, ward, visit):
    visitor = visit(admin)
    visitor.page("/escalation")
    steps = {"after-0": "30", "high-0": "on", "on-call-0": "on", "after-3": "0", "high-3": "on", "medium-3": "on",
             f"{ward.public_id}-3": "on"}  # fmt: skip

    page = visitor.done("/escalation/ladder", **steps, version="0", with_patient="on")

    assert "The ladder is changed." in page.text
    own = ladder()
    assert own.with_patient
    assert own.steps == [
        {
            "after_min": 0,
            "severities": ["high", "medium"],
            "on_call": False,
            "contacts": [str(ward.public_id)],
        },
        {"after_min": 30, "severities": ["high"], "on_call": True, "contacts": []},
    ]
    checked = {one.get("name") for one in page.all("input") if "checked" in one.attrib}
    assert {"high-0", "medium-0", f"{ward.public_id}-0", "high-1", "on-call-1", "with_patient"} <= checked


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ({"after-0": "soon", "high-0": "on"}, "After must be a number"),
        ({"after-0": "15"}, "Choose the alerts that this step is for."),
        ({"after-0": ""}, "A ladder has at least one step."),
        ({"after-0": "15", "high-0": "on", "version": "3"}, "Somebody has changed the ladder"),
    ],
)
def test_a_ladder_that_cannot_be_is_refused_and_kept_as_typed(admin, ward, visit, typed, error):
    visitor = visit(admin)
    visitor.page("/escalation")

    page = visitor.submitted("/escalation/ladder", 422, **{"version": "0"} | typed)

    assert error in page.within("after-0-error")
    assert (
        next(one.get("value") for one in page.all("input") if one.get("id") == "after-0") == typed["after-0"]
    )
    assert ladder() is None


def test_a_contact_is_added_with_quiet_hours_and_changed(admin, visit):
    visitor = visit(admin)
    visitor.page("/escalation")
    new = {"name": "Night desk", "channel": "email", "address": "night@example.org", "quiet_from": "22:00",
           "quiet_to": "06:00"}  # fmt: skip

    page = visitor.done("/escalation/contacts", **new)

    contact = db.session.scalars(select(Contact)).one()
    assert (contact.quiet_from, contact.system) == (dt.time(22), False)
    assert "22:00 to 06:00" in page.text
    here = f"/escalation/contacts/{contact.public_id}"
    page = visitor.done(here, **new | {"tell_outages": "on"}, version="1")
    assert "nothing any more" in page.text
    contact = db.session.get_one(Contact, contact.id)
    assert (contact.system, contact.active) == (True, False)
    page = visitor.submitted(here, 422, **new | {"name": "Day desk"}, version="1")
    assert "Name is “Night desk” now" in page.within("name-error")


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"address": "no address"}, "address"),
        ({"channel": "pigeon"}, "channel"),
        ({"quiet_from": "22:00"}, "quiet_to"),
        ({"quiet_from": "22:00", "quiet_to": "22:00"}, "quiet_to"),
        ({"name": ""}, "name"),
    ],
)
def test_a_contact_that_nobody_could_reach_is_refused(admin, visit, typed, field):
    visitor = visit(admin)
    visitor.page("/escalation")
    new = {"name": "Desk", "channel": "email", "address": "desk@example.org"}

    assert visitor.submitted("/escalation/contacts", 422, **new | typed).within(f"{field}-error")
    assert db.session.query(Contact).count() == 0


def test_a_test_message_is_owed_and_its_result_is_shown(admin, ward, visit):
    visitor, here = visit(admin), f"/escalation/contacts/{ward.public_id}"
    page = visitor.page(here)
    assert "whether messages arrive is not known" in page.within("tests")

    page = visitor.done(here + "/test")

    assert "Waits to be sent" in page.within("tests")
    assert next(one for one in page.all("section") if one.get("id") == "tests").get("hx-get") == here
    message = db.session.scalars(select(Message)).one()
    message.state, message.problem, message.ended_at = "failed", "not_configured", AT
    db.session.commit()
    page = visitor.page(here)
    assert "this channel is not configured" in page.within("tests")
    assert "this channel is not configured" in visitor.page("/escalation").text


def test_the_week_shows_who_is_on_call_and_marks_the_gaps(admin, ward, visit):
    builders.create_shift(contact=ward, from_time=dt.time(8), to_time=dt.time(16))
    page = visit(admin).page("/escalation")

    assert "On call now: Ward desk." in page.text
    monday = next(row for row in page.texts("tr") if "Mon 23 Nov 2026" in row)
    assert "00:00 to 08:00 gap: nobody is on call 08:00 to 16:00 Ward desk 16:00 to 24:00 gap" in monday
    assert "Tue 24 Nov 2026 all day gap: nobody is on call" in " ".join(page.texts("tr"))
    later = visit(admin).page("/escalation?week=2027-01-01")
    assert "week of Mon 28 Dec 2026" in later.text
    visit(admin).page("/escalation?week=never", 404)


def test_a_shift_is_added_taken_off_and_put_back(admin, ward, visit):
    visitor = visit(admin)
    visitor.page("/escalation")
    weekly = {"contact_id": str(ward.public_id), "weekday": "1", "from_time": "08:00", "to_time": "08:00"}
    visitor.done("/escalation/shifts", **weekly)
    once = {"contact_id": str(ward.public_id), "starts_at": "2026-12-24T08:00", "ends_at": "2026-12-25T08:00"}
    visitor.done("/escalation/shifts", **once)
    assert [one.weekday for one in db.session.scalars(select(Shift).order_by(Shift.id))] == [1, None]
    last = db.session.scalars(select(Shift).where(Shift.weekday.is_(None))).one()

    page = visitor.done(f"/escalation/shifts/{last.public_id}/remove")

    assert db.session.query(Shift).count() == 1
    form = next(one for one in page.all("form") if "Undo" in "".join(one.itertext()))
    undo = {one.get("name"): one.get("value") for one in form.iter("input")}
    undo.pop("csrf_token")
    visitor.done("/escalation/shifts", **undo)
    again = db.session.scalars(select(Shift).where(Shift.weekday.is_(None))).one()
    assert again.starts_at == dt.datetime(2026, 12, 24, 7, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"weekday": "1", "from_time": "08:00"}, "weekday"),
        ({"starts_at": "2026-12-25T08:00", "ends_at": "2026-12-24T08:00"}, "ends_at"),
        ({"weekday": "1", "from_time": "08:00", "to_time": "9"}, "to_time"),
        ({"contact_id": ""}, "contact_id"),
    ],
)
def test_half_a_shift_is_refused(admin, ward, visit, typed, field):
    visitor = visit(admin)
    visitor.page("/escalation")

    page = visitor.submitted("/escalation/shifts", 422, **{"contact_id": str(ward.public_id)} | typed)

    assert page.within(f"{field}-error")
    assert db.session.query(Shift).count() == 0


def test_a_nurse_reads_it_and_changes_nothing(admin, ward, visit):
    visitor = visit(builders.create_user(clinic=admin.clinic, role="nurse"))
    page = visitor.page("/escalation")

    assert "Ward desk" in page.text
    assert page.texts("button") == ["Sign out"] or "Save the ladder" not in page.texts("button")
    assert "Send a test message" not in visitor.page(f"/escalation/contacts/{ward.public_id}").texts("button")
    assert visitor.post("/escalation/ladder", version="0").status_code == 403
    assert "contact.list" in db.session.scalars(select(AuditEntry.action)).all()


def test_another_clinics_contacts_and_shifts_do_not_exist(admin, visit):
    theirs = builders.create_contact(name="Their desk")
    shift = builders.create_shift(contact=theirs)
    visitor = visit(admin)

    assert "Their desk" not in visitor.page("/escalation").html
    visitor.page(f"/escalation/contacts/{theirs.public_id}", 404)
    assert visitor.post(f"/escalation/contacts/{theirs.public_id}/test").status_code == 404
    assert visitor.post(f"/escalation/shifts/{shift.public_id}/remove").status_code == 404
    page = visitor.submitted("/escalation/shifts", 422, contact_id=str(theirs.public_id), weekday="1")
    assert "Choose who from the list." in page.text
    assert "Their desk" not in visitor.file("/escalation/contacts.csv").text
