"""Errors as pages: what happened and what to do, nothing internal. They ask the database nothing."""

from http import HTTPStatus
from typing import Final

from flask import current_app, flash, g, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from sc_stim.access import ACTIONS, ROLES
from sc_stim.guard import declared_action
from sc_stim.i18n import _, _lazy
from sc_stim.web import words

# status -> (heading, what to do); None: the error itself says it
ADVICE: Final[dict[int, tuple[str, str | None]]] = {
    HTTPStatus.BAD_REQUEST: (_lazy("This cannot be used"), None),
    HTTPStatus.FORBIDDEN: (
        _lazy("Your role does not allow this"),
        _lazy("If you need it for your work, your clinic's administrator can change your role."),
    ),
    HTTPStatus.NOT_FOUND: (
        _lazy("There is no such page"),
        _lazy("It may have been removed, or it belongs to another clinic. Check the address."),
    ),
    HTTPStatus.METHOD_NOT_ALLOWED: (
        _lazy("There is no such page"),
        _lazy("Go back and use the button on the page before."),
    ),
    HTTPStatus.CONFLICT: (_lazy("Nothing was changed"), None),
    HTTPStatus.PRECONDITION_FAILED: (_lazy("Nothing was changed"), None),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (_lazy("This is too long"), _lazy("Shorten what you typed.")),
    HTTPStatus.UNPROCESSABLE_ENTITY: (_lazy("This cannot be used"), None),
    HTTPStatus.TOO_MANY_REQUESTS: (_lazy("Too many attempts"), _lazy("Wait a few minutes, then try again.")),
    HTTPStatus.INTERNAL_SERVER_ERROR: (
        _lazy("Something went wrong in the system"),
        _lazy("The fault is on record. Look whether what you did was saved before you do it again."),
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: (_lazy("The record cannot be reached now"), None),
}


def answer(error: HTTPException) -> ResponseReturnValue:
    """The page of an HTTP error; redirects and ready answers pass as they are."""
    if error.response is not None or error.code is None or error.code < HTTPStatus.BAD_REQUEST:
        return error
    if isinstance(error, CSRFError) and request.endpoint == "web.do_sign_in":
        flash(_("This page was open for too long. Please type it again."), "refused")
        return redirect(request.full_path, HTTPStatus.SEE_OTHER)
    heading, advice = _words(error)
    body = render_template(
        "error.html", heading=heading, advice=advice, status=error.code, request_id=g.get("request_id")
    )
    kept = {name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After")}
    return body, error.code, kept


def _words(error: HTTPException) -> tuple[str, str]:
    if isinstance(error, CSRFError):
        return (
            _("This page was open for too long"),
            _("Nothing was saved. Open the page again and repeat what you typed."),
        )
    heading, advice = ADVICE.get(error.code or 0, (error.name, None))
    if error.code == HTTPStatus.FORBIDDEN:
        advice = f"{_who_may()} {advice}".strip()
    return heading, advice or error.description or ""


def _who_may() -> str:
    """The roles that may do what was asked for; nothing where the role was not what stood in the way."""
    action = declared_action(current_app, request.endpoint or "", request.method)
    may = ACTIONS.get(action or "", frozenset())
    if not may or g.user.role in may:
        return ""
    roles = ", ".join(words.say(words.ROLE, role).lower() for role in ROLES if role in may)
    return _("It is for: %(roles)s. You are signed in as: %(role)s.", roles=roles,
             role=words.say(words.ROLE, g.user.role).lower())  # fmt: skip
