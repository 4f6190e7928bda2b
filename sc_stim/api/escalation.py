"""Whom alerts call: contacts, the clinic's ladder, who is on call, and what became of the messages."""

import datetime as dt
import uuid
from typing import Any

from flask import g
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import joinedload, selectinload

from sc_stim import clock
from sc_stim.access import allowed, in_clinic, requires
from sc_stim.api.fields import PageQuery
from sc_stim.api.http import Resource, audit, find_or_404, find_to_edit, must_match
from sc_stim.api.paging import page, page_of
from sc_stim.api.schemas_escalation import (
    ContactChangeSchema,
    ContactSchema,
    LadderChangeSchema,
    LadderSchema,
    MessageQuerySchema,
    MessageSchema,
    NewContactSchema,
    NewShiftSchema,
    OnCallQuerySchema,
    OnCallSchema,
    ShiftSchema,
)
from sc_stim.clinical import escalation as rule
from sc_stim.extensions import db, limiter
from sc_stim.failures import Invalid
from sc_stim.guard import actor
from sc_stim.models import Contact, Message, Shift, User, scope
from sc_stim.workflows import arranging, notifying

escalation = Resource("escalation", __name__, "Whom alerts call that nobody has taken.")


@escalation.get("/contacts")
@requires("escalation.read")
@escalation.arguments(PageQuery, location="query")
@escalation.response(200, page_of(ContactSchema))
def list_contacts(query: dict[str, Any]) -> Any:
    """List contacts, also those that are told nothing any more."""
    audit("contact.list")
    statement = in_clinic(select(Contact), Contact, g.user.clinic_id).options(joinedload(Contact.user))
    return page(statement, query, [Contact.id])


@escalation.post("/contacts")
@requires("escalation.manage")
@escalation.arguments(NewContactSchema)
@escalation.response(201, ContactSchema)
def create_contact(new: dict[str, Any]) -> Contact:
    """Create a contact."""
    user_id = new.pop("user_id")
    values = {**new, "user": None if user_id is None else _user(user_id)}
    return arranging.add_contact(db.session(), actor(), values, at=clock.now())


@escalation.patch("/contacts/<uuid:contact_id>")
@requires("escalation.manage")
@escalation.arguments(ContactChangeSchema)
@escalation.response(200, ContactSchema)
def change_contact(changes: dict[str, Any], contact_id: uuid.UUID) -> Contact:
    """Change a contact.

    Messages that wait already keep the address they were made for; none is sent to a contact that is not active.
    """
    contact = find_to_edit(Contact, contact_id)
    arranging.change_contact(db.session(), actor(), contact, changes, at=clock.now())
    return contact


@escalation.post("/contacts/<uuid:contact_id>/test")
@requires("escalation.manage")
@limiter.limit("20 per hour", key_func=lambda: str(g.user.public_id))
@escalation.response(201, MessageSchema)
@escalation.alt_response(429, response="TOO_MANY_REQUESTS")
def send_test(contact_id: uuid.UUID) -> Message:
    """Send a test to this contact. What became of it stands among the messages."""
    contact = find_or_404(Contact, contact_id)
    return arranging.send_test(db.session(), actor(), contact, at=clock.now())


@escalation.get("/escalation")
@requires("escalation.read")
@escalation.response(200, LadderSchema)
def show_ladder() -> dict[str, Any]:
    """Show the ladder that holds, and what is amiss with it."""
    return _shown(notifying.arrangements(db.session(), g.user.clinic_id))


@escalation.patch("/escalation")
@requires("escalation.manage")
@escalation.arguments(LadderChangeSchema)
@escalation.response(200, LadderSchema)
def change_ladder(changes: dict[str, Any]) -> dict[str, Any]:
    """Set the clinic's own ladder. It holds at once, also for alerts that wait already."""
    arranged = notifying.arrangements(db.session(), g.user.clinic_id)
    must_match(arranged.ladder.version if arranged.ladder else 0)
    if "steps" in changes:
        changes["steps"] = [_stored(step) for step in changes["steps"]]
    arranging.change_ladder(db.session(), actor(), arranged, changes, at=clock.now())
    return _shown(notifying.arrangements(db.session(), g.user.clinic_id))


@escalation.get("/on-call")
@requires("escalation.read")
@escalation.arguments(OnCallQuerySchema, location="query")
@escalation.response(200, OnCallSchema)
def show_on_call(query: dict[str, dt.datetime]) -> dict[str, Any]:
    """Show who is on call."""
    at, arranged = query.get("at", clock.now()), notifying.arrangements(db.session(), g.user.clinic_id)
    found = rule.on_call(arranged.rule.rota, arranged.rule.zone, at)
    return {"at": at, "contacts": [arranged.contacts[one] for one in found]}


@escalation.get("/on-call/shifts")
@requires("escalation.read")
@escalation.arguments(PageQuery, location="query")
@escalation.response(200, page_of(ShiftSchema))
def list_shifts(query: dict[str, Any]) -> Any:
    """List the shifts of the rota."""
    statement = in_clinic(select(Shift), Shift, g.user.clinic_id).options(joinedload(Shift.contact))
    return page(statement, query, [Shift.id])


@escalation.post("/on-call/shifts")
@requires("escalation.manage")
@escalation.arguments(NewShiftSchema)
@escalation.response(201, ShiftSchema)
def create_shift(new: dict[str, Any]) -> Shift:
    """Put a contact on call, once or every week."""
    contact = scope.find(db.session, Contact, g.user.clinic_id, new.pop("contact_id"))
    if contact is None or not contact.active:
        raise Invalid("contact_id", "is no contact of the clinic that can be told")
    return arranging.add_shift(db.session(), actor(), contact, new, at=clock.now())


@escalation.delete("/on-call/shifts/<uuid:shift_id>")
@requires("escalation.manage")
@escalation.response(204)
def delete_shift(shift_id: uuid.UUID) -> None:
    """Take a shift off the rota."""
    arranging.remove_shift(db.session(), actor(), find_or_404(Shift, shift_id), at=clock.now())


@escalation.get("/messages")
@requires("messages.read")
@escalation.arguments(MessageQuerySchema, location="query")
@escalation.response(200, page_of(MessageSchema))
def list_messages(query: dict[str, Any]) -> Any:
    """List messages and every attempt to deliver them, newest first.

    Who may not read patients' records sees no messages to patients.
    """
    audit("message.list")
    statement = in_clinic(select(Message), Message, g.user.clinic_id).where(*_visible(query))
    statement = statement.options(
        joinedload(Message.contact), joinedload(Message.alert), selectinload(Message.tries)
    )
    return page(statement, query, [Message.created_at, Message.id], newest_first=True)


def _visible(query: dict[str, Any]) -> list[ColumnElement[bool]]:
    wanted = [getattr(Message, name) == query[name] for name in ("state", "kind") if name in query]
    return wanted if allowed(g.user.role, "patients.read") else [*wanted, Message.patient_id.is_(None)]


def _user(user_id: uuid.UUID) -> User:
    user = scope.find(db.session, User, g.user.clinic_id, user_id)
    if user is None:
        raise Invalid("user_id", "is nobody of the clinic")
    return user


def _stored(step: dict[str, Any]) -> dict[str, Any]:
    """As `clinical.escalation.ladder_of` reads it."""
    contacts = [str(contact_id) for contact_id in step["contact_ids"]]
    return {**{name: step[name] for name in ("after_min", "severities", "on_call")}, "contacts": contacts}


def _shown(arranged: notifying.Arrangements) -> dict[str, Any]:
    ladder = arranged.ladder
    steps = ladder.steps if ladder else rule.default_steps()
    return {
        "steps": [
            {
                **{name: step[name] for name in ("after_min", "severities", "on_call")},
                "contact_ids": step["contacts"],
            }
            for step in steps
        ],
        "with_patient": bool(ladder and ladder.with_patient),
        "shipped": ladder is None,
        "version": ladder.version if ladder else 0,
        "warnings": notifying.warnings(arranged),
    }
