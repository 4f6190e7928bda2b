"""Raising alerts and everything people do with them. The life-cycle itself is `clinical.alert_lifecycle`."""

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from sc_stim.clinical.alert_lifecycle import INITIAL_STATE, Event, State, longest_shelf, next_state
from sc_stim.clinical.refusal import Refused
from sc_stim.models import Alert, AlertEntry, User
from sc_stim.models.base import new_public_id
from sc_stim.workflows import audit, messaging
from sc_stim.workflows.audit import Actor
from sc_stim.workflows.outbox import UPSERT
from sc_stim.workflows.refusals import Conflict

SEVERITIES = ("info", "low", "medium", "high")  # FHIR devicealert-priority, least first

# Entries of an alert's history that change no state
ASSIGN: Final = "assign"
CALL: Final = "call"


class TransitionRefused(Conflict):
    """This cannot be done to an alert in its state; `reason` is a word, the text says why."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.detail)
        self.reason = refused.reason


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A condition that holds (or held) for a patient or a device.

    `effect_key` names its cause for ever, so that the same cause found twice is one alert. `same_cause` names that
    cause at every severity, where getting worse is news even after somebody dealt with it.
    """

    clinic_id: int
    patient_id: int | None
    device_id: int | None
    name: str
    severity: str
    since: dt.datetime
    effect_key: str
    model_version: str
    same_cause: tuple[str, ...] = ()
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def open_key(self) -> str:
        return open_key(self.name, device_id=self.device_id, patient_id=self.patient_id)


def open_key(name: str, *, device_id: int | None, patient_id: int | None) -> str:
    """One open alert per condition of a device, or of a patient where no device is concerned."""
    return f"device:{device_id}:{name}" if device_id is not None else f"patient:{patient_id}:{name}"


def condition_key(device_id: int, name: str, since: dt.datetime, severity: str) -> str:
    """The effect key of a device's condition: the event and the judgement that find it make one alert."""
    return f"condition:{device_id}:{name}:{since.astimezone(dt.UTC).isoformat()}:{severity}"


def condition_keys(device_id: int, name: str, since: dt.datetime) -> tuple[str, ...]:
    """The effect keys of a device's condition at every severity."""
    return tuple(condition_key(device_id, name, since, severity) for severity in SEVERITIES)


def raise_alert(session: Session, condition: Condition, *, at: dt.datetime) -> Alert | None:
    """Open an alert, or tell the open one that its condition is raised again. None if this cause was dealt with."""
    alert = _open_alert(session, condition.open_key)
    if alert is None:
        if _was_dealt_with(session, condition):
            return None
        return _insert(session, condition, at, INITIAL_STATE, condition.open_key) or _open_alert(
            session, condition.open_key
        )
    worse = SEVERITIES.index(condition.severity) > SEVERITIES.index(alert.severity)
    if alert.detail | condition.detail != alert.detail:
        alert.detail = alert.detail | condition.detail
    if worse or alert.state == State.RETURNED_TO_NORMAL:
        alert.severity = condition.severity if worse else alert.severity
        _apply(session, alert, Event.RAISE_WORSE if worse else Event.RAISE, at)
    return alert


def record_finding(session: Session, condition: Condition, *, at: dt.datetime) -> Alert | None:
    """Note a condition that late data tells of. It is closed from the start and calls nobody.

    Its key is apart from that of an alert: if the condition still holds, that is for a judgement of now to raise.
    """
    late = replace(condition, effect_key=f"late:{condition.effect_key}")
    return _insert(session, late, at, State.CLOSED, None)


def return_to_normal(
    session: Session, key: str, *, at: dt.datetime, over_at: dt.datetime | None = None
) -> None:
    """The condition behind this `open_key` is over since `over_at`; a condition that began later is not."""
    alert = _open_alert(session, key)
    if alert is None or alert.state == State.RETURNED_TO_NORMAL or (over_at and alert.since > over_at):
        return
    _apply(session, alert, Event.RETURN_TO_NORMAL, at)


def end_shelf(session: Session, alert: Alert, *, at: dt.datetime) -> None:
    """The shelf's time is over."""
    _apply(session, alert, Event.SHELF_EXPIRED, at)


def acknowledge(session: Session, actor: Actor, alert: Alert, comment: str | None, at: dt.datetime) -> None:
    """Somebody has seen it. Raises TransitionRefused."""
    _act(session, actor, alert, Event.ACKNOWLEDGE, comment, at)


def shelve(
    session: Session, actor: Actor, alert: Alert, until: dt.datetime, comment: str | None, at: dt.datetime
) -> None:
    """Put it aside until a time; a worse event breaks the shelf. Raises TransitionRefused."""
    if until <= at:
        raise TransitionRefused(Refused("until_in_the_past", "the end of the shelf must lie in the future"))
    longest = longest_shelf(alert.severity)
    if until - at > longest:
        days = "1 day" if longest.days == 1 else f"{longest.days} days"
        text = f"a {alert.severity} alert stays on the shelf for {days} at most: choose an earlier end"
        raise TransitionRefused(Refused("shelf_too_long", text))
    _act(session, actor, alert, Event.SHELVE, comment, at)
    alert.shelved_until = until


def unshelve(session: Session, actor: Actor, alert: Alert, comment: str | None, at: dt.datetime) -> None:
    """Take it off the shelf before its time: it calls people anew. Raises TransitionRefused."""
    _act(session, actor, alert, Event.UNSHELVE, comment, at)


def assign(
    session: Session, actor: Actor, alert: Alert, user: User | None, comment: str | None, at: dt.datetime
) -> None:
    """Say who looks after it, None for nobody in particular; the state stays. Raises TransitionRefused."""
    if alert.state == State.CLOSED:
        raise TransitionRefused(Refused("alert_closed", "the alert is closed: nobody needs to look after it"))
    alert.assigned_to = user
    alert.changed_at = at
    _enter(session, alert, ASSIGN, alert.state, at, actor.user_id, comment, subject=user)
    detail = {"to": str(user.public_id) if user else None}
    audit.record(session, actor, "alert.assign", "alert", alert.public_id, detail, at=at)


def note_call(session: Session, alert: Alert, event: str, text: str, at: dt.datetime) -> None:
    """Write down who is told; `event` is CALL, or escalate where it is passed on. Raises TransitionRefused."""
    if event == Event.ESCALATE:
        _apply(session, alert, Event.ESCALATE, at, text=text)
    else:
        _enter(session, alert, CALL, alert.state, at, None, text)


def resolve(
    session: Session,
    actor: Actor,
    alert: Alert,
    comment: str | None,
    at: dt.datetime,
    *,
    action_taken: bool | None = None,
) -> None:
    """It is dealt with; `action_taken` says whether it needed something to be done. Raises TransitionRefused."""
    _act(session, actor, alert, Event.RESOLVE, comment, at)
    alert.action_taken = action_taken


def comment(session: Session, actor: Actor, alert: Alert, text: str, at: dt.datetime) -> None:
    """Add a remark; the state stays."""
    _enter(session, alert, "comment", alert.state, at, actor.user_id, text)
    alert.changed_at = at
    audit.record(session, actor, "alert.comment", "alert", alert.public_id, at=at)


def _act(
    session: Session, actor: Actor, alert: Alert, event: Event, text: str | None, at: dt.datetime
) -> None:
    _apply(session, alert, event, at, actor.user_id, text)
    audit.record(session, actor, f"alert.{event}", "alert", alert.public_id, {"state": alert.state}, at=at)


def _apply(
    session: Session,
    alert: Alert,
    event: Event,
    at: dt.datetime,
    user_id: int | None = None,
    text: str | None = None,
) -> None:
    transition = next_state(State(alert.state), event)
    if isinstance(transition, Refused):
        raise TransitionRefused(transition)
    _enter(session, alert, event, transition.to, at, user_id, text)
    alert.state, alert.changed_at = transition.to, at
    if transition.notifies and event != Event.ESCALATE:
        _call_anew(session, alert, at)
    elif transition.to != State.UNACKNOWLEDGED:
        _stop_calling(session, alert, at)
    if transition.to != State.SHELVED:
        alert.shelved_until = None
    if transition.to == State.CLOSED:
        alert.open_key = None
    session.flush()


def _call_anew(session: Session, alert: Alert, at: dt.datetime) -> None:
    _stop_calling(session, alert, at)
    alert.call_round += 1
    alert.called_at, alert.calls_done, alert.next_call_at = at, 0, at


def _stop_calling(session: Session, alert: Alert, at: dt.datetime) -> None:
    """Nobody else is to be called, and what still waits for the end of quiet hours is not sent."""
    alert.next_call_at = None
    messaging.cancel(session, alert_id=alert.id, at=at)


def _enter(
    session: Session,
    alert: Alert,
    event: str,
    to: str,
    at: dt.datetime,
    user_id: int | None,
    text: str | None,
    subject: User | None = None,
) -> None:
    session.add(
        AlertEntry(
            alert_id=alert.id,
            at=at,
            actor_id=user_id,
            event=event,
            from_state=alert.state,
            to_state=to,
            comment=text,
            subject_id=subject.id if subject else None,
        )
    )


def _open_alert(session: Session, key: str) -> Alert | None:
    statement = select(Alert).where(Alert.open_key == key).with_for_update()
    return session.scalars(statement.execution_options(populate_existing=True)).one_or_none()


def _was_dealt_with(session: Session, condition: Condition) -> bool:
    """Whether there was an alert of the same cause at this severity or a higher one; its own key says it, too."""
    as_bad = SEVERITIES[SEVERITIES.index(condition.severity) :]
    told = select(Alert.id).where(Alert.effect_key.in_(condition.same_cause), Alert.severity.in_(as_bad))
    return bool(condition.same_cause) and session.scalar(told.limit(1)) is not None


def _insert(
    session: Session, condition: Condition, at: dt.datetime, state: State, key: str | None
) -> Alert | None:
    """A new row, or None where this cause has one already or another process opened the condition just now."""
    values = {
        "public_id": new_public_id(), "clinic_id": condition.clinic_id, "patient_id": condition.patient_id,
        "device_id": condition.device_id, "condition": condition.name, "severity": condition.severity,
        "state": state, "historical": state == State.CLOSED, "open_key": key, "effect_key": condition.effect_key,
        "since": condition.since, "opened_at": at, "changed_at": at, "model_version": condition.model_version,
        "detail": condition.detail, "version": 1,
        "called_at": at, "next_call_at": None if state == State.CLOSED else at,
    }  # fmt: skip
    insert = UPSERT[session.get_bind().dialect.name](Alert).values(values).on_conflict_do_nothing()
    new_id = session.scalar(insert.returning(Alert.id))
    if new_id is None:
        return None
    alert = session.get_one(Alert, new_id)
    session.add(
        AlertEntry(alert_id=new_id, at=at, actor_id=None, event=Event.RAISE, from_state=None, to_state=state)
    )
    session.flush()
    return alert
