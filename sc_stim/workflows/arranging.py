"""Arranging whom alerts call: contacts, the clinic's ladder, who is on call. Telling them is `workflows.notifying`."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from sc_stim.clinical.escalation import default_steps
from sc_stim.models import Contact, Ladder, Message, Shift
from sc_stim.models.base import new_public_id
from sc_stim.workflows import audit, messaging, notifying
from sc_stim.workflows.audit import Actor
from sc_stim.workflows.notifying import Arrangements
from sc_stim.workflows.refusals import FieldRefused
from sc_stim.workflows.transport import check_address

Values = Mapping[str, Any]
TEST: str = "test"  # kind of a message that only shows whether messages arrive


def add_contact(session: Session, actor: Actor, values: Values, *, at: dt.datetime) -> Contact:
    """values: columns of Contact, and `user`. Raises FieldRefused."""
    contact = Contact(clinic_id=actor.clinic_id, created_at=at, active=True, **values)
    _check(contact)
    _call_who_can_be_told(session, actor, at)
    session.add(contact)
    session.flush()
    detail = {"channel": contact.channel}
    audit.record(session, actor, "contact.create", "contact", contact.public_id, detail, at=at)
    return contact


def change_contact(
    session: Session, actor: Actor, contact: Contact, changes: Values, *, at: dt.datetime
) -> None:
    """Messages that wait keep the address they were made for; none is sent to a contact that is not active.

    Raises FieldRefused.
    """
    if changes.get("active") and not contact.active:
        _call_who_can_be_told(session, actor, at)
    for name, value in changes.items():
        setattr(contact, name, value)
    _check(contact)
    if not contact.active:
        messaging.cancel(session, at=at, contact_id=contact.id)
    detail = {"fields": sorted(changes)}
    audit.record(session, actor, "contact.change", "contact", contact.public_id, detail, at=at)


def send_test(session: Session, actor: Actor, contact: Contact, *, at: dt.datetime) -> Message:
    """Owe a test message; what becomes of it stands in its row."""
    key = f"{TEST}:{new_public_id()}"
    messaging.owe(
        session, clinic_id=contact.clinic_id, effect_key=key, channel=contact.channel, kind=TEST,
        address=contact.address, title="Test of sc_stim", at=at, contact_id=contact.id,
        body="This is a test. Alerts that nobody has taken would reach you here.",
    )  # fmt: skip
    audit.record(session, actor, "contact.test", "contact", contact.public_id, at=at)
    return session.scalars(select(Message).where(Message.effect_key == key)).one()


def change_ladder(
    session: Session, actor: Actor, arranged: Arrangements, changes: Values, *, at: dt.datetime
) -> Ladder:
    """Set the clinic's own ladder. It holds at once, also for alerts that wait already. Raises FieldRefused.

    changes: `steps` as `clinical.escalation.ladder_of` reads them, in any order; `with_patient`
    """
    ladder = arranged.ladder or Ladder(
        clinic_id=actor.clinic_id, steps=list(default_steps()), with_patient=False
    )
    if "steps" in changes:
        ladder.steps = _in_order(changes["steps"], arranged.contacts.keys())
    ladder.with_patient = changes.get("with_patient", ladder.with_patient)
    ladder.changed_at = at
    session.add(ladder)
    session.flush()
    notifying.look_again(session, actor.clinic_id, at)
    detail = {**changes, "steps": ladder.steps}
    audit.record(session, actor, "escalation.change", "ladder", ladder.public_id, detail, at=at)
    return ladder


def add_shift(session: Session, actor: Actor, contact: Contact, values: Values, *, at: dt.datetime) -> Shift:
    """Put a contact on call: once, or every week. Raises FieldRefused.

    values: `starts_at` and `ends_at`, or `weekday`, `from_time` and `to_time`; the others None
    """
    _check_shift(values)
    shift = Shift(clinic_id=actor.clinic_id, contact=contact, created_at=at, **values)
    session.add(shift)
    session.flush()
    _record_shift(session, actor, "shift.create", shift, at)
    return shift


def remove_shift(session: Session, actor: Actor, shift: Shift, *, at: dt.datetime) -> None:
    _record_shift(session, actor, "shift.delete", shift, at)
    session.delete(shift)


def _record_shift(session: Session, actor: Actor, action: str, shift: Shift, at: dt.datetime) -> None:
    detail = {"contact": str(shift.contact.public_id)}
    audit.record(session, actor, action, "shift", shift.public_id, detail, at=at)


def _call_who_can_be_told(session: Session, actor: Actor, at: dt.datetime) -> None:
    """Before the first contact comes: alerts that ran through the ladder until now told nobody."""
    active = select(Contact.id).where(Contact.clinic_id == actor.clinic_id, Contact.active).limit(1)
    if session.scalar(active) is None:
        notifying.begin_again(session, actor.clinic_id, at)


def _check(contact: Contact) -> None:
    try:
        check_address(contact.channel, contact.address)
    except ValueError as error:
        raise FieldRefused("address", str(error)) from error
    if (contact.quiet_from is None) != (contact.quiet_to is None):
        raise FieldRefused("quiet_to", "quiet hours have a beginning and an end: give both, or neither")
    if contact.quiet_from is not None and contact.quiet_from == contact.quiet_to:
        raise FieldRefused("quiet_to", "must differ from the beginning, or nobody would ever be told")


def _check_shift(values: Values) -> None:
    once = [values[name] is not None for name in ("starts_at", "ends_at")]
    weekly = [values[name] is not None for name in ("weekday", "from_time", "to_time")]
    if all(once) == all(weekly) or any(once) == any(weekly):
        raise FieldRefused("weekday", "give either starts_at and ends_at, or weekday, from_time and to_time")
    if all(once) and values["starts_at"] >= values["ends_at"]:
        raise FieldRefused("ends_at", "must be after starts_at")


def _in_order(steps: Sequence[Values], known: Collection[str]) -> list[dict[str, Any]]:
    for step in steps:
        if not set(known) >= set(step["contacts"]):
            raise FieldRefused(
                "steps", "names a contact that is none of the clinic's, or is told nothing any more"
            )
    return sorted(map(dict, steps), key=lambda step: step["after_min"])
