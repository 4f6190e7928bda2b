"""Signing in and out. The cookie is signed and names the user and the epoch of their sessions; nothing else is in it.

It ends after 30 minutes without a request (Flask checks the age of its signature) and after LONGEST in any case.
"""

import datetime as dt
from typing import Final

from flask import current_app, flash, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_user, logout_user
from flask_wtf.csrf import generate_csrf
from werkzeug.exceptions import HTTPException

from sc_stim import clock
from sc_stim.access import PUBLIC, SIGNED_IN, requires
from sc_stim.extensions import db
from sc_stim.guard import actor, throttle_sign_in
from sc_stim.i18n import _
from sc_stim.models import User
from sc_stim.web import page
from sc_stim.web.blueprint import pages
from sc_stim.workflows import accounts

LONGEST: Final = dt.timedelta(hours=12)


@pages.get("/sign-in", endpoint="sign_in")
@requires(PUBLIC)
def show_sign_in() -> ResponseReturnValue:
    if current_user.is_authenticated:
        return redirect(url_for("web.home"))
    return _form()


@pages.post("/sign-in", endpoint="do_sign_in")
@requires(PUBLIC)
@throttle_sign_in
def sign_in() -> ResponseReturnValue:
    user = accounts.sign_in(
        db.session, page.typed("email"), request.form.get("password", ""), clock.now(),
        seal_key=current_app.config["AUDIT_SEAL_KEY"], address=request.remote_addr,
    )  # fmt: skip
    db.session.commit()
    if user is None:
        return _form(_("The e-mail address or the password is wrong.")), 422
    _begin(user)
    return redirect(_wanted() or url_for("web.home"), 303)


@pages.post("/sign-out", endpoint="sign_out")
@requires(SIGNED_IN)
def sign_out() -> ResponseReturnValue:
    """Ends every browser session of this person, so that a copied cookie is worth nothing any more."""
    accounts.sign_out(db.session, actor(), clock.now())
    g.user.session_epoch += 1
    db.session.commit()
    _end()
    flash(_("You are signed out."), "done")
    return redirect(url_for("web.sign_in"), 303)


@pages.get("/sign-in/still", endpoint="still_signed_in")
@requires(SIGNED_IN)
def still_signed_in() -> dict[str, str]:
    """Who is signed in, and the token of their forms: an old page asks before it sends what was typed."""
    return {"user": str(g.user.public_id), "token": generate_csrf()}


@pages.get("/", endpoint="home")
@requires(SIGNED_IN)
def home() -> ResponseReturnValue:
    """The page a role begins its day with."""
    return redirect(page.ways(g.user.role)[0][1])


@pages.before_request
def _end_long_sessions() -> ResponseReturnValue | None:
    if "begun_at" in session and clock.now().timestamp() - session["begun_at"] > LONGEST.total_seconds():
        _end()
        flash(
            _(
                "You were signed in for %(hours)s hours. Please sign in again.",
                hours=f"{LONGEST.total_seconds() / 3600:.0f}",
            ),
            "refused",
        )
        return redirect(url_for("web.sign_in"), 303)
    return None


def _begin(user: User) -> None:
    """Nothing of the session before survives: a cookie planted before sign-in gains nothing."""
    session.clear()
    session.permanent = True
    session["begun_at"] = clock.now().timestamp()
    login_user(user)


def _end() -> None:
    logout_user()
    session.clear()


def _form(problem: str | None = None) -> str:
    """What was typed as e-mail address is shown again, the password never."""
    return render_template("sign_in.html", problem=problem, email=page.typed("email"), next=_wanted())


def _wanted() -> str | None:
    """The page that asked for the sign-in, if it is one of ours that can be shown; any other address is dropped."""
    wanted = request.args.get("next", "")
    path = wanted.partition("?")[0]
    try:
        current_app.url_map.bind("").match(path, "GET")
    except HTTPException:
        return None
    ours = path.startswith("/") and not path.startswith("//") and wanted.isprintable()
    return wanted if ours else None
