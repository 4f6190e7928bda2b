"""Working off what is owed: claim rows, judge them in one transaction, strike them off.

A worker that dies leaves its claim to run out. Work that arrives while a row is being judged raises the row's
generation, so it stays owed. Judging twice does no effect twice.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Select, delete, literal, or_, select, true, update
from sqlalchemy.orm import Session

from sc_stim import clock
from sc_stim.models import WorkItem
from sc_stim.models.base import UtcDateTime
from sc_stim.workflows import outbox

log = structlog.get_logger(__name__)

CHUNK = 1000
CLAIM = dt.timedelta(minutes=5)
LONGEST_BACK_OFF = dt.timedelta(hours=1)


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
Judge = Callable[[Session, Subjects, dt.datetime], Mapping[int, dt.datetime]]  # -> when to judge again, if ever


def work_off(session: Session, judges: Mapping[str, Judge], *, until: dt.datetime) -> int:
    """Do due work until none is left or the time is over. Commits; returns how much was done."""
    done = 0
    while clock.now() < until:
        claimed = _claim(session, clock.now())
        if not claimed:
            break
        for kind, owed in _by_kind(claimed).items():
            done += _do(session, judges[kind], owed)
    return done


def _claim(session: Session, at: dt.datetime) -> list[Owed]:
    free = or_(WorkItem.claimed_until.is_(None), WorkItem.claimed_until < at)
    due = select(WorkItem.id).where(WorkItem.due_at <= at, free).order_by(WorkItem.due_at).limit(CHUNK)
    claim = (
        update(WorkItem)
        .where(WorkItem.id.in_(due.with_for_update(skip_locked=True)))
        .values(claimed_until=at + CLAIM, attempts=WorkItem.attempts + 1)
        .returning(
            WorkItem.id, WorkItem.kind, WorkItem.subject_id, WorkItem.generation, WorkItem.since, WorkItem.attempts
        )
        .execution_options(synchronize_session=False)
    )
    claimed = [Owed(*row) for row in session.execute(claim)]
    session.commit()
    return claimed


def _by_kind(claimed: Sequence[Owed]) -> dict[str, list[Owed]]:
    kinds: dict[str, list[Owed]] = defaultdict(list)
    for owed in claimed:
        kinds[owed.kind].append(owed)
    return kinds


def _do(session: Session, judge: Judge, owed: Sequence[Owed]) -> int:
    """Judge these in one transaction; where that fails, one by one, so that only the bad one waits."""
    at = clock.now()
    try:
        again = judge(session, {one.subject_id: one.since for one in owed}, at)
        _strike_off(session, owed, again)
        session.commit()
        return len(owed)
    except Exception as error:
        session.rollback()
        session.expunge_all()
        if len(owed) > 1:
            return sum(_do(session, judge, [one]) for one in owed)
        log.exception("work_failed", kind=owed[0].kind, subject=owed[0].subject_id, attempts=owed[0].attempts)
        _put_back(session, owed[0], type(error).__name__, at)
        return 0


def _strike_off(session: Session, owed: Sequence[Owed], again: Mapping[int, dt.datetime]) -> None:
    """Gone, or due again later; rows that were asked for meanwhile stay due."""
    unchanged = [one for one in owed if one.subject_id not in again]
    for generation, ids in _by_generation(unchanged).items():
        same = delete(WorkItem).where(WorkItem.id.in_(ids), WorkItem.generation == generation)
        session.execute(same.execution_options(synchronize_session=False))
    for one in owed:
        if one.subject_id in again:
            later = update(WorkItem).where(WorkItem.id == one.id, WorkItem.generation == one.generation)
            session.execute(later.values(due_at=again[one.subject_id], attempts=0))
    release = update(WorkItem).where(WorkItem.id.in_([one.id for one in owed])).values(claimed_until=None)
    session.execute(release.execution_options(synchronize_session=False))


def _by_generation(owed: Collection[Owed]) -> dict[int, list[int]]:
    generations: dict[int, list[int]] = defaultdict(list)
    for one in owed:
        generations[one.generation].append(one.id)
    return generations


def _put_back(session: Session, one: Owed, why: str, at: dt.datetime) -> None:
    wait = min(dt.timedelta(seconds=5 * 2 ** min(one.attempts, 12)), LONGEST_BACK_OFF)
    session.execute(
        update(WorkItem)
        .where(WorkItem.id == one.id)
        .values(claimed_until=None, due_at=at + wait, last_error=why)
        .execution_options(synchronize_session=False)
    )
    session.commit()


def owe_all(session: Session, kind: str, subjects: Select[Any], at: dt.datetime) -> None:
    """Owe this work for every id that `subjects` selects, in one statement."""
    dialect = session.get_bind().dialect.name
    moment = literal(at, UtcDateTime)
    values = subjects.add_columns(literal(kind), literal(1), moment, moment, moment, literal(0))
    if dialect == "sqlite":
        values = values.where(true())  # else its parser takes ON CONFLICT for a join's ON
    insert = outbox.UPSERT[dialect](WorkItem).from_select(
        ["subject_id", "kind", "generation", "since", "asked_at", "due_at", "attempts"], values
    )
    session.execute(
        insert.on_conflict_do_update(
            index_elements=[WorkItem.kind, WorkItem.subject_id],
            set_={"generation": WorkItem.generation + 1, "due_at": insert.excluded.due_at},
        )
    )
