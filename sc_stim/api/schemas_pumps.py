"""Refill visits, the forecast of the next one, and the worklist of all pumps."""

from typing import Any

from marshmallow import fields, validate

from sc_stim.api.fields import Day, Flag, Number, PageQuery, Schema, Text, Time, Whole, one_of
from sc_stim.api.schemas_appointments import BookedVisitSchema
from sc_stim.api.schemas_devices import DosesSchema, PatternStepSchema, ReadingsSchema, SettingSchema
from sc_stim.api.schemas_shared import (
    BesideRow,
    DrugSchema,
    EnteredDay,
    EnteredTime,
    Note,
    PatientReference,
    PersonSchema,
    WarningSchema,
)
from sc_stim.clinical.after_visit import AfterVisit
from sc_stim.clinical.refill_checklist import ANSWERS, shipped_checklist

DRUGS = validate.Length(1, 10)


STEPS = tuple(step.name for step in shipped_checklist())
STATES = ("running", "stopped", "stalled", "mri", "minimum_rate")


class ChecklistAnswerSchema(Schema):
    """What was done about one step of the documented checklist."""

    step = fields.String(required=True, validate=one_of(*STEPS))
    answer = fields.String(required=True, validate=one_of(*ANSWERS))


class ProgrammedSchema(Schema):
    """What the programmer showed at the end of the visit."""

    flow_ml_per_day = Number(0, 100, allow_none=True)
    bolus_ml = Number(0, 10, allow_none=True)
    state = fields.String(validate=one_of(*STATES), allow_none=True)


class PrescribedWithFillSchema(Schema):
    """A prescription that takes effect with the fill; for clinicians."""

    flow_ml_per_day = Number(0, 100, allow_none=True)
    bolus_ml = Number(0, 10, allow_none=True)
    max_boluses_per_day = Whole(0, 288, allow_none=True)
    lockout_min = Whole(0, 7 * 1440, allow_none=True)
    pattern = fields.List(fields.Nested(PatternStepSchema), allow_none=True, validate=validate.Length(1, 48))
    rate_confirmed = Flag(
        metadata={"description": "Confirms a rate that would empty a full reservoir within days."}
    )


class NewBridgeSchema(Schema):
    """The bridge bolus after a change of concentration: the volume, or the dead space beside the catheter's."""

    volume_ml = Number(0.001, 10, allow_none=True)
    dead_space_ml = Number(0, 10, allow_none=True, metadata={"description": "Of the tubing in the pump."})
    until = EnteredTime(
        allow_none=True,
        metadata={"description": "Left out: computed from the concentrations and the prescribed flow."},
    )


class NewFillSchema(Schema):
    at = EnteredTime(required=True, metadata={"description": "When the pump was filled."})
    aspirated_ml = Number(0, 100, allow_none=True, metadata={"description": "Drawn out; null: not measured."})
    filled_ml = Number(0, 100, required=True, metadata={"description": "In the reservoir afterwards."})
    measured_after_ml = Number(
        0, 100, allow_none=True, metadata={"description": "Measured in the reservoir after filling."}
    )
    drugs = fields.List(fields.Nested(DrugSchema), required=True, validate=DRUGS)
    drug_lot = Text(40, allow_none=True)
    drug_expires_on = EnteredDay(allow_none=True)
    checklist = fields.List(
        fields.Nested(ChecklistAnswerSchema),
        validate=validate.Length(max=len(STEPS)),
        metadata={"description": "Steps that are left out are shown as not answered."},
    )
    programmed = fields.Nested(ProgrammedSchema, allow_none=True)
    prescribe = fields.Nested(PrescribedWithFillSchema)
    bridge = fields.Nested(NewBridgeSchema)
    note = Note()
    replaces = fields.UUID(metadata={"description": "The fill this one corrects."})


class ReadOffSchema(Schema):
    """What the second person read off syringe and label."""

    filled_ml = Number(0, 100, required=True)
    drugs = fields.List(fields.Nested(DrugSchema), required=True, validate=DRUGS)


class FillCheckSchema(ReadOffSchema):
    """What the second person reads off syringe and label, and the steps this person answers for."""

    checklist = fields.List(fields.Nested(ChecklistAnswerSchema), validate=validate.Length(max=len(STEPS)))


class ChecklistStepSchema(Schema):
    """One step of the documented checklist and its answer; null: nobody answered."""

    step = fields.String(required=True)
    text = fields.String(required=True)
    source = fields.String(required=True, allow_none=True, metadata={"description": "Null: unverified."})
    if_unsure = fields.String(required=True, allow_none=True)
    answer = fields.String(required=True, allow_none=True)
    by = fields.UUID(required=True, allow_none=True, metadata={"description": "The user who answered."})
    at = Time(required=True, allow_none=True)


class BridgeSchema(Schema):
    """While it runs the dose is not flow times the new concentration."""

    since = fields.String(required=True, data_key="from", attribute="from", metadata={"format": "date-time"})
    until = fields.String(required=True, metadata={"format": "date-time"})
    volume_ml = fields.Float(required=True)


class ReconciliationSchema(Schema):
    """A positive difference is less drug left than expected. The ratio is delivered over programmed volume."""

    expected_ml = fields.Float(required=True)
    aspirated_ml = fields.Float(required=True)
    difference_ml = fields.Float(required=True)
    delivered_ml = fields.Float(required=True)
    programmed_ml = fields.Float(required=True)
    ratio = fields.Float()
    surprise_sd = fields.Float(
        metadata={"description": "Standard deviations from what is usual for this pump."}
    )
    sentences = fields.List(fields.String(), required=True)


class FillSchema(Schema):
    id = fields.UUID(required=True, attribute="public_id")
    at = Time(required=True)
    expected_ml = fields.Float(
        required=True, allow_none=True, metadata={"description": "Residual by the programmed arithmetic."}
    )
    aspirated_ml = fields.Float(required=True, allow_none=True)
    filled_ml = fields.Float(required=True)
    measured_after_ml = fields.Float(required=True, allow_none=True)
    drugs = fields.List(fields.Nested(DrugSchema), required=True)
    drug_lot = fields.String(required=True, allow_none=True)
    drug_expires_on = Day(required=True, allow_none=True)
    flags = fields.List(fields.String(), required=True)
    reconciliation = fields.Nested(ReconciliationSchema, required=True, allow_none=True)
    programmed = fields.Nested(ProgrammedSchema, required=True, allow_none=True)
    bridge = fields.Nested(BridgeSchema, required=True, allow_none=True)
    note = fields.String(required=True, allow_none=True)
    performed_by = fields.Nested(PersonSchema, required=True)
    confirmed_by = fields.Nested(PersonSchema, required=True, allow_none=True)
    confirmed_at = Time(required=True, allow_none=True)
    confirmed_values = fields.Nested(ReadOffSchema, required=True, allow_none=True)
    replaces = fields.UUID(required=True, allow_none=True, attribute="replaces.public_id", dump_default=None)
    replaced_by = fields.UUID(
        required=True, allow_none=True, attribute="replaced_by.public_id", dump_default=None
    )
    created_at = Time(required=True)


class FillEntrySchema(BesideRow, FillSchema):
    """A fill with what was prescribed before the day of the visit, and at its end."""

    settings_before = fields.Nested(SettingSchema, required=True, allow_none=True)
    settings_after = fields.Nested(SettingSchema, required=True, allow_none=True)
    checklist = fields.List(fields.Nested(ChecklistStepSchema), required=True)


class WrittenDay(fields.String):
    """A date that is text already."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(metadata={"format": "date"}, **kwargs)


class ClockSchema(Schema):
    name = fields.String(required=True)
    date = WrittenDay(required=True)


class EmptyDatesSchema(Schema):
    """When the reservoir is empty with a chance of 5, 50 and 95 %; null: not within ten years."""

    p05 = WrittenDay(required=True, allow_none=True)
    p50 = WrittenDay(required=True, allow_none=True)
    p95 = WrittenDay(required=True, allow_none=True)


class FlowRatioSchema(Schema):
    """Actual over programmed flow, as learned from the refills."""

    mean = fields.Float(required=True)
    sd = fields.Float(required=True)


class ForecastSchema(DosesSchema):
    pump = fields.UUID(required=True)
    at = Time(required=True)
    model_version = fields.String(required=True)
    refill_by = WrittenDay(required=True, allow_none=True)
    binding_clock = fields.String(required=True, allow_none=True)
    clocks = fields.List(
        fields.Nested(ClockSchema),
        required=True,
        allow_none=True,
        metadata={"description": "Before, `refill_by` after moving to an open day."},
    )
    empty = fields.Nested(EmptyDatesSchema, required=True, allow_none=True)
    earliest_empty = Time(required=True, allow_none=True)
    expected_residual_ml = fields.Float(required=True, allow_none=True)
    flow_ratio = fields.Nested(FlowRatioSchema, required=True, allow_none=True)
    flags = fields.List(fields.String(), required=True)
    refused = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Why no forecast can be made, and how to mend it."},
    )


class FillQuerySchema(PageQuery):
    include_replaced = fields.Boolean(
        load_default=False, metadata={"description": "Also fills that were corrected, as they were."}
    )


class AfterVisitSchema(Schema):
    """Does the pump run since the visit? `sentence` says it with its time."""

    state = fields.String(required=True, validate=one_of(*AfterVisit))
    sentence = fields.String(required=True)


class RecordedFillSchema(FillEntrySchema):
    """A fill as it was taken, what to look at, and the next date: before the patient leaves."""

    warnings = fields.List(fields.Nested(WarningSchema), required=True)
    forecast = fields.Nested(ForecastSchema, required=True)
    after_visit = fields.Nested(AfterVisitSchema, required=True)
    to_do = fields.List(fields.String(), required=True)


class LastFillSchema(Schema):
    """What is in the pump."""

    id = fields.UUID(required=True, attribute="public_id")
    at = Time(required=True)
    filled_ml = fields.Float(required=True)
    drugs = fields.List(fields.Nested(DrugSchema), required=True)
    drug_lot = fields.String(required=True, allow_none=True)
    flags = fields.List(fields.String(), required=True)
    confirmed_at = Time(required=True, allow_none=True)


class VisitSchema(Schema):
    """What the form of a refill visit starts from."""

    at = Time(required=True)
    expected_ml = fields.Float(
        required=True,
        allow_none=True,
        metadata={"description": "What should be left by the programmed arithmetic."},
    )
    forecast = fields.Nested(ForecastSchema, required=True)
    last_fill = fields.Nested(LastFillSchema, required=True, allow_none=True)
    settings = fields.Nested(SettingSchema, required=True, allow_none=True)
    reported = fields.Nested(ReadingsSchema, required=True, allow_none=True)
    reported_at = Time(required=True, allow_none=True)
    checklist = fields.List(fields.Nested(ChecklistStepSchema), required=True)
    after_last_visit = fields.Nested(AfterVisitSchema, required=True, allow_none=True)


class OpenVisitSchema(Schema):
    """A refill visit that is not complete, and what is left to do."""

    fill = fields.UUID(required=True)
    at = Time(required=True)
    device_id = fields.UUID(required=True)
    model = fields.String(required=True)
    patient = PatientReference()
    performed_by = fields.Nested(PersonSchema, required=True)
    flags = fields.List(fields.String(), required=True)
    after_visit = fields.Nested(AfterVisitSchema, required=True)
    to_do = fields.List(fields.String(), required=True)


class RefillQuerySchema(PageQuery):
    due_within_days = fields.Integer(
        load_default=14,
        validate=validate.Range(0, 366),
        metadata={
            "description": "Counted from the clinic's today. What is overdue or has no forecast is always there."
        },
    )


class RefillSchema(Schema):
    """One pump to fill. Without a forecast the dates are null, and `refused` says what to do first."""

    device_id = fields.UUID(required=True)
    model = fields.String(required=True)
    patient = PatientReference()
    refill_by = Day(required=True, allow_none=True)
    binding_clock = fields.String(required=True, allow_none=True)
    earliest_empty = Day(required=True, allow_none=True)
    drug = fields.String(required=True, allow_none=True, metadata={"example": "morphine 10 mg/mL"})
    reservoir_ml = fields.Float(
        required=True, allow_none=True, metadata={"description": "As the pump last reported it."}
    )
    reservoir_at = Time(required=True, allow_none=True)
    expected_residual_ml = fields.Float(required=True, allow_none=True)
    risk = fields.String(required=True, validate=validate.OneOf(("low", "medium", "high")))
    reasons = fields.List(fields.String(), required=True)
    why = fields.List(
        fields.String(), required=True, metadata={"description": "Why it stands here, in words."}
    )
    flags = fields.List(fields.String(), required=True)
    being_recomputed = fields.Boolean(
        required=True,
        metadata={
            "description": "There is news that these dates do not know yet: do not take them as current."
        },
    )
    refused = fields.String(required=True, allow_none=True)
    appointment = fields.Nested(BookedVisitSchema, required=True, allow_none=True)
    computed_at = Time(required=True)


class RefillPageSchema(Schema):
    items = fields.List(fields.Nested(RefillSchema), required=True)
    next_cursor = fields.String(required=True, allow_none=True)
    not_judged_yet = fields.Integer(
        required=True, metadata={"description": "Implanted pumps for which no forecast was made so far."}
    )
