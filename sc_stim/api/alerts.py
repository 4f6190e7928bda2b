"""Alerts: conditions that need a person, and what people did about them."""

import datetime as dt
import uuid
from typing import Any

from flask import g
from sqlalchemy import Select, select
from sqlalchemy.orm import joinedload
from werkzeug.exceptions import NotFound

from sc_stim import clock
from sc_stim.access import in_clinic, requires
from sc_stim.api.http import NO_ROW, Resource, audit, find_or_404
from sc_stim.api.paging import page, page_of
from sc_stim.api.schemas_alerts import (
    AlertQuerySchema,
    AlertSchema,
    AlertShownSchema,
    AlertWithHistorySchema,
    AssignmentSchema,
    BurdenQuerySchema,
    BurdenSchema,
    CommentSchema,
    RemarkSchema,
    ResolvingSchema,
    ShelvingSchema,
)
from sc_stim.api.schemas_shared import seen, window
from sc_stim.clinical.alert_lifecycle import State
from sc_stim.extensions import db
from sc_stim.failures import Invalid
from sc_stim.guard import actor
from sc_stim.models import Alert, User, alert_list, scope
from sc_stim.workflows import alerts as handling
from sc_stim.workflows import burden as measuring
from sc_stim.workflows.cause_cards import card_of_alert

alerts = Resource("alerts", __name__, "Conditions that need a person.")


@alerts.get("/alerts")
@requires("alerts.read")
@alerts.arguments(AlertQuerySchema, location="query")
@alerts.response(200, page_of(AlertSchema))
def list_alerts(query: dict[str, Any]) -> Any:
    """List alerts, the most severe first, of these the oldest first."""
    statement = in_clinic(select(Alert), Alert, g.user.clinic_id)
    statement = statement.options(
        joinedload(Alert.patient), joinedload(Alert.device), joinedload(Alert.assigned_to)
    )
    keys = [Alert.severity_rank, Alert.opened_at, Alert.id]
    body, headers = page(_selected(statement, query), query, keys)
    audit("alert.list", patients=seen(alert.patient for alert in body["items"]))
    return body, headers


@alerts.get("/alerts/burden")
@requires("alerts.read")
@alerts.arguments(BurdenQuerySchema, location="query")
@alerts.response(200, BurdenSchema)
def show_burden(query: dict[str, Any]) -> dict[str, Any]:
    """Show how much the alerts of a time asked of the clinic, beside what is bearable elsewhere.

    Findings from late data, which called nobody, are not counted.
    """
    since, until = window(query, dt.timedelta(days=365))
    audit("alert.burden")
    found = measuring.clinic_burden(db.session(), g.user.clinic_id, since, until)
    parts = {
        name: getattr(found, name) for name in ("patient_years", "total", "by_kind_and_severity", "aims")
    }
    return {"since": since, "until": until} | parts


@alerts.get("/alerts/<uuid:alert_id>")
@requires("alerts.read")
@alerts.response(200, AlertShownSchema)
def show_alert(alert_id: uuid.UUID) -> Alert:
    """Show an alert with everything that happened to it, one of pain with its cause card."""
    alert = find_or_404(Alert, alert_id)
    audit("alert.view", "alert", alert.public_id, patients=seen([alert.patient]))
    alert.cause_card = card_of_alert(db.session, alert, clock.now())  # type: ignore[attr-defined]
    return alert


@alerts.post("/alerts/<uuid:alert_id>/acknowledge")
@requires("alerts.handle")
@alerts.arguments(RemarkSchema)
@alerts.response(200, AlertWithHistorySchema)
def acknowledge_alert(remark: dict[str, Any], alert_id: uuid.UUID) -> Alert:
    """Say that one has seen it and takes care."""
    alert = _lock(alert_id)
    handling.acknowledge(db.session, actor(), alert, remark["comment"], clock.now())
    return alert


@alerts.post("/alerts/<uuid:alert_id>/shelve")
@requires("alerts.handle")
@alerts.arguments(ShelvingSchema)
@alerts.response(200, AlertWithHistorySchema)
def shelve_alert(shelving: dict[str, Any], alert_id: uuid.UUID) -> Alert:
    """Put it aside until a time. It comes back then by itself, and before if the condition gets worse."""
    alert, at = _lock(alert_id), clock.now()
    if shelving["until"] <= at:
        raise Invalid("until", "must lie in the future")
    handling.shelve(db.session, actor(), alert, shelving["until"], shelving["comment"], at)
    return alert


@alerts.post("/alerts/<uuid:alert_id>/resolve")
@requires("alerts.handle")
@alerts.arguments(ResolvingSchema)
@alerts.response(200, AlertWithHistorySchema)
def resolve_alert(remark: dict[str, Any], alert_id: uuid.UUID) -> Alert:
    """Say that it is dealt with. A condition that comes back is a new alert."""
    alert = _lock(alert_id)
    handling.resolve(
        db.session, actor(), alert, remark["comment"], clock.now(), action_taken=remark["action_taken"]
    )
    return alert


@alerts.post("/alerts/<uuid:alert_id>/unshelve")
@requires("alerts.handle")
@alerts.arguments(RemarkSchema)
@alerts.response(200, AlertWithHistorySchema)
def unshelve_alert(remark: dict[str, Any], alert_id: uuid.UUID) -> Alert:
    """Take it off the shelf before its time. It calls people anew until somebody takes it."""
    alert = _lock(alert_id)
    handling.unshelve(db.session, actor(), alert, remark["comment"], clock.now())
    return alert


@alerts.post("/alerts/<uuid:alert_id>/assign")
@requires("alerts.handle")
@alerts.arguments(AssignmentSchema)
@alerts.response(200, AlertWithHistorySchema)
def assign_alert(assignment: dict[str, Any], alert_id: uuid.UUID) -> Alert:
    """Say who looks after it. That acknowledges nothing: whom it was given to does."""
    alert = _lock(alert_id)
    user = None if assignment["user_id"] is None else _carer(assignment["user_id"])
    handling.assign(db.session, actor(), alert, user, assignment["comment"], clock.now())
    return alert


@alerts.post("/alerts/<uuid:alert_id>/comments")
@requires("alerts.handle")
@alerts.arguments(CommentSchema)
@alerts.response(201, AlertWithHistorySchema)
def create_comment(remark: dict[str, str], alert_id: uuid.UUID) -> Alert:
    """Add a remark."""
    alert = _lock(alert_id)
    handling.comment(db.session, actor(), alert, remark["comment"], clock.now())
    return alert


def _selected(statement: Select[Any], query: dict[str, Any]) -> Select[Any]:
    if query.get("state") == "open":
        statement = statement.where(Alert.state != State.CLOSED)
    elif "state" in query:
        statement = statement.where(Alert.state == query["state"])
    if "severity" in query:
        statement = statement.where(Alert.severity == query["severity"])
    if "kind" in query:
        statement = statement.where(Alert.condition == query["kind"])
    return statement


def _carer(user_id: uuid.UUID) -> User:
    for person in alert_list.carers(db.session(), g.user.clinic_id):
        if person.public_id == user_id:
            return person
    raise Invalid("user_id", "is nobody of the clinic who may handle alerts")


def _lock(alert_id: uuid.UUID) -> Alert:
    """The alert, held until the commit: of two people who act at once, the second sees what the first did."""
    alert = scope.find(db.session, Alert, g.user.clinic_id, alert_id, lock=True)
    if alert is None:
        raise NotFound(NO_ROW)
    return alert
