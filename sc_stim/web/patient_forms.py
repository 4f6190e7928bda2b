"""Entering a patient: the record, the risk factors and symptoms, and the steps of the care pathway."""

import datetime as dt
import re
import uuid
from collections.abc import Sequence
from typing import Any, Final
from zoneinfo import available_timezones

from flask import abort, flash, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from marshmallow import ValidationError, validate
from sqlalchemy import select

from sc_stim.access import requires
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.i18n import _, _lazy
from sc_stim.models import Assessment, Patient, Treatment
from sc_stim.models.patient import ASSESSMENTS, ICD_10, RISK_FACTORS, SYMPTOMS, TREATMENTS
from sc_stim.models.scope import find
from sc_stim.web import editing, page, words
from sc_stim.web.blueprint import pages
from sc_stim.web.forms import Form
from sc_stim.workflows import audit, registry
from sc_stim.workflows.refusals import Conflict, FieldRefused

LONGEST_NOTE: Final = 10_000
FIRST_DAY: Final = dt.date(1900, 1, 1)
# field -> (label, longest, whether it is needed)
TEXTS: Final = {
    "family_name": (_lazy("Family name"), 100, True),
    "given_name": (_lazy("Given name"), 100, True),
    "mrn": (_lazy("Record number"), 64, True),
    "phone": (_lazy("Telephone"), 40, False),
    "email": (_lazy("E-mail address"), 254, False),
    "indication_icd10": (_lazy("ICD-10 code"), 10, False),
    "indication": (_lazy("Indication"), 300, False),
    "note": (_lazy("Note"), LONGEST_NOTE, False),
}


@pages.get("/patients/new", endpoint="new_patient")
@requires("patients.write")
def show_new() -> str:
    return _record_page(None, None)


@pages.post("/patients/new", endpoint="add_patient")
@requires("patients.write")
def add() -> ResponseReturnValue:
    form = Form(request.form)
    values = _values(form)
    if not form.errors:
        try:
            patient = registry.register_patient(db.session(), actor(), values, at=page.at())
            db.session.commit()
            flash(
                _(
                    "%(patient)s is on record. Enter the care pathway next, or go to the patient.",
                    patient=patient.display_name,
                ),
                "done",
            )
            return redirect(url_for("web.pathway", public_id=patient.public_id), 303)
        except Conflict as refused:
            db.session.rollback()
            form.refuse("mrn", _sentence(refused))
    return _record_page(None, form), 422


@pages.get("/patients/<uuid:public_id>/edit", endpoint="edit_patient")
@requires("patients.write")
def show_edit(public_id: uuid.UUID) -> str:
    patient = _patient(public_id)
    audit.record(db.session, actor(), "patient.view", "patient", patient.public_id, at=page.at())
    shown = _record_page(patient, None)
    db.session.commit()
    return shown


@pages.post("/patients/<uuid:public_id>/edit", endpoint="change_patient")
@requires("patients.write")
def change(public_id: uuid.UUID) -> ResponseReturnValue:
    patient, form = _patient(public_id), Form(request.form)
    values = _values(form)
    now = {name: (label, _typed(getattr(patient, name))) for name, (label, *_) in TEXTS.items()}
    editing.refuse_stale(form, patient.version, now)
    if not form.errors:
        try:
            registry.change_patient(db.session(), actor(), patient, values, at=page.at())
            db.session.commit()
            flash(_("The record is changed."), "done")
            return redirect(url_for("web.patient", public_id=public_id), 303)
        except Conflict as refused:
            db.session.rollback()
            form.refuse("mrn", _sentence(refused))
    return _record_page(_patient(public_id), form), 422


@pages.get("/patients/<uuid:public_id>/pathway", endpoint="pathway")
@requires("patients.write")
def show_pathway(public_id: uuid.UUID) -> str:
    """`?treatment=` or `?assessment=` is the step to change."""
    patient = _patient(public_id)
    audit.record(db.session, actor(), "patient.view", "patient", patient.public_id, at=page.at())
    shown = _pathway_page(patient)
    db.session.commit()
    return shown


@pages.post("/patients/<uuid:public_id>/treatments", endpoint="keep_treatment")
@requires("patients.write")
def keep_treatment(public_id: uuid.UUID) -> ResponseReturnValue:
    """A new step, or with `?treatment=` a change of one."""
    patient, form = _patient(public_id), Form(request.form)
    treatment = _step(Treatment, patient, "treatment")
    values = {
        "kind": form.choice("kind", _("Treatment"), TREATMENTS),
        "started_on": _day(form, "started_on", _("Began on"), needed=True),
        "ended_on": _day(form, "ended_on", _("Ended on")),
        "relief_pct": form.number("relief_pct", _("Relief"), least=0, most=100, unit="%"),
        "outcome": form.text("outcome", _("Outcome"), most=LONGEST_NOTE),
    }
    if treatment and treatment.version != editing.read_version():
        form.refuse("kind", f"{editing.STALE[:1].upper()}{editing.STALE[1:]}.")
    if not form.errors:
        try:
            if treatment:
                registry.change_treatment(db.session(), actor(), patient, treatment, values, at=page.at())
            else:
                registry.add_treatment(db.session(), actor(), patient, values, at=page.at())
            db.session.commit()
            return _kept(public_id, _("The treatment is kept."))
        except FieldRefused as refused:
            db.session.rollback()
            form.refuse(
                refused.field,
                _("Ended on %(reason)s.", reason=refused.reason.replace("started_on", "the beginning")),
            )
    return _pathway_page(_patient(public_id), treatment_form=form), 422


@pages.post("/patients/<uuid:public_id>/assessments", endpoint="keep_assessment")
@requires("patients.write")
def keep_assessment(public_id: uuid.UUID) -> ResponseReturnValue:
    """A new examination, or with `?assessment=` a change of one."""
    patient, form = _patient(public_id), Form(request.form)
    assessment = _step(Assessment, patient, "assessment")
    values = {
        "kind": form.choice("examination", _("Examination"), ASSESSMENTS),
        "performed_on": _day(form, "performed_on", _("Done on"), needed=True),
        "finding": form.text("finding", _("Finding"), needed=True, most=LONGEST_NOTE),
    }
    if assessment and assessment.version != editing.read_version():
        form.refuse("examination", f"{editing.STALE[:1].upper()}{editing.STALE[1:]}.")
    if form.errors:
        return _pathway_page(patient, assessment_form=form), 422
    if assessment:
        registry.change_assessment(db.session(), actor(), patient, assessment, values, at=page.at())
    else:
        registry.add_assessment(db.session(), actor(), patient, values, at=page.at())
    db.session.commit()
    return _kept(public_id, _("The examination is kept."))


def _kept(public_id: uuid.UUID, said: str) -> ResponseReturnValue:
    flash(said, "done")
    return redirect(url_for("web.pathway", public_id=public_id), 303)


def _record_page(patient: Patient | None, form: Form | None) -> str:
    """`form`: what was typed and refused; None: what is on record."""
    version = editing.read_version() if form and not form.errors else patient.version if patient else 0
    return page.render(
        "patient_form.html",
        patient=patient,
        form=form,
        version=version,
        zone=page.zone().key,
        zones=[(name, name) for name in sorted(available_timezones())],
        texts=TEXTS,
        risk_factors=_boxes("risk_factors", RISK_FACTORS, patient, form),
        symptoms=_boxes("symptoms", SYMPTOMS, patient, form),
        withdrawal_prone=form.checked("withdrawal_prone")
        if form
        else bool(patient and patient.withdrawal_prone),
    )


def _pathway_page(
    patient: Patient, *, treatment_form: Form | None = None, assessment_form: Form | None = None
) -> str:
    treatments = select(Treatment).where(Treatment.patient_id == patient.id)
    assessments = select(Assessment).where(Assessment.patient_id == patient.id)
    return page.render(
        "pathway.html",
        patient=patient,
        treatments=db.session.scalars(treatments.order_by(Treatment.started_on, Treatment.id)).all(),
        assessments=db.session.scalars(assessments.order_by(Assessment.performed_on, Assessment.id)).all(),
        treatment=_step(Treatment, patient, "treatment"),
        assessment=_step(Assessment, patient, "assessment"),
        treatment_form=treatment_form,
        assessment_form=assessment_form,
        kinds=[(code, words.plain(code)) for code in TREATMENTS],
        examinations=[(code, words.plain(code)) for code in ASSESSMENTS],
    )


def _boxes(
    field: str, codes: Sequence[str], patient: Patient | None, form: Form | None
) -> list[tuple[str, str, bool]]:
    """(code, words, checked) of each word a patient's list may hold."""
    held = _chosen(field, codes) if form else getattr(patient, field, None) or []
    return [(code, words.plain(code), code in held) for code in codes]


def _chosen(field: str, codes: Sequence[str]) -> list[str]:
    return [code for code in codes if code in request.form.getlist(field)]


def _values(form: Form) -> dict[str, Any]:
    values: dict[str, Any] = {
        name: form.text(name, label, needed=needed, most=most)
        for name, (label, most, needed) in TEXTS.items()
    }
    values["birth_date"] = _day(form, "birth_date", _("Born"))
    values["time_zone"] = form["time_zone"] or page.zone().key
    if values["time_zone"] not in available_timezones():
        form.refuse("time_zone", _("The time zone must be one of the list, as Europe/Berlin."))
    if values["indication_icd10"] and not re.fullmatch(ICD_10, values["indication_icd10"]):
        form.refuse("indication_icd10", _("Not the form of an ICD-10 code, as M96.1."))
    if values["email"] and not _is_email(values["email"]):
        form.refuse("email", _("Not the form of an e-mail address, as ada@example.org."))
    return values | {
        "risk_factors": _chosen("risk_factors", RISK_FACTORS),
        "symptoms": _chosen("symptoms", SYMPTOMS),
        "withdrawal_prone": form.checked("withdrawal_prone"),
    }


def _day(form: Form, field: str, name: str, *, needed: bool = False) -> dt.date | None:
    """A day that has been: nobody was born, treated or examined later than today."""
    day = form.day(field, name, needed=needed)
    if day is not None and not FIRST_DAY <= day <= page.today():
        form.refuse(
            field, _("%(name)s: the day must lie between %(year)s and today.", name=name, year=FIRST_DAY.year)
        )
        return None
    return day


def _is_email(text: str) -> bool:
    try:
        validate.Email()(text)
    except ValidationError:
        return False
    return True


def _typed(value: Any) -> str:
    return "" if value is None else str(value)


def _sentence(refused: Conflict) -> str:
    return f"{str(refused)[:1].upper()}{str(refused)[1:]}.".replace("this mrn", "this record number")


def _patient(public_id: uuid.UUID) -> Patient:
    return find(db.session(), Patient, g.user.clinic_id, public_id) or abort(404)


def _step(model: Any, patient: Patient, name: str) -> Any:
    """The step of this patient that the address names, or None where it names none."""
    if not request.args.get(name):
        return None
    public_id = request.args.get(name, type=uuid.UUID) or abort(404)
    row = find(db.session(), model, patient.clinic_id, public_id) or abort(404)
    return row if row.patient_id == patient.id else abort(404)
