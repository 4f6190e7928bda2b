"""Registering a device: its label is read and shown, then it is saved, once."""

import pytest
from sqlalchemy import select

from sc_stim.extensions import db
from sc_stim.models import Device
from tests import builders

LABEL = "(01)00643169007222(17)291231(10)L77(21)NGP123456H"
SCANNED = "010064316900722217291231" + "10L77\x1d21NGP123456H"
PUMP = "Prometra II 20 mL"


@pytest.fixture
def clinic(app):
    return builders.create_clinic()


@pytest.fixture
def engineer(clinic, visit):
    visitor = visit(builders.create_user(clinic=clinic, role="engineer"))
    visitor.page("/devices/new")
    return visitor


@pytest.fixture
def clinician(clinic, visit):
    visitor = visit(builders.create_user(clinic=clinic, role="clinician"))
    visitor.page("/devices/new")
    return visitor


def registered():
    return db.session.scalars(select(Device)).all()


def values_of(page):
    return {one.get("name"): one.get("value") for one in page.all("input") if one.get("name")}


@pytest.mark.parametrize("typed", [LABEL, SCANNED, SCANNED.replace("\x1d", "<GS>"), f" {LABEL} "])
def test_what_the_label_says_is_shown_before_anything_is_saved(engineer, typed):
    page = engineer.submitted("/devices/new", udi=typed)

    facts = [f"{name} {value}" for name, value in zip(page.texts("dt"), page.texts("dd"), strict=True)]
    assert facts == [
        "Device identifier 00643169007222", "Serial NGP123456H", "Lot L77", "Expires Mon 31 Dec 2029",
    ]  # fmt: skip
    assert values_of(page)["udi"] == LABEL
    assert registered() == []


def test_a_label_that_has_expired_is_marked(engineer):
    page = engineer.submitted("/devices/new", udi=LABEL.replace("291231", "251231"))

    assert page.texts("dd")[-1] == "Wed 31 Dec 2025 has expired"


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("hello", "it is neither GS1"),
        ("(01)00643169007223(21)X", "the device identifier (01) is mistyped"),
        ("\x1d\x02", "UDI"),
        ("x" * 300, "300 characters"),
        ("<script>alert(1)</script>", "UDI"),
    ],
)
def test_what_is_no_udi_is_refused_beside_the_field_and_kept(engineer, typed, why):
    page = engineer.submitted("/devices/new", 422, udi=typed)

    assert why in page.within("udi-error")
    if typed.isprintable():
        assert values_of(page)["udi"] == typed


def test_an_engineer_registers_a_device_and_is_led_to_its_login(engineer):
    engineer.submitted("/devices/new", udi=SCANNED)
    page = engineer.done("/devices/register", udi=LABEL, model=PUMP, reservoir_ml="20")

    [device] = registered()
    assert (device.serial, device.lot, device.expires_on.isoformat()) == ("NGP123456H", "L77", "2029-12-31")
    assert (device.reservoir_ml, device.patient_id, device.status) == (20.0, None, "registered")
    assert page.texts("h1")[0].endswith(PUMP)
    assert "It sends nothing until an engineer gives it a login." in page.text
    assert "Issue a login" in page.within("login")


def test_a_duplicate_is_refused_in_words(engineer):
    for status in (303, 422):
        answer = engineer.post("/devices/register", udi=LABEL, model=PUMP, reservoir_ml="20")
        assert answer.status_code == status
        engineer.page("/devices/new")

    page = engineer.submitted("/devices/register", 422, udi=LABEL, model=PUMP, reservoir_ml="20")
    assert "with serial 'NGP123456H' is registered already" in page.within("udi-error")
    [device] = registered()
    page = engineer.submitted("/devices/new", udi=LABEL)  # and is said as soon as its label is read
    assert f"It is registered already: {PUMP}, serial NGP123456H" in page.text
    assert f"/devices/{device.public_id}" in page.html


def test_another_device_of_a_known_identifier_is_taken_for_the_same_model(engineer):
    engineer.done("/devices/register", udi=LABEL, model=PUMP, reservoir_ml="20")
    page = engineer.submitted("/devices/new", udi=LABEL.replace("NGP123456H", "NGP2"))

    [chosen] = [option for option in page.all("option") if option.get("selected") is not None]
    assert chosen.get("value") == PUMP
    assert "registered already" not in page.text


@pytest.mark.parametrize(
    ("typed", "field", "why"),
    [
        ({"model": ""}, "model", "Choose model"),
        ({"model": "Toaster"}, "model", "Choose model"),
        ({"model": "SynchroMed III 20 mL", "reservoir_ml": ""}, "reservoir_ml", "Reservoir: give the volume"),
        ({"reservoir_ml": "lots"}, "reservoir_ml", "must be a number of mL"),
        ({"report_interval_s": "-1"}, "report_interval_s", "between 0 and 604800"),
        ({"leads": "8"}, "leads", "Leads: a pump has a catheter"),
        ({"leads": "eight"}, "leads", "as 8 T8, 8 T9"),
        ({"udi": "", "serial": ""}, "serial", "give the UDI, or the serial number"),
        ({"udi": "(01)00643169007222"}, "serial", "give it as well"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_saved(engineer, typed, field, why):
    right = {"udi": LABEL, "model": PUMP, "reservoir_ml": "20"}
    page = engineer.submitted("/devices/register", 422, **right | typed)

    assert why in page.within(f"{field}-error")
    assert registered() == []


def test_without_a_udi_the_serial_number_is_typed(engineer):
    page = engineer.submitted("/devices/new", udi="")
    assert "No UDI was given" in page.text

    engineer.done(
        "/devices/register", model="Intellis", serial="N17", leads="8 T8, 8 t9", report_interval_s="900"
    )

    [device] = registered()
    assert (device.serial, device.udi, device.report_interval_s) == ("N17", None, 900)
    assert [(lead.contacts, lead.tip_level) for lead in device.leads] == [(8, "T8"), (8, "T9")]


def test_a_clinician_sees_whose_it_will_be_before_saying_so(clinic, clinician):
    patient = builders.create_patient(clinic=clinic, mrn="R-9")
    page = clinician.submitted("/devices/new", udi=LABEL, mrn="R-9")
    assert f"For {patient.display_name}" in page.text
    assert values_of(page)["mrn"] == "R-9"

    clinician.done(
        "/devices/register", udi=LABEL, mrn="R-9", model=PUMP, reservoir_ml="20", implanted_on="2026-11-20"
    )

    [device] = registered()
    assert (device.patient_id, device.status) == (patient.id, "implanted")


def test_the_way_from_a_patient_brings_the_record_number(clinic, clinician, engineer):
    patient = builders.create_patient(clinic=clinic, mrn="R-9")
    stranger = builders.create_patient(mrn="R-10")

    assert values_of(clinician.page(f"/devices/new?patient={patient.public_id}"))["mrn"] == "R-9"
    assert values_of(clinician.page(f"/devices/new?patient={stranger.public_id}"))["mrn"] == ""
    assert "mrn" not in values_of(engineer.page(f"/devices/new?patient={patient.public_id}"))


def test_another_clinics_patient_is_nobody_here(clinician):
    builders.create_patient(mrn="R-10")

    page = clinician.submitted("/devices/new", 422, udi=LABEL, mrn="R-10")

    assert "Nobody here has this record number." in page.within("mrn-error")
    assert values_of(page)["mrn"] == "R-10"


def test_an_engineer_gives_a_device_to_nobody(clinic, engineer):
    builders.create_patient(clinic=clinic, mrn="R-9")

    engineer.done("/devices/register", udi=LABEL, model=PUMP, reservoir_ml="20", mrn="R-9")

    assert [device.patient_id for device in registered()] == [None]


def test_the_camera_is_offered_by_a_script_of_its_own(engineer):
    page = engineer.page("/devices/new")

    [place] = [one for one in page.all("div") if one.get("data-scan")]
    assert place.get("hidden") is not None  # until the browser says that it can
    [script] = [one.get("src") for one in page.all("script") if "/scan." in one.get("src")]
    assert "getUserMedia" in engineer.get(script).text
    assert "DataMatrix" in engineer.get(place.get("data-reader")).text
