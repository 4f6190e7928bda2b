"""The leads as a picture: every contact with its newest impedance, and nothing that was not measured."""

import datetime as dt

import pytest

from sc_stim.extensions import db
from sc_stim.web import lead_map
from sc_stim.web.implants import implants_of
from tests import builders
from tests.builders import AT


@pytest.fixture
def drawn(scene):
    stimulator, pump = implants_of(db.session, scene.patient, AT)
    assert lead_map.draw(db.session(), pump, AT) is None
    return lead_map.draw(db.session(), stimulator, AT)


def test_contacts_count_through_all_leads(drawn):
    first, second = drawn.leads
    assert [len(lead.contacts) for lead in drawn.leads] == [8, 8]
    assert first.contacts[0].words == "Contact 0: 480 Ω"
    assert second.contacts[0].words == "Contact 8: 720 Ω"
    assert second.contacts[0].y_px == first.contacts[0].y_px


def test_contacts_in_use_and_broken_ones_are_told_apart(drawn):
    first, _ = drawn.leads
    assert [contact.in_use for contact in first.contacts] == [False] * 3 + [True] * 3 + [False] * 2
    assert (first.contacts[5].state, first.contacts[5].words) == ("open", "Contact 5: 41000 Ω, open?, in use")
    assert first.contacts[4].state == "ok"


def test_the_page_says_it_to_those_who_do_not_see_the_picture(visit, scene):
    page = visit(scene.nurse).page(f"/patients/{scene.patient.public_id}")
    assert "Contact 5: 41000 Ω, open?, in use." in page.text


def test_without_a_prescribed_programme_no_contact_is_called_unused(visit, scene):
    patient = builders.create_patient(clinic=scene.clinic)
    builders.create_stimulator(patient=patient)
    page = visit(scene.nurse).page(f"/patients/{patient.public_id}")
    assert "which ones the programme uses is not on record" in page.text


def test_the_newest_impedance_stands_however_many_samples_say_nothing_of_it(scene, visit):
    stimulator = builders.create_stimulator(patient=builders.create_patient(clinic=scene.clinic))
    measured = {100: [9.0] * 16, 3: [500.0] * 16, 2: [480.0, 41_000.0, None], 1: None}
    for days_ago, ohm in measured.items():
        at = AT - dt.timedelta(days=days_ago)
        builders.create_stimulator_sample(
            stimulator=stimulator, measured_at=at, seq=100 - days_ago, impedance_ohm=ohm
        )
    address = f"/patients/{stimulator.patient.public_id}"

    page = visit(scene.nurse).page(address)

    for said in (
        "Contact 0: 480 Ω.",
        "Contact 1: 41000 Ω, open?",
        "Contact 2: not measured.",
        "measured Sat 21 Nov",
    ):
        assert said in page.text


def test_impedance_of_long_ago_is_none_of_now(scene, visit):
    stimulator = builders.create_stimulator(patient=builders.create_patient(clinic=scene.clinic))
    builders.create_stimulator_sample(stimulator=stimulator, measured_at=AT - dt.timedelta(days=91))

    page = visit(scene.nurse).page(f"/patients/{stimulator.patient.public_id}")

    assert "impedance not measured in 90 days" in page.text and "Contact 0: not measured." in page.text
