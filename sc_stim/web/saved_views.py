"""Keeping views of the worklist under a name."""

import uuid

from flask import abort, flash, g, redirect, request, url_for
from werkzeug.wrappers import Response

from sc_stim.access import requires
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.i18n import _
from sc_stim.models import SavedView
from sc_stim.models.saved_view import view_of
from sc_stim.web import page
from sc_stim.web.blueprint import pages
from sc_stim.web.forms import Form
from sc_stim.web.worklist_view import View
from sc_stim.workflows import saved_views
from sc_stim.workflows.refusals import Conflict, FieldRefused

LONGEST_NAME = 60


@pages.post("/worklist/views", endpoint="save_view")
@requires("refills.read")
def save() -> Response:
    """Keeps what the address shows, under the name that was typed."""
    view = View.read(request.args, g.user.role)
    form = Form(request.form)
    name = form.text("name", _("The name of the view"), needed=True, most=LONGEST_NAME)
    try:
        if name is None or form.errors:
            raise Conflict(form.errors["name"])
        saved = saved_views.save(db.session(), actor(), g.user, name, view.query(), at=page.at())
        if form.checked("opens_first"):
            saved_views.open_first(db.session(), actor(), saved, True, at=page.at())
        db.session.commit()
        flash(_("The view “%(name)s” is kept.", name=name), "done")
    except (Conflict, FieldRefused) as refused:
        db.session.rollback()
        flash(_("Nothing was kept: %(refused)s", refused=getattr(refused, "reason", refused)), "refused")
    return redirect(url_for("web.worklist", **view.query()), 303)


@pages.post("/worklist/views/<uuid:public_id>/first", endpoint="open_view_first")
@requires("refills.read")
def open_first(public_id: uuid.UUID) -> Response:
    """Begin with this view, or no longer: the button says which."""
    view = _mine(public_id)
    first = page.typed("first") == "yes"
    saved_views.open_first(db.session(), actor(), view, first, at=page.at())
    db.session.commit()
    flash(
        _("The worklist begins with %(view)s now.", view=f"“{view.name}”" if first else _("the usual view")),
        "done",
    )
    return redirect(url_for("web.worklist"), 303)


@pages.post("/worklist/views/<uuid:public_id>/query", endpoint="change_view")
@requires("refills.read")
def change(public_id: uuid.UUID) -> Response:
    """Under its name it shows what the address shows from now on."""
    saved, view = _mine(public_id), View.read(request.args, g.user.role)
    saved_views.change(db.session(), actor(), saved, view.query(), at=page.at())
    db.session.commit()
    flash(_("The view “%(name)s” shows this from now on.", name=saved.name), "done")
    return redirect(url_for("web.worklist", **view.query()), 303)


@pages.post("/worklist/views/<uuid:public_id>/delete", endpoint="delete_view")
@requires("refills.read")
def delete(public_id: uuid.UUID) -> Response:
    view = _mine(public_id)
    saved_views.delete(db.session(), actor(), view, at=page.at())
    db.session.commit()
    flash(_("The view “%(view)s” is deleted.", view=view.name), "done")
    return redirect(url_for("web.worklist"), 303)


def _mine(public_id: uuid.UUID) -> SavedView:
    return view_of(db.session(), g.user.id, public_id) or abort(404)
