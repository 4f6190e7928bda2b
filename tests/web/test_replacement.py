"""A device is replaced on one page: it says what follows, and the old one goes out as the new one comes in."""

import pytest

from sc_stim.extensions import db
from sc_stim.models import Appointment, Clinic, Device
from tests import builders
from tests.apps import both_databases
from tests.builders import AT

DAY = "2026-11-20"


@pytest.fixture
def clinic(app) -> Clinic:
    return builders.create_clinic()


@pytest.fixture
def pump(clinic: Clinic) -> Device:
    return builders.create_pump(clinic=clinic, serial="OLD-1")


@pytest.fixture
def clinician(clinic: Clinic, visit):
    return visit(builders.create_user(clinic=clinic))


def shelved(clinic: Clinic, **values: object) -> Device:
    return builders.put_on_shelf(builders.create_pump(clinic=clinic, **values))


def form_of(old: Device, new: Device, **typed: str) -> dict[str, str]:
    form = {
        "version": str(old.version),
        "device_id": str(new.public_id),
        "explanted_on": DAY,
        "parts": "stay",
    }
    return form | {"explantation_reason": "end_of_service", "explantation_note": ""} | typed


@both_databases
def test_the_page_says_what_follows_and_then_both_records_change_at_once(clinic, pump, clinician):
    new = shelved(clinic, serial="NEW-1", catheter_tip_level=None)
    builders.create_appointment(pump=pump)
    builders.create_alert(patient=pump.patient, device=pump, open_key=f"no_data:{pump.id}")
    builders.create_care_task(device=pump)
    own = f"/devices/{pump.public_id}/replace"
    assert own in clinician.page(f"/devices/{pump.public_id}").html

    page = clinician.page(own)
    follows = page.texts("li")
    assert "The refill booked for Thu 3 Dec 2026 10:00 is called off: tell the patient." in follows
    assert "What is open about it ends: 1 alert, 1 task." in page.text

    done = clinician.done(own, **form_of(pump, new))
    assert "Done: this device is in, Example Pump OLD-1 is out." in done.text
    assert "The refill booked for Thu 3 Dec 2026 10:00 is called off: tell the patient." in done.text
    assert f"/pumps/{new.public_id}/visit" in done.html  # its first fill is next
    assert done.texts("h1") == ["Example Medical Example Pump"] and "serial NEW-1" in done.text
    db.session.expire_all()
    assert (pump.status, pump.explantation_reason) == ("explanted", "end_of_service")
    assert (new.status, new.patient, new.catheter_tip_level) == ("implanted", pump.patient, "T10")
    assert db.session.scalars(db.select(Appointment.state)).all() == ["cancelled"]
    assert "the device that follows it" not in clinician.page(f"/devices/{pump.public_id}").text


def test_an_engineer_replaces_a_device_without_learning_whose_it_is(clinic, pump, visit):
    new = shelved(clinic)
    builders.create_appointment(pump=pump)
    builders.create_broker_login(device=pump)
    engineer = visit(builders.create_user(clinic=clinic, role="engineer"))
    own = f"/devices/{pump.public_id}/replace"

    page = engineer.page(own)
    done = engineer.done(own, **form_of(pump, new))

    for seen in (page, done):
        assert pump.patient.family_name not in seen.html and "3 Dec" not in seen.html
        assert "ask the nurses to tell the patient" in seen.text
    assert "its login still works" in engineer.page(f"/devices/{pump.public_id}").text
    db.session.expire_all()
    assert new.patient == pump.patient


def test_what_is_wrong_is_said_beside_its_field_and_nothing_changes(clinic, pump, clinician):
    new, taken = shelved(clinic), builders.create_pump(clinic=clinic)
    stimulator = builders.put_on_shelf(builders.create_stimulator(clinic=clinic))
    foreign = shelved(builders.create_clinic())
    own = f"/devices/{pump.public_id}/replace"
    clinician.page(own)

    for typed, why in (
        ({"device_id": ""}, "New device is needed."),
        ({"device_id": str(taken.public_id)}, "New device: is not on the shelf"),
        ({"device_id": str(stimulator.public_id)}, "a pump is replaced by a pump"),
        ({"device_id": str(foreign.public_id)}, "This device is not here."),
        ({"explanted_on": ""}, "Day of the replacement is needed."),
        ({"explanted_on": "2026-01-01"}, "Day of the replacement: lies before 2026-03-02"),
        ({"explanted_on": "2026-12-24"}, "Day of the replacement: lies in the future."),
        ({"explantation_reason": ""}, "Choose reason from the list."),
        ({"parts": ""}, "Choose leads or catheter from the list."),
    ):
        answer = clinician.submitted(own, 422, **form_of(pump, new, **typed))
        assert why in answer.text, typed
    db.session.expire_all()
    assert (pump.status, new.status) == ("implanted", "registered")


def test_a_stale_page_and_a_device_that_is_out_are_refused(clinic, pump, clinician):
    new = shelved(clinic)
    own = f"/devices/{pump.public_id}/replace"
    clinician.page(own)
    stale = form_of(pump, new, version="7")

    assert "somebody has changed this" in clinician.done(own, **stale).text
    clinician.done(own, **form_of(pump, new))
    again = clinician.get(own)
    assert again.status_code == 303
    assert "only a device that is implanted can be replaced" in clinician.page(again.location).text


def test_with_an_empty_shelf_the_new_one_is_registered_first_and_proposed(clinic, pump, clinician):
    own = f"/devices/{pump.public_id}/replace"
    page = clinician.page(own)
    assert "No pump is on the shelf." in page.text

    page = clinician.page(f"/devices/new?replaces={pump.public_id}")
    assert "It will replace Example Pump OLD-1." in page.text
    label = {"udi": "(01)00643169007222(21)NEW-9", "replaces": str(pump.public_id)}
    assert "It will replace Example Pump OLD-1." in clinician.submitted("/devices/new", **label).text
    page = clinician.done("/devices/register", **label, model="Prometra II 20 mL", reservoir_ml="20")

    assert page.texts("h1") == ["Replace Example Medical Example Pump"]
    [chosen] = [option for option in page.all("option") if option.get("selected") is not None]
    assert "NEW-9" in chosen.text


def test_a_device_that_was_cut_off_is_said_to_be_so_where_it_is_missed(clinic, pump, visit):
    builders.create_broker_login(device=pump, revoked_at=AT)
    nurse = visit(builders.create_user(clinic=clinic, role="nurse"))
    pump.created_at = AT.replace(month=1)
    db.session.commit()

    alert = builders.create_alert(patient=pump.patient, device=pump, condition="no_data")
    patient = f"/patients/{pump.patient.public_id}"
    for path in ("/worklist", f"/devices/{pump.public_id}", f"/alerts/{alert.public_id}", patient):
        assert "it cannot report until an engineer gives it a new login" in nurse.page(path).text, path
    assert "cut off" in nurse.page("/devices").text
    assert "what it does now is not known" in nurse.page(f"{patient}/emergency").text
    pump.explanted_on = AT.date()
    db.session.commit()
    assert "cannot report" not in nurse.page(f"/devices/{pump.public_id}").text
