"""Deny by default: who is asking, may they, and is every endpoint declared at all."""

import datetime as dt
import hashlib
import secrets
import uuid
from collections.abc import Mapping
from typing import Any, Final

import structlog
from flask import Flask, Response, abort, current_app, g, request
from flask_limiter.util import get_remote_address
from flask_login import current_user
from sqlalchemy import select

from sc_stim import clock
from sc_stim.access import PUBLIC, allowed
from sc_stim.extensions import db, limiter, login
from sc_stim.models import ApiToken, User
from sc_stim.workflows.accounts import digest
from sc_stim.workflows.audit import Actor

API_PREFIX: Final = "/api/v1"
IDLE_LIMIT: Final = dt.timedelta(minutes=60)
FAILURES_PER_EMAIL: Final = "10 per 15 minutes"
FAILURES_PER_ADDRESS: Final = "100 per 15 minutes"  # a clinic may share one address

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class UndeclaredEndpoint(RuntimeError):
    """A route that names no action; the app does not start with one."""


def install(app: Flask) -> None:
    """Check every route now, and every request later."""
    for rule in app.url_map.iter_rules():
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            if declared_action(app, rule.endpoint, method) is None:
                raise UndeclaredEndpoint(
                    f"{method} {rule.rule} ({rule.endpoint}) declares no action; see access.requires"
                )
    app.before_request(_number)
    app.before_request(_check)
    app.after_request(_harden)
    login.user_loader(_user_of_session)


def declared_action(app: Flask, endpoint: str, method: str) -> str | None:
    """The action a view declares, whether it is a function or a method of a MethodView."""
    view: Any = app.view_functions[endpoint]
    if endpoint == "static" or endpoint.endswith(".static"):
        return PUBLIC
    if hasattr(view, "view_class"):
        view = getattr(view.view_class, method.lower(), view)
    action: str | None = getattr(view, "action", None)
    return action


def actor() -> Actor:
    """The signed-in person as workflows and the audit trail know them."""
    user: User = g.user
    return Actor(user.clinic_id, str(user.public_id), current_app.config["AUDIT_SEAL_KEY"], user.id)


def throttle_sign_in(view: Any) -> Any:
    """Limit the failed attempts of a sign-in view per e-mail typed and per address, pages and API together."""
    for limit, key in ((FAILURES_PER_EMAIL, _email_typed), (FAILURES_PER_ADDRESS, get_remote_address)):
        view = limiter.shared_limit(limit, scope="sign-in", key_func=key, deduct_when=_failed)(view)
    return view


def _failed(response: Response) -> bool:
    return response.status_code in (401, 422)


def _email_typed() -> str:
    """As a digest: the limiter's storage need not know who signs in."""
    typed: Any = request.get_json(silent=True) if request.is_json else request.form
    email = typed.get("email") if isinstance(typed, Mapping) else None
    return hashlib.sha256(str(email).strip().lower().encode(errors="replace")).hexdigest()


def _number() -> None:
    """A number for this request: an error page tells it, and every line that it logs carries it."""
    g.request_id = secrets.token_hex(4)
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _check() -> None:
    g.user = None
    if request.endpoint is None:
        return  # no such route: Flask answers 404
    method = "GET" if request.method == "HEAD" else request.method
    if method == "OPTIONS":
        return
    action = declared_action(current_app, request.endpoint, method)
    if action == PUBLIC:
        return
    by_token = request.path.startswith(API_PREFIX + "/")
    g.user = _user_of_token() if by_token else (current_user if current_user.is_authenticated else None)
    if g.user is None:
        abort(401) if by_token else abort(login.unauthorized())
    if action is None or not allowed(g.user.role, action):
        abort(403)


def _harden(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if current_app.config["SESSION_COOKIE_SECURE"]:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    return response


def _user_of_session(session_id: str) -> User | None:
    public_id, _, epoch = session_id.partition(":")
    user = db.session.scalars(select(User).where(User.public_id == uuid.UUID(public_id))).one_or_none()
    return user if user and user.active and str(user.session_epoch) == epoch else None


def _user_of_token() -> User | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        return None
    found = db.session.scalars(select(ApiToken).where(ApiToken.token_sha256 == digest(token))).one_or_none()
    at = clock.now()
    if found is None or found.revoked_at or found.expires_at <= at or found.last_used_at + IDLE_LIMIT <= at:
        return None
    if not found.user.active:
        return None
    if at - found.last_used_at > dt.timedelta(minutes=1):
        found.last_used_at = at
        db.session.commit()
    g.token = found
    return found.user
