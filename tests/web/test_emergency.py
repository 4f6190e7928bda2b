"""The emergency sheet, and the links by which people without an account read it."""

import re

import pytest

from sc_stim.extensions import db
from sc_stim.models import AuditEntry, EmergencyLink
from tests import builders
from tests.web.scene import create_forecast


@pytest.fixture
def sheet(scene):
    return f"/patients/{scene.patient.public_id}/emergency"


def opened(visitor, sheet, hours="24"):
    """The page with a new link, and the address on it."""
    visitor.page(sheet)
    shown = visitor.submitted(sheet, hours=hours)
    return shown, re.search(r"http://\S+(/emergency/[\w-]+)", shown.text).group(1)


def actions():
    return [entry.action for entry in db.session.scalars(db.select(AuditEntry).order_by(AuditEntry.id))]


def test_the_sheet_has_all_that_an_emergency_department_asks_for(visit, scene, sheet):
    shown = visit(scene.nurse).page(sheet).text
    for fact in (
        "Example, Ada", "Pain Clinic Riverside: +49 30 5550000", "Catheter tipT10", "Morphine 10 mg/mL",
        "0.2 mL/day as the pump reports", "15.4 mL left", "Last refill", "Earliest empty", "Prone to withdrawal",
        "Spinal cord stimulator", "8 contacts, tip at T8", "Before:", "Afterwards:",
    ):  # fmt: skip
        assert fact in shown, fact
    assert actions()[-1] == "emergency_sheet.view"


def test_what_stopping_the_drug_does_stands_above_the_pump(visit, scene):
    patient = builders.create_patient(clinic=scene.clinic)
    builders.create_stimulator(patient=patient)
    pump = builders.create_pump(patient=patient)
    create_forecast(pump=pump, days=3, result={"reasons": ["overdue", "life_threatening_withdrawal"]})

    page = visit(scene.nurse).page(f"/patients/{patient.public_id}/emergency")

    assert [heading.split(":")[0] for heading in page.texts("h2")[:2]] == [
        "Intrathecal drug pump",
        "Spinal cord stimulator",
    ]
    assert page.text.count("Stopping this drug suddenly can kill.") == 1


def test_what_is_not_on_record_is_said(visit, scene):
    patient = builders.create_patient(clinic=scene.clinic)
    builders.create_pump(patient=patient, catheter_tip_level=None)
    shown = visit(scene.nurse).page(f"/patients/{patient.public_id}/emergency").text
    for gap in (
        "level not on record",
        "no drug on record",
        "not reported",
        "volume not reported",
        "not known",
    ):
        assert gap in shown, gap


def test_a_link_opens_the_sheet_without_an_account_and_each_reading_is_on_record(visit, scene, sheet):
    shown, address = opened(visit(scene.nurse), sheet)
    assert "QR code" in shown.text
    assert shown.all("section")[-1].find("form").get("action").endswith("#code-heading"), (
        "the code comes into view"
    )
    read = visit(None).page(address)
    assert "Catheter tipT10" in read.text
    assert "A new link that lasts" not in read.text, "a reader makes no links"
    link = db.session.scalars(db.select(EmergencyLink)).one()
    assert (link.times_read, actions()[-1]) == (1, "emergency_sheet.read")
    assert address.rpartition("/")[2].encode() not in link.token_sha256


def test_a_link_ends_by_itself_and_by_hand(visit, scene, sheet, time):
    nurse = visit(scene.nurse)
    _, one = opened(nurse, sheet, "1")
    _, day = opened(nurse, sheet, "24")
    time.pass_by(hours=2)
    assert visit(None).page(one, 404).texts("h1") == ["This link opens nothing (any more)"]
    assert visit(None).page(day).status == 200
    nurse = visit(scene.nurse)
    nurse.page(sheet)
    assert "1 link ended." in nurse.done(f"{sheet}/revoke").text
    assert visit(None).page(day, 404)


def test_unknown_tokens_get_the_same_answer_as_ended_ones(visit):
    assert visit(None).page("/emergency/" + "x" * 43, 404).texts("h1") == [
        "This link opens nothing (any more)"
    ]


def test_a_link_that_lasts_too_long_is_refused_with_what_to_choose(visit, scene, sheet):
    nurse = visit(scene.nurse)
    nurse.page(sheet)
    assert (
        "Choose how long the link lasts: 1 hour, 24 hours, 7 days." in nurse.done(sheet, hours="100000").text
    )
    assert db.session.scalar(db.select(db.func.count(EmergencyLink.id))) == 0


def test_other_clinics_and_roles_make_no_links(visit, scene, sheet):
    stranger = builders.create_user(clinic=builders.create_clinic(), role="clinician")
    for user, status in ((stranger, 404), (scene.engineer, 403)):
        assert visit(user).get(sheet).status_code == status
