"""Signing in and out with a bearer token, and who is signed in."""

from typing import Any

from flask import current_app, g, request
from marshmallow import fields, validate
from werkzeug.exceptions import Unauthorized

from sc_stim import clock
from sc_stim.access import PUBLIC, SIGNED_IN, requires
from sc_stim.api.fields import Schema, Time
from sc_stim.api.http import Resource
from sc_stim.extensions import db
from sc_stim.guard import actor, throttle_sign_in
from sc_stim.models import User
from sc_stim.workflows import accounts

auth = Resource("auth", __name__, "Signing in and out.")


class CredentialsSchema(Schema):
    email = fields.String(
        required=True, validate=validate.Length(3, 254), metadata={"example": "nurse@example.org"}
    )
    password = fields.String(
        required=True,
        validate=validate.Length(1, accounts.LONGEST_PASSWORD),
        metadata={"example": "seven quiet lanterns"},
    )


class TokenSchema(Schema):
    access_token = fields.String(
        required=True, metadata={"description": "Send it as `Authorization: Bearer`."}
    )
    expires_at = Time(required=True, metadata={"description": "Sooner after an hour without a request."})


class MeSchema(Schema):
    id = fields.UUID(required=True, attribute="public_id")
    name = fields.String(required=True)
    email = fields.String(required=True)
    role = fields.String(required=True)
    clinic_id = fields.UUID(required=True, attribute="clinic.public_id")
    clinic = fields.String(required=True, attribute="clinic.name")
    time_zone = fields.String(
        required=True, attribute="clinic.time_zone", metadata={"example": "Europe/Berlin"}
    )


@auth.post("/auth/token")
@requires(PUBLIC)
@auth.arguments(CredentialsSchema)
@throttle_sign_in
@auth.response(200, TokenSchema)
@auth.alt_response(401, response="UNAUTHORIZED")
@auth.alt_response(429, response="TOO_MANY_REQUESTS")
def sign_in(credentials: dict[str, str]) -> dict[str, Any]:
    """Sign in."""
    at = clock.now()
    user = accounts.sign_in(
        db.session,
        **credentials,
        at=at,
        seal_key=current_app.config["AUDIT_SEAL_KEY"],
        address=request.remote_addr,
    )
    if user is None:
        db.session.commit()  # the failed attempt is on record
        raise Unauthorized("E-mail or password is wrong.")
    token, expires_at = accounts.issue_token(db.session, user, at)
    return {"access_token": token, "expires_at": expires_at}


@auth.delete("/auth/token")
@requires(SIGNED_IN)
@auth.response(204)
def sign_out() -> None:
    """Sign out: the token used for this request ends."""
    g.token.revoked_at = clock.now()
    accounts.sign_out(db.session, actor(), clock.now())


@auth.get("/me")
@requires(SIGNED_IN)
@auth.response(200, MeSchema)
def show_me() -> User:
    """Who is signed in."""
    user: User = g.user
    return user
