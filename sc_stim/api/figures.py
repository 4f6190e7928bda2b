"""The clinic's own figures: limits of drugs, stability, and when alarms are raised or made worse."""

import uuid
from typing import Any

from werkzeug.exceptions import NotFound

from sc_stim import clock
from sc_stim.access import requires
from sc_stim.api.http import NO_ROW, Resource, find_or_404, must_match, of_a_version
from sc_stim.api.schemas_figures import (
    FigureChangeSchema,
    FigureListSchema,
    FigureSchema,
    FigureWithHistorySchema,
)
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.models import Clinic
from sc_stim.workflows import clinic_figures
from sc_stim.workflows.clinic_figures import Standing

figures = Resource("figures", __name__, "Figures that the clinic may set itself.")


@figures.get("/clinics/<uuid:clinic_id>/figures")
@requires("clinic.read")
@figures.response(200, FigureListSchema)
def list_figures(clinic_id: uuid.UUID) -> dict[str, Any]:
    """List every figure that is open to the clinic, with the shipped and the clinic's own value."""
    clinic = find_or_404(Clinic, clinic_id)
    return {"items": clinic_figures.standing_of(db.session(), clinic.id)}


@figures.get("/clinics/<uuid:clinic_id>/figures/<key>")
@requires("clinic.read")
@figures.response(200, FigureWithHistorySchema)
def show_figure(clinic_id: uuid.UUID, key: str) -> dict[str, Any]:
    """Show one figure, and who changed it."""
    standing = _find(clinic_id, key)
    names = ("figure", "own", "wider", "version")
    return {name: getattr(standing, name) for name in names} | {
        "history": clinic_figures.history(db.session(), find_or_404(Clinic, clinic_id).id, key)
    }


@figures.put("/clinics/<uuid:clinic_id>/figures/<key>")
@requires("clinic.manage")
@figures.arguments(FigureChangeSchema)
@figures.response(200, FigureSchema)
def set_figure(new: dict[str, Any], clinic_id: uuid.UUID, key: str) -> Standing:
    """Set the clinic's own value. It holds at once.

    Outside `least` and `most` it is refused as a slip. One that is wider than the shipped value is taken, and said to
    be so.
    """
    standing = _find_to_edit(clinic_id, key)
    clinic_figures.set_figure(db.session(), actor(), standing, **new, at=clock.now())
    return _find(clinic_id, key)


@figures.delete("/clinics/<uuid:clinic_id>/figures/<key>")
@requires("clinic.manage")
@of_a_version
@figures.response(204)
def unset_figure(clinic_id: uuid.UUID, key: str) -> None:
    """Go back to the shipped value."""
    standing = _find_to_edit(clinic_id, key)
    clinic_figures.back_to_shipped(db.session(), actor(), standing, at=clock.now())


def _find(clinic_id: uuid.UUID, key: str) -> Standing:
    standing = clinic_figures.find(db.session(), find_or_404(Clinic, clinic_id).id, key)
    if standing is None:
        raise NotFound(NO_ROW)
    return standing


def _find_to_edit(clinic_id: uuid.UUID, key: str) -> Standing:
    standing = _find(clinic_id, key)
    must_match(standing.version)
    return standing
