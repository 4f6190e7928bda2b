"""One printable page for an emergency department, and the short-lived link that opens it without an account."""

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

import segno
from flask import abort, current_app, flash, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from sc_stim import clock
from sc_stim.access import PUBLIC, requires
from sc_stim.devices.catalogue import mri_rule
from sc_stim.extensions import db, limiter
from sc_stim.guard import actor
from sc_stim.i18n import _, _lazy, ngettext
from sc_stim.models import Clinic, Patient
from sc_stim.models.scope import find
from sc_stim.web import page
from sc_stim.web.blueprint import pages
from sc_stim.web.implants import implants_of
from sc_stim.workflows import audit, emergency

HOURS: Final = {"1": _lazy("1 hour"), "24": _lazy("24 hours"), "168": _lazy("7 days")}
QUIET: Final = 4  # modules of white around a QR code, as its standard asks
GUESSES: Final = "60 per minute"  # of one address; a token has 256 bits


@pages.get("/patients/<uuid:public_id>/emergency", endpoint="emergency_sheet")
@requires("patients.read")
def show(public_id: uuid.UUID) -> str:
    patient = _patient(public_id)
    shown = _sheet(patient, links=emergency.open_links(db.session, patient, page.at()), hours=HOURS)
    audit.record(db.session, actor(), "emergency_sheet.view", "patient", patient.public_id, at=page.at())
    db.session.commit()
    return shown


@pages.post("/patients/<uuid:public_id>/emergency", endpoint="create_emergency_link")
@requires("patients.write")
def create(public_id: uuid.UUID) -> Response | str:
    """Answers with the sheet and the QR code at once: the token is nowhere to be read again."""
    patient, hours = _patient(public_id), request.form.get("hours", "")
    if hours not in HOURS:
        flash(
            _("Choose how long the link lasts: %(choices)s.", choices=", ".join(map(str, HOURS.values()))),
            "refused",
        )
        return redirect(url_for("web.emergency_sheet", public_id=public_id), 303)
    lasts = dt.timedelta(hours=int(hours))
    link, token = emergency.create_link(db.session, actor(), patient, lasts, at=page.at())
    address = url_for("web.read_emergency_sheet", token=token, _external=True)
    shown = _sheet(patient, link=link, address=address, code=_qr_code(address), hours=HOURS)
    db.session.commit()
    return shown


@pages.post("/patients/<uuid:public_id>/emergency/revoke", endpoint="revoke_emergency_links")
@requires("patients.write")
def revoke(public_id: uuid.UUID) -> Response:
    ended = emergency.revoke_links(db.session, actor(), _patient(public_id), at=page.at())
    db.session.commit()
    flash(ngettext("%(num)s link ended.", "%(num)s links ended.", ended), "done")
    return redirect(url_for("web.emergency_sheet", public_id=public_id), 303)


@pages.get("/emergency/<token>", endpoint="read_emergency_sheet")
@requires(PUBLIC)
@limiter.limit(GUESSES)
def read(token: str) -> tuple[str, int]:
    """The sheet for whoever holds the link; every other token gets the same answer."""
    at = clock.now()
    link = emergency.read_link(db.session, token, current_app.config["AUDIT_SEAL_KEY"], at=at)
    if link is None:
        return render_template("emergency_over.html"), 404
    g.clinic = link.clinic
    shown = _sheet(link.patient, link=link)
    db.session.commit()
    return shown, 200


def _patient(public_id: uuid.UUID) -> Patient:
    patient: Patient = find(db.session, Patient, actor().clinic_id, public_id) or abort(404)
    return patient


def _sheet(patient: Patient, **values: Any) -> str:
    at = page.at()
    clinic: Clinic = db.session.get_one(Clinic, patient.clinic_id)
    standing = [one for one in implants_of(db.session, patient, at) if one.device.explanted_on is None]
    implants = sorted(standing, key=lambda one: one.device.kind)  # a pump first: it is what can kill
    rules = {one.number: mri_rule(one.device.model, one.device.kind) for one in implants}  # type: ignore[arg-type]
    own = {
        "patient": patient,
        "clinic": clinic,
        "implants": implants,
        "mri_rules": rules,
        "zone": ZoneInfo(clinic.time_zone),
    }
    return page.render("emergency.html", **own, **values)


@dataclass(frozen=True)
class QrCode:
    """Dark modules as the path of an SVG; `size` with the quiet zone that scanners want."""

    size: int
    path: str


def _qr_code(address: str) -> QrCode:
    matrix = segno.make(address, error="m").matrix
    dark = ((row, column) for row, line in enumerate(matrix) for column, bit in enumerate(line) if bit)
    path = "".join(f"M{column + QUIET} {row + QUIET}h1v1h-1z" for row, column in dark)
    return QrCode(len(matrix) + 2 * QUIET, path)
