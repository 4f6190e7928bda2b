"""Alerts and what people do with them."""

from marshmallow import fields

from sc_stim.api.fields import Flag, PageQuery, Schema, Text, Time, one_of
from sc_stim.api.schemas_pain import CauseCardSchema
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
    assigned_to = fields.Nested(PersonSchema, required=True, allow_none=True)
    action_taken = fields.Boolean(
        required=True, allow_none=True, metadata={"description": "Null: not resolved, or nobody said."}
    )
    next_call_at = Time(
        required=True, allow_none=True, metadata={"description": "When the next step of the ladder is due."}
    )
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
    subject = fields.Nested(
        PersonSchema, required=True, allow_none=True, metadata={"description": "To whom it was given."}
    )


class AlertWithHistorySchema(AlertSchema):
    history = fields.List(fields.Nested(AlertEntrySchema), required=True)


class AlertShownSchema(AlertWithHistorySchema):
    cause_card = fields.Nested(
        CauseCardSchema,
        required=True,
        allow_none=True,
        metadata={
            "description": "What the devices say for and against being the cause, by all that has arrived until now. "
            "Null: not an alert of pain. The card that was shown when it was raised stands with the pain finding."
        },
    )


class RemarkSchema(Schema):
    comment = Text(10_000, load_default=None, allow_none=True)


class ShelvingSchema(RemarkSchema):
    until = EnteredTime(required=True)


class ResolvingSchema(RemarkSchema):
    action_taken = Flag(
        load_default=None,
        allow_none=True,
        metadata={"description": "Whether it needed something to be done; counted in the burden of alerts."},
    )


class AssignmentSchema(RemarkSchema):
    user_id = fields.UUID(
        required=True,
        allow_none=True,
        metadata={"description": "A clinician or nurse of the clinic, or null."},
    )


class ShareSchema(Schema):
    kind = fields.String(required=True, allow_none=True)
    severity = fields.String(required=True, allow_none=True)
    alerts = fields.Integer(required=True)
    per_patient_year = fields.Float(required=True, allow_none=True)
    acted_on = fields.Integer(required=True)
    not_acted_on = fields.Integer(required=True)
    actionable_share = fields.Float(required=True, allow_none=True)
    acknowledged = fields.Integer(required=True)
    minutes_to_acknowledge = fields.Float(
        required=True, allow_none=True, metadata={"description": "Median of those that were acknowledged."}
    )


class AimSchema(Schema):
    name = fields.String(required=True)
    better = fields.String(required=True, validate=one_of("lower", "higher"))
    aim = fields.Float(required=True, attribute="figure.value")
    unit = fields.String(required=True, attribute="figure.unit")
    source = fields.String(
        required=True,
        allow_none=True,
        attribute="figure.source",
        metadata={"description": "Null: the figure is unverified."},
    )
    found = fields.Float(required=True, allow_none=True)
    reached = fields.Boolean(required=True, allow_none=True)


class BurdenSchema(Schema):
    since = Time(required=True, data_key="from")
    until = Time(required=True, data_key="to")
    patient_years = fields.Float(required=True)
    total = fields.Nested(ShareSchema, required=True)
    by_kind_and_severity = fields.List(fields.Nested(ShareSchema), required=True)
    aims = fields.List(fields.Nested(AimSchema), required=True)


class BurdenQuerySchema(Schema):
    since = EnteredTime(data_key="from", metadata={"description": "Inclusive. Left out: a year before `to`."})
    until = EnteredTime(data_key="to", metadata={"description": "Exclusive. Left out: now."})


class CommentSchema(Schema):
    comment = Text(10_000, required=True)
