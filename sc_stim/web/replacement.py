"""Replacing a device on one page: what goes in, when and why, and what follows from it."""

import uuid
from collections.abc import Iterable
from typing import Any, Final

from flask import flash, redirect, request, url_for
from werkzeug.wrappers import Response

from sc_stim.access import requires
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.i18n import _, _lazy
from sc_stim.models import Appointment, Device
from sc_stim.models.scope import find
from sc_stim.web import dates, editing, page, words
from sc_stim.web.blueprint import pages
from sc_stim.web.device import find_device
from sc_stim.web.forms import Form
from sc_stim.workflows import replacing
from sc_stim.workflows.refusals import Conflict, FieldRefused
from sc_stim.workflows.registry import record_about

NAMES: Final = {
    "device_id": _lazy("New device"),
    "explanted_on": _lazy("Day of the replacement"),
    "explantation_reason": _lazy("Reason"),
    "explantation_note": _lazy("Remark"),
    "parts": _lazy("Leads or catheter"),
}
STAY: Final = "stay"
PARTS: Final = {
    "stimulator": {STAY: _lazy("The leads stay"), "new": _lazy("New leads: entered afterwards")},
    "pump": {STAY: _lazy("The catheter stays"), "new": _lazy("New catheter: entered afterwards")},
}

Answer = Response | str | tuple[str, int]


@pages.get("/devices/<uuid:public_id>/replace", endpoint="replacement")
@requires("devices.write")
def show(public_id: uuid.UUID) -> Answer:
    """`?by=` is the device to propose."""
    device = find_device(public_id)
    try:
        replacing.check_replaceable(device)
    except Conflict as refused:
        return _refused(device, refused)
    record_about(db.session(), actor(), "device.view", device, at=page.at())
    shown = _shown(device, None)
    db.session.commit()
    return shown


@pages.post("/devices/<uuid:public_id>/replace", endpoint="replace_device")
@requires("devices.write")
def replace(public_id: uuid.UUID) -> Answer:
    device, form = find_device(public_id, lock=True), Form(request.form)
    successor, values = _successor(form), _values(form, device)
    try:
        editing.must_be_current(device)
        if successor is None or form.errors:
            return _shown(device, form), 422
        visits = replacing.replace_device(db.session(), actor(), device, successor, **values, at=page.at())
        db.session.commit()
    except FieldRefused as refused:
        db.session.rollback()
        form.refuse(refused.field, f"{NAMES.get(refused.field, refused.field)}: {refused.reason}.")
        return _shown(find_device(public_id), form), 422
    except Conflict as refused:
        db.session.rollback()
        return _refused(device, refused)
    flash(_("Done: this device is in, %(old)s is out.", old=f"{device.model} {device.serial}"), "done")
    say_called_off(visits)
    return redirect(url_for("web.device", public_id=successor.public_id), 303)


def say_called_off(visits: Iterable[Appointment]) -> None:
    """Nobody tells the patient by itself."""
    for visit in visits:
        if page.may("appointments.read"):
            at = dates.moment(visit.starts_at, page.zone(), page.country())
            flash(_("The refill booked for %(at)s is called off: tell the patient.", at=at), "refused")
        else:
            flash(_("A booked refill is called off: ask the nurses to tell the patient."), "refused")


def _successor(form: Form) -> Device | None:
    public_id = form.id("device_id", str(NAMES["device_id"]), needed=True)
    successor: Device | None = None
    if public_id is not None:
        successor = find(db.session, Device, actor().clinic_id, public_id, lock=True)
        if successor is None:
            form.refuse("device_id", _("This device is not here."))
    return successor


def _values(form: Form, device: Device) -> dict[str, Any]:
    values = {
        "explanted_on": form.day("explanted_on", NAMES["explanted_on"], needed=True),
        "explantation_reason": form.choice(
            "explantation_reason", NAMES["explantation_reason"], words.EXPLANTATION
        ),
        "explantation_note": form.text("explantation_note", NAMES["explantation_note"]),
    }
    parts = form.choice("parts", NAMES["parts"], PARTS[device.kind])
    return values | {"parts_stay": parts == STAY}


def _shown(device: Device, form: Form | None) -> str:
    """`form`: what was typed and refused."""
    session = db.session()
    shelf = replacing.successors(session, device)
    alerts, tasks = replacing.open_work(session, device)
    return page.render(
        "replacement.html",
        device=device,
        form=form,
        names=NAMES,
        shelf=[(one.public_id, _named(one)) for one in shelf],
        by=request.args.get("by", ""),
        choices=PARTS[device.kind].items(),
        visits=replacing.booked_visits(session, device),
        alerts=alerts,
        tasks=tasks,
    )


def _named(device: Device) -> str:
    named = f"{device.manufacturer} {device.model}, {device.serial}"
    if device.expires_on and device.expires_on < page.today():
        return _("%(device)s (expired)", device=named)
    return named


def _refused(device: Device, why: Conflict) -> Response:
    flash(_("Nothing was changed: %(why)s.", why=why), "refused")
    return redirect(url_for("web.device", public_id=device.public_id), 303)
