"""Findings of the pain rule, and the cause card: what the devices say for and against being the cause."""

from marshmallow import fields

from sc_stim.api.fields import Day, Schema, Time, one_of
from sc_stim.workflows.alerts import SEVERITIES


class PointSchema(Schema):
    at = Time(required=True)
    what = fields.String(required=True, metadata={"example": "contact 3"})
    value = fields.Raw(
        required=True,
        allow_none=True,
        metadata={"type": ["number", "string"], "description": "Null: nothing but that it was sent."},
    )
    unit = fields.String(required=True, metadata={"example": "Ohm"})


class EvidenceSchema(Schema):
    kind = fields.String(required=True, metadata={"example": "impedance"})
    says = fields.String(
        required=True,
        validate=one_of("for", "no_data", "against"),
        metadata={"description": "`no_data` speaks neither for nor against."},
    )
    device = fields.String(required=True)
    sentence = fields.String(required=True)
    since = Time(required=True)
    points = fields.List(
        fields.Nested(PointSchema), required=True, metadata={"description": "The raw values behind it."}
    )


class CauseCardSchema(Schema):
    """The same shape for a card as kept and for one judged now."""

    verdict = fields.String(
        required=True, validate=one_of("device_possible", "device_unlikely", "cannot_say", "no_device")
    )
    words = fields.String(required=True, metadata={"example": "Device unlikely."})
    evidence = fields.List(
        fields.Nested(EvidenceSchema),
        required=True,
        metadata={
            "description": "What speaks for a device, the likeliest first; what is not known; what speaks against."
        },
    )
    since = Time(required=True)
    until = Time(required=True)
    judged_at = Time(required=True)
    model_version = fields.String(required=True)


class PainFindingSchema(Schema):
    kind = fields.String(
        required=True,
        validate=one_of("step_up", "drift_up", "flare", "step_down", "stopped_reporting"),
    )
    day = Day(required=True, metadata={"description": "The patient's day whose scores showed it."})
    onset = Day(required=True, metadata={"description": "About when it began."})
    severity = fields.String(required=True, validate=one_of(*SEVERITIES))
    tier = fields.String(
        required=True,
        validate=one_of("soft", "persistent"),
        metadata={
            "description": "`soft`: ask for another score. `persistent`: it has lasted, review the device."
        },
    )
    baseline_nrs = fields.Float(required=True)
    level_nrs = fields.Float(
        required=True,
        allow_none=True,
        metadata={"description": "Null: nothing was reported, which is no zero."},
    )
    model_version = fields.String(required=True)
    found_at = Time(required=True)
    cause_card = fields.Nested(
        CauseCardSchema,
        required=True,
        allow_none=True,
        metadata={"description": "As judged when people were last told; null where nobody was told."},
    )
