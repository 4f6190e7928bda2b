"""Working off what is owed: claim rows, judge them in one transaction, strike them off.

A worker that dies leaves its claim to run out. Work that arrives while a row is being judged raises the row's
generation, so it stays owed. Judging twice does no effect twice.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.orm import Session

from sc_stim import clock
from sc_stim.models import WorkItem
from sc_stim.models.base import among

log = structlog.get_logger(__name__)

CHUNK = 1000
CLAIM = dt.timedelta(minutes=1)  # longer than a chunk takes; judging twice is only work for nothing
LONGEST_BACK_OFF = dt.timedelta(hours=1)
RETRIES = 10  # in each round, so that steady fresh work does not starve what failed


@dataclass(frozen=True)
class Owed:
    """A claimed piece of work; `since` is the earliest measurement that is news."""

    id: int
    kind: str
    subject_id: int
    generation: int
    since: dt.datetime
    attempts: int


Subjects = Mapping[int, dt.datetime]  # subject id -> since
Judge = Callable[
    [Session, Subjects, dt.datetime], Mapping[int, dt.datetime]
]  # -> when to judge again, if ever


def work_off(session: Session, judges: Mapping[str, Judge], *, until: dt.datetime) -> int:
    """Do due work until none is left or the time is over. Commits; returns how much was done."""
    done = 0
    while clock.now() < until:
        was_idle = True
        for claimed in _round(session):
            was_idle = False
            for kind, owed in _by_kind(claimed).items():
                done += _do(session, judges, kind, owed)
        if was_idle:
            break
    return done


def _round(session: Session) -> Iterator[list[Owed]]:
    """Many rows that nobody tried before; then some that did not get done, each by itself: whatever ended its last
    judge, be it an error or the end of the whole process, takes no others along."""
    fresh = _take(session, clock.now(), WorkItem.attempts == 0, CHUNK)
    if fresh:
        yield fresh
    for _ in range(RETRIES):
        tried = _take(session, clock.now(), WorkItem.attempts > 0, 1)
        if not tried:
            break
        yield tried


def _take(session: Session, at: dt.datetime, which: ColumnElement[bool], at_most: int) -> list[Owed]:
    free = or_(WorkItem.claimed_until.is_(None), WorkItem.claimed_until < at)
    due = (
        select(WorkItem.id).where(WorkItem.due_at <= at, free, which).order_by(WorkItem.due_at).limit(at_most)
    )
    claim = (
        update(WorkItem)
        .where(WorkItem.id.in_(due.with_for_update(skip_locked=True)))
        .values(claimed_until=at + CLAIM, attempts=WorkItem.attempts + 1)
        .returning(
            WorkItem.id,
            WorkItem.kind,
            WorkItem.subject_id,
            WorkItem.generation,
            WorkItem.since,
            WorkItem.attempts,
        )
        .execution_options(synchronize_session=False)
    )
    claimed = [Owed(*row) for row in session.execute(claim)]
    session.commit()
    return sorted(
        claimed, key=lambda owed: owed.subject_id
    )  # two workers that meet alerts meet them in one order


def _by_kind(claimed: Sequence[Owed]) -> dict[str, list[Owed]]:
    kinds: dict[str, list[Owed]] = defaultdict(list)
    for owed in claimed:
        kinds[owed.kind].append(owed)
    return kinds


def _do(session: Session, judges: Mapping[str, Judge], kind: str, owed: Sequence[Owed]) -> int:
    """Judge these in one transaction; where that fails, each half by itself, until only the bad ones wait."""
    at = clock.now()
    try:
        again = judges[kind](session, {one.subject_id: one.since for one in owed}, at)
        _strike_off(session, owed, again)
        session.commit()
        return len(owed)
    except Exception as error:
        session.rollback()
        session.expunge_all()
        if len(owed) > 1:
            half = len(owed) // 2
            return _do(session, judges, kind, owed[:half]) + _do(session, judges, kind, owed[half:])
        log.exception("work_failed", kind=kind, subject=owed[0].subject_id, attempts=owed[0].attempts)
        _put_back(session, owed[0], type(error).__name__, at)
        return 0


def _strike_off(session: Session, owed: Sequence[Owed], again: Mapping[int, dt.datetime]) -> None:
    """Gone, or due again later; rows that were asked for meanwhile stay due."""
    rows = select(WorkItem.id, WorkItem.generation).where(
        among(session, WorkItem.id, [one.id for one in owed])
    )
    # In the order in which askers lock them, or an asker and a worker wait for each other.
    locked = rows.order_by(WorkItem.kind, WorkItem.subject_id).with_for_update()
    generations = dict(session.execute(locked).all())
    judged = [one for one in owed if generations.get(one.id) == one.generation]
    finished = [one.id for one in judged if one.subject_id not in again]
    session.execute(
        delete(WorkItem)
        .where(among(session, WorkItem.id, finished))
        .execution_options(synchronize_session=False)
    )
    untried = {"claimed_until": None, "attempts": 0, "last_error": None}
    left = [{"id": row_id, **untried} for row_id in generations.keys() - set(finished)]
    later = {one.id: again[one.subject_id] for one in judged if one.subject_id in again}
    if left:
        session.execute(update(WorkItem), left)
    if later:
        session.execute(
            update(WorkItem), [{"id": row_id, "due_at": due_at} for row_id, due_at in later.items()]
        )


def _put_back(session: Session, one: Owed, why: str, at: dt.datetime) -> None:
    wait = min(dt.timedelta(seconds=5 * 2 ** min(one.attempts, 12)), LONGEST_BACK_OFF)
    session.execute(
        update(WorkItem)
        .where(WorkItem.id == one.id)
        .values(claimed_until=None, due_at=at + wait, last_error=why)
        .execution_options(synchronize_session=False)
    )
    session.commit()
