"""The records a device sends and the messages we exchange with it, as types with their ranges and words.

A range refuses what cannot be a reading at all (a reservoir of 900 mL); what is alarming is judged
elsewhere. The JSON Schemas in docs/protocol are generated from these types.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import force_setattr

MAX_DETAIL_BYTES = 4 * 1024  # free `detail` of an event or a result, as JSON
MAX_DETAIL_DEPTH = 4


class Reason(StrEnum):
    """Why a message or an item cannot be taken. Stored with the quarantined bytes: never rename one."""

    OVERSIZE = "oversize"
    BAD_UTF8 = "bad_utf8"
    BAD_JSON = "bad_json"
    TOO_DEEP = "too_deep"
    NOT_FINITE = "not_finite"
    WRONG_TYPE = "wrong_type"
    MISSING_FIELD = "missing_field"
    EMPTY = "empty"
    OUT_OF_RANGE = "out_of_range"
    UNKNOWN_VALUE = "unknown_value"
    BAD_TEXT = "bad_text"
    BAD_TIME = "bad_time"
    TOO_LONG = "too_long"


class InvalidMessage(ValueError):
    """A message that cannot be taken, with the reason and, where there is one, the field at fault."""

    def __init__(self, reason: Reason, field: str | None, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.field = field
        self.detail = detail


# --- ranges: outside them a number is a fault of the sender, not a reading ---

Time = Annotated[datetime, Meta(tz=True)]  # RFC 3339 with offset
Seq = Annotated[int, Meta(ge=0, le=2**53 - 1)]  # exact in every JSON reader
Epoch = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,32}$(?!\n)")]  # a bare `$` lets a newline end it
Word = Annotated[str, Meta(pattern=r"^[^\u0000-\u001f\u007f]{1,64}$(?!\n)")]  # no control characters
ShortWord = Annotated[str, Meta(pattern=r"^[^\u0000-\u001f\u007f]{1,32}$(?!\n)")]
ProgramNumber = Annotated[int, Meta(ge=0, le=9999)]
Volume = Annotated[float, Meta(ge=0, le=100)]  # mL; the largest reservoirs hold 40
Flow = Annotated[float, Meta(ge=0, le=50)]  # mL/day; pumps reach about 29
BolusCount = Annotated[int, Meta(ge=0, le=100_000)]
BolusVolume = Annotated[float, Meta(ge=0, le=10)]  # mL
Volts = Annotated[float, Meta(ge=0, le=20)]
Months = Annotated[float, Meta(ge=0, le=600)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Seconds = Annotated[float, Meta(ge=0, le=20 * 366 * 86_400)]  # since the last sample
Milliamperes = Annotated[float, Meta(ge=0, le=100)]
Microseconds = Annotated[float, Meta(ge=0, le=10_000)]
Hertz = Annotated[float, Meta(ge=0, le=50_000)]
Ohms = Annotated[float, Meta(ge=0, le=1_000_000)]
Contacts = Annotated[tuple[Ohms | None, ...], Meta(max_length=64)]
Rating = Annotated[float, Meta(ge=0, le=10)]

# --- closed sets of words ---

PumpState = Literal["running", "stopped", "stalled", "mri", "minimum_rate"]
StimulatorState = Literal["on", "off", "mri", "cycling"]
EventKind = Literal[
    "motor_stall", "pump_stopped", "low_reservoir", "empty_reservoir", "eri", "eos", "memory_error",
    "mri_entered", "mri_left", "program_changed", "rate_changed", "bolus_denied", "lead_disconnected",
    "charge_missed", "reset", "session_opened", "session_closed",
]  # fmt: skip
EventState = Literal["raised", "cleared"]
Site = Literal["back", "leg", "other", "overall"]
Symptom = Literal[
    "numbness", "tingling", "weakness", "spasms", "reduced_mobility", "insomnia", "anxiety", "low_mood",
    "sedation", "nausea",
]  # fmt: skip
Symptoms = Annotated[tuple[Symptom, ...], Meta(max_length=20)]
CommandKind = Literal["interrogate", "report_interval", "time_sync", "diary_prompt"]


def in_utc(at: datetime, field: str) -> datetime:
    """The same instant in UTC; InvalidMessage where the offset leads out of the calendar."""
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise InvalidMessage(Reason.BAD_TIME, field, f"{at.isoformat()} is outside the calendar") from error


class Item(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every record has: its number within the epoch and the device's own time, here in UTC."""

    seq: Seq
    at: Time

    def __post_init__(self) -> None:
        if self.at.tzinfo is not UTC:
            force_setattr(self, "at", in_utc(self.at, "at"))


class PumpSample(Item, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One reading of an intrathecal pump; absent or null is "not measured"."""

    state: PumpState | None = None
    reservoir_ml: Volume | None = None  # as the pump computes it
    flow_ml_per_day: Flow | None = None  # programmed now
    boluses: BolusCount | None = None  # delivered since the last sample
    bolus_ml: BolusVolume | None = None  # each
    battery_v: Volts | None = None
    eri_months: Months | None = None
    low_reservoir_alarm_ml: Volume | None = None


class StimulatorSample(Item, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One reading of a spinal cord stimulator; absent or null is "not measured"."""

    state: StimulatorState | None = None
    on_s: Seconds | None = None  # of stimulation since the last sample
    program: Word | ProgramNumber | None = None  # name or number, whichever the device uses
    amplitude_ma: Milliamperes | None = None
    pulse_width_us: Microseconds | None = None
    rate_hz: Hertz | None = None
    battery_pct: Percent | None = None
    battery_v: Volts | None = None
    charged_s: Seconds | None = None
    impedance_ohm: Contacts | None = None  # per contact, in contact order
    ecap_in_window_pct: Percent | None = None
    posture: ShortWord | None = None


class Event(Item, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An alarm or a therapy event."""

    kind: EventKind
    state: EventState | None = None
    detail: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.detail:
            check_detail(self.detail)


class Score(Item, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of the patient's diary; ratings are 0-10."""

    nrs: Rating | None = None
    site: Site | None = None
    flare: bool | None = None
    sleep: Rating | None = None
    interference: Rating | None = None
    symptoms: Symptoms | None = None


SampleType = TypeVar("SampleType", PumpSample, StimulatorSample)


class Message(Struct, Generic[SampleType], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a device sends on a data topic, with at least one item. `sent_at` is stamped at every sending."""

    epoch: Epoch
    sent_at: Time | None = None
    samples: list[SampleType] | None = None
    events: list[Event] | None = None
    scores: list[Score] | None = None


class DeviceState(Struct, frozen=True, kw_only=True):
    """`up/state`, retained: the birth message or the last will."""

    online: bool
    model: Word | None = None
    firmware: ShortWord | None = None


class Result(Struct, frozen=True, kw_only=True):
    """`up/result`: what a device did with a command."""

    id: Word  # of the command
    status: Literal["done", "refused", "failed"]
    at: Time | None = None
    detail: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.at is not None:
            force_setattr(self, "at", in_utc(self.at, "at"))
        if self.detail:
            check_detail(self.detail)


class Command(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`down/command`. None changes therapy, and none ever may.

    `time_sync` asks the device to set its clock to `issued_at`. A device ignores a command past `expires_at`.
    """

    id: Word
    kind: CommandKind
    issued_at: Time
    expires_at: Time | None = None
    interval_s: Annotated[int, Meta(ge=10, le=7 * 86_400)] | None = None  # with report_interval

    def __post_init__(self) -> None:
        if (self.kind == "report_interval") != (self.interval_s is not None):
            raise InvalidMessage(Reason.MISSING_FIELD, "interval_s", "interval_s: report_interval needs it")


class Ack(Struct, frozen=True, kw_only=True):
    """`down/ack`, the stored-ack: what is committed on our side. A device may erase only what this covers.

    `missing`: ranges [first, last] below `upto` still to be sent; `rejected`: kept in quarantine here.
    """

    epoch: Epoch
    upto: Annotated[int, Meta(ge=-1, le=2**53 - 1)]  # -1: nothing yet
    missing: list[tuple[Seq, Seq]]
    rejected: list[Seq]

    def covers(self, seq: int) -> bool:
        """May the device erase its record of this number?"""
        taken = seq <= self.upto and not any(first <= seq <= last for first, last in self.missing)
        return taken or seq in self.rejected


def check_detail(detail: dict[str, Any]) -> None:
    """Refuse, by InvalidMessage, a free object that is too big, too deep or that no database could hold."""
    _check_value(detail, depth=1)
    if len(msgspec.json.encode(detail)) > MAX_DETAIL_BYTES:
        raise InvalidMessage(Reason.TOO_LONG, "detail", f"detail is over {MAX_DETAIL_BYTES} bytes")


def _check_value(value: object, depth: int) -> None:
    if depth > MAX_DETAIL_DEPTH:
        raise InvalidMessage(Reason.TOO_DEEP, "detail", f"detail is nested deeper than {MAX_DETAIL_DEPTH}")
    if isinstance(value, str) and "\0" in value:
        raise InvalidMessage(Reason.BAD_TEXT, "detail", "detail holds a NUL character")
    if isinstance(value, int) and abs(value) > 2**63 - 1:
        raise InvalidMessage(Reason.OUT_OF_RANGE, "detail", "detail holds an integer of more than 64 bits")
    if isinstance(value, dict):
        for key, item in value.items():
            _check_value(key, depth)
            _check_value(item, depth + 1)
    if isinstance(value, list):
        for item in value:
            _check_value(item, depth + 1)
