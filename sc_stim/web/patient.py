"""One patient: who, which devices with which settings, the pathway, open alerts, and charts on one axis of time."""

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from flask import abort, request
from sqlalchemy import or_, select
from sqlalchemy.orm import joinedload

from sc_stim.access import requires
from sc_stim.clinical.alert_lifecycle import State
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.models import Alert, Assessment, Device, DeviceEvent, Fill, PainFinding, Patient, Treatment, User
from sc_stim.models.recall import open_recalls_of
from sc_stim.models.scope import find
from sc_stim.models.series import start_of_day
from sc_stim.web import lead_map, page, patient_charts, reviews
from sc_stim.web.blueprint import pages
from sc_stim.web.implants import Implant, implants_of
from sc_stim.workflows import audit

SPANS_DAYS: Final = (30, 90, 365)
DEFAULT_SPAN_DAYS: Final = 90
MOST_EVENTS: Final = 50
MOST_FILLS: Final = 10
FIRST_DAY: Final = dt.date(1980, 1, 1)  # no record is older


@dataclass(frozen=True)
class Window:
    """The patient's own days that a page shows: `days` of them up to `last`."""

    days: int
    last: dt.date
    today: dt.date
    zone: ZoneInfo

    @property
    def first(self) -> dt.date:
        return self.last - dt.timedelta(days=self.days - 1)

    @property
    def begin(self) -> dt.datetime:
        return start_of_day(self.first, self.zone)

    @property
    def end(self) -> dt.datetime:
        return start_of_day(self.last + dt.timedelta(days=1), self.zone)

    @property
    def until(self) -> dt.date | None:
        """None: up to the present, whenever that is."""
        return self.last if self.last < self.today else None

    @property
    def earlier(self) -> dt.date | None:
        """The last day of the window before this one."""
        return max(self.first - dt.timedelta(days=1), FIRST_DAY) if self.first > FIRST_DAY else None

    @property
    def later(self) -> dt.date:
        return min(self.last + dt.timedelta(days=self.days), self.today)


@pages.get("/patients/<uuid:public_id>", endpoint="patient")
@requires("patients.read")
def show(public_id: uuid.UUID) -> str:
    """`?days=` is one of SPANS_DAYS, `?until=` the last day to show, as 2026-11-22; without it, today."""
    patient: Patient = find(db.session, Patient, actor().clinic_id, public_id) or abort(404)
    window = _window(patient)
    implants = implants_of(db.session, patient, page.at())
    findings = _findings(patient, window)
    fills = newest_fills(implants)
    shown = page.render(
        "patient.html",
        patient=patient,
        window=window,
        spans=SPANS_DAYS,
        implants=implants,
        lead_maps={implant.number: lead_map.draw(db.session(), implant, page.at()) for implant in implants},
        charts=list(
            patient_charts.draw(
                db.session, patient, implants, findings, window.days, window.last, page.at(), page.country()
            )
        ),
        findings=findings,
        alerts=alerts_of(patient, implants),
        events=_events(implants, window),
        fills=fills,
        names=names_of(fill for _, fill in fills),
        pathway=pathway_of(patient),
        review=reviews.shown_of(patient, window.begin, window.end),
        recalled=open_recalls_of(db.session(), [implant.device.id for implant in implants]),
        other_zone=patient.time_zone if ZoneInfo(patient.time_zone) != page.zone() else None,
    )
    audit.record(db.session, actor(), "patient.view", "patient", patient.public_id, at=page.at())
    db.session.commit()
    return shown


def _window(patient: Patient) -> Window:
    """What the address asks for; what cannot be is left out of account."""
    zone = ZoneInfo(patient.time_zone)
    today = page.at().astimezone(zone).date()
    days = request.args.get("days", "")
    last = request.args.get("until", today, type=dt.date.fromisoformat)
    span = int(days) if days in map(str, SPANS_DAYS) else DEFAULT_SPAN_DAYS
    return Window(span, last if FIRST_DAY <= last < today else today, today, zone)


def _findings(patient: Patient, window: Window) -> Sequence[PainFinding]:
    """What the pain rule found in these days, newest first."""
    within = PainFinding.day.between(window.first, window.last)
    statement = select(PainFinding).where(PainFinding.patient_id == patient.id, within)
    return db.session.scalars(statement.order_by(PainFinding.day.desc(), PainFinding.id.desc())).all()


def alerts_of(patient: Patient, implants: Sequence[Implant]) -> Sequence[Alert]:
    """Everything about the patient or a device of theirs that is not closed, worst first."""
    about = or_(
        Alert.patient_id == patient.id, Alert.device_id.in_([implant.device.id for implant in implants])
    )
    statement = select(Alert).where(about, Alert.clinic_id == patient.clinic_id, Alert.state != State.CLOSED)
    statement = statement.options(joinedload(Alert.patient), joinedload(Alert.device))
    return db.session.scalars(statement.order_by(Alert.severity_rank, Alert.opened_at)).all()


def _events(implants: Sequence[Implant], window: Window) -> list[tuple[DeviceEvent, Device]]:
    """The newest events of these days, by the time the device measured them."""
    devices = {implant.device.id: implant.device for implant in implants}
    at = DeviceEvent.measured_at
    statement = select(DeviceEvent).where(
        DeviceEvent.device_id.in_(devices), at >= window.begin, at < window.end
    )
    found = db.session.scalars(statement.order_by(at.desc(), DeviceEvent.seq.desc()).limit(MOST_EVENTS))
    return [(event, devices[event.device_id]) for event in found]


def newest_fills(implants: Sequence[Implant]) -> list[tuple[Implant, Fill]]:
    """The newest fills, as corrected."""
    fills = [(implant, fill) for implant in implants for fill in implant.fills]
    return sorted(fills, key=lambda row: row[1].at, reverse=True)[:MOST_FILLS]


def names_of(fills: Iterable[Fill]) -> dict[int, str]:
    """Who filled and who confirmed."""
    people = {person for fill in fills for person in (fill.performed_by_id, fill.confirmed_by_id) if person}
    return {
        row.id: row.name for row in db.session.execute(select(User.id, User.name).where(User.id.in_(people)))
    }


def pathway_of(patient: Patient) -> list[Treatment | Assessment]:
    """Treatments and examinations, oldest first."""
    treatments = db.session.scalars(select(Treatment).where(Treatment.patient_id == patient.id)).all()
    assessments = db.session.scalars(select(Assessment).where(Assessment.patient_id == patient.id)).all()
    dated = [(step.started_on, step) for step in treatments]
    dated += [(step.performed_on, step) for step in assessments]
    return [step for _, step in sorted(dated, key=lambda row: row[0])]
