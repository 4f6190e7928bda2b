"""What every resource stands on: the blueprint, strict parsing, finding rows, versions, auditing.

A view is declared, from the outside in, by its route, `@requires(action)`, `@blueprint.arguments(Schema)` and
`@blueprint.response(status, Schema)`. It adds rows; the blueprint commits once, after the answer is made. An answer
with a `version` carries it as ETag. Every POST takes an Idempotency-Key, every PATCH needs If-Match. The statuses an
operation can answer with are documented from what it declares.
"""

import json
import math
import uuid
from collections.abc import Callable, Iterator
from functools import wraps
from http import HTTPStatus
from typing import Any, ClassVar, Final, TypeVar

import flask_smorest
from flask import Request, Response, g, make_response, request
from flask_smorest.utils import prepare_response
from marshmallow import ValidationError
from webargs import core
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import (
    BadRequest,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    UnsupportedMediaType,
)

from sc_stim import clock
from sc_stim.access import ACTIONS, PUBLIC, ROLES
from sc_stim.api.errors import PROBLEM_JSON, ProblemSchema
from sc_stim.api.fields import Schema
from sc_stim.api.idempotency import HEADER, LONGEST, once
from sc_stim.extensions import db
from sc_stim.failures import STALE
from sc_stim.guard import API_PREFIX, actor
from sc_stim.models import scope
from sc_stim.workflows.audit import record

Row = TypeVar("Row", bound=Any)
View = Callable[..., Any]

NO_ROW: Final = "There is no such thing here."
IDEMPOTENCY_KEY: Final = {
    "in": "header",
    "name": HEADER,
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST},
    "description": "Any text that is new for each act. Sent again within 24 hours, nothing is done twice.",
}
IF_MATCH: Final = {
    "in": "header",
    "name": "If-Match",
    "required": True,
    "schema": {"type": "string"},
    "example": '"1"',
    "description": "The ETag of the version this change is based on.",
}
HEADER_OF_FIELD: Final = {
    "version": ("ETag", "The version, for If-Match."),
    "next_cursor": ("Link", 'Address of the next page, with `rel="next"`; not on the last one.'),
}


def find_or_404(model: type[Row], public_id: uuid.UUID) -> Row:
    """The row of the signed-in person's clinic; another clinic's row is as absent as one that never was."""
    row = scope.find(db.session, model, g.user.clinic_id, public_id)
    if row is None:
        raise NotFound(NO_ROW)
    return row


def find_to_edit(model: type[Row], public_id: uuid.UUID) -> Row:
    """The row, if the request's If-Match names its version: 428 without the header, 412 when it is stale."""
    row = find_or_404(model, public_id)
    if "If-Match" not in request.headers:
        raise PreconditionRequired(
            "Send the ETag you read as If-Match, so that no other change is overwritten."
        )
    if not request.if_match.contains(str(row.version)):
        raise PreconditionFailed(STALE)
    g.version_checked = True
    return row


def audit(action: str, kind: str | None = None, subject: object = None, /, **detail: Any) -> None:
    """Record an act or a view by the signed-in person, in the transaction of the act."""
    record(db.session, actor(), action, kind, subject, detail, at=clock.now())


def shown_once(view: View) -> View:
    """Mark a POST whose answer holds a secret: it is not kept for the Idempotency-Key."""
    view.secret = True  # type: ignore[attr-defined]
    return view


class Parser(FlaskParser):
    """JSON as RFC 8259 has it, text a database can store, and no unknown query fields."""

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
        _refuse(_unstorable(value, ()), "json")
        return value

    def load_querystring(self, req: Request, schema: Any) -> Any:
        _refuse(_unstorable(req.args.to_dict(), ()), "query")
        return super().load_querystring(req, schema)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _refuse(places: Iterator[tuple[str, ...]], location: str) -> None:
    for place in places:
        error = ValidationError(
            "Holds a character or number that cannot be stored.", ".".join(place) or "_schema"
        )
        Parser().handle_error(
            ValidationError({location: error.normalized_messages()}), request, Schema(),
            error_status_code=None, error_headers=None,
        )  # fmt: skip


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
            yield from _unstorable(key, path) if isinstance(key, str) else ()
            yield from _unstorable(inner, (*path, str(key)))


class Resource(flask_smorest.Blueprint):
    """A group of endpoints below /api/v1. `name` is its tag in the documentation."""

    ARGUMENTS_PARSER = Parser()

    def __init__(self, name: str, import_name: str, description: str, url_prefix: str = API_PREFIX) -> None:
        super().__init__(name, import_name, description=description, url_prefix=url_prefix)
        self._prepare_doc_cbks = [self._prepare_arguments_doc, self._prepare_response_doc, _document]

    def add_url_rule(
        self, rule: str, endpoint: Any = None, view_func: Any = None, *args: Any, **options: Any
    ) -> None:
        """Declare an endpoint; see the module for what its view gets."""
        method = options.setdefault("methods", ["GET"])[0]
        super().add_url_rule(rule, endpoint, _entry_point(view_func, method, rule), *args, **options)

    def response(self, status_code: int, schema: Any = None, **options: Any) -> Callable[[View], View]:
        """As flask-smorest's, but what the view changed is flushed first: ids and versions are true."""
        answer = super().response(status_code, schema, **options)

        def decorate(view: View) -> View:
            @wraps(view)
            def flushed(*args: Any, **kwargs: Any) -> Any:
                result = view(*args, **kwargs)
                db.session.flush()
                return result

            decorated: View = answer(flushed)
            return decorated

        return decorate


def _entry_point(view: View, method: str, rule: str) -> View:
    """The outermost function of an endpoint: everything it wrote is committed here, once, with its answer."""

    @wraps(view)
    def entry_point(*args: Any, **kwargs: Any) -> Response:
        def act() -> Response:
            return _with_etag(make_response(view(*args, **kwargs)))

        key = request.headers.get(HEADER) if method == "POST" and g.user else None
        response = act() if key is None else once(key, act, secret=getattr(view, "secret", False))
        if method == "PATCH" and not g.get("version_checked"):
            raise RuntimeError(f"{request.endpoint} changes a row without find_to_edit")
        db.session.commit()
        return response

    apidoc = dict(getattr(view, "_apidoc", {}))
    apidoc["entry_point"] = {"action": getattr(view, "action", None), "rule": rule, "name": view.__name__}
    entry_point._apidoc = apidoc  # type: ignore[attr-defined]
    return entry_point


def _with_etag(response: Response) -> Response:
    body = response.get_json(silent=True) if response.is_json else None
    if isinstance(body, dict) and "version" in body:
        response.set_etag(str(body["version"]))
    return response


def _document(doc: dict[str, Any], doc_info: dict[str, Any], *, method: str, **_: Any) -> dict[str, Any]:
    """Complete an operation: its name, who may, the headers and statuses that follow from what it is."""
    entry = doc_info["entry_point"]
    doc["operationId"] = entry["name"]
    parameters = doc.setdefault("parameters", [])
    statuses = {HTTPStatus.SERVICE_UNAVAILABLE}
    if entry["action"] == PUBLIC:
        doc["security"] = []
    else:
        doc["x-roles"] = sorted(ACTIONS.get(entry["action"], ROLES))
        statuses |= {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
    if "<" in entry["rule"]:
        statuses.add(HTTPStatus.NOT_FOUND)
    if parameters:
        statuses.add(HTTPStatus.UNPROCESSABLE_ENTITY)
    if "requestBody" in doc:
        statuses |= {
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        }
        statuses.add(HTTPStatus.UNPROCESSABLE_ENTITY)
    if method == "post" and entry["action"] != PUBLIC:
        parameters.append(IDEMPOTENCY_KEY)
        statuses |= {HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY}
    if method == "patch":
        parameters.append(IF_MATCH)
        statuses |= {HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED, HTTPStatus.PRECONDITION_REQUIRED}
    responses = doc.setdefault("responses", {})
    for status in sorted(statuses):
        responses.setdefault(int(status), status.name)
    for response in responses.values():
        if isinstance(response, dict):
            _document_headers(response)
    return doc


def _document_headers(response: dict[str, Any]) -> None:
    schema = response.get("content", {}).get("application/json", {}).get("schema")
    for name in set(getattr(schema, "fields", ())) & HEADER_OF_FIELD.keys():
        header, meaning = HEADER_OF_FIELD[name]
        response.setdefault("headers", {})[header] = {"description": meaning, "schema": {"type": "string"}}


class Api(flask_smorest.Api):
    """flask-smorest whose errors are problem documents. `failures` answers errors, `openapi` serves this."""

    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_error_handlers(self) -> None:
        """Ours are registered by the app."""

    def _register_responses(self) -> None:
        for status in HTTPStatus:
            if status >= 400:
                response = {"description": status.phrase, "schema": ProblemSchema}
                prepare_response(response, self.spec, PROBLEM_JSON)
                self.spec.components.response(status.name, response, lazy=True)
