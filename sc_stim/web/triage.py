"""Going through a list of alerts one after the other: each is a page, and an act opens the next one.

Where one stands is said by the alert that is open and by the list in the address, so nothing is kept on the server and
the browser's own way back works.
"""

import uuid
from dataclasses import dataclass
from typing import Any, Final

from flask import abort, redirect, request, url_for
from flask.typing import ResponseReturnValue

from sc_stim.access import requires
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.i18n import _lazy
from sc_stim.models import Alert, alert_list
from sc_stim.models.scope import find
from sc_stim.web import alert_filter, page
from sc_stim.web.alert_filter import Filter
from sc_stim.web.blueprint import pages
from sc_stim.workflows import audit

# (key, what it does)
KEYS: Final = (
    ("j", _lazy("next alert")),
    ("k", _lazy("alert before")),
    ("a", _lazy("I take it")),
    ("s", _lazy("put it on the shelf: choose until when")),
    ("c", _lazy("write a comment")),
    ("r", _lazy("it is dealt with: say why")),
    ("u", _lazy("undo: take the last one off the shelf")),
    (_lazy("Ctrl+Enter"), _lazy("send the form you are writing in")),
    (_lazy("Esc"), _lazy("leave the field, so that the letters are keys again")),
    ("?", _lazy("show or hide these keys")),
)


@dataclass(frozen=True)
class Place:
    """Where an alert stands in the list one goes through. `number` None: it is not in the list any more."""

    filter: Filter
    number: int | None
    total: int
    previous: Alert | None
    following: Alert | None
    done: Alert | None  # the one dealt with just before

    @property
    def arguments(self) -> dict[str, Any]:
        return _arguments(self.filter)


@pages.get("/alerts/triage", endpoint="triage")
@requires("alerts.read")
def begin() -> ResponseReturnValue:
    """Leads to the first alert of the list; `?over=1`: the list was gone through, which a page says."""
    chosen = alert_filter.asked_for()
    first = alert_list.page_of(db.session(), chosen.wanted, 1)
    if first and "over" not in request.args:
        return redirect(_address(chosen, first[0]), 302)
    done = _done()
    shown = page.render(
        "triage_over.html", filter=chosen, arguments=_arguments(chosen), done=done, left=bool(first)
    )
    seen = {"patients": [str(done.patient.public_id)] if done and done.patient else []}
    audit.record(db.session(), actor(), "alert.triage", detail=seen, at=page.at())
    db.session.commit()
    return shown


def place_of(alert: Alert) -> Place | None:
    """Where this alert stands, if its page was opened in going through a list."""
    if "triage" not in request.args:
        return None
    chosen = alert_filter.asked_for()
    wanted, session = chosen.wanted, db.session()
    ahead, is_here, total = alert_list.place(session, wanted, alert)
    return Place(
        filter=chosen,
        number=ahead + 1 if is_here else None,
        total=total,
        previous=alert_list.before(session, wanted, alert),
        following=_following(chosen, alert),
        done=_done(),
    )


def address_after(alert: Alert) -> str:
    """Where to go once this alert is dealt with: the next one in going through a list, else its own page again."""
    if "triage" not in request.args:
        return url_for("web.alert", public_id=alert.public_id)
    chosen = alert_filter.asked_for()
    following = _following(chosen, alert)
    if following is None:
        return url_for("web.triage", **chosen.showing(chosen.show), over=1, done=alert.public_id)
    return _address(chosen, following, done=alert.public_id)


def address_of(alert: Alert) -> str:
    """This alert's page, in the same list if one is gone through."""
    if "triage" not in request.args:
        return url_for("web.alert", public_id=alert.public_id)
    return _address(alert_filter.asked_for(), alert)


def _address(chosen: Filter, alert: Alert, **more: Any) -> str:
    return url_for("web.alert", public_id=alert.public_id, **_arguments(chosen), **more)


def _arguments(chosen: Filter) -> dict[str, Any]:
    """Of an address within going through this list."""
    return chosen.showing(chosen.show) | {"triage": "1"}


def _following(chosen: Filter, alert: Alert) -> Alert | None:
    return next(iter(alert_list.page_of(db.session(), chosen.wanted, 1, after=alert)), None)


def _done() -> Alert | None:
    said = request.args.get("done", type=uuid.UUID)
    if said is None:
        return None
    found: Alert | None = find(db.session(), Alert, actor().clinic_id, said)
    return found or abort(404)
