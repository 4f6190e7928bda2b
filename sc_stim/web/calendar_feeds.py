"""The addresses at which calendar programs read the visits: made, shown once, revoked."""

import uuid
from typing import Final

from flask import abort, current_app, flash, redirect, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response

from sc_stim.access import in_clinic, requires
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.i18n import _
from sc_stim.models import CalendarFeed, ClinicResource
from sc_stim.models.scope import find
from sc_stim.web import page
from sc_stim.web.blueprint import pages
from sc_stim.web.forms import Form
from sc_stim.workflows import calendar_feed
from sc_stim.workflows.refusals import Conflict

EVERYBODY: Final = "all"


@pages.get("/calendar-feeds", endpoint="calendar_feeds")
@requires(calendar_feed.ACTION)
def show() -> str:
    return _page()


@pages.post("/calendar-feeds", endpoint="create_calendar_feed")
@requires(calendar_feed.ACTION)
def create() -> str | tuple[str, int]:
    """Answers with the address at once: it is nowhere to be read again."""
    form, resource = Form(request.form), None
    if form["resource"] != EVERYBODY:
        resource_id = form.id("resource", _("Whose visits"), needed=True)
        resource = resource_id and find(db.session, ClinicResource, actor().clinic_id, resource_id)
        if resource is None:
            form.refuse("resource", _("Choose whose visits from the list."))
    if form.errors:
        return _page(form=form), 422
    names = form.checked("shows_names")
    feed, token = calendar_feed.create(db.session(), actor(), resource, shows_names=names, at=page.at())
    base = current_app.config["SETTINGS"].public_url or request.host_url
    address = base.rstrip("/") + url_for("calendar.show_calendar", token=token)
    shown = _page(made=feed, address=address)
    db.session.commit()
    return shown


@pages.post("/calendar-feeds/<uuid:public_id>/revoke", endpoint="revoke_calendar_feed")
@requires(calendar_feed.ACTION)
def revoke(public_id: uuid.UUID) -> Response:
    feed: CalendarFeed = find(db.session, CalendarFeed, actor().clinic_id, public_id) or abort(404)
    try:
        calendar_feed.revoke(db.session(), actor(), feed, at=page.at())
        db.session.commit()
        flash(_("The feed is revoked: its address answers no more."), "done")
    except Conflict as refused:
        db.session.rollback()
        flash(_("Nothing was changed: %(refused)s.", refused=refused), "refused")
    return redirect(url_for("web.calendar_feeds"), 303)


def _page(form: Form | None = None, made: CalendarFeed | None = None, address: str | None = None) -> str:
    """Feeds that answer first, then the revoked ones, the newest first."""
    statement = in_clinic(select(CalendarFeed), CalendarFeed, actor().clinic_id)
    nested = joinedload(CalendarFeed.resource), joinedload(CalendarFeed.created_by)
    order = (CalendarFeed.revoked_at.is_not(None), CalendarFeed.id.desc())
    feeds = db.session.scalars(statement.options(*nested).order_by(*order).limit(200)).all()
    resources = in_clinic(select(ClinicResource), ClinicResource, actor().clinic_id)
    rows = db.session.scalars(resources.where(ClinicResource.active).order_by(ClinicResource.id))
    choices = [(EVERYBODY, _("The whole clinic, and pumps due without a visit"))]
    choices += [(str(row.public_id), row.name) for row in rows]
    return page.render(
        "calendar_feeds.html", feeds=feeds, choices=choices, form=form, made=made, address=address
    )
