"""Every error below /api is a problem document (RFC 9457). It names wrong fields and nothing internal."""

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from flask import Response, json
from flask_limiter import RateLimitExceeded
from marshmallow import fields
from werkzeug.exceptions import HTTPException, Unauthorized

from sc_stim.api.fields import Schema
from sc_stim.extensions import limiter

PROBLEM_JSON: Final = "application/problem+json"
OURS: Final = frozenset({"content-type", "content-length"})  # headers of an error that describe its HTML body


class FieldErrorSchema(Schema):
    field = fields.String(
        required=True, metadata={"description": "Dotted path of the field; `body` for all of it."}
    )
    message = fields.String(required=True)


class ProblemSchema(Schema):
    type = fields.String(required=True, metadata={"example": "about:blank"})
    title = fields.String(required=True, metadata={"example": "Unprocessable Entity"})
    status = fields.Integer(required=True, metadata={"example": 422})
    detail = fields.String(required=True, metadata={"example": "Some fields are wrong."})
    errors = fields.List(
        fields.Nested(FieldErrorSchema), metadata={"description": "Only where fields are wrong."}
    )


def problem(error: HTTPException) -> Response:
    """The problem document of an HTTP error."""
    errors = [{"field": field, "message": message} for field, message in _field_errors(error)]
    document = {
        "type": "about:blank",
        "title": error.name,
        "status": error.code,
        "detail": "Some fields are wrong." if errors else _detail(error),
    }
    response = Response(json.dumps(document | ({"errors": errors} if errors else {})), error.code)
    response.headers.extend([item for item in error.get_headers() if item[0].lower() not in OURS])
    response.content_type = PROBLEM_JSON
    if isinstance(error, Unauthorized):
        response.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, RateLimitExceeded) and limiter.current_limit:
        response.headers["Retry-After"] = str(max(1, limiter.current_limit.reset_at - int(time.time())))
    return response


def _detail(error: HTTPException) -> str:
    if isinstance(error, RateLimitExceeded):
        return "Too many attempts. Wait, then try again."
    return error.description or error.name


def _field_errors(error: HTTPException) -> Iterator[tuple[str, str]]:
    """Flatten marshmallow's nested messages; the outermost key says where the field was (json, query)."""
    messages: Mapping[str, Any] = (getattr(error, "data", None) or {}).get("messages") or {}
    for found in messages.values():
        yield from _flat(found, ())


def _flat(messages: Any, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            yield from _flat(inner, path if key == "_schema" else (*path, str(key)))
        return
    for message in [messages] if isinstance(messages, str) else messages:
        yield ".".join(path) or "body", str(message)
