"""What time alone ends: shelves, unanswered commands, old keys and tokens. And the work of a closed day."""

import datetime as dt
from zoneinfo import ZoneInfo

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from sc_stim.clinical.alert_lifecycle import State
from sc_stim.models import Alert, ApiToken, Clinic, Command, Device, IdempotencyKey, JobRun, Patient
from sc_stim.workflows import alerts, outbox
from sc_stim.workflows.outbox import UPSERT

KEEP_KEYS = dt.timedelta(hours=24)
KEEP_SLOTS = dt.timedelta(days=30)
AFTER_MIDNIGHT = dt.timedelta(minutes=10)  # scores of the last minutes may still be on their way


def expire(session: Session, at: dt.datetime) -> None:
    """End what has run out."""
    over = select(Alert).where(Alert.state == State.SHELVED, Alert.shelved_until <= at)
    for alert in session.scalars(over.with_for_update(skip_locked=True)):
        alerts.end_shelf(session, alert, at=at)
    unanswered = update(Command).where(Command.state.in_(("pending", "sent")), Command.expires_at <= at)
    session.execute(unanswered.values(state="not_confirmed"))
    session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < at - KEEP_KEYS))
    session.execute(delete(ApiToken).where(ApiToken.expires_at < at - KEEP_KEYS))
    session.execute(delete(JobRun).where(JobRun.slot < at - KEEP_SLOTS))


def ask_nightly(session: Session, at: dt.datetime) -> list[str]:
    """Owe every pump a forecast and every patient a judgement once a closed local day; returns the slots begun."""
    begun = []
    for clinic_id, zone in session.execute(select(Clinic.id, Clinic.time_zone)).all():
        if begin_slot(session, f"refills:{clinic_id}", zone, at):
            pumps = select(Device.id).where(
                Device.clinic_id == clinic_id, Device.kind == "pump", Device.in_use
            )
            outbox.ask_all(session, outbox.REFILL, pumps, at)
            begun.append(f"refills:{clinic_id}")
    zones = select(Patient.clinic_id, Patient.time_zone).distinct()
    for clinic_id, zone in session.execute(zones).all():
        if begin_slot(session, f"pain:{clinic_id}:{zone}", zone, at):
            patients = select(Patient.id).where(Patient.clinic_id == clinic_id, Patient.time_zone == zone)
            outbox.ask_all(session, outbox.PAIN, patients, at)
            begun.append(f"pain:{clinic_id}:{zone}")
    return begun


def begin_slot(session: Session, job: str, zone: str, at: dt.datetime) -> bool:
    """Whether this local day's slot is ours to begin: its row can be made only once, by one of any number of beats."""
    local = at.astimezone(ZoneInfo(zone)) - AFTER_MIDNIGHT
    slot = dt.datetime.combine(local.date(), dt.time(), dt.UTC)
    insert = UPSERT[session.get_bind().dialect.name](JobRun).values(
        job=job, slot=slot, started_at=at, detail={}
    )
    return session.scalar(insert.on_conflict_do_nothing().returning(JobRun.job)) is not None
