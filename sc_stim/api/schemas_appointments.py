"""Appointments, the times that can be booked, nurses and rooms, calendar feeds."""

import datetime as dt
import re
from typing import Any, ClassVar, Final

from marshmallow import fields, validate

from sc_stim.api.fields import Day, Flag, PageQuery, Schema, Text, Time, Whole, one_of
from sc_stim.api.schemas_shared import (
    BesideRow,
    EnteredDay,
    EnteredTime,
    Note,
    PatientReference,
    PersonSchema,
)
from sc_stim.clinical.slots import Why
from sc_stim.models.appointment import STATES

HOUR_AND_MINUTE: Final = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


class LocalTime(fields.String):
    """A local time of the clinic, `HH:MM`; a time in Python."""

    default_error_messages: ClassVar[dict[str, str]] = {"invalid": "Not a time, as 10:00."}

    def __init__(self, **kwargs: Any) -> None:
        pattern = {"pattern": f"^{HOUR_AND_MINUTE.pattern}$", "example": "10:00"}
        super().__init__(metadata=pattern | kwargs.pop("metadata", {}), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dt.time:  # type: ignore[override]
        if not isinstance(value, str) or not HOUR_AND_MINUTE.fullmatch(value):
            raise self.make_error("invalid")
        return dt.time.fromisoformat(value)

    def _serialize(self, value: dt.time | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else f"{value:%H:%M}"


FOLD: Final = {
    "description": "1: the second time this local time comes, in the hour that a clock change repeats."
}
OVERRIDE: Final = {
    "description": "Needed for a day after the refill-by date, or for a pump without a forecast.",
    "example": "Patient is abroad until then; oral bridging arranged.",
}


class HoursSchema(Schema):
    weekday = Whole(0, 6, required=True, metadata={"description": "Monday is 0."})
    opens = LocalTime(required=True, metadata={"example": "08:00"})
    closes = LocalTime(required=True, metadata={"example": "16:00"})
    slot_min = Whole(5, 480, required=True, metadata={"description": "Length of a visit.", "example": 30})


HOURS: Final = validate.Length(max=50)


class ClinicHoursSchema(Schema):
    hours = fields.List(fields.Nested(HoursSchema), required=True)
    version = fields.Integer(required=True)


class ClinicHoursChangeSchema(Schema):
    hours = fields.List(
        fields.Nested(HoursSchema),
        required=True,
        validate=HOURS,
        metadata={"description": "All of them, in place of those before."},
    )


class AbsenceSchema(Schema):
    """Both days inclusive."""

    first_day = EnteredDay(required=True, metadata={"example": "2026-12-21"})
    last_day = EnteredDay(required=True, metadata={"example": "2026-12-23"})
    reason = Text(200, required=True, metadata={"example": "training"})


class ClinicResourceSchema(Schema):
    id = fields.UUID(required=True, attribute="public_id")
    kind = fields.String(required=True, validate=one_of("nurse", "room"))
    name = fields.String(required=True)
    user = fields.Nested(PersonSchema, required=True, allow_none=True)
    active = fields.Boolean(required=True)
    hours = fields.List(
        fields.Nested(HoursSchema), required=True, metadata={"description": "None: those of the clinic."}
    )
    absences = fields.List(fields.Nested(AbsenceSchema), required=True)
    version = fields.Integer(required=True)


class ClinicResourceChangeSchema(Schema):
    name = Text(200, metadata={"example": "Room 2"})
    user_id = fields.UUID(allow_none=True, metadata={"description": "Account of the nurse."})
    active = Flag(metadata={"description": "False: not booked any more."})
    hours = fields.List(fields.Nested(HoursSchema), validate=HOURS)
    absences = fields.List(fields.Nested(AbsenceSchema), validate=validate.Length(max=500))


class NewClinicResourceSchema(ClinicResourceChangeSchema):
    kind = fields.String(required=True, validate=one_of("nurse", "room"), metadata={"example": "room"})
    name = Text(200, required=True, metadata={"example": "Room 2"})


class ResourceReferenceSchema(Schema):
    id = fields.UUID(required=True, attribute="public_id")
    kind = fields.String(required=True)
    name = fields.String(required=True)


class SlotQuerySchema(Schema):
    first = EnteredDay(
        data_key="from", metadata={"description": "Left out: some weeks before the refill-by date, or today."}
    )
    last = EnteredDay(data_key="to", metadata={"description": "Left out: a week after the refill-by date."})


class SlotSchema(Schema):
    """A free time. `day`, `time`, `fold` and the resource book it."""

    starts_at = Time(required=True)
    ends_at = Time(required=True)
    day = Day(required=True)
    time = LocalTime(required=True)
    fold = fields.Integer(required=True, metadata=FOLD)
    resource = fields.Nested(ResourceReferenceSchema, required=True)


class SlotDaySchema(Schema):
    """A day with free times, or why it is not offered."""

    day = Day(required=True)
    why = fields.String(required=True, allow_none=True, validate=one_of(*Why))
    words = fields.String(
        required=True,
        allow_none=True,
        metadata={"example": "after the refill-by date 4 December 2026: low reservoir"},
    )
    slots = fields.List(fields.Nested(SlotSchema), required=True)


class ProposalsSchema(Schema):
    device_id = fields.UUID(required=True)
    time_zone = fields.String(required=True)
    refill_by = Day(required=True, allow_none=True)
    binding_clock = fields.String(required=True, allow_none=True)
    refused = fields.String(
        required=True, allow_none=True, metadata={"description": "Why there is no refill-by date."}
    )
    best = fields.Nested(SlotSchema, required=True, allow_none=True)
    soonest = fields.Nested(
        SlotSchema,
        required=True,
        allow_none=True,
        metadata={"description": "The first free time, where no safe day is left. It needs a reason."},
    )
    days = fields.List(fields.Nested(SlotDaySchema), required=True)


class AppointmentQuerySchema(PageQuery):
    since = EnteredTime(data_key="from", metadata={"description": "Those that start at or after this."})
    until = EnteredTime(data_key="to", metadata={"description": "Those that start before this."})
    device_id = fields.UUID()
    resource_id = fields.UUID()
    state = fields.String(validate=one_of(*STATES))


class PlaceSchema(Schema):
    resource_id = fields.UUID(metadata={"description": "The nurse or room."})
    day = EnteredDay(metadata={"example": "2026-12-03"})
    time = LocalTime()
    fold = Whole(0, 1, metadata=FOLD)
    duration_min = Whole(5, 480, metadata={"description": "Left out: the length of a slot."})
    override_reason = Text(1000, metadata=OVERRIDE)
    note = Note()


class AppointmentChangeSchema(PlaceSchema):
    """What is left out stays. Another time, nurse or room moves the visit."""


class NewAppointmentSchema(PlaceSchema):
    device_id = fields.UUID(required=True, metadata={"description": "The pump to fill."})
    resource_id = fields.UUID(required=True, metadata={"description": "The nurse or room."})
    day = EnteredDay(required=True, metadata={"example": "2026-12-03"})
    time = LocalTime(required=True)


class CancellationSchema(Schema):
    reason = Text(1000, metadata={"example": "patient is ill"})


class AppointmentSchema(Schema):
    id = fields.UUID(required=True, attribute="public_id")
    device_id = fields.UUID(required=True, attribute="device.public_id")
    model = fields.String(required=True, attribute="device.model")
    patient = PatientReference()
    resource = fields.Nested(ResourceReferenceSchema, required=True)
    starts_at = Time(required=True)
    ends_at = Time(required=True)
    time_zone = fields.String(required=True)
    day = Day(required=True)
    time = LocalTime(required=True)
    fold = fields.Integer(required=True, metadata=FOLD)
    state = fields.String(required=True, validate=one_of(*STATES))
    too_late = fields.Boolean(
        required=True, metadata={"description": "Booked, and after the refill-by date as it stands now."}
    )
    sequence = fields.Integer(required=True, metadata={"description": "Raised by each move."})
    fill_id = fields.UUID(required=True, allow_none=True, attribute="fill.public_id", dump_default=None)
    override_reason = fields.String(required=True, allow_none=True)
    accepted_refill_by = Day(
        required=True,
        allow_none=True,
        metadata={"description": "The refill-by date that was knowingly booked past."},
    )
    cancel_reason = fields.String(required=True, allow_none=True)
    note = fields.String(required=True, allow_none=True)
    created_by = fields.Nested(PersonSchema, required=True)
    created_at = Time(required=True)
    changed_by = fields.Nested(
        PersonSchema, required=True, allow_none=True, metadata={"description": "Null: the system, or nobody."}
    )
    changed_at = Time(required=True)
    version = fields.Integer(required=True)


class BookedVisitSchema(Schema):
    """The visit that is booked for a pump."""

    id = fields.UUID(required=True, attribute="public_id")
    starts_at = Time(required=True)
    day = Day(required=True)
    time = LocalTime(required=True)
    too_late = fields.Boolean(required=True)


class NewCalendarFeedSchema(Schema):
    resource_id = fields.UUID(
        allow_none=True, metadata={"description": "A nurse or room; left out: the whole clinic."}
    )
    shows_names = Flag(
        load_default=False,
        metadata={"description": "True puts patients' names into calendars outside of this system."},
    )


class CalendarFeedSchema(Schema):
    id = fields.UUID(required=True, attribute="public_id")
    resource = fields.Nested(ResourceReferenceSchema, required=True, allow_none=True)
    shows_names = fields.Boolean(required=True)
    created_by = fields.Nested(PersonSchema, required=True)
    created_at = Time(required=True)
    revoked_at = Time(required=True, allow_none=True)
    last_read_at = Time(required=True, allow_none=True)


class CalendarFeedWithAddressSchema(BesideRow, CalendarFeedSchema):
    address = fields.String(
        required=True, metadata={"description": "Whoever has it sees the calendar. Shown only here."}
    )
