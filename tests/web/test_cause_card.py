"""The cause card on the page of a pain alert, in words a nurse can act on."""

import datetime as dt

import pytest

from sc_stim.extensions import db
from sc_stim.models import Alert, Device, PainFinding
from tests import builders
from tests.builders import AT

DAY = dt.timedelta(days=1)
FLAGGED = dt.date(2026, 11, 21)


@pytest.fixture
def stimulator(app):
    return builders.create_stimulator()


@pytest.fixture
def nurse(stimulator):
    return builders.create_user(clinic=stimulator.patient.clinic, role="nurse")


def report(stimulator: Device, ohm: list[float], days_ago: range) -> None:
    for ago in days_ago:
        builders.create_stimulator_sample(
            stimulator=stimulator, measured_at=AT - ago * DAY, impedance_ohm=ohm, on_s=80_000.0
        )


def risen(stimulator: Device) -> Alert:
    patient = stimulator.patient
    assert patient is not None
    db.session.add(
        PainFinding(
            clinic_id=patient.clinic_id, patient_id=patient.id, rule="rise", day=FLAGGED, kind="step_up", tier="soft",
            onset=FLAGGED - DAY, baseline_nrs=4.0, level_nrs=7.0, model_version="pain-1", severity="low", found_at=AT,
        )
    )  # fmt: skip
    detail = {"flagged": FLAGGED.isoformat(), "next_step": "ask_for_score"}
    return builders.create_alert(
        patient=patient, condition="pain_rise", severity="low", model_version="pain-1", detail=detail
    )


def test_the_likeliest_cause_stands_first_with_its_values(stimulator, nurse, visit):
    report(stimulator, [500.0, 600.0], range(30, 4, -1))
    report(stimulator, [500.0, 1800.0], range(4, 1, -1))
    page = visit(nurse).page(f"/alerts/{risen(stimulator).public_id}")
    assert "Is the device the cause?" in page.texts("h3")
    assert page.texts("h4")[0] == "For the likeliest first"
    assert "Device possible: Impedance of contact 1 jumped: 1800 Ohm, usually 600 Ohm." in page.text
    assert "1800 Ohm" in page.texts("td")
    facts = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert facts["What to do"] == "Ask the patient for a score"


def test_a_device_that_did_what_it_always_does_is_unlikely(stimulator, nurse, visit):
    report(stimulator, [500.0, 600.0], range(30, 0, -1))
    page = visit(nurse).page(f"/alerts/{risen(stimulator).public_id}")
    assert "Device unlikely." in page.text
    assert page.texts("h4") == ["Against"]


def test_a_silent_device_is_not_known(stimulator, nurse, visit):
    page = visit(nurse).page(f"/alerts/{risen(stimulator).public_id}")
    assert "No device data: cannot say." in page.text
    assert "Device unlikely" not in page.text


def test_an_alert_of_a_device_has_no_cause_card(stimulator, nurse, visit):
    alert = builders.create_alert(patient=stimulator.patient, device=stimulator, condition="low_battery")
    assert "Is the device the cause?" not in visit(nurse).page(f"/alerts/{alert.public_id}").text
