"""Whose a device is, when it was implanted and explanted, and its figures, changed in the browser."""

import pytest

from sc_stim.extensions import db
from sc_stim.models import AuditEntry, Clinic, Device, User
from tests import builders
from tests.apps import both_databases


@pytest.fixture
def clinic(app) -> Clinic:
    return builders.create_clinic()


@pytest.fixture
def clinician(clinic: Clinic) -> User:
    return builders.create_user(clinic=clinic, role="clinician")


def form_of(device: Device, **typed: str) -> dict[str, str]:
    """As the page holds it, but for what is typed."""
    pump = {
        "reservoir_ml": "20", "low_reservoir_alarm_ml": "2", "accuracy_pct": "14.5", "catheter_tip_level": "T10",
        "catheter_volume_ml": "0.2", "end_of_service_on": "",
    }  # fmt: skip
    form = {
        "version": str(device.version), "mrn": device.patient.mrn if device.patient else "",
        "implanted_on": "2026-03-02" if device.implanted_on else "", "explanted_on": "", "explantation_reason": "",
        "explantation_note": "", "firmware": "", "mri_note": "", "report_interval_s": "3600",
    }  # fmt: skip
    return form | (pump if device.kind == "pump" else {"leads": "8 T8, 8 T8"}) | typed


@both_databases
def test_a_device_from_the_shelf_is_given_to_a_patient(clinic, clinician, visit):
    pump = builders.put_on_shelf(builders.create_pump(clinic=clinic))
    patient = builders.create_patient(clinic=clinic, mrn="R-77")
    visitor = visit(clinician)
    assert "It is nobody's" in visitor.page(f"/devices/{pump.public_id}").text
    own = f"/devices/{pump.public_id}/edit"
    visitor.page(own)

    nobody = visitor.post(own, **form_of(pump, implanted_on="2026-03-02"))
    assert nobody.status_code == 422 and "say in whom the device is implanted" in nobody.text
    wrong = visitor.post(own, **form_of(pump, mrn="R-78"))
    assert wrong.status_code == 422 and "Nobody here has this record number." in wrong.text
    visitor.done(own, **form_of(pump, mrn="R-77", implanted_on="2026-03-02", catheter_tip_level="t9"))

    db.session.expire_all()
    assert (pump.patient, str(pump.implanted_on), pump.catheter_tip_level) == (patient, "2026-03-02", "T9")
    assert db.session.query(AuditEntry).filter_by(action="device.change").count() == 1


def test_an_explanted_pump_says_why_asks_for_the_one_that_follows_and_whom_to_call(clinic, clinician, visit):
    pump = builders.create_pump(clinic=clinic)
    builders.create_appointment(pump=pump, by=clinician)
    db.session.commit()
    visitor = visit(clinician)
    own = f"/devices/{pump.public_id}/edit"
    visitor.page(own)
    early = visitor.post(own, **form_of(pump, explanted_on="2026-03-01"))
    assert early.status_code == 422
    assert "must not lie before day of implantation" in early.text

    why = {"explantation_reason": "infection", "explantation_note": "Pocket red for a week."}
    without = visitor.post(own, **form_of(pump, **why))
    assert without.status_code == 422 and "give its day, day of explantation, too" in without.text
    page = visitor.done(own, **form_of(pump, explanted_on="2026-06-01", **why))
    assert "is called off: tell the patient." in page.text
    assert "Mon 1 Jun 2026 Infection: Pocket red for a week." in page.texts("dd")
    assert f"/devices/new?patient={pump.patient.public_id}" in page.html
    assert not pump.in_use

    visitor.done(own, **form_of(pump))  # it was the wrong pump
    db.session.expire_all()
    assert pump.in_use


def test_leads_are_typed_with_what_their_label_says(clinic, clinician, visit):
    stimulator = builders.create_stimulator(clinic=clinic)
    stimulator.leads[0].model, stimulator.leads[0].serial = "Octrode, 60 cm", "L-1"
    db.session.commit()
    visitor = visit(clinician)
    own = f"/devices/{stimulator.public_id}/edit"
    typed = "8 T8 (Octrode, 60 cm #L-1), 8 T8"
    assert f'value="{typed}"' in visitor.page(own).html

    for wrong in ("8 th8", "8T8", "8 T8 (Octrode", "0 T8", "8 T8 (#)"):
        assert visitor.post(own, **form_of(stimulator, leads=wrong)).status_code == 422, wrong
    visitor.done(own, **form_of(stimulator, leads="8 t7 (Octrode, 60 cm #L-1), 16 ( #L-2 ), 8 (Lamitrode)"))
    db.session.expire_all()
    assert [(lead.contacts, lead.tip_level, lead.model, lead.serial) for lead in stimulator.leads] == [
        (8, "T7", "Octrode, 60 cm", "L-1"), (16, None, None, "L-2"), (8, None, "Lamitrode", None),
    ]  # fmt: skip
    assert "8 contacts, tip at T7, Octrode, 60 cm, serial L-1" in visitor.page(own.removesuffix("/edit")).text


def test_what_holds_for_an_mri_of_this_implant_stands_wherever_a_scan_is_thought_of(clinic, clinician, visit):
    stimulator = builders.create_stimulator(clinic=clinic)
    task = builders.create_care_task(device=stimulator)
    visitor = visit(clinician)
    own = f"/devices/{stimulator.public_id}"
    visitor.page(f"{own}/edit")
    note = "Abandoned lead at T10: no MRI."
    visitor.done(f"{own}/edit", **form_of(stimulator, mri_note=note))

    for path in (own, f"/tasks/{task.public_id}", f"/patients/{stimulator.patient.public_id}/emergency"):
        assert f"This implant: {note} as the clinic entered it" in visitor.page(path).text, path
    [entry] = db.session.scalars(db.select(AuditEntry).filter_by(action="device.change"))
    assert entry.detail["changed"]["mri_note"] == [None, note]


def test_what_somebody_changed_meanwhile_is_not_overwritten_unseen(clinic, clinician, visit):
    pump = builders.create_pump(clinic=clinic)
    visitor = visit(clinician)
    visitor.page(f"/devices/{pump.public_id}/edit")
    stale = form_of(pump)
    pump.firmware = "8.3"
    db.session.commit()

    answer = visitor.post(f"/devices/{pump.public_id}/edit", **stale)
    assert answer.status_code == 422 and "Firmware is “8.3” now" in answer.text


def test_an_engineer_changes_the_device_and_never_whose_it_is(clinic, visit):
    pump = builders.create_pump(clinic=clinic)
    patient = pump.patient
    visitor = visit(builders.create_user(clinic=clinic, role="engineer"))
    own = f"/devices/{pump.public_id}/edit"
    page = visitor.page(own)
    assert patient.mrn not in page.html and "Record number" not in page.text

    visitor.done(own, **form_of(pump, mrn="", firmware="8.3"))
    db.session.expire_all()
    assert (pump.patient, pump.firmware) == (patient, "8.3")
