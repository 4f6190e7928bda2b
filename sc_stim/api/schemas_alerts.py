"""Alerts and what people do with them."""

from marshmallow import fields

from sc_stim.api.fields import PageQuery, Schema, Text, Time, one_of
from sc_stim.api.schemas_shared import EnteredTime, PatientReference, PersonSchema
from sc_stim.clinical.alert_lifecycle import State
from sc_stim.workflows.alerts import SEVERITIES


class AlertQuerySchema(PageQuery):
    state = fields.String(
        validate=one_of("open", *State), metadata={"description": "`open` is every state but closed."}
    )
    severity = fields.String(validate=one_of(*SEVERITIES))
    kind = fields.String(metadata={"example": "refill_due"})


class AlertSchema(Schema):
    id = fields.UUID(required=True, attribute="public_id")
    kind = fields.String(required=True, attribute="condition")
    severity = fields.String(required=True, validate=one_of(*SEVERITIES))
    state = fields.String(required=True, validate=one_of(*State))
    patient = PatientReference()
    device_id = fields.UUID(required=True, allow_none=True, attribute="device.public_id", dump_default=None)
    since = Time(required=True, metadata={"description": "When the condition began."})
    opened_at = Time(required=True)
    changed_at = Time(required=True)
    shelved_until = Time(required=True, allow_none=True)
    historical = fields.Boolean(
        required=True, metadata={"description": "Learned from late data: it was over when we heard of it."}
    )
    model_version = fields.String(required=True)
    detail = fields.Dict(required=True)
    version = fields.Integer(required=True)


class AlertEntrySchema(Schema):
    at = Time(required=True)
    event = fields.String(required=True)
    from_state = fields.String(required=True, allow_none=True)
    to_state = fields.String(required=True)
    by = fields.Nested(PersonSchema, required=True, allow_none=True, attribute="actor")
    comment = fields.String(required=True, allow_none=True)


class AlertWithHistorySchema(AlertSchema):
    history = fields.List(fields.Nested(AlertEntrySchema), required=True)


class RemarkSchema(Schema):
    comment = Text(10_000, load_default=None, allow_none=True)


class ShelvingSchema(RemarkSchema):
    until = EnteredTime(required=True)


class CommentSchema(Schema):
    comment = Text(10_000, required=True)
