"""Patients, the steps of their care pathway, their examinations and their diary."""

from typing import Final

from marshmallow import fields, validate

from sc_stim.api.fields import Day, Flag, Number, PageQuery, Schema, Text, Time, one_of
from sc_stim.api.schemas_shared import EnteredDay, EnteredTime, PersonSchema, TimeZone, WindowQuery, Words
from sc_stim.models.patient import ASSESSMENTS, ICD_10, PAIN_SITES, RISK_FACTORS, SYMPTOMS, TREATMENTS

IS_ICD_10: Final = validate.Regexp(rf"^{ICD_10}$(?!\n)", error="Not the form of an ICD-10 code, as M96.1.")


class NewPatientSchema(Schema):
    mrn = Text(64, required=True, metadata={"description": "The clinic's own record number."})
    given_name = Text(100, required=True)
    family_name = Text(100, required=True)
    birth_date = Day(allow_none=True)
    time_zone = TimeZone()
    phone = Text(40, allow_none=True)
    email = fields.Email(allow_none=True, validate=validate.Length(max=254))
    indication_icd10 = fields.String(allow_none=True, validate=IS_ICD_10, metadata={"example": "M96.1"})
    indication = Text(300, allow_none=True)
    risk_factors = Words(*RISK_FACTORS)
    symptoms = Words(*SYMPTOMS)
    withdrawal_prone = Flag(metadata={"description": "Withdrew before: 4 mL count as an empty reservoir."})
    note = Text(10_000, allow_none=True)


class PatientChangeSchema(NewPatientSchema):
    """Any of these; what is left out stays."""


class DeviceReferenceSchema(Schema):
    id = fields.UUID(required=True, attribute="public_id")
    kind = fields.String(required=True)
    model = fields.String(required=True)
    status = fields.String(required=True)


class PatientSchema(Schema):
    id = fields.UUID(required=True, attribute="public_id")
    mrn = fields.String(required=True)
    given_name = fields.String(required=True)
    family_name = fields.String(required=True)
    birth_date = Day(required=True, allow_none=True)
    time_zone = fields.String(required=True)
    phone = fields.String(required=True, allow_none=True)
    email = fields.String(required=True, allow_none=True)
    indication_icd10 = fields.String(required=True, allow_none=True)
    indication = fields.String(required=True, allow_none=True)
    risk_factors = fields.List(fields.String(), required=True)
    symptoms = fields.List(fields.String(), required=True)
    withdrawal_prone = fields.Boolean(required=True)
    note = fields.String(required=True, allow_none=True)
    devices = fields.List(fields.Nested(DeviceReferenceSchema), required=True)
    created_at = Time(required=True)
    version = fields.Integer(required=True)


class PatientSearchSchema(PageQuery):
    text = Text(
        100,
        required=True,
        metadata={"description": "Words, each of which stands in a name or in the record number."},
    )


class NewTreatmentSchema(Schema):
    kind = fields.String(required=True, validate=one_of(*TREATMENTS))
    started_on = EnteredDay(required=True)
    ended_on = EnteredDay(allow_none=True)
    relief_pct = Number(0, 100, allow_none=True, metadata={"description": "Of the pain before it."})
    outcome = Text(10_000, allow_none=True)


class TreatmentChangeSchema(NewTreatmentSchema):
    """Any of these; what is left out stays."""


class TreatmentSchema(Schema):
    id = fields.UUID(required=True, attribute="public_id")
    kind = fields.String(required=True)
    started_on = Day(required=True)
    ended_on = Day(required=True, allow_none=True)
    relief_pct = fields.Float(required=True, allow_none=True)
    outcome = fields.String(required=True, allow_none=True)
    created_at = Time(required=True)
    version = fields.Integer(required=True)


class NewAssessmentSchema(Schema):
    kind = fields.String(required=True, validate=one_of(*ASSESSMENTS))
    performed_on = EnteredDay(required=True)
    finding = Text(10_000, required=True)


class AssessmentChangeSchema(NewAssessmentSchema):
    """Any of these; what is left out stays."""


class AssessmentSchema(Schema):
    id = fields.UUID(required=True, attribute="public_id")
    kind = fields.String(required=True)
    performed_on = Day(required=True)
    finding = fields.String(required=True)
    created_at = Time(required=True)
    version = fields.Integer(required=True)


class NewPainScoreSchema(Schema):
    measured_at = EnteredTime(
        metadata={"description": "Left out: now, or the time of the score it replaces."}
    )
    nrs = Number(0, 10, allow_none=True)
    site = fields.String(validate=one_of(*PAIN_SITES), metadata={"default": "overall"})
    flare = Flag(allow_none=True)
    sleep = Number(0, 10, allow_none=True)
    interference = Number(0, 10, allow_none=True)
    symptoms = Words(*SYMPTOMS)
    replaces = fields.UUID(
        metadata={"description": "The score this one corrects. With no other field it withdraws that score."},
    )


class PainScoreSchema(Schema):
    id = fields.UUID(required=True, attribute="public_id")
    measured_at = Time(required=True)
    received_at = Time(required=True)
    nrs = fields.Float(required=True, allow_none=True)
    site = fields.String(required=True)
    flare = fields.Boolean(required=True, allow_none=True)
    sleep = fields.Float(required=True, allow_none=True)
    interference = fields.Float(required=True, allow_none=True)
    symptoms = fields.List(fields.String(), required=True)
    entered_by = fields.Nested(
        PersonSchema,
        required=True,
        allow_none=True,
        metadata={"description": "Null: the patient, by a device."},
    )
    replaces = fields.UUID(required=True, allow_none=True, attribute="replaces.public_id", dump_default=None)
    replaced_by = fields.UUID(
        required=True, allow_none=True, attribute="replaced_by.public_id", dump_default=None
    )


class PainScoreQuerySchema(WindowQuery):
    include_replaced = fields.Boolean(
        load_default=False, metadata={"description": "Also scores that were corrected, as they were."}
    )
