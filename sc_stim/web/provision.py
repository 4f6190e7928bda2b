"""Registering a device by the UDI of its label: read it, look at what was read, save it, then give it a login."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flask import flash, redirect, request, url_for
from sqlalchemy import ColumnElement, or_, select
from werkzeug.wrappers import Response

from sc_stim.access import in_clinic, requires
from sc_stim.devices.catalogue import models
from sc_stim.devices.udi import InvalidUdi, Udi, parse_udi
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.i18n import _, _lazy
from sc_stim.models import Device, Patient
from sc_stim.models.scope import find
from sc_stim.web import leads, page, words
from sc_stim.web.blueprint import pages
from sc_stim.web.forms import Form
from sc_stim.workflows import audit
from sc_stim.workflows.provisioning import provision
from sc_stim.workflows.refusals import Conflict, FieldRefused

LONGEST_INTERVAL_S: Final = 7 * 86_400
NAMES: Final = {
    "model": _lazy("Model"),
    "serial": _lazy("Serial number"),
    "udi": "UDI",
    "reservoir_ml": _lazy("Reservoir"),
    "leads": _lazy("Leads"),
    "expires_on": _lazy("Expires"),
    "report_interval_s": _lazy("Time between reports"),
    "implanted_on": _lazy("Day of implantation"),
    "mrn": _lazy("Record number"),
}

Answer = Response | str | tuple[str, int]


@dataclass(frozen=True)
class Label:
    """What was typed, pasted or scanned, and what it says; `read` None: there is no UDI, or it cannot be read."""

    typed: str
    read: Udi | None
    patient: Patient | None

    @property
    def shown(self) -> str:
        """In a form that a field can hold: separators that nobody sees are spelt out."""
        if self.read:
            return self.read.carrier_hrf
        return "".join(one for one in self.typed.replace("\x1d", "<GS>") if one.isprintable())


@pages.get("/devices/new", endpoint="new_device")
@requires("devices.write")
def show() -> str:
    """`?patient=` is whose it will be; only who sees patients may say so. `?replaces=` is the device it will follow."""
    public_id = request.args.get("patient", type=uuid.UUID)
    patient: Patient | None = None
    if public_id and page.may("patients.read"):
        patient = find(db.session, Patient, actor().clinic_id, public_id)
    return page.render("provision.html", form=None, mrn=patient.mrn if patient else "", replaced=_replaced())


@pages.post("/devices/new", endpoint="read_label")
@requires("devices.write")
def read_label() -> Answer:
    """Nothing is kept: the page shows what the label says, and asks for what it does not say."""
    form = Form(request.form)
    label = _label(form)
    if form.errors:
        return page.render("provision.html", form=form, mrn="", typed=label.shown, replaced=_replaced()), 422
    return _check(label, None)


@pages.post("/devices/register", endpoint="register_device")
@requires("devices.write")
def register() -> Answer:
    form = Form(request.form)
    label = _label(form)
    values = _values(form, label)
    try:
        if form.errors:
            return _check(label, form), 422
        device, cautions = provision(db.session(), actor(), values, label.patient, at=page.at())
        db.session.commit()
    except FieldRefused as refused:
        field = {"patient": "mrn"}.get(refused.field, refused.field)
        form.refuse(field, f"{NAMES.get(field, field)}: {refused.reason}.")
    except Conflict as refused:
        form.refuse("udi" if label.read else "serial", f"{str(refused)[:1].upper()}{str(refused)[1:]}.")
    if form.errors:
        db.session.rollback()
        return _check(_label(Form(request.form)), form), 422
    flash(_("The device is registered."), "done")
    for caution in cautions:
        field = NAMES.get(caution.field, caution.field)
        flash(_("%(field)s: %(message)s.", field=field, message=caution.message), "refused")
    if replaced := _replaced():
        return redirect(url_for("web.replacement", public_id=replaced.public_id, by=device.public_id), 303)
    return redirect(url_for("web.device", public_id=device.public_id), 303)


def _replaced() -> Device | None:
    """The device whose place this one will take, where it is registered for that."""
    public_id = request.values.get("replaces", type=uuid.UUID)
    return find(db.session, Device, actor().clinic_id, public_id) if public_id else None


def _label(form: Form) -> Label:
    """Blanks at the end stay: of a HIBCC text, one may be its check character."""
    typed = request.form.get("udi", "").replace("\0", "")
    patient = named_patient(form)
    if not typed.strip():
        return Label("", None, patient)
    try:
        return Label(typed, parse_udi(typed), patient)
    except InvalidUdi as error:
        form.refuse("udi", f"{error}.")
        return Label(typed, None, patient)


def named_patient(form: Form) -> Patient | None:
    """By the record number; an engineer leaves a device unassigned."""
    if not form["mrn"] or not page.may("patients.read"):
        return None
    statement = in_clinic(select(Patient), Patient, actor().clinic_id).where(Patient.mrn == form["mrn"])
    patient: Patient | None = db.session.scalars(statement).one_or_none()
    if patient is None:
        form.refuse("mrn", _("Nobody here has this record number."))
    return patient


def _values(form: Form, label: Label) -> dict[str, Any]:
    """What the workflow wants to be told; what was left empty is left out."""
    values: Mapping[str, Any] = {
        "model": form.choice("model", _("Model"), [model.name for model in models()]),
        "udi": label.typed or None,
        "serial": form.text("serial", _("Serial number"), most=40),
        "firmware": form.text("firmware", _("Firmware"), most=40),
        "reservoir_ml": form.number("reservoir_ml", _("Reservoir"), least=1, most=100, unit="mL"),
        "report_interval_s": form.whole(
            "report_interval_s", _("Time between reports"), least=0, most=LONGEST_INTERVAL_S
        ),
        "implanted_on": form.day("implanted_on", _("Day of implantation")),
        "leads": leads.read(form),
    }
    return {name: value for name, value in values.items() if value is not None}


def _check(label: Label, form: Form | None) -> str:
    """The second step. Whose name it shows is put on record."""
    choices = [
        (model.name, f"{model.manufacturer} {model.name}, {words.plain(model.kind).lower()}")
        for model in models()
    ]
    shown = page.render(
        "provision_check.html",
        form=form,
        label=label,
        models=choices,
        guessed=_guessed(label),
        twin=_twin(label, form),
        replaced=_replaced(),
    )
    if label.patient:
        seen = {"patients": [str(label.patient.public_id)]}
        audit.record(db.session(), actor(), "device.prepare", detail=seen, at=page.at())
        db.session.commit()
    return shown


def _twin(label: Label, form: Form | None) -> Device | None:
    """This very device, where this clinic has it on record."""
    serial = (label.read.serial if label.read else None) or (form["serial"] if form else None)
    same = [Device.udi_device_identifier == label.read.device_identifier] if label.read else []
    if form:
        same.append(Device.model == form["model"])
    return _newest(Device.serial == serial, or_(*same)) if serial and same else None


def _guessed(label: Label) -> str:
    """A device identifier stands for one model: what the newest device with the same one was registered as."""
    alike = _newest(Device.udi_device_identifier == label.read.device_identifier) if label.read else None
    return alike.model if alike else ""


def _newest(*conditions: ColumnElement[bool]) -> Device | None:
    statement = in_clinic(select(Device), Device, actor().clinic_id).where(*conditions)
    found: Device | None = db.session.scalars(statement.order_by(Device.id.desc()).limit(1)).one_or_none()
    return found
