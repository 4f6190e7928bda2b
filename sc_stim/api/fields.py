"""Field types of the API: JSON types are taken as they are, times have an offset, unknown fields are refused."""

import datetime as dt
import re
from typing import Any, ClassVar, Final

import marshmallow
from marshmallow import RAISE, fields, validate

RFC_3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
CALENDAR_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
LARGEST_PAGE: Final = 200


class Schema(marshmallow.Schema):
    """The base of every schema."""

    class Meta:
        unknown = RAISE


class Time(fields.AwareDateTime):
    """An instant, RFC 3339 with an offset; aware UTC in Python."""

    default_error_messages: ClassVar[dict[str, str]] = {
        "invalid": "Not an RFC 3339 time with an offset, as 2026-11-22T12:00:05+01:00."
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dt.datetime:
        if not isinstance(value, str) or not RFC_3339.fullmatch(value):
            raise self.make_error("invalid")
        try:
            return dt.datetime.fromisoformat(value.upper()).astimezone(dt.UTC)
        except (ValueError, OverflowError) as error:
            raise self.make_error("invalid") from error

    def _serialize(self, value: dt.datetime | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


class Day(fields.Date):
    """A calendar date of the clinic or patient, `YYYY-MM-DD`."""

    default_error_messages: ClassVar[dict[str, str]] = {"invalid": "Not a date, as 2026-11-22."}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dt.date:
        if not isinstance(value, str) or not CALENDAR_DATE.fullmatch(value):
            raise self.make_error("invalid")
        try:
            return dt.date.fromisoformat(value)
        except ValueError as error:
            raise self.make_error("invalid") from error


class Text(fields.String):
    """Text of 1 to `longest` characters that are not all blanks."""

    def __init__(self, longest: int, **kwargs: Any) -> None:
        not_blank = validate.Regexp(r"^\s*\S", error="Is blank.")
        super().__init__(validate=[validate.Length(max=longest), not_blank], **kwargs)


class Number(fields.Float):
    """A finite JSON number within [lowest, highest]; text is not a number."""

    def __init__(self, lowest: float, highest: float, **kwargs: Any) -> None:
        super().__init__(validate=validate.Range(lowest, highest), **kwargs)

    def _validated(self, value: Any) -> float:
        if isinstance(value, str):
            raise self.make_error("invalid", input=value)
        return super()._validated(value)


class Whole(fields.Integer):
    """A JSON integer within [lowest, highest]."""

    def __init__(self, lowest: int, highest: int, **kwargs: Any) -> None:
        super().__init__(strict=True, validate=validate.Range(lowest, highest), **kwargs)

    def _validated(self, value: Any) -> int:
        if isinstance(value, str):
            raise self.make_error("invalid", input=value)
        return super()._validated(value)


class Flag(fields.Boolean):
    """JSON true or false."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class PageQuery(Schema):
    """What every list takes. A query is text on the wire: use marshmallow's Integer and Boolean in it."""

    limit = fields.Integer(
        load_default=50,
        validate=validate.Range(1, LARGEST_PAGE),
        metadata={"description": "Most items in the answer."},
    )
    cursor = fields.String(
        validate=validate.Length(1, 1000),
        metadata={"description": "`next_cursor` of the page before; leave it out for the first page."},
    )


def one_of(*words: str) -> validate.OneOf:
    """One of these words."""
    return validate.OneOf(words)
