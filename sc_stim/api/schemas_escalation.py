"""Contacts, the ladder, who is on call, and messages."""

from typing import Final

from marshmallow import fields, validate

from sc_stim.api.fields import Flag, PageQuery, Schema, Text, Time, Whole, one_of
from sc_stim.api.schemas_shared import EnteredTime, PersonSchema, Words
from sc_stim.workflows.alerts import SEVERITIES
from sc_stim.workflows.messaging import CHANNELS, STATES

LONGEST_WAIT_MIN: Final = 7 * 24 * 60
CHANNEL = one_of(*CHANNELS)


class ClockTime(fields.Time):
    """A time of the clinic's day, `HH:MM`."""

    def __init__(self, **kwargs: object) -> None:
        metadata = {"example": "22:00", "description": "A local time of the clinic."}
        super().__init__(format="%H:%M", metadata=metadata, **kwargs)  # type: ignore[arg-type]


class NewContactSchema(Schema):
    name = Text(200, required=True, metadata={"example": "Ward desk"})
    channel = fields.String(required=True, validate=CHANNEL)
    address = Text(
        500,
        required=True,
        metadata={
            "description": "An e-mail address, a phone number as +49305550100, the name of a push topic, or for a "
            "webhook an https address of a public host.",
            "example": "ward@example.org",
        },
    )
    user_id = fields.UUID(
        load_default=None, allow_none=True, metadata={"description": "Whose address it is."}
    )
    quiet_from = ClockTime(load_default=None, allow_none=True)
    quiet_to = ClockTime(load_default=None, allow_none=True)
    system = Flag(
        load_default=False, metadata={"description": "Also told when a part of the system stops working."}
    )


class ContactChangeSchema(Schema):
    name = Text(200)
    channel = fields.String(validate=CHANNEL)
    address = Text(500)
    quiet_from = ClockTime(allow_none=True)
    quiet_to = ClockTime(allow_none=True)
    system = Flag()
    active = Flag(metadata={"description": "False: is told nothing any more."})


class ContactSchema(Schema):
    id = fields.UUID(required=True, attribute="public_id")
    name = fields.String(required=True)
    channel = fields.String(required=True, validate=CHANNEL)
    address = fields.String(required=True)
    user = fields.Nested(PersonSchema, required=True, allow_none=True)
    quiet_from = ClockTime(required=True, allow_none=True)
    quiet_to = ClockTime(required=True, allow_none=True)
    system = fields.Boolean(required=True)
    active = fields.Boolean(required=True)
    version = fields.Integer(required=True)


class ContactReferenceSchema(Schema):
    id = fields.UUID(required=True, attribute="public_id")
    name = fields.String(required=True)
    channel = fields.String(required=True, validate=CHANNEL)


class LadderStepSchema(Schema):
    """Once an alert has waited so long, these are told; nobody named and nobody on call: everybody is."""

    after_min = Whole(0, LONGEST_WAIT_MIN, required=True, metadata={"example": 15})
    severities = Words(*SEVERITIES, required=True)
    on_call = Flag(required=True)
    contact_ids = fields.List(
        fields.UUID(), required=True, validate=validate.Length(max=50), metadata={"example": []}
    )


class LadderChangeSchema(Schema):
    steps = fields.List(fields.Nested(LadderStepSchema), validate=validate.Length(1, 20))
    with_patient = Flag(metadata={"description": "Messages may hold the patient's record number."})


class LadderSchema(Schema):
    steps = fields.List(fields.Nested(LadderStepSchema), required=True)
    with_patient = fields.Boolean(required=True)
    shipped = fields.Boolean(
        required=True, metadata={"description": "The clinic has set none; this one came with the software."}
    )
    warnings = fields.List(fields.String(), required=True)
    version = fields.Integer(required=True, metadata={"description": "0 while it is the shipped one."})


class NewShiftSchema(Schema):
    """Either once, from `starts_at` to `ends_at`, or every week on `weekday`.

    Over midnight where `to_time` is not after `from_time`; equal times are a whole day.
    """

    contact_id = fields.UUID(required=True)
    starts_at = EnteredTime(allow_none=True, load_default=None)
    ends_at = EnteredTime(allow_none=True, load_default=None)
    weekday = Whole(
        0,
        6,
        allow_none=True,
        load_default=None,
        metadata={"description": "0 is Monday.", "example": 0},
    )
    from_time = ClockTime(allow_none=True, load_default=None)
    to_time = ClockTime(allow_none=True, load_default=None)


class ShiftSchema(Schema):
    id = fields.UUID(required=True, attribute="public_id")
    contact = fields.Nested(ContactReferenceSchema, required=True)
    starts_at = Time(required=True, allow_none=True)
    ends_at = Time(required=True, allow_none=True)
    weekday = fields.Integer(required=True, allow_none=True)
    from_time = ClockTime(required=True, allow_none=True)
    to_time = ClockTime(required=True, allow_none=True)


class OnCallQuerySchema(Schema):
    at = EnteredTime(metadata={"description": "Left out: now."})


class OnCallSchema(Schema):
    at = Time(required=True)
    contacts = fields.List(
        fields.Nested(ContactReferenceSchema),
        required=True,
        metadata={"description": "Empty: nobody is, so alerts call everybody."},
    )


class MessageQuerySchema(PageQuery):
    state = fields.String(validate=one_of(*STATES))
    kind = fields.String(validate=validate.Length(1, 30))


class DeliveryAttemptSchema(Schema):
    at = Time(required=True)
    outcome = fields.String(
        required=True,
        validate=one_of("begun", "delivered", "failed"),
        metadata={"description": "`begun`: nobody saw its end; it may have arrived."},
    )
    problem = fields.String(required=True, allow_none=True)


class MessageSchema(Schema):
    """What became of a message. Its text and address are not shown."""

    id = fields.UUID(required=True, attribute="public_id")
    kind = fields.String(required=True)
    channel = fields.String(required=True)
    contact = fields.Nested(ContactReferenceSchema, required=True, allow_none=True)
    alert_id = fields.UUID(required=True, allow_none=True, attribute="alert.public_id", dump_default=None)
    state = fields.String(required=True, validate=one_of(*STATES))
    problem = fields.String(required=True, allow_none=True, metadata={"example": "not_configured"})
    created_at = Time(required=True)
    due_at = Time(required=True)
    ended_at = Time(required=True, allow_none=True)
    attempts = fields.List(fields.Nested(DeliveryAttemptSchema), required=True, attribute="tries")
