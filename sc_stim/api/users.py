"""Accounts of the clinic's staff, for its administrator."""

import uuid
from typing import Any

from flask import g, url_for
from marshmallow import fields, validate
from sqlalchemy import select

from sc_stim import clock
from sc_stim.access import ROLES, SIGNED_IN, in_clinic, requires
from sc_stim.api.fields import Flag, PageQuery, Schema, Text, Time, one_of
from sc_stim.api.http import Resource, audit, find_or_404, find_to_edit
from sc_stim.api.paging import page, page_of
from sc_stim.extensions import db, limiter
from sc_stim.failures import Invalid
from sc_stim.guard import actor
from sc_stim.models import User
from sc_stim.workflows import accounts

users = Resource("users", __name__, "Accounts of the clinic's staff.")

ROLE = one_of(*ROLES)
PASSWORD = {
    "description": f"At least {accounts.SHORTEST_PASSWORD} characters, not easily guessed.",
    "example": "seven quiet lanterns",
}


class UserSchema(Schema):
    id = fields.UUID(required=True, attribute="public_id")
    email = fields.String(required=True)
    name = fields.String(required=True)
    role = fields.String(required=True, validate=ROLE)
    active = fields.Boolean(required=True)
    created_at = Time(required=True)
    version = fields.Integer(required=True)


class UserQuerySchema(PageQuery):
    role = fields.String(validate=ROLE)
    active = fields.Boolean()


class NewUserSchema(Schema):
    email = fields.Email(
        required=True, validate=validate.Length(3, 254), metadata={"example": "kim@example.org"}
    )
    name = Text(200, required=True, metadata={"example": "Kim Example"})
    role = fields.String(required=True, validate=ROLE)
    password = fields.String(required=True, validate=validate.Length(1, 1000), metadata=PASSWORD)


class UserChangeSchema(Schema):
    name = Text(200)
    role = fields.String(validate=ROLE)
    active = Flag(metadata={"description": "False signs the user out everywhere and keeps them out."})


class PasswordSchema(Schema):
    password = fields.String(required=True, validate=validate.Length(1, 1000), metadata=PASSWORD)


class OwnPasswordSchema(PasswordSchema):
    current_password = fields.String(required=True, validate=validate.Length(1, 1000))


@users.get("/users")
@requires("users.manage")
@users.arguments(UserQuerySchema, location="query")
@users.response(200, page_of(UserSchema))
def list_users(query: dict[str, Any]) -> Any:
    """List accounts."""
    wanted = {name: query[name] for name in ("role", "active") if name in query}
    statement = in_clinic(select(User), User, g.user.clinic_id).filter_by(**wanted)
    audit("user.list")
    return page(statement, query, [User.id])


@users.post("/users")
@requires("users.manage")
@users.arguments(NewUserSchema)
@users.response(201, UserSchema)
def create_user(new: dict[str, str]) -> tuple[User, dict[str, str]]:
    """Create an account."""
    user = accounts.create_user(db.session, actor(), g.user.clinic, **new, at=clock.now())
    return user, {"Location": url_for("users.show_user", user_id=user.public_id)}


@users.get("/users/<uuid:user_id>")
@requires("users.manage")
@users.response(200, UserSchema)
def show_user(user_id: uuid.UUID) -> User:
    """Show an account."""
    user = find_or_404(User, user_id)
    audit("user.view", "user", user.public_id)
    return user


@users.patch("/users/<uuid:user_id>")
@requires("users.manage")
@users.arguments(UserChangeSchema)
@users.response(200, UserSchema)
def change_user(changes: dict[str, Any], user_id: uuid.UUID) -> User:
    """Change name or role, close or open an account.

    Nobody changes their own role or closes their own account, so a clinic always keeps an administrator.
    """
    user = find_to_edit(User, user_id)
    accounts.change_user(db.session(), actor(), user, changes, clock.now())
    return user


@users.post("/users/<uuid:user_id>/password")
@requires("users.manage")
@users.arguments(PasswordSchema)
@users.response(204)
def set_password(new: dict[str, str], user_id: uuid.UUID) -> None:
    """Set another password.

    It ends every session and token of the user.
    """
    accounts.set_password(db.session, actor(), find_or_404(User, user_id), new["password"], clock.now())


@users.post("/me/password")
@requires(SIGNED_IN)
@limiter.limit(
    "10 per 15 minutes",
    key_func=lambda: str(g.user.public_id),
    deduct_when=lambda answer: answer.status_code == 422,
)
@users.arguments(OwnPasswordSchema)
@users.response(204)
@users.alt_response(429, response="TOO_MANY_REQUESTS")
def set_own_password(new: dict[str, str]) -> None:
    """Set one's own password.

    It ends every session and token of the user, also the one used for this.
    """
    if not accounts.verify_password(g.user, new["current_password"]):
        raise Invalid("current_password", "is wrong")
    accounts.set_password(db.session, actor(), g.user, new["password"], clock.now())
