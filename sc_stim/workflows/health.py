"""Health is work done, not a process that is up: every part is judged by what it wrote to the database last."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, aliased

from sc_stim.clinical.alert_lifecycle import State
from sc_stim.devices.topics import parse_shards
from sc_stim.models import Alert, Heartbeat, Message, WorkItem
from sc_stim.workflows import messaging

PATIENCE_S: Final = 2
ALL_SHARDS: Final = frozenset("0123456789abcdef")
INGEST_S: Final = 30  # an ingest process says every 5 s that it works
CANARY_S: Final = 30  # its own message comes back through the broker every 2 s
UNACKED_S: Final = 60  # a message waits this long for its commit only when commits fail
WORKER_S: Final = 60  # the sweep for lost work runs every 5 s
BEAT_S: Final = 180  # the slowest job that says so runs every minute
DUE_WORK_S: Final = 300  # a judgement that is owed this long is late

DUE_MESSAGE_S: Final = 120  # a message, or an alert's next step, that is due this long goes nowhere

PARTS: Final = ("database", "cache", "broker", "ingest", "worker", "beat", "messages")
UNKNOWN: Final = "unknown while the database is away"


@dataclass(frozen=True)
class Part:
    """One part of the system. `age_s`: how long ago it last did its work, or how old the oldest work it owes is."""

    ok: bool
    why: str
    age_s: float | None = None


def ready(session: Session, at: dt.datetime, ping_cache: Callable[[], object]) -> dict[str, Part]:
    """Every one of PARTS. `ping_cache` raises RedisError or OSError when the cache does not answer."""
    cache = _cache(ping_cache)
    try:
        found = working(session, at)
    except (OperationalError, InterfaceError, PoolTimeout):
        session.rollback()
        away = Part(False, "does not answer")
        return {name: Part(False, UNKNOWN) for name in PARTS} | {"database": away, "cache": cache}
    return {"database": Part(True, "answers"), "cache": cache} | found


def working(session: Session, at: dt.datetime) -> dict[str, Part]:
    """The parts that are judged by rows: all but database and cache. For pages, which have no time for the cache."""
    beats = {row.name: row for row in session.scalars(select(Heartbeat))}
    ingests = {name: row for name, row in beats.items() if name.startswith("ingest:")}
    fresh = {name: row for name, row in ingests.items() if _age_s(row, at) <= INGEST_S}
    oldest_due = session.scalar(select(func.min(WorkItem.due_at)).where(WorkItem.due_at <= at))
    return {
        "broker": _broker(fresh, at),
        "ingest": _ingest(ingests, fresh, at),
        "worker": _worker(beats.get("worker"), oldest_due, _failing(session), at),
        "beat": process(beats.get("beat"), BEAT_S, at),
        "messages": _messages(session, at),
    }


def _broker(ingests: Mapping[str, Heartbeat], at: dt.datetime) -> Part:
    """The canary of the ingest process that waits longest for its own message decides."""
    ages = [_canary_age_s(row, at) for row in ingests.values()]
    if not ages:
        return Part(False, "no ingest process reports on it")
    if None in ages:
        return Part(False, "has not yet returned a test message")
    oldest = max(age for age in ages if age is not None)
    if oldest > CANARY_S:
        return Part(False, "does not return test messages", oldest)
    return Part(True, "returns test messages", oldest)


def _ingest(ingests: Mapping[str, Heartbeat], fresh: Mapping[str, Heartbeat], at: dt.datetime) -> Part:
    if not ingests:
        return Part(False, "has never worked")
    age = min(_age_s(row, at) for row in ingests.values())
    missing = ALL_SHARDS.difference(*(parse_shards(row.detail["shards"]) for row in fresh.values()))
    if missing:
        return Part(False, f"nobody takes messages of shards {''.join(sorted(missing))}", age)
    waiting = max(row.detail.get("unacked_oldest_s") or 0.0 for row in fresh.values())
    if waiting > UNACKED_S:
        return Part(False, "messages wait for their commit", waiting)
    return Part(True, "takes messages", age)


def _worker(
    beat: Heartbeat | None, oldest_due: dt.datetime | None, failing: WorkItem | None, at: dt.datetime
) -> Part:
    owed_s = (at - oldest_due).total_seconds() if oldest_due else 0.0
    if owed_s > DUE_WORK_S:
        return Part(False, "judgements are overdue", owed_s)
    failing_s = (at - failing.asked_at).total_seconds() if failing else 0.0
    if failing and failing_s > DUE_WORK_S:
        return Part(False, f"cannot finish a judgement ({failing.kind}: {failing.last_error})", failing_s)
    return process(beat, WORKER_S, at)


def _failing(session: Session) -> WorkItem | None:
    """What waits longest of the work that was tried in vain; its next try is put off, so it is never overdue."""
    failed = select(WorkItem).where(WorkItem.last_error.is_not(None))
    return session.scalars(failed.order_by(WorkItem.asked_at).limit(1)).one_or_none()


def _messages(session: Session, at: dt.datetime) -> Part:
    """Whether alerts find their people: nothing that is due to be owed or sent waits."""
    call = select(func.min(Alert.next_call_at)).where(Alert.next_call_at <= at)
    free = or_(Message.claimed_until.is_(None), Message.claimed_until < at)
    due = select(func.min(Message.next_attempt_at)).where(
        Message.state == messaging.WAITING, Message.next_attempt_at <= at, free
    )
    for oldest, why in (
        (session.scalar(call), "alerts wait to call people"),
        (session.scalar(due), "messages wait to be sent"),
    ):
        if oldest is not None and (waits_s := (at - oldest).total_seconds()) > DUE_MESSAGE_S:
            return Part(False, why, waits_s)
    unheard = session.scalar(_unheard(at))
    if unheard is not None:
        return Part(
            False, "alerts reach nobody: their messages are not taken", (at - unheard).total_seconds()
        )
    return Part(True, "nothing waits")


def _unheard(at: dt.datetime) -> Select[Any]:
    """Since when an alert calls people in vain: one message at least should have gone by now, and none did.

    A channel that the operator never configured is no outage; the pages and the API say that beside each contact.
    """
    gone = aliased(Message)
    told = select(gone.id).where(
        gone.alert_id == Alert.id, gone.state == messaging.SENT, gone.created_at >= Alert.called_at
    )
    tried = or_(
        and_(Message.state == messaging.FAILED, Message.problem != "not_configured"),
        and_(Message.state == messaging.WAITING, Message.attempts > 0),
    )
    late = Message.due_at < at - dt.timedelta(seconds=DUE_MESSAGE_S)
    return (
        select(func.min(Message.due_at))
        .join(Alert, Alert.id == Message.alert_id)
        .where(
            Alert.state == State.UNACKNOWLEDGED,
            Message.created_at >= Alert.called_at,
            tried,
            late,
            ~told.exists(),
        )
    )


def process(beat: Heartbeat | None, limit_s: float, at: dt.datetime) -> Part:
    """A process that says within `limit_s` that it works."""
    if beat is None:
        return Part(False, "has never worked")
    age = _age_s(beat, at)
    return Part(True, "works", age) if age <= limit_s else Part(False, "has stopped working", age)


def ping_cache(redis_url: str) -> object:
    """Raises RedisError or OSError when the cache does not answer within PATIENCE_S."""
    url = redis_url.replace("redis+socket://", "unix://")
    patience = {"socket_timeout": PATIENCE_S, "socket_connect_timeout": PATIENCE_S}
    with Redis.from_url(url, **patience, retry=Retry(NoBackoff(), 0)) as client:
        return client.ping()


def _cache(ping: Callable[[], object]) -> Part:
    try:
        ping()
    except (RedisError, OSError):
        return Part(False, "does not answer")
    return Part(True, "answers")


def _canary_age_s(beat: Heartbeat, at: dt.datetime) -> float | None:
    reported: Any = beat.detail.get("canary_age_s")
    return None if reported is None else reported + _age_s(beat, at)


def _age_s(beat: Heartbeat, at: dt.datetime) -> float:
    return max(0.0, (at - beat.at).total_seconds())
