"""The registry of devices, what they sent, what is prescribed for them, what is asked of them."""

from typing import Final

from marshmallow import fields, validate

from sc_stim.api.fields import Day, Flag, Number, PageQuery, Schema, Text, Time, Whole, one_of
from sc_stim.api.schemas_shared import (
    EnteredDay,
    EnteredTime,
    Note,
    PatientReference,
    PersonSchema,
    WindowQuery,
    WithWarnings,
)
from sc_stim.models.device import EXPLANTATION_REASONS, VERTEBRAL_LEVEL
from sc_stim.workflows.commanding import KINDS as COMMANDS

LEVEL: Final = validate.Regexp(rf"^{VERTEBRAL_LEVEL}$(?!\n)", error="Not a vertebral level, as T10.")
DURATION: Final = validate.Regexp(
    r"^[1-9][0-9]{0,4}[mhd]$(?!\n)", error="Not a number of minutes, hours or days, as 90m, 36h or 2d."
)
SMALLEST_INTERVAL_S: Final = 10
LARGEST_INTERVAL_S: Final = 7 * 86_400


class LeadSchema(Schema):
    contacts = Whole(1, 64, required=True)
    tip_level = fields.String(allow_none=True, validate=LEVEL, metadata={"example": "T8"})
    model = Text(100, allow_none=True)
    serial = Text(40, allow_none=True)


class DeviceChangeSchema(Schema):
    patient = fields.UUID(
        allow_none=True, metadata={"description": "Whose it is. Only a clinician may say so."}
    )
    firmware = Text(40, allow_none=True)
    implanted_on = EnteredDay(allow_none=True)
    explanted_on = EnteredDay(allow_none=True)
    explantation_reason = fields.String(allow_none=True, validate=one_of(*EXPLANTATION_REASONS))
    explantation_note = Note()
    mri_note = Text(
        500,
        allow_none=True,
        metadata={
            "description": "What holds for an MRI of this implant beyond the rule of its model, as its card says."
        },
    )
    report_interval_s = Whole(
        0, LARGEST_INTERVAL_S, metadata={"description": "How often it reports by itself; 0: it never does."}
    )
    leads = fields.List(
        fields.Nested(LeadSchema),
        validate=validate.Length(max=8),
        metadata={"description": "In order; all of them."},
    )
    reservoir_ml = Number(1, 100)
    low_reservoir_alarm_ml = Number(0, 100, allow_none=True)
    accuracy_pct = Number(0.1, 99, allow_none=True)
    end_of_service_on = EnteredDay(allow_none=True)
    catheter_tip_level = fields.String(allow_none=True, validate=LEVEL, metadata={"example": "T10"})
    catheter_volume_ml = Number(0, 5, allow_none=True)


class NewDeviceSchema(DeviceChangeSchema):
    model = Text(100, required=True, metadata={"description": "As the catalogue names it."})
    udi = Text(
        200, metadata={"description": "As scanned or printed. Serial, lot and dates are read from it."}
    )
    serial = Text(40, metadata={"description": "Needed unless the UDI holds it."})


class ReadingsSchema(Schema):
    """What a pump or a stimulator reports; null is "not measured". Only the fields of its kind are there."""

    state = fields.String(allow_none=True)
    battery_v = fields.Float(allow_none=True)
    # of a pump
    reservoir_ml = fields.Float(allow_none=True, metadata={"description": "As the pump computes it."})
    flow_ml_per_day = fields.Float(allow_none=True)
    boluses = fields.Integer(allow_none=True, metadata={"description": "Since the sample before."})
    bolus_ml = fields.Float(allow_none=True)
    eri_months = fields.Float(allow_none=True)
    low_reservoir_alarm_ml = fields.Float(allow_none=True)
    # of a stimulator
    on_s = fields.Float(allow_none=True, metadata={"description": "Of stimulation since the sample before."})
    program = fields.String(allow_none=True)
    amplitude_ma = fields.Float(allow_none=True)
    pulse_width_us = fields.Float(allow_none=True)
    rate_hz = fields.Float(allow_none=True)
    battery_pct = fields.Float(allow_none=True)
    charged_s = fields.Float(allow_none=True)
    impedance_ohm = fields.List(
        fields.Float(allow_none=True),
        allow_none=True,
        metadata={"description": "Per contact, in contact order."},
    )
    ecap_in_window_pct = fields.Float(allow_none=True)
    posture = fields.String(allow_none=True)


class DeviceStateSchema(Schema):
    """What is known last. `measured_at` is when the device measured, `heard_at` when we last heard from it."""

    measured_at = Time(required=True, allow_none=True)
    readings = fields.Nested(ReadingsSchema, required=True, allow_none=True, attribute="sample")
    heard_at = Time(required=True, allow_none=True)
    online = fields.Boolean(required=True, allow_none=True)
    reported_model = fields.String(required=True, allow_none=True)
    reported_firmware = fields.String(required=True, allow_none=True)
    clock_error_s = fields.Float(required=True, allow_none=True)


class DeviceSchema(Schema):
    id = fields.UUID(required=True, attribute="public_id")
    patient = PatientReference()
    kind = fields.String(required=True)
    status = fields.String(required=True, metadata={"description": "registered, implanted or explanted"})
    manufacturer = fields.String(required=True)
    model = fields.String(required=True)
    serial = fields.String(required=True)
    udi = fields.String(required=True, allow_none=True)
    udi_device_identifier = fields.String(required=True, allow_none=True)
    lot = fields.String(required=True, allow_none=True)
    manufactured_on = Day(required=True, allow_none=True)
    expires_on = Day(required=True, allow_none=True)
    firmware = fields.String(required=True, allow_none=True)
    implanted_on = Day(required=True, allow_none=True)
    explanted_on = Day(required=True, allow_none=True)
    explantation_reason = fields.String(required=True, allow_none=True)
    explantation_note = Note(required=True)
    mri_note = fields.String(required=True, allow_none=True)
    report_interval_s = fields.Integer(required=True)
    leads = fields.List(fields.Nested(LeadSchema), required=True)
    reservoir_ml = fields.Float(required=True, allow_none=True)
    low_reservoir_alarm_ml = fields.Float(required=True, allow_none=True)
    accuracy_pct = fields.Float(required=True, allow_none=True)
    end_of_service_on = Day(required=True, allow_none=True)
    catheter_tip_level = fields.String(required=True, allow_none=True)
    catheter_volume_ml = fields.Float(required=True, allow_none=True)
    newest = fields.Nested(DeviceStateSchema, required=True, allow_none=True, attribute="state")
    created_at = Time(required=True)
    version = fields.Integer(required=True)


class RegisteredDeviceSchema(WithWarnings, DeviceSchema):
    """A device as it was registered, and what to look at."""


class NewReplacementSchema(Schema):
    device_id = fields.UUID(
        required=True,
        metadata={"description": "What goes in: a registered device of this kind, nobody's yet."},
    )
    explanted_on = EnteredDay(
        required=True, metadata={"description": "The day the one came out and the other went in."}
    )
    explantation_reason = fields.String(required=True, validate=one_of(*EXPLANTATION_REASONS))
    explantation_note = Note()
    parts_stay = Flag(
        required=True,
        metadata={
            "description": "The leads, or the catheter, stay in the patient: the new device takes their record over "
            "where it has none of its own."
        },
    )


class ReplacementSchema(Schema):
    explanted = fields.Nested(DeviceSchema, required=True)
    implanted = fields.Nested(DeviceSchema, required=True)
    visits_called_off = fields.Integer(
        required=True, metadata={"description": "Booked refills of the old pump. Nobody tells the patient."}
    )


class DeviceQuerySchema(PageQuery):
    kind = fields.String(validate=one_of("pump", "stimulator"))
    status = fields.String(validate=one_of("registered", "implanted", "explanted"))
    silent_for = fields.String(
        validate=DURATION,
        metadata={
            "description": "Not heard for this long, or never; explanted devices are left out.",
            "example": "36h",
        },
    )


class TelemetryQuerySchema(WindowQuery):
    resolution = fields.String(
        load_default="raw",
        validate=one_of("raw", "hour", "day"),
        metadata={"description": "`day` is the patient's own day, or the clinic's while it is nobody's."},
    )


class SampleSchema(Schema):
    """One reading. What the device did not measure is null."""

    measured_at = Time(required=True, metadata={"description": "By the device's clock, corrected."})
    device_at = Time(required=True, metadata={"description": "By the device's clock, as sent."})
    received_at = Time(required=True)
    epoch = fields.String(required=True)
    seq = fields.Integer(required=True)
    readings = fields.Nested(ReadingsSchema, required=True)


class BucketSchema(Schema):
    """One hour or day: what counts up is a sum, what goes up and down a mean, everything else the newest reading."""

    since = Time(required=True, data_key="from", attribute="from")
    until = Time(required=True, data_key="to", attribute="to")
    samples = fields.Integer(required=True, metadata={"description": "0: nothing was received of this time."})
    readings = fields.Nested(ReadingsSchema, required=True)


class TelemetrySchema(Schema):
    resolution = fields.String(required=True)
    samples = fields.List(fields.Nested(SampleSchema), metadata={"description": "Of resolution raw."})
    buckets = fields.List(
        fields.Nested(BucketSchema), metadata={"description": "Of resolution hour and day."}
    )
    next_cursor = fields.String(required=True, allow_none=True)


class EventSchema(Schema):
    measured_at = Time(required=True)
    device_at = Time(required=True)
    received_at = Time(required=True)
    epoch = fields.String(required=True)
    seq = fields.Integer(required=True)
    kind = fields.String(required=True)
    state = fields.String(required=True, allow_none=True)
    detail = fields.Dict(required=True, allow_none=True)


class PatternStepSchema(Schema):
    """From this time by the pump's clock to the next step; the last one holds until midnight."""

    since = fields.String(
        required=True,
        data_key="from",
        attribute="from",
        validate=validate.Regexp(r"^([01][0-9]|2[0-3]):[0-5][0-9]$"),
        metadata={"example": "06:30"},
    )
    flow_ml_per_day = Number(0, 100, required=True)


class NewSettingSchema(Schema):
    effective_at = EnteredTime(metadata={"description": "Left out: now."})
    pattern = fields.List(
        fields.Nested(PatternStepSchema),
        allow_none=True,
        validate=validate.Length(1, 48),
        metadata={
            "description": "Steps over the day, the first from 00:00. `flow_ml_per_day` is their volume per day, and "
            "is computed where it is left out."
        },
    )
    rate_confirmed = Flag(
        metadata={"description": "Confirms a rate that would empty a full reservoir within days."}
    )
    flow_ml_per_day = Number(0, 100, allow_none=True)
    bolus_ml = Number(0, 10, allow_none=True)
    max_boluses_per_day = Whole(0, 288, allow_none=True)
    lockout_min = Whole(0, 7 * 1440, allow_none=True)
    program = Text(40, allow_none=True)
    amplitude_ma = Number(0, 100, allow_none=True)
    pulse_width_us = Number(0, 10_000, allow_none=True)
    rate_hz = Number(0, 50_000, allow_none=True)
    contacts = fields.List(Whole(0, 63), allow_none=True, validate=validate.Length(1, 64))
    note = Note()


class SettingSchema(Schema):
    id = fields.UUID(required=True, attribute="public_id")
    effective_at = Time(required=True)
    pattern = fields.List(fields.Nested(PatternStepSchema), required=True, allow_none=True)
    flow_ml_per_day = fields.Float(required=True, allow_none=True)
    bolus_ml = fields.Float(required=True, allow_none=True)
    max_boluses_per_day = fields.Integer(required=True, allow_none=True)
    lockout_min = fields.Integer(required=True, allow_none=True)
    program = fields.String(required=True, allow_none=True)
    amplitude_ma = fields.Float(required=True, allow_none=True)
    pulse_width_us = fields.Float(required=True, allow_none=True)
    rate_hz = fields.Float(required=True, allow_none=True)
    contacts = fields.List(fields.Integer(), required=True, allow_none=True)
    note = Note(required=True)
    prescribed_by = fields.Nested(PersonSchema, required=True)
    created_at = Time(required=True)


class PrescribedSchema(WithWarnings, SettingSchema):
    """A prescription as it was taken, and what to look at."""


class DifferenceSchema(Schema):
    field = fields.String(required=True)
    prescribed = fields.Raw(required=True)
    reported = fields.Raw(required=True)


class DoseSchema(Schema):
    drug = fields.String(required=True)
    mg_per_day = fields.Float(required=True, metadata={"description": "By the programmed flow alone."})
    most_mg_per_day = fields.Float(required=True, metadata={"description": "With every allowed bolus."})


class DosesSchema(Schema):
    """Flow times concentration, or in words why that is not the dose: a bridge bolus runs."""

    doses = fields.List(fields.Nested(DoseSchema), required=True)
    dose_unknown = fields.String(required=True, allow_none=True)


class SettingsSchema(Schema):
    """Every prescription, newest first, and the one in force beside what the device reports."""

    items = fields.List(fields.Nested(SettingSchema), required=True)
    next_cursor = fields.String(required=True, allow_none=True)
    in_force = fields.Nested(SettingSchema, required=True, allow_none=True)
    reported = fields.Nested(ReadingsSchema, required=True, allow_none=True)
    reported_at = Time(required=True, allow_none=True)
    mismatch = fields.Boolean(
        required=True,
        allow_none=True,
        metadata={"description": "Null: nothing prescribed, or nothing reported since it took effect."},
    )
    differences = fields.List(fields.Nested(DifferenceSchema), required=True)
    doses = fields.List(
        fields.Nested(DoseSchema), required=True, metadata={"description": "Of a pump; see its forecast."}
    )
    dose_unknown = fields.String(required=True, allow_none=True)


class NewCommandSchema(Schema):
    kind = fields.String(required=True, validate=one_of(*COMMANDS))
    interval_s = Whole(
        SMALLEST_INTERVAL_S,
        LARGEST_INTERVAL_S,
        load_default=None,
        metadata={"description": "Of report_interval, and only there."},
    )


class CommandSchema(Schema):
    """`reported` only when the device itself said so; `not_confirmed` when it did not in time."""

    id = fields.UUID(required=True, attribute="public_id")
    kind = fields.String(required=True)
    args = fields.Dict(required=True)
    state = fields.String(
        required=True, validate=one_of("pending", "sent", "reported", "refused", "not_confirmed")
    )
    requested_by = fields.Nested(PersonSchema, required=True)
    requested_at = Time(required=True)
    expires_at = Time(required=True)
    sent_at = Time(required=True, allow_none=True)
    answered_at = Time(required=True, allow_none=True)
    result = fields.Dict(required=True)


class CredentialSchema(Schema):
    """What a device signs in with at the broker. The password is shown this once."""

    username = fields.String(
        required=True, metadata={"description": "The device id; also its MQTT client id."}
    )
    password = fields.String(required=True)
    topics = fields.String(
        required=True, metadata={"description": "It writes below up/ and reads below down/."}
    )
    issued_at = Time(required=True)
