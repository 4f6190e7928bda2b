"""The list of alerts: by what has become of them, narrowed, live, and as a file."""

import uuid
from collections.abc import Iterator, Sequence
from typing import Any, Final

from flask import Response, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import func, or_, select

from sc_stim.access import in_clinic, requires
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.i18n import _
from sc_stim.models import Alert, Patient, alert_list
from sc_stim.models.alert_list import Wanted
from sc_stim.models.scope import find
from sc_stim.web import alert_filter, page, words
from sc_stim.web.alert_filter import ASSIGNED, DEVICES, SHELVES, Filter
from sc_stim.web.blueprint import pages
from sc_stim.web.exports import csv_answer
from sc_stim.workflows import audit
from sc_stim.workflows.alerts import SEVERITIES

PAGE_SIZE: Final = 50
AT_ONCE: Final = 500  # rows of a file read together
MOST_PATIENTS: Final = 20

COLUMNS: Final = (
    "alert", "severity", "state", "condition", "patient", "record number", "device kind", "model", "serial",
    "condition began", "raised", "changed", "on the shelf until", "given to", "action taken", "found in late data",
    "judged by",
)  # fmt: skip


@pages.get("/alerts", endpoint="alerts")
@requires("alerts.read")
def show_all() -> str:
    """The address narrows as `alert_filter` reads it; `?after=` is the alert that the page before ended with."""
    return _page(alert_filter.asked_for())


@pages.post("/alerts", endpoint="find_alerts")
@requires("alerts.read")
def find_patient() -> ResponseReturnValue:
    """The alerts of a patient. What is typed is in no address; from then on the patient's id stands for the name."""
    chosen, name = alert_filter.asked_for(), page.typed("name")
    arguments = {key: value for key, value in chosen.arguments.items() if key != "patient"}
    if not name:
        return redirect(url_for("web.alerts", **arguments), 303)
    found = _patients_called(name)
    if len(found) == 1:
        return redirect(url_for("web.alerts", **arguments, patient=found[0].public_id), 303)
    return _page(chosen, name=name, called_so=found)


@pages.get("/alerts.csv", endpoint="alerts_csv")
@requires("alerts.read")
def download() -> Response:
    """Every alert of the list, as a file."""
    chosen = alert_filter.asked_for()
    patients = alert_list.selected(chosen.wanted).join(Alert.patient).with_only_columns(Patient.public_id)
    names = db.session.scalars(patients.order_by(None).distinct())
    detail = {"filter": chosen.arguments, "patients": sorted(str(name) for name in names)}
    audit.record(db.session(), actor(), "alert.export", detail=detail, at=page.at())
    db.session.commit()
    return csv_answer("alerts", COLUMNS, _lines(chosen.wanted))


def _page(chosen: Filter, **found: Any) -> str:
    wanted = chosen.wanted
    alerts = alert_list.page_of(db.session(), wanted, PAGE_SIZE + 1, _after())
    shown = page.render(
        "alerts.html",
        filter=chosen,
        alerts=alerts[:PAGE_SIZE],
        more=len(alerts) > PAGE_SIZE,
        first_page="after" not in request.args,
        shelves=_counted(chosen),
        severities=_severities(),
        conditions=_conditions(chosen),
        chosen=_chosen(chosen),
        assigned=ASSIGNED,
        devices=DEVICES,
        **found,
    )
    named = {alert.patient for alert in alerts[:PAGE_SIZE]} | {*found.get("called_so", ()), chosen.patient}
    seen = {"show": chosen.show, "patients": sorted(str(patient.public_id) for patient in named if patient)}
    audit.record(db.session(), actor(), "alert.list", detail=seen, at=page.at())
    db.session.commit()
    return shown


def _after() -> Alert | None:
    said = request.args.get("after")
    if said is None:
        return None
    try:
        found: Alert | None = find(db.session(), Alert, actor().clinic_id, uuid.UUID(said))
    except ValueError:
        abort(404)
    return found or abort(404)


def _counted(chosen: Filter) -> list[tuple[str, str, int]]:
    """(code, name, how many) of the lists, narrowed as this one."""
    counts = alert_list.counts(db.session(), chosen.wanted)
    severity = chosen.wanted.severity
    return [
        (
            code,
            name,
            sum(n for (state, of), n in counts.items() if state in states and severity in (None, of)),
        )
        for code, (name, states, _) in SHELVES.items()
    ]


def _severities() -> list[tuple[str, str]]:
    return [(code, words.say(words.SEVERITY, code)) for code in reversed(SEVERITIES)]


def _chosen(chosen: Filter) -> list[str]:
    """In words, what the list is narrowed to."""
    said = chosen.arguments
    names = {"severity": words.SEVERITY, "kind": words.CONDITION, "device": DEVICES}
    found = [words.say(names[name], said[name]).lower() for name in names if name in said]
    if "assigned" in said:
        found.append(_("given to %(whom)s", whom=ASSIGNED[said["assigned"]].lower()))
    return found


def _conditions(chosen: Filter) -> list[tuple[str, str]]:
    """(code, words) of what there are alerts about in this list, and of what is chosen, in the order of the words."""
    codes = {*alert_list.conditions(db.session(), chosen.wanted), chosen.arguments.get("kind", "")} - {""}
    return sorted(
        ((code, words.say(words.CONDITION, code)) for code in codes), key=lambda pair: pair[1].lower()
    )


def _patients_called(name: str) -> Sequence[Patient]:
    """Patients with alerts whose family name begins so, or with exactly this record number, by name."""
    begins = func.lower(Patient.family_name).startswith(name.lower(), autoescape=True)
    statement = in_clinic(select(Patient), Patient, actor().clinic_id)
    statement = statement.where(or_(begins, Patient.mrn == name), _has_alerts())
    return db.session.scalars(
        statement.order_by(Patient.family_name, Patient.given_name, Patient.id).limit(MOST_PATIENTS)
    ).all()


def _has_alerts() -> Any:
    return select(Alert.id).where(Alert.patient_id == Patient.id).exists()


def _lines(wanted: Wanted) -> Iterator[Sequence[Any]]:
    """Read in portions, each behind the last row of the one before."""
    last: Alert | None = None
    while True:
        alerts = alert_list.page_of(db.session(), wanted, AT_ONCE, last)
        yield from map(_line, alerts)
        if len(alerts) < AT_ONCE:
            return
        last = alerts[-1]


def _line(alert: Alert) -> Sequence[Any]:
    patient, device = alert.patient, alert.device
    return (
        alert.public_id, alert.severity, alert.state, alert.condition,
        patient.display_name if patient else None, patient.mrn if patient else None,
        device.kind if device else None, device.model if device else None, device.serial if device else None,
        alert.since, alert.opened_at, alert.changed_at, alert.shelved_until,
        alert.assigned_to.name if alert.assigned_to else None,
        {None: None, True: "yes", False: "no"}[alert.action_taken], "yes" if alert.historical else "no",
        alert.model_version,
    )  # fmt: skip
