"""Deny by default: who is asking, may they, and is every endpoint declared at all."""

import datetime as dt
import hashlib
import uuid
from typing import Any

from flask import Flask, abort, current_app, g, request
from flask_login import current_user
from sqlalchemy import select

from sc_stim import clock
from sc_stim.access import PUBLIC, allowed
from sc_stim.extensions import db, login
from sc_stim.models import ApiToken, User
from sc_stim.workflows.audit import Actor

API_PREFIX = "/api/v1"
IDLE_LIMIT = dt.timedelta(minutes=60)


class UndeclaredEndpoint(RuntimeError):
    """A route that names no action; the app does not start with one."""


def install(app: Flask) -> None:
    """Check every route now, and every request later."""
    for rule in app.url_map.iter_rules():
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            if declared_action(app, rule.endpoint, method) is None:
                raise UndeclaredEndpoint(f"{method} {rule.rule} ({rule.endpoint}) declares no action; see access.requires")
    app.before_request(_check)
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
    by_token = request.path.startswith(API_PREFIX)
    g.user = _user_of_token() if by_token else (current_user if current_user.is_authenticated else None)
    if g.user is None:
        abort(401) if by_token else abort(login.unauthorized())
    if action is None or not allowed(g.user.role, action):
        abort(403)


def _user_of_session(session_id: str) -> User | None:
    public_id, _, epoch = session_id.partition(":")
    user = db.session.scalars(select(User).where(User.public_id == uuid.UUID(public_id))).one_or_none()
    return user if user and user.active and str(user.session_epoch) == epoch else None


def _user_of_token() -> User | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        return None
    digest = hashlib.sha256(token.encode()).digest()
    found = db.session.scalars(select(ApiToken).where(ApiToken.token_sha256 == digest)).one_or_none()
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
