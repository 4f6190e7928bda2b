"""The accounts of the clinic's staff, for its administrator."""

import uuid
from collections.abc import Callable
from typing import Any

from flask import Response, abort, flash, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Select, select

from sc_stim.access import ROLES, in_clinic, requires
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.i18n import _, _lazy
from sc_stim.models import User
from sc_stim.models.scope import find
from sc_stim.web import editing, page, words
from sc_stim.web.blueprint import pages
from sc_stim.web.exports import csv_answer
from sc_stim.web.forms import Form
from sc_stim.workflows import accounts, audit
from sc_stim.workflows.refusals import Conflict, FieldRefused

CSV_HEADER = ("name", "e-mail", "role", _lazy("may sign in"), "since")


@pages.get("/users", endpoint="users")
@requires("users.manage")
def show_all() -> str:
    return _list(None)


@pages.get("/users.csv", endpoint="users_csv")
@requires("users.manage")
def export() -> Response:
    rows = [
        (
            user.name,
            user.email,
            words.say(words.ROLE, user.role),
            "yes" if user.active else "no",
            user.created_at,
        )
        for user in db.session.scalars(_users())
    ]
    audit.record(db.session(), actor(), "user.export", at=page.at())
    db.session.commit()
    return csv_answer("users", CSV_HEADER, rows)


@pages.post("/users", endpoint="add_user")
@requires("users.manage")
def add() -> ResponseReturnValue:
    form, password = _without_password()
    email = form.text("email", _("E-mail address"), needed=True, most=accounts.LONGEST_EMAIL)
    name = form.text("name", _("Name"), needed=True, most=accounts.LONGEST_NAME)
    role = form.choice("role", _("Role"), ROLES)
    if not form.errors and email and name and role:
        try:
            user = accounts.create_user(
                db.session(), actor(), g.user.clinic, email, name, role, password, page.at()
            )
            db.session.commit()
            flash(
                _(
                    "%(user)s may sign in now. Hand over the password in person; it can be changed later.",
                    user=user.name,
                ),
                "done",
            )
            return redirect(url_for("web.user", public_id=user.public_id), 303)
        except (FieldRefused, Conflict) as refused:
            db.session.rollback()
            _refuse(form, refused, "email")
    return _list(form), 422


@pages.get("/users/<uuid:public_id>", endpoint="user")
@requires("users.manage")
def show_one(public_id: uuid.UUID) -> str:
    return _one(_user(public_id), None)


@pages.post("/users/<uuid:public_id>", endpoint="change_user")
@requires("users.manage")
def change(public_id: uuid.UUID) -> ResponseReturnValue:
    user, form = _user(public_id), Form(request.form)
    name = form.text("name", _("Name"), needed=True, most=accounts.LONGEST_NAME)
    role = form.choice("role", _("Role"), ROLES)
    editing.refuse_stale(form, user.version, {"name": (_("Name"), user.name), "role": (_("Role"), user.role)})
    if not form.errors:
        try:
            accounts.change_user(db.session(), actor(), user, {"name": name, "role": role}, page.at())
            db.session.commit()
            flash(_("The account is changed."), "done")
            return redirect(url_for("web.user", public_id=public_id), 303)
        except Conflict as refused:
            db.session.rollback()
            form.refuse("role", str(refused))
    return _one(_user(public_id), form), 422


@pages.post("/users/<uuid:public_id>/close", endpoint="close_user")
@requires("users.manage")
def close(public_id: uuid.UUID) -> ResponseReturnValue:
    def act(user: User) -> str:
        accounts.change_user(db.session(), actor(), user, {"active": False}, page.at())
        return _("%(user)s is signed out everywhere and can no longer sign in.", user=user.name)

    return _act(public_id, act)


@pages.post("/users/<uuid:public_id>/open", endpoint="open_user")
@requires("users.manage")
def reopen(public_id: uuid.UUID) -> ResponseReturnValue:
    def act(user: User) -> str:
        accounts.change_user(db.session(), actor(), user, {"active": True}, page.at())
        return _("%(user)s can sign in again, with the password of before.", user=user.name)

    return _act(public_id, act)


@pages.post("/users/<uuid:public_id>/sign-out", endpoint="sign_user_out")
@requires("users.manage")
def sign_out(public_id: uuid.UUID) -> ResponseReturnValue:
    def act(user: User) -> str:
        accounts.sign_out_everywhere(db.session(), actor(), user, page.at())
        return _("%(user)s is signed out everywhere.", user=user.name)

    return _act(public_id, act)


@pages.post("/users/<uuid:public_id>/password", endpoint="set_user_password")
@requires("users.manage")
def set_password(public_id: uuid.UUID) -> ResponseReturnValue:
    user = _user(public_id)
    form, password = _without_password()
    try:
        accounts.set_password(db.session(), actor(), user, password, page.at())
        db.session.commit()
    except FieldRefused as refused:
        db.session.rollback()
        _refuse(form, refused, "password")
        return _one(_user(public_id), None, form), 422
    flash(_("%(user)s has a new password, and is signed out everywhere.", user=user.name), "done")
    return redirect(url_for("web.user", public_id=public_id), 303)


def _list(form: Form | None) -> str:
    shown = page.render(
        "users.html", users=db.session.scalars(_users()).all(), form=form, roles=_roles(),
        shortest=accounts.SHORTEST_PASSWORD,
    )  # fmt: skip
    audit.record(db.session(), actor(), "user.list", at=page.at())
    db.session.commit()
    return shown


def _one(account: User, form: Form | None, password_form: Form | None = None) -> str:
    shown = page.render(
        "user.html", account=account, form=form, password_form=password_form, roles=_roles(),
        is_me=account.id == g.user.id, shortest=accounts.SHORTEST_PASSWORD,
    )  # fmt: skip
    audit.record(db.session(), actor(), "user.view", "user", account.public_id, at=page.at())
    db.session.commit()
    return shown


def _act(public_id: uuid.UUID, act: Callable[[User], str]) -> ResponseReturnValue:
    """Do it and say it, or say why not; then the account as it is now."""
    user = _user(public_id)
    try:
        editing.must_be_current(user)
        done = act(user)
        db.session.commit()
        flash(done, "done")
    except Conflict as refused:
        db.session.rollback()
        flash(_("Nothing was changed: %(refused)s", refused=refused), "refused")
    return redirect(url_for("web.user", public_id=public_id), 303)


def _without_password() -> tuple[Form, str]:
    """A form that is shown again never holds the password."""
    typed = request.form.to_dict()
    password = typed.pop("password", "")
    return Form(typed), password


def _refuse(form: Form, refused: FieldRefused | Conflict, otherwise: str) -> None:
    if isinstance(refused, FieldRefused):
        form.refuse(refused.field, f"{words.plain(refused.field)} {refused.reason}.")
    else:
        text = str(refused)
        form.refuse(otherwise, f"{text[:1].upper()}{text[1:]}.")


def _users() -> Select[Any]:
    statement: Select[Any] = in_clinic(select(User), User, actor().clinic_id)
    return statement.order_by(User.active.desc(), User.name)


def _user(public_id: uuid.UUID) -> User:
    user: User | None = find(db.session, User, actor().clinic_id, public_id)
    return user or abort(404)


def _roles() -> list[tuple[str, str]]:
    return [(role, words.ROLE[role]) for role in ROLES]
