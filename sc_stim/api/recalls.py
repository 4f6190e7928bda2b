"""Recalls: a list in, the devices and patients it means out, and outreach down to zero."""

import csv
import io
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, Final

from flask import Response, g, request, url_for
from sqlalchemy import Select, select
from sqlalchemy.orm import joinedload, selectinload
from werkzeug.exceptions import NotFound

from sc_stim import clock
from sc_stim.access import in_clinic, requires
from sc_stim.api.audit import CSV, FORMULA
from sc_stim.api.http import NO_ROW, Resource, audit, find_or_404, find_to_edit
from sc_stim.api.paging import page, page_of
from sc_stim.api.schemas_reviews import (
    ListSchema,
    NewRecallSchema,
    OutreachChangeSchema,
    OutreachQuerySchema,
    OutreachSchema,
    PreviewSchema,
    RecallChangeSchema,
    RecallQuerySchema,
    RecallSchema,
)
from sc_stim.api.schemas_shared import seen, sees_patients
from sc_stim.clinical.outreach import FINISHED, Outreach
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.models import Device, Recall, RecallOutreach, RecallOutreachEntry
from sc_stim.models.recall import counts_of
from sc_stim.workflows import recalls as following

recalls = Resource("recalls", __name__, "Field safety notices and the outreach to the devices they mean.")

COLUMNS: Final = (
    "manufacturer", "model", "serial", "lot", "match", "missing", "line", "state", "changed_at", "on_list",
    "patient", "mrn", "phone",
)  # fmt: skip


@recalls.get("/recalls")
@requires("recalls.read")
@recalls.arguments(RecallQuerySchema, location="query")
@recalls.response(200, page_of(RecallSchema))
def list_recalls(query: dict[str, Any]) -> Any:
    """List the clinic's recalls, newest first, each with what is left to do."""
    statement = in_clinic(select(Recall), Recall, g.user.clinic_id).options(
        joinedload(Recall.created_by), selectinload(Recall.lists)
    )
    if "closed" in query:
        closed = Recall.closed_at.is_not(None)
        statement = statement.where(closed if query["closed"] else ~closed)
    body, headers = page(statement, query, [Recall.id], newest_first=True)
    audit("recall.list")
    return body | {"items": _with_progress(body["items"])}, headers


@recalls.post("/recalls/preview")
@requires("recalls.read")
@recalls.arguments(ListSchema)
@recalls.response(200, PreviewSchema)
def preview_recall(new: dict[str, str]) -> dict[str, Any]:
    """Try a list: which devices it means, which it cannot exclude, which lines are not understood. Nothing is kept."""
    found = following.preview(db.session, g.user.clinic_id, new["text"])
    shown = [*found.matched, *found.not_excluded]
    audit("recall.preview", patients=seen(device.patient for device, _ in shown))
    lists = {name: [_found(*row) for row in getattr(found, name)] for name in ("matched", "not_excluded")}
    return vars(found) | lists


@recalls.post("/recalls")
@requires("recalls.handle")
@recalls.arguments(NewRecallSchema)
@recalls.response(201, RecallSchema)
def create_recall(new: dict[str, Any]) -> Any:
    """Keep a recall and begin the outreach to every device it means or cannot exclude.

    A list with lines that are not understood is refused, unless `accept_unread` leaves them out; they stay on record.
    """
    text, accept_unread = new.pop("text"), new.pop("accept_unread")
    recall = following.create_recall(
        db.session, actor(), new, text, accept_unread=accept_unread, at=clock.now()
    )
    where = {"Location": url_for("recalls.show_recall", recall_id=recall.public_id)}
    return _with_progress([recall])[0], where


@recalls.get("/recalls/<uuid:recall_id>")
@requires("recalls.read")
@recalls.response(200, RecallSchema)
def show_recall(recall_id: uuid.UUID) -> Any:
    """Show a recall and what is left to do."""
    recall = find_or_404(Recall, recall_id)
    audit("recall.view", "recall", recall.public_id)
    return _with_progress([recall])[0], {}


@recalls.patch("/recalls/<uuid:recall_id>")
@requires("recalls.handle")
@recalls.arguments(RecallChangeSchema)
@recalls.response(200, RecallSchema)
def change_recall(changes: dict[str, Any], recall_id: uuid.UUID) -> Any:
    """Change a recall, give it a corrected list, or close it once nothing is left to do."""
    recall = find_to_edit(Recall, recall_id)
    text, accept_unread = changes.pop("text", None), changes.pop("accept_unread")
    following.change_recall(
        db.session, actor(), recall, changes, text, accept_unread=accept_unread, at=clock.now()
    )
    db.session.flush()
    return _with_progress([recall])[0], {}


@recalls.get("/recalls/<uuid:recall_id>/outreach")
@requires("recalls.read")
@recalls.arguments(OutreachQuerySchema, location="query")
@recalls.response(200, page_of(OutreachSchema))
@recalls.alt_response(200, schema={"type": "string"}, content_type=CSV, success=True)
def list_outreach(query: dict[str, Any], recall_id: uuid.UUID) -> Any:
    """List the devices of a recall with the outreach to each. Engineers are shown no patient.

    With `Accept: text/csv` the whole selection is one table.
    """
    recall = find_or_404(Recall, recall_id)
    statement = _selected(recall, query)
    if request.accept_mimetypes.best_match(["application/json", CSV]) == CSV:
        return _csv(recall, statement)
    with_history = statement.options(
        selectinload(RecallOutreach.history).joinedload(RecallOutreachEntry.actor)
    )
    body, headers = page(with_history, query, [RecallOutreach.id])
    audit("recall.outreach", "recall", recall.public_id, patients=seen(row.patient for row in body["items"]))
    return body, headers


@recalls.patch("/recalls/<uuid:recall_id>/outreach/<uuid:outreach_id>")
@requires("recalls.handle")
@recalls.arguments(OutreachChangeSchema)
@recalls.response(200, OutreachSchema)
def change_outreach(changes: dict[str, Any], recall_id: uuid.UUID, outreach_id: uuid.UUID) -> RecallOutreach:
    """Record a step of the outreach to one device: tried and how, reached, done, or not needed and why."""
    recall = find_or_404(Recall, recall_id)
    row = find_to_edit(RecallOutreach, outreach_id)
    if row.recall_id != recall.id:
        raise NotFound(NO_ROW)
    state = Outreach(changes["state"])
    following.follow_up(
        db.session, actor(), row, state, changes.get("way"), changes.get("note"), at=clock.now()
    )
    return row


def _with_progress(shown: Sequence[Recall]) -> list[Any]:
    """Pairs, as the schema takes them."""
    counts = counts_of(db.session, [recall.id for recall in shown])
    return [(recall, {"progress": counts[recall.id]}) for recall in shown]


def _found(device: Device, match: Any) -> dict[str, Any]:
    return {"device": device, "patient": device.patient, "line": match.line, "missing": match.missing}


def _selected(recall: Recall, query: dict[str, Any]) -> Select[Any]:
    statement = select(RecallOutreach).where(RecallOutreach.recall_id == recall.id)
    statement = statement.options(joinedload(RecallOutreach.device).joinedload(Device.patient))
    if "state" not in query:
        return statement
    statement = statement.where(RecallOutreach.on_list)
    if query["state"] == "left":
        return statement.where(RecallOutreach.state.not_in(FINISHED))
    return statement.where(RecallOutreach.state == query["state"])


def _csv(recall: Recall, statement: Select[Any]) -> Response:
    """For a mail merge or a telephone list; who was in it is in the audit trail."""
    rows = db.session.scalars(statement.order_by(RecallOutreach.id)).all()
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(COLUMNS)
    writer.writerows([_cell(value) for value in _values(row)] for row in rows)
    audit("recall.export", "recall", recall.public_id, patients=seen(row.patient for row in rows))
    response = Response(table.getvalue(), mimetype=CSV)
    response.headers.set("Content-Disposition", "attachment", filename="recall.csv")
    return response


def _values(row: RecallOutreach) -> Iterator[Any]:
    device, patient = row.device, row.patient if sees_patients() else None
    yield from (device.manufacturer, device.model, device.serial, device.lot)
    yield from (
        row.match,
        " ".join(row.missing),
        row.line,
        row.state,
        row.changed_at.isoformat(),
        row.on_list,
    )
    yield from (patient.display_name, patient.mrn, patient.phone) if patient else (None, None, None)


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
