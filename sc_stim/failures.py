"""Errors of the database and of workflows as HTTP errors, for API and pages alike."""

from collections.abc import Callable
from typing import Any, Final

import structlog
from flask import Flask, g, has_request_context, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection, event
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.exceptions import (
    Conflict,
    HTTPException,
    PreconditionFailed,
    ServiceUnavailable,
    UnprocessableEntity,
)

from sc_stim.extensions import db
from sc_stim.workflows import refusals

RETRY_S: Final = 5  # what a client should wait while the database is away
LOCK_PATIENCE_MS = 3_000  # how long a request waits for what another transaction holds
STATEMENT_PATIENCE_MS = 10_000
STALE: Final = "Somebody changed this since you read it. Read it again, then repeat your change."
WRITTEN_TWICE: Final = "Somebody else has just recorded the same. Read it again before you go on."
AWAY: Final = "The database does not answer. Nothing was changed; try again."

FOR_PROGRAMS: Final = ("/api/", "/calendar/", "/health/", "/metrics")

log = structlog.get_logger(__name__)
Answer = Callable[[HTTPException], ResponseReturnValue]


class Invalid(UnprocessableEntity):
    """422 that names a field: `raise Invalid("email", "is taken")`."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__("Some fields are wrong.")
        self.data = {"messages": {"json": {field: [message]}}}


def install(app: Flask, *, problem: Answer, page: Answer) -> None:
    """Roll back, then answer errors below `FOR_PROGRAMS` with `problem`, all others with `page`."""

    def on(kind: type[Exception], translate: Callable[[Any], HTTPException]) -> None:
        def handle(error: Exception) -> ResponseReturnValue:
            http_error = translate(error)
            db.session.rollback()
            return (problem if request.path.startswith(FOR_PROGRAMS) else page)(http_error)

        app.register_error_handler(kind, handle)

    on(HTTPException, lambda error: error)
    on(refusals.FieldRefused, lambda error: Invalid(error.field, error.reason))
    on(refusals.Conflict, lambda error: Conflict(str(error)))
    on(StaleDataError, lambda _: PreconditionFailed(STALE))
    on(IntegrityError, _written_twice)
    for away in (OperationalError, InterfaceError, PoolTimeout):
        on(away, _database_away)


@event.listens_for(db.session, "after_begin")
def _do_not_hang(_session: Any, _transaction: Any, connection: Connection) -> None:
    """A request answers 503 rather than wait for a locked table; workers have time. SQLite waits by itself."""
    if has_request_context() and connection.dialect.name == "postgresql":
        patience = f"SET LOCAL lock_timeout = {LOCK_PATIENCE_MS}; SET LOCAL statement_timeout = {STATEMENT_PATIENCE_MS}"
        connection.exec_driver_sql(patience)


def _written_twice(error: IntegrityError) -> HTTPException:
    """Two requests wrote the same unique thing at once. Any other broken constraint is our mistake: 500."""
    on_postgres = getattr(error.orig, "sqlstate", None) == "23505"
    on_sqlite = getattr(error.orig, "sqlite_errorname", None) in (
        "SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY",
    )  # fmt: skip
    if not (on_postgres or on_sqlite):
        raise error
    return Conflict(WRITTEN_TWICE)


def _database_away(error: Exception) -> HTTPException:
    log.error("database_away", endpoint=request.endpoint, exc_info=error)
    g.user = None  # a page about it must not ask the database who is signed in
    return ServiceUnavailable(AWAY, retry_after=RETRY_S)
