"""Everything about a patient on one axis of time."""

from marshmallow import fields

from sc_stim.api.fields import Schema, Time
from sc_stim.api.schemas_devices import BucketSchema, EventSchema, SettingSchema
from sc_stim.api.schemas_patients import DeviceReferenceSchema, TreatmentSchema
from sc_stim.api.schemas_pumps import FillSchema
from sc_stim.api.schemas_reviews import ReviewSchema
from sc_stim.api.schemas_shared import EnteredTime


class TimelineQuerySchema(Schema):
    since = EnteredTime(
        data_key="from", metadata={"description": "Inclusive. Left out: 90 days before `to`."}
    )
    until = EnteredTime(data_key="to", metadata={"description": "Exclusive. Left out: now."})


class PainBucketSchema(Schema):
    """Means of one hour or day."""

    since = Time(required=True, data_key="from", attribute="from")
    until = Time(required=True, data_key="to", attribute="to")
    scores = fields.Integer(
        required=True, metadata={"description": "0: nobody reported, which is not no pain."}
    )
    nrs = fields.Float(required=True, allow_none=True)
    sleep = fields.Float(required=True, allow_none=True)
    interference = fields.Float(required=True, allow_none=True)


class DeviceLaneSchema(Schema):
    """What one device measured, did and was told."""

    device = fields.Nested(DeviceReferenceSchema, required=True)
    series = fields.List(fields.Nested(BucketSchema), required=True)
    events = fields.List(fields.Nested(EventSchema), required=True)
    settings = fields.List(
        fields.Nested(SettingSchema),
        required=True,
        metadata={"description": "Prescribed, with the one in force at the beginning."},
    )
    fills = fields.List(fields.Nested(FillSchema), required=True)


class AlertMarkSchema(Schema):
    id = fields.UUID(required=True, attribute="public_id")
    kind = fields.String(required=True, attribute="condition")
    severity = fields.String(required=True)
    state = fields.String(required=True)
    since = Time(required=True)


class TimelineSchema(Schema):
    since = Time(required=True, data_key="from")
    until = Time(required=True, data_key="to")
    resolution = fields.String(required=True, metadata={"description": "hour or day"})
    pain = fields.List(fields.Nested(PainBucketSchema), required=True)
    devices = fields.List(fields.Nested(DeviceLaneSchema), required=True)
    treatments = fields.List(fields.Nested(TreatmentSchema), required=True)
    alerts = fields.List(fields.Nested(AlertMarkSchema), required=True)
    reviews = fields.List(fields.Nested(ReviewSchema), required=True)
