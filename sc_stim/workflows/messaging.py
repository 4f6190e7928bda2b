"""Owing messages: the row in the caller's transaction comes first, delivery after it, by whoever finds it due."""

import datetime as dt
from typing import Final

from sqlalchemy import or_, update
from sqlalchemy.orm import Session

from sc_stim.models import Message
from sc_stim.models.base import new_public_id
from sc_stim.workflows.outbox import UPSERT

EMAIL: Final = "email"
SMS: Final = "sms"
PUSH: Final = "push"
WEBHOOK: Final = "webhook"
OPERATOR: Final = "operator"  # SC_STIM_OPERATOR_URL holds the whole address
CHANNELS: Final = (EMAIL, SMS, PUSH, WEBHOOK)  # of a contact

WAITING: Final = "waiting"
SENT: Final = "sent"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"
STATES: Final = (WAITING, SENT, FAILED, CANCELLED)

GIVE_UP_AFTER: Final = dt.timedelta(hours=24)


def owe(
    session: Session,
    *,
    clinic_id: int | None,
    effect_key: str,
    channel: str,
    address: str,
    title: str,
    body: str,
    at: dt.datetime,
    kind: str = "message",
    due_at: dt.datetime | None = None,
    expires_at: dt.datetime | None = None,
    alert_id: int | None = None,
    patient_id: int | None = None,
    contact_id: int | None = None,
) -> bool:
    """Owe this message, in the caller's transaction; False where `effect_key` was owed before, whatever became of it.

    It is sent from `due_at` (left out: at once) until `expires_at` (left out: 24 h later), then given up.
    """
    due = due_at or at
    values = {
        "public_id": new_public_id(), "clinic_id": clinic_id, "effect_key": effect_key, "kind": kind,
        "channel": channel, "address": address, "title": title, "body": body, "created_at": at, "due_at": due,
        "expires_at": expires_at or due + GIVE_UP_AFTER, "state": WAITING, "attempts": 0, "next_attempt_at": due,
        "alert_id": alert_id, "patient_id": patient_id, "contact_id": contact_id,
    }  # fmt: skip
    insert = UPSERT[session.get_bind().dialect.name](Message).values(values).on_conflict_do_nothing()
    return session.scalar(insert.returning(Message.id)) is not None


def cancel(
    session: Session,
    *effect_keys: str,
    at: dt.datetime,
    prefix: str | None = None,
    contact_id: int | None = None,
    alert_id: int | None = None,
) -> int:
    """Take back what was not sent yet: these keys, every key that begins with `prefix`, all to a contact or about an
    alert.

    Returns how many. A message that is with its transport at this moment can still arrive.
    """
    which = [Message.effect_key.in_(effect_keys)]
    if prefix is not None:
        which.append(Message.effect_key.startswith(prefix, autoescape=True))
    if contact_id is not None:
        which.append(Message.contact_id == contact_id)
    if alert_id is not None:
        which.append(Message.alert_id == alert_id)
    statement = update(Message).where(Message.state == WAITING, or_(*which))
    result = session.execute(
        statement.values(state=CANCELLED, ended_at=at).returning(Message.id),
        execution_options={"synchronize_session": False},
    )
    return len(result.all())
