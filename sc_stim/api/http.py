"""What every resource stands on: the blueprint, finding rows, versions, auditing.

A view is declared, from the outside in, by its route, `@requires(action)`, `@blueprint.arguments(Schema)` and
`@blueprint.response(status, Schema)`. It adds rows; the blueprint commits once, after the answer is made. An answer
with a `version` carries it as ETag. Every POST takes an Idempotency-Key; every PATCH and PUT needs If-Match, so does a
DELETE marked `@of_a_version`. The statuses an operation can answer with are documented from what it declares.
"""

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any, Final, TypeVar

import flask_smorest
from flask import Response, g, make_response, request
from flask_smorest.utils import get_appcontext
from werkzeug.exceptions import NotFound, PreconditionFailed, PreconditionRequired

from sc_stim import clock
from sc_stim.api.description import describe
from sc_stim.api.idempotency import HEADER, once
from sc_stim.api.parsing import Parser
from sc_stim.extensions import db
from sc_stim.failures import STALE
from sc_stim.guard import API_PREFIX, actor
from sc_stim.models import scope
from sc_stim.workflows.audit import record

Row = TypeVar("Row", bound=Any)
View = Callable[..., Any]

NO_ROW: Final = "There is no such thing here."


def find_or_404(model: type[Row], public_id: uuid.UUID) -> Row:
    """The row of the signed-in person's clinic; another clinic's row is as absent as one that never was."""
    row = scope.find(db.session, model, g.user.clinic_id, public_id)
    if row is None:
        raise NotFound(NO_ROW)
    return row


def find_to_edit(model: type[Row], public_id: uuid.UUID) -> Row:
    """The row, if the request's If-Match names its version: 428 without the header, 412 when it is stale."""
    row = find_or_404(model, public_id)
    must_match(row.version)
    return row


def must_match(version: int) -> None:
    """The request's If-Match names this version: else 428 without the header, 412 when it is stale."""
    if "If-Match" not in request.headers:
        raise PreconditionRequired(
            "Send the ETag you read as If-Match, so that no other change is overwritten."
        )
    if not request.if_match.contains(str(version)):
        raise PreconditionFailed(STALE)
    g.version_checked = True


def audit(action: str, kind: str | None = None, subject: object = None, /, **detail: Any) -> None:
    """Record an act or a view by the signed-in person, in the transaction of the act."""
    record(db.session, actor(), action, kind, subject, detail, at=clock.now())


def shown_once(view: View) -> View:
    """Mark a POST whose answer holds a secret: it is not kept for the Idempotency-Key."""
    view.secret = True  # type: ignore[attr-defined]
    return view


def of_a_version(view: View) -> View:
    """Mark a DELETE that needs If-Match, as every PATCH and PUT does."""
    view.versioned = True  # type: ignore[attr-defined]
    return view


class Resource(flask_smorest.Blueprint):
    """A group of endpoints below /api/v1. `name` is its tag in the documentation."""

    ARGUMENTS_PARSER = Parser()

    def __init__(self, name: str, import_name: str, description: str, url_prefix: str = API_PREFIX) -> None:
        super().__init__(name, import_name, description=description, url_prefix=url_prefix)
        self._prepare_doc_cbks = [self._prepare_arguments_doc, self._prepare_response_doc, describe]

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
    versioned = getattr(view, "versioned", method in ("PATCH", "PUT"))

    @wraps(view)
    def entry_point(*args: Any, **kwargs: Any) -> Response:
        def act() -> Response:
            return _with_etag(make_response(view(*args, **kwargs)))

        key = request.headers.get(HEADER) if method == "POST" and g.user else None
        response = act() if key is None else once(key, act, secret=getattr(view, "secret", False))
        if versioned and not g.get("version_checked"):
            raise RuntimeError(f"{request.endpoint} changes a row without find_to_edit")
        db.session.commit()
        return response

    apidoc = dict(getattr(view, "_apidoc", {}))
    apidoc["entry_point"] = {
        "action": getattr(view, "action", None),
        "rule": rule,
        "name": view.__name__,
        "versioned": versioned,
    }
    entry_point._apidoc = apidoc  # type: ignore[attr-defined]
    return entry_point


def _with_etag(response: Response) -> Response:
    body = get_appcontext().pop("result_dump", None)  # where flask-smorest leaves what it dumped
    if isinstance(body, dict) and "version" in body:
        response.set_etag(str(body["version"]))
    return response
