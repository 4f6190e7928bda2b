"""Marking a patient as reviewed, from the page that was looked at."""

import datetime as dt
import uuid
from typing import Any

from flask import abort, flash, redirect, request, url_for
from werkzeug.wrappers import Response

from sc_stim.access import requires
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.i18n import _
from sc_stim.models import Patient
from sc_stim.models.review import day_of, due_of_patient, last_review
from sc_stim.models.scope import find
from sc_stim.web import page
from sc_stim.web.blueprint import pages
from sc_stim.workflows import reviewing
from sc_stim.workflows.refusals import FieldRefused

COMMENT_LIMIT = 2000


def shown_of(patient: Patient, begin: dt.datetime, end: dt.datetime) -> dict[str, Any]:
    """What the patient's page says about reviews; it shows the time from `begin` to `end`."""
    return {
        "last": last_review(db.session(), patient.id),
        "due": [(device, day_of(day)) for device, day in due_of_patient(db.session(), patient)],
        "covers_from": begin,
        "covers_until": min(end, page.at()),
        "comment_limit": COMMENT_LIMIT,
    }


@pages.post("/patients/<uuid:public_id>/reviews", endpoint="mark_reviewed")
@requires("reviews.record")
def mark_reviewed(public_id: uuid.UUID) -> Response:
    """`covers_from` and `covers_until` are the time that was on the screen."""
    patient: Patient = find(db.session, Patient, actor().clinic_id, public_id) or abort(404)
    covers = {name: _moment(name) for name in ("covers_from", "covers_until")}
    values = {"comment": page.typed("comment")[:COMMENT_LIMIT] or None} | {
        name: moment for name, moment in covers.items() if moment is not None
    }
    try:
        review = reviewing.mark_reviewed(db.session(), actor(), patient, values, at=page.at())
        db.session.commit()
        flash(_("You have marked this patient as reviewed."), "done")
        if review.unacknowledged_high:
            flash(
                _("A review acknowledges no alert: one of high severity still waits for somebody."), "refused"
            )
    except FieldRefused as refused:
        db.session.rollback()
        flash(_("Nothing was changed: %(refused)s.", refused=refused), "refused")
    return redirect(url_for("web.patient", public_id=public_id), 303)


def _moment(field: str) -> dt.datetime | None:
    """A time as our own page wrote it; anything else is as good as nothing."""
    try:
        moment = dt.datetime.fromisoformat(request.form.get(field, ""))
    except ValueError:
        return None
    return moment if moment.tzinfo else None
