"""Messages that could not be taken, for the engineer: to read, and to try once more."""

import base64
import uuid
from typing import Any

from flask import g
from marshmallow import fields, validate
from sqlalchemy import select

from sc_stim import clock
from sc_stim.access import in_clinic, requires
from sc_stim.api.fields import PageQuery, Schema, Time
from sc_stim.api.http import Resource, audit, find_or_404
from sc_stim.api.paging import page, page_of
from sc_stim.devices import ingest
from sc_stim.extensions import db
from sc_stim.models import Device, Quarantine

quarantine = Resource("quarantine", __name__, "Messages that could not be taken, kept whole.")


class QuarantineSchema(Schema):
    id = fields.UUID(required=True)
    device_id = fields.UUID(required=True, allow_none=True)
    topic = fields.String(required=True)
    reason = fields.String(required=True, metadata={"example": "not_json"})
    field = fields.String(required=True, allow_none=True)
    detail = fields.String(required=True)
    epoch = fields.String(required=True, allow_none=True)
    seq = fields.Integer(required=True, allow_none=True)
    received_at = Time(required=True)
    times_seen = fields.Integer(required=True)
    replayed_at = Time(required=True, allow_none=True)
    outcome = fields.String(required=True, allow_none=True)


class QuarantinedSchema(QuarantineSchema):
    payload = fields.String(
        required=True, metadata={"description": "As text where it is UTF-8, else as base64."}
    )
    payload_encoding = fields.String(required=True, validate=validate.OneOf(["utf-8", "base64"]))


class QuarantineQuerySchema(PageQuery):
    reason = fields.String(validate=validate.Length(1, 40))
    device_id = fields.UUID()


class ReplaySchema(Schema):
    outcome = fields.String(
        required=True,
        validate=validate.OneOf(["stored", "duplicate", "quarantined"]),
        metadata={"description": "`quarantined`: it still cannot be taken."},
    )


@quarantine.get("/quarantine")
@requires("quarantine.read")
@quarantine.arguments(QuarantineQuerySchema, location="query")
@quarantine.response(200, page_of(QuarantineSchema))
def list_quarantine(query: dict[str, Any]) -> Any:
    """List messages in quarantine, newest first."""
    audit("quarantine.list")
    statement = select(Quarantine, Device.public_id).outerjoin(Device, Device.id == Quarantine.device_id)
    statement = in_clinic(statement, Quarantine, g.user.clinic_id)
    if "reason" in query:
        statement = statement.where(Quarantine.reason == query["reason"])
    if "device_id" in query:
        statement = statement.where(Device.public_id == query["device_id"])
    return page(statement, query, [Quarantine.received_at, Quarantine.id], newest_first=True, item=_item)


@quarantine.get("/quarantine/<uuid:quarantine_id>")
@requires("quarantine.read")
@quarantine.response(200, QuarantinedSchema)
def show_quarantined(quarantine_id: uuid.UUID) -> dict[str, Any]:
    """Show one message with its payload."""
    row = find_or_404(Quarantine, quarantine_id)
    audit("quarantine.view", "quarantine", row.public_id)
    device = select(Device.public_id).where(Device.id == row.device_id)
    return _item(row, db.session.scalar(device)) | _payload(row.payload)


@quarantine.post("/quarantine/<uuid:quarantine_id>/replay")
@requires("quarantine.replay")
@quarantine.response(200, ReplaySchema)
def replay_quarantined(quarantine_id: uuid.UUID) -> dict[str, str]:
    """Try to take the message once more, as when the device has been given its patient since."""
    row = find_or_404(Quarantine, quarantine_id)
    [(_, outcome)] = ingest.replay(db.session(), [row.public_id], clock.now())
    audit("quarantine.replay", "quarantine", row.public_id, outcome=outcome)
    return {"outcome": outcome}


def _item(row: Quarantine, device_id: uuid.UUID | None) -> dict[str, Any]:
    fields_of_row = QuarantineSchema().fields.keys() - {"id", "device_id"}
    return {name: getattr(row, name) for name in fields_of_row} | {
        "id": row.public_id,
        "device_id": device_id,
    }


def _payload(payload: bytes) -> dict[str, str]:
    try:
        return {"payload": payload.decode("utf-8"), "payload_encoding": "utf-8"}
    except UnicodeDecodeError:
        return {"payload": base64.b64encode(payload).decode("ascii"), "payload_encoding": "base64"}
