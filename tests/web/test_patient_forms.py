"""Entering a patient in the browser, finding patients again, and taking the list along."""

import csv
import io

import pytest
from sqlalchemy import select

from sc_stim.extensions import db
from sc_stim.models import Assessment, AuditEntry, Clinic, Patient, Treatment, User
from tests import builders
from tests.apps import both_databases
from tests.web.pages import Page, text

NEW = {"family_name": "Alder", "given_name": "Ann", "mrn": "R-1", "time_zone": "Europe/Berlin"}


@pytest.fixture
def clinic(app) -> Clinic:
    return builders.create_clinic()


@pytest.fixture
def nurse(clinic: Clinic) -> User:
    return builders.create_user(clinic=clinic, role="nurse")


def listed(page: Page) -> list[str]:
    return [text(header).split(",")[0] for header in page.all("th") if header.get("scope") == "row"]


@both_databases
def test_a_patient_is_entered_with_a_care_pathway(nurse, visit):
    visitor = visit(nurse)
    visitor.page("/patients/new")
    page = visitor.done(
        "/patients/new", **NEW, birth_date="1961-04-02", phone="+49 30 1", email="ann@example.org",
        indication="Pain after spinal surgery", indication_icd10="M96.1", risk_factors="smoking", symptoms="insomnia",
        withdrawal_prone="1",
    )  # fmt: skip
    assert page.texts("h1") == ["Care pathway of Alder, Ann"]
    patient = db.session.scalars(select(Patient)).one()
    own = f"/patients/{patient.public_id}"
    visitor.done(f"{own}/treatments", kind="stimulator_trial", started_on="2025-03-01", relief_pct="62,5")
    page = visitor.done(
        f"{own}/assessments", examination="mri", performed_on="2025-01-10", finding="Fibrosis L5"
    )

    assert (patient.risk_factors, patient.symptoms, patient.withdrawal_prone) == (
        ["smoking"],
        ["insomnia"],
        True,
    )
    assert (str(patient.birth_date), patient.indication_icd10) == ("1961-04-02", "M96.1")
    assert "62.5 % relief" in page.text and "Fibrosis L5" in page.text
    actions = set(db.session.scalars(select(AuditEntry.action)))
    assert {"patient.create", "treatment.create", "assessment.create"} <= actions


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("family_name", "", "Family name is needed."),
        ("mrn", " ", "Record number is needed."),
        ("birth_date", "2031-01-01", "Born: the day must lie between 1900 and today."),
        ("birth_date", "yesterday", "Born must be a date"),
        ("email", "ann", "Not the form of an e-mail address"),
        ("indication_icd10", "back", "Not the form of an ICD-10 code"),
        ("time_zone", "Mars/Base", "The time zone must be one of the list"),
        ("phone", "1" * 41, "Telephone has 41 characters; 40 fit."),
    ],
)
def test_a_field_that_cannot_be_right_is_refused_beside_it_and_what_was_typed_stays(
    nurse, visit, field, value, said
):
    visitor = visit(nurse)
    visitor.page("/patients/new")

    page = visitor.submitted("/patients/new", 422, **NEW | {field: value, "indication": "Kept text"})

    assert said in page.within(f"{field}-error")
    assert "Kept text" in page.html
    assert db.session.query(Patient).count() == 0


def test_a_record_number_is_one_patients(clinic, nurse, visit):
    builders.create_patient(clinic=clinic, mrn="R-1")
    visitor = visit(nurse)
    visitor.page("/patients/new")

    page = visitor.submitted("/patients/new", 422, **NEW, risk_factors="smoking")

    assert page.within("mrn-error") == "This clinic has a patient with this record number already."
    assert next(box for box in page.all("input") if box.get("value") == "smoking").get("checked") is not None


def test_a_record_is_changed_and_nobodys_change_is_overwritten_unseen(clinic, nurse, visit):
    patient = builders.create_patient(clinic=clinic, **NEW, phone="1")
    path = f"/patients/{patient.public_id}/edit"
    visitor = visit(nurse)
    page = visitor.page(path)
    version = next(field.get("value") for field in page.all("input") if field.get("name") == "version")
    typed = NEW | {"phone": "2", "version": version}

    visitor.done(path, **typed)
    assert db.session.get_one(Patient, patient.id).phone == "2"
    page = visitor.submitted(path, 422, **typed | {"phone": "3"})
    assert "Telephone is “2” now: somebody changed it meanwhile." in page.text
    assert db.session.get_one(Patient, patient.id).phone == "2"


def test_a_step_of_the_pathway_is_changed(clinic, nurse, visit):
    patient = builders.create_patient(clinic=clinic)
    own, visitor = f"/patients/{patient.public_id}", visit(nurse)
    visitor.page(f"{own}/pathway")
    visitor.done(f"{own}/treatments", kind="medication", started_on="2025-03-01")
    visitor.done(f"{own}/assessments", examination="ct", performed_on="2025-01-10", finding="None")
    treatment, assessment = (
        db.session.scalars(select(Treatment)).one(),
        db.session.scalars(select(Assessment)).one(),
    )

    step = f"{own}/treatments?treatment={treatment.public_id}"
    assert "Change this treatment" in visitor.page(f"{own}/pathway?treatment={treatment.public_id}").text
    values = {"kind": "medication", "started_on": "2025-03-01", "version": "1"}
    page = visitor.submitted(step, 422, **values, ended_on="2025-02-01")
    assert page.within("ended_on-error").startswith("Ended on lies before the beginning")
    visitor.done(step, **values, ended_on="2025-04-01")
    assert "Somebody has changed this" in visitor.submitted(step, 422, **values).within("kind-error")
    visitor.done(
        f"{own}/assessments?assessment={assessment.public_id}", examination="ct", performed_on="2025-01-10",
        finding="Stenosis", version="1",
    )  # fmt: skip
    assert str(db.session.get_one(Treatment, treatment.id).ended_on) == "2025-04-01"
    assert db.session.get_one(Assessment, assessment.id).finding == "Stenosis"


@pytest.mark.parametrize("name", ["treatment", "assessment"])
def test_a_step_of_somebody_else_does_not_exist_here(clinic, nurse, visit, name):
    patient, other = (builders.create_patient(clinic=clinic) for _ in range(2))
    visitor = visit(nurse)
    visitor.page(f"/patients/{other.public_id}/pathway")
    visitor.done(f"/patients/{other.public_id}/treatments", kind="cbt", started_on="2025-03-01")
    theirs = db.session.scalars(select(Treatment)).one().public_id

    assert visitor.get(f"/patients/{patient.public_id}/pathway?{name}={theirs}").status_code == 404


@both_databases
def test_patients_are_narrowed_by_device_risk_factor_and_review(clinic, nurse, visit):
    pump, stimulator, _ = (
        builders.create_patient(clinic=clinic, family_name=name, risk_factors=factors)
        for name, factors in (("Pump", ["smoking"]), ("Stimulator", []), ("None", ["smoking", "diabetes"]))
    )
    builders.create_pump(patient=pump)
    builders.create_stimulator(patient=stimulator)
    builders.create_review(patient=stimulator)
    visitor = visit(nurse)

    for query, names in (
        ("device=pump", ["Pump"]), ("device=none", ["None"]), ("risk=smoking", ["None", "Pump"]),
        ("risk=smoking&device=pump", ["Pump"]), ("device=x", ["None", "Pump", "Stimulator"]),
    ):  # fmt: skip
        assert listed(visitor.page(f"/patients?{query}")) == names
    assert "None" not in listed(visitor.page("/patients?review=due"))
    assert visitor.page("/patients?risk=stenosis").within("main").count("Nobody is like that.") == 1


@both_databases
def test_the_next_page_goes_on_where_the_last_ended(clinic, nurse, visit, monkeypatch):
    monkeypatch.setattr("sc_stim.web.patients.PAGE_SIZE", 2)
    for name in ("Birch", "Alder", "Alder", "Cedar", "Dogwood"):
        builders.create_patient(clinic=clinic, family_name=name)
    visitor = visit(nurse)
    page, found = visitor.page("/patients"), []
    while True:
        found += listed(page)
        after = [field.get("value") for field in page.all("input") if field.get("name") == "after"]
        if not after:
            break
        page = visitor.submitted("/patients", after=after[0])

    assert found == ["Alder", "Alder", "Birch", "Cedar", "Dogwood"]
    assert visitor.post("/patients", after="nobody").status_code == 404


def test_the_list_is_a_file_without_what_a_spreadsheet_would_run(clinic, nurse, visit):
    builders.create_patient(clinic=clinic, family_name="=1+1", risk_factors=["smoking"])
    builders.create_patient(clinic=clinic, family_name="Other")
    builders.create_patient(family_name="Stranger")

    rows = list(csv.DictReader(io.StringIO(visit(nurse).file("/patients.csv?risk=smoking").text)))

    assert [(row["family_name"], row["risk_factors"]) for row in rows] == [("'=1+1", "Smoking")]
    assert db.session.query(AuditEntry).filter_by(action="patient.export").count() == 1
