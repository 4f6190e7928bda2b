"""Parts that several clinical resources show or take."""

import datetime as dt
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final
from zoneinfo import available_timezones

from flask import g
from marshmallow import ValidationError, fields

from sc_stim import clock
from sc_stim.api.fields import Day, Number, PageQuery, Schema, Text, Time, one_of
from sc_stim.failures import Invalid
from sc_stim.models import Patient

LONGEST_WINDOW: Final = dt.timedelta(days=3 * 366)
FIRST_YEAR: Final = (
    1980  # no device or patient record here is older, and no date near the end of the calendar is meant
)
LAST_YEAR: Final = 2199


def _in_our_time(at: dt.date) -> None:
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise ValidationError(f"Must be between the years {FIRST_YEAR} and {LAST_YEAR}.")


def _is_zone(name: str) -> None:
    if name not in _zones():
        raise ValidationError("Not a zone of the IANA database, as Europe/Berlin.")


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _each_once(words: list[str]) -> None:
    if len(set(words)) < len(words):
        raise ValidationError("Name each once.")


class PersonSchema(Schema):
    """Who did something."""

    id = fields.UUID(required=True, attribute="public_id")
    name = fields.String(required=True)


class PatientReferenceSchema(Schema):
    """Whose it is."""

    id = fields.UUID(required=True, attribute="public_id")
    name = fields.String(required=True, attribute="display_name")
    phone = fields.String(required=True, allow_none=True)


class WarningSchema(Schema):
    """Something to look at before going on. It never blocks."""

    rule = fields.String(required=True)
    field = fields.String(required=True)
    message = fields.String(required=True)
    source = fields.String(
        required=True, allow_none=True, metadata={"description": "Null: the figure is unverified."}
    )


class BesideRow(Schema):
    """Dumps a pair (row, {field: value}) as one object."""

    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        row, beside = obj
        return beside[attr] if attr in beside else super().get_attribute(row, attr, default)


class WithWarnings(BesideRow):
    warnings = fields.List(fields.Nested(WarningSchema), required=True)


class DrugSchema(Schema):
    name = Text(200, required=True, metadata={"example": "morphine"})
    mg_per_ml = Number(0.0001, 1000, required=True)


class PatientReference(fields.Nested):
    """Null while it is nobody's; always null for an engineer."""

    def __init__(self) -> None:
        super().__init__(PatientReferenceSchema, required=True, allow_none=True)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return super()._serialize(value if sees_patients() else None, attr, obj, **kwargs)


class Note(Text):
    """Free text of the clinic about a patient; null for an engineer."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(10_000, allow_none=True, **kwargs)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return super()._serialize(value if sees_patients() else None, attr, obj, **kwargs)


class EnteredTime(Time):
    """A time that people enter."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validate=_in_our_time, **kwargs)


class EnteredDay(Day):
    """A date that people enter."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validate=_in_our_time, **kwargs)


class TimeZone(fields.String):
    """An IANA time zone."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validate=_is_zone, metadata={"example": "Europe/Berlin"}, **kwargs)


class Words(fields.List):
    """Any of these words, each once."""

    def __init__(self, *words: str, **kwargs: Any) -> None:
        super().__init__(fields.String(validate=one_of(*words)), validate=_each_once, **kwargs)


class WindowQuery(PageQuery):
    """A page of what lies within a time."""

    since = EnteredTime(data_key="from", metadata={"description": "Inclusive."})
    until = EnteredTime(data_key="to", metadata={"description": "Exclusive. Left out: now."})


def sees_patients() -> bool:
    """Whether the signed-in person may know whose a device is."""
    return bool(g.user.role != "engineer")


def seen(patients: Iterable[Patient | None]) -> list[str]:
    """For the audit trail: whom a list showed, each once. An engineer is shown nobody."""
    shown = patients if sees_patients() else ()
    return list(dict.fromkeys(str(patient.public_id) for patient in shown if patient is not None))


def window(query: Mapping[str, Any], usual: dt.timedelta) -> tuple[dt.datetime, dt.datetime]:
    """`from` and `to` of a request; left out, `from` lies `usual` before `to`. Raises Invalid."""
    until = query.get("until", clock.now())
    since = query.get("since", until - usual)
    if since >= until:
        raise Invalid("from", "must be before to")
    if until - since > LONGEST_WINDOW:
        raise Invalid("from", f"must be at most {LONGEST_WINDOW.days} days before to")
    return since, until
