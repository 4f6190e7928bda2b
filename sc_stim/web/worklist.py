"""The morning of a nurse or clinician: pumps to refill by danger, and everything else that waits for somebody."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flask import Response, abort, current_app, g, request

from sc_stim.access import allowed, requires
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.models import Appointment, Device, DeviceState, Fill, Forecast, Patient, worklist
from sc_stim.models.escalation import anybody_to_tell
from sc_stim.models.review import day_of
from sc_stim.models.saved_view import views_of
from sc_stim.models.worklist import Sought
from sc_stim.web import page, words, worklist_files
from sc_stim.web.blueprint import pages
from sc_stim.web.exports import csv_answer
from sc_stim.web.worklist_view import FIRST, LANES, ORDERS, WINDOWS_DAYS, View, facets, narrow
from sc_stim.workflows import audit, refill_visit

MOST_REFILLS: Final = 60
MOST_PER_LANE: Final = 20
MOST_ALONE: Final = 200  # of a lane that is shown alone
MOST_IN_FILE: Final = 5000
STALE_AFTER: Final = dt.timedelta(hours=26)  # forecasts are made anew at least every night
# What stands in the wide column, by what the view begins with; the other lanes stand beside it.
MAIN_LANES: Final = {"refills": ("refills",), "alerts": ("alerts", "pain", "reviews", "refills")}
# Pages that lead on from a row: what the template calls it, its endpoint, and what one must be allowed.
ACTS: Final = (
    ("book", "web.book_visit", "appointments.book"),
    ("refill", "web.refill_visit", "fills.record"),
    ("task", "web.task", "tasks.read"),
)


@dataclass(frozen=True)
class Refill:
    """One line of the list of pumps to refill."""

    device: Device
    patient: Patient | None
    state: DeviceState | None
    forecast: Forecast
    visit: Appointment | None
    stale: bool
    being_recomputed: bool

    @property
    def drugs(self) -> list[dict[str, Any]]:
        return list(self.forecast.result.get("drugs", []))

    @property
    def reasons(self) -> list[str]:
        return [words.say(words.RISK_REASON, reason) for reason in self.forecast.result.get("reasons", [])]


@dataclass(frozen=True)
class OpenVisit:
    """A refill visit that is not complete, and what is left to do."""

    fill: Fill
    device: Device
    patient: Patient | None
    to_do: list[str]


@dataclass(frozen=True)
class Due:
    """The pumps to refill of a view. `windows`: (days, how many); `total`: how many the view has, shown or not."""

    windows: list[tuple[int, int]]
    facets: list[Any]
    total: int
    shown: list[Refill]
    all_ids: list[int]


@pages.get("/worklist", endpoint="worklist")
@requires("refills.read")
def show() -> str:
    """The address says what is shown, see View; where it says nothing, this person's own first view."""
    return _page("")


@pages.post("/worklist", endpoint="find_on_worklist")
@requires("refills.read")
def find() -> str:
    """Names that are sought go in the body: they belong in no address and no log of addresses."""
    return _page(page.typed("text"))


@pages.get("/worklist.csv", endpoint="worklist_csv")
@requires("refills.read")
def export() -> Response:
    """`?list=` is one of LANES: all of its rows that the view has."""
    lane = request.args.get("list", "refills")
    if lane not in LANES:
        abort(404)
    view = View.read(request.args, g.user.role)
    if lane == "refills":
        due = _due(view, Sought())
        rows: Sequence[Any] = _refills(due.all_ids)
    else:
        rows = _rows(lane, view.sought(""), MOST_IN_FILE)
    header, cells = worklist_files.FILES[lane]
    lines = [cells(row) for row in rows]
    detail = {"list": lane, "patients": _seen(rows)}
    audit.record(db.session, actor(), "worklist.export", detail=detail, at=page.at())
    db.session.commit()
    return csv_answer(f"worklist-{lane}", header, lines)


def _page(text: str) -> str:
    saved = views_of(db.session(), g.user.id)
    view = _view(saved)
    sought = view.sought(text)
    due = _due(view, sought)
    limit = MOST_ALONE if view.lane else MOST_PER_LANE
    lanes = {lane: _rows(lane, sought, limit) for lane in LANES if lane != "refills"}
    main, side, empty = _places(view, lanes)
    values = {
        "view": view,
        "text": text,
        "due": due,
        "lanes": {"refills": due.shown} | lanes,
        "main": main,
        "side": side,
        "empty": empty,
        "names": LANES,
        "orders": ORDERS,
        "firsts": FIRST,
        "saved": [(one, View.read(one.query, g.user.role)) for one in saved],
        "usual": View.read({}, g.user.role),
        "acts": _acts(),
        "day_of": day_of,
        "limit": limit,
        "tells_nobody": not anybody_to_tell(db.session(), actor().clinic_id),
    }
    shown = page.render("worklist.html", **values)
    seen = {patient for rows in values["lanes"].values() for patient in _seen(rows)}
    audit.record(db.session, actor(), "worklist.view", detail={"patients": sorted(seen)}, at=page.at())
    db.session.commit()
    return shown


def _places(view: View, lanes: Mapping[str, Sequence[Any]]) -> tuple[list[str], list[str], list[str]]:
    """Which lanes stand in the wide column, which beside it, and which are empty and only named."""
    if view.lane:
        return [view.lane], [], []
    first = MAIN_LANES[view.first]
    main = [lane for lane in first if lane == "refills" or lanes[lane]]
    side = [lane for lane in lanes if lane not in first and lanes[lane]]
    return main, side, [lane for lane in lanes if not lanes[lane]]


def _view(saved: Sequence[Any]) -> View:
    first = next((one.query for one in saved if one.opens_first), {})
    return View.read(request.args or first, g.user.role)


def _due(view: View, sought: Sought) -> Due:
    """Everything due in the longest window is read in few columns; what is shown, in all."""
    session, today = db.session(), page.today()
    until = {days: today + dt.timedelta(days=days) for days in WINDOWS_DAYS}
    text_only = Sought(sought.text)
    rows = worklist.refills_due(session, actor().clinic_id, until[max(WINDOWS_DAYS)], text_only)
    passing = narrow(view, rows)
    windows = [(days, sum(row.refill_by <= day for row in passing)) for days, day in until.items()]
    last = until[view.due_within]
    ids = [row.device_id for row in passing if row.refill_by <= last]
    within = [row for row in rows if row.refill_by <= last]
    most = MOST_ALONE if view.lane == "refills" else MOST_REFILLS
    return Due(windows, facets(view, within), len(ids), _refills(ids[:most]), ids)


def _refills(device_ids: Sequence[int]) -> list[Refill]:
    session, at = db.session(), page.at()
    owed = worklist.being_recomputed(session, device_ids, at)
    return [
        Refill(*row, stale=at - row.Forecast.computed_at > STALE_AFTER, being_recomputed=row.Device.id in owed)
        for row in worklist.refills(session, actor().clinic_id, device_ids)
    ]  # fmt: skip


def _rows(lane: str, sought: Sought, limit: int) -> Sequence[Any]:
    """The rows of a lane besides the pumps to refill, the most urgent first."""
    session, clinic_id, at = db.session(), actor().clinic_id, page.at()
    match lane:
        case "alerts":
            return worklist.alerts_in(
                session, clinic_id, without=worklist.IN_OWN_LANES, limit=limit, sought=sought
            )
        case "pain":
            return worklist.alerts_in(session, clinic_id, only=worklist.PAIN, limit=limit, sought=sought)
        case "reviews":
            return worklist.overdue_reviews(session, clinic_id, page.today(), limit, sought)
        case "visits":
            return _open_visits(clinic_id, limit, sought)
        case "without-forecast":
            return worklist.pumps_without_forecast(session, clinic_id, limit, sought)
        case "silent":
            return worklist.silent_devices(session, clinic_id, at, limit, sought)
        case "tasks":
            return worklist.overdue_tasks(session, clinic_id, at, limit, sought)
    return worklist.open_outreach(session, clinic_id, limit, sought)


def _open_visits(clinic_id: int, limit: int, sought: Sought) -> list[OpenVisit]:
    statement = worklist.visits_to_complete(clinic_id).where(*sought.where())
    rows = db.session.execute(statement.order_by(Fill.at.desc()).limit(limit)).all()
    after = refill_visit.pumps_after(db.session, [(fill, device) for fill, device, _ in rows], page.zone())
    return [
        OpenVisit(fill, device, patient, refill_visit.to_do(fill, after[fill.id]))
        for fill, device, patient in rows
    ]


def _acts() -> dict[str, str]:
    """The endpoints that lead on from here and that this person may use."""
    return {
        name: endpoint
        for name, endpoint, action in ACTS
        if endpoint in current_app.view_functions and allowed(g.user.role, action)
    }


def _seen(rows: Sequence[Any]) -> list[str]:
    """Whose names, drugs and volumes these rows show."""
    patients = {worklist_files.patient_of(row) for row in rows}
    return sorted(str(patient.public_id) for patient in patients if patient)
