"""Delivering owed messages: claim one, note the attempt, hand it over, note how it ended.

At least once, not at most once. The attempt is committed before the transport is asked, so two workers never hold one
message; but a worker that dies between the transport's yes and its own commit leaves the claim to run out, and the
message is sent again. A page that comes twice is a nuisance; one that never comes is a patient without a drug.
"""

import datetime as dt
from typing import Final

import structlog
from sqlalchemy import ColumnElement, or_, select, true, update
from sqlalchemy.orm import Session

from sc_stim import clock
from sc_stim.models import Alert, AlertEntry, Message, MessageAttempt
from sc_stim.workflows.messaging import FAILED, SENT, WAITING
from sc_stim.workflows.transport import NotDelivered, Send

log = structlog.get_logger(__name__)

CLAIM: Final = dt.timedelta(minutes=3)  # longer than any transport's patience
FIRST_WAIT: Final = dt.timedelta(seconds=15)
LONGEST_WAIT: Final = dt.timedelta(minutes=15)
EXPIRED: Final = "expired"


def deliver(
    session: Session, send: Send, *, until: dt.datetime, which: ColumnElement[bool] | None = None
) -> int:
    """Send what is due, the longest due first, until nothing is or the time is over. Commits; returns how many went."""
    sent = 0
    while clock.now() < until:
        claimed = _claim(session, clock.now(), true() if which is None else which)
        if claimed is None:
            break
        sent += _try(session, send, *claimed)
    return sent


def _claim(
    session: Session, at: dt.datetime, which: ColumnElement[bool]
) -> tuple[Message, MessageAttempt] | None:
    free = or_(Message.claimed_until.is_(None), Message.claimed_until < at)
    due = select(Message.id).where(Message.state == WAITING, Message.next_attempt_at <= at, free, which)
    due = due.order_by(Message.next_attempt_at, Message.id).limit(1).with_for_update(skip_locked=True)
    message_id = session.scalar(due)
    if message_id is None:
        session.commit()
        return None
    message = session.get_one(Message, message_id, populate_existing=True)
    message.claimed_until, message.attempts = at + CLAIM, message.attempts + 1
    attempt = MessageAttempt(message_id=message.id, at=at, outcome="begun")
    session.add(attempt)
    session.commit()
    return message, attempt


def _try(session: Session, send: Send, message: Message, attempt: MessageAttempt) -> bool:
    try:
        if message.expires_at <= attempt.at:
            raise NotDelivered(EXPIRED, final=True)
        send(message.channel, message.address, message.title, message.body)
    except NotDelivered as error:
        _note_failure(session, message, attempt, error)
        return False
    attempt.outcome = "delivered"
    _end(session, message, SENT, clock.now(), None)
    session.commit()
    return True


def _note_failure(session: Session, message: Message, attempt: MessageAttempt, error: NotDelivered) -> None:
    at = clock.now()
    attempt.outcome, attempt.problem = "failed", error.problem
    again = at + min(FIRST_WAIT * 2 ** min(message.attempts - 1, 10), LONGEST_WAIT)
    final = error.final or again >= message.expires_at
    log.warning("message_not_delivered", message=str(message.public_id), problem=error.problem, final=final)
    if final:
        _end(session, message, FAILED, at, error.problem)
        _tell_alert(session, message, at, error.problem)
    else:
        message.next_attempt_at, message.claimed_until, message.problem = again, None, error.problem
    session.commit()


def _tell_alert(session: Session, message: Message, at: dt.datetime, problem: str) -> None:
    """That a call did not arrive stands in the history of its alert."""
    alert = session.get(Alert, message.alert_id) if message.alert_id is not None else None
    if alert is not None:
        text = f"By {message.channel}: {problem.replace('_', ' ')}."
        session.add(
            AlertEntry(
                alert_id=alert.id,
                at=at,
                event="message_failed",
                from_state=alert.state,
                to_state=alert.state,
                comment=text,
            )
        )


def _end(session: Session, message: Message, state: str, at: dt.datetime, problem: str | None) -> None:
    """What was cancelled meanwhile stays cancelled, unless it went out: then that is what happened."""
    ended = update(Message).where(Message.id == message.id)
    if state != SENT:
        ended = ended.where(Message.state == WAITING)
    session.execute(ended.values(state=state, ended_at=at, claimed_until=None, problem=problem))
