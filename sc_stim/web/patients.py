"""Finding a patient. What is typed goes in the body of a POST: names belong in no address and no log of addresses."""

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from flask import Response, abort, request
from sqlalchemy import Select, exists, func, or_, select, tuple_
from sqlalchemy.orm import selectinload

from sc_stim.access import in_clinic, requires
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.i18n import _lazy
from sc_stim.models import Device, Patient
from sc_stim.models.patient import RISK_FACTORS
from sc_stim.models.review import reviews_due
from sc_stim.models.scope import find as find_row
from sc_stim.web import page, words
from sc_stim.web.blueprint import pages
from sc_stim.web.exports import csv_answer
from sc_stim.workflows import audit

PAGE_SIZE: Final = 50
DEVICES: Final = {"pump": _lazy("Pump"), "stimulator": _lazy("Stimulator"), "none": _lazy("No device")}
REVIEWS: Final = {"due": _lazy("Review due")}
ORDER: Final = (Patient.family_name, Patient.given_name, Patient.id)
CSV_HEADER: Final = (
    "family_name", "given_name", "record_number", "born", "telephone", "e_mail", "indication_icd10", "indication",
    "risk_factors", "devices",
)  # fmt: skip


@dataclass(frozen=True)
class Chosen:
    """Which patients: with such a device, with this risk factor, with a review that is due. Empty: all."""

    device: str = ""
    risk: str = ""
    review: str = ""

    @classmethod
    def asked_for(cls) -> Self:
        """By the address of this request; what cannot be is left out of account."""
        known = {"device": DEVICES, "risk": RISK_FACTORS, "review": REVIEWS}
        said = {name: request.args.get(name, "") for name in known}
        return cls(**{name: value for name, value in said.items() if value in known[name]})

    def query(self) -> dict[str, str]:
        return {name: value for name, value in asdict(self).items() if value}


@pages.get("/patients", endpoint="patients")
@requires("patients.read")
def show() -> str:
    return _found("")


@pages.post("/patients", endpoint="find_patients")
@requires("patients.read")
def find() -> str:
    """`after` is the patient that the page before ended with."""
    return _found(page.typed("name"), page.typed("after"))


@pages.get("/patients.csv", endpoint="patients_csv")
@requires("patients.read")
def export() -> Response:
    """Everybody who is chosen, whatever page was looked at."""
    patients = db.session.scalars(_statement("", Chosen.asked_for())).all()
    lines = [_line(patient) for patient in patients]
    seen = [str(patient.public_id) for patient in patients]
    audit.record(db.session, actor(), "patient.export", detail={"patients": seen}, at=page.at())
    db.session.commit()
    return csv_answer("patients", CSV_HEADER, lines)


def _found(name: str, after: str = "") -> str:
    chosen = Chosen.asked_for()
    statement = _after(_statement(name, chosen), after)
    patients = db.session.scalars(statement.limit(PAGE_SIZE + 1)).all()
    shown = page.render(
        "patients.html",
        patients=patients[:PAGE_SIZE],
        following=patients[PAGE_SIZE - 1].public_id if len(patients) > PAGE_SIZE else None,
        name=name,
        after=after,
        chosen=chosen,
        devices=DEVICES,
        reviews=REVIEWS,
        risks=[(code, words.plain(code)) for code in RISK_FACTORS],
    )
    seen = [str(patient.public_id) for patient in patients[:PAGE_SIZE]]
    audit.record(db.session, actor(), "patient.list", detail={"patients": seen}, at=page.at())
    db.session.commit()
    return shown


def _statement(name: str, chosen: Chosen) -> Select[Any]:
    """Patients whose family name begins so, or with exactly this record or serial number, by name."""
    clinic_id = actor().clinic_id
    statement = in_clinic(select(Patient), Patient, clinic_id).order_by(*ORDER)
    if name:
        begins = func.lower(Patient.family_name).startswith(name.lower(), autoescape=True)
        statement = statement.where(or_(begins, Patient.mrn == name, _has(Device.serial == name)))
    if chosen.device:
        statement = statement.where(
            _has(Device.kind == chosen.device) if chosen.device != "none" else ~_has()
        )
    if chosen.review:
        due, _marked = reviews_due(clinic_id, page.today())
        statement = statement.where(Patient.id.in_(due.with_only_columns(Patient.id)))
    if chosen.risk:
        statement = statement.where(Patient.id.in_(_with_risk(clinic_id, chosen.risk)))
    return statement.options(selectinload(Patient.devices))  # type: ignore[no-any-return]


def _has(*conditions: Any) -> Any:
    """For a Patient: lives with such a device."""
    return exists().where(Device.patient_id == Patient.id, Device.in_use, *conditions)


def _with_risk(clinic_id: int, factor: str) -> Sequence[int]:
    """The two databases look into a list of words differently; a clinic's patients with any factor are few."""
    statement = in_clinic(select(Patient.id, Patient.risk_factors), Patient, clinic_id)
    return [patient_id for patient_id, factors in db.session.execute(statement) if factor in (factors or ())]


def _after(statement: Select[Any], after: str) -> Select[Any]:
    if not after:
        return statement
    try:
        last = find_row(db.session(), Patient, actor().clinic_id, uuid.UUID(after)) or abort(404)
    except ValueError:
        abort(404)
    return statement.where(tuple_(*ORDER) > (last.family_name, last.given_name, last.id))


def _line(patient: Patient) -> Sequence[Any]:
    return (
        patient.family_name, patient.given_name, patient.mrn, patient.birth_date, patient.phone, patient.email,
        patient.indication_icd10, patient.indication,
        ", ".join(words.plain(factor) for factor in patient.risk_factors),
        ", ".join(f"{device.kind} {device.model} {device.serial}" for device in patient.devices),
    )  # fmt: skip
