"""The audit trail for the auditor: who did or saw what, newest first."""

import uuid
from collections.abc import Iterable
from typing import Final

from flask import abort, request
from sqlalchemy import select

from sc_stim.access import in_clinic, requires
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.models import AuditEntry, User
from sc_stim.web import page
from sc_stim.web.blueprint import pages

PAGE_SIZE: Final = 100
LARGEST: Final = 2**63 - 1  # number an entry can have


@pages.get("/audit", endpoint="audit_trail")
@requires("audit.read")
def show() -> str:
    """`?before=` is the number of an entry; the page shows those before it."""
    before = request.args.get("before", LARGEST, type=int)
    if not 0 < before <= LARGEST:
        abort(404)
    statement = in_clinic(select(AuditEntry), AuditEntry, actor().clinic_id).where(AuditEntry.number < before)
    entries = db.session.scalars(statement.order_by(AuditEntry.number.desc()).limit(PAGE_SIZE)).all()
    names = _names(entry.actor for entry in entries)
    return page.render("audit_trail.html", entries=entries, names=names)


def _names(actors: Iterable[str]) -> dict[str, str]:
    """The names of the people among these actors; processes go by their own name."""
    people = {person for person in map(_as_uuid, set(actors)) if person}
    statement = in_clinic(select(User.public_id, User.name), User, actor().clinic_id)
    return {
        str(person): name for person, name in db.session.execute(statement.where(User.public_id.in_(people)))
    }


def _as_uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
