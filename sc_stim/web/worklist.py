"""The nurse's morning: pumps to refill by danger, open alerts, silent devices, and pumps that cannot be forecast."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from flask import request

from sc_stim.access import requires
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.models import Device, DeviceState, Fill, Forecast, Patient, worklist
from sc_stim.models.review import day_of, most_overdue
from sc_stim.web import page, words
from sc_stim.web.blueprint import pages
from sc_stim.workflows import audit, refill_visit

WINDOWS_DAYS: Final = (7, 14, 30)
DEFAULT_WINDOW_DAYS: Final = 14
MOST_REFILLS: Final = 200
MOST_PER_LANE: Final = 50
STALE_AFTER: Final = dt.timedelta(hours=26)  # forecasts are made anew at least every night


@dataclass(frozen=True)
class Refill:
    """One line of the list of pumps to refill."""

    device: Device
    patient: Patient | None
    state: DeviceState | None
    forecast: Forecast
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


@pages.get("/worklist", endpoint="worklist")
@requires("refills.read")
def show() -> str:
    """`?due=` is the window in days, one of WINDOWS_DAYS."""
    due_within = _window(request.args.get("due", ""))
    clinic_id, today, at = actor().clinic_id, page.today(), page.at()
    counts = worklist.count_refills_due(db.session, clinic_id, [_until(today, days) for days in WINDOWS_DAYS])
    found = worklist.refills_due(db.session, clinic_id, _until(today, due_within), MOST_REFILLS)
    owed = worklist.being_recomputed(db.session, [device.id for device, *_ in found], at)
    values = {
        "due_within": due_within,
        "windows": list(zip(WINDOWS_DAYS, counts, strict=True)),
        "due_count": dict(zip(WINDOWS_DAYS, counts, strict=True))[due_within],
        "refills": [
            Refill(
                device, patient, state, forecast, at - forecast.computed_at > STALE_AFTER, device.id in owed
            )
            for device, patient, state, forecast in found
        ],
        "alerts": worklist.alerts_in(
            db.session, clinic_id, without=worklist.IN_OWN_LANES, limit=MOST_PER_LANE
        ),
        "silent": worklist.silent_devices(db.session, clinic_id, at, MOST_PER_LANE),
        "without_forecast": worklist.pumps_without_forecast(db.session, clinic_id, MOST_PER_LANE),
        "visits": _open_visits(clinic_id),
        "reviews": most_overdue(db.session(), clinic_id, today, MOST_PER_LANE),
        "day_of": day_of,
        "limit": MOST_PER_LANE,
    }
    shown = page.render("worklist.html", **values)
    _record_view(values)
    db.session.commit()
    return shown


def _open_visits(clinic_id: int) -> list[OpenVisit]:
    statement = worklist.visits_to_complete(clinic_id).order_by(Fill.at.desc()).limit(MOST_PER_LANE)
    rows = db.session.execute(statement).all()
    after = refill_visit.pumps_after(db.session, [(fill, device) for fill, device, _ in rows])
    return [
        OpenVisit(fill, device, patient, refill_visit.to_do(fill, after[fill.id]))
        for fill, device, patient in rows
    ]


def _window(wanted: str) -> int:
    return int(wanted) if wanted in map(str, WINDOWS_DAYS) else DEFAULT_WINDOW_DAYS


def _until(today: dt.date, days: int) -> dt.date:
    return today + dt.timedelta(days=days)


def _record_view(values: dict[str, Any]) -> None:
    """Whose names, drugs and volumes were on the screen."""
    patients = {row.patient for lane in ("refills", "visits") for row in values[lane]}
    patients |= {row.Patient for lane in ("silent", "without_forecast", "reviews") for row in values[lane]}
    patients |= {alert.patient for alert in values["alerts"]}
    seen = sorted(str(patient.public_id) for patient in patients if patient)
    audit.record(db.session, actor(), "worklist.view", detail={"patients": seen}, at=page.at())
