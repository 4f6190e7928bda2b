"""The audit trail, for the auditor: to read, to take away, to verify."""

import csv
import datetime as dt
import io
import json
from typing import Any, Final

from flask import Response, g, request
from marshmallow import fields, validate
from sqlalchemy import Select, func, select

from sc_stim import clock
from sc_stim.access import in_clinic, requires
from sc_stim.api.fields import PageQuery, Schema, Time
from sc_stim.api.http import Resource
from sc_stim.api.http import audit as note
from sc_stim.api.paging import page, page_of
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.models import AuditEntry, User
from sc_stim.models.audit import trail
from sc_stim.workflows.audit import verify_on_record

audit = Resource("audit", __name__, "Who saw, did and changed what.")

CSV: Final = "text/csv"
COLUMNS: Final = ("number", "at", "actor", "actor_name", "action", "subject_kind", "subject", "detail")
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run a cell that begins so


class AuditEntrySchema(Schema):
    number = fields.Integer(
        required=True, metadata={"description": "1, 2, 3 ... within the clinic, without gaps."}
    )
    at = Time(required=True)
    actor = fields.String(required=True, metadata={"description": "Id of a user, or the name of a process."})
    actor_name = fields.String(required=True, allow_none=True)
    action = fields.String(required=True, metadata={"example": "patient.view"})
    subject_kind = fields.String(required=True, allow_none=True)
    subject = fields.String(required=True, allow_none=True)
    detail = fields.Dict(required=True)


class AuditQuerySchema(PageQuery):
    since = Time(data_key="from", metadata={"description": "Entries at or after this."})
    until = Time(data_key="to", metadata={"description": "Entries before this."})
    actor = fields.String(validate=validate.Length(1, 60))
    action = fields.String(validate=validate.Length(1, 60))
    subject = fields.String(validate=validate.Length(1, 60))


class VerificationSchema(Schema):
    intact = fields.Boolean(required=True)
    entries = fields.Integer(required=True, metadata={"description": "How many entries the clinic has."})
    broken_at = fields.Integer(
        required=True, allow_none=True, metadata={"description": "First entry that does not hold."}
    )
    reason = fields.String(required=True, allow_none=True)
    checked_at = Time(required=True)


@audit.get("/audit")
@requires("audit.read")
@audit.arguments(AuditQuerySchema, location="query")
@audit.response(200, page_of(AuditEntrySchema))
@audit.alt_response(200, schema={"type": "string"}, content_type=CSV, success=True)
def list_audit(query: dict[str, Any]) -> Any:
    """Read the trail, newest first.

    With `Accept: text/csv` the whole selection is one table, oldest first.
    """
    statement, names = _selected(query), _names()
    if request.accept_mimetypes.best_match(["application/json", CSV]) == CSV:
        return _csv(statement, names)
    note("audit.view", **_filters())
    return page(
        statement, query, [AuditEntry.number], newest_first=True, item=lambda entry: _item(entry, names)
    )


@audit.get("/audit/verification")
@requires("audit.read")
@audit.response(200, VerificationSchema)
def verify_audit() -> dict[str, Any]:
    """Check that no entry was changed, removed, inserted or moved."""
    at = clock.now()
    entries = db.session.scalar(in_clinic(select(func.count(AuditEntry.id)), AuditEntry, g.user.clinic_id))
    broken = verify_on_record(db.session(), actor(), at=at)
    return {
        "intact": broken is None,
        "entries": entries,
        "broken_at": broken.number if broken else None,
        "reason": broken.reason if broken else None,
        "checked_at": at,
    }


def _selected(query: dict[str, Any]) -> Select[Any]:
    wanted = {name: query.get(name) for name in ("since", "until", "actor", "action", "subject")}
    return trail(g.user.clinic_id, **wanted)


def _filters() -> dict[str, str]:
    return {name: value for name, value in request.args.items() if name not in ("limit", "cursor")}


def _names() -> dict[str, str]:
    people = in_clinic(select(User.public_id, User.name), User, g.user.clinic_id)
    return {str(public_id): name for public_id, name in db.session.execute(people)}


def _item(entry: AuditEntry, names: dict[str, str]) -> dict[str, Any]:
    return {name: getattr(entry, name, None) for name in COLUMNS} | {"actor_name": names.get(entry.actor)}


def _csv(statement: Select[Any], names: dict[str, str]) -> Response:
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(COLUMNS)
    entries = db.session.scalars(statement.order_by(AuditEntry.number).execution_options(yield_per=1000))
    for entry in entries:
        writer.writerow([_cell(value) for value in _item(entry, names).values()])
    note("audit.export", **_filters())
    response = Response(table.getvalue(), mimetype=CSV)
    response.headers.set("Content-Disposition", "attachment", filename="audit.csv")
    return response


def _cell(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=True)
    return "'" + value if isinstance(value, str) and value.startswith(FORMULA) else value
