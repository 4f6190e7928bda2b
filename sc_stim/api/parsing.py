"""Reading requests strictly: JSON as RFC 8259 has it, text a database can store, no unknown fields."""

import json
import math
from collections.abc import Iterator
from typing import Any, ClassVar

from flask import Request
from webargs import core
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from sc_stim.failures import Invalid


class Parser(FlaskParser):
    """webargs' parser, which leaves unknown fields to the schema: it refuses them."""

    DEFAULT_UNKNOWN_BY_LOCATION: ClassVar[dict[str, str | None]] = {
        **FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION,
        "json": None,
        "query": None,
    }

    def _raw_load_json(self, req: Request) -> Any:
        body = req.get_data()
        if not body:
            return core.missing
        if not core.is_json(req.mimetype):
            raise UnsupportedMediaType("Send JSON, with Content-Type: application/json.")
        try:
            value = json.loads(body.decode(), parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise BadRequest("The body is not JSON.") from error
        _refuse_unstorable(value)
        return value

    def load_querystring(self, req: Request, schema: Any) -> Any:
        _refuse_unstorable(req.args.to_dict())
        return super().load_querystring(req, schema)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _refuse_unstorable(value: Any) -> None:
    for place in _unstorable(value, ()):
        raise Invalid(".".join(place) or "body", "holds a character or number that cannot be stored")


def _unstorable(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Where NUL, half a surrogate pair or a number beyond the floats stands."""
    if isinstance(value, str):
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            yield path
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield path
    elif isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _unstorable(key, path)
            yield from _unstorable(inner, (*path, str(key)))
