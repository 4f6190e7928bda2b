"""Finding a patient. What is typed goes in the body of a POST: names belong in no address and no log of addresses."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import func, or_, select

from sc_stim.access import in_clinic, requires
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.models import Patient
from sc_stim.web import page
from sc_stim.web.blueprint import pages
from sc_stim.workflows import audit

MOST: Final = 50


@pages.get("/patients", endpoint="patients")
@requires("patients.read")
def show() -> str:
    return _found("")


@pages.post("/patients", endpoint="find_patients")
@requires("patients.read")
def find() -> str:
    return _found(page.typed("name"))


def _found(name: str) -> str:
    patients = _search(name)
    shown = page.render("patients.html", patients=patients, name=name, limit=MOST)
    seen = [str(patient.public_id) for patient in patients]
    audit.record(db.session, actor(), "patient.list", detail={"patients": seen}, at=page.at())
    db.session.commit()
    return shown


def _search(name: str) -> Sequence[Patient]:
    """Patients whose family name begins so, or with exactly this record number, by name."""
    statement = in_clinic(select(Patient), Patient, actor().clinic_id)
    if name:
        begins = func.lower(Patient.family_name).startswith(name.lower(), autoescape=True)
        statement = statement.where(or_(begins, Patient.mrn == name))
    return db.session.scalars(
        statement.order_by(Patient.family_name, Patient.given_name, Patient.id).limit(MOST)
    ).all()
