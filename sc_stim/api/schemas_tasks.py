"""Tasks about devices, and planned scans."""

from marshmallow import fields

from sc_stim.api.fields import PageQuery, Schema, Text, Time, one_of
from sc_stim.api.schemas_shared import EnteredTime, PatientReference, PersonSchema
from sc_stim.models.care_task import KINDS


class TaskQuerySchema(PageQuery):
    state = fields.String(
        load_default="open",
        validate=one_of("open", "overdue", "closed"),
        metadata={"description": "`overdue` are those of the open ones whose time has passed."},
    )
    kind = fields.String(validate=one_of(*KINDS))
    device_id = fields.UUID()


class StepSchema(Schema):
    """One line of a checklist."""

    when = fields.String(required=True, validate=one_of("before", "after", "now"))
    text = fields.String(required=True)
    source = fields.String(
        required=True, allow_none=True, metadata={"description": "Null: the rule is unverified."}
    )


class TaskSchema(Schema):
    id = fields.UUID(required=True, attribute="public_id")
    kind = fields.String(required=True, validate=one_of(*KINDS))
    patient = PatientReference()
    device_id = fields.UUID(required=True, attribute="device.public_id")
    model = fields.String(required=True, attribute="device.model")
    since = Time(required=True, metadata={"description": "Of what asks for it: the scan, the reading."})
    opened_at = Time(required=True)
    due_at = Time(required=True)
    steps = fields.List(fields.Nested(StepSchema), required=True)
    detail = fields.Dict(required=True)
    closed_at = Time(required=True, allow_none=True)
    closed_by = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The evidence: `session_closed`, `interrogation`, `done`, ..."},
    )
    version = fields.Integer(required=True)


class TaskEntrySchema(Schema):
    at = Time(required=True)
    event = fields.String(required=True)
    by = fields.Nested(PersonSchema, required=True, allow_none=True, attribute="actor")
    performed_at = Time(required=True, allow_none=True)
    comment = fields.String(required=True, allow_none=True)


class TaskWithHistorySchema(TaskSchema):
    history = fields.List(fields.Nested(TaskEntrySchema), required=True)


class InterrogationSchema(Schema):
    """A read-out of the device after the scan, by a person."""

    performed_at = EnteredTime(required=True)
    comment = Text(10_000, required=True, metadata={"description": "What the device showed."})


class DoneSchema(Schema):
    comment = Text(10_000, load_default=None, allow_none=True)


class NewScanSchema(Schema):
    planned_at = EnteredTime(required=True)
    comment = Text(10_000, load_default=None, allow_none=True)
