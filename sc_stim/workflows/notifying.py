"""Telling people about alerts that nobody has taken. Whom and when is `clinical.escalation`'s rule."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from sc_stim.clinical import escalation
from sc_stim.clinical.alert_lifecycle import Event, State
from sc_stim.clinical.escalation import Call, DueStep, Person, Quiet, WeeklyShift
from sc_stim.models import Alert, Clinic, Contact, Ladder, Patient, Shift
from sc_stim.workflows import alerts, messaging

KIND: Final = "alert"
AT_ONCE: Final = 500  # alerts in one transaction


@dataclass(frozen=True)
class Arrangements:
    """What a clinic has arranged: for the rule, and the rows behind it. `ladder` None: the shipped one holds."""

    rule: escalation.Clinic
    contacts: dict[str, Contact]
    ladder: Ladder | None

    def names(self, ids: Sequence[str]) -> str:
        return ", ".join(self.contacts[one].name for one in ids)


def notify(session: Session, at: dt.datetime, *, public_url: str | None = None) -> int:
    """Owe the messages of every step that is due, and write each step into its alert's history; returns how many
    alerts called somebody. Alerts that another worker holds are that worker's.

    `public_url`: where the pages stand, for a link to the alert.
    """
    waiting = select(Alert).where(Alert.state == State.UNACKNOWLEDGED, Alert.next_call_at <= at)
    waiting = waiting.order_by(Alert.id).limit(AT_ONCE).with_for_update(of=Alert, skip_locked=True)
    found = session.scalars(waiting.execution_options(populate_existing=True)).all()
    known: dict[int, Arrangements] = {}
    for alert in found:
        if alert.clinic_id not in known:
            known[alert.clinic_id] = arrangements(session, alert.clinic_id)
        _call(session, alert, known[alert.clinic_id], at, public_url)
    return len(found)


def arrangements(session: Session, clinic_id: int) -> Arrangements:
    """What this clinic has arranged."""
    clinic = session.get_one(Clinic, clinic_id)
    ladder = session.scalars(select(Ladder).where(Ladder.clinic_id == clinic_id)).one_or_none()
    contacts = session.scalars(
        select(Contact).where(Contact.clinic_id == clinic_id, Contact.active).order_by(Contact.id)
    )
    by_id = {str(contact.public_id): contact for contact in contacts}
    shifts = select(Shift).join(Contact).where(Shift.clinic_id == clinic_id, Contact.active)
    return Arrangements(
        escalation.Clinic(
            ladder=escalation.ladder_of(ladder.steps if ladder else escalation.default_steps()),
            people=tuple(Person(public_id, _quiet(contact)) for public_id, contact in by_id.items()),
            rota=tuple(_shift(row) for row in session.scalars(shifts.order_by(Shift.id))),
            zone=ZoneInfo(clinic.time_zone),
        ),
        by_id,
        ladder,
    )


def warnings(arranged: Arrangements) -> list[str]:
    """What is amiss, for the people who arrange it."""
    found = []
    if arranged.ladder is None:
        found.append("The clinic has set no ladder of its own: the shipped one holds.")
    if not arranged.contacts:
        found.append("The clinic has no contacts: alerts can tell nobody.")
    if not any("high" in step.severities for step in arranged.rule.ladder.steps):
        found.append("No step is for high alerts: they tell nobody.")
    if any(step.on_call for step in arranged.rule.ladder.steps) and not arranged.rule.rota:
        found.append("Nobody is ever on call: steps for who is on call tell everybody.")
    return found


def look_again(session: Session, clinic_id: int, at: dt.datetime) -> None:
    """The ladder has changed: when the next step of a waiting alert is due is to be found anew."""
    waiting = update(Alert).where(Alert.clinic_id == clinic_id, Alert.state == State.UNACKNOWLEDGED)
    session.execute(
        waiting.where(Alert.called_at.is_not(None)).values(next_call_at=at),
        execution_options={"synchronize_session": False},
    )


def begin_again(session: Session, clinic_id: int, at: dt.datetime) -> None:
    """Somebody can be told now, and nobody could before: alerts that wait call people from the first step on."""
    waiting = update(Alert).where(Alert.clinic_id == clinic_id, Alert.state == State.UNACKNOWLEDGED)
    again = {"call_round": Alert.call_round + 1, "called_at": at, "calls_done": 0, "next_call_at": at}
    session.execute(
        waiting.where(Alert.called_at.is_not(None)).values(again),
        execution_options={"synchronize_session": False},
    )


def _call(
    session: Session, alert: Alert, arranged: Arrangements, at: dt.datetime, public_url: str | None
) -> None:
    called_at = alert.called_at or alert.opened_at
    due = escalation.due(Call(alert.severity, called_at, alert.calls_done), arranged.rule, at)
    title, body = _text(session, alert, arranged, public_url)
    for step in due.steps:
        for tell in step.tells:
            contact = arranged.contacts[tell.person]
            messaging.owe(
                session, clinic_id=alert.clinic_id, channel=contact.channel, address=contact.address, title=title,
                effect_key=f"alert:{alert.public_id}:{alert.call_round}:{step.index}:{contact.id}",
                body=body, at=at, kind=KIND, due_at=tell.at, alert_id=alert.id, contact_id=contact.id,
            )  # fmt: skip
        event = alerts.CALL if step.first else Event.ESCALATE
        alerts.note_call(session, alert, event, _told(step, arranged, at), at)
    alert.calls_done, alert.next_call_at = due.steps_done, due.next_at


def _told(step: DueStep, arranged: Arrangements, at: dt.datetime) -> str:
    """For the alert's history."""
    now = [tell.person for tell in step.tells if tell.at <= at]
    later = [tell.person for tell in step.tells if tell.at > at]
    parts = [
        f"Told: {arranged.names(now)}." if now else "",
        f"After quiet hours: {arranged.names(later)}." if later else "",
    ]
    if not step.tells:
        parts = ["Nobody was told: the clinic has no contacts."]
    elif step.nobody_found:
        parts.append("Nobody was found for this step, so everybody is told.")
    return " ".join(part for part in parts if part)


def _text(session: Session, alert: Alert, arranged: Arrangements, public_url: str | None) -> tuple[str, str]:
    """Nothing in it names the patient or a drug, unless the clinic wants the record number in it."""
    title = f"{alert.severity.upper()}: {alert.condition.replace('_', ' ')}"
    since = alert.since.astimezone(arranged.rule.zone)
    lines = [f"{title}, since {since:%Y-%m-%d %H:%M %Z}. Nobody has taken it yet."]
    if arranged.ladder and arranged.ladder.with_patient and alert.patient_id is not None:
        lines.append(f"Record number {session.get_one(Patient, alert.patient_id).mrn}")
    where = f"{public_url.rstrip('/')}/alerts/" if public_url else "Alert "
    lines.append(f"{where}{alert.public_id}")
    return title, "\n".join(lines)


def _quiet(contact: Contact) -> Quiet | None:
    if contact.quiet_from is None or contact.quiet_to is None:
        return None
    return Quiet(contact.quiet_from, contact.quiet_to)


def _shift(row: Shift) -> escalation.Shift | WeeklyShift:
    person = str(row.contact.public_id)
    if row.starts_at is not None and row.ends_at is not None:
        return escalation.Shift(person, row.starts_at, row.ends_at)
    if row.weekday is None or row.from_time is None or row.to_time is None:
        raise ValueError(f"shift {row.public_id} is neither once nor weekly")
    return WeeklyShift(person, row.weekday, row.from_time, row.to_time)
