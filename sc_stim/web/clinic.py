"""The clinic and its users, for the administrator. To be read only: changes go through the API."""

from sqlalchemy import select

from sc_stim.access import in_clinic, requires
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.models import User
from sc_stim.web import page
from sc_stim.web.blueprint import pages


@pages.get("/clinic", endpoint="clinic")
@requires("users.manage")
def show() -> str:
    statement = in_clinic(select(User), User, actor().clinic_id)
    return page.render("clinic.html", users=db.session.scalars(statement.order_by(User.name)).all())
