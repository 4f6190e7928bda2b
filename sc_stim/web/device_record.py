"""Changing the record of a device: whose it is, that it was implanted or explanted, its leads, its pump's figures."""

import datetime as dt
import re
import uuid
from typing import Any, Final

from flask import flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from sc_stim.access import requires
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.i18n import _, _lazy
from sc_stim.models import Device
from sc_stim.models.device import VERTEBRAL_LEVEL
from sc_stim.web import editing, leads, page, words
from sc_stim.web.blueprint import pages
from sc_stim.web.device import find_device
from sc_stim.web.forms import Form
from sc_stim.web.provision import LONGEST_INTERVAL_S, named_patient
from sc_stim.web.replacement import say_called_off
from sc_stim.workflows import registry, replacing
from sc_stim.workflows.refusals import FieldRefused

# field -> its label, in the order of the form
NAMES: Final = {
    "mrn": _lazy("Record number of the patient"),
    "implanted_on": _lazy("Day of implantation"),
    "explanted_on": _lazy("Day of explantation"),
    "explantation_reason": _lazy("Why it came out"),
    "explantation_note": _lazy("Remark on the explantation"),
    "leads": _lazy("Leads"),
    "reservoir_ml": _lazy("Reservoir"),
    "low_reservoir_alarm_ml": _lazy("Low-reservoir alarm"),
    "accuracy_pct": _lazy("Accuracy of the flow"),
    "catheter_tip_level": _lazy("Level of the catheter tip"),
    "catheter_volume_ml": _lazy("Volume of the catheter"),
    "end_of_service_on": _lazy("End of service"),
    "firmware": _lazy("Firmware"),
    "mri_note": _lazy("MRI of this implant"),
    "report_interval_s": _lazy("Time between reports"),
}
# field of a pump -> unit, least, most
PUMP_FIGURES: Final = {
    "reservoir_ml": ("mL", 1, 100),
    "low_reservoir_alarm_ml": ("mL", 0, 100),
    "accuracy_pct": ("%", 0.1, 99),
    "catheter_volume_ml": ("mL", 0, 5),
}


@pages.get("/devices/<uuid:public_id>/edit", endpoint="edit_device")
@requires("devices.write")
def show(public_id: uuid.UUID) -> str:
    device = find_device(public_id)
    registry.record_about(db.session(), actor(), "device.view", device, at=page.at())
    shown = _shown(device, None)
    db.session.commit()
    return shown


@pages.post("/devices/<uuid:public_id>/edit", endpoint="change_device")
@requires("devices.write")
def change(public_id: uuid.UUID) -> ResponseReturnValue:
    """Only who sees patients says whose it is."""
    device, form = find_device(public_id, lock=True), Form(request.form)
    typed, booked = _typed(device), replacing.booked_visits(db.session(), device)
    values = _values(device, form)
    editing.refuse_stale(form, device.version, {name: (str(NAMES[name]), typed[name]) for name in typed})
    new_leads = None if form["leads"] == typed.get("leads", "") else leads.read(form) or []
    if not form.errors:
        try:
            registry.change_device(db.session(), actor(), device, values, new_leads, at=page.at())
            db.session.commit()
            flash(_("The record of the device is changed."), "done")
            if not device.in_use:
                say_called_off(booked)
            return redirect(url_for("web.device", public_id=public_id), 303)
        except FieldRefused as refused:
            db.session.rollback()
            field = {"patient": "mrn"}.get(refused.field, refused.field)
            form.refuse(field, _("%(field)s: %(why)s.", field=NAMES[field], why=_in_words(refused.reason)))
    return _shown(find_device(public_id), form), 422


def _shown(device: Device, form: Form | None) -> str:
    """`form`: what was typed and refused; None: what is on record."""
    version = editing.read_version() if form and not form.errors else device.version
    return page.render(
        "device_form.html", device=device, form=form, version=version, names=NAMES, typed=_typed(device),
        units={name: unit for name, (unit, *_rest) in PUMP_FIGURES.items()},
    )  # fmt: skip


def _typed(device: Device) -> dict[str, str]:
    """The fields of this device that this person may change, each as the form holds it."""
    hidden = () if page.may("patients.read") else ("mrn", "explantation_note")
    fields = [name for name in NAMES if name not in hidden and _belongs(name, device)]
    other = {
        "mrn": device.patient.mrn if device.patient else "",
        "leads": leads.typed(device.leads),
    }
    return {name: other[name] if name in other else _text(getattr(device, name)) for name in fields}


def _belongs(name: str, device: Device) -> bool:
    kind = "stimulator" if name == "leads" else "pump" if name in registry.PUMP_FIELDS else device.kind
    return device.kind == kind


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dt.date):
        return value.isoformat()
    return words.number(value) if isinstance(value, float) else str(value)


def _values(device: Device, form: Form) -> dict[str, Any]:
    values: dict[str, Any] = {
        "implanted_on": form.day("implanted_on", NAMES["implanted_on"]),
        "explanted_on": form.day("explanted_on", NAMES["explanted_on"]),
        "explantation_reason": form.choice(
            "explantation_reason", NAMES["explantation_reason"], words.EXPLANTATION, needed=False
        ),
        "firmware": form.text("firmware", NAMES["firmware"], most=40),
        "mri_note": form.text("mri_note", NAMES["mri_note"], most=500),
        "report_interval_s": form.whole(
            "report_interval_s", NAMES["report_interval_s"], least=0, most=LONGEST_INTERVAL_S, needed=True
        ),
    }
    if page.may("patients.read"):
        values["patient"] = named_patient(form)
        values["explantation_note"] = form.text("explantation_note", NAMES["explantation_note"])
    if device.kind == "pump":
        for name, (unit, least, most) in PUMP_FIGURES.items():
            needed = name == "reservoir_ml" and device.reservoir_ml is not None
            values[name] = form.number(name, NAMES[name], least=least, most=most, unit=unit, needed=needed)
        values["end_of_service_on"] = form.day("end_of_service_on", NAMES["end_of_service_on"])
        values["catheter_tip_level"] = level = form["catheter_tip_level"].upper() or None
        if level and not re.fullmatch(VERTEBRAL_LEVEL, level):
            form.refuse("catheter_tip_level", _("Not a vertebral level, as T10."))
    return values


def _in_words(reason: str) -> str:
    for name in ("implanted_on", "explanted_on"):
        reason = reason.replace(name, str(NAMES[name]).lower())
    return reason
