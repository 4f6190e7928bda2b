"""Reviews of patients, how often they are due, recalls and the outreach to the devices they mean."""

from typing import Final

from marshmallow import fields, validate

from sc_stim.api.fields import Day, Flag, PageQuery, Schema, Text, Time, Whole, one_of
from sc_stim.api.schemas_shared import (
    BesideRow,
    EnteredTime,
    Note,
    PatientReference,
    PatientReferenceSchema,
    PersonSchema,
    WithWarnings,
)
from sc_stim.clinical.clinic_figures import LONGEST_SOURCE
from sc_stim.clinical.outreach import CLASSES, WAYS, Outreach
from sc_stim.clinical.review_due import LONGEST_DAYS, SHORTEST_DAYS

LONGEST_LIST: Final = 1_000_000
LIST_EXAMPLE: Final = "Model: SynchroMed II\nNGP700100H-NGP700999H\nLot: 0211, 0212"


class ImplantSchema(Schema):
    """A device, named as on its label."""

    id = fields.UUID(required=True, attribute="public_id")
    kind = fields.String(required=True)
    manufacturer = fields.String(required=True)
    model = fields.String(required=True)
    serial = fields.String(required=True)


# --- reviews ---


class NewReviewSchema(Schema):
    comment = Text(10_000, allow_none=True)
    covers_from = EnteredTime(metadata={"description": "Left out: where the last review ended."})
    covers_until = EnteredTime(metadata={"description": "Left out: now."})
    devices = fields.List(
        fields.UUID(), metadata={"description": "Left out: all that the patient lives with."}
    )
    replaces = fields.UUID(metadata={"description": "The review that this one corrects or withdraws."})
    withdrawn = Flag(
        load_default=False, metadata={"description": "With `replaces`: there was no such review after all."}
    )


class ReviewSchema(Schema):
    """One look at a patient. A correction keeps who reviewed and when; a withdrawn review counts no more."""

    id = fields.UUID(required=True, attribute="public_id")
    reviewed_by = fields.Nested(PersonSchema, required=True)
    reviewed_at = Time(required=True)
    covers_from = Time(required=True)
    covers_until = Time(required=True)
    open_alerts = fields.Integer(
        required=True, metadata={"description": "On the screen when it was reviewed."}
    )
    unacknowledged_high = fields.Integer(required=True)
    comment = Note(required=True)
    devices = fields.List(fields.Nested(ImplantSchema), required=True)
    withdrawn = fields.Boolean(required=True)
    replaces = fields.UUID(required=True, allow_none=True, attribute="replaces.public_id", dump_default=None)
    replaced_by = fields.UUID(
        required=True, allow_none=True, attribute="replaced_by.public_id", dump_default=None
    )
    entered_by = fields.Nested(PersonSchema, required=True)
    created_at = Time(required=True)


class RecordedReviewSchema(WithWarnings, ReviewSchema):
    """A review as it was taken, and what still needs somebody: it acknowledges no alert."""


class ReviewPlanChangeSchema(Schema):
    pump_days = Whole(SHORTEST_DAYS, LONGEST_DAYS, allow_none=True)
    stimulator_days = Whole(SHORTEST_DAYS, LONGEST_DAYS, allow_none=True)
    source = Text(LONGEST_SOURCE, allow_none=True)


class ReviewPlanSchema(Schema):
    """Days between reviews by kind of device; null: as the clinic, or the usual interval, says."""

    pump_days = fields.Integer(required=True, allow_none=True)
    stimulator_days = fields.Integer(required=True, allow_none=True)
    source = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Where the days come from: a guideline, a decision."},
    )
    version = fields.Integer(required=True)


class StandingReviewSchema(Schema):
    """When one device is due."""

    device = fields.Nested(ImplantSchema, required=True)
    due_on = Day(required=True, attribute="due.due_on")
    days_left = fields.Integer(
        required=True, attribute="due.days_left", metadata={"description": "Negative: overdue."}
    )
    never_reviewed = fields.Boolean(required=True, attribute="due.never")
    interval_days = fields.Integer(required=True)
    set_by = fields.String(required=True, validate=one_of("patient", "clinic", "usual"))


class PatientReviewPlanSchema(ReviewPlanSchema):
    due = fields.List(fields.Nested(StandingReviewSchema), required=True)


class DueQuerySchema(PageQuery):
    within_days = fields.Integer(
        load_default=14,
        validate=validate.Range(0, 366),
        metadata={"description": "Due by then, or overdue; 0 means by today."},
    )


class DueReviewSchema(Schema):
    """A device that somebody has to look at."""

    patient = fields.Nested(PatientReferenceSchema, required=True)
    device = fields.Nested(ImplantSchema, required=True)
    due_on = Day(required=True, metadata={"description": "In the clinic's local days."})
    days_left = fields.Integer(required=True, metadata={"description": "Negative: overdue."})
    last_reviewed_on = Day(required=True, allow_none=True, metadata={"description": "Null: never."})


# --- recalls ---


class ListSchema(Schema):
    text = Text(
        LONGEST_LIST,
        required=True,
        metadata={
            "description": "One entry a line: models, serial numbers and ranges, lots, days of manufacture, device "
            "identifiers; or a table (CSV) with a header.",
            "example": LIST_EXAMPLE,
        },
    )


class NewRecallSchema(ListSchema):
    title = Text(200, required=True)
    reference = Text(
        200, allow_none=True, metadata={"description": "The manufacturer's or authority's number."}
    )
    source = Text(500, allow_none=True, metadata={"description": "Where the notice is to be read."})
    recall_class = fields.String(load_default="unclassified", validate=one_of(*CLASSES), data_key="class")
    advice = Text(10_000, required=True, metadata={"description": "What to do with each patient or device."})
    accept_unread = Flag(
        load_default=False, metadata={"description": "Leave out the lines that are not understood."}
    )


class RecallChangeSchema(Schema):
    """A `text` is a corrected list: it replaces the last one and outreach keeps its history."""

    title = Text(200)
    reference = Text(200, allow_none=True)
    source = Text(500, allow_none=True)
    recall_class = fields.String(validate=one_of(*CLASSES), data_key="class")
    advice = Text(10_000)
    text = Text(LONGEST_LIST, metadata={"example": LIST_EXAMPLE})
    accept_unread = Flag(load_default=False)
    closed = Flag(metadata={"description": "New devices are matched until it is closed."})


class UnreadSchema(Schema):
    """A line that is not understood, and what to do about it."""

    line = fields.Integer(required=True)
    text = fields.String(required=True)
    problem = fields.String(required=True)
    fix = fields.String(required=True)


class FoundDeviceSchema(Schema):
    device = fields.Nested(ImplantSchema, required=True)
    patient = PatientReference()
    line = fields.Integer(required=True, metadata={"description": "Of the list."})
    missing = fields.List(
        fields.String(),
        required=True,
        metadata={
            "description": "What would have to be on record to exclude it. Empty: it is meant for certain."
        },
    )


class PreviewSchema(Schema):
    """What a list would do; nothing is kept. The lists of devices hold the first 200 of those counted."""

    entries = fields.Integer(required=True)
    matched_count = fields.Integer(required=True)
    matched = fields.List(fields.Nested(FoundDeviceSchema), required=True)
    not_excluded_count = fields.Integer(required=True)
    not_excluded = fields.List(fields.Nested(FoundDeviceSchema), required=True)
    explanted_count = fields.Integer(required=True)
    unread = fields.List(fields.Nested(UnreadSchema), required=True)
    models_not_here = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "No device here bears this name: check its spelling."},
    )


def _count() -> fields.Integer:
    return fields.Integer(required=True, dump_default=0)


class ProgressSchema(Schema):
    """Devices on the newest list, by how sure the match is and by how far the outreach is."""

    total = _count()
    left = fields.Integer(required=True, metadata={"description": "To be worked down to zero."})
    matched = _count()
    cannot_be_excluded = _count()
    to_do = _count()
    tried = _count()
    reached = _count()
    action_done = _count()
    not_needed = _count()
    elsewhere = _count()


class RecallSchema(BesideRow):
    id = fields.UUID(required=True, attribute="public_id")
    title = fields.String(required=True)
    reference = fields.String(required=True, allow_none=True)
    source = fields.String(required=True, allow_none=True)
    recall_class = fields.String(required=True, data_key="class")
    advice = fields.String(required=True)
    list_number = fields.Integer(required=True, attribute="newest.number")
    unread = fields.List(
        fields.Nested(UnreadSchema),
        required=True,
        attribute="newest.unread",
        metadata={"description": "Lines of the list that were left out on purpose."},
    )
    progress = fields.Nested(ProgressSchema, required=True)
    created_by = fields.Nested(PersonSchema, required=True)
    created_at = Time(required=True)
    closed_at = Time(required=True, allow_none=True)
    version = fields.Integer(required=True)


class RecallQuerySchema(PageQuery):
    closed = fields.Boolean(metadata={"description": "Left out: all of them."})


class OutreachQuerySchema(PageQuery):
    state = fields.String(
        validate=one_of("left", *Outreach), metadata={"description": "`left`: all that is not finished."}
    )


class OutreachChangeSchema(Schema):
    state = fields.String(required=True, validate=one_of(*Outreach))
    way = fields.String(
        allow_none=True, validate=one_of(*WAYS), metadata={"description": "How it was tried."}
    )
    note = Text(10_000, allow_none=True)


class OutreachEntrySchema(Schema):
    at = Time(required=True)
    event = fields.String(required=True)
    way = fields.String(required=True, allow_none=True)
    note = Note(required=True)
    actor = fields.Nested(PersonSchema, required=True, allow_none=True)


class OutreachSchema(Schema):
    """What is to be done about one device, and what was."""

    id = fields.UUID(required=True, attribute="public_id")
    device = fields.Nested(ImplantSchema, required=True)
    patient = PatientReference()
    match = fields.String(required=True, validate=one_of("matched", "cannot_be_excluded"))
    line = fields.Integer(required=True)
    missing = fields.List(fields.String(), required=True)
    on_list = fields.Boolean(
        required=True, metadata={"description": "False: not on the newest list, or explanted."}
    )
    state = fields.String(required=True, validate=one_of(*Outreach))
    changed_at = Time(required=True)
    history = fields.List(fields.Nested(OutreachEntrySchema), required=True)
    version = fields.Integer(required=True)
