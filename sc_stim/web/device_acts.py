"""What people do with a device: ask it for something, give it a login and take it away, plan a scan."""

import os
import uuid
from typing import Final

from flask import current_app, flash, redirect, request, url_for
from werkzeug.wrappers import Response

from sc_stim.access import requires
from sc_stim.devices import credentials, topics
from sc_stim.devices.mqtt_admin import BrokerAdmin, BrokerRefused, BrokerUnavailable, admin_of
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.i18n import _, _lazy
from sc_stim.web import device as device_page
from sc_stim.web import page, words
from sc_stim.web.blueprint import pages
from sc_stim.web.device import find_device
from sc_stim.web.forms import Form
from sc_stim.workflows import scans
from sc_stim.workflows.commanding import KINDS, request_command
from sc_stim.workflows.refusals import Conflict, FieldRefused

SMALLEST_INTERVAL_S: Final = 10
LARGEST_INTERVAL_S: Final = 7 * 86_400
BROKER_TIMEOUT_S: Final = 5
BROKER_AWAY: Final = _lazy("Nothing was changed: the broker did not do it. Try again.")

Answer = Response | str | tuple[str, int]


@pages.post("/devices/<uuid:public_id>/commands", endpoint="send_command")
@requires("commands.send")
def send_command(public_id: uuid.UUID) -> Answer:
    """`kind` is one of KINDS; `interval_s` belongs to `report_interval`."""
    device, form = find_device(public_id, lock=True), Form(request.form)
    kind = form.choice("kind", _("What to ask for"), KINDS)
    interval_s = None
    if kind == "report_interval":
        interval_s = form.whole(
            "interval_s",
            _("Time between reports"),
            least=SMALLEST_INTERVAL_S,
            most=LARGEST_INTERVAL_S,
            needed=True,
        )
    if kind is None or form.errors:
        return device_page.rendered(device, command=form), 422
    try:
        request_command(db.session(), actor(), device, kind, interval_s, at=page.at())
        db.session.commit()
        flash(
            _(
                "Asked for: %(asked)s. Nothing is done until the device says so.",
                asked=words.COMMAND[kind][0].lower(),
            ),
            "done",
        )
    except (FieldRefused, Conflict) as refused:
        return _refused(public_id, refused)
    return _back(public_id, "commands")


@pages.post("/devices/<uuid:public_id>/credential", endpoint="issue_credential")
@requires("credentials.manage")
def issue_credential(public_id: uuid.UUID) -> Answer:
    """The password is in this answer and nowhere else; so it is no redirect."""
    device = find_device(public_id)
    try:
        password = credentials.issue(db.session(), actor(), device, _broker(), os.urandom, at=page.at())
        db.session.commit()
    except (Conflict, BrokerUnavailable, BrokerRefused) as refused:
        return _refused(public_id, refused)
    username = str(device.public_id)
    return page.render(
        "credential.html",
        device=device,
        username=username,
        password=password,
        topics=topics.up(username, "state").removesuffix("up/state"),
    )


@pages.post("/devices/<uuid:public_id>/credential/revoke", endpoint="revoke_credential")
@requires("credentials.manage")
def revoke_credential(public_id: uuid.UUID) -> Answer:
    device, form = find_device(public_id), Form(request.form)
    if not form.checked("sure"):
        form.refuse("sure", _("Say that you are sure: the device is cut off at once."))
        return device_page.rendered(device, revoke=form), 422
    try:
        credentials.revoke(db.session(), actor(), device, _broker(), at=page.at())
        db.session.commit()
        flash(_("The device is cut off. Give it a new login to let it in again."), "done")
    except (Conflict, BrokerUnavailable, BrokerRefused) as refused:
        return _refused(public_id, refused)
    return _back(public_id, "login")


@pages.post("/devices/<uuid:public_id>/scans", endpoint="plan_scan")
@requires("tasks.handle")
def plan_scan(public_id: uuid.UUID) -> Answer:
    device, form = find_device(public_id), Form(request.form)
    planned_at = form.moment("planned_at", _("Time of the scan"), page.zone(), needed=True)
    comment = form.text("comment", _("Comment"))
    try:
        if planned_at is not None and not form.errors:
            task = scans.plan_scan(db.session(), actor(), device, planned_at, comment, at=page.at())
            db.session.commit()
            flash(_("The scan is planned. This is its checklist."), "done")
            return redirect(url_for("web.task", public_id=task.public_id), 303)
    except FieldRefused as refused:
        form.refuse(refused.field, _("Time of the scan: %(reason)s.", reason=refused.reason))
    except Conflict as refused:
        return _refused(public_id, refused)
    db.session.rollback()
    return device_page.rendered(find_device(public_id), scan=form), 422


def _broker() -> BrokerAdmin:
    settings = current_app.config["SETTINGS"]
    return admin_of(settings.broker_admin_url, ca_file=settings.mqtt_ca_file, timeout_s=BROKER_TIMEOUT_S)


def _refused(public_id: uuid.UUID, why: Exception) -> Response:
    db.session.rollback()
    away = isinstance(why, BrokerUnavailable | BrokerRefused)
    flash(BROKER_AWAY if away else _("Nothing was changed: %(why)s.", why=why), "refused")
    return _back(public_id)


def _back(public_id: uuid.UUID, anchor: str | None = None) -> Response:
    return redirect(url_for("web.device", public_id=public_id, _anchor=anchor), 303)
