"""The leads as a picture: every contact with its newest impedance, and nothing that was not measured."""

import pytest

from sc_stim.extensions import db
from sc_stim.web import lead_map
from sc_stim.web.implants import implants_of
from tests import builders
from tests.builders import AT


@pytest.fixture
def drawn(scene):
    stimulator, pump = implants_of(db.session, scene.patient, AT)
    assert lead_map.draw(pump) is None
    return lead_map.draw(stimulator)


def test_contacts_count_through_all_leads(drawn):
    first, second = drawn.leads
    assert [len(lead.contacts) for lead in drawn.leads] == [8, 8]
    assert first.contacts[0].words == "Contact 1: 480 Ω"
    assert second.contacts[0].words == "Contact 9: 720 Ω"
    assert second.contacts[0].y_px == first.contacts[0].y_px


def test_contacts_in_use_and_broken_ones_are_told_apart(drawn):
    first, _ = drawn.leads
    assert [contact.in_use for contact in first.contacts] == [False] * 3 + [True] * 3 + [False] * 2
    assert (first.contacts[5].state, first.contacts[5].words) == ("open", "Contact 6: 41000 Ω, open?, in use")
    assert first.contacts[4].state == "ok"


def test_a_contact_that_was_not_measured_is_unknown(drawn):
    last = drawn.leads[1].contacts[7]
    assert (last.state, last.words) == ("unknown", "Contact 16: not measured")


def test_the_page_says_it_to_those_who_do_not_see_the_picture(visit, scene):
    page = visit(scene.nurse).page(f"/patients/{scene.patient.public_id}")
    assert "Contact 6: 41000 Ω, open?, in use." in page.text


def test_without_a_prescribed_programme_no_contact_is_called_unused(visit, scene):
    patient = builders.create_patient(clinic=scene.clinic)
    builders.create_stimulator(patient=patient)
    page = visit(scene.nurse).page(f"/patients/{patient.public_id}")
    assert "which ones the programme uses is not on record" in page.text
