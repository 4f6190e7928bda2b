"""Which alerts a page shows, as its address says: the list, its file and the way through it share it."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flask import abort, g, request

from sc_stim.clinical.alert_lifecycle import State
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.i18n import _, _lazy
from sc_stim.models import Patient, worklist
from sc_stim.models.alert_list import NOBODY, Wanted
from sc_stim.models.scope import find
from sc_stim.workflows.alerts import SEVERITIES

UNTAKEN: Final = (State.UNACKNOWLEDGED, State.RETURNED_TO_NORMAL)

# code -> (name, states, what an empty list says)
SHELVES: Final[dict[str, tuple[str, tuple[State, ...], str]]] = {
    "open": (_lazy("Open"), worklist.WAITING, _lazy("No alert is open.")),
    "untaken": (_lazy("Not taken yet"), UNTAKEN, _lazy("Every open alert is taken by somebody.")),
    "shelved": (_lazy("On the shelf"), (State.SHELVED,), _lazy("Nothing is on the shelf.")),
    "closed": (_lazy("Closed"), (State.CLOSED,), _lazy("No alert has been closed yet.")),
}
ASSIGNED: Final = {"me": _lazy("Me"), "nobody": _lazy("Nobody")}
DEVICES: Final = {"pump": _lazy("Pumps"), "stimulator": _lazy("Stimulators")}
LONGEST_CONDITION: Final = 40


@dataclass(frozen=True)
class Filter:
    """`arguments`: what the address says beyond the open alerts of everybody, to be said again in other addresses."""

    show: str
    arguments: dict[str, Any]
    patient: Patient | None

    @property
    def wanted(self) -> Wanted:
        mine = {"me": g.user.id, "nobody": NOBODY}
        return Wanted(
            clinic_id=actor().clinic_id,
            states=SHELVES[self.show][1],
            severity=self.arguments.get("severity"),
            condition=self.arguments.get("kind"),
            assigned_to_id=mine.get(self.arguments.get("assigned", "")),
            device_kind=self.arguments.get("device"),
            patient_id=self.patient.id if self.patient else None,
        )

    @property
    def narrowed(self) -> bool:
        """Whether it leaves out more than states."""
        return bool(self.arguments.keys() - {"show"})

    @property
    def empty(self) -> str:
        """What an empty list says."""
        return _("No alert is like that.") if self.narrowed else SHELVES[self.show][2]

    def showing(self, show: str) -> dict[str, Any]:
        """The arguments of the same choice among alerts in other states."""
        return self.arguments | {"show": show}


def asked_for() -> Filter:
    """What the address of this request asks for; 404 where that cannot be."""
    said = request.args
    known: Mapping[str, object] = {"severity": SEVERITIES, "assigned": ASSIGNED, "device": DEVICES}
    show = said.get("show") or "open"
    if show not in SHELVES or len(said.get("kind", "")) > LONGEST_CONDITION:
        abort(404)
    if any(said.get(name) and said[name] not in choices for name, choices in known.items()):  # type: ignore[operator]
        abort(404)
    names = ("show", *known, "kind", "patient")
    arguments = {name: said[name].replace("\0", "") for name in names if said.get(name)}
    return Filter(show, arguments, _patient(arguments.get("patient")))


def _patient(public_id: str | None) -> Patient | None:
    if public_id is None:
        return None
    try:
        found: Patient | None = find(db.session(), Patient, actor().clinic_id, uuid.UUID(public_id))
    except ValueError:
        abort(404)
    return found or abort(404)
