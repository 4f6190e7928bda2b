"""Alerts: conditions that need a person, and what people did about them."""

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
    AlertWithHistorySchema,
    CommentSchema,
    RemarkSchema,
    ShelvingSchema,
)
from sc_stim.api.schemas_shared import seen
from sc_stim.clinical.alert_lifecycle import State
from sc_stim.extensions import db
from sc_stim.failures import Invalid
from sc_stim.guard import actor
from sc_stim.models import Alert, scope
from sc_stim.workflows import alerts as handling

alerts = Resource("alerts", __name__, "Conditions that need a person.")


@alerts.get("/alerts")
@requires("alerts.read")
@alerts.arguments(AlertQuerySchema, location="query")
@alerts.response(200, page_of(AlertSchema))
def list_alerts(query: dict[str, Any]) -> Any:
    """List alerts, the most severe first, of these the oldest first."""
    statement = in_clinic(select(Alert), Alert, g.user.clinic_id)
    statement = statement.options(joinedload(Alert.patient), joinedload(Alert.device))
    keys = [Alert.severity_rank, Alert.opened_at, Alert.id]
    body, headers = page(_selected(statement, query), query, keys)
    audit("alert.list", patients=seen(alert.patient for alert in body["items"]))
    return body, headers


@alerts.get("/alerts/<uuid:alert_id>")
@requires("alerts.read")
@alerts.response(200, AlertWithHistorySchema)
def show_alert(alert_id: uuid.UUID) -> Alert:
    """Show an alert with everything that happened to it."""
    alert = find_or_404(Alert, alert_id)
    audit("alert.view", "alert", alert.public_id, patients=seen([alert.patient]))
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
@alerts.arguments(RemarkSchema)
@alerts.response(200, AlertWithHistorySchema)
def resolve_alert(remark: dict[str, Any], alert_id: uuid.UUID) -> Alert:
    """Say that it is dealt with. A condition that comes back is a new alert."""
    alert = _lock(alert_id)
    handling.resolve(db.session, actor(), alert, remark["comment"], clock.now())
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


def _lock(alert_id: uuid.UUID) -> Alert:
    """The alert, held until the commit: of two people who act at once, the second sees what the first did."""
    alert = scope.find(db.session, Alert, g.user.clinic_id, alert_id, lock=True)
    if alert is None:
        raise NotFound(NO_ROW)
    return alert
