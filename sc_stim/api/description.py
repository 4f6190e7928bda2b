"""What the OpenAPI document says of an operation beyond its schemas: it follows from how the operation is declared."""

from http import HTTPStatus
from typing import Any, Final

import flask_smorest
from flask_smorest.utils import prepare_response

from sc_stim.access import ACTIONS, PUBLIC, ROLES
from sc_stim.api.errors import PROBLEM_JSON, ProblemSchema
from sc_stim.api.idempotency import HEADER, LONGEST

Document = dict[str, Any]

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


class Api(flask_smorest.Api):
    """flask-smorest whose errors are problem documents. `failures` answers errors, `openapi` serves the document."""

    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_error_handlers(self) -> None:
        """Ours are registered by the app."""

    def _register_responses(self) -> None:
        for status in HTTPStatus:
            if status >= 400:
                response = {"description": status.phrase, "schema": ProblemSchema}
                prepare_response(response, self.spec, PROBLEM_JSON)
                self.spec.components.response(status.name, response, lazy=True)


def describe(doc: Document, doc_info: Document, *, method: str, **_: Any) -> Document:
    """Complete an operation: its name, who may, and the headers and statuses it can have."""
    entry = doc_info["entry_point"]
    public = entry["action"] == PUBLIC
    doc["operationId"] = entry["name"]
    if public:
        doc["security"] = []
    else:
        doc["x-roles"] = sorted(ACTIONS.get(entry["action"], ROLES))
    parameters = doc.setdefault("parameters", [])
    if method == "post" and not public:
        parameters.append(IDEMPOTENCY_KEY)
    if entry["versioned"]:
        parameters.append(IF_MATCH)
    responses = doc.setdefault("responses", {})
    for status in sorted(
        _statuses(doc, method, public=public, finds="<" in entry["rule"], versioned=entry["versioned"])
    ):
        responses.setdefault(int(status), status.name)
    for response in responses.values():
        if isinstance(response, dict):
            _describe_headers(response)
    return doc


def _statuses(doc: Document, method: str, *, public: bool, finds: bool, versioned: bool) -> set[HTTPStatus]:
    """The errors an operation can answer with. 500 is none of them: it is a mistake of ours."""
    statuses = {HTTPStatus.SERVICE_UNAVAILABLE}
    if not public:
        statuses |= {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
    if finds:
        statuses |= {HTTPStatus.NOT_FOUND}
    if doc["parameters"] or "requestBody" in doc:
        statuses |= {HTTPStatus.UNPROCESSABLE_ENTITY}
    if "requestBody" in doc:
        statuses |= {
            HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        }  # fmt: skip
    if method in ("post", "patch", "put") and not public:
        statuses |= {HTTPStatus.CONFLICT}
    if versioned:
        statuses |= {HTTPStatus.PRECONDITION_FAILED, HTTPStatus.PRECONDITION_REQUIRED}
    return statuses


def _describe_headers(response: Document) -> None:
    schema = response.get("content", {}).get("application/json", {}).get("schema")
    for name in HEADER_OF_FIELD.keys() & set(getattr(schema, "fields", ())):
        header, meaning = HEADER_OF_FIELD[name]
        response.setdefault("headers", {})[header] = {"description": meaning, "schema": {"type": "string"}}
